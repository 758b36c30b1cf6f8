"""Enabled, disabled, new, gone."""

import sys

import pytest

from tillhook.config import Settings
from tillhook.errors import StartupError
from tillhook.modules import disable, enable, list_modules
from tillhook.server.building import build_runtime
from tillhook.server.install import install as install_database
from tillhook.testing.plugins import write_plugin

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(databases, engine_name, tmp_path):
    """Settings that leave it to the database which plugins run."""
    with databases.empty(engine_name) as url:
        yield Settings(data_dir=tmp_path / "data", database_url=url, secret="s" * 32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of installed plugins."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name, module in list(sys.modules.items()):
        if str(folder) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def running(settings):
    runtime = build_runtime(settings)
    runtime.dispose()
    return {plugin.name for plugin in runtime.plugins} & {"zebra", "foal"}


def migrate(settings):
    install_database(settings).dispose()


def test_a_new_plugin_is_enabled_at_its_first_migration(settings, folder):
    migrate(settings)
    write_plugin(folder, "zebra", "")
    assert running(settings) == set()
    migrate(settings)
    assert running(settings) == {"zebra"}


def test_one_that_opts_in_waits_for_a_person_or_the_variable(settings, folder):
    write_plugin(folder, "zebra", "", manifest="opt_in=True")
    migrate(settings)
    migrate(settings)
    assert running(settings) == set()
    chosen = Settings(database_url=settings.database_url, secret="s" * 32, modules=("zebra",))
    migrate(chosen)
    assert running(chosen) == {"zebra"}
    # Its tables are there now, and so it stays until it is disabled.
    assert running(settings) == {"zebra"}


def test_no_example_is_enabled_by_a_start(settings):
    migrate(settings)
    runtime = build_runtime(settings)
    runtime.dispose()
    assert "telesales" not in {plugin.name for plugin in runtime.plugins}


def test_a_disabled_plugin_stays_so_until_it_is_enabled(settings, folder):
    write_plugin(folder, "zebra", "")
    runtime = install_database(settings)
    with runtime.unit_of_work() as session:
        disable(session, "zebra")
    migrate(settings)
    assert running(settings) == set()
    plugin = next(plugin for plugin in runtime.plugins if plugin.name == "zebra")
    with runtime.unit_of_work() as session:
        enable(session, plugin)
    runtime.dispose()
    assert running(settings) == {"zebra"}


def test_the_variable_says_exactly_which_run(settings, folder):
    write_plugin(folder, "zebra", "")
    write_plugin(folder, "foal", "")
    fixed = Settings(database_url=settings.database_url, secret="s" * 32, modules=("foal",))
    migrate(fixed)
    assert running(fixed) == {"foal"}
    none = Settings(database_url=settings.database_url, secret="s" * 32, modules=())
    assert running(none) == set()


def test_an_uninstalled_plugin_stops_nobody(settings, folder, caplog):
    home = folder / write_plugin(folder, "zebra", "")
    write_plugin(folder, "foal", "")
    migrate(settings)
    home.rename(folder / "gone")
    (folder / "tillhook_zebra-1.0.dist-info").rename(folder / "gone.dist")
    assert running(settings) == {"foal"}
    assert "plugin zebra is enabled but not installed" in caplog.text
    migrate(settings)


def test_a_required_plugin_cannot_be_disabled(settings, folder):
    write_plugin(folder, "zebra", "")
    write_plugin(folder, "foal", "", manifest="requires=('zebra',)")
    runtime = install_database(settings)
    with pytest.raises(StartupError, match="plugin foal requires zebra; disable it first"):
        with runtime.unit_of_work() as session:
            disable(session, "zebra")
    with pytest.raises(StartupError, match="there is no plugin zebar"):
        with runtime.unit_of_work() as session:
            disable(session, "zebar")
    runtime.dispose()


def test_the_list_says_how_each_plugin_is(settings, folder):
    write_plugin(folder, "zebra", "")
    write_plugin(folder, "foal", "")
    runtime = install_database(settings)
    with runtime.unit_of_work() as session:
        disable(session, "foal")
    write_plugin(folder, "newcomer", "")
    write_plugin(folder, "wreck", "1 / 0")
    (folder / "tillhook_zebra-1.0.dist-info").rename(folder / "gone.dist")
    found = {status.name: status for status in list_modules(settings, runtime.database)}
    runtime.dispose()
    states = {name: found[name].state for name in ("zebra", "foal", "newcomer", "wreck")}
    assert states == {"zebra": "missing", "foal": "disabled", "newcomer": "new", "wreck": "broken"}
    assert "ZeroDivisionError" in found["wreck"].traceback
