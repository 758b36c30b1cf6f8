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


def words(text):
    return set(text.split())


#: What every answer about a document says, whatever it is and wherever it stands.
FIELDS = words(
    "id external_id sale_number channel seller seller_name warehouse warehouse_name customer_id customer_name"
    " customer_phone customer_email subtotal tax_amount discount_amount total_amount payments change_due source_device"
    " client_timestamp sale_date created_at synced_at updated_at is_cancelled cancelled_reason kind origin flags items"
)
ITEM = words(
    "id product product_name variant variant_details quantity unit_price discount_per_item tax_amount total_price"
    " batch_number expiry_date lots returned_quantity"
)
TEXTS = words(
    "subtotal tax_amount discount_amount total_amount change_due synced_at updated_at cancelled_reason"
    " warehouse_name seller_name"
)


def test_every_answer_says_all(client, make):
    plain = make.product(stock=9, price="2.00")
    cup = make.product(
        price="3.00", attributes={"colour": "red"}, variants=[{"name": "Red / M", "attributes": {"size": "M"}}]
    )
    make.receipt(make.main, [{"product_id": cup.id, "variant_id": cup["variants"][0]["id"], "quantity": "5"}])
    item = {"product_id": cup.id, "variant_id": cup["variants"][0]["id"], "quantity": "1"}
    body = {"channel": "counter", "warehouse": make.main, "items": [item, {"product_id": plain.id, "quantity": "2"}]}
    sold = client.post("/api/sales", body, as_="cashier").json
    synced = client.post("/api/sales/sync", {"sales": [body | {"external_id": str(uuid.uuid4())}]}, as_="cashier")
    back = {"lines": [{"line_id": sold["items"][1]["id"], "quantity": "1"}]}
    returned = client.post(f"/api/sales/{sold['id']}/returns", back).json
    exchange = client.post("/api/sales", body | {"returns": {"sale_id": sold["id"], **back}}).json
    cancelled = client.post(f"/api/sales/{synced.json['results'][0]['sale']['id']}/cancel", {"reason": "Wrong"}).json
    listed = client.get("/api/sales", params={"kind": "all"}).json["items"]
    answers = [sold, synced.json["results"][0]["sale"], returned, exchange, cancelled, *listed]
    assert len(answers) == 10
    for each in answers:
        assert set(each) >= FIELDS and all(set(line) >= ITEM for line in each["items"]), each["kind"]
        assert all(isinstance(each[name], str) for name in TEXTS) and each["flags"] == []
        assert (each["origin"] is None) == (each["kind"] == "sale")
        assert each["is_cancelled"] == (each["cancelled_reason"] == "Wrong")
        for line in each["items"]:
            named = (line["variant"], line["variant_details"])
            assert named == ((None, None) if line["product"] == plain.id else (item["variant_id"], "Red / M"))
    assert cancelled["is_cancelled"] and [each["kind"] for each in (returned, exchange)] == ["return", "exchange"]
    assert client.get(f"/api/sales/{sold['id']}").json["items"][1]["returned_quantity"] == "2"


def test_a_sale_gathers_the_flags_of_its_items(client, make):
    product = make.product(price="10.00", price_mode="list", stock=9)
    item = {"product_id": product["id"], "quantity": "1", "unit_price": "6.00"}
    sale = {"channel": "counter", "warehouse": make.main, "items": [item, item], "external_id": str(uuid.uuid4())}
    sale["client_timestamp"] = "2099-01-01T00:00:00Z"
    shown = client.post("/api/sales/sync", {"sales": [sale]}).json["results"][0]["sale"]
    assert (
        shown["flags"] == ["price-variance", "clock-suspect"] == client.get(f"/api/sales/{shown['id']}").json["flags"]
    )
