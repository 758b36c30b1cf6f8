"""Logging in, staying logged in, logging out; and what happens to those who guess or steal."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import time_machine
from sqlalchemy import select, update

from tillhook.access.models import AuditEntry, LoginAttempt, RefreshToken, SessionFamily, UserAccount
from tillhook.access.sessions import forget_old_sessions
from tillhook.access.throttle import forget_old_attempts
from tillhook.db import utc_now
from tillhook.runtime import Runtime
from tillhook.settings import update_settings
from tillhook.testing.client import Client
from tillhook.testing.server import RunningServer

LogIn = Callable[..., Any]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def renew(client: Client, token: str) -> Any:
    return client.post("/api/auth/refresh", {"refresh_token": token}, as_=None)


def me(client: Client, token: str) -> Any:
    return client.get("/api/auth/me", as_=None, headers=bearer(token))


def test_log_in_answers_tokens_and_the_user(client: Client, log_in: LogIn) -> None:
    result = log_in("cashier")
    assert result.status_code == 200, result.text
    assert result.json.keys() >= {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert result.json["token_type"] == "Bearer"
    assert result.json["expires_in"] == 900
    assert result.json["user"]["email"] == "cashier@test.com"
    assert result.json["user"]["roles"] == ["cashier"]
    assert "password" not in result.text
    answer = me(client, result.json["access_token"])
    assert answer.status_code == 200
    assert answer.json["user"]["email"] == "cashier@test.com"
    assert answer.json["roles"] == ["cashier"]
    assert [warehouse["name"] for warehouse in answer.json["warehouses"]] == ["Main shop"]


def test_the_address_may_be_written_in_any_case(log_in: LogIn) -> None:
    assert log_in(" Cashier@Test.COM ").status_code == 200


def test_every_wrong_log_in_has_one_answer(runtime: Runtime, log_in: LogIn) -> None:
    with runtime.unit_of_work() as session:
        session.execute(update(UserAccount).where(UserAccount.email == "customer@test.com").values(is_active=False))
    answers = [
        log_in("cashier", "wrong password"),
        log_in("nobody@test.com"),
        log_in("customer"),
        log_in("no address at all"),
        log_in("cashier", ""),
    ]
    assert {answer.status_code for answer in answers} == {401}
    details = [{**answer.json, "request_id": ""} for answer in answers]
    assert all(detail == details[0] for detail in details)


def test_a_hash_of_old_parameters_is_renewed_by_a_log_in(runtime: Runtime, log_in: LogIn) -> None:
    def kept() -> str:
        with runtime.unit_of_work(write=False) as session:
            statement = select(UserAccount.password_hash).where(UserAccount.email == "cashier@test.com")
            return session.scalars(statement).one()

    with runtime.unit_of_work() as session:
        update_settings(session, {"access.password_memory_kib": 64, "access.password_rounds": 3})
    before = kept()
    assert log_in("cashier").status_code == 200
    after = kept()
    assert after != before and "m=64,t=3" in after
    assert log_in("cashier").status_code == 200
    assert kept() == after


def test_a_refresh_token_is_good_once(client: Client, log_in: LogIn) -> None:
    first = log_in("cashier").json
    second = renew(client, first["refresh_token"])
    assert second.status_code == 200, second.text
    assert second.json["refresh_token"] != first["refresh_token"]
    assert me(client, second.json["access_token"]).status_code == 200
    assert renew(client, second.json["refresh_token"]).status_code == 200


def test_a_refresh_token_used_twice_ends_the_session_everywhere(
    client: Client, log_in: LogIn, runtime: Runtime
) -> None:
    other = log_in("cashier").json
    first = log_in("cashier").json
    second = renew(client, first["refresh_token"]).json
    assert me(client, second["access_token"]).status_code == 200  # now it is in the cache
    again = renew(client, first["refresh_token"])
    assert again.status_code == 401
    assert again.headers["content-type"].startswith("application/problem+json")
    assert renew(client, second["refresh_token"]).status_code == 401
    assert me(client, first["access_token"]).status_code == 401
    assert me(client, second["access_token"]).status_code == 401
    assert me(client, other["access_token"]).status_code == 200  # another log-in of the same person
    with runtime.unit_of_work(write=False) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.entity == "session")).one()
        assert entry.action == "revoke"


def test_of_two_refreshes_at_once_one_wins(client: Client, log_in: LogIn) -> None:
    for _ in range(5):
        token = log_in("cashier").json["refresh_token"]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, token=token: renew(client, token).status_code, range(8)))
        assert sorted(answers) == [200] + [401] * 7


@pytest.mark.parametrize("token", ["x", "A" * 43, "th_x_y", "\u00e9" * 20])
def test_unknown_refresh_tokens(client: Client, token: str) -> None:
    assert renew(client, token).status_code == 401


def test_tokens_end_by_themselves(client: Client, log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        tokens = log_in("cashier").json
        clock.shift(901 + 5)
        late = me(client, tokens["access_token"])
        assert (late.status_code, late.json["code"]) == (401, "token-expired")
        tokens = renew(client, tokens["refresh_token"]).json
        assert me(client, tokens["access_token"]).status_code == 200
        clock.shift(31 * 86_400)
        assert renew(client, tokens["refresh_token"]).status_code == 401


def test_only_digests_of_refresh_tokens_are_kept(runtime: Runtime, log_in: LogIn) -> None:
    token = log_in("cashier").json["refresh_token"]
    with runtime.unit_of_work(write=False) as session:
        kept = session.scalars(select(RefreshToken.token_hash)).all()
    assert token not in kept and all(len(each) == 64 for each in kept)


def test_log_out_ends_the_session_at_once(client: Client, log_in: LogIn) -> None:
    tokens = log_in("cashier").json
    other = log_in("cashier").json
    assert me(client, tokens["access_token"]).status_code == 200
    result = client.post("/api/auth/logout", as_=None, headers=bearer(tokens["access_token"]))
    assert result.status_code == 204
    assert me(client, tokens["access_token"]).status_code == 401
    assert renew(client, tokens["refresh_token"]).status_code == 401
    assert me(client, other["access_token"]).status_code == 200


def test_log_out_by_refresh_token(client: Client, log_in: LogIn) -> None:
    tokens = log_in("cashier").json
    body = {"refresh_token": tokens["refresh_token"]}
    assert client.post("/api/auth/logout", body, as_=None).status_code == 204
    assert me(client, tokens["access_token"]).status_code == 401
    assert client.post("/api/auth/logout", body, as_=None).status_code == 204
    assert client.post("/api/auth/logout", as_=None).status_code == 401


@pytest.mark.parametrize("change", ["deactivate", "role"])
def test_lost_rights_are_lost_at_once(client: Client, log_in: LogIn, change: str) -> None:
    tokens = log_in("accountant").json
    headers = bearer(tokens["access_token"])
    assert client.get("/api/audit", as_=None, headers=headers).status_code == 200
    user_id = tokens["user"]["id"]
    if change == "deactivate":
        assert client.delete(f"/api/users/{user_id}").status_code == 204
        assert client.get("/api/audit", as_=None, headers=headers).status_code == 401
        assert renew(client, tokens["refresh_token"]).status_code == 401
        assert log_in("accountant").status_code == 401
    else:
        assert client.patch(f"/api/users/{user_id}", {"roles": ["cashier"]}).status_code == 200
        assert client.get("/api/audit", as_=None, headers=headers).status_code == 403


def test_guessing_is_slowed_down(client: Client, log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        assert [log_in("cashier", "guess").status_code for _ in range(5)] == [401] * 5
        blocked = log_in("cashier")  # even with the right password
        assert (blocked.status_code, blocked.json["code"]) == (429, "too-many-attempts")
        wait_s = int(blocked.headers["retry-after"])
        assert 0 < wait_s <= 10
        for _ in range(50):  # hammering does not make it longer
            assert log_in("cashier", "guess").status_code == 429
        clock.shift(wait_s)
        assert log_in("cashier", "guess").status_code == 401
        longer = int(log_in("cashier").headers["retry-after"])
        assert wait_s < longer <= 900
        clock.shift(longer)
        assert log_in("cashier").status_code == 200
        assert [log_in("cashier", "guess").status_code for _ in range(4)] == [401] * 4
        assert log_in("cashier").status_code == 200


def test_waits_have_an_end(log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        longest = 0
        for _ in range(30):
            answer = log_in("cashier", "guess")
            if answer.status_code == 429:
                longest = max(longest, int(answer.headers["retry-after"]))
                clock.shift(int(answer.headers["retry-after"]))
        assert 100 < longest <= 900
        assert log_in("cashier", "guess").status_code in (401, 429)
        clock.shift(900)
        assert log_in("cashier").status_code == 200


def test_a_guesser_elsewhere_does_not_lock_the_owner_out(log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        assert log_in("cashier", address="10.0.0.1").status_code == 200
        answers = [log_in("cashier", "guess", address=f"192.0.2.{number}").status_code for number in range(1, 60)]
        assert answers[:30] == [401] * 30 and 429 in answers  # from many places the account as a whole waits
        assert log_in("cashier", address="192.0.2.200").status_code == 429
        assert log_in("cashier", address="10.0.0.1").status_code == 200


def test_one_address_cannot_try_many_accounts(log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        assert log_in("cashier", address="192.0.2.1").status_code == 200
        answers = [log_in(f"user{number}@test.com", address="192.0.2.1").status_code for number in range(110)]
        assert answers[:100] == [401] * 100 and answers[100:] == [429] * 10
        assert log_in("supplier", address="192.0.2.1").status_code == 429
        # Whoever worked from there before goes on working.
        assert log_in("cashier", address="192.0.2.1").status_code == 200
        assert log_in("supplier", address="192.0.2.2").status_code == 200


def test_addresses_of_one_ipv6_network_count_as_one(log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        for number in range(5):
            assert log_in("cashier", "guess", address=f"2001:db8::{number}").status_code == 401
        assert log_in("cashier", address="2001:db8::99").status_code == 429
        assert log_in("cashier", address="2001:db8:0:1::1").status_code == 200


def test_failures_at_once_are_all_counted(runtime: Runtime, log_in: LogIn) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: log_in("cashier", "guess").status_code, range(4)))
    assert answers == [401] * 4
    with runtime.unit_of_work(write=False) as session:
        assert sorted(session.scalars(select(LoginAttempt.failures))) == [4, 4, 4]


def test_the_count_begins_anew_after_an_hour(runtime: Runtime, log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        assert [log_in("cashier", "guess").status_code for _ in range(4)] == [401] * 4
        clock.shift(3601)
        assert [log_in("cashier", "guess").status_code for _ in range(4)] == [401] * 4
        clock.shift(86_401)
        with runtime.unit_of_work() as session:
            forget_old_attempts(session)
            assert session.scalars(select(LoginAttempt)).all() == []


def test_what_is_typed_as_an_address_is_not_kept(runtime: Runtime, log_in: LogIn) -> None:
    log_in("my secret password")
    with runtime.unit_of_work(write=False) as session:
        assert not any("secret" in key for key in session.scalars(select(LoginAttempt.key)))


def test_changing_the_password_ends_the_other_sessions(client: Client, log_in: LogIn) -> None:
    mine, other = log_in("cashier").json, log_in("cashier").json
    body = {"current_password": "testpass123", "new_password": "another pass"}
    wrong = {**body, "current_password": "guess"}
    headers = bearer(mine["access_token"])
    refused = client.post("/api/auth/password", wrong, as_=None, headers=headers)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "current_password")
    short = client.post("/api/auth/password", {**body, "new_password": "short"}, as_=None, headers=headers)
    assert (short.status_code, short.json["errors"][0]["field"]) == (422, "new_password")
    assert client.post("/api/auth/password", body, as_=None, headers=headers).status_code == 204
    assert me(client, mine["access_token"]).status_code == 200
    assert me(client, other["access_token"]).status_code == 401
    assert renew(client, other["refresh_token"]).status_code == 401
    assert log_in("cashier").status_code == 401
    assert log_in("cashier", "another pass").status_code == 200


def test_the_present_password_cannot_be_guessed_through_a_change(client: Client, log_in: LogIn) -> None:
    headers = bearer(log_in("cashier").json["access_token"])
    body = {"current_password": "guess", "new_password": "another pass"}
    answers = [client.post("/api/auth/password", body, as_=None, headers=headers).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


def test_customers_sign_up_only_when_that_is_enabled(client: Client, runtime: Runtime, log_in: LogIn) -> None:
    body = {"email": "Eve@Example.com", "name": "Eve", "password": "evespassword"}
    closed = client.post("/api/auth/register", body, as_=None)
    assert (closed.status_code, closed.json["code"]) == (403, "registration-closed")
    with runtime.unit_of_work() as session:
        update_settings(session, {"access.customer_registration": True})
    made = client.post("/api/auth/register", body, as_=None)
    assert made.status_code == 201, made.text
    assert made.json["user"]["roles"] == ["customer"]
    answer = me(client, made.json["access_token"])
    assert answer.status_code == 200
    assert (answer.json["permissions"], answer.json["warehouses"]) == ([], [])
    assert log_in("eve@example.com", "evespassword").status_code == 200
    again = client.post("/api/auth/register", {**body, "email": "EVE@example.com"}, as_=None)
    assert (again.status_code, again.json["code"]) == (409, "email-taken")
    assert client.post("/api/auth/register", {**body, "roles": ["admin"]}, as_=None).status_code == 422


def test_old_sessions_are_cleaned_up(runtime: Runtime, log_in: LogIn) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        assert log_in("cashier").status_code == 200
        clock.shift(20 * 86_400)
        assert log_in("cashier").status_code == 200
        clock.shift(15 * 86_400)
        with runtime.unit_of_work() as session:
            forget_old_sessions(session)
            assert len(session.scalars(select(RefreshToken)).all()) == 1
        clock.shift(365 * 86_400)
        with runtime.unit_of_work() as session:
            forget_old_sessions(session)
            assert session.scalars(select(RefreshToken)).all() == []
            assert session.scalars(select(SessionFamily).where(SessionFamily.created_at < utc_now())).all() == []


@pytest.mark.parametrize(
    "body",
    [{}, {"email": "a@b.co"}, {"email": 1, "password": "x"}, {"email": "a", "password": "b", "role": "c"}],
)
def test_log_in_bodies_that_are_wrong(client: Client, body: dict[str, Any]) -> None:
    assert client.post("/api/auth/login", body, as_=None).status_code == 422


@pytest.mark.parametrize(("engine_name", "way"), [("sqlite", "log-out"), ("postgresql", "reuse")])
def test_a_session_ends_in_every_process(server: RunningServer, way: str) -> None:
    body = {"email": "cashier@test.com", "password": "testpass123"}
    tokens = requests.post(f"{server.url}/api/auth/login", json=body, timeout=10).json()
    headers = bearer(tokens["access_token"])

    def statuses() -> set[int]:
        # Each on a connection of its own, so that both processes answer some and keep the actor.
        url = f"{server.url}/api/auth/me"
        return {requests.get(url, headers=headers, timeout=10).status_code for _ in range(30)}

    assert statuses() == {200}
    if way == "log-out":
        done = requests.post(f"{server.url}/api/auth/logout", headers=headers, timeout=10)
        assert done.status_code == 204
    else:
        again = {"refresh_token": tokens["refresh_token"]}
        codes = [requests.post(f"{server.url}/api/auth/refresh", json=again, timeout=10).status_code for _ in "12"]
        assert codes == [200, 401]
    assert statuses() == {401}
