"""What hooks get cannot be changed, what they answer is checked, and checks see the sales before theirs."""

import uuid
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from tillhook.errors import Conflict
from tillhook.hooks import HookError, PaymentMethod
from tillhook.sales import SaleCommand, SaleItem, SalePayment, post_sale
from tillhook.testing import plug


def post(runtime, make, product, **fields):
    command = SaleCommand(
        items=(SaleItem(product_id=product["id"], quantity=Decimal(1)),),
        channel="counter",
        warehouse=make.main,
        payload={"items": [{"product_id": product["id"]}]},
        **fields,
    )
    with runtime.unit_of_work() as session:
        return post_sale(session, command).sale


def body(make, product, **fields):
    items = [{"product_id": product["id"], "quantity": "1"}]
    return {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4()), "items": items, **fields}


def set_price(draft):
    draft.lines[0].unit_price = Decimal(1)


def set_lines(draft):
    draft.lines = ()


def add_line(draft):
    draft.lines.append(draft.lines[0])


def add_flag(draft):
    draft.lines[0].flags.append("cheap")


def set_payment(draft):
    draft.payments[0].amount = Decimal(0)


def set_body(draft):
    draft.command.payload["items"][0]["product_id"] = 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("change", [set_price, set_lines, add_line, add_flag, set_payment, set_body])
def test_a_veto_that_changes_the_sale_fails_and_is_named(make, runtime, change):
    product = make.product(price="10.00", stock=5)
    plug(runtime, validate_sale=lambda session, draft: change(draft))
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError, KeyError)) as failure:
        post(runtime, make, product)
    assert failure.value.__notes__ == ["in hook validate_sale of plugin extra"]
    assert make.stock(product) == 5


def test_a_product_that_is_made_at_the_till_cannot_be_changed(client, make, runtime):
    wrong = []

    def change(session, draft):
        for asked in (draft.command.items[0], draft.lines[0].asked):
            try:
                asked.product_data["name"] = "Caviar"
            except TypeError:
                wrong.append(asked.product_data["name"])

    plug(runtime, validate_sale=change)
    make.sale([{"product_data": {"name": "Bread"}, "quantity": "1", "unit_price": "3.00"}])
    assert wrong == ["Bread", "Bread"]


@pytest.mark.parametrize("part", ["sale", "line", "flags"])
def test_a_posted_sale_cannot_be_changed(make, runtime, part):
    def sales_posted(session, sales):
        shown = sales[0].sale
        if part == "sale":
            shown["total_amount"] = "0.00"
        elif part == "line":
            shown["items"][0]["unit_price"] = "0.00"
        else:
            shown["items"][0]["flags"].append("cheap")

    product = make.product(price="10.00", stock=5)
    plug(runtime, sales_posted=sales_posted)
    with pytest.raises((TypeError, AttributeError)) as failure:
        post(runtime, make, product)
    assert failure.value.__notes__ == ["in hook sales_posted of plugin extra"]


def test_returns_and_cancellations_cannot_be_changed(client, make, runtime):
    product = make.product(price="10.00", stock=5)
    sales = [make.sale([(product, 1)]) for _ in range(2)]
    seen = []

    def look(session, sale):
        with pytest.raises(TypeError):
            sale.sale["total_amount"] = "0.00"
        with pytest.raises(AttributeError):
            sale.sale["items"].append(1)
        seen.append(sale.kind)

    plug(runtime, sale_returned=look, sale_cancelled=look)
    lines = [{"line_id": sales[0]["items"][0]["id"], "quantity": "1"}]
    assert client.post(f"/api/sales/{sales[0].id}/returns", {"lines": lines}).status_code == 201
    assert client.post(f"/api/sales/{sales[1].id}/cancel", {"reason": "x"}).status_code == 200
    assert seen == ["return", "cancellation"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    "answer", [Decimal("-0.01"), Decimal("0.00001"), Decimal("NaN"), Decimal("1e20"), 1.5, "2.00", True]
)
def test_a_price_that_is_none_is_refused_by_name(make, runtime, answer):
    product = make.product(price="10.00", stock=5)
    plug(runtime, resolve_price=lambda session, request: answer)
    with pytest.raises(HookError, match="plugin extra: resolve_price"):
        post(runtime, make, product)
    assert make.stock(product) == 5


@pytest.mark.parametrize(("answer", "total"), [(0, "0.00"), (7, "7.00"), (Decimal("2.5"), "2.50"), (None, "10.00")])
def test_a_price_that_is_one_is_charged(make, runtime, answer, total):
    product = make.product(price="10.00", stock=5)
    plug(runtime, resolve_price=lambda session, request: answer)
    assert post(runtime, make, product)["total_amount"] == total


@pytest.mark.parametrize("answer", [999, True, "1", Decimal(1)])
def test_a_tax_that_nobody_has_is_refused_by_name(make, runtime, answer):
    product = make.product(price="10.00", stock=5)
    plug(runtime, resolve_tax=lambda session, request: answer)
    with pytest.raises(HookError, match="plugin extra: resolve_tax"):
        post(runtime, make, product)


def limited(runtime, limit):
    """Have ``scrip`` take ``limit`` in all, by what its payments in the database come to."""

    def check(session, tender):
        paid = session.scalar(select(func.sum(SalePayment.amount)).where(SalePayment.method == "scrip")) or 0
        if paid + tender.amount > limit:
            raise Conflict("Over the limit.", code="over-limit")

    runtime.registry.payment_methods["scrip"] = PaymentMethod(name="scrip", title="Scrip", check=check)
    runtime.snapshots.forget()


@pytest.fixture
def scrip(runtime):
    yield lambda limit: limited(runtime, limit)
    del runtime.registry.payment_methods["scrip"]
    runtime.snapshots.forget()


def test_a_limit_holds_within_a_batch(client, make, scrip):
    scrip(20)
    product = make.product(price="11.80", stock=50)
    paid = {"payments": [{"method": "scrip", "amount": "11.80"}]}
    sales = [body(make, product, **(paid if number % 2 else {})) for number in range(8)]
    results = client.post("/api/sales/sync", {"sales": sales}).json["results"]
    assert [result["external_id"] for result in results] == [sale["external_id"] for sale in sales]
    assert [result["status"] for result in results] == ["created"] * 3 + ["rejected", "created"] * 2 + ["rejected"]
    assert {result["error"]["code"] for result in results if result["status"] == "rejected"} == {"over-limit"}
    assert make.stock(product) == 45


def test_a_veto_sees_the_sales_before_it_in_the_batch(client, make, runtime):
    product = make.product(price="11.80", stock=50)

    def validate_sale(session, draft, earlier):
        if sum(each.totals.total_amount for each in (*earlier, draft)) > 20:
            raise Conflict("Over the limit.", code="over-limit")

    plug(runtime, validate_sale=validate_sale)
    sales = [body(make, product) for _ in range(4)]
    results = client.post("/api/sales/sync", {"sales": sales}).json["results"]
    assert [result["status"] for result in results] == ["created"] + ["rejected"] * 3
