"""What every plugin must keep to, as tests that a plugin inherits.

A plugin's ``tests/test_contract.py`` is::

    from tillhook.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "pos"
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from tillhook.hooks import Route
    from tillhook.runtime import Runtime
    from tillhook.testing.client import Client
    from tillhook.testing.databases import Databases
    from tillhook.testing.factories import Factory

_PARAMETER = re.compile(r"\{[^}:]*:?([^}(]*)[^}]*\}")
# A value for each of the router's converters; what has none takes any text.
_SAMPLES = {"int": "1", "uuid": "00000000-0000-0000-0000-000000000001", "dt": "2026-01-31T00:00:00Z"}


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
        assert self.plugin in {plugin.name for plugin in runtime.plugins}

    def test_its_tables_carry_its_prefix(self, runtime: "Runtime") -> None:
        prefix = self._manifest().table_prefix
        assert [name for name in self._tables() if not name.startswith(prefix)] == []

    def test_its_tables_refer_to_the_core_and_itself_only(self, runtime: "Runtime") -> None:
        from tillhook.db import Base

        core = {m.class_.__tablename__ for m in Base.registry.mappers if m.class_.__module__.startswith("tillhook.")}
        mine = set(self._tables())
        foreign = [
            f"{name}.{key.parent.name} -> {key.target_fullname}"
            for name in sorted(mine)
            for key in Base.metadata.tables[name].foreign_keys
            if key.target_fullname.split(".")[0] not in core | mine
        ]
        assert foreign == []

    def test_its_permissions_and_settings_carry_its_name(self, runtime: "Runtime") -> None:
        registry = runtime.registry
        permissions = [name for name in registry.permissions if registry.owner_of("permission", name) == self.plugin]
        settings = [name for name in registry.settings if registry.owner_of("setting", name) == self.plugin]
        assert [name for name in permissions if not name.startswith(f"{self.plugin}:")] == []
        assert [name for name in settings if not name.startswith(f"{self.plugin}.")] == []

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

    def _package(self) -> str:
        return self.package or f"tillhook_{self.plugin}"

    def _manifest(self) -> Any:
        return importlib.import_module(self._package()).PLUGIN

    def _tables(self) -> list[str]:
        from tillhook.db import Base

        home = self._package() + "."
        mappers = [mapper for mapper in Base.registry.mappers if mapper.class_.__module__.startswith(home)]
        return sorted(str(mapper.class_.__tablename__) for mapper in mappers)

    def _routes(self, runtime: "Runtime") -> "Iterator[Route]":
        hooks = next(plugin.hooks for plugin in runtime.plugins if plugin.name == self.plugin)
        if hasattr(hooks, "register_routes"):
            owned = runtime.hooks.collect("register_routes", settings=runtime.settings)
            yield from (route for owner, route in owned if owner == self.plugin)

    def _files(self) -> list[Path]:
        source = importlib.import_module(self._package()).__file__
        assert source
        return sorted(Path(source).parent.rglob("*.py"))


def import_faults(path: Path, package: str) -> Iterator[str]:
    """Yield what a file of ``package`` imports that it must not, one line each."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_faults(path, node.lineno, alias.name, package)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                yield f"{path.name}:{node.lineno}: a relative import; write {package}.…"
                continue
            yield from _module_faults(path, node.lineno, module, package)
            if module.split(".")[0] == "tillhook":
                yield from _name_faults(path, node, module)


def _module_faults(path: Path, line: int, module: str, package: str) -> Iterator[str]:
    top = module.split(".")[0]
    if top in _plugin_packages() and top != package:
        yield f"{path.name}:{line}: imports another plugin, {module}"
    if top == "tillhook" and module.count(".") > 1:
        yield f"{path.name}:{line}: {module} is inside the core; import from {'.'.join(module.split('.')[:2])}"


@cache
def _plugin_packages() -> frozenset[str]:
    """Return the packages of the installed plugins; any other package is a library, whatever its name."""
    return frozenset(entry.module.split(".")[0] for entry in entry_points(group="tillhook.plugins"))


def _name_faults(path: Path, node: ast.ImportFrom, module: str) -> Iterator[str]:
    public = getattr(importlib.import_module(module), "__all__", None)
    if public is None:
        # An area of one module: what is defined there and has no underscore is public.
        public = [name for name in vars(sys.modules[module]) if not name.startswith("_")]
    for alias in node.names:
        if alias.name not in public:
            yield f"{path.name}:{node.lineno}: {alias.name} is not in {module}.__all__"
