"""Codes with a price or a weight in them, as scales and self-service counters print them.

A pattern says what stands where: digits stand for themselves, ``I`` for the item, ``P`` for the price, ``W`` for the
weight (or any measure, in the unit in which the product is stocked), ``N`` for a number of pieces, ``V`` for the
price's own check digit and ``C``, last, for the code's. A point among the ``P`` or ``W`` is not in the code: it says
where the decimals begin, which is else the currency's places for a price and three for a weight.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from biip.checksums import gs1_price_weight_check_digit

from tillhook.products import check_digit
from tillhook.quantities import PLACES
from tillhook_pos.scanning.readings import Reading

_RUN = re.compile(r"[0-9]+|I+|P+(?:\.P*)?|W+(?:\.W*)?|N+|V|C")
_WEIGHT_PLACES = 3
_MAX_LENGTH = 48
#: More would not fit into a column.
_MAX_VALUE = 10
#: The lengths for which GS1 has a check digit of the price.
_CHECKED_LENGTHS = (4, 5)
#: How long an item's number with zeros in front may be in the catalogue.
_MAX_ITEM = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was read; ``decimals`` are those said by a point, by letter."""

    text: str
    expression: re.Pattern[str]
    decimals: dict[str, int]

    def read(self, code: str, currency_places: int) -> Reading | None:
        """Return what the code says, ``None`` when it is not of this form."""
        match = self.expression.fullmatch(code)
        if match is None:
            return None
        found = match.groupdict()
        price = _scaled(found.get("P"), self.decimals.get("P", currency_places))
        weight = _scaled(found.get("W"), self.decimals.get("W", _WEIGHT_PLACES))
        count = None if found.get("N") is None else int(found["N"])
        item = found["I"]
        return Reading(
            kind="embedded",
            codes=((item,), (self._bare(match),), *_padded(item)),
            pattern=self.text,
            item=item,
            price=price,
            measure=weight,
            count=count,
            fault=_fault(code, found, [price, weight, count]),
        )

    def _bare(self, match: re.Match[str]) -> str:
        """Return the code of the item with price and weight zero, by which some shops know their goods."""
        digits = list(match.string)
        for letter in "PWNV":
            if match.groupdict().get(letter) is not None:
                start, end = match.span(letter)
                digits[start:end] = "0" * (end - start)
        if match.groupdict().get("V") is not None:
            digits[match.start("V")] = str(gs1_price_weight_check_digit("0" * len(_checked(match.groupdict()))))
        if match.groupdict().get("C") is not None:
            digits[-1] = check_digit("".join(digits[:-1]))
        return "".join(digits)


@lru_cache(maxsize=64)
def parse_patterns(text: str) -> tuple[Pattern, ...]:
    """Return the patterns of the setting, which blanks or semicolons separate.

    Raises:
        ValueError: One is none; the text says which and why.
    """
    return tuple(_parse(each) for each in dict.fromkeys(re.split(r"[\s;]+", text)) if each)


def check_patterns(text: str) -> None:
    """Raise ``ValueError`` for a setting that holds no patterns."""
    parse_patterns(text)


def read_embedded(code: str, patterns: tuple[Pattern, ...], currency_places: int) -> list[Reading]:
    """Return every reading of the code by the patterns, those with a wrong check digit too."""
    if not (code.isascii() and code.isdigit()):
        return []
    # Scanners send a UPC-A with or without the zero in front.
    forms = [code, *(["0" + code] if len(code) == 12 else []), *([code[1:]] if code[0] == "0" else [])]
    found = [pattern.read(form, currency_places) for pattern in patterns for form in forms]
    return [reading for reading in found if reading is not None]


def _parse(text: str) -> Pattern:
    runs = _RUN.findall(text)
    letters = [run[0] for run in runs if not run[0].isdigit()]
    bare = text.replace(".", "")
    value = _value_run(runs)
    faults = {
        "only digits and the letters I, P, W, N, V and C, each letter in one place": "".join(runs) != text
        or len(set(letters)) != len(letters),
        "a digit first, by which such codes are known": not text[:1].isdigit(),
        f"at most {_MAX_LENGTH} places": len(bare) > _MAX_LENGTH,
        "an item, I": "I" not in letters,
        "a price, P, a weight, W, or a number, N": not {"P", "W", "N"} & set(letters),
        "not both W and N": {"W", "N"} <= set(letters),
        "C last": "C" in letters and not text.endswith("C"),
        f"at most {_MAX_VALUE} places for a price, weight or number": any(
            len(run.replace(".", "")) > _MAX_VALUE for run in runs if run[0] in "PWN"
        ),
        f"at most {PLACES} decimals": any(len(run.partition(".")[2]) > PLACES for run in runs),
        "with V a price or weight of 4 or 5 places": "V" in letters and len(value) not in _CHECKED_LENGTHS,
    }
    for rule, is_broken in faults.items():
        if is_broken:
            raise ValueError(f"{text[:60]} is no pattern, which has {rule}; an example is 24IIIIIPPPPPC.")
    expression = "".join(_group(run) for run in runs)
    decimals = {run[0]: len(run.partition(".")[2]) for run in runs if "." in run}
    return Pattern(text, re.compile(expression, re.ASCII), decimals)


def _value_run(runs: list[str]) -> str:
    """Return the run that ``V`` checks: the price, else the weight."""
    return next((run.replace(".", "") for letter in "PW" for run in runs if run[0] == letter), "")


def _group(run: str) -> str:
    if run[0].isdigit():
        return run
    return f"(?P<{run[0]}>[0-9]{{{len(run.replace('.', ''))}}})"


def _scaled(digits: str | None, places: int) -> Decimal | None:
    return None if digits is None else Decimal(int(digits)).scaleb(-places)


def _checked(found: dict[str, str]) -> str:
    return found["P"] if found.get("P") is not None else found["W"]


def _fault(code: str, found: dict[str, str], values: list[Decimal | int | None]) -> str:
    if found.get("C") is not None and check_digit(code[:-1]) != found["C"]:
        return f"The check digit is {found['C']} and should be {check_digit(code[:-1])}: scan again."
    if found.get("V") is not None and str(gs1_price_weight_check_digit(_checked(found))) != found["V"]:
        return "The price's own check digit is wrong: scan again."
    if any(value == 0 for value in values):
        return "The label says a price, weight or number of zero."
    return ""


def _padded(item: str) -> tuple[tuple[str, ...], ...]:
    """Return the item's number with fewer or more zeros in front: any of them, and only one may be known."""
    short = item.lstrip("0") or "0"
    others = tuple(short.zfill(length) for length in range(len(short), _MAX_ITEM + 1))
    others = tuple(each for each in others if each != item)
    return (others,) if others else ()
