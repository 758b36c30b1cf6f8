"""Element strings of GS1: what GS1-128, GS1 DataMatrix and their kin say of the goods they are printed on.

A field of variable length ends at the separator FNC1, which scanners send as the control character GS. Many are set up
to lose it; then a lot and what follows run together, and no rule tells them apart again. Such a message is refused, or
read in all its ways for the shop's own stock to decide.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from biip import ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier
from biip.gs1_element_strings import GS1ElementString

from tillhook.errors import ValidationFailed
from tillhook.products import check_digit
from tillhook_pos.scanning.readings import Element, Reading

_GS = "\x1d"
#: What scanners and people write for GS. None but ``<GS>`` can be part of a value.
_WRITTEN_GS = ("\u241d", "{GS}", "<GS>", "^]")
#: The scanner's own word that a GS1 message follows: GS1-128, DataBar, DataMatrix, QR, DotCode.
_GS1_SYMBOLOGIES = ("]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1")
_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_BRACKETED = re.compile(r"(?:\([0-9]{2,4}\)[^()]*)+")
_BRACKET = re.compile(r"\(([0-9]{2,4})\)([^()]*)")
#: A key, at once or after dates.
_BEGINS_WITH_KEY = re.compile(r"(?:1[1-7][0-9]{6})*(?:0[12][0-9]{14}|00[0-9]{18})")
#: What is looked for in a value that may have swallowed the field behind it.
_SWALLOWED = re.compile(r"0[12]|1[01235-7]|21|30|37|31[0-6][0-5]|320[0-5]|39[23][0-9]")
_MISSING = "A separator is missing (FNC1, ASCII 29)"
#: How many readings a refusal names.
_MOST_NAMED = 20
#: How many of them are in its message.
_MOST_SHOWN = 4
_DATES = {"11": "production date", "15": "best before date", "17": "expiry date"}
#: What to do about a message that cannot be read.
HINT = "Set the scanner to send FNC1 as GS (character 29), or type the code with brackets: (01)…(17)…(10)…"
_ANY_GTIN = re.compile(r"(?=0[12]([0-9]{14}))")


def split_symbology(text: str) -> tuple[str, str]:
    """Return the symbology identifier that the scanner put in front, ``""`` for none, and the code."""
    match = _SYMBOLOGY.match(text)
    return (match[0], text[3:]) if match and len(text) > 3 else ("", text)


def is_gs1(symbology: str, data: str) -> bool:
    """Say whether the code claims to be a GS1 message: by its symbology, a separator, or brackets."""
    return symbology in _GS1_SYMBOLOGIES or _GS in _normal(data) or bool(_BRACKETED.fullmatch(data))


def may_be_gs1(data: str) -> bool:
    """Say whether the code begins like a GS1 message, though nothing says that it is one."""
    return bool(_BEGINS_WITH_KEY.match(data))


def read_gs1(data: str) -> Reading:
    """Return what the message says, and in ``others`` what else it might, were a separator lost.

    Raises:
        ValidationFailed: 422 ``pos-bad-element-string``, or ``pos-ambiguous-code`` where a field has no end; with
            ``understood`` and a ``hint``.
    """
    if _BRACKETED.fullmatch(data):
        return _reading(_bracketed(data))
    body = _normal(data).strip(_GS)
    elements = _parse(body)
    main = _reading(elements)
    if _GS in body or not elements[-1].ai.separator_required:
        return main
    return replace(main, others=tuple(_other_readings(elements)))


def lost_separators(data: str) -> ValidationFailed | None:
    """Return why a text cannot be read that is a GS1 message by all appearances; ``None`` for any other text.

    It begins with an application identifier, and a GTIN with a right check digit is somewhere in it.
    """
    gtins = [match[1] for match in _ANY_GTIN.finditer(data)]
    if not any(check_digit(gtin[:-1]) == gtin[-1] for gtin in gtins):
        return None
    try:
        GS1ApplicationIdentifier.extract(data)
        reading = read_gs1(data)
    except ParseError:
        return None
    except ValidationFailed as error:
        return error if error.code == "pos-ambiguous-code" else None
    if reading.gtin is None and any(each.gtin for each in reading.others):
        return ambiguous([reading, *reading.others])
    return None


def ambiguous(readings: Sequence[Reading]) -> ValidationFailed:
    """Return the refusal of a message that lost a separator, and so can be read in several ways."""
    same = len(readings[0].elements) - 1
    shown = [" ".join(f"({each.ai}) {each.value}" for each in reading.elements[same:]) for reading in readings]
    message = f"{_MISSING}: is it {', or '.join(shown[:_MOST_SHOWN])}{', or …' if len(shown) > _MOST_SHOWN else ''}?"
    return ValidationFailed(
        message,
        code="pos-ambiguous-code",
        errors=[{"field": "code", "message": message}],
        readings=[each.understood() for each in readings][:_MOST_NAMED],
        understood=readings[0].understood(),
        hint=HINT,
    )


def _normal(data: str) -> str:
    for written in _WRITTEN_GS:
        data = data.replace(written, _GS)
    return data


def _parse(body: str) -> list[GS1ElementString]:
    elements: list[GS1ElementString] = []
    rest = body
    while rest:
        element = _next(rest, elements)
        rest = rest[len(element) :]
        elements.append(element)
        if rest and element.ai.separator_required and not rest.startswith(_GS):
            raise _refused(
                f"{_MISSING}: ({element.ai.ai}) {element.ai.data_title} ends somewhere in {element.value + rest!r}.",
                elements,
                code="pos-ambiguous-code",
            )
        rest = rest.lstrip(_GS)
    if not elements:
        raise _refused("There is nothing in it.", elements)
    return elements


def _next(rest: str, before: Sequence[GS1ElementString]) -> GS1ElementString:
    try:
        ai = GS1ApplicationIdentifier.extract(rest)
    except ParseError:
        raise _refused(f"No application identifier of GS1 begins {rest[:20]!r}.", before) from None
    try:
        return GS1ElementString.extract(rest)
    except (ParseError, ValueError, ArithmeticError):
        raise _bad_value(ai, rest[len(ai.ai) :].split(_GS)[0], before) from None


def _bracketed(data: str) -> list[GS1ElementString]:
    elements: list[GS1ElementString] = []
    for identifier, value in _BRACKET.findall(data):
        written = identifier + value.strip()
        try:
            ai = GS1ApplicationIdentifier.extract(written)
        except ParseError:
            raise _refused(f"({identifier}) is no application identifier of GS1.", elements) from None
        if ai.ai != identifier:
            raise _refused(f"({identifier}) is no application identifier of GS1.", elements)
        try:
            elements.append(GS1ElementString.parse(written))
        except (ParseError, ValueError, ArithmeticError):
            raise _bad_value(ai, value.strip(), elements) from None
    return elements


def _other_readings(elements: Sequence[GS1ElementString]) -> Iterator[Reading]:
    """Yield what it says when the last value is split into a shorter one and fields that were not there yet."""
    *before, last = elements
    seen = {element.ai.ai for element in elements}
    for cut in range(1, len(last.value)):
        if not _SWALLOWED.match(last.value, cut):
            continue
        try:
            tail = _parse(last.value[cut:])
            head = GS1ElementString.parse(last.ai.ai + last.value[:cut])
            if all(_SWALLOWED.fullmatch(each.ai.ai) and each.ai.ai not in seen for each in tail):
                yield _reading([*before, head, *tail])
        except (ParseError, ValueError, ArithmeticError, ValidationFailed):
            continue


def _reading(elements: Sequence[GS1ElementString]) -> Reading:
    """Return what the elements say together.

    Raises:
        ValidationFailed: 422: a check digit is wrong, or two elements contradict each other.
    """
    by_ai: dict[str, GS1ElementString] = {}
    for element in elements:
        fault = element.gtin_error or element.sscc_error
        if fault:
            raise _refused(f"The check digit of ({element.ai.ai}) {element.value} is wrong.", elements)
        if by_ai.setdefault(element.ai.ai, element).value != element.value:
            raise _refused(f"({element.ai.ai}) is in it twice, with different values.", elements)
    gtin = _value(by_ai, "01") or _value(by_ai, "02")
    measure = next((each for ai, each in sorted(by_ai.items()) if re.fullmatch(r"31[0-6][0-5]|320[0-5]", ai)), None)
    price = next((each for ai, each in sorted(by_ai.items()) if re.fullmatch(r"39[23][0-9]", ai)), None)
    currency = price.pattern_groups[0] if price is not None and price.ai.ai.startswith("393") else None
    count = _value(by_ai, "30" if "30" in by_ai else "37")
    pieces = int(count) if count else None
    amounts = (pieces, measure.decimal if measure else None, price.decimal if price else None)
    if count == "" or any(amount == 0 for amount in amounts):
        raise _refused("It says a weight, price or number of zero.", elements)
    return Reading(
        kind="gs1",
        codes=((gtin,),) if gtin else (),
        gtin=gtin,
        currency=currency,
        measure_of=measure.ai.ai[:3] if measure else "",
        batch_number=_value(by_ai, "10"),
        expiry_date=_day(by_ai, "17"),
        best_before=_day(by_ai, "15"),
        serial=_value(by_ai, "21"),
        sscc=_value(by_ai, "00"),
        elements=_shown(elements),
        count=pieces,
        measure=measure.decimal if measure else None,
        price=price.decimal if price else None,
    )


def _value(by_ai: dict[str, GS1ElementString], ai: str) -> str | None:
    return by_ai[ai].value if ai in by_ai else None


def _day(by_ai: dict[str, GS1ElementString], ai: str) -> date | None:
    return by_ai[ai].date if ai in by_ai else None


def _shown(elements: Sequence[GS1ElementString]) -> tuple[Element, ...]:
    return tuple(Element(each.ai.ai, each.ai.data_title, each.value) for each in elements)


def _bad_value(ai: GS1ApplicationIdentifier, value: str, before: Sequence[GS1ElementString]) -> ValidationFailed:
    what = _DATES.get(ai.ai)
    if what:
        return _refused(f"({ai.ai}) {value[:6]} is no {what}.", before)
    return _refused(f"({ai.ai}) {ai.data_title} does not begin with {value[:20]!r}; it is {ai.format}.", before)


def _refused(
    message: str, elements: Sequence[GS1ElementString], *, code: str = "pos-bad-element-string"
) -> ValidationFailed:
    understood: dict[str, Any] = Reading(kind="gs1", codes=(), elements=_shown(elements)).understood()
    return ValidationFailed(
        message, code=code, errors=[{"field": "code", "message": message}], understood=understood, hint=HINT
    )
