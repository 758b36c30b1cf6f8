"""PINs: set by oneself or by an admin, never shown, guarded against guessing; and overrides by them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tillhook.access.models import LoginAttempt, UserAccount
from tillhook.access.overriding import lend, prove_override
from tillhook.access.throttle import PIN_MEMORY
from tillhook.actor import Actor
from tillhook.db import utc_now
from tillhook.errors import PermissionDenied
from tillhook.runtime import Runtime
from tillhook.testing.client import Client
from tillhook.testing.factories import Factory
from tillhook.testing.people import Person

PASSWORD, PIN = "testpass123", "840217"


def user(client: Client, role: str) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/api/users?role={role}").json["items"][0]
    return shown


def set_pin(client: Client, role: str, pin: str = PIN) -> int:
    user_id = int(user(client, role)["id"])
    answer = client.put(f"/api/users/{user_id}/pin", {"pin": pin})
    assert answer.status_code == 204, answer.text
    return user_id


def by(person: object, pin: str = PIN) -> dict[str, str]:
    return {"X-Override": f"{person}:{pin}"}


@pytest.fixture
def manager(client: Client) -> int:
    return set_pin(client, "manager")


@pytest.fixture
def sold(client: Client, make: Factory) -> dict[str, Any]:
    """A sale of 10.00 by a colleague of the cashier."""
    product = make.product(price="10.00", stock=20)
    colleague = make.user("cashier")
    body = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product.id, "quantity": "1"}]}
    sale = client.post("/api/sales", body, as_=colleague)
    assert sale.status_code == 201, sale.text
    return {**sale.json, "body": body}


def test_a_pin_is_set_by_oneself_with_the_password(client: Client) -> None:
    assert client.get("/api/auth/me", as_="cashier").json["user"]["has_pin"] is False
    body = {"current_password": PASSWORD, "pin": PIN}
    assert client.put("/api/auth/pin", body, as_="cashier").status_code == 204
    assert client.get("/api/auth/me", as_="cashier").json["user"]["has_pin"] is True
    shown = user(client, "cashier")
    assert shown["has_pin"] is True and PIN not in str(shown) and "argon" not in str(shown)
    entries = client.get("/api/audit", params={"entity": "user", "action": "update"}).json["items"]
    assert entries[0]["actor"] == shown["id"]
    assert (entries[0]["before"], entries[0]["after"]) == ({"has_pin": False}, {"has_pin": True})
    wrong = client.put("/api/auth/pin", {**body, "current_password": "wrong"}, as_="cashier")
    assert (wrong.status_code, wrong.json["code"]) == (422, "wrong-credentials")
    assert client.delete("/api/auth/pin", {"current_password": "wrong"}, as_="cashier").status_code == 422
    assert client.delete("/api/auth/pin", {"current_password": PASSWORD}, as_="cashier").status_code == 204
    assert user(client, "cashier")["has_pin"] is False


def test_a_pin_is_set_and_removed_by_who_manages_the_user(client: Client) -> None:
    cashier, admin = set_pin(client, "cashier"), user(client, "admin")["id"]
    assert user(client, "cashier")["has_pin"] is True
    assert client.put(f"/api/users/{admin}/pin", {"pin": PIN}, as_="manager").status_code == 403
    assert client.delete(f"/api/users/{cashier}/pin").status_code == 204
    assert user(client, "cashier")["has_pin"] is False
    assert client.put("/api/users/99999/pin", {"pin": PIN}).status_code == 404


def test_nobody_without_the_others_rights_sets_their_pin(client: Client, make: Factory) -> None:
    role = {"name": "helper", "permissions": ["access:user:manage"]}
    assert client.post("/api/roles", role).status_code == 201
    made = {"email": "h@test.com", "name": "H", "password": PASSWORD, "roles": ["helper"], "warehouses": [make.main]}
    helper = Person(client.post("/api/users", made).json["id"], "h@test.com", "helper")
    answer = client.put(f"/api/users/{user(client, 'manager')['id']}/pin", {"pin": PIN}, as_=helper)
    assert (answer.status_code, answer.json["code"]) == (403, "cannot-grant")


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("pin", "code"),
    [
        ("0000", "weak-pin"),
        ("1234", "weak-pin"),
        ("9876543210", "weak-pin"),
        ("7890", "weak-pin"),
        ("1212", "weak-pin"),
        ("123", "validation-failed"),
        ("1234567890123", "validation-failed"),
        ("12a4", "validation-failed"),
        ("١٢٣٩", "validation-failed"),
        (8402, "validation-failed"),
        (None, "validation-failed"),
    ],
)
def test_pins_that_will_not_do(client: Client, pin: object, code: str) -> None:
    answer = client.put(f"/api/users/{user(client, 'cashier')['id']}/pin", {"pin": pin})
    assert (answer.status_code, answer.json["code"], answer.json["errors"][0]["field"]) == (422, code, "pin")
    own = client.put("/api/auth/pin", {"pin": pin, "current_password": PASSWORD}, as_="cashier")
    assert (own.status_code, own.json["code"]) == (422, code)


def test_a_key_is_no_person_and_sets_no_pin(client: Client) -> None:
    made = client.post("/api/api-keys", {"name": "k", "scopes": ["sales:sale:read"]}).json
    headers = {"X-API-Key": made["key"]}
    answer = client.put("/api/auth/pin", {"pin": PIN, "current_password": PASSWORD}, as_=None, headers=headers)
    assert answer.status_code == 403


def test_a_discount_beyond_the_limit_is_approved_by_a_manager(client: Client, manager: int, sold: Any) -> None:
    body = {**sold["body"], "discount_amount": "4.00"}
    refused = client.post("/api/sales", body, as_="cashier")
    assert (refused.status_code, refused.json["code"]) == (403, "discount-limit")
    sale = client.post("/api/sales", body, as_="cashier", headers=by("manager@test.com"))
    assert sale.status_code == 201, sale.text
    assert sale.json["seller_name"] == "Cashier"
    shown = client.get(f"/api/sales/{sale.json['id']}", as_="cashier").json
    assert shown["approved_by"] == {"id": manager, "name": "Manager", "permissions": ["sales:sale:discount"]}
    (entry,) = client.get("/api/audit", params={"action": "override"}).json["items"]
    assert (entry["actor_name"], entry["entity"], entry["entity_id"]) == ("Cashier", "sale", str(sale.json["id"]))
    assert entry["after"]["approved_by"] == manager and entry["after"]["request"] == "POST /api/sales"
    # Nobody gives more than they may themselves, and once is once.
    body["discount_amount"] = "5.01"
    assert client.post("/api/sales", body, as_="cashier", headers=by(manager)).json["code"] == "discount-limit"
    body["discount_amount"] = "4.00"
    assert client.post("/api/sales", body, as_="cashier").status_code == 403
    assert PIN not in client.get("/api/audit").text


def test_a_sale_that_needed_no_override_shows_none(client: Client, manager: int, sold: Any) -> None:
    sale = client.post("/api/sales", sold["body"], as_="cashier", headers=by(manager)).json
    assert "approved_by" not in client.get(f"/api/sales/{sale['id']}", as_="cashier").json


def test_a_cancellation_is_approved_by_a_manager(client: Client, manager: int, sold: Any) -> None:
    path = f"/api/sales/{sold['id']}/cancel"
    assert client.post(path, {"reason": "wrong"}, as_="cashier").status_code == 403
    cancelled = client.post(path, {"reason": "wrong"}, as_="cashier", headers=by(manager))
    assert cancelled.status_code == 200, cancelled.text
    approver = client.get(f"/api/sales/{sold['id']}").json["approved_by"]
    assert approver["id"] == manager
    assert approver["permissions"] == ["sales:sale:cancel", "sales:sale:read_all"]


def test_a_refund_of_a_colleagues_sale_is_approved_by_a_manager(client: Client, manager: int, sold: Any) -> None:
    path, body = f"/api/sales/{sold['id']}/returns", {"lines": [{"line_id": sold["items"][0]["id"], "quantity": "1"}]}
    assert client.post(path, body, as_="cashier").status_code == 404
    back = client.post(path, body, as_="cashier", headers=by(manager))
    assert back.status_code == 201, back.text
    assert back.json["seller_name"] == "Cashier"
    assert client.get(f"/api/sales/{back.json['id']}").json["approved_by"]["permissions"] == ["sales:sale:read_all"]
    # The sale stays a colleague's.
    assert client.get(f"/api/sales/{sold['id']}", as_="cashier").status_code == 404


@pytest.mark.parametrize("case", ["wrong pin", "nobody", "nobody's id", "no pin", "inactive", "oneself", "may not"])
def test_overrides_that_are_refused(client: Client, make: Factory, manager: int, sold: Any, case: str) -> None:
    cashier, accountant = set_pin(client, "cashier"), set_pin(client, "accountant")
    if case == "inactive":
        client.delete(f"/api/users/{manager}")
    headers = {
        "wrong pin": by(manager, "111111"),
        "nobody": by("nobody@test.com"),
        "nobody's id": by(999999),
        "no pin": by("admin@test.com"),
        "inactive": by(manager),
        "oneself": by(cashier),
        "may not": by(accountant),
    }[case]
    answer = client.post(f"/api/sales/{sold['id']}/cancel", {"reason": "x"}, as_="cashier", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "override-refused"), answer.text
    if case in ("wrong pin", "nobody", "nobody's id", "no pin", "inactive"):
        assert answer.json["detail"] == "There is no such person, or it is not their PIN."
    assert client.get(f"/api/sales/{sold['id']}").json["is_cancelled"] is False
    assert client.get("/api/audit", params={"action": "override"}).json["items"] == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("header", ["", ":", "1:", ":1", "x", "a\x7f:1234", "x" * 400 + ":1234"])
def test_headers_of_another_form(client: Client, sold: Any, header: str) -> None:
    answer = client.post(
        f"/api/sales/{sold['id']}/cancel", {"reason": "x"}, as_="cashier", headers={"X-Override": header}
    )
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "X-Override")


def test_where_nothing_is_lent_the_header_is_refused(client: Client, manager: int) -> None:
    for method, path in (("GET", "/api/sales"), ("POST", "/api/auth/logout"), ("PUT", "/api/auth/pin")):
        answer = client.request(method, path, as_="cashier", headers=by(manager))
        assert (answer.status_code, answer.json["code"]) == (422, "override-not-taken")


def test_an_override_is_good_where_both_work(client: Client, make: Factory, manager: int) -> None:
    product = make.product(price="10.00", stock={make.main: 5, make.other: 5})
    both = make.user("cashier", warehouses=[make.main, make.other])
    elsewhere = make.user("cashier", warehouses=[make.other])
    body = {
        "channel": "counter",
        "warehouse": make.other,
        "discount_amount": "4.00",
        "items": [{"product_id": product.id, "quantity": "1"}],
    }
    assert client.post("/api/sales", body, as_=both, headers=by(manager)).json["code"] == "foreign-warehouse"
    assert client.post("/api/sales", body, as_=elsewhere, headers=by(manager)).json["code"] == "override-refused"
    assert client.post("/api/sales", {**body, "warehouse": make.main}, as_=both, headers=by(manager)).status_code == 201


def test_another_shop_and_customers_cannot_block_a_pin(client: Client, make: Factory, manager: int, sold: Any) -> None:
    elsewhere = make.user("cashier", warehouses=[make.other])
    path = f"/api/sales/{sold['id']}/cancel"
    for stranger in (elsewhere, "customer"):
        for _ in range(25):
            answer = client.post(path, {"reason": "x"}, as_=stranger, headers=by(manager, "555555"))
            assert answer.json["code"] in ("override-refused", "too-many-attempts")
    answer = client.post(path, {"reason": "x"}, as_="cashier", headers=by(manager))
    assert answer.status_code == 200, answer.text


def test_no_administration_by_a_pin(client: Client) -> None:
    admin = set_pin(client, "admin")
    new = {"email": "x@test.com", "name": "X", "password": PASSWORD, "roles": ["admin"]}
    refused = client.post("/api/users", new, as_="cashier", headers=by(admin))
    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert client.patch("/api/settings", {"currency": "USD"}, as_="cashier", headers=by(admin)).status_code == 403


def test_an_answer_that_is_given_again_is_one_override(client: Client, manager: int, sold: Any) -> None:
    path, headers = f"/api/sales/{sold['id']}/cancel", by(manager) | {"Idempotency-Key": "once"}
    first = client.post(path, {"reason": "x"}, as_="cashier", headers=headers)
    again = client.post(path, {"reason": "x"}, as_="cashier", headers=headers)
    assert (first.status_code, again.status_code, again.json) == (200, 200, first.json)
    assert len(client.get("/api/audit", params={"action": "override"}).json["items"]) == 1


def test_a_return_that_is_sent_again_is_approved_once(client: Client, manager: int, sold: Any) -> None:
    lines = [{"line_id": sold["items"][0]["id"], "quantity": "1"}]
    path, body = f"/api/sales/{sold['id']}/returns", {"external_id": str(uuid.uuid4()), "lines": lines}
    other = set_pin(client, "admin")
    sent = [client.post(path, body, as_="cashier", headers=by(each)) for each in (manager, other)]
    assert [answer.status_code for answer in sent] == [201, 200]
    assert len(client.get("/api/audit", params={"action": "override"}).json["items"]) == 1
    assert client.get(f"/api/sales/{sent[0].json['id']}").json["approved_by"]["id"] == manager


def guess(client: Client, sale: int, pin: str, person: object = "manager@test.com") -> Any:
    return client.post(f"/api/sales/{sale}/cancel", {"reason": "x"}, as_="cashier", headers=by(person, pin))


def test_guessing_is_slowed_down_and_hammering_does_not_prolong_it(client: Client, manager: int, sold: Any) -> None:
    for _ in range(5):
        assert guess(client, sold["id"], "555555").json["code"] == "override-refused"
    waits = [guess(client, sold["id"], PIN, person) for person in ("manager@test.com", manager)]
    assert {answer.status_code for answer in waits} == {429}
    assert 0 < int(waits[0].headers["Retry-After"]) <= 30
    assert client.get(f"/api/sales/{sold['id']}").json["is_cancelled"] is False
    entries = client.get("/api/audit", params={"action": "refuse", "entity": "pin"}).json["items"]
    assert [entry["entity_id"] for entry in entries] == [str(manager)] * 5
    assert entries[0]["actor_name"] == "Cashier" and "555555" not in str(entries)


def test_the_answer_does_not_say_whether_a_person_exists(client: Client, manager: int, sold: Any) -> None:
    real, nobody = ([guess(client, sold["id"], "555555", who) for _ in range(6)] for who in (manager, 888888))
    assert [answer.status_code for answer in real] == [answer.status_code for answer in nobody] == [403] * 5 + [429]
    assert real[0].json["detail"] == nobody[0].json["detail"]


def test_of_many_guesses_at_once_no_more_get_through_than_are_free(client: Client, manager: int, sold: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: guess(client, sold["id"], "555555").status_code, range(24)))
    assert answers.count(403) <= 5 and set(answers) <= {403, 429}


def test_a_right_pin_forgets_the_wrong_ones_before_it(
    client: Client, manager: int, sold: Any, runtime: Runtime
) -> None:
    for _ in range(4):
        guess(client, sold["id"], "555555")
    assert guess(client, sold["id"], PIN).status_code == 200
    for _ in range(5):
        assert guess(client, sold["id"], "555555").status_code == 403
    assert guess(client, sold["id"], PIN).status_code == 429
    with runtime.unit_of_work() as session:
        session.execute(update(LoginAttempt).values(blocked_until=utc_now() - timedelta(seconds=1)))
    assert guess(client, sold["id"], PIN).status_code == 409  # cancelled before
    with runtime.unit_of_work() as session:
        # Only the place's own count is left.
        assert len(session.scalars(select(LoginAttempt.key)).all()) == 1
        assert PIN_MEMORY == timedelta(days=1)


def test_a_right_pin_is_worth_nothing_once_its_owner_has_gone(client: Client, manager: int, runtime: Runtime) -> None:
    cashier = Actor(user_id=user(client, "cashier")["id"], warehouse_ids=None)
    proof = prove_override(runtime, cashier, f"{manager}:{PIN}", "10.0.0.1", "")

    def lent() -> Actor:
        with runtime.database.connect() as connection:
            return lend(connection, runtime.snapshots.current(connection), cashier, proof)

    assert lent().can("sales:sale:cancel")
    client.delete(f"/api/users/{manager}")
    with pytest.raises(PermissionDenied) as refused:
        lent()
    assert refused.value.code == "override-refused"


def test_the_pin_is_hashed(client: Client, manager: int, runtime: Runtime) -> None:
    with runtime.unit_of_work(write=False) as session:
        kept = session.get_one(UserAccount, manager).pin_hash
    assert kept is not None and kept.startswith("$argon2id$")


def test_openapi_names_the_header(client: Client) -> None:
    paths = client.get("/api/openapi.json", as_=None).json["paths"]
    named = {parameter["name"] for parameter in paths["/api/sales"]["post"]["parameters"]}
    assert "X-Override" in named
    assert "X-Override" not in {parameter["name"] for parameter in paths["/api/sales"]["get"]["parameters"]}
