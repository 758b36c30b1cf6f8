"""Element strings of GS1: a scanned lot is the lot that is sold, and what can be read in two ways is refused."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tillhook.db import utc_now
from tillhook.errors import ValidationFailed
from tillhook.products import check_digit
from tillhook_pos.scanning.gs1 import may_be_gs1, read_gs1, split_symbology

EAN13 = "4006381333931"
GTIN = "0" + EAN13
GS = "\x1d"
TODAY = utc_now().date()
SOON = TODAY.replace(day=1) + timedelta(days=400)


def scan(client, code, as_="cashier", **params):
    return client.get(f"/api/pos/scan/{quote(code, safe='')}", params=params, as_=as_)


def sell(client, code, as_="cashier", **body):
    return client.post(f"/api/pos/sell/{quote(code, safe='')}", body, as_=as_)


def day(value):
    return value.strftime("%y%m%d")


def refused(answer, status, slug):
    return (answer.status_code, answer.json["code"]) == (status, slug)


def hint(answer):
    return "GS" in answer.json["hint"] and answer.json["understood"]["kind"] == "gs1"


@pytest.fixture
def cheese(make):
    """A product with two lots here; the older one would be sold first."""
    product = make.product(sku="CHEESE", barcode=EAN13, price="10.00", tracking="lot", unit=kilo(make))
    lots = {"FIRST": SOON, "L2": SOON + timedelta(days=30)}
    lines = [
        {"product_id": product.id, "quantity": 5, "batch_number": name, "expiry_date": expiry.isoformat()}
        for name, expiry in lots.items()
    ]
    make.receipt(make.main, lines)
    return product


def kilo(make):
    return make.unit("kg", precision=3)["code"]


LATER = SOON + timedelta(days=30)


# --- the lot -----------------------------------------------------------------------------------------------


LABELS = [
    f"]C101{GTIN}17{day(LATER)}10L2",
    f"]d201{GTIN}10L2{GS}17{day(LATER)}",
    f"]Q301{GTIN}10L2{GS}17{day(LATER)}21ABC",
    f"]e001{GTIN}10L2",
    f"{GS}01{GTIN}17{day(LATER)}10L2{GS}",
    f"01{GTIN}17{day(LATER)}10L2",
    f"01{GTIN}10L2\u241d17{day(LATER)}",
    f"01{GTIN}10L2{{GS}}17{day(LATER)}",
    f"01{GTIN}10L2<GS>17{day(LATER)}",
    f"01{GTIN}10L2^]17{day(LATER)}",
    f"(01){GTIN}(17){day(LATER)}(10)L2",
    f"(01) {GTIN} (10) L2 (17) {day(LATER)}",
    f"  01{GTIN}10L2  ",
]


def test_a_scanned_lot_is_the_lot_sold(client, make, cheese):
    make.receipt(make.main, [{"product_id": cheese.id, "quantity": len(LABELS) - 4, "batch_number": "L2"}])
    for left, code in enumerate(LABELS):
        shown = scan(client, code)
        assert shown.status_code == 200, shown.text
        answer = shown.json
        assert (answer["kind"], answer["product"]["id"]) == ("gs1", cheese.id)
        expiry, available = LATER.isoformat(), str(len(LABELS) + 1 - left)
        lot = {"batch_number": "L2", "expiry_date": expiry, "available": available, "is_expired": False, "expired": "0"}
        assert answer["lot"] == lot
        item = {"product_id": cheese.id, "quantity": "1", "batch_number": "L2", "expiry_date": expiry}
        assert answer["item"] == item
        assert answer["understood"]["gtin"] == GTIN and answer["understood"]["batch_number"] == "L2"
        sold = sell(client, code)
        assert sold.status_code == 201, sold.text
        (line,) = sold.json["items"]
        assert (line["batch_number"], line["expiry_date"]) == ("L2", expiry)
    assert scan(client, f"01{GTIN}10L2").json["lot"]["available"] == "1"
    assert scan(client, EAN13).json["lot"]["batch_number"] == "FIRST"


def test_the_shown_line_fits_into_a_sale(client, make, cheese):
    item = scan(client, f"01{GTIN}10L2").json["item"]
    sale = make.sale([item], channel="pos", as_="cashier")
    assert sale["items"][0]["batch_number"] == "L2"


def test_without_a_lot_in_it_the_oldest_goes_first(client, cheese):
    assert sell(client, f"01{GTIN}").json["items"][0]["batch_number"] == "FIRST"


def test_a_lot_that_is_not_here_is_refused_with_those_that_are(client, make, cheese):
    make.receipt(
        make.other,
        [{"product_id": cheese.id, "quantity": 5, "batch_number": "FAR", "expiry_date": SOON.isoformat()}],
    )
    for code in (f"(01){GTIN}(10)NONE", f"(01){GTIN}(10)FAR"):
        for answer in (scan(client, code), sell(client, code)):
            assert refused(answer, 409, "pos-lot-not-in-stock"), answer.text
            assert [lot["batch_number"] for lot in answer.json["lots"]] == ["FIRST", "L2"]
            assert answer.json["errors"][0]["field"] == "code"
    assert make.stock(cheese) == 10
    sell(client, f"(01){GTIN}(10)L2", quantity=5)
    answer = scan(client, f"(01){GTIN}(10)L2")
    assert refused(answer, 409, "pos-lot-not-in-stock")
    assert [lot["batch_number"] for lot in answer.json["lots"]] == ["FIRST"]


def test_more_than_the_lot_has_is_short(client, make, cheese):
    answer = sell(client, f"(01){GTIN}(10)L2", quantity=6)
    assert refused(answer, 409, "insufficient-stock") and make.stock(cheese) == 10


def test_where_stock_may_go_below_zero_any_lot_is_sold(client, make, cheese):
    rule = {"product_id": cheese.id, "policy": "allow"}
    assert client.put("/api/stock-policies", rule).status_code == 200
    code = f"(01){GTIN}(17){day(SOON)}(10)NEW"
    shown = scan(client, code).json["lot"]
    assert (shown["batch_number"], shown["expiry_date"]) == ("NEW", SOON.isoformat())
    assert (shown["available"], shown["expired"], shown["is_expired"]) == ("0", "0", False)
    assert sell(client, code).json["items"][0]["batch_number"] == "NEW"


def test_an_expiry_that_differs_from_the_lots_is_refused(client, cheese):
    wrong = f"(01){GTIN}(17){day(SOON)}(10)L2"
    answer = sell(client, wrong)
    assert refused(answer, 409, "lot-expiry-differs") and LATER.isoformat() in answer.json["detail"]
    assert answer.json["understood"]["expiry_date"] == SOON.isoformat()
    # Best before counts where nothing else is said, and either is enough.
    assert scan(client, f"(01){GTIN}(15){day(LATER)}(10)L2").status_code == 200
    assert scan(client, f"(01){GTIN}(15){day(SOON)}(17){day(LATER)}(10)L2").status_code == 200


def test_an_expiry_alone_names_the_lot(client, make, cheese):
    code = f"01{GTIN}17{day(LATER)}"
    assert sell(client, code).json["items"][0]["batch_number"] == "L2"
    other = f"01{GTIN}17{day(SOON + timedelta(days=1))}"
    assert refused(sell(client, other), 409, "pos-lot-not-in-stock")
    line = {"product_id": cheese.id, "quantity": 1, "batch_number": "L3", "expiry_date": LATER.isoformat()}
    make.receipt(make.main, [line])
    answer = sell(client, code)
    assert refused(answer, 422, "pos-ambiguous-code")
    assert [lot["batch_number"] for lot in answer.json["lots"]] == ["L2", "L3"]


def test_an_expired_lot_needs_the_permission(client, make):
    product = make.product(barcode=EAN13, tracking="lot")
    old = TODAY - timedelta(days=3)
    line = {"product_id": product.id, "quantity": 5, "batch_number": "OLD", "expiry_date": old.isoformat()}
    make.receipt(make.main, [line])
    code = f"01{GTIN}17{day(old)}10OLD"
    assert scan(client, code).json["lot"]["is_expired"] is True
    answer = sell(client, code)
    assert refused(answer, 422, "lot-expired") and answer.json["errors"][0]["field"] == "code"
    assert sell(client, code, as_="admin", warehouse=make.main).status_code == 201


def test_a_lot_of_goods_without_lots_is_shown_and_sells_them_all_the_same(client, make):
    make.product(barcode=EAN13, stock=5)
    shown = scan(client, f"01{GTIN}17{day(SOON)}10ANY").json
    assert shown["lot"] is None and "batch_number" not in shown["item"]
    assert shown["understood"]["batch_number"] == "ANY"
    assert sell(client, f"01{GTIN}17{day(SOON)}10ANY").status_code == 201


def test_a_serial_is_shown(client, make):
    make.product(barcode=EAN13, stock=5)
    answer = scan(client, f"]d201{GTIN}21SN-7/8").json
    assert answer["understood"]["serial"] == "SN-7/8"
    assert [element["ai"] for element in answer["understood"]["elements"]] == ["01", "21"]


# --- how much it is ----------------------------------------------------------------------------------------


MEASURES = [
    ("kg", "3103001234", "1.234"),
    ("Kilo", "3102001234", "12.34"),
    ("g", "3103001234", "1234"),
    ("l", "3151000015", "1.5"),
    ("ml", "3152000150", "1500"),
    ("lb", "3202000150", "1.5"),
    ("pcs", "3103001234", "1"),
    ("pcs", "3012", "12"),
    ("kg", "", "1"),
]


def test_net_weight_and_number_are_the_quantity(client, make):
    for unit in ("Kilo", "g", "ml", "lb"):
        make.unit(unit, precision=4)
    for number, (unit, elements, quantity) in enumerate(MEASURES):
        barcode = f"40063813340{number}"
        barcode += check_digit(barcode)
        product = make.product(barcode=barcode, price="2.00", unit=unit, stock=2000)
        label = f"]C101{barcode.zfill(14)}{elements}"
        assert scan(client, label).json["quantity"] == quantity, unit
        assert sell(client, label).json["items"][0]["quantity"] == quantity
        assert make.stock(product) == 2000 - Decimal(quantity)


def test_a_package_of_a_package(client, make):
    product = make.product(sku="EGG", price="0.30", stock=100)
    package = "1" + EAN13[:-1]
    package += check_digit(package)
    client.post(f"/api/products/{product.id}/barcodes", {"code": package, "pack_quantity": "10"})
    assert sell(client, f"01{package}").json["items"][0]["quantity"] == "10"
    assert sell(client, f"02{package}3704").json["items"][0]["quantity"] == "40"
    assert refused(sell(client, f"02{package}3704", quantity=2), 422, "validation-failed")
    other = "2" + EAN13[:-1]
    other += check_digit(other)
    answer = scan(client, f"01{other}")
    assert refused(answer, 404, "pos-unknown-code") and "package" in answer.json["hint"]


def test_a_price_in_the_code_is_charged_only_where_the_shop_says_so(client, make):
    product = make.product(barcode=EAN13, price="10.00", unit=kilo(make), stock=9)
    code = f"]e001{GTIN}3103001234392{2}0999"
    shown = scan(client, code).json
    assert (shown["total"], shown["understood"]["price"], shown["is_printed_price"]) == ("12.34", "9.99", False)
    assert sell(client, code).json["total_amount"] == "12.34"
    client.patch("/api/settings", {"pos.gs1_prices": True})
    sold = sell(client, code).json
    assert (sold["total_amount"], sold["items"][0]["quantity"]) == ("9.99", "1.234")
    assert make.stock(product) == Decimal("6.532")
    euros, rupees = f"(01){GTIN}(3932)9780500", f"(01){GTIN}(3932)3560500"
    assert sell(client, euros).json["total_amount"] == "5.00"
    answer = sell(client, rupees)
    assert refused(answer, 422, "pos-foreign-currency") and answer.json["errors"][0]["field"] == "code"


# --- what is no message ------------------------------------------------------------------------------------


BROKEN = [
    (f"]C101{GTIN[:-1]}5", "check digit"),
    (f"(01){GTIN[:-1]}5", "check digit"),
    (f"]C101{GTIN}17261331", "expiry date"),
    (f"(01){GTIN}(17)260230", "expiry date"),
    (f"]C101{GTIN}1799", "expiry date"),
    (f"]C101{GTIN}6512", "identifier"),
    (f"(01){GTIN}(65)12", "identifier"),
    (f"]d201{GTIN}310300123", "NET WEIGHT"),
    (f"]d201{GTIN}3103000000", "zero"),
    (f"]d201{GTIN}30", "zero"),
    (f"]d201{GTIN}10A{GS}10B", "twice"),
    (f"]d201{GTIN}10\u00e9", "LOT"),
    ("]C1xyz", "identifier"),
    (f"(01){GTIN}(10)A B", "LOT"),
]


def test_a_broken_message_is_refused_with_a_hint(client, cheese):
    for code, word in BROKEN:
        for answer in (scan(client, code), sell(client, code)):
            assert refused(answer, 422, "pos-bad-element-string"), answer.text
            assert word in answer.json["detail"] and hint(answer)
            assert answer.json["errors"][0]["field"] == "code"


def test_a_field_without_an_end_is_refused(client, make, cheese):
    """A lot longer than 20 characters can only be a lot and what follows, run together."""
    answer = sell(client, f"01{GTIN}10ABCDEFGHIJKLMNOPQRST17{day(LATER)}")
    assert refused(answer, 422, "pos-ambiguous-code") and hint(answer)
    assert [each["ai"] for each in answer.json["understood"]["elements"]] == ["01", "10"]
    assert "separator is missing (FNC1, ASCII 29)" in answer.json["detail"]
    assert f"ABCDEFGHIJKLMNOPQRST17{day(LATER)}" in answer.json["detail"]


def test_a_message_without_separators_is_one_whatever_it_begins_with(client, cheese):
    assert scan(client, f"17{day(LATER)}01{GTIN}10L2").json["lot"]["batch_number"] == "L2"
    for code, part in (
        (f"10BATCH00101{GTIN}17{day(LATER)}", f"BATCH00101{GTIN}"),
        (f"10L201{GTIN}", f"(10) L201{GTIN}, or (10) L2 (01) {GTIN}"),
        (f"21SN7{GTIN}01{GTIN}", f"SN7{GTIN}01{GTIN}"),
    ):
        answer = scan(client, code)
        assert refused(answer, 422, "pos-ambiguous-code"), answer.text
        assert "separator is missing (FNC1, ASCII 29)" in answer.json["detail"] and hint(answer)
        assert part in answer.json["detail"]
    # Without a GTIN in it, it is any code.
    assert refused(scan(client, "10BATCH00117271231"), 404, "pos-unknown-code")


def test_a_lost_separator_is_noticed(client, make, cheese):
    """The lot L2 and its expiry date, or a lot of a longer name: the shop has no such lot, so nobody knows."""
    run_together = f"01{GTIN}10L217{day(LATER)}"
    for answer in (scan(client, run_together), sell(client, run_together), sell(client, "]C1" + run_together)):
        assert refused(answer, 422, "pos-ambiguous-code") and hint(answer)
        lots = [each["batch_number"] for each in answer.json["readings"]]
        assert lots[0] == f"L217{day(LATER)}" and "L2" in lots
        assert [lot["batch_number"] for lot in answer.json["lots"]] == ["FIRST", "L2"]
    # It says what is missing, and between which readings that leaves the choice.
    assert "separator is missing (FNC1, ASCII 29)" in scan(client, run_together).json["detail"]
    said = scan(client, run_together).json["detail"]
    assert f"is it (10) L217{day(LATER)}, or " in said and f", or (10) L2 (17) {day(LATER)}" in said
    assert refused(sell(client, f"01{GTIN}21SER10L2"), 422, "pos-ambiguous-code")
    assert make.stock(cheese) == 10
    line = {"product_id": cheese.id, "quantity": 1, "batch_number": f"L217{day(LATER)}"}
    make.receipt(make.main, [line])
    assert sell(client, run_together).json["items"][0]["batch_number"] == f"L217{day(LATER)}"
    # With a separator anywhere the scanner sends them, and what comes last ends at the end.
    assert refused(sell(client, f"01{GTIN}21A{GS}10X21Y"), 409, "pos-lot-not-in-stock")


def test_a_lots_name_that_only_looks_like_more_does_no_harm_where_there_are_no_lots(client, make):
    product = make.product(barcode=EAN13, stock=50)
    for lot in ("L2105", "A3012", f"X17{day(SOON)}"):
        assert sell(client, f"01{GTIN}10{lot}").json["items"][0]["quantity"] == "1"
    assert make.stock(product) == 47
    assert refused(sell(client, f"01{GTIN}10X3922100"), 422, "pos-ambiguous-code")


def test_what_nobody_has_is_told_as_it_was_understood(client, cheese):
    gtin = "0" + "5901234123457"
    answer = scan(client, f"]d201{gtin}17{day(SOON)}10LOT{GS}21S1")
    assert refused(answer, 404, "pos-unknown-code")
    said = answer.json["understood"]
    assert {name: said[name] for name in ("kind", "gtin", "expiry_date", "batch_number", "serial")} == {
        "kind": "gs1",
        "gtin": gtin,
        "expiry_date": SOON.isoformat(),
        "batch_number": "LOT",
        "serial": "S1",
    }
    assert gtin.lstrip("0") in answer.json["hint"]
    pallet = "00" + "34012345678901234" + check_digit("34012345678901234")
    answer = scan(client, pallet)
    assert refused(answer, 404, "pos-unknown-code") and "GTIN" in answer.json["hint"]
    assert answer.json["understood"]["sscc"] == pallet[2:]


def test_a_free_code_that_looks_like_a_message_is_a_free_code(client, make):
    own = make.product(barcode=f"01{GTIN}17990000")
    assert scan(client, f"01{GTIN}17990000").json["product"]["id"] == own.id
    answer = scan(client, f"01{GTIN}17990099")
    assert refused(answer, 404, "pos-unknown-code")


def test_a_symbology_before_a_plain_code_is_taken_off(client, make):
    product = make.product(barcode=EAN13)
    for code in (f"]E0{EAN13}", f"]C0{EAN13}", f"]d1{EAN13}"):
        assert scan(client, code).json["product"]["id"] == product.id
    own = make.product(barcode="]E0X")
    assert scan(client, "]E0X").json["product"]["id"] == own.id


def test_the_same_code_sells_once(client, make, cheese):
    code, external_id = f"(01){GTIN}(10)L2", str(uuid.uuid4())
    first = sell(client, code, quantity=5, external_id=external_id)
    # The lot is empty by now, and the answer is the first one all the same.
    again = sell(client, code, quantity=5, external_id=external_id)
    assert (first.status_code, again.status_code) == (201, 200) and again.json == first.json
    assert make.stock(cheese) == 5


# --- dates -------------------------------------------------------------------------------------------------


def test_a_month_without_a_day_ends_with_it():
    assert read_gs1(f"(01){GTIN}(17)280200").expiry_date == date(2028, 2, 29)
    assert read_gs1(f"(01){GTIN}(17)270200").expiry_date == date(2027, 2, 28)


@pytest.mark.parametrize(("years", "century"), [(-49, 0), (-1, 0), (0, 0), (50, 0)])
def test_the_century_is_the_nearest(years, century):
    meant = date(TODAY.year + years, 6, 1)
    assert read_gs1(f"(01){GTIN}(11){day(meant)}(17){day(meant)}").expiry_date == meant


# --- whatever is scanned -----------------------------------------------------------------------------------

_CHARACTERS = "".join(map(chr, range(33, 127)))
_LOT = "!\"%&'*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
gtins = st.from_regex(r"[0-9]{13}", fullmatch=True).filter(str.isascii).map(lambda body: body + check_digit(body))
texts = st.text(_LOT, min_size=1, max_size=20).filter(lambda text: "<GS>" not in text)
days = st.dates(TODAY - timedelta(days=365 * 40), TODAY + timedelta(days=365 * 40))


@given(
    gtin=gtins,
    lot=texts,
    serial=texts,
    expiry=days,
    grams=st.integers(1, 999_999),
    symbology=st.sampled_from(["]C1", "]d2", "]Q3", GS]),
    order=st.permutations(range(4)),
)
def test_what_is_printed_is_read_back(gtin, lot, serial, expiry, grams, symbology, order):
    fields = [f"10{lot}{GS}", f"21{serial}{GS}", f"17{day(expiry)}", f"3103{grams:06d}"]
    code = symbology + f"01{gtin}" + "".join(fields[number] for number in order)
    brackets = [f"(10){lot}", f"(21){serial}", f"(17){day(expiry)}", f"(3103){grams:06d}"]
    written = f"(01){gtin}" + "".join(brackets[number] for number in order)
    for read in (read_gs1(split_symbology(code)[1]), read_gs1(written)):
        said = (read.gtin, read.batch_number, read.serial, read.expiry_date, read.measure)
        assert said == (gtin, lot, serial, expiry, Decimal(grams) / 1000) and not read.others


@given(gtin=gtins, lot=texts, expiry=days)
def test_a_lot_that_swallowed_its_expiry_is_never_taken_for_sure(gtin, lot, expiry):
    try:
        read = read_gs1(f"01{gtin}10{lot}17{day(expiry)}")
    except ValidationFailed as error:
        assert error.code == "pos-ambiguous-code"
    else:
        assert (lot, expiry) in [(other.batch_number, other.expiry_date) for other in read.others]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text(_CHARACTERS + GS, max_size=80))
@example("01" + "9" * 40)
@example("(01)(10)")
@example("]C1")
@example(f"01{GTIN}8008")
@example(f"01{GTIN}3932")
def test_any_text_is_read_or_refused(text):
    for each in (text, f"01{GTIN}" + text, f"01{GTIN}10" + text, "(01)" + text):
        _, data = split_symbology(each)
        may_be_gs1(data)
        try:
            read_gs1(data).understood()
        except ValidationFailed as error:
            assert error.code in ("pos-bad-element-string", "pos-ambiguous-code")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    code=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
    | st.text(st.sampled_from("0123456789()]C1dQ<GS>{}^/%\x1d\x00\x07 ."), min_size=1, max_size=40)
)
@example("a" * 4000)
@example("/")
@example("..")
@example("\u202eabc")
@example("%")
@example("%00")
@example("\x1d")
@example("]")
def test_no_text_breaks_the_counter(client, code):
    for answer in (scan(client, code), sell(client, code)):
        assert answer.status_code in (404, 422), (code, answer.text)
