"""Searching finds a text however it is written, on both engines alike."""

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, null, select
from sqlalchemy.dialects import postgresql

from tillhook.db import Id, fold, folded

metadata = MetaData()
THING = Table("folding_thing", metadata, Column("id", Id, primary_key=True), Column("name", String(40)))
NAMES = (
    "Mesut Özil",
    "MESUT O\u0308ZIL",
    "Ozil",
    "Straße",
    "ΣΊΣΥΦΟΣ",
    "ｆｕｌｌ ｗｉｄｔｈ",
    "ﬁne",
    "İstanbul",
    "Ünal_50%",
)


@pytest.fixture
def session(runtime):
    with runtime.unit_of_work() as session:
        metadata.create_all(session.connection())
        session.execute(insert(THING), [{"name": name} for name in NAMES])
        yield session


def found(session, search):
    condition = folded(THING.c.name).contains(fold(search), autoescape=True)
    return list(session.scalars(select(THING.c.name).where(condition).order_by(THING.c.id)))


@pytest.mark.parametrize("search", ["Özil", "özil", "ÖZIL", "O\u0308zil", "o\u0308ZI"])
def test_any_way_of_writing_is_found(session, search):
    assert found(session, search) == ["Mesut Özil", "MESUT O\u0308ZIL"]


@pytest.mark.parametrize(
    ("search", "name"),
    [("STRASSE", "Straße"), ("σίσυφος", "ΣΊΣΥΦΟΣ"), ("FULL", NAMES[5]), ("Fine", "ﬁne"), ("ünal_50%", NAMES[8])],
)
def test_compatibility_forms_and_full_folding(session, search, name):
    assert found(session, search) == [name]


def test_wildcards_are_plain_characters(session):
    assert found(session, "%") == ["Ünal_50%"]


def test_the_database_folds_as_python_does(session):
    assert list(session.scalars(select(folded(THING.c.name)).order_by(THING.c.id))) == [fold(name) for name in NAMES]
    assert session.scalar(select(folded(null()))) is None


@pytest.mark.parametrize(("version", "sql"), [((17, 2), "pg_c_utf8"), ((15, 0), "und-x-icu"), ((18, 0), "casefold")])
def test_what_an_older_postgresql_is_asked(version, sql):
    dialect = postgresql.dialect()
    dialect.server_version_info = version
    assert sql in str(folded(THING.c.name).compile(dialect=dialect))
