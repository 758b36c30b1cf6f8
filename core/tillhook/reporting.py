"""The contract of a report: what it is asked, what it answers. Rendering it is a plugin's matter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Kind = Literal["text", "integer", "quantity", "money", "percent", "date", "instant", "boolean"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One thing that a report asks; ``choices`` closes the list of answers."""

    name: str
    title: str
    kind: Kind = "text"
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; ``total`` asks for its sum below the rows."""

    name: str
    title: str
    kind: Kind = "text"
    total: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """A question that the books can answer.

    ``rows`` gets the session and the checked parameters (absent ones as their defaults), and yields one
    sequence per row, in the order of ``columns``: money and quantities as ``Decimal``, days as ``date``. It
    only reads. Somebody without ``permission`` is never asked in.
    """

    name: str
    title: str
    permission: str
    columns: tuple[Column, ...]
    rows: "Callable[[Session, Mapping[str, Any]], Iterable[Sequence[Any]]]"
    parameters: tuple[Parameter, ...] = ()
    summary: str = ""


__all__ = ["Column", "Kind", "Parameter", "Report"]
