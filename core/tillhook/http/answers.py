"""Answers, whose fields are written once: for OpenAPI and for the dict that is sent."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar

from marshmallow import fields

from tillhook.http import out
from tillhook.http.schemas import Schema


class Answer(Schema):
    """The base of what routes answer with.

    ::

        class LineOut(Answer):
            product = out.Key("product_id")
            quantity = out.Qty()
            total = out.Money(source=lambda line: line.price * line.quantity)


        class OrderOut(Answer):
            id = out.Key()
            warehouse_name = out.Text()
            placed_at = out.Moment()
            lines = out.Many(LineOut)
            margin = out.Money(optional=True)

    ``OrderOut.of(order, warehouse_name="Main")`` returns the dict. Its values are read from an object's attributes or
    from a mapping's keys. The function that does so is compiled once for every type of thing: marshmallow has no part
    in it. A value that is missing is an ``AttributeError`` or ``KeyError``.
    """

    #: Whether amounts and quantities come as integers of 1/10,000, as rows of the hot path hold them.
    units: ClassVar[bool] = False
    #: What the audit log calls the thing, where its routes take an override.
    audited_as: ClassVar[str] = ""
    _shows: ClassVar[dict[Any, Callable[[Any, dict[str, Any]], dict[str, Any]]]]

    def __init_subclass__(cls) -> None:
        cls._shows = {}

    @classmethod
    def of(cls, thing: Any, /, **given: Any) -> dict[str, Any]:
        """Return the answer about ``thing``, plain values in the order of the fields.

        Args:
            thing: An object, a row or a mapping; ``None`` when every value is given.
            given: Values that the thing does not have, or has otherwise, by the names of their fields. They are
                shown as the field says, but a ``One`` is an answer already and a ``Many`` a list of them.

        Raises:
            TypeError: No field has that name.
        """
        key = (type(thing), *given) if given else type(thing)
        show = cls._shows.get(key)
        if show is None:
            show = cls._shows[key] = _compile(cls, issubclass(type(thing), Mapping), frozenset(given))
        return show(thing, given)

    @classmethod
    def page(cls, things: Iterable[Any], cursor: str | None = None) -> dict[str, Any]:
        """Return the page of the answers about ``things``, as :func:`page_of` declares it.

        ``ThingOut.page(*page(session, statement, ...))`` takes what :func:`tillhook.http.page` returns; without a
        cursor it is all there is.
        """
        return {"items": [cls.of(thing) for thing in things], "next_cursor": cursor}


@cache
def page_of(answer: type[Schema]) -> type[Schema]:
    """Return the schema of a page of ``answer``: ``ThingPage`` of ``ThingOut``, always the same class.

    With ``?count=true`` it says how many there are over all pages: the dispatcher adds it.
    """
    name = answer.__name__.removesuffix("Out") + "Page"
    body: dict[str, Any] = {
        "__doc__": f"One page, and the cursor of the next. {answer.__doc__ or ''}".strip(),
        "__module__": answer.__module__,
        "items": fields.List(fields.Nested(answer), required=True),
        "next_cursor": out.Text(allow_none=True),
        "count": out.Count(optional=True),
    }
    return type(name, (Schema,), body)


def is_page(answer: Any) -> bool:
    """Say whether a route's answer is one page of a list."""
    fields_here = getattr(answer, "_declared_fields", {})
    return "next_cursor" in fields_here and "items" in fields_here


def _compile(
    answer: type[Answer], is_mapping: bool, given: frozenset[str]
) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    """Return a function of a thing and the given values: one dict display, as one would write it by hand."""
    declared: dict[str, Any] = answer._declared_fields
    unknown = given - declared.keys()
    if unknown:
        raise TypeError(f"{answer.__name__} has no field {sorted(unknown)[0]}")
    names: dict[str, Any] = {}
    entries = []
    for number, (name, field) in enumerate(declared.items()):
        if name in given:
            value, is_shown = f"given[{name!r}]", _is_answer(field)
        elif not field.required:
            continue
        else:
            value, is_shown = _read(field.source or name, is_mapping, number, names), False
        show = None if is_shown else field.format(answer.units)
        entries.append(f"{name!r}: {_shown(value, show, field.allow_none, number, names)}")
    source = f"def show(thing, given):\n    return {{{', '.join(entries)}}}"
    exec(compile(source, f"<{answer.__name__}.of>", "exec"), names)
    function: Callable[[Any, dict[str, Any]], dict[str, Any]] = names["show"]
    return function


def _is_answer(field: Any) -> bool:
    return isinstance(field, out.One) or (isinstance(field, out.Many) and isinstance(field.inner, out.One))


def _read(source: str | Callable[[Any], Any], is_mapping: bool, number: int, names: dict[str, Any]) -> str:
    if callable(source):
        names[f"source_{number}"] = source
        return f"source_{number}(thing)"
    return f"thing[{source!r}]" if is_mapping else f"thing.{source}"


def _shown(value: str, show: out.Format, allow_none: bool, number: int, names: dict[str, Any]) -> str:
    if show is None:
        return value
    names[f"show_{number}"] = show
    if allow_none:
        return f"None if (value := {value}) is None else show_{number}(value)"
    return f"show_{number}({value})"
