"""What a person gets who installs a distribution: everything that it needs, and nothing of the tests."""

import zipfile

import pytest

pytestmark = pytest.mark.xdist_group("wheels")


@pytest.fixture
def names(wheels, distribution):
    with zipfile.ZipFile(wheels[distribution.name]) as wheel:
        return wheel.namelist()


def test_every_file_of_the_package_is_in_the_wheel(names, distribution):
    junk = {".pyc", ".pyo"}
    files = [path for path in distribution.package.rglob("*") if path.is_file() and path.suffix not in junk]
    assert files
    missing = {str(path.relative_to(distribution.folder)) for path in files} - set(names)
    assert missing == set()


def test_there_is_nothing_else_in_it(names, distribution):
    tops = {name.split("/")[0] for name in names}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    assert len(metadata) == 1
    assert tops - metadata == {distribution.package.name}
    assert [name for name in names if "/tests/" in name or name.endswith(".pyc")] == []


def test_the_metadata_say_what_it_is(wheels, names, distribution):
    (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
    with zipfile.ZipFile(wheels[distribution.name]) as wheel:
        text = wheel.read(metadata).decode()
        entries = next((wheel.read(name).decode() for name in names if name.endswith("/entry_points.txt")), "")
    assert f"\nName: {distribution.name}\n" in text
    assert "\nVersion: 0.1.0\n" in text
    if distribution.plugin:
        assert "\nRequires-Dist: tillhook<0.2,>=0.1\n" in text
        assert f"[tillhook.plugins]\n{distribution.plugin} = {distribution.package.name}.hooks" in entries
    elif distribution.is_library:
        assert (entries, "\nRequires-Dist: tillhook" in text) == ("", False)
    else:
        assert "tillhook = tillhook.cli.main:main" in entries


def test_the_core_brings_its_types_its_page_and_its_revisions(wheels):
    with zipfile.ZipFile(wheels["tillhook"]) as wheel:
        names = set(wheel.namelist())
    assert {
        "tillhook/py.typed",
        "tillhook/db/script.py.mako",
        "tillhook/server/docs/docs.css",
        "tillhook/server/docs/docs.html",
        "tillhook/server/docs/docs.js",
        "tillhook/migrations/0001_initial.py",
    } <= names
