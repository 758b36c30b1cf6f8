"""Where a plugin's source names a table of the core: in SQL text, or as a ``Table``."""

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

#: SQL in capitals anywhere, or a whole statement however it is written. Other text is prose.
_IS_SQL = re.compile(
    r"\b(FROM|JOIN|INTO|UPDATE|USING)\s"
    r"|^\s*(select\b.*\bfrom|insert\b.*\binto|update\b.*\bset|delete\s+from|with\b.*\bas\s*(materialized\s*)?\(|truncate\s)",
    re.DOTALL,
)
_IS_STATEMENT = re.compile(r"^\s*(select|insert|update|delete|with|truncate)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z_]\w*|[(),.;]")
_BEFORE_TABLE = {"from", "join", "into", "update", "using", "truncate", "table"}
#: What may stand between those words and the table.
_SKIPPED = {"only", "lateral", "public", "table", "or", "ignore", "replace"}
_ENDS_LIST = {"where", "group", "order", "having", "limit", "union", "on", "set", "values", "select", "returning"}
#: Functions whose arguments name tables.
_TAKE_TABLES = {"Table", "table", "insert_rows", "insert"}
#: What stands for the parts of a text that only show when it runs.
_UNKNOWN = " ? "


def sql_faults(path: Path, tables: Collection[str]) -> Iterator[str]:
    """Yield where a file names one of the tables, one line each: its name, the line and the table."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for line, name in sorted({*_named_in_text(tree), *_named_as_table(tree)}):
        if name in tables:
            yield f"{path.name}:{line}: names the core's table {name}; use its class"


def tables_in(sql: str) -> Iterator[str]:
    """Yield the tables that a text reads or writes, if it is SQL."""
    if not _IS_SQL.search(sql):
        return
    # In a text that is no whole statement only words in capitals are SQL's.
    ignores_case = _IS_STATEMENT.search(sql) is not None
    expected, in_list = False, False
    for token in _TOKEN.findall(_COMMENT.sub(" ", sql)):
        word = token.lower()
        is_word = ignores_case or token.isupper()
        if is_word and word in _BEFORE_TABLE:
            expected, in_list = True, word == "from"
        elif expected and word in {*_SKIPPED, "."}:
            continue
        elif expected and word not in "(),;":
            yield word
            expected = False
        elif word == "," and in_list:
            expected = True
        elif (is_word and word in _ENDS_LIST) or word in "();":
            expected, in_list = False, False


def _named_in_text(tree: ast.Module) -> Iterator[tuple[int, str]]:
    known = _constants(tree)
    # Text that stands alone is a docstring; a part of a text was looked at with the whole of it.
    alone = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    seen = {id(value) for value in alone if isinstance(value, ast.Constant)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or id(node) in seen:
            continue
        text = _text_of(node, known)
        if text is not None:
            seen.update(map(id, ast.walk(node)))
            yield from ((node.lineno, name) for name in tables_in(text))


def _text_of(node: ast.expr, known: dict[str, str]) -> str | None:
    """Return the text of an expression that is one, as far as the source tells; ``None`` for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _part(part.value if isinstance(part, ast.FormattedValue) else part, known) for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        sides = _text_of(node.left, known), _text_of(node.right, known)
        if isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return None if sides[0] is None else _filled(r"%(?:\(\w+\))?[sdr]", sides[0], values, known)
        return None if sides == (None, None) else "".join(_part(each, known) for each in (node.left, node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        text = _text_of(node.func.value, known)
        if text is not None and node.func.attr == "format":
            return _filled(r"\{[^{}]*\}", text, [*node.args, *(word.value for word in node.keywords)], known)
        if (
            text is not None
            and node.func.attr == "join"
            and node.args
            and isinstance(node.args[0], ast.List | ast.Tuple)
        ):
            return text.join(_part(each, known) for each in node.args[0].elts)
    return None


def _part(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return known.get(node.id, _UNKNOWN)
    text = _text_of(node, known)
    return _UNKNOWN if text is None else text


def _filled(place: str, text: str, values: list[ast.expr], known: dict[str, str]) -> str:
    """Return the text with any value in any place: which one goes where does not matter here."""
    pieces = re.split(place, text)
    return " ; ".join([text, *(_part(value, known).join(pieces) for value in values)])


def _constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that the module gives names to."""
    known: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            text = _text_of(node.value, known)
            known |= {each.id: text for each in targets if isinstance(each, ast.Name) and text is not None}
    return known


def _named_as_table(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield what ``Table("…")``, ``metadata.tables["…"]`` and the inserts of rows name."""
    known = _constants(tree)
    for node in ast.walk(tree):
        named: list[ast.expr] = []
        if isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in _TAKE_TABLES or (function == "get" and _is_tables(getattr(node.func, "value", None))):
                named = [*node.args, *(word.value for word in node.keywords)]
        elif isinstance(node, ast.Subscript) and _is_tables(node.value):
            named = [node.slice]
        for each in named:
            yield from [(each.lineno, _part(each, known).lower())]


def _is_tables(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "tables"
