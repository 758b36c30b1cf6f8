"""In a batch each sale stands alone, whatever is wrong with one of them."""

import uuid

import pytest

from tillhook.testing import plug

HUGE = "99999999999"


def body(make, product, quantity="1", **fields):
    item = {"product_id": product["id"], "quantity": quantity, **fields.pop("item", {})}
    external_id = str(uuid.uuid4())
    return {"channel": "counter", "warehouse": make.main, "external_id": external_id, "items": [item], **fields}


def sync(client, sales):
    answer = client.post("/api/sales/sync", {"sales": sales})
    assert answer.status_code == 200, answer.text
    results = answer.json["results"]
    assert [result["external_id"] for result in results] == [sale["external_id"] for sale in sales]
    return results


def test_a_sale_that_no_level_holds_is_refused_alone(client, make, runtime):
    from tillhook.server.verify import verify

    product, other = make.product(price="0.00"), make.product(stock=5)
    sales = [body(make, other), body(make, product, HUGE), body(make, product, HUGE), body(make, other)]
    results = sync(client, sales)
    assert [result["status"] for result in results] == ["created", "created", "rejected", "created"]
    assert results[2]["error"]["code"] == "stock-out-of-range" and results[2]["error"]["status"] == 422
    assert make.stock(other) == 3
    assert [item["code"] for item in client.get("/api/sales/exceptions").json["items"]] == ["stock-out-of-range"]
    assert [found for _, found in verify(runtime) if found] == []


def test_more_stock_than_a_level_holds_is_a_problem_and_no_crash(client, make):
    product = make.product(stock=HUGE)
    line = {"product_id": product["id"], "quantity": HUGE}
    answer = client.post("/api/inventory/receipts", {"warehouse": make.main, "lines": [line]})
    assert answer.status_code == 422 and answer.json["code"] == "stock-out-of-range"


@pytest.mark.parametrize("hook", ["validate_sale", "sales_posted"])
def test_a_plugin_that_fails_on_one_sale_does_not_stop_the_others(client, make, runtime, hook):
    product = make.product(stock=9)

    def validate_sale(session, draft):
        if draft.command.notes == "poison":
            raise KeyError("the plugin's own mistake")

    def sales_posted(session, sales):
        if any(sale.sale["notes"] == "poison" for sale in sales):
            raise KeyError("the plugin's own mistake")

    plug(runtime, **{hook: locals()[hook]})
    sales = [body(make, product), body(make, product, notes="poison"), body(make, product)]
    results = sync(client, sales)
    assert [result["status"] for result in results] == ["created", "rejected", "created"]
    assert results[1]["error"]["code"] == "internal-server-error"
    assert "mistake" not in str(results[1])
    assert make.stock(product) == 7
    kept = client.get("/api/sales/exceptions").json["items"]
    assert [(item["code"], item["payload"]["notes"]) for item in kept] == [("internal-server-error", "poison")]


def test_sales_posted_is_told_once_of_a_batch_and_its_exception_undoes_a_sale(client, make, runtime):
    product = make.product(stock=9)
    told = []
    plug(runtime, sales_posted=lambda session, sales: told.append(len(sales)))
    sync(client, [body(make, product), body(make, {"id": 999999}), body(make, product)])
    assert told == [2]

    def fail(session, sales):
        raise RuntimeError("no")

    plug(runtime, sales_posted=fail)
    assert client.post("/api/sales", body(make, product)).status_code == 500
    assert make.stock(product) == 7


def test_the_policy_blocks_some_of_a_batch_in_the_order_sent(client, make):
    product, other = make.product(stock=3), make.product(stock=9)
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    sales = [body(make, product, "2"), body(make, product, "2"), body(make, other), body(make, product, "1")]
    results = sync(client, sales)
    assert [result["status"] for result in results] == ["created", "rejected", "created", "created"]
    assert results[1]["error"]["short_lines"][0]["available"] == "1"
    assert (make.stock(product), make.stock(other)) == (0, 8)


def test_an_inline_product_of_a_refused_sale_is_not_left_behind(client, make):
    product = make.product(stock=3)
    inline = {"product_data": {"name": "Left behind", "tracking": "none"}, "quantity": "1", "unit_price": "1"}
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    bad = body(make, product, "9")
    bad["items"].append(inline)
    results = sync(client, [bad, body(make, product)])
    assert [result["status"] for result in results] == ["rejected", "created"]
    assert client.get("/api/products", params={"search": "Left behind"}).json["items"] == []


def test_0_and_none_of_a_resolving_hook_are_told_apart(client, make, runtime):
    product = make.product(price="10.00", price_mode="list", stock=9)
    plug(runtime, resolve_price=lambda session, request: 0 if request.quantity == 2 else None)
    assert make.sale([(product, 2)]).total_amount == "0.00"
    assert make.sale([(product, 1)]).total_amount == "10.00"
