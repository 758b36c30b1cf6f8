"""Who may import whom. ``bin/lint`` has import-linter check the same for plugins that setup.cfg names."""

import ast

import pytest

from tillhook.testing.sources import core_slugs, folder_faults, import_faults, slug_faults, sql_faults


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


def test_the_core_names_no_plugin(distributions, plugin):
    (core,) = (each for each in distributions if each.name == "tillhook")
    found = []
    for path in sources(core.package):
        source = path.read_text(encoding="utf-8")
        found += [f"{path}: {name}" for name in (plugin.name, plugin.package.name) if name in source]
        found += [
            f"{path}:{node.lineno}: {node.value}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant) and node.value == plugin.plugin
        ]
    assert found == []


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


@pytest.mark.parametrize(
    ("source", "slug"),
    [
        ('raise Conflict("No.", code="me-closed")', ""),
        ('raise Conflict("No.", code="unknown-product")', ""),
        ('raise Conflict("No.", code="closed")', "closed"),
        ('raise ValidationFailed.at("x", "No.", code="mean")', "mean"),
        ('raise errors.NotFound("No.", code="gone")', "gone"),
        ('class Closed(Conflict):\n    code = "closed"', "closed"),
        ('class Closed(Conflict):\n    pass\nclass Shut(Closed):\n    code = "shut"', "shut"),
        ('class Unit:\n    code = "kg"\nUnit(code="kg")', ""),
    ],
)
def test_a_plugins_problems_carry_its_name(tmp_path, source, slug):
    path = tmp_path / "services.py"
    path.write_text(source)
    faults = [fault.partition(": ")[2] for fault in slug_faults(path, "me", core_slugs())]
    assert faults == ([f"the slug {slug} must begin with me-"] if slug else [])


def test_a_plugins_templates_carry_its_name(tmp_path):
    for name in ("templates/me/page.html", "static/me/page.css", "templates/page.html", "static/you/page.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(folder_faults(tmp_path, "me")) == [
        "templates/page.html must be in templates/me/",
        "static/you must be in static/me/",
    ]


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ('text("SELECT id FROM sale WHERE id = 1")', "sale"),
        ('f"UPDATE {x} SET y = 1 FROM stock_level l WHERE l.id = {y}"', "stock_level"),
        ('"""\nselect *\nfrom sale"""; x = "select 1 from sale"', "sale"),
        ("PART = 'LEFT JOIN \"sale\" s ON s.id = d.sale_id'", "sale"),
        ('Table("sale", Base.metadata)', "sale"),
        ('sa.table("sale")', "sale"),
        ('Base.metadata.tables["sale"]', "sale"),
        ('text("SELECT id FROM me_sale JOIN sales")', ""),
        ('"""Lines come FROM sale and go."""', ""),
        ('"Nothing is left of the goods from sale 7."', ""),
        ("select(Sale).where(Sale.id == 1)", ""),
    ],
)
def test_a_plugin_names_no_table_of_the_core(tmp_path, source, table):
    path = tmp_path / "queries.py"
    path.write_text(source)
    faults = {fault.partition(": ")[2] for fault in sql_faults(path, ["sale", "stock_level"])}
    assert faults == ({f"names the core's table {table}; use its class"} if table else set())
