"""Codes with a price or a weight in them, as the shop's own scale prints them."""

import uuid
from decimal import Decimal

import pytest
from biip.checksums import gs1_price_weight_check_digit
from hypothesis import given
from hypothesis import strategies as st

from tillhook.products import check_digit
from tillhook.quantities import multiply, round_half_up
from tillhook_pos.scanning.amounts import charge
from tillhook_pos.scanning.patterns import parse_patterns, read_embedded

#: Item 00412 at 25.50.
PRICED = "2400412025505"
PRICE = "24IIIIIPPPPPC"
WEIGHT = "21IIIIIWWWWWC"


@pytest.fixture
def shop(client):
    """Say which patterns the shop prints."""

    def say(patterns):
        answer = client.patch("/api/settings", {"pos.embedded_codes": patterns})
        assert answer.status_code == 200, answer.text

    return say


def scan(client, code, as_="cashier"):
    return client.get(f"/api/pos/scan/{code}", as_=as_)


def sell(client, code, as_="cashier", **body):
    return client.post(f"/api/pos/sell/{code}", body, as_=as_)


def code(*parts):
    body = "".join(parts)
    return body + check_digit(body)


def refused(answer, status, slug):
    return (answer.status_code, answer.json["code"]) == (status, slug)


def kilograms(make):
    return make.unit("kg", precision=3)["code"]


# --- what is charged ---------------------------------------------------------------------------------------


def test_the_check_digit_of_the_example_is_right():
    assert code("24", "00412", "02550") == PRICED


def test_without_the_shops_word_a_code_is_a_code(client, make):
    make.product(sku="00412", stock=5)
    answer = scan(client, PRICED)
    assert refused(answer, 404, "pos-unknown-code") and answer.json["understood"]["kind"] == "ean13"


def test_the_printed_price_of_goods_of_open_price_is_charged(client, make, shop):
    shop(PRICE)
    product = make.product(sku="00412", price="19.00", price_mode="open", stock=5)
    shown = scan(client, PRICED).json
    assert (shown["kind"], shown["total"], shown["is_printed_price"]) == ("embedded", "25.50", True)
    assert shown["item"] == {"product_id": product.id, "quantity": "1", "unit_price": "25.50"}
    assert shown["understood"]["item"] == "00412" and shown["understood"]["price"] == "25.50"
    sold = sell(client, PRICED)
    assert sold.status_code == 201, sold.text
    (line,) = sold.json["items"]
    assert (line["quantity"], line["total_price"], sold.json["total_amount"]) == ("1", "25.50", "25.50")
    assert line["flags"] == ["price-printed"] and make.stock(product) == 4
    # The label is no suggestion of a price.
    assert scan(client, "00412").json["price"] == "19.00"


def test_of_pieces_a_label_asks_for_a_price_as_a_seller_does(client, make, shop):
    shop(PRICE)
    make.product(sku="00412", price="10.00", tracking="none")
    cheap, low, above = (code("24", "00412", price) for price in ("00001", "00800", "01001"))
    for label, slug in ((cheap, "discount-limit"), (above, "price-above-catalogue")):
        answer = sell(client, label)
        assert refused(answer, 403, slug) and answer.json["errors"][0]["field"] == "code"
        assert answer.json["roles"] == ["admin"] and "these roles may: admin" in answer.json["detail"]
    assert sell(client, low).json["total_amount"] == "8.00"
    assert refused(sell(client, low, discount_per_item="0.01"), 403, "discount-limit")
    assert sell(client, cheap, as_="admin", warehouse=make.main).json["total_amount"] == "0.01"
    basket = {"items": [{"code": cheap}]}
    refusal = client.post("/api/pos/sales", basket, as_="cashier").json
    assert (refusal["code"], refusal["errors"][0]["field"]) == ("discount-limit", "items.0.code")


def test_no_label_says_what_a_list_price_is(client, make, shop):
    shop(PRICE)
    make.product(sku="00412", price="19.00", price_mode="list", tracking="none")
    shown = scan(client, PRICED).json
    assert (shown["total"], shown["understood"]["price"], shown["is_printed_price"]) == ("19.00", "25.50", False)
    assert sell(client, PRICED).json["total_amount"] == "19.00"


def test_weighed_goods_leave_the_stock_by_what_the_price_is_worth(client, make, shop):
    shop(PRICE)
    product = make.product(sku="00412", price="12.99", unit=kilograms(make), stock=5)
    assert scan(client, PRICED).json["quantity"] == "1.963"
    sold = sell(client, PRICED).json
    assert (sold["items"][0]["quantity"], sold["items"][0]["unit_price"]) == ("1.963", "12.99")
    assert sold["total_amount"] == "25.50" and sold["items"][0]["flags"] == []
    assert make.stock(product) == Decimal("3.037")


def test_a_price_that_no_weight_comes_to_is_charged_all_the_same(client, make, shop):
    shop(PRICE)
    product = make.product(sku="00412", price="87.30", price_mode="list", unit=kilograms(make), stock=5)
    sold = sell(client, code("24", "00412", "01001")).json
    (line,) = sold["items"]
    assert sold["total_amount"] == "10.01" and line["quantity"] == "0.115" and line["unit_price"] == "87.0435"
    assert make.stock(product) == Decimal("4.885")


def test_a_tax_that_the_price_contains_stays_in_it(client, make, shop):
    shop(PRICE)
    tax = make.tax("0.2", is_inclusive=True)
    make.product(sku="00412", price="19.00", price_mode="open", tax=tax.id, stock=5)
    sold = sell(client, PRICED).json
    assert (sold["total_amount"], sold["tax_amount"]) == ("25.50", "4.25")


def test_a_weight_is_charged_at_the_catalogues_price(client, make, shop):
    shop(WEIGHT)
    product = make.product(sku="412", price="10.00", unit=kilograms(make), stock=5)
    weighed = code("21", "00412", "01234")
    shown = scan(client, weighed).json
    assert (shown["quantity"], shown["total"], shown["is_printed_price"]) == ("1.234", "12.34", False)
    assert shown["item"] == {"product_id": product.id, "quantity": "1.234"}
    assert sell(client, weighed).json["total_amount"] == "12.34" and make.stock(product) == Decimal("3.766")


def test_a_weight_finer_than_the_unit_is_refused(client, make, shop):
    shop(WEIGHT)
    make.product(sku="412", unit=make.unit(precision=0)["code"], stock=5)
    answer = sell(client, code("21", "00412", "01234"))
    assert answer.status_code == 422


def test_weight_and_price_together(client, make, shop):
    shop("99IIIIWWWWWPPPPP")
    product = make.product(sku="0412", price="10.00", unit=kilograms(make), stock=5)
    sold = sell(client, "9904120150001400").json
    assert (sold["items"][0]["quantity"], sold["total_amount"]) == ("1.5", "14.00")
    assert make.stock(product) == Decimal("3.5")


def test_a_number_of_pieces(client, make, shop):
    shop("22IIIIINNNNNC")
    product = make.product(sku="EGGS", price="0.30", stock=100)
    client.post(f"/api/products/{product.id}/barcodes", {"code": "00412", "pack_quantity": "6"})
    assert scan(client, code("22", "00412", "00003")).json["total"] == "5.40"
    sell(client, code("22", "00412", "00003"))
    assert make.stock(product) == 82


def test_decimals_where_the_point_says(client, make, shop):
    shop("23IIIIIWWW.WWC;25IIIIIPPPP.PC 26IIIIIWWWWW.C")
    make.product(sku="00412", price="1.00", unit=kilograms(make), stock=999_999)
    assert scan(client, code("23", "00412", "01234")).json["quantity"] == "12.34"
    assert scan(client, code("25", "00412", "01234")).json["total"] == "123.40"
    assert scan(client, code("26", "00412", "01234")).json["quantity"] == "1234"


def test_a_currency_without_cents(client, make, shop):
    client.patch("/api/settings", {"currency": "JPY", "currency_places": 0})
    shop(PRICE)
    make.product(sku="00412", price="100", price_mode="open", stock=5)
    assert sell(client, PRICED).json["total_amount"] == "2550.00"


def test_discounts_begin_at_the_printed_price(client, make, shop):
    shop(PRICE)
    make.product(sku="00412", price="100.00", price_mode="open", stock=5)
    # The label itself is 74 % below the catalogue; of it the cashier may give a fifth.
    assert sell(client, PRICED, discount_per_item="5.10").json["total_amount"] == "20.40"
    assert refused(sell(client, PRICED, discount_per_item="5.11"), 403, "discount-limit")
    assert sell(client, PRICED, discount_amount="5.10").json["total_amount"] == "20.40"
    assert refused(sell(client, PRICED, discount_amount="5.11"), 403, "discount-limit")


def test_a_label_says_how_much_it_is_on(client, make, shop):
    shop(PRICE)
    make.product(sku="00412", price_mode="open", stock=5)
    for name, value in (("quantity", 2), ("unit_price", "1.00")):
        answer = sell(client, PRICED, **{name: value})
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == name
    assert sell(client, PRICED, quantity=1).status_code == 201


def test_a_client_cannot_say_that_a_price_is_printed(client, make):
    product = make.product(price="19.00", stock=5)
    item = {"product_id": product.id, "quantity": 1, "unit_price": "1.00", "is_printed_price": True}
    body = {"warehouse": make.main, "items": [item]}
    assert client.post("/api/sales", body, as_="cashier").status_code == 422


def test_the_same_label_sells_once_whatever_the_price_is_by_then(client, make, shop):
    shop(PRICE)
    product = make.product(sku="00412", price="12.99", unit=kilograms(make), stock=5)
    body = {"external_id": str(uuid.uuid4())}
    first = sell(client, PRICED, **body)
    client.patch(f"/api/products/{product.id}", {"price": "15.00"})
    again = sell(client, PRICED, **body)
    assert (first.status_code, again.status_code) == (201, 200) and again.json == first.json
    shop("")
    assert sell(client, PRICED, **body).json["id"] == first.json["id"]
    assert make.stock(product) == Decimal("3.037")


# --- whose item it is --------------------------------------------------------------------------------------


def test_an_item_is_known_with_or_without_zeros_in_front(client, make, shop):
    shop(PRICE)
    for item, sku in (("00412", "00412"), ("00413", "413"), ("00414", "0414"), ("00415", "000415")):
        product = make.product(sku=sku)
        assert scan(client, code("24", item, "00100")).json["product"]["id"] == product.id


def test_an_item_is_known_by_barcode_or_by_its_label_at_no_price(client, make, shop):
    shop(PRICE)
    by_code = make.product(barcode="413")
    by_label = make.product(barcode=code("24", "00414", "00000"))
    assert scan(client, code("24", "00413", "00100")).json["product"]["id"] == by_code.id
    assert scan(client, code("24", "00414", "00100")).json["product"]["id"] == by_label.id


def test_the_item_as_it_is_printed_comes_first(client, make, shop):
    shop(PRICE)
    make.product(sku="412")
    exact = make.product(sku="00412")
    assert scan(client, PRICED).json["product"]["id"] == exact.id


def test_two_products_that_differ_by_zeros_are_not_guessed_at(client, make, shop):
    shop(PRICE)
    one, two = make.product(sku="412"), make.product(sku="0412")
    answer = sell(client, PRICED)
    assert refused(answer, 422, "pos-ambiguous-code") and answer.json["hint"]
    assert {each["product_id"] for each in answer.json["readings"]} == {one.id, two.id}


def test_two_patterns_that_both_fit_are_not_guessed_at(client, make, shop):
    shop("24IIIIIPPPPPC 24IIIIIWWWWWC")
    product = make.product(sku="00412", stock=99)
    for answer in (scan(client, PRICED), sell(client, PRICED)):
        assert refused(answer, 422, "pos-ambiguous-code")
        assert [each["pattern"] for each in answer.json["readings"]] == ["24IIIIIPPPPPC", "24IIIIIWWWWWC"]
    assert make.stock(product) == 99


def test_the_products_own_barcode_wins(client, make, shop):
    shop(PRICE)
    make.product(sku="00412")
    own = make.product(barcode=PRICED, price="7.00", stock=5)
    shown = scan(client, PRICED).json
    assert (shown["kind"], shown["product"]["id"], shown["total"]) == ("ean13", own.id, "7.00")


def test_a_upc_a_with_or_without_its_zero(client, make, shop):
    shop("02IIIIIPPPPPC")
    make.product(sku="00412", stock=5)
    label = code("02", "00412", "02550")
    assert scan(client, label).json["total"] == scan(client, label[1:]).json["total"] == "25.50"
    shop("2IIIIIPPPPPC")
    assert scan(client, label).json["total"] == scan(client, label[1:]).json["total"] == "25.50"


def test_nobodys_item_is_told_as_it_was_understood(client, make, shop):
    shop(PRICE)
    for answer in (scan(client, PRICED), sell(client, PRICED)):
        assert refused(answer, 404, "pos-unknown-code") and "00412" in answer.json["hint"]
        said = {"code": PRICED, "kind": "embedded", "pattern": PRICE, "item": "00412", "price": "25.50"}
        assert answer.json["understood"] == said


def test_a_scan_that_went_wrong(client, make, shop):
    shop("24IIIIIPPPPPC 27IIIIVPPPPPC")
    make.product(sku="00412")
    make.product(sku="0412")
    answer = scan(client, PRICED[:-1] + "6")
    assert refused(answer, 404, "pos-unknown-code") and "should be 5" in answer.json["hint"]
    right = str(gs1_price_weight_check_digit("02550"))
    assert scan(client, code("27", "0412", right, "02550")).json["total"] == "25.50"
    wrong = str((int(right) + 1) % 10)
    answer = scan(client, code("27", "0412", wrong, "02550"))
    assert refused(answer, 404, "pos-unknown-code") and "check digit" in answer.json["hint"]
    answer = scan(client, code("24", "00412", "00000"))
    assert refused(answer, 404, "pos-unknown-code") and "zero" in answer.json["hint"]


NO_PATTERNS = [
    "IIIIIPPPPPC",
    "24PPPPPC",
    "24IIIIIC",
    "24IIPPII",
    "24IIIIICPPPPP",
    "24IIIIIWWWNNN",
    "24iiiiipppppc",
    "24IIIII.PPPPP",
    "24III.IIPPPPP",
    "24IIIIIP.PPPPP",
    "24IIIIIPPP.PP.P",
    "24IIIIIVPPPC",
    "24IIIIIVVPPPPC",
    "24" + "I" * 60 + "PPPP",
    "24IIIII" + "P" * 11,
    "24IIIIIPPPPPC (",
    "24(I+)(P+)",
    "2*",
]


def test_what_is_no_pattern_is_refused_with_an_example(client):
    for patterns in NO_PATTERNS:
        answer = client.patch("/api/settings", {"pos.embedded_codes": patterns})
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "pos.embedded_codes", patterns
        assert "24IIIIIPPPPPC" in answer.json["errors"][0]["message"]


# --- whatever is printed -----------------------------------------------------------------------------------

_VALUES = {"P": 2, "W": 3, "N": 0}


@st.composite
def labels(draw):
    """Return a pattern, a code of it, and what the code says."""
    item = draw(st.integers(0, 10**6 - 1).map(lambda number: f"{number:06d}"))[: draw(st.integers(1, 6))]
    letter = draw(st.sampled_from("PWN"))
    length = draw(st.integers(4, 5))
    value = draw(st.integers(1, 10**length - 1))
    digits = f"{value:0{length}d}"
    prefix = draw(st.from_regex(r"[0-9]{1,3}", fullmatch=True).filter(str.isascii))
    places, point = _VALUES[letter], ""
    if letter != "N" and draw(st.booleans()):
        places = draw(st.integers(0, min(length - 1, 4)))
        point = "."
    run = letter * (length - places) + point + letter * places if point else letter * length
    check = letter != "N" and draw(st.booleans())
    pattern = prefix + "I" * len(item) + ("V" if check else "") + run + "C"
    body = prefix + item + (str(gs1_price_weight_check_digit(digits)) if check else "") + digits
    return pattern, body + check_digit(body), (item, letter, Decimal(value).scaleb(-places))


@given(labels())
def test_what_is_printed_is_read_back(label):
    pattern, text, (item, letter, value) = label
    found = [each for each in read_embedded(text, parse_patterns(pattern), 2) if not each.fault]
    said = [(each.item, {"P": each.price, "W": each.measure, "N": each.count}[letter]) for each in found]
    assert (item, value) in said


@given(labels(), st.integers(0, 20), st.sampled_from("0123456789"))
def test_a_wrong_digit_is_noticed_where_there_is_a_check_digit(label, place, digit):
    pattern, text, _ = label
    place %= len(text)
    if text[place] != digit:
        wrong = text[:place] + digit + text[place + 1 :]
        forms = read_embedded(wrong, parse_patterns(pattern), 2)
        assert all(each.fault for each in forms if len(wrong) == len(text))


@given(
    total=st.decimals("0.01", "999.99", places=2),
    price=st.decimals("1.00", "999.99", places=2),
    precision=st.integers(1, 4),
)
def test_the_line_comes_to_exactly_what_is_printed(total, price, precision):
    line = charge(total, price, None, precision, 2)
    assert round_half_up(multiply(line.quantity, line.unit_price), 2) == total
    # What leaves the stock is what the catalogue's price makes of it, to the unit's last digit.
    step = Decimal(1).scaleb(-precision)
    assert line.quantity > 0 and line.quantity == round(line.quantity, precision)
    assert line.quantity == step or abs(line.quantity - total / price) <= (step if total / price < 50 else 50 * step)


@given(st.text(max_size=60))
def test_any_text_is_a_pattern_or_is_refused(text):
    try:
        parse_patterns(text)
    except ValueError as error:
        assert "24IIIIIPPPPPC" in str(error)


def test_a_label_that_no_pattern_reads_names_the_setting(client, shop):
    shop("24IIIIIPPPPPC")
    for unknown in (code("21", "00412", "02550"), code("24", "00999", "02550"), code("2", "0041202550")):
        answer = scan(client, unknown)
        assert refused(answer, 404, "pos-unknown-code")
        assert "pos.embedded_codes" in answer.json["hint"], answer.text
    assert "pos.embedded_codes" not in scan(client, "4006381333931").json["hint"]
