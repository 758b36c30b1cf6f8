"""Signed receipt codes: what is signed is read back, and nothing else is."""

import base64
import hmac
import json
import re
import shutil
import subprocess
import time
import uuid
import zlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.errors import DomainError
from tillhook.sales import fingerprint
from tillhook_pos.tills.codes import receipt_code, receipt_reference
from tillhook_pos.tills.contents import Content, pack, unpack
from tillhook_pos.tills.signing import MAX_PRINTED, read, read_reference, sign, sign_by_server, sign_reference

GUIDE = Path(__file__).parents[3] / "docs" / "receipt-codes.md"
NODE = shutil.which("node")
UUID = "550e8400-e29b-41d4-a716-446655440000"
CONTENT = [
    uuid.UUID(UUID).hex,
    7,
    1,
    None,
    42,
    "2026-01-31T14:30:00Z",
    [[101, "2", "25.00"], [5342, "0.532", "12.90", 9, "0.40", "BATCH-7", "2027-12-31"]],
    [["cash", "40.00"], ["card", "21.00", "ref 9"]],
    "56.65",
    "0.50",
    [None, "Žofie Müller €", "+420 1"],
    "gift ✓",
]


def packed(content):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def signed(till, content, *, version=None, deflated=None, length=16):
    """Return a code that the till's own device could make, however strange its content."""
    head = f"TH1.{till['id']}.{till['code_version'] if version is None else version}."
    body = packed(content) if deflated is None else deflated
    signature = hmac.digest(bytes.fromhex(till["code_secret"]), head.encode() + body, "sha256")[:length]
    return head + base64.b32encode(signature + body).decode().rstrip("=")


def look_up(client, code, as_="admin"):
    return client.get(f"/api/pos/receipts/{code}", as_=as_)


def refused(answer, code, status=422):
    problem = answer.json
    return (answer.status_code, problem.get("code")) == (status, code) and problem["errors"][0]["field"] == "code"


@pytest.fixture
def till(make):
    return make.till()


@pytest.fixture
def session(runtime):
    with runtime.unit_of_work() as session:
        yield session


@pytest.fixture
def local(make):
    """A content of this test's warehouse."""
    return [*CONTENT[:2], make.main, *CONTENT[3:]]


# --- what devices sign -------------------------------------------------------------------------------------


def fence(language):
    return re.search(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S)[1]


def made_by_python(till, content):
    scope = {}
    exec(fence("python"), scope)
    return scope["receipt_code"](till["id"], till["code_version"], till["code_secret"], content)


def made_by_javascript(till, content):
    arguments = json.dumps([till["id"], till["code_version"], till["code_secret"], content])
    script = f"{fence('js')}\nreceiptCode(...{arguments}).then((code) => process.stdout.write(code));"
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "made",
    [made_by_python, pytest.param(made_by_javascript, marks=pytest.mark.skipif(NODE is None, reason="needs node"))],
)
def test_what_the_guide_shows_makes_codes(client, till, local, made):
    code = made(till, local)
    assert re.fullmatch(r"TH1\.[0-9]+\.1\.[A-Z2-7]+", code)
    answer = look_up(client, code)
    assert answer.status_code == 200, answer.text
    assert answer.json == {
        "kind": "code",
        "known": False,
        "agrees": None,
        "sale": None,
        "receipt": {
            "seller": 7,
            "total": "56.65",
            "till": till["id"],
            "code_version": 1,
            "is_retired": False,
            "body": {
                "external_id": UUID,
                "warehouse": local[2],
                "source_device": "till-1",
                "device_number": 42,
                "client_timestamp": "2026-01-31T14:30:00Z",
                "items": [
                    {"product_id": 101, "quantity": "2", "unit_price": "25.00"},
                    {
                        "product_id": 5342,
                        "quantity": "0.532",
                        "unit_price": "12.90",
                        "variant_id": 9,
                        "discount_per_item": "0.40",
                        "batch_number": "BATCH-7",
                        "expiry_date": "2027-12-31",
                    },
                ],
                "payments": [
                    {"method": "cash", "amount": "40.00"},
                    {"method": "card", "amount": "21.00", "reference": "ref 9"},
                ],
                "discount_amount": "0.50",
                "customer_name": "Žofie Müller €",
                "customer_phone": "+420 1",
                "notes": "gift ✓",
            },
        },
    }


def test_a_device_without_a_compressor_stores(client, till, local):
    raw = json.dumps(local).encode()
    length = len(raw).to_bytes(2, "little")
    block = b"\x01" + length + bytes(each ^ 0xFF for each in length) + raw
    assert look_up(client, signed(till, None, deflated=block)).status_code == 200


TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
AMOUNT = st.decimals(0, 10**6, places=2).map(str)
QUANTITY = st.decimals("0.001", 1000, places=3).map(str)
KEY = st.integers(1, 2**63 - 1)


def some(**optional):
    return st.fixed_dictionaries({}, optional=optional)


ITEM = st.one_of(
    st.fixed_dictionaries({"product_id": KEY, "quantity": QUANTITY}, optional={"variant_id": KEY}),
    st.fixed_dictionaries({"product_data": st.just({"name": "Bread"}), "quantity": QUANTITY}),
)
ITEM_MORE = some(
    unit_price=AMOUNT,
    discount_per_item=AMOUNT,
    batch_number=TEXT.filter(bool),
    expiry_date=st.dates().filter(lambda day: 1900 <= day.year < 2200).map(str),
)
METHOD = st.sampled_from(["cash", "card"])
PAYMENT = st.fixed_dictionaries({"method": METHOD, "amount": AMOUNT}, optional={"reference": TEXT})
RETURNED = st.fixed_dictionaries(
    {"external_id": st.uuids().map(str), "lines": st.just([{"position": 0, "quantity": "1"}])},
    optional={"reason": TEXT},
)
MOMENT = st.dates(date(1900, 1, 1), date(2199, 12, 31)).map(lambda day: f"{day}T14:30:00Z")
BODY = st.builds(
    lambda needed, more, payment: {**needed, **more, **payment},
    st.fixed_dictionaries(
        {
            "external_id": st.uuids().map(str),
            "warehouse": KEY,
            "items": st.lists(st.builds(lambda one, two: {**one, **two}, ITEM, ITEM_MORE), min_size=1, max_size=8),
        }
    ),
    some(
        source_device=TEXT.filter(bool),
        device_number=st.integers(1, 2**53),
        client_timestamp=MOMENT,
        customer_id=KEY,
        customer_name=TEXT,
        customer_email=TEXT,
        discount_amount=AMOUNT,
        notes=TEXT,
        returns=RETURNED,
    ),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"payments": st.lists(PAYMENT, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"payment_method": st.just("card"), "payment_reference": TEXT}),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_is_signed_is_the_sale_that_is_read(session):
    @given(BODY, KEY, st.none() | st.decimals(0, 10**6, places=2))
    @settings(max_examples=150)
    def check(body, seller_id, total):
        content = Content(seller_id, body, total)
        found = read(session, sign_by_server(session, content))
        assert (found.content.seller_id, found.content.total) == (seller_id, total)
        assert fingerprint(found.content.command(), seller_id) == fingerprint(content.command(), seller_id)
        command, said = found.content.command(), content.command()
        assert (command.external_id, command.warehouse) == (said.external_id, said.warehouse)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_content_packs_into_itself(runtime):
    @given(BODY, KEY)
    @settings(max_examples=150)
    def check(body, seller_id):
        listed = json.loads(json.dumps(pack(Content(seller_id, body))))
        again = unpack(listed, None)
        assert pack(again) == listed

    check()


# --- what nobody signed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_any_bit_that_is_flipped_is_refused(session, local):
    code = sign_by_server(session, unpack(local, None))
    reference = sign_reference(session, "OS2501221234567")
    raw = {each: each.encode() for each in (code, reference)}

    def accepted(text):
        try:
            read_reference(session, text) if text.startswith("TH1R.") else read(session, text)
        except DomainError as error:
            assert error.code in ("pos-bad-receipt-code", "pos-receipt-signature")
            return False
        return True

    assert accepted(code) and accepted(reference)
    for text, encoded in raw.items():
        for place in range(len(encoded)):
            for bit in range(7):
                changed = bytearray(encoded)
                changed[place] ^= 1 << bit
                assert not accepted(changed.decode()), (text, place, bit)
        for place in range(len(text)):
            assert not accepted(text[:place]) and not accepted(text[:place] + text[place + 1 :])
            assert not accepted(text[:place] + "A" + text[place:])
        for junk in (" ", "\n", "=", "A", "AAAAAAAA"):
            assert not accepted(text + junk) and not accepted(junk + text)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_code_of_noise_is_refused(session):
    @given(st.text(max_size=60) | st.from_regex(r"TH1R?\.[0-9]{1,30}\.[0-9]{1,30}\.[A-Z2-7]{0,80}", fullmatch=True))
    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    def check(text):
        for reader in (read, read_reference):
            with pytest.raises(DomainError) as caught:
                reader(session, text)
            assert caught.value.code in ("pos-bad-receipt-code", "pos-receipt-signature")

    check()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_name_of_a_till_cannot_be_moved_into_its_version(client, make):
    """Each till and each version has a secret of its own; none signs for another."""
    tills = [make.till(name) for name in ("1:till", "till")]
    secrets = {till["code_secret"] for till in tills}
    assert len(secrets) == 2
    content = unpack([*CONTENT[:2], make.main, *CONTENT[3:]], None)
    for till, other in (tills, reversed(tills)):
        code = sign(content, bytes.fromhex(other["code_secret"]), till["id"], 1)
        assert refused(look_up(client, code), "pos-receipt-signature")


def test_another_tills_secret_or_number_is_refused(client, make, till, local):
    other = make.till("till-2")
    assert look_up(client, signed(till, local)).status_code == 200
    stolen = {**till, "id": other["id"]}
    for code in (
        signed(stolen, local),
        signed({**till, "id": 999_999}, local),
        signed({**till, "id": 0}, local),
        signed(till, local, version=2),
        signed(till, local, version=0),
        signed(till, local, length=15),
        signed(till, local, length=17),
        signed({**till, "code_secret": "00" * 32}, local),
    ):
        assert refused(look_up(client, code), "pos-receipt-signature"), code


def test_a_till_does_not_sign_for_another_device(client, till, local):
    local[3] = "till-1"
    assert look_up(client, signed(till, local)).json["receipt"]["body"]["source_device"] == "till-1"
    local[3] = "till-2"
    assert refused(look_up(client, signed(till, local)), "pos-bad-receipt-code")


STRANGE = {
    "no list": {"a": 1},
    "a text": "TH1",
    "null": None,
    "empty": [],
    "too long": [*CONTENT, None, None],
    "no external id": [None, *CONTENT[1:]],
    "a short external id": ["abc", *CONTENT[1:]],
    "no seller": [CONTENT[0], None, *CONTENT[2:]],
    "a seller of zero": [CONTENT[0], 0, *CONTENT[2:]],
    "a seller's name": [CONTENT[0], "7", *CONTENT[2:]],
    "no warehouse": [*CONTENT[:2], None, *CONTENT[3:]],
    "a warehouse that is a flag": [*CONTENT[:2], True, *CONTENT[3:]],
    "no number": [*CONTENT[:4], "42", *CONTENT[5:]],
    "no time": [*CONTENT[:5], "yesterday", *CONTENT[6:]],
    "no items": [*CONTENT[:6], [], *CONTENT[7:]],
    "items that are none": [*CONTENT[:6], "items", *CONTENT[7:]],
    "an item that is none": [*CONTENT[:6], [5], *CONTENT[7:]],
    "an item of nothing": [*CONTENT[:6], [[]], *CONTENT[7:]],
    "an item too long": [*CONTENT[:6], [[1, "1", "1", None, None, None, None, None]], *CONTENT[7:]],
    "a negative quantity": [*CONTENT[:6], [[1, "-1"]], *CONTENT[7:]],
    "an infinite price": [*CONTENT[:6], [[1, "1", "Infinity"]], *CONTENT[7:]],
    "a payment of nothing": [*CONTENT[:7], [[]], *CONTENT[8:]],
    "two payments without amounts": [*CONTENT[:7], [["cash"], ["card"]], *CONTENT[8:]],
    "a total of text": [*CONTENT[:8], "much", *CONTENT[9:]],
    "a customer too long": [*CONTENT[:10], [1, "", "", "", ""], *CONTENT[11:]],
    "a field that has its place": [*CONTENT, {"notes": "x"}],
    "another channel": [*CONTENT, {"channel": "counter"}],
    "an unknown field": [*CONTENT, {"surprise": 1}],
    "a last place that is a list": [*CONTENT, ["notes"]],
    "NaN": b"[NaN]",
    "no JSON": b"[",
    "a key twice": b'[1,{"a":1,"a":2}]',
    "not UTF-8": b'["\xff"]',
    "a NUL": json.dumps([*CONTENT[:11], "a\0b"]).encode(),
    "too deep": b"[" * 60_000,
    "a number without end": b"[" + b"9" * 5000 + b"]",
    "an exponent without end": b"[1e99999999]",
}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_a_till_signs_must_be_a_sale_all_the_same(client, till):
    wrong = {}
    for name, content in STRANGE.items():
        answer = look_up(client, signed(till, content))
        if not refused(answer, "pos-bad-receipt-code"):
            wrong[name] = f"{answer.status} {answer.text[:200]}"
    assert wrong == {}


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_bomb_is_not_unpacked(client, till, local):
    bombs = {
        "zeros": packed(b"[" + b"0" * 1_000_000 + b"]"),
        "a long note": packed([*local[:11], "x" * 1_000_000]),
        "cut": packed(local)[:-3],
        "with a tail": packed(local) + b"tail",
        "empty": b"",
        "no deflate": b"\xff" * 40,
        "zlib's own header": zlib.compress(json.dumps(local).encode()),
    }
    for name, bomb in bombs.items():
        begun = time.perf_counter()
        assert refused(look_up(client, signed(till, None, deflated=bomb)), "pos-bad-receipt-code"), name
        assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("length", [2001, 3000])
def test_a_code_is_no_longer_than_it_may_be(client, length):
    answer = client.post("/api/pos/receipts/restore", {"code": "TH1.1.1." + "A" * (length - 8)})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "code"
    assert look_up(client, "TH1.1.1." + "A" * (length - 8)).status_code == 404


# --- what the server signs ---------------------------------------------------------------------------------


@pytest.fixture
def sell(client, make):
    product = make.product(stock=500, price="2.50")

    def sell(items=None, as_="admin", **fields):
        body = {
            "external_id": str(uuid.uuid4()),
            "channel": "pos",
            "warehouse": make.main,
            "items": items or [{"product_id": product.id, "quantity": "3"}],
            **fields,
        }
        answer = client.post("/api/sales", body, as_=as_)
        assert answer.status_code == 201, answer.text
        return answer.json

    sell.product = product
    return sell


SAID = [
    {},
    {"payment_method": "card", "payment_reference": "17"},
    {"payments": [{"method": "cash", "amount": "5"}, {"method": "card", "amount": "2.50", "reference": "9"}]},
    {"payments": [{"method": "cash", "amount": "10.00"}]},
    {"discount_amount": "0.50", "notes": "line\nline"},
    {"customer_name": "Anna", "customer_email": "anna@example.com", "source_device": "kiosk", "device_number": 3},
    {"client_timestamp": "2026-01-31T14:30:00Z"},
    {"client_timestamp": "2026-01-31T14:30:00.123456+01:00"},
]


@pytest.mark.parametrize("said", SAID, ids=str)
def test_the_servers_own_receipt_holds_the_sale_as_it_came(client, runtime, sell, said):
    sale = sell(**said)
    with runtime.unit_of_work() as session:
        code = receipt_code(session, sale["id"])
        assert code and len(code) <= MAX_PRINTED
        found = read(session, code)
    assert found.content.total == Decimal(sale["amount_due"]) and found.till is None and not found.is_retired
    answer = look_up(client, code).json
    assert (answer["known"], answer["agrees"], answer["sale"]["id"]) == (True, True, sale["id"])


def test_it_holds_prices_variants_discounts_and_lots_that_were_said(client, make, runtime, sell):
    lot = make.product(tracking="lot", price="4.00")
    line = {"product_id": lot.id, "quantity": 5, "batch_number": "B7", "expiry_date": "2099-01-31"}
    make.receipt(make.main, [line])
    variants = make.product(price="3.00", variants=[{"name": "Red", "sku": "red"}])
    variant_id = variants["variants"][0]["id"]
    make.receipt(make.main, [{"product_id": variants.id, "variant_id": variant_id, "quantity": 5}])
    named = {"batch_number": "B7", "expiry_date": "2099-01-31"}
    items = [{"product_id": lot.id, "quantity": "1", "unit_price": "4.00", **named}]
    more = [{"product_id": variants.id, "variant_id": variant_id, "quantity": "1.0", "unit_price": "2.9"}]
    more[0]["discount_per_item"] = "0.5"
    lots_unsaid = [{"product_id": lot.id, "quantity": "1"}]
    customer = {"customer_id": make.customer("Berta", phone="123").id}
    sales = [sell(items), sell(more), sell(lots_unsaid), sell(more, **customer), sell(**customer, customer_name="B.")]
    for sale in sales:
        with runtime.unit_of_work() as session:
            code = receipt_code(session, sale["id"])
        assert look_up(client, code).json["agrees"] is True


def test_what_cannot_be_held_has_a_reference_only(client, make, runtime, sell):
    inline = [{"product_data": {"name": "Bread"}, "quantity": "1", "unit_price": "2.00"}]
    many = [{"product_id": sell.product.id, "quantity": "1"}] * 130
    sale = sell()
    line_id = sale["items"][0]["id"]
    back = client.post(f"/api/sales/{sale['id']}/returns", {"lines": [{"line_id": line_id, "quantity": 1}]}).json
    # One line with its price, one without: which of the two said it, the rows do not tell.
    unsaid = {"product_id": sell.product.id, "quantity": "1"}
    mixed = [unsaid, {**unsaid, "unit_price": "2.50"}]
    others = [sell(inline), sell(many), sell(external_id=None), sell(mixed), sell(channel="counter"), back]
    with runtime.unit_of_work() as session:
        assert [receipt_code(session, other["id"]) for other in others] == [None] * len(others)
        references = [receipt_reference(session, other["id"]) for other in others]
        assert receipt_code(session, 999_999) is None
    for other, reference in zip(others, references, strict=True):
        assert re.fullmatch(r"TH1R\.[A-Z0-9]+\.[A-Z2-7]{26}", reference)
        answer = look_up(client, reference).json
        assert (answer["kind"], answer["known"], answer["sale"]["id"]) == ("reference", True, other["id"])
        assert refused(client.post("/api/pos/receipts/restore", {"code": reference}), "pos-bad-receipt-code")


def test_a_receipt_is_looked_up_by_its_number_too(client, sell):
    sale = sell()
    answer = look_up(client, sale["sale_number"]).json
    assert (answer["kind"], answer["known"], answer["sale"]) == ("number", True, sale)
    assert refused(look_up(client, "OS2501221234567"), "unknown-sale", 404)
    for path in ("nothing", "a%2Fb", "a/b", "%00", "x" * 500):
        assert look_up(client, path).status_code == 404


def test_a_signed_receipt_opens_its_sale_to_the_whole_shop_and_no_further(client, make, runtime, sell, till):
    sale = sell(as_="supplier")
    with runtime.unit_of_work() as session:
        shown = receipt_code(session, sale["id"]), receipt_reference(session, sale["id"])
    for code in shown:
        assert look_up(client, code, as_="cashier").json["sale"]["id"] == sale["id"]
    stranger = make.user("supplier", warehouses=[make.other])
    for code in shown:
        assert refused(look_up(client, code, as_=stranger), "foreign-warehouse", 403)
    assert look_up(client, shown[0], as_="customer").status_code == 403
    # A till that signs somebody else's id learns nothing of that sale.
    forged = signed(till, [uuid.UUID(sale["external_id"]).hex, sale["seller"], make.main, *CONTENT[3:]])
    answer = look_up(client, forged, as_="cashier").json
    assert (answer["known"], answer["agrees"], answer["sale"]) == (True, False, None)
    assert look_up(client, forged, as_="supplier").json["sale"]["id"] == sale["id"]
