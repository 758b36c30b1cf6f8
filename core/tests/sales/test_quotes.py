"""A quote is what the sale comes to that is posted right after it, and leaves no trace."""

import uuid

import pytest
from sqlalchemy import select, text, update

from tillhook.ledger import StockLevel
from tillhook.sales import Sale

#: What a quote and a sale both say.
AMOUNTS = (
    "kind",
    "channel",
    "warehouse",
    "customer_id",
    "currency",
    "subtotal",
    "tax_amount",
    "discount_amount",
    "total_amount",
    "cash_rounding",
    "amount_due",
    "change_due",
    "payments",
)
LINE = (
    "product",
    "product_name",
    "variant",
    "quantity",
    "unit_price",
    "discount_per_item",
    "discount_share",
    "tax_rate",
    "tax_inclusive",
    "tax_amount",
    "total_price",
    "origin_line",
    "flags",
)


def body(make, *items, **fields):
    return {"channel": "counter", "warehouse": make.main, "items": list(items), **fields}


def item(product, quantity="1", **fields):
    return {"product_id": product["id"], "quantity": quantity, **fields}


def said(document):
    """Return what a quote and a sale have in common."""
    lines = [{name: line[name] for name in LINE} for line in document["items"]]
    return {name: document[name] for name in AMOUNTS} | {"items": lines}


def assert_as_posted(client, sale, **options):
    quoted = client.post("/api/sales/quote", sale, **options)
    assert quoted.status_code == 200, quoted.text
    posted = client.post("/api/sales", sale, **options)
    assert posted.status_code == 201, posted.text
    assert said(quoted.json) == said(posted.json)
    assert quoted.json["short_lines"] == [] and quoted.json["amount_open"] == "0.00"
    return posted.json


@pytest.mark.parametrize("rounding", ["0", "0.05"])
def test_a_quote_is_the_sale_that_is_posted_after_it(client, make, rounding):
    client.patch("/api/settings", {"sales.cash_rounding": rounding})
    tax = make.tax("0.19")
    goods = [make.product(price="3.37", stock=9, tax=tax["id"]), make.product(price="1.01", stock=9)]
    lot = make.product(price="2.50", tracking="lot")
    make.receipt(
        make.main,
        [{"product_id": lot["id"], "quantity": 5, "batch_number": "A", "expiry_date": "2150-01-01"}],
    )
    customer = make.customer()
    sale = body(
        make,
        item(goods[0], "3", discount_per_item="0.10"),
        item(goods[1], "2"),
        item(lot),
        customer_id=customer["id"],
        discount_amount="0.33",
        payments=[{"method": "card", "amount": "5.00"}, {"method": "cash", "amount": "20.00"}],
    )
    assert_as_posted(client, sale)
    assert_as_posted(client, body(make, item(goods[1])), as_="cashier")


def test_a_quote_of_an_exchange_and_of_a_return(client, make):
    old, new = make.product(price="10.00", stock=9), make.product(price="12.34", stock=9)
    sold = make.sale([(old, 3)])
    back = {"sale_id": sold.id, "lines": [{"line_id": sold["items"][0]["id"], "quantity": "1"}]}
    assert_as_posted(client, body(make, item(new), returns=back))
    assert_as_posted(client, body(make, returns=back))


def test_a_quote_of_a_product_that_would_be_made(client, make):
    inline = {"product_data": {"name": "Bread by weight"}, "quantity": "0.5", "unit_price": "3.00"}
    quoted = client.post("/api/sales/quote", body(make, inline)).json
    assert quoted["total_amount"] == "1.50" and quoted["items"][0]["product"] is None
    assert client.get("/api/products", params={"search": "bread"}).json["items"] == []
    posted = client.post("/api/sales", body(make, inline)).json
    assert posted["total_amount"] == quoted["total_amount"]


def test_lines_that_are_short_are_said_and_not_refused(client, make):
    short, enough = make.product(price="2.00", stock=3), make.product(price="1.00", stock=9)
    quoted = client.post("/api/sales/quote", body(make, item(enough), item(short, "2"), item(short, "2")))
    assert quoted.status_code == 200 and quoted.json["total_amount"] == "9.00"
    (line,) = quoted.json["short_lines"]
    assert (line["line"], line["product"], line["requested"], line["available"]) == (2, short["id"], "2", "1")
    refused = client.post("/api/sales", body(make, item(enough), item(short, "2"), item(short, "2")))
    assert [each["line"] for each in refused.json["short_lines"]] == [2]


def test_a_lot_that_is_not_there_yet_is_not_made(client, make, runtime):
    product = make.product(price="2.00", tracking="lot")
    assert client.put("/api/stock-policies", {"policy": "allow", "product_id": product["id"]}).status_code == 200
    quoted = client.post("/api/sales/quote", body(make, item(product, batch_number="NEW")))
    assert quoted.status_code == 200 and quoted.json["short_lines"] == []
    with runtime.unit_of_work(write=False) as session:
        assert session.scalar(text("SELECT COUNT(*) FROM lot")) == 0


def test_what_the_tenders_leave_is_said(client, make):
    product = make.product(price="10.00", stock=9)
    quoted = client.post(
        "/api/sales/quote", body(make, item(product), payments=[{"method": "card", "amount": "4.00"}])
    ).json
    assert (quoted["amount_due"], quoted["amount_open"], quoted["change_due"]) == ("10.00", "6.00", "0.00")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"channel": "nowhere"}, 422, "unknown-channel"),
        ({"items": [{"product_id": 999999, "quantity": "1"}]}, 422, "unknown-product"),
    ],
)
def test_what_cannot_be_sold_cannot_be_quoted(client, make, change, status, code):
    answer = client.post("/api/sales/quote", body(make, item(make.product(stock=1))) | change)
    assert answer.status_code == status and answer.json["code"] == code


def test_a_quote_leaves_no_trace(client, make, runtime):
    product = make.product(price="10.00", stock=9)
    external_id = str(uuid.uuid4())

    def counted():
        with runtime.unit_of_work(write=False) as session:
            tables = (
                "sale",
                "outbox",
                "stock_movement",
                "sale_exception",
                "sale_device",
                "audit_entry",
                "idempotency_key",
            )
            return [session.scalar(text(f"SELECT COUNT(*) FROM {table}")) for table in tables]

    before = counted()
    sale = body(make, item(product), external_id=external_id, source_device="till", device_number=1)
    for _ in range(2):
        assert client.post("/api/sales/quote", sale).status_code == 200
    assert counted() == before and make.stock(product) == 9
    assert client.post("/api/sales", sale).status_code == 201


def test_a_quote_waits_for_nobody(client, make, runtime):
    product = make.product(price="10.00", stock=9)
    sold = make.sale([(product, 1)])
    back = {"sale_id": sold.id, "lines": [{"line_id": sold["items"][0]["id"], "quantity": "1"}]}
    with runtime.unit_of_work() as session:
        session.scalars(select(Sale).with_for_update()).all()
        # On SQLite this makes it the one writer.
        session.execute(update(StockLevel).values(on_hand=StockLevel.on_hand))
        assert client.post("/api/sales/quote", body(make, item(product), returns=back)).status_code == 200
