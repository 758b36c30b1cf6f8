"""Which plugins can be used, and what is said of the others."""

import itertools
import sys

import pytest

from tillhook.config import Settings
from tillhook.db import Base
from tillhook.errors import StartupError
from tillhook.modules import load_plugins
from tillhook.server.building import build_runtime
from tillhook.testing.plugins import write_plugin

NOTHING = ""
CHANNEL = """
from tillhook import hookimpl
from tillhook.hooks import Channel

@hookimpl
def register_channels():
    return [Channel(name="{name}", title="", number_prefix="{prefix}")]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Write plugins into a folder on the path; forget them and their tables afterwards."""
    tables = set(Base.metadata.tables.values())
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name, hooks=NOTHING, manifest="": write_plugin(tmp_path, name, hooks, manifest=manifest)
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]
    for table in set(Base.metadata.tables.values()) - tables:
        Base.metadata.remove(table)


@pytest.fixture
def build(tmp_path):
    """Build the runtime of the named plugins; the database is not asked."""
    runtimes = []

    def build(*names, safe=False):
        settings = Settings(data_dir=tmp_path / "data", secret="s" * 32, modules=names)
        runtimes.append(build_runtime(settings, safe=safe))
        return runtimes[-1]

    yield build
    for runtime in runtimes:
        runtime.dispose()


def names(runtime):
    return [plugin.name for plugin in runtime.plugins]


def test_plugins_load_in_the_order_of_their_names(install, build):
    for name in ("zebra", "apple"):
        install(name)
    assert names(build("zebra", "apple")) == ["apple", "zebra"]


def test_a_plugin_that_is_not_installed_is_refused_with_the_nearest_name(install, build):
    install("zebra")
    with pytest.raises(StartupError, match="plugin zebar is not installed; did you mean zebra?"):
        build("zebar")


def test_a_broken_plugin_is_named_with_its_traceback(install, build):
    install("zebra", "import nothing_of_this_name")
    with pytest.raises(StartupError, match="(?s)plugin zebra cannot be used.*hooks.py.*nothing_of_this_name"):
        build("zebra")


def test_safe_mode_starts_without_the_broken_plugin_and_those_that_need_it(install, build):
    install("zebra", "1 / 0")
    install("foal", manifest='requires=("zebra",)')
    install("apple")
    runtime = build("zebra", "foal", "apple", safe=True)
    assert names(runtime) == ["apple"]
    found = {plugin.name: plugin.traceback for plugin in runtime.broken}
    assert "ZeroDivisionError" in found["zebra"]
    assert "plugin foal requires zebra, which is not enabled" in found["foal"]


def test_safe_mode_leaves_out_one_of_two_that_clash(install, build):
    install("apple", CHANNEL.format(name="apple", prefix="A"))
    install("zebra", CHANNEL.format(name="zebra", prefix="A"))
    with pytest.raises(StartupError, match=r"channels apple \(plugin apple\) and zebra \(plugin zebra\) both number"):
        build("apple", "zebra")
    assert names(build("apple", "zebra", safe=True)) == ["apple"]


def test_safe_mode_leaves_out_a_plugin_whose_declarations_fail(install, build):
    install("zebra", "from tillhook import hookimpl\n@hookimpl\ndef register_jobs(): return 1 / 0")
    with pytest.raises(StartupError, match="plugin zebra: register_jobs failed"):
        build("zebra")
    assert names(build("zebra", safe=True)) == []


def test_a_plugin_for_another_core_is_refused_before_its_hooks_are_imported(install):
    install("zebra", "raise AssertionError", 'core=">=99"')
    _, [broken] = load_plugins(["zebra"])
    assert "plugin zebra 1.0 works with tillhook >=99, and this is tillhook 0." in broken.traceback


@pytest.mark.parametrize(
    ("manifest", "message"),
    [("core='new'", "core='new' is no version specifier"), ("name='foal'", "the manifest says 'foal'")],
)
def test_a_wrong_manifest_is_refused(install, tmp_path, manifest, message):
    package = install("zebra")
    arguments = f"version='1', {manifest}" + ("" if "name" in manifest else ", name='zebra'")
    (tmp_path / package / "__init__.py").write_text(f"from tillhook.hooks import Plugin\nPLUGIN = Plugin({arguments})")
    _, [broken] = load_plugins(["zebra"])
    assert message in broken.traceback


def test_a_package_without_manifest_is_refused(install, tmp_path):
    package = install("zebra")
    (tmp_path / package / "__init__.py").write_text("")
    _, [broken] = load_plugins(["zebra"])
    assert "tillhook_zebra has no manifest: PLUGIN = Plugin(name='zebra', ...)" in broken.traceback


@pytest.mark.parametrize(("one", "two"), [("same_", "same_"), ("same_", "same_too_")])
def test_two_plugins_cannot_claim_one_table_prefix(install, build, one, two):
    install("apple", manifest=f"table_prefix='{one}'")
    install("zebra", manifest=f"table_prefix='{two}'")
    with pytest.raises(StartupError, match=f"plugins apple and zebra both claim the table prefix {two}"):
        build("apple", "zebra")


def test_a_plugin_cannot_claim_the_cores_tables(install, build):
    install("zebra", manifest="table_prefix='stock_'")
    with pytest.raises(StartupError, match="plugins tillhook and zebra both claim the table prefix stock_"):
        build("zebra")


def test_who_goes_by_anothers_prefix_is_to_blame_for_it(install, build):
    install("apple", manifest="table_prefix='zebra_'")
    install("zebra")
    with pytest.raises(StartupError, match="plugins zebra and apple both claim the table prefix zebra_"):
        build("apple", "zebra")
    assert names(build("apple", "zebra", safe=True)) == ["zebra"]


#: Mapped classes stay in memory: each test with tables has a plugin of its own.
HERDS = itertools.count(1)
HERD = """
from tillhook.db import Base, IdMixin

class Herd(IdMixin, Base):
    __tablename__ = "{table}"
"""
PLAIN = """
from sqlalchemy import Column, Integer, Table
from tillhook.db import Base

herds = Table("{table}", Base.metadata, Column("id", Integer, primary_key=True))
"""


@pytest.mark.parametrize(("source", "where"), [(HERD, "Herd"), (PLAIN, "herds")])
@pytest.mark.parametrize(
    ("table", "manifest", "fault"),
    [
        ("{name}_herd", "", " and has no revisions; its manifest needs migrations='tillhook_{name}.migrations'"),
        ("herd", "migrations='none'", ", which carries no prefix; its name must begin with {name}_"),
        ("apple_herd", "migrations='none'", ", which is apple's; its name must begin with {name}_"),
    ],
)
def test_a_table_belongs_to_the_plugin_that_maps_it(install, build, source, where, table, manifest, fault):
    install("apple", manifest="migrations='none'")
    name = f"herd{next(HERDS)}"
    table = table.format(name=name)
    install(name, source.format(table=table), manifest)
    with pytest.raises(StartupError) as refused:
        build("apple", name)
    place = f"it maps the table {table} (tillhook_{name}.hooks.{where})"
    assert str(refused.value) == f"plugin {name}: {place}{fault.format(name=name)}"
    assert names(build("apple", name, safe=True)) == ["apple"]


def test_a_table_with_its_plugins_prefix_and_revisions_will_do(install, build):
    name = f"herd{next(HERDS)}"
    install(name, HERD.format(table=f"{name}_herd"), "migrations='none'")
    assert names(build(name)) == [name]


@pytest.mark.parametrize("name", ["tillhook", "Zebra", "zebra-crossing"])
def test_a_plugin_has_a_name_that_others_can_begin_with(install, name):
    install(name)
    _, [broken] = load_plugins([name])
    assert f"no plugin can be named '{name}': only a-z, 0-9 and _, and not tillhook" in broken.traceback


def test_plugins_cannot_require_each_other(install, build):
    install("apple", manifest="requires=('zebra',), migrations='none'")
    install("zebra", manifest="requires=('apple',), migrations='none'")
    with pytest.raises(StartupError, match="plugins require each other: apple, zebra"):
        build("apple", "zebra")


def test_what_is_required_migrates_first(install, build):
    install("apple", manifest="requires=('zebra',), migrations='none'")
    install("bean", manifest="migrations='none'")
    install("zebra", manifest="migrations='none'")
    runtime = build("apple", "bean", "zebra")
    assert [source.name for source in runtime.migrations] == ["tillhook", "bean", "zebra", "apple"]


@pytest.mark.parametrize("arguments", ["name='foal_x', table_prefix='foal_x_'", "name='zebra_x'"])
def test_further_migrations_carry_the_plugins_name_and_a_prefix(install, build, arguments):
    install(
        "zebra",
        "from tillhook import hookimpl\nfrom tillhook.hooks import MigrationSource\n@hookimpl\n"
        f"def register_migrations(): return [MigrationSource(package='none', {arguments})]",
    )
    with pytest.raises(StartupError, match="need a name of their own that begins with zebra_"):
        build("zebra")
