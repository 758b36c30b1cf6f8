"""Guessing at once, guessing while the clock is wrong, and what asking for nobody costs."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import event, func, select, update

from tillhook.access import passwords
from tillhook.access.models import LoginAttempt, UserAccount
from tillhook.access.passwords import MEMORY_KIB, ROUNDS, hash_password, hashing
from tillhook.access.throttle import ADDRESS, PAIR, forget_old_attempts
from tillhook.errors import TooManyRequests
from tillhook.runtime import Runtime
from tillhook.settings import update_settings
from tillhook.testing.client import Client

LogIn = Callable[..., Any]
NOON = "2026-03-01T12:00:00Z"


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Call ``work`` so often, eight at a time, as a process does that has the usual threads."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, range(count)))


@contextlib.contextmanager
def writes(runtime: Runtime) -> Iterator[list[str]]:
    """Yield the statements that write, as they come."""
    written: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6] in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement)

    event.listen(runtime.database.engine, "before_cursor_execute", note)
    yield written
    event.remove(runtime.database.engine, "before_cursor_execute", note)


def counts(runtime: Runtime) -> list[int]:
    with runtime.unit_of_work(write=False) as session:
        return sorted(session.scalars(select(LoginAttempt.failures)))


def test_of_64_guesses_at_once_five_are_checked(log_in: LogIn, runtime: Runtime) -> None:
    answers = at_once(64, lambda _: log_in("cashier", "guess").status_code)
    assert (answers.count(401), answers.count(429)) == (5, 59)
    assert counts(runtime) == [5, 5, 5]
    assert log_in("cashier").status_code == 429


def test_64_guesses_from_as_many_places_count_for_the_account(log_in: LogIn, runtime: Runtime) -> None:
    answers = at_once(64, lambda number: log_in("cashier", "guess", address=f"192.0.2.{number}").status_code)
    assert (answers.count(401), answers.count(429)) == (30, 34)
    assert counts(runtime)[-1] == 30


def test_64_guesses_at_as_many_accounts_count_for_the_address(log_in: LogIn, runtime: Runtime) -> None:
    free = ADDRESS.free - 64
    log_in("cashier", "guess")
    with runtime.unit_of_work() as session:
        session.execute(update(LoginAttempt).values(failures=free))
    answers = at_once(70, lambda number: log_in(f"nobody{number}@test.com").status_code)
    assert (answers.count(401), answers.count(429)) == (64, 6)


def test_a_right_password_among_wrong_ones_gets_in_and_clears_them(log_in: LogIn, runtime: Runtime) -> None:
    answers = at_once(4, lambda number: log_in("cashier", *([] if number else ["guess"])).status_code)
    assert sorted(answers) in ([200, 200, 200, 401], [200, 401, 401, 401])
    assert log_in("cashier").status_code == 200
    assert counts(runtime) == [answers.count(401)]  # the address's own


def test_right_passwords_at_once_leave_nothing_behind(log_in: LogIn, runtime: Runtime) -> None:
    assert at_once(4, lambda _: log_in("cashier").status_code) == [200] * 4
    assert counts(runtime) == []


def test_a_success_takes_back_the_wait_that_it_set_itself(log_in: LogIn, runtime: Runtime) -> None:
    log_in("nobody@test.com")
    with runtime.unit_of_work() as session:
        session.execute(update(LoginAttempt).values(failures=ADDRESS.free - 1))
    assert log_in("cashier").status_code == 200
    assert log_in("accountant").status_code == 200
    assert log_in("supplier", "guess").status_code == 401
    assert log_in("manager").status_code == 429


@pytest.mark.parametrize("wrong_by", [timedelta(days=40), timedelta(minutes=20)])
def test_what_a_wrong_clock_set_blocks_no_longer_than_the_longest_wait(log_in: LogIn, wrong_by: timedelta) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        clock.shift(wrong_by)
        for _ in range(PAIR.free):
            log_in("cashier", "guess")
        assert log_in("cashier").status_code == 429
        clock.shift(-wrong_by)
        assert log_in("cashier", "guess").status_code == 401  # one more, and then the usual wait
        blocked = log_in("cashier")
        assert blocked.status_code == 429 and 0 < int(blocked.headers["retry-after"]) <= PAIR.longest_s
        clock.shift(int(blocked.headers["retry-after"]))
        assert log_in("cashier").status_code == 200


def test_a_wait_from_a_wrong_clock_does_not_come_true_later(log_in: LogIn, runtime: Runtime) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        clock.shift(timedelta(days=40))
        for _ in range(PAIR.free):
            log_in("cashier", "guess")
        clock.shift(timedelta(days=-40))
        with runtime.unit_of_work() as session:
            forget_old_attempts(session)
        assert counts(runtime) == []


def test_what_asks_too_early_writes_nothing(log_in: LogIn, runtime: Runtime) -> None:
    for _ in range(PAIR.free):
        log_in("cashier", "guess")
    with writes(runtime) as written:
        assert log_in("cashier", "guess").status_code == 429
    assert written == []


def test_a_made_up_refresh_token_writes_nothing(client: Client, runtime: Runtime) -> None:
    with writes(runtime) as written:
        for path in ("refresh", "logout"):
            client.post(f"/api/auth/{path}", {"refresh_token": "A" * 43}, as_=None)
    assert written == []


def test_nothing_is_held_while_a_password_is_checked(
    log_in: LogIn, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: set[int] = set()
    event.listen(runtime.database.engine, "begin", lambda connection: begun.add(id(connection)))
    for end in ("commit", "rollback"):
        event.listen(runtime.database.engine, end, lambda connection: begun.discard(id(connection)))
    held = []
    verify = passwords.verify_password

    def watch(*arguments: Any, **options: Any) -> bool:
        held.append(len(begun))
        return verify(*arguments, **options)

    monkeypatch.setattr("tillhook.access.sessions.verify_password", watch)
    assert log_in("cashier").status_code == 200
    assert log_in("cashier", "guess").status_code == 401
    assert held == [0, 0]


def test_two_hash_at_a_time_and_who_waits_too_long_is_told(
    log_in: LogIn, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_S", 0.05)
    with hashing(), hashing():
        busy = log_in("cashier")
        with pytest.raises(TooManyRequests), hashing():
            pass
    assert (busy.status_code, busy.json["code"], busy.headers["retry-after"]) == (429, "too-many-at-once", "1")
    assert counts(runtime) == []  # nobody has checked it
    assert log_in("cashier").status_code == 200


def test_sign_ups_from_one_address_are_slowed_down(client: Client, runtime: Runtime) -> None:
    with runtime.unit_of_work() as session:
        update_settings(session, {"access.customer_registration": True})

    def sign_up(name: str) -> Any:
        body = {"email": f"{name}@example.com", "name": name, "password": "long enough"}
        return client.post("/api/auth/register", body, as_=None).status_code

    assert sign_up("one") == 201
    with runtime.unit_of_work() as session:
        session.execute(update(LoginAttempt).values(failures=ADDRESS.free - 1))
    assert [sign_up("two"), sign_up("three")] == [201, 429]


OLD, NEW = {MEMORY_KIB: 16, ROUNDS: 3}, {MEMORY_KIB: 64, ROUNDS: 1}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of each hash that something is compared with."""
    parameters = []
    verify = passwords.PasswordHasher.verify

    def watch(hasher: Any, kept: str, password: bytes) -> bool:
        parameters.append(kept.split("$")[3])
        return verify(hasher, kept, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", watch)
    return parameters


def test_nobody_costs_what_stored_hashes_cost(log_in: LogIn, runtime: Runtime, compared: list[str]) -> None:
    """Whose hashes were made before the settings changed are not told from who does not exist by the time it takes."""
    with runtime.unit_of_work() as session:
        session.execute(update(UserAccount).values(password_hash=hash_password("another password", OLD)))
        session.execute(update(UserAccount).where(UserAccount.email == "customer@test.com").values(is_active=False))
        update_settings(session, NEW)
    for who in ("cashier", "nobody", "customer"):
        assert log_in(who, "guess").status_code == 401
    assert log_in("customer", "another password").status_code == 401
    assert compared == ["m=16,t=3,p=1"] * 4


def test_nobodys_pin_costs_what_stored_pins_cost(client: Client, runtime: Runtime, compared: list[str]) -> None:
    with runtime.unit_of_work() as session:
        pin = {"pin_hash": hash_password("918273", OLD)}
        for who in ("manager", "accountant"):
            session.execute(update(UserAccount).where(UserAccount.email == f"{who}@test.com").values(pin))
        session.execute(update(UserAccount).where(UserAccount.email == "accountant@test.com").values(is_active=False))
        update_settings(session, NEW)
    # A wrong PIN, nobody, somebody without a PIN, and the right PIN of an account that is closed.
    for who in ("manager@test.com:1", "nobody@test.com:918273", "admin@test.com:918273", "accountant@test.com:918273"):
        answer = client.post("/api/sales", {}, headers={"X-Override": who})
        assert answer.json["code"] == "override-refused", answer.text
    assert compared == ["m=16,t=3,p=1"] * 4


def test_who_stands_in_for_nobody_is_always_the_same_and_has_a_hash(runtime: Runtime) -> None:
    with runtime.unit_of_work() as session:
        for user in session.scalars(select(UserAccount)):
            user.password_hash = f"hash {user.id}"
        middle = session.scalar(select(func.min(UserAccount.id) + 1))
        session.execute(update(UserAccount).where(UserAccount.id == middle).values(pin_hash="pin"))
    with runtime.unit_of_work(write=False) as session:
        names = [f"nobody{number}@test.com" for number in range(60)]
        chosen = [passwords.stand_in(session, UserAccount.password_hash, name) for name in names]
        assert chosen == [passwords.stand_in(session, UserAccount.password_hash, name) for name in names]
        assert len(set(chosen)) == session.scalar(select(func.count(UserAccount.id)))
        assert {passwords.stand_in(session, UserAccount.pin_hash, name) for name in names} == {"pin"}


@pytest.mark.parametrize("kept", ["", "!", "$argon2id$broken"])
def test_an_account_without_a_usable_hash_costs_something_too(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(passwords.PasswordHasher, "hash", lambda _, password: hashed.append(password))
    assert not passwords.verify_password("guess", kept, NEW)
    assert hashed == [b"guess"]
