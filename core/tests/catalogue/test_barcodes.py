"""Which codes mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.products import canonical, check_digit, find_code, find_codes, kind_of

DIGITS = "0123456789"


def gtin(length):
    bodies = st.text(DIGITS, min_size=length - 1, max_size=length - 1)
    return bodies.map(lambda body: body + check_digit(body))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("4006381333931", "ean13"),
        ("96385074", "ean8"),
        ("036000291452", "upca"),
        ("00036000291452", "gtin14"),
        ("4006381333932", "free"),
        ("000123", "free"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "free"),
        ("", "free"),
    ],
)
def test_kinds_of_known_codes(code, kind):
    assert kind_of(code) == kind


@given(gtin(12))
def test_a_upca_is_the_ean13_with_a_zero_and_the_gtin14_with_two(code):
    assert kind_of(code) == "upca"
    assert canonical(code) == "0" + code == canonical("0" + code)
    if not code.startswith("0000"):  # else it is a padded GTIN-8
        assert canonical("00" + code) == "0" + code


@given(gtin(8))
def test_a_padded_ean8_is_the_ean8(code):
    assert canonical(code) == code == canonical("000000" + code)


@given(st.sampled_from((8, 12, 13, 14)).flatmap(gtin), st.data())
def test_one_wrong_digit_is_always_seen(code, data):
    place = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from(DIGITS.replace(code[place], "")))
    assert kind_of(code[:place] + other + code[place + 1 :]) == "free"


@given(st.text(max_size=20))
def test_canonical_is_settled_and_keeps_free_codes(code):
    assert canonical(canonical(code)) == canonical(code)
    if kind_of(code) == "free":
        assert canonical(code) == code


def test_codes_are_found_by_barcode_and_by_sku(make, runtime):
    product = make.product(sku="MUG-1", barcodes=["036000291452", "000123"])
    shirt = make.product(variants=[{"sku": "S", "barcode": "96385074"}])
    with runtime.database.connect() as connection:
        for code in ("036000291452", "0036000291452", "00036000291452", " 000123 ", "MUG-1"):
            assert find_code(connection, code).product_id == product.id
        for code in ("00000096385074", "S"):
            assert find_code(connection, code).variant_id == shirt.variants[0]["id"]
        for code in ("123", "0000123", "mug-1", "", shirt.sku):
            assert find_code(connection, code) is None
        together = find_codes(connection, ["0036000291452", " 000123 ", "S", "MUG-1", "123"])
        found = {code: (each.code, each.kind, each.product_id) for code, each in together.items()}
    assert found == {
        "0036000291452": ("0036000291452", "ean13", product.id),
        " 000123 ": ("000123", "free", product.id),
        "S": ("S", "sku", shirt.id),
        "MUG-1": ("MUG-1", "sku", product.id),
    }


def test_a_pack_holds_no_part_of_a_piece(client, make):
    tea, flour = make.product(as_="supplier"), make.product(unit=make.unit("kg", precision=3)["code"])
    part = {"code": "PART", "pack_quantity": "0.001"}
    refused = client.post(f"/api/products/{tea.id}/barcodes", part, as_="supplier")
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "pack_quantity")
    assert client.post(f"/api/products/{flour.id}/barcodes", part).status_code == 201


def test_a_quantity_that_is_finer_than_the_unit_is_said_in_words(client, make):
    piece, cheese = make.product(stock=5), make.product(unit="kg", stock=5)
    for product, quantity, said in ((piece, "0.5", "Whole pcs only."), (cheese, "0.0005", "At most 3 digits after")):
        items = [{"product_id": product.id, "quantity": quantity}]
        lines = {"warehouse": make.main, "lines": items}
        for path, body, field in (
            ("sales", {"channel": "counter", "warehouse": make.main, "items": items}, "items.0.quantity"),
            ("inventory/receipts", lines, "lines.0.quantity"),
            ("inventory/counts", lines, "lines.0.quantity"),
            (f"products/{product.id}/barcodes", {"code": "7", "pack_quantity": quantity}, "pack_quantity"),
        ):
            (error,) = client.post(f"/api/{path}", body).json["errors"]
            assert error["field"] == field and error["message"].startswith(said), path
