"""The tests of vouchers run with them, and the core's own test channel."""

import uuid

import pytest

from tillhook.testing import Factory, Made


class VoucherFactory(Factory):
    """What the tests of vouchers need besides products and sales."""

    def voucher(self, amount="50.00", **fields) -> Made:
        """Issue a voucher for nothing."""
        return self.post("/api/vouchers", {"amount": amount, "reason": "goodwill", **fields})

    def gift_card(self, price="50.00", **fields) -> Made:
        """Make a product that is a gift card."""
        product = self.product(price=price, tracking="none", **fields)
        assert self.client.put(f"/api/vouchers/products/{product.id}").status_code == 200
        return product

    def body(self, product, quantity="1", **fields) -> dict:
        """Return the body of a sale with an id of its own."""
        item = {"product_id": product.id, "quantity": quantity, "unit_price": product.price}
        place = {"channel": "counter", "warehouse": self.main, "external_id": str(uuid.uuid4())}
        return {**place, "items": [item], **fields}

    def by(self, code, amount) -> list[dict]:
        """Return the payments of a sale that a voucher pays."""
        return [{"method": "voucher", "amount": amount, "reference": code}]

    def balance(self, code) -> str:
        return self.client.get(f"/api/vouchers/{code}").json["balance"]


@pytest.fixture
def modules():
    return ("counter", "vouchers")


@pytest.fixture
def make_class():
    return VoucherFactory


@pytest.fixture
def bread(make):
    return make.product(price="20.00", stock=500)
