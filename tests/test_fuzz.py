"""What a machine thinks of: schemathesis sends what OpenAPI allows, and what it does not, to the real application.

What OpenAPI allows is taken: no schema refuses it, each operation succeeds once at least, and every answer is one that
OpenAPI declares for its status.
"""

import os
import traceback
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from tillhook.access import NewUser, create_user
from tillhook.http import validation_failed
from tillhook.server import dispatch
from tillhook.testing.people import PASSWORD, Person

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
#: Examples of each operation, the same in every run; with another number no run is like another.
FEW = 3
EXAMPLES = int(os.environ.get("TILLHOOK_FUZZ_EXAMPLES", FEW))
MODES = {
    "positive": schemathesis.GenerationMode.POSITIVE,
    "negative": schemathesis.GenerationMode.NEGATIVE,
}
#: What schemas refuse and JSON Schema cannot say: the order of two fields, parameters that do not go together.
UNSAID = {"date_to", "end_date", "last", "paper", "width"}
#: Operations that succeed only with what a machine does not think of.
RARE = {
    "GET /api/images/{sha256}": "a picture's hash",
    "GET /api/pos/parked/{parked_id}": "an open sale of the same person",
    "GET /api/pos/receipts/{code}": "a receipt's code",
    "DELETE /api/products/{product_id}/images/{image_id}": "an uploaded picture",
    "DELETE /api/roles/{role_id}": "a role of one's own",
    "POST /api/auth/password": "the present password",
    "PUT /api/auth/pin": "the present password",
    "DELETE /api/auth/pin": "the present password",
    "GET /api/pos/tills/{till_id}/operators": "a till with a device",
    "POST /api/pos/tills/{till_id}/operators": "a till with a device",
    "DELETE /api/pos/tills/{till_id}/operators/current": "a sign-in by PIN",
    "POST /api/auth/refresh": "a refresh token",
    "POST /api/auth/register": "an open registration",
    "POST /api/pos/parked/{parked_id}/discard": "a parked sale",
    "POST /api/pos/parked/{parked_id}/resume": "a parked sale",
    "POST /api/pos/tills/{till_id}/rotate-key": "a till with a device",
    "POST /api/products/import": "a table of products",
    "POST /api/products/{product_id}/images": "a picture",
    "POST /api/sales/devices/{device_id}/write-off": "a device that numbers its sales",
    "POST /api/sales/exceptions/{exception_id}/accept": "a refused sale that can be read",
}


@pytest.fixture
def stocked(make, client):
    """Rows with small keys, which is what is guessed first."""
    category, unit, tax = make.category(), make.unit(), make.tax()
    fields = {"category": category.id, "unit": unit.id, "tax": tax.id, "cost_price": "1.00"}
    product = make.product(stock=50, barcode="2012345000002", **fields)
    make.product(variants=[{"name": "Red"}, {"name": "Blue", "price": "3.00"}])
    make.product(as_="supplier")
    lot = make.product(tracking="lot")
    make.receipt(make.main, [{"product_id": lot.id, "quantity": 5, "batch_number": "A", "expiry_date": "2099-01-01"}])
    sale = make.sale([(product, 2), (lot, 1)], customer_id=make.customer().id)
    client.post(f"/api/sales/{sale.id}/returns", {"lines": [{"line_id": sale["items"][0]["id"], "quantity": 1}]})
    client.post(f"/api/sales/{make.sale([(product, 1)]).id}/cancel", {"reason": "mistake"})
    client.post("/api/sales/sync", {"sales": [{"items": []}]})
    client.put("/api/stock-policies", {"policy": "allow", "product_id": product.id})
    client.post("/api/api-keys", {"name": "till", "scopes": ["sales:sale:post"], "warehouses": [make.main]})
    client.patch("/api/settings", {"default_warehouse": make.main})
    client.post("/api/pos/sessions", {"till": "Till 1", "warehouse": make.main})


@pytest.fixture
def known(make):
    """What is there, by the fields that refer to it; a guess hardly ever meets one."""
    return {
        **dict.fromkeys(("warehouse", "warehouse_id", "from_warehouse", "warehouses"), make.main),
        "to_warehouse": make.other,
        **dict.fromkeys(("permissions", "scopes"), "sales:sale:post"),
        **dict.fromkeys(("roles", "role"), "cashier"),
    }


def voucher(client):
    """Return the code of a voucher."""
    return client.post("/api/vouchers", {"amount": "5", "reason": "goodwill"}).json["code"]


@pytest.fixture
def fitting(make, client, add_picture):
    """Members of path, and of body or query, by operation, where others are refused by the state of things."""
    stocked = make.product(stock=500, barcode="4006381333931")
    line = {"product_id": stocked.id, "quantity": "1"}
    nothing = dict.fromkeys(
        ("payments", "payment_method", "returns", "refund", "refunds", "customer_id", "external_id")
    )
    sale = {"items": [line], "warehouse": make.main, "channel": "pos", "discount_amount": "0", **nothing}
    plain, coloured, marked = make.product(), make.product(variants=[{"name": "Red"}]), make.product(barcode="96385074")
    (barcode,) = client.get(f"/api/products/{marked.id}/barcodes").json["items"]
    sold, archived = make.sale([(stocked, 3)]), make.product(stock=1)
    make.sale([(archived, 1)])
    client.delete(f"/api/products/{archived.id}")
    untaxed = make.tax("0")["id"]
    card, code = make.product(tracking="none", tax=untaxed), voucher(client)
    client.put(f"/api/vouchers/products/{card.id}")
    basket = {name: value for name, value in sale.items() if name != "channel"}
    back = {"sale_id": sold.id, "receipt": None, "sale_number": None, **nothing}
    del back["payments"], back["payment_method"], back["returns"], back["customer_id"]
    return {
        "POST /api/api-keys": {"expires_at": None, "user": None, "warehouses": None},
        "POST /api/auth/login": {"email": "admin@test.com", "password": PASSWORD},
        "PUT /api/users/{user_id}/pin": {"user_id": make.user("cashier").id, "pin": "840217"},
        "POST /api/products/{product_id}/approve": {"product_id": make.product(as_="supplier").id},
        "POST /api/products/{product_id}/reject": {"product_id": make.product(as_="supplier").id},
        "POST /api/products/{product_id}/restore": {"product_id": archived.id},
        "POST /api/products/{product_id}/barcodes": {"product_id": stocked.id, "code": "1", "variant_id": None},
        "DELETE /api/products/{product_id}/barcodes/{barcode_id}": {
            "product_id": marked.id,
            "barcode_id": barcode["id"],
        },
        "PUT /api/products/{product_id}": {"product_id": plain.id, "sku": "PUT", "barcode": None, "barcodes": []},
        "PATCH /api/products/{product_id}/variants/{variant_id}": {
            **{"product_id": coloured.id, "variant_id": coloured["variants"][0]["id"]},
        },
        "POST /api/products/{product_id}/variants": {"product_id": coloured.id, "sku": None, "barcode": None},
        "GET /api/inventory/stock/check": {"product_id": stocked.id, "variant_id": None},
        "GET /api/sales/analytics": {"product_id": stocked.id},
        "PUT /api/products/{product_id}/inventory": {
            **{"product_id": stocked.id, "inventory": "900", "warehouse": make.main},
            **{"variant_id": None, "expected": None},
        },
        "PUT /api/vouchers/products/{product_id}": {"product_id": make.product(tracking="none", tax=untaxed).id},
        "DELETE /api/vouchers/products/{product_id}": {"product_id": card.id},
        "PUT /api/products/{product_id}/images/order": {"product_id": plain.id, "ids": [add_picture(plain)]},
        "PATCH /api/products/{product_id}/images/{image_id}": {
            **{"product_id": marked.id, "image_id": add_picture(marked), "position": 1},
        },
        "GET /api/vouchers/{code}": {"code": code},
        "GET /api/vouchers/{code}/card": {"code": code},
        "PATCH /api/vouchers/{code}": {"code": code, "expires_on": "2099-12-31"},
        "POST /api/vouchers/{code}/void": {"code": voucher(client)},
        "POST /api/vouchers": {"customer_id": None, "expires_on": None, "code": None, "amount": "5"},
        "POST /api/payment-methods": {"name": f"method_{make.number()}"},
        "PATCH /api/payment-methods/{name}": {"name": make.payment_method("scrip")["name"]},
        "DELETE /api/payment-methods/{name}": {"name": make.payment_method("meals")["name"]},
        "POST /api/sales": sale,
        "POST /api/sales/quote": sale,
        "POST /api/telesales/orders": sale,
        "POST /api/pos/sales": basket,
        "POST /api/pos/sell/{code}": {"code": "4006381333931", "quantity": "1", "discount_amount": "0"}
        | {"payments": None, "payment_method": "cash", "discount_per_item": "0", "unit_price": None}
        | {"external_id": None, "customer_id": None, "warehouse": make.main},
        "GET /api/pos/scan/{code}": {"code": "4006381333931"},
        "POST /api/pos/parked": {"body": sale, "warehouse": make.main},
        "POST /api/sales/{sale_id}/cancel": {"sale_id": make.sale([(stocked, 1)]).id},
        "POST /api/pos/returns": back | {"lines": [{"position": 0, "quantity": "1"}]},
        "POST /api/pos/sessions/{session_id}/close": {"session_id": 1, "counted_cash": "1", "counts": None},
    }


@pytest.fixture
def administrator(runtime, tokens):
    """Headers of a new administrator each time: what is tried may log people out."""
    numbers = iter(range(10_000))

    def headers():
        email = f"fuzz{next(numbers)}@test.com"
        with runtime.unit_of_work() as session:
            command = NewUser(email=email, name="Fuzz", password=PASSWORD, roles=("admin",), all_warehouses=True)
            user_id = create_user(session, command).id
        return tokens.headers(Person(user_id, email, "admin"))

    return headers


@pytest.fixture
def refused(monkeypatch):
    """What schemas have refused, as it happens; what a service refuses is not in it."""
    messages = []

    def noting(error):
        messages.append(error.messages)
        return validation_failed(error)

    monkeypatch.setattr(dispatch, "validation_failed", noting)
    return messages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine_name", "mode"), [("sqlite", "positive"), ("sqlite", "negative"), ("postgresql", "positive")]
)
def test_no_request_breaks_the_server_or_its_word(app, stocked, fitting, known, refused, administrator, mode):
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, config=schemathesis.Config())
    operations = [result.ok() for result in schema.get_all_operations()]
    headers, failures = administrator(), {}
    # What is deleted could not be asked for any more.
    for operation in sorted(operations, key=lambda each: each.method.upper() == "DELETE"):
        members = fitting.get(operation.label, {})
        trial = Trial(operation, MODES[mode], headers, known, members, refused)
        try:
            trial.run()
            if mode == "positive" and operation.label not in RARE:
                assert any(status.startswith("2") for status in trial.answers), trial.answers
        except (Exception, BaseExceptionGroup) as error:
            failures[operation.label] = summary(error)
        if "/auth/" in operation.label:
            headers = administrator()
    assert not failures, "\n\n".join(f"{label}: {said}" for label, said in failures.items())


@dataclass
class Trial:
    """One operation, asked a few times; ``answers`` are the statuses with the codes of problems."""

    operation: Any
    mode: Any
    headers: dict[str, str]
    known: dict[str, Any]
    members: dict[str, Any]
    refused: list[Any]
    answers: list[str] = field(default_factory=list)

    def run(self):
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=EXAMPLES == FEW,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(
            case=self.operation.as_strategy(generation_mode=self.mode), key=st.sampled_from([1, 1, 1, 2, 3, None])
        )
        def ask(case, key):
            if key is not None and self.mode is MODES["positive"]:
                self.fit(case, key)
            self.ask(case)

        ask()

    def fit(self, case, key):
        """Make the request refer to rows that are there."""
        for name in case.path_parameters or ():
            case.path_parameters[name] = self.members.get(name, key)
        case.query = referring(case.query, self.known)
        case.body = referring(case.body, self.known)
        members = {name: value for name, value in self.members.items() if name not in (case.path_parameters or ())}
        if isinstance(case.body, dict):
            case.body |= members
        elif members and self.operation.method.upper() == "GET":
            # What is none there is absent.
            query = {**(case.query or {}), **members}
            case.query = {name: value for name, value in query.items() if value is not None}

    def ask(self, case):
        self.refused.clear()
        # A PIN that is guessed would hold up all that comes after it.
        (case.headers or {}).pop("X-Override", None)
        answer = case.call(headers=self.headers)
        self.answers.append(f"{answer.status_code} {problem_code(answer)}".strip())
        case.validate_response(answer, checks=CHECKS)
        # Not by schemathesis' own check, which takes every status where there is a default.
        declared = self.operation.responses.status_codes
        assert str(answer.status_code) in declared, f"{answer.status_code} is not declared"
        if self.mode is MODES["positive"]:
            said = [messages for messages in self.refused if not messages.keys() & UNSAID]
            assert said == [], f"refused although OpenAPI allows it: {said} in {case.body!r} {case.query!r}"


def problem_code(answer):
    """Return the code of an error, which is a problem document and nothing else."""
    if answer.status_code < 400:
        return ""
    assert answer.headers["content-type"][0].startswith("application/problem+json"), answer.text[:300]
    problem = answer.json()
    assert problem["status"] == answer.status_code and problem["request_id"]
    return problem["code"]


def referring(value, known):
    """Return the value with keys and names of what is there."""
    if isinstance(value, list):
        return [referring(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _known(each, known[name]) if name in known else referring(each, known) for name, each in value.items()
    }


def _known(value, known):
    return [known] * len(value[:1]) if isinstance(value, list) else known


def summary(error):
    """Return what a failure says, without the whole answer."""
    causes = getattr(error, "exceptions", None) or [error]
    return "\n".join("".join(traceback.format_exception_only(cause))[:1500] for cause in causes)
