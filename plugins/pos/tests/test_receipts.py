"""Receipts: what they say in every format, who gets them, and how often."""

import re
import threading
from decimal import Decimal

import pypdfium2
import pytest

from tillhook_paper import CODE_PAGES
from tillhook_paper.text import columns

FORMATS = ("pdf", "a4", "text", "escpos")
AMOUNTS = ("subtotal", "tax_amount", "total_amount", "change_due")


def receipt(client, sale, form="pdf", as_="cashier", **params):
    if form == "a4":
        params |= {"format": "pdf", "paper": "a4"}
    else:
        params["format"] = form
    return client.get(f"/api/pos/sales/{sale['id']}/receipt", params=params, as_=as_)


def pages_of(content):
    document = pypdfium2.PdfDocument(content)
    return [document[index].get_textpage().get_text_range() for index in range(len(document))]


def printed_text(content):
    """Return what a printer's letters say, pictures and commands left out."""
    text, at = [], 0
    data = content
    while at < len(data):
        byte = data[at : at + 1]
        if data.startswith(b"\x1dv0", at):
            width = int.from_bytes(data[at + 4 : at + 6], "little")
            height = int.from_bytes(data[at + 6 : at + 8], "little")
            at += 8 + width * height
        elif data.startswith(b"\x1dk", at):
            at += 4 + data[at + 3]
        elif byte == b"\x1d":
            at += 4 if data[at + 1 : at + 2] == b"V" and data[at + 2 : at + 3] in (b"A", b"B") else 3
        elif byte == b"\x1b":
            at += {b"@": 2, b"p": 5, b"2": 2}.get(data[at + 1 : at + 2], 3)
        else:
            text.append(byte.decode("cp437"))
            at += 1
    return "".join(text)


def words_of(answer, form):
    assert answer.status_code == 200, answer.text
    if form in ("pdf", "a4"):
        return "\n".join(pages_of(answer.content))
    return answer.text if form == "text" else printed_text(answer.content)


def rows(runtime, sql):
    with runtime.database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql).all()]


def settings(client, **values):
    answer = client.patch("/api/settings", {name.replace("__", "."): value for name, value in values.items()})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def sold(client, make):
    """A sale of several lines with everything that a receipt can show."""
    settings(
        client,
        company__name="Corner Shop",
        company__address="1 High Street\n1010 Vienna",
        company__tax_id="ATU12345678",
        pos__receipt_footer="Thank you!\nGoods are changed within 14 days.",
        timezone="Europe/Vienna",
    )
    included = make.tax("0.2", is_inclusive=True)
    on_top = make.tax("0.1")
    tea = make.product(name="Green tea", price="3.60", stock=50, tax=included.id)
    bread = make.product(name="Bread", price="2.50", stock=50, tax=on_top.id)
    body = [
        {"product_id": tea.id, "quantity": "2"},
        {"product_id": bread.id, "quantity": "3", "discount_per_item": "0.25"},
    ]
    payments = [
        {"method": "card", "amount": "5.00", "reference": "4711"},
        {"method": "cash", "amount": "20.00"},
    ]
    fields = {
        "source_device": "till-7",
        "payments": payments,
        "customer_name": "Ms Finch",
        "discount_amount": "0.95",
        "notes": "No bag",
    }
    return make.sale(body, channel="pos", as_="cashier", client_timestamp="2026-01-05T23:30:00Z", **fields)


# --- what it says ------------------------------------------------------------------------------------------


def said_in_all(client, sale, as_="cashier", **params):
    """Yield what a document's receipt says in each format."""
    for form in FORMATS:
        yield words_of(receipt(client, sale, form, as_=as_, preview="true", **params), form)


def test_it_says_all_of_the_sale(client, sold):
    texts = [words_of(receipt(client, sold), "pdf"), *said_in_all(client, sold)]
    assert "COPY" not in texts[0] and "PREVIEW" not in texts[0]
    for said in texts:
        for name in AMOUNTS:
            assert sold[name] in said, name
        for payment in sold["payments"]:
            assert payment["amount"] in said
        for item in sold["items"]:
            assert all(item[name] in said for name in ("product_name", "unit_price", "total_price")), item
        for words in ("Corner Shop", "1 High Street", "1010 Vienna", "ATU12345678", "Receipt", sold["sale_number"]):
            assert words in said
        for words in ("Ms Finch", "No bag", "Thank you!", "4711", "till-7", "-0.95", "-0.25", "20 %", "10 %"):
            assert words in said
        assert "2026-01-06 00:30" in said, "the business's time zone"


def test_taxes_are_shown_by_rate(client, sold):
    for said in said_in_all(client, sold):
        flat = re.sub(r"\s+", " ", said.replace("-" * 48, ""))
        # 7.20 less its share of the discount, 0.49; and 6.75 less 0.46.
        assert "Taxes included in the prices Rate Net Tax Gross 20 % 5.59 1.12 6.71" in flat
        assert "Taxes added to the prices Rate Net Tax Gross 10 % 6.29 0.63 6.92" in flat
    assert Decimal("6.71") + Decimal("6.92") == Decimal(sold["total_amount"])


def test_what_was_returned(client, sold):
    body = {"lines": [{"line_id": sold["items"][0]["id"], "quantity": "1"}], "reason": "Broken seal"}
    returned = client.post(f"/api/sales/{sold['id']}/returns", body, as_="cashier").json
    for said in said_in_all(client, returned):
        assert "Return" in said and sold["sale_number"] in said and "Broken seal" in said
        assert "Refund: Card" in said
        payment, item = returned["payments"][0], returned["items"][0]
        for amount in (returned["total_amount"], item["total_price"], payment["amount"]):
            assert amount.startswith("-") and amount in said


def test_an_exchange_and_what_cash_was_rounded_by(client, make, sold):
    settings(client, sales__cash_rounding="0.05")
    lamp = make.product(name="Lamp", price="13.62", stock=5, tax=None)
    back = {"sale_id": sold["id"], "lines": [{"line_id": sold["items"][0]["id"], "quantity": "2"}]}
    body = {"channel": "pos", "warehouse": make.main, "items": [{"product_id": lamp.id, "quantity": "1"}]}
    answer = client.post("/api/sales", body | {"returns": back}, as_="cashier")
    assert answer.status_code == 201, answer.text
    exchange = answer.json
    assert exchange["kind"] == "exchange" and Decimal(exchange["cash_rounding"])
    for said in said_in_all(client, exchange):
        assert "Exchange" in said and sold["sale_number"] in said and "To pay" in said
        shown = [exchange[name] for name in ("total_amount", "cash_rounding", "amount_due")]
        assert all(amount in said for amount in shown)
        for item in exchange["items"]:
            assert item["total_price"] in said


def test_a_cancelled_sale_says_so(client, runtime, sold):
    assert "CANCELLED" not in receipt(client, sold, "text").text
    cancelled = client.post(f"/api/sales/{sold['id']}/cancel", {"reason": "Wrong customer"}, as_="admin")
    assert cancelled.status_code in (200, 201), cancelled.text
    for said in said_in_all(client, sold):
        assert "*** CANCELLED ***" in said and "Wrong customer" in said
    ((document,),) = rows(runtime, "SELECT id FROM sale WHERE kind = 'cancellation'")
    for said in said_in_all(client, {"id": document}, as_="admin"):
        assert "Cancellation" in said and "Wrong customer" in said and f"-{sold['total_amount']}" in said


def test_lots_and_variants_are_shown(client, make):
    variants = [{"name": "Mild", "price": "9.00"}, {"name": "Sharp", "price": "9.50"}]
    cheese = make.product(name="Cheese", tracking="lot", variants=variants, unit="kg")
    variant = cheese["variants"][0]["id"]
    lot = {"batch_number": "L-77", "expiry_date": "2199-05-01"}
    make.receipt(make.main, [{"product_id": cheese.id, "variant_id": variant, "quantity": 5, **lot}])
    sale = make.sale([{"product_id": cheese.id, "variant_id": variant, "quantity": "0.5"}], channel="pos")
    said = receipt(client, sale, "text", as_="admin").text
    assert "Cheese\n  Mild, Lot L-77, Best before 2199-05-01\n  0.5 x 9.00" in said


def test_the_currency_and_its_digits(client, make):
    product = make.product(price="12.50", stock=50)
    for currency, places, shown in (("INR", 2, "₹ 12.50"), ("JPY", 0, "¥ 12.5"), ("KWD", 3, "KWD 12.500")):
        settings(client, currency=currency, currency_places=2)
        sale = make.sale([(product, 1)], channel="pos")
        settings(client, currency_places=places)
        assert f"{shown}\n" in receipt(client, sale, "text", as_="admin").text


def test_a_shop_without_a_name_shows_its_warehouse(client, make):
    sale = make.sale([(make.product(stock=5), 1)], channel="pos")
    said = receipt(client, sale, "text", as_="admin").text
    assert said.splitlines()[0].strip() == sale["warehouse_name"] and "Tax number" not in said
    assert "Till" not in said, "no device was named"


# --- copies ------------------------------------------------------------------------------------------------


def test_only_the_first_is_the_original(client, runtime, sold):
    assert "COPY" not in receipt(client, sold, "text").text
    assert "*** COPY 1 ***" in receipt(client, sold, "text").text
    assert "*** COPY 2 ***" in words_of(receipt(client, sold, "pdf"), "pdf")
    assert "*** COPY 3 ***" in words_of(receipt(client, sold, "escpos"), "escpos")
    assert rows(runtime, f"SELECT copies FROM pos_receipt WHERE sale_id = {sold['id']}") == [(4,)]
    entries = client.get("/api/audit", params={"action": "reprint"}, as_="admin").json["items"]
    assert sorted(entry["after"]["copy"] for entry in entries) == [1, 2, 3]


def test_a_preview_does_not_count(client, runtime, sold):
    for said in said_in_all(client, sold):
        assert "*** PREVIEW ***" in said and "COPY" not in said
    assert rows(runtime, "SELECT * FROM pos_receipt") == []
    assert "COPY" not in receipt(client, sold, "text").text


def test_asking_what_would_come_does_not_count(client, runtime, sold):
    answer = client.request("HEAD", f"/api/pos/sales/{sold['id']}/receipt", as_="cashier")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/pdf", b"")
    assert rows(runtime, "SELECT * FROM pos_receipt") == []
    assert "COPY" not in receipt(client, sold, "text").text


def test_two_tills_print_one_receipt_together(client, sold):
    copies = []

    def print_it():
        answer = receipt(client, sold, "text")
        copies.extend(re.findall(r"COPY \d+", answer.text) or ["original"])

    threads = [threading.Thread(target=print_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(copies) == [f"COPY {number}" for number in range(1, 6)] + ["original"]


# --- who gets it, and as what ------------------------------------------------------------------------------


def test_the_kind_of_file(client, sold):
    number = sold["sale_number"]
    kinds = {"pdf": ("application/pdf", "pdf"), "escpos": ("application/octet-stream", "escpos")}
    kinds["text"] = ("text/plain; charset=utf-8", "txt")
    for form, (content_type, ending) in kinds.items():
        answer = receipt(client, sold, form)
        assert answer.headers["content-type"] == content_type
        assert answer.headers["content-disposition"] == f'inline; filename="receipt-{number}.{ending}"'
        assert answer.headers["cache-control"] == "no-store"
    assert client.get(f"/api/pos/sales/{sold['id']}/receipt", as_="cashier").content.startswith(b"%PDF-")


def test_others_sales_have_no_receipt(client, make, runtime):
    foreign = make.sale([(make.product(stock={make.other: 5}), 1)], warehouse=make.other, channel="pos")
    others = make.sale([(make.product(stock=5), 1)], channel="pos")
    for sale in (foreign, others, {"id": 999_999}):
        answer = receipt(client, sale, "text")
        assert (answer.status_code, answer.json["code"]) == (404, "unknown-sale")
    assert receipt(client, foreign, "text", as_="customer").status_code == 403
    assert rows(runtime, "SELECT * FROM pos_receipt") == []


def test_bad_wishes_name_the_field(client, runtime, sold):
    wishes = [
        ({"format": "docx"}, "format"),
        ({"paper": "a5"}, "paper"),
        ({"format": "text", "paper": "a4"}, "paper"),
        ({"format": "text", "width": "47"}, "width"),
        ({"format": "pdf", "width": "32"}, "width"),
        ({"preview": "perhaps"}, "preview"),
        ({"copies": "3"}, "copies"),
    ]
    for params, field in wishes:
        answer = client.get(f"/api/pos/sales/{sold['id']}/receipt", params=params, as_="cashier")
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field, params
    assert rows(runtime, "SELECT * FROM pos_receipt") == []


# --- hostile texts -----------------------------------------------------------------------------------------

HOSTILE = [
    "<b>bold</b> <img src='/etc/passwd'/> &amp; & <para>",
    "(unbalanced ) \\ parenthesis ( %PDF ) endstream endobj >> <<",
    "\u202eexe.tpircer\u202c abc \u2067x\u2069",
    "W" * 200,
    "क्ष" * 66,
    "e" + "\u0301" * 190,
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") * 90,
    "\u200b\u200d\ufeff",
    "a\u2028b\u00a0c",
    "{{7*7}} ${jndi:x} '; DROP TABLE sale; --",
]


def test_hostile_names_are_only_printed(client, make):
    products = [make.product(name=name, price="2.50", stock=9) for name in HOSTILE]
    fields = {"customer_name": HOSTILE[0], "notes": "\n".join(HOSTILE)}
    sale = make.sale([(product, 2) for product in products], channel="pos", **fields)
    for said in said_in_all(client, sale, as_="admin"):
        assert said.count("5.00") >= len(HOSTILE)
        assert not {"\u202e", "\u202c", "\u2067", "\u2069", "\x1b", "\x1d"} & set(said)
    said = "".join(receipt(client, sale, "text", as_="admin").text.split())
    for name in HOSTILE:
        if name.isascii():
            assert "".join(name.split()) in said


def test_commands_in_a_name_do_not_reach_the_printer(client, make):
    settings(client, company__address="Street\x1bp\x01\x19 \x1dV\x01 1\r\n\x1b@Town")
    sale = make.sale([(make.product(price="2.50", stock=9), 2)], channel="pos")
    content = receipt(client, sale, "escpos", as_="admin").content
    assert b"\x1bp" not in content and content.count(b"\x1b@") == 1 and content.count(b"\x1dV") == 1
    assert {"Streetp", "V 1", "@Town"} <= {line.strip() for line in printed_text(content).splitlines()}


# --- paper -------------------------------------------------------------------------------------------------


@pytest.fixture
def long_sale(make):
    products = [make.product(name=f"Article {number}", price="1.10", stock=9999) for number in range(5)]
    return make.sale([(products[number % 5], 1) for number in range(300)], channel="pos")


def test_sheets_repeat_the_titles_and_are_numbered(client, long_sale):
    pages = pages_of(receipt(client, long_sale, "a4", as_="admin").content)
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert long_sale["sale_number"] in page
    assert all("Unit price" in page for page in pages[:-1])
    assert sum(page.count("Article ") for page in pages) == 300
    assert "330.00" in "".join(pages[-2:])


def test_a_roll_is_one_page_unless_it_is_very_long(client, make, sold, long_sale):
    assert len(pages_of(receipt(client, sold, "pdf").content)) == 1
    content = receipt(client, long_sale, "pdf", as_="admin").content
    document = pypdfium2.PdfDocument(content)
    assert len(document) == 2
    assert all(page.get_height() < 14_400 and round(page.get_width()) == 227 for page in document)
    assert sum(page.count("Article ") for page in pages_of(content)) == 300


def test_text_keeps_to_its_columns(client, make):
    product = make.product(name="Grüße 中文茶 " * 12, price="123456.78", stock=99)
    settings(client, company__address="W" * 150)
    sale = make.sale([(product, 9)], channel="pos", customer_name="Ms " + "L" * 100)
    for width in (32, 42, 48):
        lines = receipt(client, sale, "text", as_="admin", preview="true", width=str(width)).text.splitlines()
        assert max(map(columns, lines)) == width
        assert [line for line in lines if line.endswith(" 1111111.02")]
        settings(client, pos__receipt_width=width)
        assert receipt(client, sale, "text", as_="admin", preview="true").text.splitlines() == lines


# --- printers ----------------------------------------------------------------------------------------------


def test_what_a_printer_gets(client, sold):
    content = receipt(client, sold, "escpos").content
    assert content.startswith(b"\x1b@") and content.rstrip(b"\x00").endswith(b"\x1dV")
    assert content.count(b"\x1dv0") == 1, "the square code is the only picture"
    number = sold["sale_number"]
    letters, pairs = number[:-12], number[-12:]
    digits = bytes(int(pairs[index : index + 2]) for index in range(0, 12, 2))
    assert b"{B" + letters.encode() + b"{C" + digits in content
    # The euro sign in code page 858.
    assert b"\x1bt\x13" in content and b"\xd5 13.63" in content


def test_what_no_code_page_says_is_a_picture(client, make):
    settings(client, currency="INR")
    names = ["दूध 1 kg", "خبز", "中文", "Tea", "Käse", "Молоко"]
    sale = make.sale([(make.product(name=name, price="2.50", stock=9), 1) for name in names], channel="pos")
    content = receipt(client, sale, "escpos", as_="admin").content
    # Three names, the sum with its sign, and the square code.
    assert content.count(b"\x1dv0") == 5
    assert "Käse".encode("cp437") in content and b"\x1bt\x11" in content and "Молоко".encode("cp866") in content
    settings(client, pos__printer_code_pages="")
    assert receipt(client, sale, "escpos", as_="admin").content.count(b"\x1dv0") == 7
    answer = client.patch("/api/settings", {"pos.printer_code_pages": "CP437,LATIN9"})
    assert answer.status_code == 422


@pytest.mark.slow
def test_every_code_page_of_the_setting_is_one_of_the_printers(client, make, capsys):
    signs = [chr(number) for number in range(0xA0, 0x2600)]
    letters = {name: next(char for char in signs if _one_byte(char, name)) for name in CODE_PAGES}
    sale = make.sale([(make.product(name=letters[name], stock=9), 1) for name in CODE_PAGES], channel="pos")
    capsys.readouterr()
    for name, letter in letters.items():
        settings(client, pos__printer_code_pages=name)
        content = receipt(client, sale, "escpos", as_="admin").content
        assert letter.encode(CODE_PAGES[name]) + b"\n" in content, name
    assert "profile" not in capsys.readouterr().out, "the library complains on the standard output"


def _one_byte(char, name):
    try:
        return char.isalpha() and len(char.encode(CODE_PAGES[name])) == 1
    except UnicodeEncodeError:
        return False


def test_pictures_fit_the_paper(client, make):
    sale = make.sale([(make.product(name="क्षत्रिय ब्रांड बासमती चावल " * 5, stock=9), 1)], channel="pos")
    for width in (32, 42, 48):
        content = receipt(client, sale, "escpos", as_="admin", width=str(width)).content
        widths = [
            int.from_bytes(content[at.end() + 1 : at.end() + 3], "little") for at in re.finditer(b"\x1dv0", content)
        ]
        assert set(widths) == {width * 12 // 8}


def test_the_drawer(client, make):
    kick = b"\x1bp\x00"
    items = [(make.product(price="2.50", stock=9), 1)]
    by_cash, again, by_card = (
        make.sale(items, channel="pos", payments=[{"method": method, "amount": "2.50"}])
        for method in ("cash", "cash", "card")
    )
    assert kick not in receipt(client, by_cash, "escpos", as_="admin").content, "off unless a setting says so"
    settings(client, pos__open_drawer=True)
    assert kick not in receipt(client, again, "escpos", as_="admin", preview="true").content
    assert kick in receipt(client, again, "escpos", as_="admin").content
    assert kick not in receipt(client, again, "escpos", as_="admin").content, "a copy opens nothing"
    assert kick not in receipt(client, by_card, "escpos", as_="admin").content
    make.payment_method("cheque", opens_drawer=True)
    by_cheque = make.sale(items, channel="pos", payment_method="cheque")
    assert kick in receipt(client, by_cheque, "escpos", as_="admin").content, "cheques lie in the drawer too"


def test_a_receipt_and_a_return_at_the_counter_name_the_lots(client, make):
    milk = make.product(name="Milk", price="1.50", tracking="lot")
    for batch, day in (("SOON", "2149-01-01"), ("LATE", "2150-06-30")):
        line = {"product_id": milk["id"], "quantity": "2", "batch_number": batch, "expiry_date": day}
        make.receipt(make.main, [line])
    sale = make.sale([(milk, 3)])
    printed = client.get(f"/api/pos/sales/{sale.id}/receipt", params={"format": "text"}).text
    assert all(each in printed for each in ("Lot SOON", "Lot LATE", "2149-01-01", "2150-06-30"))
    lines = [{"position": 0, "quantity": "1", "batch_number": "LATE"}]
    back = client.post("/api/pos/returns", {"sale_id": sale.id, "lines": lines})
    assert back.status_code == 201 and back.json["items"][0]["batch_number"] == "LATE", back.text
    again = client.post("/api/pos/returns", {"sale_id": sale.id, "lines": lines})
    assert again.status_code == 422 and again.json["errors"][0]["field"] == "lines.0.batch_number"
