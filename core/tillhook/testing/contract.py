"""What every plugin must keep to, as tests that a plugin inherits.

A plugin's ``tests/test_contract.py`` is::

    from tillhook.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "pos"
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tillhook.testing.sources import core_slugs, folder_faults, import_faults, slug_faults
from tillhook.testing.sql_names import sql_faults

if TYPE_CHECKING:
    from tillhook.hooks import Route
    from tillhook.runtime import Runtime
    from tillhook.testing.client import Client
    from tillhook.testing.databases import Databases
    from tillhook.testing.factories import Factory

_PARAMETER = re.compile(r"\{[^}:]*:?([^}(]*)[^}]*\}")
# A value for each of the router's converters; what has none takes any text.
_SAMPLES = {"int": "1", "uuid": "00000000-0000-0000-0000-000000000001", "dt": "2026-01-31T00:00:00Z"}


@pytest.mark.slow
class PluginContract:
    """Set ``plugin`` to the name of the entry point; the package is ``tillhook_<plugin>`` unless ``package`` says."""

    plugin: ClassVar[str]
    package: ClassVar[str] = ""

    @pytest.fixture
    def modules(self, databases: "Databases") -> tuple[str, ...]:
        """The plugin and what it requires, and nothing else: it must work alone."""
        from tillhook.modules.discovery import load_plugins

        needed, waiting = set(), {self.plugin}
        while waiting:
            needed |= waiting
            loaded, broken = load_plugins(waiting)
            assert not broken, broken[0].traceback
            waiting = {name for plugin in loaded for name in plugin.manifest.requires} - needed
        return tuple(sorted(needed))

    def test_it_starts_alone(self, runtime: "Runtime") -> None:
        """Starting refuses names that are not its own, and declarations that make no sense."""
        assert self.plugin in {plugin.name for plugin in runtime.plugins}

    def test_its_commands_are_what_the_manifest_says(self, runtime: "Runtime") -> None:
        [manifest] = [plugin.manifest for plugin in runtime.plugins if plugin.name == self.plugin]
        for command in manifest.commands:
            loaded = command.load()
            assert (loaded.name, (loaded.help or "").partition("\n")[0]) == (command.name, command.help)

    def test_its_tables_refer_to_the_core_and_itself_only(self, runtime: "Runtime") -> None:
        from tillhook.db import Base
        from tillhook.modules import tables_of

        mine = tables_of(self._package())
        allowed = mine.keys() | tables_of("tillhook").keys()
        foreign = [
            f"{name}.{key.parent.name} -> {key.target_fullname}"
            for name in mine
            for key in Base.metadata.tables[name].foreign_keys
            if key.target_fullname.split(".")[0] not in allowed
        ]
        assert foreign == []

    def test_it_migrates_up_down_and_up_again(
        self, databases: "Databases", engine_name: str, modules: tuple[str, ...]
    ) -> None:
        from tillhook.testing.template import Migrator

        with databases.empty(engine_name) as url, Migrator(url, modules) as migrator:
            migrator.upgrade()
            assert migrator.differences() == []
            if self._manifest().migrations is None:
                return
            migrator.downgrade(self.plugin)
            left = [name for name in migrator.tables() if name.startswith(self._manifest().table_prefix)]
            assert left == []
            migrator.upgrade()
            assert migrator.differences() == []

    def test_every_route_declares_its_answer(self, runtime: "Runtime") -> None:
        lacking = [f"{each.method} {each.path}" for each in self._routes(runtime) if not each.declares_its_answer]
        assert lacking == [], "say answer=, content_types= or status=204"

    def test_no_route_answers_without_its_permission(
        self, runtime: "Runtime", client: "Client", make: "Factory"
    ) -> None:
        nobody = make.user("customer", roles=[], warehouses=[])
        answers = {}
        for route in self._routes(runtime):
            if not isinstance(route.permission, str):
                continue
            path = "/api" + _PARAMETER.sub(lambda match: _SAMPLES.get(match[1], "x"), route.path)
            statuses = [client.request(route.method, path, as_=who).status_code for who in (None, nobody)]
            if statuses != [401, 403]:
                answers[f"{route.method} {route.path}"] = statuses
        assert answers == {}

    def test_it_imports_the_public_core_only(self) -> None:
        faults = [fault for path in self._files() for fault in import_faults(path, self._package())]
        assert faults == []

    def test_it_names_no_table_of_the_core(self, runtime: "Runtime") -> None:
        """It reads the core's tables through their classes, so that a column of them can change."""
        from tillhook.modules import tables_of

        core = tables_of("tillhook")
        assert [fault for path in self._files() for fault in sql_faults(path, core)] == []

    def test_its_problems_carry_its_name(self) -> None:
        known = core_slugs()
        assert [fault for path in self._files() for fault in slug_faults(path, self.plugin, known)] == []

    def test_its_templates_and_static_files_carry_its_name(self) -> None:
        assert list(folder_faults(self._folder(), self.plugin)) == []

    def _package(self) -> str:
        return self.package or f"tillhook_{self.plugin}"

    def _manifest(self) -> Any:
        return importlib.import_module(self._package()).PLUGIN

    def _routes(self, runtime: "Runtime") -> "Iterator[Route]":
        hooks = next(plugin.hooks for plugin in runtime.plugins if plugin.name == self.plugin)
        if hasattr(hooks, "register_routes"):
            owned = runtime.hooks.collect("register_routes", settings=runtime.settings)
            yield from (route for owner, route in owned if owner == self.plugin)

    def _folder(self) -> Path:
        return Path(importlib.import_module(self._package()).__path__[0])

    def _files(self) -> list[Path]:
        return sorted(self._folder().rglob("*.py"))
