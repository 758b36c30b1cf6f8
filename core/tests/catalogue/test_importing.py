"""Importing products and opening stock from files."""

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import openpyxl
import pytest
from click.testing import CliRunner
from sqlalchemy import event, select

from tillhook.catalogue import finish_import, import_products, import_runs, importing
from tillhook.catalogue.cli import products as command
from tillhook.catalogue.models import ProductImport
from tillhook.db import utc_now
from tillhook.errors import Conflict
from tillhook.server import idempotency

PATH = "/api/products/import"
HEADER = "sku,name,price,category,barcode,stock,warehouse\n"


def csv(*rows, header=HEADER):
    return (header + "".join(row + "\n" for row in rows)).encode()


def xlsx(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def listed(client, **params):
    return {product["sku"]: product for product in client.get("/api/products", params=params).json["items"]}


@pytest.fixture
def place(client, make):
    """The name of the main warehouse."""
    warehouses = client.get("/api/warehouses").json["items"]
    return next(warehouse["name"] for warehouse in warehouses if warehouse["id"] == make.main)


def test_products_categories_barcodes_and_stock(client, upload, place):
    content = csv(f"A,Äpfel,1.50,Fruit,4006381333931|000123,12,{place}", "B,Beans,2,Fruit,,,")
    answer = upload(PATH, content)
    assert answer.status_code == 200, answer.text
    result = answer.json
    assert (result["rows"], result["created"], result["updated"]) == (2, 2, 0)
    assert (result["categories_created"], result["stock_lines"], result["encoding"]) == (1, 1, "utf-8")
    found = listed(client, search="äpfel")["A"]
    assert (found["price"], found["category"], found["inventory"]) == ("1.50", "Fruit", "12")
    assert (found["barcodes"], found["status"]) == (["4006381333931", "000123"], "published")
    assert listed(client, barcode="000123").keys() == {"A"}


def test_a_second_run_updates_and_adds_no_stock_unasked(client, upload, place):
    upload(PATH, csv(f"A,Apples,1.50,Fruit,111,12,{place}"))
    content = csv(f"A,Apples,1.80,,111,12,{place}", f"B,Beans,1,,,0,{place}")
    refused = upload(PATH, content)
    assert (refused.status_code, [error["row"] for error in refused.json["errors"]]) == (422, [2])
    for mode in ("stock_mode", "set", "add", "ignore"):
        assert mode in refused.json["errors"][0]["message"]
    assert listed(client).keys() == {"A"}
    again = upload(PATH, content, stock_mode="ignore").json
    assert (again["created"], again["updated"], again["stock_lines"]) == (1, 1, 0)
    assert upload(PATH, content, stock_mode="ignore").json["unchanged"] == 2
    found = listed(client)["A"]
    assert (found["price"], found["category"], found["inventory"]) == ("1.80", "Fruit", "12")


class TestStockMode:
    @pytest.fixture
    def known(self, upload, place):
        upload(PATH, csv(f"A,Apples,1.50,Fruit,,12,{place}", f"B,Beans,1,,,3,{place}"))

    def movements(self, client, product):
        found = client.get("/api/inventory/movements", params={"product": product["id"]}).json["items"]
        return [(each["document_type"], each["quantity"]) for each in found]

    def test_set_counts_and_zero_is_a_count_too(self, client, upload, place, known):
        content = csv(f"A,,,,,5,{place}", f"B,,,,,0,{place}", f"C,Corn,1,,,7,{place}")
        done = upload(PATH, content, stock_mode="set")
        assert done.status_code == 200, done.text
        assert done.json["stock_lines"] == 3
        found = listed(client)
        assert {sku: each["inventory"] for sku, each in found.items()} == {"A": "5", "B": "0", "C": "7"}
        assert len(self.movements(client, found["A"])) == 2 and len(self.movements(client, found["C"])) == 1
        assert upload(PATH, content, stock_mode="set").json["unchanged"] == 3
        assert len(self.movements(client, found["A"])) == 2

    def test_add_receives(self, client, upload, place, known):
        done = upload(f"{PATH}?stock_mode=add", csv(f"A,,,,,5,{place}", f"B,,,,,0,{place}"))
        assert (done.status_code, done.json["stock_lines"]) == (200, 1)
        found = listed(client)
        assert (found["A"]["inventory"], found["B"]["inventory"]) == ("17", "3")
        assert {kind for kind, _ in self.movements(client, found["A"])} == {"receipt"}

    def test_lots_are_counted_one_by_one(self, client, upload, place):
        header = "sku,name,price,tracking,stock,warehouse,batch\n"
        upload(PATH, csv(f"M,Milk,1,lot,5,{place},L1", f"M,,,,6,{place},L2", header=header))
        done = upload(PATH, csv(f"M,,,,2,{place},L1", f"M,,,,4,{place},L3", header=header), stock_mode="set")
        assert done.status_code == 200, done.text
        assert listed(client)["M"]["inventory"] == "12"

    def test_a_dry_run_posts_nothing(self, client, upload, place, known):
        dry = upload(PATH, csv(f"A,,,,,5,{place}"), stock_mode="set", dry_run="true").json
        assert (dry["valid"], dry["stock_lines"]) == (True, 1)
        assert listed(client)["A"]["inventory"] == "12"

    def test_two_counts_of_the_same_are_refused(self, upload, place, known):
        refused = upload(PATH, csv(f"A,,,,,5,{place}", f"A,,,,,6,{place}"), stock_mode="set")
        assert [error["row"] for error in refused.json["errors"]] == [3]

    def test_an_unknown_mode_is_refused(self, upload, known):
        refused = upload(PATH, csv("A,,,,,,"), stock_mode="replace")
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "stock_mode")

    def test_who_may_not_count_or_receive_brings_no_stock(self, client, make, upload, place):
        make.post("/api/roles", {"name": "importer", "permissions": ["catalogue:product:import"]})
        importer = make.user("importer")
        content = csv(f"A,Apples,1.50,,,12,{place}")
        refused = upload(PATH, content, as_=importer)
        assert (refused.status_code, refused.json["permission"]) == (403, "stock:receipt:post")
        assert upload(PATH, csv("A,Apples,1.50,,,,"), as_=importer).json["created"] == 1


class TestUnits:
    header = "sku,name,price,unit\n"

    def test_an_unknown_unit_is_an_error_naming_those_there_are(self, client, upload, make):
        make.unit("box")
        refused = upload(PATH, csv("A,Apples,1,pcs", "B,Beans,1,bxo", "C,Corn,1,sack", header=self.header))
        assert [(error["row"], error["column"]) for error in refused.json["errors"]] == [(3, "unit"), (4, "unit")]
        message = refused.json["errors"][0]["message"]
        assert message == "There is no unit bxo. Known are box, kg, l, m, pcs."
        assert {unit["code"] for unit in client.get("/api/units").json["items"]}.isdisjoint({"bxo", "sack"})

    def test_units_are_made_when_asked_and_are_whole(self, client, upload):
        done = upload(PATH, csv("A,Apples,1,sack", "B,Beans,1,sack", header=self.header), create_units="true")
        assert (done.status_code, done.json["units_created"]) == (200, 1)
        units = {unit["code"]: unit["precision"] for unit in client.get("/api/units").json["items"]}
        assert units["sack"] == 0
        dry = upload(PATH, csv("C,Corn,1,barrel", header=self.header), create_units="true", dry_run="true").json
        assert (dry["valid"], dry["units_created"]) == (True, 1)
        assert "barrel" not in {unit["code"] for unit in client.get("/api/units").json["items"]}

    def test_only_those_who_manage_units_make_them(self, upload, make):
        make.post("/api/roles", {"name": "importer", "permissions": ["catalogue:product:import"]})
        content = csv("A,Apples,1,sack", header=self.header)
        refused = upload(PATH, content, as_=make.user("importer"), create_units="true")
        assert (refused.status_code, refused.json["permission"]) == (403, "catalogue:setup:manage")

    def test_a_product_without_a_unit_is_counted_in_whole_pieces(self, client, upload, make):
        header = "sku,name,price,unit,stock\n"
        rows = ("A,Apples,1,,2.5", "B,Beans,1,KG,2.5", "C,Corn,1,,0.5")
        refused = upload(PATH, csv(*rows, header=header), warehouse=str(make.main))
        assert [(error["row"], error["column"]) for error in refused.json["errors"]] == [(2, "stock"), (4, "stock")]
        upload(PATH, csv("A,Apples,1,,2", rows[1], header=header), warehouse=str(make.main))
        found = listed(client)
        assert (found["A"]["unit"], found["B"]["unit"], found["B"]["inventory"]) == ("pcs", "kg", "2.5")


def test_errors_come_in_the_order_of_rows(upload, make):
    make.product(sku="OLD", barcode="999")
    header = "sku,name,price,unit,barcode,stock\n"
    content = csv(
        "A,Apples,1,sack,,",
        "B,Beans,1,,999,",
        "C,Corn,one,,,",
        "D,,1,,,",
        "E,Eggs,1,,,2.5",
        header=header,
    )
    for path in (PATH, f"{PATH}?dry_run=true"):
        answer = upload(path, content, warehouse=str(make.main)).json
        assert [error["row"] for error in answer["errors"]] == [2, 3, 4, 5, 6]


def test_every_bad_row_is_named_and_nothing_is_imported(client, upload, make, runtime):
    make.product(sku="OLD", barcode="999")
    content = csv(
        "A,Apples,abc,Fruit,,,",
        ",No code,1,Fruit,,,",
        "C,,1,Fruit,,,",
        "D,Dates,1,Fruit,111,,",
        "E,Eggs,1,Fruit,111,,",
        "F,Figs,1,Fruit,999,,",
        "G,Good,1,Fruit,,,",
        "G,Worse,1,Fruit,,,",
        "H,Ham,1,Fruit,,5,Nowhere",
        'I,Ice,"1,234",Fruit,,,',
    )
    answer = upload(PATH, content)
    assert (answer.status_code, answer.json["code"]) == (422, "import-failed")
    named = {(error["row"], error["column"]) for error in answer.json["errors"]}
    assert named == {
        (2, "price"),
        (3, "sku"),
        (4, "name"),
        (6, "barcode"),
        (7, "barcode"),
        (9, "name"),
        (9, "sku"),
        (10, "warehouse"),
        (11, "price"),
    }
    dry = upload(PATH, content, dry_run="true")
    assert (dry.status_code, dry.json["valid"], dry.json["error_count"]) == (200, False, 9)
    assert listed(client).keys() == {"OLD"}
    assert client.get("/api/categories").json["items"] == []


def test_a_dry_run_says_what_would_happen_and_changes_nothing(client, upload, runtime, place):
    def counts():
        with runtime.database.connect() as connection:
            tables = ("product", "variant", "barcode", "category", "stock_movement", "outbox", "audit_entry")
            return [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables]

    before = counts()
    content = csv(f"A,Apples,1.50,Fruit,111,12,{place}")
    dry = upload(PATH + "?dry_run=true", content).json
    assert counts() == before
    real = upload(PATH, content).json
    assert dry | {"dry_run": False} == real


def test_variants_lots_and_more_warehouses(client, upload, make, place):
    header = "sku,parent_sku,name,price,tracking,stock,warehouse,batch,expires,size\n"
    content = csv(
        "SHIRT,,Shirt,25,,,,,,",
        f"SHIRT-S,SHIRT,Small,,,3,{place},,,S",
        f"SHIRT-L,SHIRT,Large,27,,4,{place},,,L",
        f"PILL,,Pills,3,lot,10,{place},B1,2030-01-31,",
        f"PILL,,,,,5,{place},B2,2031-01-31,",
        f"PILL,,,,,7,{make.other},B1,2030-01-31,",
        header=header,
    )
    answer = upload(PATH, content)
    assert answer.status_code == 200, answer.text
    assert (answer.json["created"], answer.json["stock_lines"]) == (4, 5)
    found = listed(client)
    sizes = [(variant["sku"], variant["price"], variant["attributes"]) for variant in found["SHIRT"]["variants"]]
    assert sizes == [("SHIRT-S", "25.00", {"size": "S"}), ("SHIRT-L", "27.00", {"size": "L"})]
    assert (found["SHIRT"]["inventory"], found["PILL"]["inventory"]) == ("7", "22")
    again = upload(PATH, csv("SHIRT-S,SHIRT,Small,24,,,,,,", header=header)).json
    assert (again["updated"], again["created"]) == (1, 0)
    assert listed(client)["SHIRT"]["variants"][0]["price"] == "24.00"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("P,,Pills,3,lot,10,,,", "batch_number"),
        ("P,,Pills,3,,10,,B1,", "batch_number"),
        ("P,,Pills,3,none,10,,,", "stock"),
        ("P,NONE,Pills,3,,,,,", "parent_sku"),
        ("P,,Pills,3,serial,,,,", "tracking"),
        ("P,,Pills,3,lot,10,,B1,31.01.2030", "expiry_date"),
        ("P,,Pills,3,,-1,,,", "stock"),
        ("P,,Pills,NaN,,,,,", "price"),
    ],
)
def test_rules_of_stock(upload, make, row, column):
    header = "sku,parent_sku,name,price,tracking,stock,warehouse,batch,expires\n"
    answer = upload(PATH, csv(row, header=header), warehouse=str(make.main))
    assert answer.status_code == 422
    assert [error["column"] for error in answer.json["errors"]] == [column]


def test_a_units_precision_is_named_by_row(upload, make):
    header = "sku,name,price,unit,stock\n"
    content = csv("A,Apples,1,pcs,2", "B,Beans,1,pcs,2.5", header=header)
    answer = upload(PATH, content, warehouse=str(make.main))
    assert answer.status_code == 422
    assert [(error["row"], error["column"]) for error in answer.json["errors"]] == [(3, "stock")]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("sku;name;price\nA;Käse;1,50\n".encode("cp1252"), "cp1252"),
        ("\ufeffSKU\tName\tPrice\r\nA\tKäse\t1.50\r\n".encode(), "utf-8"),
        ("sku|name|price\nA|Käse|1.50\n".encode("utf-16"), "utf-16"),
        ('"sku","name","price"\n"A","Käse",1.50\n'.encode(), "utf-8"),
    ],
)
def test_delimiters_and_encodings(client, upload, content, encoding):
    answer = upload(PATH, content)
    assert answer.status_code == 200, answer.text
    assert answer.json["encoding"] == encoding
    assert bool(answer.json["warnings"]) == (encoding == "cp1252")
    found = listed(client)["A"]
    assert (found["name"], found["price"]) == ("Käse", "1.50")


def test_xlsx(client, upload, place):
    content = xlsx(
        ["SKU", "Name", "Price", "Barcode", "Stock", "Warehouse"],
        ["A", "Apples", 0.1 + 0.2, 4006381333931, 12, place],
        [None] * 6,
        ["B", "Beans", 2, None, None, None],
    )
    answer = upload(PATH, content)
    assert answer.status_code == 200, answer.text
    assert (answer.json["rows"], answer.json["encoding"]) == (2, "")
    found = listed(client)["A"]
    assert (found["price"], found["barcode"], found["inventory"]) == ("0.30", "4006381333931", "12")
    bad = upload(PATH, xlsx(["sku", "name", "price"], [], ["C", "Cress", "free"]))
    assert [error["row"] for error in bad.json["errors"]] == [3]


def test_a_formula_without_value_is_refused(upload):
    answer = upload(PATH, xlsx(["sku", "name", "price"], ["A", "Apples", "=1+1"]))
    assert (answer.status_code, answer.json["code"]) == (422, "unreadable-file")
    assert "Row 2, column 3" in answer.json["detail"]


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(600):
                sheet.write(bytes(1024 * 1024))
    return file.getvalue()


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"name,price\nA,1\n",
        b"sku,SKU\nA,B\n",
        b"sku\x00,name\n",
        b"PK\x03\x04 no zip at all",
        xlsx(["name"], ["A"])[:500],
        xlsx(),
        b'sku,name\n"' + b"x" * 200_000 + b'",b\n',
    ],
)
def test_unreadable_files(upload, content):
    answer = upload(PATH, content)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "file"


def far_away():
    """A sheet whose last cell makes a million empty rows before it."""
    book = openpyxl.Workbook()
    book.active.append(["sku", "name", "price"])
    book.active["XFD1048576"] = 1
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("make_bomb", [bomb, far_away, lambda: b"," * 1_000_000 + b"\n"])
def test_a_bomb_is_refused_at_once(upload, make_bomb):
    content = make_bomb()
    started = time.monotonic()
    assert upload(PATH, content).status_code == 422
    assert time.monotonic() - started < 2


def test_only_those_with_the_permission_import(upload):
    assert upload(PATH, csv("A,Apples,1,,,,"), as_="supplier").status_code == 403


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_thousands_of_products_take_few_statements(runtime):
    content = csv(*(f"S{n},Product {n},1.50,Group {n % 20},C{n},," for n in range(5_000)))
    statements, steps = [], []
    event.listen(runtime.database.engine, "before_cursor_execute", lambda *each: statements.append(each[2]))
    for result in ((5_000, 0), (0, 5_000)):
        statements.clear()
        done = import_products(runtime, io.BytesIO(content), progress=lambda *step: steps.append(step))
        with runtime.unit_of_work() as session:
            finish_import(session, done)
        assert (done.result.created, done.result.unchanged) == result
        # Of each of twenty parts one per category, and as many again; the first parts make the categories.
        assert len(statements) < 1_300
    assert {step[0] for step in steps} == {"reading", "products"}


def test_the_command(runtime, tmp_path, place):
    file = tmp_path / "goods.csv"
    file.write_bytes(csv(f"A,Apples,1.50,Fruit,111,12,{place}"))

    class Context:
        pass

    context = Context()
    context.runtime = runtime
    dry = CliRunner().invoke(command, ["import", str(file), "--dry-run"], obj=context)
    assert (dry.exit_code, "1 would be created" in dry.output) == (0, True), dry.output
    done = CliRunner().invoke(command, ["import", str(file)], obj=context)
    assert "1 rows: 1 were created, 0 updated, 0 unchanged; 1 lines of stock." in done.output
    file.write_bytes(csv("A,,abc,,,,"))
    failed = CliRunner().invoke(command, ["import", str(file)], obj=context)
    assert (failed.exit_code, "row 2 price" in failed.output) == (1, True)


def test_a_variants_row_without_its_product_is_one_problem(upload, make):
    make.product(sku="SHIRT", variants=[{"name": "S", "sku": "SHIRT-S"}])
    refused = upload(PATH, b"sku,stock\nSHIRT-S,8\n", stock_mode="set").json
    assert [error["field"] for error in refused["errors"]] == ["rows.2.sku"]
    assert refused["detail"].startswith("1 problem, nothing imported. Row 2: This is the SKU of a variant")


class TestParts:
    """A file is written in parts: here of three rows."""

    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch):
        monkeypatch.setattr(importing, "PART", 3)

    @pytest.fixture
    def stop(self):
        """``stop(after=2)`` lets what posts stock fail after so many parts."""

        def stop(*, after):
            left, real = [after], importing.post_stock

            def post_stock(*arguments):
                left[0] -= 1
                if left[0] < 0:
                    raise Conflict("A plugin says no.", code="says-no")
                return real(*arguments)

            patched = pytest.MonkeyPatch()
            patched.setattr(importing, "post_stock", post_stock)
            return patched

        return stop

    def goods(self, number=10):
        return csv(*(f"S{each},Product {each},1.50,Fruit,C{each},5," for each in range(number)))

    def send(self, upload, make, **fields):
        return upload(PATH, self.goods(), warehouse=str(make.main), **fields)

    def stock(self, client):
        return {sku: product["inventory"] for sku, product in listed(client, limit=100).items()}

    def test_one_that_is_stopped_goes_on_where_it_was(self, client, upload, make, stop, runtime):
        patched = stop(after=2)
        stopped = self.send(upload, make)
        patched.undo()
        assert (stopped.status_code, stopped.json["code"]) == (409, "import-stopped")
        assert (stopped.json["products_done"], stopped.json["products"]) == (6, 10)
        assert "A plugin says no." in stopped.json["detail"]
        assert len(listed(client)) == 6
        # Without it, the stock of the six that are known would have to be explained.
        done = self.send(upload, make).json
        assert (done["rows"], done["created"], done["stock_lines"], done["categories_created"]) == (10, 10, 10, 1)
        assert set(self.stock(client).values()) == {"5"}
        parts = client.get("/api/audit", params={"action": "import"}).json["items"]
        assert sorted(each["after"]["created"] for each in parts) == [1, 3, 3, 3]
        # Ended, it is a new import that finds known products.
        assert self.send(upload, make).json["code"] == "import-failed"

    def test_what_is_received_is_received_once(self, client, upload, make, stop):
        self.send(upload, make)
        patched = stop(after=1)
        assert self.send(upload, make, stock_mode="add").json["code"] == "import-stopped"
        patched.undo()
        assert self.send(upload, make, stock_mode="add").json["stock_lines"] == 10
        assert set(self.stock(client).values()) == {"10"}

    def test_one_that_fails_at_once_leaves_nothing(self, client, upload, make, stop, runtime):
        patched = stop(after=0)
        assert self.send(upload, make).json["code"] == "says-no"
        patched.undo()
        assert listed(client) == {}
        with runtime.unit_of_work() as session:
            assert session.scalars(select(ProductImport)).all() == []

    def test_two_at_once(self, upload, make, runtime, client):
        with runtime.unit_of_work() as session:
            later = utc_now() + import_runs.LEASE
            session.add(ProductImport(digest="x", held_by="y", held_until=later, counts={}))
        refused = self.send(upload, make)
        assert (refused.status_code, refused.json["code"]) == (409, "import-running")
        assert int(refused.headers["retry-after"]) > 0
        assert self.send(upload, make, dry_run="true").status_code == 200
        with runtime.unit_of_work() as session:  # whose process was killed
            session.get(ProductImport, "x").held_until = utc_now()
        assert self.send(upload, make).json["created"] == 10

    def test_a_key_is_answered_and_nothing_done_twice(self, client, make, upload, monkeypatch):
        self.send(upload, make)
        headers = {"Idempotency-Key": "one"}
        first = self.send(upload, make, stock_mode="add", headers=headers)
        again = self.send(upload, make, stock_mode="add", headers=headers)
        assert (first.status_code, first.json) == (200, again.json)
        assert again.headers["idempotency-replayed"] == "true"
        assert set(self.stock(client).values()) == {"10"}
        # The first one ends after the second was looked up, and before the second begins.
        looks, real = [None], idempotency.look

        def look(*arguments):
            return looks.pop() if looks else real(*arguments)

        monkeypatch.setattr(idempotency, "look", look)
        raced = self.send(upload, make, stock_mode="add", headers=headers)
        assert (raced.json, looks) == (first.json, [])
        assert set(self.stock(client).values()) == {"10"}

    def test_another_file_under_the_key_is_refused(self, upload, make):
        headers = {"Idempotency-Key": "one"}
        self.send(upload, make, headers=headers)
        other = upload(PATH, csv("Z,Zebra,1,,,,"), headers=headers)
        assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")

    def test_variants_are_written_with_their_product(self, client, upload, make, stop):
        header = "sku,parent_sku,name,price,size\n"
        rows = [f"SHIRT-{size},SHIRT,{size},,{size}" for size in "ABCDEF"]
        content = csv(*rows[:3], "CAP,,Cap,9,", "SHIRT,,Shirt,25,", *rows[3:], header=header)
        done = upload(PATH, content).json
        assert (done["created"], done["updated"]) == (8, 0)
        assert len(listed(client)["SHIRT"]["variants"]) == 6

    def test_what_a_dry_run_says_is_what_happens(self, client, upload, make):
        upload(PATH, csv("A,Apples,1.50,Fruit,111,,", "B,Beans,1,Fruit,,,"))
        header = "sku,parent_sku,name,price,unit,category,barcode,stock\n"
        content = csv(
            "A,,Apples,1.80,,,111,",
            "B,,Beans,1,,Fruit,222,",
            "C,,Corn,2,kg,Grain,,2.5",
            "D,,Dates,2,sack,grain,,2",
            "E,,Shirt,2,,,,",
            "E1,E,Small,,,,333,",
            header=header,
        )
        fields = {"create_units": "true", "warehouse": str(make.main)}
        dry = upload(PATH, content, dry_run="true", **fields).json
        real = upload(PATH, content, **fields).json
        assert dry | {"dry_run": False} == real
        assert (real["created"], real["updated"], real["categories_created"], real["units_created"]) == (4, 1, 1, 2)

    def test_a_lot_that_expires_on_two_days_is_named(self, client, upload, make):
        header = "sku,name,price,tracking,stock,batch,expires\n"
        first = csv("P,Pills,3,lot,1,B1,2030-01-31", header=header)
        place = {"warehouse": str(make.main)}
        assert upload(PATH, first, **place).status_code == 200
        other = csv(
            "P,,,,1,B1,2031-01-31",
            "Q,Quinine,3,lot,1,B1,2030-01-31",
            "Q,,,,1,B1,2030-02-01",
            header=header,
        )
        for fields in ({}, {"dry_run": "true"}):
            answer = upload(PATH, other, stock_mode="add", **place, **fields).json
            assert [(error["row"], error["column"]) for error in answer["errors"]] == [
                (2, "expiry_date"),
                (4, "expiry_date"),
            ]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_dry_run_waits_for_no_writer(upload, runtime, make):
    with ThreadPoolExecutor(1) as pool, runtime.unit_of_work():
        answer = pool.submit(upload, PATH, csv("A,Apples,1,Fruit,,,"), dry_run="true").result(timeout=20)
    assert (answer.status_code, answer.json["created"]) == (200, 1)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    "content",
    [
        b"sku,name\n" + b"x" * 3_000_000,
        b"sku,name\n" + b"a," * 1_500_000,
        b"sku," + b"a," * 10_000 + b"\nA\n",
        b"sku,name\n" + b'"a\n",' * 1_500_000,
        b"sku,name\nA,\x00\n",
        "sku,name\nA,B\n".encode("utf-16-le"),
        "sku,name\nA,B\n".encode("utf-32"),
        bytes(range(256)) * 1_000,
    ],
)
def test_odd_texts(upload, content):
    answer = upload(PATH, content)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "file")
