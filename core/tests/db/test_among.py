"""A list of keys is one parameter, so that the statement is the same for any number of them."""

import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, event, insert, select
from sqlalchemy.orm import aliased

from tillhook.access import UserAccount
from tillhook.db import Id, Instant, among
from tillhook.testing.plans import readings

metadata = MetaData()
THING = Table(
    "among_thing", metadata, Column("id", Id, primary_key=True), Column("code", String(20)), Column("rank", BigInteger)
)


@pytest.fixture
def session(runtime):
    with runtime.unit_of_work() as session:
        metadata.create_all(session.connection())
        rows = [{"id": key, "code": f'ä"{key}', "rank": key % 2 or None} for key in range(1, 7)]
        session.execute(insert(THING), rows)
        yield session


def found(session, condition):
    return set(session.scalars(select(THING.c.id).where(condition)))


def test_whole_numbers(session):
    assert found(session, among(THING.c.id, {2, 3, 2**62})) == {2, 3}
    assert found(session, among(THING.c.id, range(3, 40_000))) == {3, 4, 5, 6}
    assert found(session, among(THING.c.rank, [1])) == {1, 3, 5}


def test_text(session):
    assert found(session, among(THING.c.code, ['ä"2', "ä", "", "'"])) == {2}


def test_no_keys_give_no_row(session):
    assert found(session, among(THING.c.id, ())) == set()
    assert found(session, among(THING.c.code, ())) == set()
    assert found(session, ~among(THING.c.id, ())) == set(range(1, 7))


def test_with_other_conditions(session):
    assert found(session, ~among(THING.c.id, [1, 2]) & (THING.c.id < 5)) == {3, 4}
    assert found(session, among(THING.c.id, [1, 2]) | among(THING.c.code, ['ä"6'])) == {1, 2, 6}


def test_an_index_serves_it(session):
    with readings(session.connection().engine, as_if_large=True) as read:
        assert found(session, among(THING.c.id, [1]) & (THING.c.rank > 0)) == {1}
    assert "Seq Scan" not in read[0].plan and "SCAN among_thing" not in read[0].plan


def test_mapped_classes_and_their_aliases(session):
    keys = list(session.scalars(select(UserAccount.id).order_by(UserAccount.id).limit(2)))
    other = aliased(UserAccount)
    query = select(other.id).join(UserAccount, UserAccount.id == other.id).where(among(other.id, keys))
    assert set(session.scalars(query)) == set(keys)
    assert set(session.scalars(select(UserAccount.id).where(among(UserAccount.id, keys)))) == set(keys)


def test_the_statement_is_one_for_any_number_of_keys(session):
    seen = []

    def note(_connection, _cursor, statement, parameters, context, _many):
        seen.append((statement, len(parameters), context.compiled.cache_key is not None))

    event.listen(session.connection(), "before_cursor_execute", note)
    assert found(session, among(THING.c.id, [1])) == {1}
    assert found(session, among(THING.c.id, [2, 3])) == {2, 3}
    assert seen[0] == seen[1] == (seen[0][0], 1, True)


def test_other_kinds_of_keys_are_refused():
    with pytest.raises(TypeError, match="whole numbers or text"):
        among(Column("at", Instant), ["2026-01-01"])
