"""Finding what a sale became: returns, cancellations and exchanges, who bought a batch, what changed since."""

import uuid
from itertools import combinations, cycle

import pytest

from tillhook.sales import listing


@pytest.fixture(params=[0, 5_000])
def few(request, monkeypatch):
    """Let the lists begin with the filter that few documents meet, or walk in their order."""
    monkeypatch.setattr(listing, "_FEW", request.param)
    monkeypatch.setattr(listing, "_VERY_FEW", request.param // 25)


@pytest.fixture
def documents(client, make):
    """Return a sale that came back in part, its exchange, one that was cancelled, and what did so, by name."""
    goods, other = make.product(price="3.00", stock=50), make.product(price="2.00", stock=50)
    sale = make.sale([(goods, 4)], source_device="till-1", customer_name="Anna")
    line = sale["items"][0]["id"]
    cancelled = make.sale([(other, 1)], as_="cashier", source_device="till-2", customer_name="Anna")
    client.post(f"/api/sales/{cancelled.id}/cancel", {"reason": "Wrong", "source_device": "till-3"})
    returned = make.post(f"/api/sales/{sale.id}/returns", {"lines": [{"line_id": line, "quantity": "1"}]})
    exchange = make.sale(
        [(other, 1)],
        returns={"sale_id": sale.id, "lines": [{"line_id": line, "quantity": "1"}]},
        source_device="till-1",
    )
    (cancellation,) = client.get("/api/sales", params={"kind": "cancellation"}).json["items"]
    found = {"sale": sale, "cancelled": cancelled, "cancellation": cancellation, "return": returned}
    return found | {"exchange": exchange, "goods": goods, "other": other}


@pytest.fixture
def listed(client, documents):
    """Return the names of the documents that a list has, in its order, whatever the size of its pages."""
    names = {each["id"]: name for name, each in documents.items() if "kind" in each}

    def listed(as_="admin", **query):
        found = {limit: [names[each["id"]] for each in pages(client, as_, limit=limit, **query)] for limit in (1, 2, 9)}
        assert found[1] == found[2] == found[9]
        return found[9]

    return listed


def pages(client, as_="admin", **query):
    found, cursor = [], {}
    while True:
        page = client.get("/api/sales", as_=as_, params={**query, **cursor})
        assert page.status_code == 200, page.text
        found += page.json["items"]
        if page.json["next_cursor"] is None:
            return found
        cursor = {"cursor": page.json["next_cursor"]}


@pytest.mark.usefixtures("few")
def test_kinds(listed):
    everything = ["exchange", "return", "cancellation", "cancelled", "sale"]
    assert listed() == ["exchange", "cancelled", "sale"]
    assert listed(kind="all") == listed(kind="sale,return,exchange,cancellation") == everything
    for kind in ("return", "exchange", "cancellation"):
        assert listed(kind=kind) == [kind]
    assert listed(kind="sale") == ["cancelled", "sale"]
    assert listed(kind="cancellation,return") == ["return", "cancellation"]
    assert listed(kind="return,sale", ordering="id") == ["sale", "cancelled", "return"]
    by_total = ["sale", "cancelled", "exchange", "cancellation", "return"]
    assert listed(kind="all", ordering="-total_amount") == by_total
    assert listed(kind="all", ordering="total_amount") == by_total[::-1]
    assert listed(kind="return,cancellation", ordering="-total_amount") == ["cancellation", "return"]
    assert listed(kind="return,sale", ordering="-total_amount") == ["sale", "cancelled", "return"]
    assert listed(kind="return", ordering="sale_date") == ["return"]


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_what_changed_goes_with_any_two_filters_in_any_order(client, documents, make):
    changed = {"updated_after": "2020-01-01T00:00:00Z"}
    one = {"origin": documents["sale"].id, "product": documents["goods"]["id"], "batch": "None such"}
    some = {"date_from": "2020-01-01", "date_to": "2090-12-31", "device": "till-1", "search": "Anna", "kind": "all"}
    rest = {"warehouse": make.main, "channel": "counter", "seller": 1, "customer": 1, "payment_method": "cash"}
    filters = {**one, **some, **rest, "is_cancelled": "true"}
    orders = cycle(["updated_at", "-created_at", "total_amount", "-sale_date", "-updated_at"])
    for pair, order in zip(combinations(filters, 2), orders, strict=False):
        query = {name: filters[name] for name in pair} | changed | {"ordering": order}
        assert client.get("/api/sales", params=query).status_code == 200, query


@pytest.mark.usefixtures("few")
def test_what_hangs_on_a_sale(listed, documents):
    assert listed(origin=documents["sale"].id) == ["exchange", "return"]
    assert listed(origin=documents["sale"].id, search="Anna") == listed(origin=documents["sale"].id)
    assert listed(origin=documents["cancelled"].id) == ["cancellation"]
    assert listed(origin=documents["sale"].id, kind="return") == ["return"]
    assert listed(origin=documents["return"].id) == []
    # Each is seen by whose it is, as everywhere.
    assert listed("cashier", kind="all") == ["cancelled"] and listed("cashier", origin=documents["sale"].id) == []


@pytest.mark.usefixtures("few")
def test_any_document_is_found_by_its_number_and_only_what_was_sold_by_a_name(listed, documents):
    for name in ("return", "cancellation", "exchange", "sale"):
        number = documents[name]["sale_number"]
        for search in (number, number.lower(), number[-7:], number[:-1]):
            assert name in listed(search=search), search
        assert listed(search=number) == [name] == listed(search=number, ordering="total_amount")
        assert listed(search=number, kind="exchange") == [each for each in (name,) if each == "exchange"]
    assert listed(search="anna") == ["exchange", "cancelled", "sale"]
    assert listed(search="anna", kind="return") == ["return"]


@pytest.mark.usefixtures("few")
def test_filters(client, listed, documents, make):
    assert listed(device="till-1") == ["exchange", "sale"] and listed(device="till-9") == []
    assert listed(device="till-3", kind="all") == ["cancellation"]
    assert listed(product=documents["goods"].id) == ["exchange", "sale"]
    assert listed(product=documents["other"].id) == ["exchange", "cancelled"]
    assert listed(product=documents["goods"].id, kind="return") == ["return"]
    cashier = documents["cancelled"]["seller"]
    assert listed(seller=cashier) == ["cancelled"] == listed("cashier", seller=cashier)
    assert listed("cashier", seller=documents["sale"]["seller"]) == []
    assert listed(seller=cashier, device="till-2", product=documents["other"].id, kind="sale") == ["cancelled"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=refund", "kind"),
        ("kind=sale,,return", "kind"),
        ("kind=all,sale", "kind"),
        ("origin=x", "origin"),
        ("batch=" + "x" * 81, "batch"),
        ("updated_after=yesterday", "updated_after"),
        ("colour=red", "colour"),
        ("ordering=seller", "ordering"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(client, query, field):
    answer = client.get(f"/api/sales?{query}")
    assert answer.status_code == 422 and [each["field"] for each in answer.json["errors"]] == [field]


def test_updated_at_is_when_something_was_last_taken_back(client, documents):
    for name in ("sale", "cancelled", "return", "cancellation", "exchange"):
        shown = client.get(f"/api/sales/{documents[name]['id']}").json
        later = {"sale": documents["exchange"], "cancelled": documents["cancellation"]}.get(name, shown)
        assert shown["updated_at"] == later["created_at"] >= shown["created_at"] == shown["synced_at"]
        if "updated_at" in documents[name] and name not in ("sale", "cancelled"):
            assert documents[name] == shown


@pytest.mark.usefixtures("few")
def test_what_changed_comes_in_the_order_of_the_changes(client, listed, documents):
    # A sale changes with what takes it back: both have one moment, and come in the order of their keys.
    changed = sorted(
        [name for name, each in documents.items() if "kind" in each],
        key=lambda name: [
            client.get(f"/api/sales/{documents[name]['id']}").json[part] for part in ("updated_at", "id")
        ],
    )
    assert [{"cancelled", "cancellation"}, {"return"}, {"sale", "exchange"}] == [
        set(changed[:2]),
        {changed[2]},
        set(changed[3:]),
    ]
    always = "2020-01-01T00:00:00Z"
    assert listed(kind="all", updated_after=always) == listed(kind="all", ordering="updated_at") == changed
    assert listed(kind="all", ordering="-updated_at") == changed[::-1]
    assert listed(updated_after=always) == [name for name in changed if name not in ("return", "cancellation")]
    since = documents["return"]["updated_at"]
    assert listed(updated_after=since) == changed[3:]
    assert listed(updated_after=since, ordering="-id") == ["exchange", "sale"]
    assert listed(updated_after=since, ordering="-total_amount") == ["sale", "exchange"]
    assert listed(updated_after=since, device="till-2") == [] == listed("cashier", updated_after=since)
    assert listed(updated_after=since, kind="sale", device="till-1") == ["sale"]
    assert listed(updated_after=documents["exchange"]["updated_at"], kind="all") == []


@pytest.mark.usefixtures("few")
def test_who_follows_the_changes_has_them_all(client, make):
    goods = make.product(tracking="none", price="1.00")
    item = {"product_id": goods["id"], "quantity": "1"}
    known, since = {}, "2020-01-01T00:00:00Z"

    def follow():
        nonlocal since
        for each in pages(client, updated_after=since, limit=2, kind="all"):
            assert each["updated_at"] >= since
            known[each["id"]], since = each, each["updated_at"]

    ids = [str(uuid.uuid4()) for _ in range(5)]
    bodies = [{"channel": "counter", "warehouse": make.main, "external_id": each, "items": [item]} for each in ids]
    # All of one batch have one moment.
    client.post("/api/sales/sync", {"sales": bodies})
    follow()
    assert len(known) == 5
    sales = sorted(known.values(), key=lambda each: each["id"])
    make.post(f"/api/sales/{sales[1]['id']}/returns", {"lines": [{"position": 0, "quantity": "0.5"}]})
    client.post(f"/api/sales/{sales[3]['id']}/cancel", {"reason": "x"})
    follow()
    make.sale([(goods, 1)])
    follow()
    assert known == {each["id"]: each for each in pages(client, kind="all")} and len(known) == 8
    follow()
    assert pages(client, updated_after=since, kind="all") == []
