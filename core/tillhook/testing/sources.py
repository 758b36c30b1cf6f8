"""What the contract reads off a plugin's source: imports, slugs, folders, and the core's tables in SQL."""

import ast
import functools
import importlib
import re
from collections.abc import Collection, Iterator
from importlib.metadata import entry_points
from pathlib import Path

_LOOKS_LIKE_SQL = re.compile(r"\b(FROM|JOIN|INTO|UPDATE)\b|^\s*(select|insert|update|delete|with)\b")
_NAMES_TABLE = re.compile(r'\b(?:from|join|into|update|table)\s+(?:only\s+)?"?([a-z_0-9]+)"?', re.IGNORECASE)


def import_faults(path: Path, package: str) -> Iterator[str]:
    """Yield what a file of ``package`` imports that it must not, one line each."""
    for node in ast.walk(_tree(path)):
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


def slug_faults(path: Path, plugin: str, allowed: Collection[str]) -> Iterator[str]:
    """Yield the slugs of problems in a file that neither begin with the plugin's name nor are allowed."""
    for line, slug in _slugs(_tree(path)):
        if not slug.startswith(f"{plugin}-") and slug not in allowed:
            yield f"{path.name}:{line}: the slug {slug} must begin with {plugin}-"


@functools.cache
def core_slugs() -> frozenset[str]:
    """Return the slugs of the core's own problems, which a plugin may use for the same."""
    core = Path(str(importlib.import_module("tillhook").__file__)).parent
    return frozenset(slug for path in core.rglob("*.py") for _, slug in _slugs(_tree(path)))


def sql_faults(path: Path, tables: Collection[str]) -> Iterator[str]:
    """Yield where a file names one of the tables: in SQL text, in ``Table("…")``, in ``metadata.tables["…"]``."""
    tree = _tree(path)
    for line, name in sorted({*_tables_in_text(tree), *_tables_by_name(tree)}):
        if name in tables:
            yield f"{path.name}:{line}: names the core's table {name}; use its class"


def folder_faults(package: Path, plugin: str) -> Iterator[str]:
    """Yield the templates and static files that are not in a folder of the plugin's name."""
    for kind in ("templates", "static"):
        for path in sorted((package / kind).glob("*")):
            if path.name != plugin:
                yield f"{kind}/{path.name} must be in {kind}/{plugin}/"


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _tables_in_text(tree: ast.Module) -> Iterator[tuple[int, str]]:
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
        else:
            continue
        if _LOOKS_LIKE_SQL.search(text):
            yield from ((node.lineno, found) for found in _NAMES_TABLE.findall(text))


def _tables_by_name(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _names_in(node.func) & {"Table", "table"}:
            named: ast.expr = node.args[0]
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "tables":
            named = node.slice
        else:
            continue
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            yield node.lineno, named.value


def _module_faults(path: Path, line: int, module: str, package: str) -> Iterator[str]:
    top = module.split(".")[0]
    if top in _plugin_packages() and top != package:
        yield f"{path.name}:{line}: imports another plugin, {module}"
    if top == "tillhook" and module.count(".") > 1:
        yield f"{path.name}:{line}: {module} is inside the core; import from {'.'.join(module.split('.')[:2])}"


@functools.cache
def _plugin_packages() -> frozenset[str]:
    """Return the packages of the installed plugins; any other package is a library, whatever its name."""
    return frozenset(entry.module.split(".")[0] for entry in entry_points(group="tillhook.plugins"))


def _name_faults(path: Path, node: ast.ImportFrom, module: str) -> Iterator[str]:
    public = getattr(importlib.import_module(module), "__all__", ())
    for alias in node.names:
        if alias.name not in public:
            yield f"{path.name}:{node.lineno}: {alias.name} is not in {module}.__all__"


def _slugs(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and slug of each problem: ``code="…"`` of a call, ``code = "…"`` of a class."""
    errors = _error_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and errors & _names_in(node.func):
            yield from (_slug(word.value) for word in node.keywords if word.arg == "code" and _is_text(word.value))
        elif isinstance(node, ast.ClassDef) and node.name in errors:
            for line in node.body:
                if isinstance(line, ast.Assign) and _names_in(line.targets[0]) == {"code"} and _is_text(line.value):
                    yield _slug(line.value)


def _error_names(tree: ast.Module) -> set[str]:
    """Return the names of the core's errors, and of the classes of this file that are made from them."""
    from tillhook import errors

    names = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(names & _names_in(base) for base in node.bases):
            names.add(node.name)
    return names


def _names_in(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _slug(node: ast.expr) -> tuple[int, str]:
    assert isinstance(node, ast.Constant)
    return node.lineno, str(node.value)
