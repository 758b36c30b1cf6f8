"""Who may import whom. ``bin/lint`` has import-linter check the same for plugins that setup.cfg names."""

import ast

import pytest

from tillhook.testing.contract import import_faults


def sources(package):
    return sorted(package.rglob("*.py"))


def test_a_plugin_imports_the_public_core_only(plugin):
    found = sources(plugin.package)
    assert found
    assert [fault for path in found for fault in import_faults(path, plugin.package.name)] == []


def imports(package):
    """Yield the file and the name of every module that a package imports."""
    for path in sources(package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            yield from ((path.name, name) for name in names)


def test_the_core_imports_no_plugin_and_no_library_of_ours(distributions):
    (core,) = (each for each in distributions if each.name == "tillhook")
    assert [found for found in imports(core.package) if found[1].startswith("tillhook_")] == []


def test_a_library_imports_nothing_else_of_ours(library):
    tops = {name.split(".")[0] for _, name in imports(library.package)}
    assert {top for top in tops if top.startswith("tillhook")} == {library.package.name}
    assert not library.plugin, "what has an entry point is a plugin"


def test_folder_distribution_package_and_entry_point_are_named_alike(plugin):
    assert plugin.name == f"tillhook-{plugin.plugin}"
    assert plugin.folder.name == plugin.plugin
    assert (plugin.package / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("from tillhook import hookimpl", ""),
        ("from tillhook.sales import post_sale", ""),
        ("import tillhook.sales", ""),
        ("from tillhook_me.routes import ROUTES", ""),
        ("from tillhook_paper import to_pdf", ""),
        ("import json", ""),
        ("from tillhook.sales.queries import get_sale", "tillhook.sales.queries is inside the core"),
        ("import tillhook.sales.queries", "tillhook.sales.queries is inside the core"),
        ("from tillhook.sales import queries", "queries is not in tillhook.sales.__all__"),
        ("from tillhook_pos.services import sell", "imports another plugin, tillhook_pos.services"),
        ("from . import routes", "a relative import"),
    ],
)
def test_the_check_sees_what_it_must(tmp_path, line, fault):
    path = tmp_path / "hooks.py"
    path.write_text(f"def later():\n    {line}\n")
    faults = list(import_faults(path, "tillhook_me"))
    assert (fault in faults[0]) if fault else faults == []
