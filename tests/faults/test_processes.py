"""Processes that die, hang or are left behind."""

import pytest

pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_process_that_dies_is_replaced_and_the_shop_sells_on(start_shop, make):
    product = make.product(stock=10)
    shop = start_shop(workers=2)
    shop.kill_worker()
    sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
    assert shop.post("/api/sales", sale)[0] == 201
