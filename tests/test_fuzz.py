"""What a machine thinks of: schemathesis sends what OpenAPI allows, and what it does not, to the real application."""

import os
import time
import traceback

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
    status_code_conformance,
)

from tillhook.access import NewUser, create_user
from tillhook.testing.people import PASSWORD, Person

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
#: Seconds per test, after which the rest of the operations get one example each.
BUDGET_S = 20
#: Examples of each operation; with more than the default the budget does not count, and no run is like another.
EXAMPLES = int(os.environ.get("TILLHOOK_FUZZ_EXAMPLES", "10"))
MODES = {
    "positive": schemathesis.GenerationMode.POSITIVE,
    "negative": schemathesis.GenerationMode.NEGATIVE,
}


@pytest.fixture
def stocked(make, client):
    """Rows with small keys, which is what is guessed first."""
    category, unit, tax = make.category(), make.unit(), make.tax()
    fields = {"category": category.id, "unit": unit.id, "tax": tax.id, "cost_price": "1.00"}
    product = make.product(stock=50, barcode="4006381333931", **fields)
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
    return product


@pytest.fixture
def administrator(runtime, tokens):
    """Headers of a new administrator each time: what is tried may close accounts and log people out."""
    numbers = iter(range(10_000))

    def headers():
        email = f"fuzz{next(numbers)}@test.com"
        with runtime.unit_of_work() as session:
            command = NewUser(email=email, name="Fuzz", password=PASSWORD, roles=("admin",), all_warehouses=True)
            user_id = create_user(session, command).id
        return tokens.headers(Person(user_id, email, "admin"))

    return headers


def summary(error):
    """Return what a failure says, without the whole answer."""
    causes = getattr(error, "exceptions", None) or [error]
    return "\n".join("".join(traceback.format_exception_only(cause))[:1500] for cause in causes)


def problem_document(answer):
    """An error is a problem document, and nothing else."""
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith("application/problem+json"), answer.text[:300]
        assert answer.json()["status"] == answer.status_code and answer.json()["request_id"]


@pytest.mark.parametrize(
    ("engine_name", "mode"), [("sqlite", "positive"), ("sqlite", "negative"), ("postgresql", "positive")]
)
def test_no_request_breaks_the_server_or_its_word(app, stocked, administrator, mode):
    config = schemathesis.Config()
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, config=config)
    ends_at = time.monotonic() + BUDGET_S
    failures = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        examples = EXAMPLES if time.monotonic() < ends_at or EXAMPLES > 10 else 1
        try:
            fuzz(operation, MODES[mode], administrator(), examples)
        except (Exception, BaseExceptionGroup) as error:
            failures[operation.label] = summary(error)
    assert failures == {}


def fuzz(operation, mode, headers, examples):
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=EXAMPLES <= 10,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), key=st.sampled_from([None, 1, 2, 3]))
    def ask(case, key):
        if key is not None and mode is schemathesis.GenerationMode.POSITIVE:
            # Rows that are there; a guess hardly ever meets one.
            for name in case.path_parameters or ():
                case.path_parameters[name] = key
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        problem_document(answer)

    ask()
