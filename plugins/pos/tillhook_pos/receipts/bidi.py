"""The order in which a line of mixed directions is written, by the Unicode bidirectional algorithm (UAX 9).

Without embeddings and isolates: :func:`tillhook_pos.receipts.words.clean` takes their characters out of every text,
so that nobody's name can turn round what is printed beside it.
"""

import unicodedata
from collections.abc import Iterator, Sequence

_OPENING = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "〈": "〉", "「": "」"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}


def levels(text: str) -> list[int]:
    """Return the embedding level of each character; an odd one is written from right to left.

    The direction of the whole is that of its first letter.
    """
    if text.isascii():
        return [0] * len(text)
    types = [unicodedata.bidirectional(char) or "L" for char in text]
    if not {"R", "AL", "AN"} & set(types):
        return [0] * len(text)
    base = _base_level(types)
    resolved = _resolve_weak(types, base)
    _resolve_brackets(text, resolved, base)
    _resolve_neutral(resolved, base)
    return _trailing_at_base(types, [_implicit(kind, base) for kind in resolved], base)


def visual_order(run_levels: Sequence[int]) -> list[int]:
    """Return the indexes of runs, whose levels these are, from left to right (rule L2)."""
    order = list(range(len(run_levels)))
    odd = [level for level in run_levels if level % 2]
    for level in range(max(run_levels, default=0), min(odd, default=1) - 1, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and run_levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = max(end, start + 1)
    return order


def _base_level(types: Sequence[str]) -> int:
    strong = next((kind for kind in types if kind in ("L", "R", "AL")), "L")
    return 0 if strong == "L" else 1


def _direction(level: int) -> str:
    return "R" if level % 2 else "L"


def _resolve_weak(types: Sequence[str], base: int) -> list[str]:
    """Return the types after the rules W1 to W7."""
    resolved = list(types)
    previous = _direction(base)
    for index, kind in enumerate(resolved):  # W1
        if kind == "NSM":
            resolved[index] = previous
        previous = resolved[index]
    strong = _direction(base)
    for index, kind in enumerate(resolved):  # W2, W3
        if kind in ("L", "R", "AL"):
            strong = kind
        if kind == "EN" and strong == "AL":
            resolved[index] = "AN"
    resolved = ["R" if kind == "AL" else kind for kind in resolved]
    for index in range(1, len(resolved) - 1):  # W4
        before, kind, after = resolved[index - 1 : index + 2]
        if before == after and ((kind == "CS" and before in ("EN", "AN")) or (kind == "ES" and before == "EN")):
            resolved[index] = before
    for start, end in _stretches(resolved, {"ET"}):  # W5
        if "EN" in (*resolved[max(start - 1, 0) : start], *resolved[end : end + 1]):
            resolved[start:end] = ["EN"] * (end - start)
    strong = _direction(base)
    for index, kind in enumerate(resolved):  # W6, W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            resolved[index] = "L"
        elif kind not in ("EN", "AN"):
            resolved[index] = "ON"
    return resolved


def _resolve_brackets(text: str, types: list[str], base: int) -> None:
    """Give both brackets of a pair one direction (rule N0)."""
    for start, end in _pairs(text, types):
        inside = {_strong(kind) for kind in types[start + 1 : end]} - {None}
        if not inside:
            continue
        direction = _direction(base)
        if direction not in inside:
            before = (_strong(kind) for kind in reversed(types[:start]))
            outside = next((kind for kind in before if kind), direction)
            direction = outside if outside in inside else _direction(base)
        types[start] = types[end] = direction


def _pairs(text: str, types: Sequence[str]) -> list[tuple[int, int]]:
    found, opened = [], []
    for index, char in enumerate(text):
        if types[index] != "ON":
            continue
        if char in _OPENING:
            opened.append(index)
        elif char in _CLOSING:
            matching = next((each for each in reversed(opened) if text[each] == _CLOSING[char]), None)
            if matching is not None:
                found.append((matching, index))
                del opened[opened.index(matching) :]
    return sorted(found)


def _strong(kind: str) -> str | None:
    """Return the direction of a type; numbers count as right to left."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind)


def _resolve_neutral(types: list[str], base: int) -> None:
    """Give neutral characters the direction of what is around them (rules N1 and N2)."""
    for start, end in _stretches(types, {"ON"}):
        before = _strong(types[start - 1]) if start else _direction(base)
        after = _strong(types[end]) if end < len(types) else _direction(base)
        types[start:end] = [before if before == after and before else _direction(base)] * (end - start)


def _implicit(kind: str, base: int) -> int:
    """Return a character's level (rules I1 and I2)."""
    if base % 2:
        return base if kind == "R" else base + 1
    return {"L": base, "R": base + 1}.get(kind, base + 2)


def _trailing_at_base(types: Sequence[str], found: list[int], base: int) -> list[int]:
    """Put blanks at the end of the line where the line ends (rule L1)."""
    for index in range(len(types) - 1, -1, -1):
        if types[index] not in ("WS", "S", "B"):
            break
        found[index] = base
    return found


def _stretches(types: Sequence[str], wanted: set[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each longest stretch of the wanted types."""
    start = 0
    while start < len(types):
        end = start
        while end < len(types) and types[end] in wanted:
            end += 1
        if end > start:
            yield start, end
        start = max(end, start + 1)
