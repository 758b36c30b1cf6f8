"""``docs/hooks.md``, made from the docstrings of the specifications."""

import inspect
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

#: What the names of a family look like, and what its hooks return or do.
FAMILIES = {
    "register_<things>": "Declarations",
    "validate_<things>": "Vetoes",
    "<things>_writing": "Rows",
    "<things>_<past participle>": "Reactions",
    "resolve_<thing>": "Answers",
}
_SECTION = re.compile(r"([A-Z][a-z]+):\s*(.*)")
_MODULE = re.compile(r"\b[a-z_][a-z_0-9]*\.")
_CODE = re.compile(r"``([^`]+)``")


def hooks_page(modules: Sequence[ModuleType]) -> str:
    """Return the page of modules of specifications; the first one's docstring introduces it."""
    introduction = _markdown(inspect.getdoc(modules[0]) or "")
    lines = ["# Hooks", "", introduction, "", "This page is generated: `tillhook docs hooks`.", ""]
    hooks = [function for module in modules for function in hooks_of(module)]
    for family, title in FAMILIES.items():
        lines += [f"## {title}: `{family}`", ""]
        for function in hooks:
            if family_of(function.__name__) == family:
                lines += _entry(function)
    return "\n".join(lines).rstrip() + "\n"


def family_of(name: str) -> str:
    """Return the family of a hook, as :data:`FAMILIES` names it.

    Raises:
        ValueError: It is of none.
    """
    for verb in ("register", "validate", "resolve"):
        if name.startswith(f"{verb}_"):
            return next(family for family in FAMILIES if family.startswith(verb))
    last = name.rpartition("_")[2]
    if last == "writing":
        return "<things>_writing"
    if last.endswith("ed"):
        return "<things>_<past participle>"
    raise ValueError(f"{name} is of no family: {', '.join(FAMILIES)}")


def hooks_of(module: ModuleType) -> list[Callable[..., Any]]:
    """Return the specifications of a module, in the order of the file."""
    return [value for value in vars(module).values() if hasattr(value, "tillhook_spec")]


def _entry(function: Callable[..., Any]) -> list[str]:
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n")
    lines = [
        f"### `{function.__name__}`",
        "",
        "```python",
        _signature(function),
        "```",
        "",
        _markdown(summary),
        "",
    ]
    for line in rest.strip().splitlines():
        section = _SECTION.fullmatch(line)
        if section:
            lines.append(f"- **{section[1]}**" + (f": {_markdown(section[2])}" if section[2] else ""))
        elif line.strip():
            lines.append("  " + _markdown(line.strip()))
    return [*lines, ""]


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = [f"{name}: {_type(parameter.annotation)}" for name, parameter in signature.parameters.items()]
    return f"def {function.__name__}({', '.join(parameters)}) -> {_type(signature.return_annotation)}"


def _type(annotation: Any) -> str:
    """Return an annotation without the modules; those that are imported for the type checker only are text."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _MODULE.sub("", text)


def _markdown(text: str) -> str:
    return _CODE.sub(r"`\1`", text)
