"""``bin/bench retail`` on a small file with every kind of odd row: all of it arrives, once, and a difference shows."""

import csv
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tillhook.runtime import Runtime
from tillhook.server.verify import verify
from tillhook.testing import RunningServer
from tillhook.testing.people import PASSWORD

ROOT = Path(__file__).parents[1]
COLUMNS = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "unit_price",
    "customer_id",
    "country",
)

#: Invoice, code, description, quantity, time, price and customer.
ROWS: list[tuple[Any, ...]] = [
    # The same line twice, and once more at another price.
    ("1001", "10001", "WHITE LANTERN", 6, "01T08:26:00", "2.55", "17850"),
    ("1001", "10001", "WHITE LANTERN", 6, "01T08:26:00", "2.55", "17850"),
    ("1001", "10001", "WHITE LANTERN", 1, "01T08:26:00", "3", "17850"),
    # A product without description here, with two names elsewhere.
    ("1002", "10002A", "", 4, "01T08:30:00", "1.5", "17850"),
    ("1003", "10002A", "BLUE CUP", 1, "01T08:40:00", "1.45", "12583"),
    ("1003", "10002A", "BLUE MUG", 2, "01T08:41:00", "1.45", "12583"),
    # Services.
    ("1003", "POST", "POSTAGE", 3, "01T08:40:00", "18", "12583"),
    ("1004", "BANK CHARGES", "Bank Charges", 1, "01T09:00:00", "15", ""),
    # Neither price, nor description, nor customer; with a negative quantity it is no sale.
    ("1005", "10003", "", 56, "01T11:52:00", "0", ""),
    ("1006", "10002A", "", -3, "01T12:00:00", "0", ""),
    # More lines than one sale may have.
    *[("1007", "10004", "PEG", 1, "01T13:00:00", "0.1", "12583")] * 1002,
    # Comes back from two lines of a sale; from two sales; in part from a sale, in part from before the file.
    ("1008", "10002A", "BLUE MUG", 4, "02T09:00:00", "1.50", "17850"),
    ("C1009", "10001", "WHITE LANTERN", -8, "02T10:00:00", "2.55", "17850"),
    ("C1009", "10002A", "BLUE MUG", -6, "02T10:00:00", "1.50", "17850"),
    ("C1010", "10002A", "BLUE MUG", -5, "02T10:10:00", "1.50", "17850"),
    # Never sold in the file: to this customer, at this price, or at all.
    ("C1011", "10001", "WHITE LANTERN", -1, "02T10:20:00", "2.55", "12583"),
    ("C1011", "10001", "WHITE LANTERN", -1, "02T10:20:00", "9.99", "12583"),
    ("C1012", "D", "Discount", -1, "02T10:30:00", "27.5", "14527"),
]
CREATED = {"sales": 11, "adjustments": 1, "returns": 7}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "till.csv", ROWS)


def write(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for invoice, code, description, quantity, at, price, customer in rows:
            writer.writerow([invoice, code, description, quantity, f"2010-12-{at}Z", price, customer, "EIRE"])
    return path


def replay(file: Path, *options: str) -> tuple[int, Any, str]:
    """Return exit status, report and what was said on the way."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "retail", str(file), "--json", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "[{}]")[0], done.stderr


def on(server: RunningServer) -> tuple[str, ...]:
    return ("--url", server.url, "--email", "admin@test.com", "--password", PASSWORD)


def found(server: RunningServer, path: str) -> list[dict[str, Any]]:
    status, answer = server.get(path)
    assert status == 200, answer
    return list(answer["items"])


def test_every_row_arrives_once(file: Path, server: RunningServer, runtime: Runtime) -> None:
    status, report, said = replay(file, *on(server))

    assert status == 0, said
    assert report["differences"] == []
    first, second = report["passes"]
    assert (first["created"], first["known"]) == (CREATED, {})
    assert (second["created"], second["known"]) == ({}, CREATED)
    assert report["days"] == {
        "2010-12-01": {"quantity": "1082", "revenue": "213.15"},
        "2010-12-02": {"quantity": "-18", "revenue": "-70.94"},
    }
    assert not [each for _, differences in verify(runtime) for each in differences]


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_what_odd_rows_become(file: Path, server: RunningServer) -> None:
    assert replay(file, *on(server), "--no-twice")[0] == 0

    products = {each["sku"]: each for each in found(server, "/api/products?limit=200")}
    told = {sku: (each["name"], Decimal(each["price"]), each["tracking"]) for sku, each in products.items()}
    assert told == {
        "10001": ("WHITE LANTERN", Decimal("2.55"), "quantity"),
        "10002A": ("BLUE MUG", Decimal("1.5"), "quantity"),
        "10003": ("10003", Decimal(0), "quantity"),
        "10004": ("PEG", Decimal("0.1"), "quantity"),
        "POST": ("POSTAGE", Decimal(18), "none"),
        "BANK CHARGES": ("Bank Charges", Decimal(15), "none"),
        "D": ("Discount", Decimal("27.5"), "none"),
    }
    # What comes back is in stock again; services have none.
    stock = {sku: each["inventory"] and Decimal(each["inventory"]) for sku, each in products.items()}
    assert stock == {"10001": 10, "10002A": 11, "10003": 0, "10004": 0, "POST": None, "BANK CHARGES": None, "D": None}

    sales = found(server, "/api/sales?limit=200&ordering=id")
    by_invoice = {each["notes"].partition(",")[0]: each for each in reversed(sales)}
    lines = by_invoice["Invoice 1001"]["items"]
    assert [(each["quantity"], each["unit_price"], each["returned_quantity"]) for each in lines] == [
        ("6", "2.55", "6"),
        ("6", "2.55", "2"),
        ("1", "3.00", "0"),
    ]
    assert by_invoice["Invoice 1001"]["customer_name"] == "Customer 17850"
    assert by_invoice["Invoice 1002"]["items"][0]["returned_quantity"] == "4"
    assert by_invoice["Invoice 1008"]["items"][0]["returned_quantity"] == "4"
    assert by_invoice["Invoice 1005"]["total_amount"] == "0.00"
    assert by_invoice["Invoice 1005"]["customer_name"] == ""
    assert sorted(len(each["items"]) for each in sales if "1007" in each["notes"]) == [2, 1000]
    earlier = [each for each in sales if each["sale_date"] < "2010-12-01"]
    assert {each["customer_name"]: each["total_amount"] for each in earlier} == {
        "Customer 17850": "4.50",
        "Customer 12583": "12.54",
        "Customer 14527": "27.50",
    }
    assert not [each for each in sales if "1006" in each["notes"]]
    movements = found(server, "/api/inventory/movements?document_type=adjustment")
    assert [(each["product_id"], each["quantity"]) for each in movements] == [(products["10002A"]["id"], "3")]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_difference_is_named(file: Path, server: RunningServer) -> None:
    assert replay(file, *on(server), "--no-twice")[0] == 0
    warehouse = next(each["id"] for each in found(server, "/api/warehouses") if each["code"] == "RETAIL")
    lantern = found(server, "/api/products?sku=10001")[0]["id"]
    item = {"product_id": lantern, "quantity": "1", "unit_price": "2.00"}
    sale = {"channel": "pos", "warehouse": warehouse, "client_timestamp": "2010-12-01T20:00:00Z", "items": [item]}
    assert server.post("/api/sales/sync", {"sales": [sale]})[1]["results"][0]["status"] == "created"

    status, report, _ = replay(file, *on(server), "--no-twice")

    assert status == 1
    assert report["differences"] == [
        "10001 on 2010-12-01: 13 for 33.60 in the file, 14 for 35.60 in the analytics",
        "all of 2010-12-01: 1082 for 213.15 in the file, 1083 for 215.15 in the analytics",
        "10001: 10 should be in stock, and 9 are",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_on_servers_of_its_own(file: Path, engine_name: str) -> None:
    status, report, said = replay(file, "--engine", engine_name)

    assert status == 0, said
    assert report["engine"] == engine_name
    assert report["verified"] is True
    assert report["passes"][0]["created"] == CREATED
    assert report["passes"][1]["created"] == {}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (("C1", "10001", "", 1, "01T08:26:00", "1", "1"), "a positive quantity on a return"),
        (("1", "10001", "", -1, "01T08:26:00", "1", "1"), "a negative quantity with a price"),
        (("1", "10001", "", 1, "01T08:26:00", "", "1"), "no quantity, price or date"),
        (("1", "10001", "", 1, "01T08:26:00", "-1", "1"), "a price below 0"),
    ],
)
def test_a_row_of_an_unknown_kind_is_refused(row: tuple[Any, ...], why: str, tmp_path: Path) -> None:
    status, _, said = replay(write(tmp_path / "till.csv", [row]))

    assert status == 1
    assert "row 2: " in said and why in said
