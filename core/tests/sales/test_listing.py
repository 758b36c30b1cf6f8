"""The list of sales: the same answers whichever way the database goes about it."""

from decimal import Decimal
from itertools import combinations

import pytest

from tillhook.sales import listing
from tillhook.sales.rollups.counting import count_sales

ORDERINGS = ("id", "-created_at", "-sale_date", "sale_date", "total_amount", "-total_amount")


@pytest.fixture(params=[0, 5, 5_000])
def few(request, monkeypatch):
    """Return how many sales are few enough to be looked up by themselves."""
    monkeypatch.setattr(listing, "_FEW", request.param)
    monkeypatch.setattr(listing, "_VERY_FEW", request.param // 25)
    return request.param


@pytest.fixture
def shop(make, client):
    """Return what there is to ask for, each with the condition on a sale, after 14 sales by three people."""
    goods = make.product(price="3.00", tracking="none")
    regular = make.customer("Anna Regular")
    twice = [{"method": "cash", "amount": "1.00"}, {"method": "cash", "amount": "50.00"}]
    for number in range(14):
        fields = {"customer_id": regular.id} if number % 4 == 1 else {}
        if number % 5 == 2:
            fields = {"customer_name": f"Özil {number}", "customer_phone": "0170 555"}
        sale = make.sale(
            [(goods, number % 5 + 1)],
            as_=("admin", "cashier", "supplier")[number % 3],
            warehouse=make.other if number % 6 == 3 else make.main,
            client_timestamp=f"2026-03-{28 - number * 5 % 14:02d}T12:00:00Z",
            payments=twice if number % 3 else [{"method": "card", "amount": f"{3 * (number % 5 + 1)}.00"}],
            **fields,
        )
        if number % 6 == 0:
            client.post(f"/api/sales/{sale.id}/cancel", {"reason": "Wrong"})
    return {
        ("customer", regular.id): lambda sale: sale["customer_name"] == "Anna Regular",
        ("warehouse", make.main): lambda sale: sale["warehouse"] == make.main,
        ("channel", "counter"): lambda sale: True,
        ("channel", "nowhere"): lambda sale: False,
        ("payment_method", "cash"): lambda sale: sale["payments"][0]["method"] == "cash",
        ("is_cancelled", "true"): lambda sale: sale["is_cancelled"],
        ("is_cancelled", "false"): lambda sale: not sale["is_cancelled"],
        ("date_from", "2026-03-20"): lambda sale: sale["sale_date"] >= "2026-03-20",
        ("date_to", "2026-03-25"): lambda sale: sale["sale_date"] < "2026-03-26",
        ("search", "öZIL"): lambda sale: sale["customer_name"].startswith("Özil"),
    }


def listed(client, as_="admin", **query):
    """Return all pages, of three sales each."""
    found, cursor = [], None
    while True:
        place = {} if cursor is None else {"cursor": cursor}
        page = client.get("/api/sales", as_=as_, params={"limit": 3, **query, **place})
        assert page.status_code == 200, page.text
        found += page.json["items"]
        cursor = page.json["next_cursor"]
        if cursor is None:
            return found


def in_order(sales, ordering):
    name = ordering.removeprefix("-")

    def place(sale):
        return Decimal(sale[name]) if name == "total_amount" else sale[name], sale["id"]

    return sorted(sales, key=place, reverse=ordering.startswith("-"))


@pytest.mark.slow
def test_filters_and_orders_go_together(client, runtime, shop, few):
    with runtime.unit_of_work() as session:
        count_sales(session, 7)
    everything = listed(client, ordering="-id")
    assert len(everything) == 14
    pairs = [pair for pair in combinations(shop, 2) if pair[0][0] != pair[1][0]] if few == 5 else []
    for number, conditions in enumerate([(), *((each,) for each in shop), *pairs]):
        expected = [sale for sale in everything if all(shop[condition](sale) for condition in conditions)]
        for ordering in ORDERINGS if len(conditions) < 2 else (ORDERINGS[number % len(ORDERINGS)],):
            found = listed(client, ordering=ordering, **dict(conditions))
            assert found == in_order(expected, ordering), (conditions, ordering)


@pytest.mark.usefixtures("few")
def test_a_seller_sees_the_own_sales(client, shop):
    for as_ in ("cashier", "supplier"):
        own = [sale for sale in listed(client) if sale["seller_name"] == as_.title()]
        for condition, holds in shop.items():
            expected = [sale["id"] for sale in in_order(own, "-id") if holds(sale)]
            assert [sale["id"] for sale in listed(client, as_, ordering="-id", **dict([condition]))] == expected


def test_the_newest_come_first_and_of_days_the_last(client, shop):
    everything = listed(client)
    assert everything == in_order(everything, "-id")
    assert listed(client, date_from="2026-01-01") == in_order(everything, "-sale_date")


@pytest.mark.usefixtures("few")
def test_a_number_is_found_by_its_beginning_and_its_end(client, make):
    first, second = [make.sale([(make.product(tracking="none"), 1)]) for _ in range(2)]
    number = first.sale_number
    for search in (number, number.lower(), number[2:], number[-7:], number[-3:]):
        assert [sale["id"] for sale in listed(client, search=search)] == [first.id], search
    assert [sale["id"] for sale in listed(client, search=number[:8])] == [second.id, first.id]
    assert (
        listed(client, search=number + "0") == listed(client, search="%") == listed(client, search="\U0010ffff") == []
    )


def test_names_are_found_before_and_after_they_are_counted(client, make, runtime):
    goods = make.product(tracking="none")
    for name, phone in (("Zoë Straße", ""), ("", "+49 30 1234"), ("Zoë Straße", "")):
        make.sale([(goods, 1)], customer_name=name, customer_phone=phone)
    for _ in range(2):
        found = [len(listed(client, search=search)) for search in ("STRASSE", "ë s", "30 12", "nobody")]
        assert found == [2, 2, 1, 0]
        with runtime.unit_of_work() as session:
            count_sales(session)
