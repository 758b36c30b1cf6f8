"""An exception moves as the table says, and in no other way."""

import itertools
from pathlib import Path

import pytest

from tillhook import sales
from tillhook.errors import Conflict
from tillhook.sales import exceptions
from tillhook.sales.commands import SaleCommand
from tillhook.sales.exceptions import states
from tillhook.sales.models import SaleException

#: (from, move) → to, of the table in the package's docstring.
TABLE = {
    (cells[0], cells[1]): cells[2]
    for line in (exceptions.__doc__ or "").splitlines()
    if len(cells := [cell.strip() for cell in line.strip("| ").split("|")]) == 4 and cells[0] in states.STATES
}
POSTED = [(SaleCommand(items=(), external_id="an-id"), 7)]
CALLS = {
    "accept": lambda session, key: states.accept(session, key, "Seen", 7),
    "discard": lambda session, key: states.discard(session, key, "A test"),
    "post": lambda session, key: states.close_posted(session, POSTED),
    "arrive": lambda session, key: states.arrive(session, key, 7),
    "reopen": lambda session, key: states.reopen(session, key, Conflict("No.", code="no"), "another digest"),
    "merge": lambda session, key: states.merge(session, key),
}


@pytest.fixture
def session(runtime):
    with runtime.unit_of_work() as session:
        yield session


@pytest.fixture
def add(session):
    def exception(status, **fields):
        values = {"channel": "counter", "source_device": "web", "code": "x", "detail": "", "payload": {}}
        values |= {"external_id": "an-id", "digest": f"digest of {fields}", "status": status}
        made = SaleException(**values | fields)
        session.add(made)
        session.flush()
        return made

    return exception


def test_the_table_names_every_move():
    assert {move for _, move in TABLE} == set(states.MOVES) == set(CALLS)
    assert {(source, name): move.target for name, move in states.MOVES.items() for source in move.sources} == TABLE


@pytest.mark.parametrize(("state", "move"), list(itertools.product(states.STATES, CALLS)))
def test_a_move_does_what_the_table_says_and_nothing_else(session, add, state, move):
    exception, other = add(state), add(state, external_id="another", detail="other")
    moved = CALLS[move](session, exception.id)
    session.refresh(exception)
    session.refresh(other)
    assert exception.status == TABLE.get((state, move), state) and other.status == state
    assert moved in (None, (state, move) in TABLE)
    if (state, move) in TABLE:
        assert (exception.sale_id == 7) == (exception.status == "accepted")
        assert (exception.resolved_at is None) == (exception.status == "open") == (exception.resolution == "")


def test_what_a_person_has_already_is_not_opened_once_more(session, add):
    waiting, known = add("waiting"), add("open", detail="known")
    assert not states.reopen(session, waiting.id, Conflict("No.", code="no"), known.digest)
    session.refresh(waiting)
    assert waiting.status == "waiting"


@pytest.mark.parametrize("fields", [{"sale_id": 3}, {"code": "external-id-reused"}, {"external_id": "another"}])
def test_posting_closes_only_what_was_refused_of_the_same(session, add, fields):
    exception = add("open", **fields)
    states.close_posted(session, POSTED)
    session.refresh(exception)
    assert exception.status == "open"


def test_only_the_moves_set_a_status():
    package = Path(sales.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "states.py":
            source = path.read_text()
            assert "update(SaleException)" not in source and "UPDATE sale_exception" not in source, path
            assert "exception.status = " not in source, path
