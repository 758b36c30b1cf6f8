"""A sale that names no channel is of the one that says it is the default, else of the only one."""

import uuid

import pytest

from tillhook.testing import write_plugin


def body(make, product, **fields):
    external_id = str(uuid.uuid4())
    return {
        "external_id": external_id,
        "warehouse": make.main,
        "items": [{"product_id": product.id, "quantity": 1}],
    } | fields


class TestOnlyOne:
    @pytest.fixture
    def modules(self, databases):
        return ("counter",)

    def test_it_is_the_default(self, client, make):
        product = make.product(price="10.00", stock=9)
        unnamed = body(make, product)
        made = client.post("/api/sales", unnamed)
        assert (made.status_code, made.json["channel"]) == (201, "counter")
        again = client.post("/api/sales", unnamed | {"channel": "counter"})
        assert (again.status_code, again.json["id"]) == (200, made.json["id"]), "named or not, it is the same sale"
        assert client.post("/api/sales/quote", body(make, product)).json["channel"] == "counter"
        results = client.post("/api/sales/sync", {"sales": [unnamed, body(make, product)]}).json["results"]
        assert [result["status"] for result in results] == ["duplicate", "created"]

    def test_a_refused_sale_is_stored_with_it(self, client, make):
        refused = body(make, make.product(price="10.00"), customer_id=999_999)
        (result,) = client.post("/api/sales/sync", {"sales": [refused]}).json["results"]
        assert result["status"] == "rejected"
        (exception,) = client.get("/api/sales/exceptions").json["items"]
        assert exception["channel"] == "counter"


class TestNone:
    @pytest.fixture
    def modules(self, databases):
        return ()

    def test_a_sale_is_refused(self, client, make):
        answer = client.post("/api/sales", body(make, make.product()))
        assert answer.status_code == 422 and answer.json["code"] == "unknown-channel"


HOOKS = """
from tillhook import hookimpl
from tillhook.hooks import Channel

@hookimpl
def register_channels():
    return [Channel(name="market", title="", number_prefix="MK", is_default=True)]
"""


class TestSeveral:
    @pytest.fixture
    def modules(self, databases, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(str(tmp_path))
        write_plugin(tmp_path, "market", HOOKS)
        return ("counter", "market")

    def test_one_says_that_it_is_the_default(self, client, make):
        made = client.post("/api/sales", body(make, make.product(price="10.00", stock=9)))
        assert (made.status_code, made.json["channel"]) == (201, "market")
