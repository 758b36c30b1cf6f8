"""Sales put aside: resumed once, at whichever till, and nothing moves meanwhile."""

import uuid
from functools import partial

from tillhook.testing import at_once


def park(client, make, items, as_="cashier", label="Anna", **fields):
    body = {"items": [{"product_id": product.id, "quantity": str(quantity)} for product, quantity in items]}
    return client.post("/api/pos/parked", {"label": label, "body": body | fields.pop("body", {}), **fields}, as_=as_)


def listed(client, as_="cashier", **params):
    return client.get("/api/pos/parked", params=params, as_=as_).json["items"]


def counts(runtime):
    tables = ("sale", "sale_line", "sale_payment", "stock_movement", "reservation", "outbox", "pos_document")
    with runtime.database.connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar_one() for name in tables}


def refused(answer, status, code):
    return (answer.status_code, answer.json["code"]) == (status, code)


def test_parking_moves_neither_stock_nor_money(client, make, runtime):
    product = make.product(stock=5)
    before = counts(runtime)
    answer = park(client, make, [(product, 3)])
    assert answer.status_code == 201, answer.text
    parked = answer.json
    assert (parked["status"], parked["label"], parked["warehouse"]) == ("parked", "Anna", make.main)
    assert parked["body"]["items"] == [{"product_id": product.id, "quantity": "3"}]
    assert client.post(f"/api/pos/parked/{parked['id']}/resume", as_="cashier").status_code == 200
    assert counts(runtime) == before and make.stock(product) == 5


def test_what_can_never_be_sold_says_why(client, make):
    shirt = make.product(name="Shirt", variants=[{"name": "S"}])
    for product_id, field, slug in (
        (999_999, "product_id", "unknown-product"),
        (shirt.id, "variant_id", "variant-needed"),
    ):
        body = {"items": [{"product_id": product_id, "quantity": "1"}]}
        answer = client.post("/api/pos/parked", {"label": "Anna", "body": body}, as_="cashier")
        assert refused(answer, 422, slug) and answer.json["errors"][0]["field"] == f"body.items.0.{field}"


def test_a_parked_sale_is_gone_on_with_at_another_till(client, make):
    product = make.product(stock=5, price="2.50")
    external_id = str(uuid.uuid4())
    body = {"notes": "wants a bag", "external_id": external_id, "source_device": "till-1", "device_number": 7}
    parked = park(client, make, [(product, 2)], source_device="till-1", body=body).json
    assert parked["till"] == "till-1" and parked["seller_name"]
    # Whose till it was is no matter of the till that posts it.
    assert not {"source_device", "device_number"} & set(parked["body"])
    colleague = make.user("cashier")
    assert [each["id"] for each in listed(client, as_=colleague)] == [parked["id"]]
    resumed = client.post(f"/api/pos/parked/{parked['id']}/resume", as_=colleague).json
    assert (resumed["status"], resumed["ended_by"]) == ("resumed", colleague.id)
    sale = client.post("/api/sales", resumed["body"] | {"source_device": "till-2"}, as_=colleague)
    assert sale.status_code == 201, sale.text
    assert (sale.json["total_amount"], sale.json["notes"], sale.json["external_id"]) == (
        "5.00",
        "wants a bag",
        external_id,
    )
    assert make.stock(product) == 3 and listed(client) == []


def test_it_is_resumed_once(client, make):
    parked = park(client, make, [(make.product(), 1)]).json["id"]
    assert client.post(f"/api/pos/parked/{parked}/resume", as_="cashier").status_code == 200
    again = client.post(f"/api/pos/parked/{parked}/resume", as_="cashier")
    assert refused(again, 409, "pos-parked-sale-ended") and again.json["status_now"] == "resumed"
    assert refused(
        client.post(f"/api/pos/parked/{parked}/discard", {"reason": "x"}, as_="cashier"), 409, "pos-parked-sale-ended"
    )


def test_a_resume_whose_answer_was_lost_is_answered_again(client, make):
    parked = park(client, make, [(make.product(), 1)]).json["id"]
    key = {"Idempotency-Key": "till-2-resume-1"}
    first = client.post(f"/api/pos/parked/{parked}/resume", as_="cashier", headers=key)
    again = client.post(f"/api/pos/parked/{parked}/resume", as_="cashier", headers=key)
    assert (first.status_code, again.status_code) == (200, 200) and again.json == first.json


def test_two_tills_at_once_do_not_both_get_it(client, make, tokens):
    product = make.product()
    tokens.token("cashier")
    for _ in range(3):
        parked = park(client, make, [(product, 1)]).json["id"]
        resume = partial(client.post, f"/api/pos/parked/{parked}/resume", as_="cashier")
        assert sorted(answer.status_code for answer in at_once(*[resume] * 4)) == [200, 409, 409, 409]


def test_nobody_comes_back(client, make):
    parked = park(client, make, [(make.product(), 1)]).json["id"]
    assert client.post(f"/api/pos/parked/{parked}/discard", {}, as_="cashier").status_code == 422
    answer = client.post(f"/api/pos/parked/{parked}/discard", {"reason": "left the shop"}, as_="cashier")
    assert (answer.json["status"], answer.json["reason"]) == ("discarded", "left the shop")
    assert refused(client.post(f"/api/pos/parked/{parked}/resume", as_="cashier"), 409, "pos-parked-sale-ended")
    assert listed(client) == []
    assert [each["id"] for each in listed(client, status="discarded")] == [parked]
    entries = client.get("/api/audit", params={"entity": "parked_sale"}).json["items"]
    assert [entry["action"] for entry in entries] == ["discard", "park"]
    assert entries[0]["after"] == {"status": "discarded", "reason": "left the shop"}


def test_the_list_is_filtered_and_begins_with_the_oldest(client, make):
    product = make.product()
    one = park(client, make, [(product, 1)], label="Anna 50%", source_device="till-1").json["id"]
    second = park(client, make, [(product, 1)], label="Berta").json
    two, own_drawer = second["id"], f"user:{second['seller']}"
    assert [each["id"] for each in listed(client)] == [one, two]
    assert [each["id"] for each in listed(client, ordering="-created_at")] == [two, one]
    assert [each["id"] for each in listed(client, till="till-1")] == [one]
    assert [each["id"] for each in listed(client, till=own_drawer)] == [two]
    assert [each["id"] for each in listed(client, search="0%")] == [one]
    assert [each["id"] for each in listed(client, search="BERTA")] == [two]
    page = client.get("/api/pos/parked", params={"limit": 1}, as_="cashier").json
    rest = client.get("/api/pos/parked", params={"limit": 1, "cursor": page["next_cursor"]}, as_="cashier").json
    assert [each["id"] for each in page["items"] + rest["items"]] == [one, two] and rest["next_cursor"] is None


def test_another_warehouse_is_not_ours(client, make):
    product = make.product()
    theirs = park(client, make, [(product, 1)], as_="admin", warehouse=make.other).json["id"]
    assert listed(client) == []
    assert refused(client.get(f"/api/pos/parked/{theirs}", as_="cashier"), 404, "pos-unknown-parked-sale")
    for verb, body in (("resume", None), ("discard", {"reason": "x"})):
        answer = client.post(f"/api/pos/parked/{theirs}/{verb}", body, as_="cashier")
        assert refused(answer, 404, "pos-unknown-parked-sale")
    assert [each["id"] for each in listed(client, as_="admin")] == [theirs]
    for field, fields in (
        ("warehouse", {"warehouse": make.other}),
        ("body.warehouse", {"body": {"warehouse": make.other}}),
    ):
        answer = park(client, make, [(product, 1)], **fields)
        assert refused(answer, 403, "foreign-warehouse") and answer.json["errors"][0]["field"] == field
    both = park(client, make, [(product, 1)], as_="admin", warehouse=make.main, body={"warehouse": make.other})
    assert both.status_code == 422 and both.json["errors"][0]["field"] == "body.warehouse"
    assert refused(
        client.get("/api/pos/parked", params={"warehouse": make.other}, as_="cashier"), 403, "foreign-warehouse"
    )


NEVER_SOLD = [
    ({"items": []}, "body.items"),
    ({"items": [{"quantity": "1"}]}, "body.items.0.product_id"),
    ({"items": [{"product_id": 999_999, "quantity": "1"}]}, "body.items.0.product_id"),
    ({"items": [{"product_id": 1, "variant_id": 999_999, "quantity": "1"}]}, "body.items.0.variant_id"),
    ({"items": [{"product_id": 1, "quantity": "-1"}]}, "body.items.0.quantity"),
    ({"customer_id": 999_999}, "body.customer_id"),
    ({"surprise": 1}, "body.surprise"),
]


def test_what_can_never_be_sold_is_refused_at_once(client, make):
    product = make.product()
    for change, field in NEVER_SOLD:
        answer = park(client, make, [(product, 1)], body=change)
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field, answer.text
    assert listed(client) == []


def test_numbers_with_a_fraction_are_kept_exactly(client, make):
    product = make.product()
    raw = b'{"body": {"items": [{"product_id": %d, "quantity": 0.1, "unit_price": 1e1}]}}' % product.id
    headers = {"Content-Type": "application/json"}
    answer = client.request("POST", "/api/pos/parked", body=raw, headers=headers, as_="cashier")
    assert answer.status_code == 201, answer.text
    (item,) = answer.json["body"]["items"]
    assert (item["quantity"], item["unit_price"]) == ("0.1", "10")


def test_a_device_parks_in_its_own_name_only(client, make):
    cashier = make.user("cashier")
    scopes = ["pos:parked:park", "pos:parked:read"]
    key = client.post("/api/api-keys", {"name": "t", "scopes": scopes, "user": cashier.id, "device": "till-9"}).json
    headers = {"X-API-Key": key["key"]}
    product = make.product()
    assert park_with(client, headers, product)["till"] == "till-9"
    body = {"body": {"items": [{"product_id": product.id, "quantity": 1}]}, "source_device": "till-1"}
    answer = client.post("/api/pos/parked", body, as_=None, headers=headers)
    assert refused(answer, 403, "foreign-device") and answer.json["errors"][0]["field"] == "source_device"


def park_with(client, headers, product):
    body = {"body": {"items": [{"product_id": product.id, "quantity": 1}]}}
    answer = client.post("/api/pos/parked", body, as_=None, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_who_may_not_is_told_so(client, make):
    parked = park(client, make, [(make.product(), 1)]).json["id"]
    for method, path in (("GET", ""), ("GET", f"/{parked}"), ("POST", f"/{parked}/resume")):
        answer = client.request(method, f"/api/pos/parked{path}", as_="accountant")
        assert refused(answer, 403, "permission-denied")
