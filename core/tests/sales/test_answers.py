"""A sale reads back as it was answered, on both engines."""

import uuid


def test_flags_read_back_as_they_were_answered(client, make):
    product = make.product(price="10.00", price_mode="list", stock=3)
    item = {"product_id": product["id"], "quantity": "1", "unit_price": "6.00"}
    sale = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4()), "items": [item]}
    first = client.post("/api/sales/sync", {"sales": [sale]}).json["results"][0]["sale"]
    assert first["items"][0]["flags"] == ["price-variance"]
    assert client.get(f"/api/sales/{first['id']}").json == first
    assert client.post("/api/sales/sync", {"sales": [sale]}).json["results"][0]["sale"] == first


def test_every_value_reads_back_as_it_was_answered(client, make):
    tax = make.tax("0.19", is_inclusive=True)
    product = make.product(price="3.37", tracking="lot", tax=tax["id"])
    lots = [
        {"product_id": product["id"], "quantity": 2, "batch_number": batch, "expiry_date": "2150-01-01"}
        for batch in ("A", "B")
    ]
    make.receipt(make.main, lots)
    customer = make.customer(phone="+1", email="a@example.com")
    sale = make.sale(
        [(product, 3)],
        customer_id=customer["id"],
        discount_amount="0.07",
        client_timestamp="2026-01-31T14:30:00+05:30",
        notes="two\nlines",
        payments=[{"method": "cash", "amount": "20"}, {"method": "card", "amount": "1", "reference": "x"}],
    )
    assert sale["items"][0]["tax_inclusive"] is True and sale["is_offline"] is True
    assert client.get(f"/api/sales/{sale.id}").json == dict(sale)


def test_sales_are_found_however_a_name_is_written(client, make):
    sale = make.sale([(make.product(stock=3), 1)], customer_name="O\u0308zil Stra\u00dfe")
    make.sale([(make.product(stock=3), 1)], customer_name="Somebody")
    for search in ("\u00d6ZIL", "o\u0308zil", "\u00f6zil", sale.sale_number.lower()):
        found = client.get("/api/sales", params={"search": search}).json["items"]
        assert [each["id"] for each in found] == [sale.id], search
