"""What is append-only refuses every way of changing a row, also those that do not say UPDATE or DELETE."""

import pytest

TABLES = ("sale", "sale_line", "sale_payment", "stock_movement", "stock_document", "stock_count_line", "audit_entry")


def book(make):
    """Make a row in each of them."""
    product = make.product(stock=3)
    make.sale([(product, 1)])
    make.post("/api/inventory/counts", {"warehouse": make.main, "lines": [{"product_id": product.id, "quantity": 2}]})


def run(runtime, statement):
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(statement)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_insert_or_replace_is_refused(runtime, make, table):
    book(make)
    with pytest.raises(Exception, match="append-only"):
        run(runtime, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_truncate_is_refused(runtime, make, table):
    book(make)
    with pytest.raises(Exception, match="append-only"):
        run(runtime, f"TRUNCATE {table}")


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_truncating_what_they_refer_to_is_refused(runtime, make):
    make.sale([(make.product(stock=3), 1)])
    with pytest.raises(Exception, match="append-only"):
        run(runtime, "TRUNCATE variant CASCADE")


def test_the_outbox_may_be_numbered_and_emptied(runtime, make):
    make.product(stock=3)
    run(runtime, "UPDATE outbox SET seq = id")
    run(runtime, "DELETE FROM outbox")
