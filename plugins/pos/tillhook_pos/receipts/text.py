"""Receipts as plain text, in columns of one width: for a screen, an e-mail, or a printer that takes text."""

from collections.abc import Iterable

from wcwidth import wcswidth

from tillhook_pos.receipts.fonts import clusters
from tillhook_pos.receipts.rows import Barcode, Cells, Gap, Pair, Row, Rule, Square, Words

#: The least columns that stay for what stands at the left of an amount.
_LEAST_LEFT = 8


def columns(text: str) -> int:
    """Return how many columns a cleaned text takes: two for a wide letter, none for a mark."""
    return max(wcswidth(text), 0) if text.isascii() else sum(map(_cluster_columns, clusters(text)))


def render(rows: Iterable[Row], width: int) -> str:
    """Return the rows as lines of at most ``width`` columns."""
    return "".join(f"{line.rstrip()}\n" for row in rows for line in lines_of(row, width))


def lines_of(row: Row, width: int) -> list[str]:
    """Return the lines of one row; none for a code that text cannot show."""
    match row:
        case Words():
            lines = [" " * row.indent + line for line in wrap(row.text, width - row.indent)]
            return [_centred(line, width) for line in lines] if row.centred else lines
        case Pair():
            return _pair(row, width)
        case Cells():
            return _cells(row.cells, width)
        case Rule():
            return ["-" * width]
        case Gap():
            return [""]
        case Barcode():
            return [_centred(line, width) for line in wrap(row.text, width)]
        case Square():
            return []


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most ``width`` columns."""
    lines, current = [], ""
    for word in text.split(" "):
        candidate = f"{current} {word}" if current else word
        if columns(candidate) <= width:
            current = candidate
            continue
        if current:
            lines.append(current)
        *whole, current = _broken(word, width)
        lines += whole
    return [*lines, current] if current else lines or [""]


def _broken(word: str, width: int) -> list[str]:
    pieces, current = [], ""
    for cluster in clusters(word):
        if current and columns(current) + _cluster_columns(cluster) > width:
            pieces.append(current)
            current = ""
        current += cluster
    return [*pieces, current]


def _pair(row: Pair, width: int) -> list[str]:
    taken = columns(row.right)
    left_width = width - row.indent - taken - 1
    if left_width < _LEAST_LEFT:
        # Too long a text to stand beside anything.
        left = [" " * row.indent + line for line in wrap(row.left, width - row.indent)]
        return left + [" " * (width - columns(line)) + line for line in wrap(row.right, width)]
    lines = [" " * row.indent + line for line in wrap(row.left, left_width)]
    lines[-1] += " " * (width - columns(lines[-1]) - taken) + row.right
    return lines


def _cells(cells: tuple[str, ...], width: int) -> list[str]:
    first, *others = cells
    share = (width - columns(first)) // len(others) if others else 0
    room = min(width // len(cells), share)
    if any(columns(cell) >= room for cell in others):
        return _close(cells, width)
    lead = width - room * len(others)
    return [first + " " * (lead - columns(first)) + "".join(" " * (room - columns(cell)) + cell for cell in others)]


def _close(cells: tuple[str, ...], width: int) -> list[str]:
    """Return cells that are too wide for their columns one beside the other, else one below the other."""
    first, others = cells[0], " ".join(cells[1:])
    gap = width - columns(first) - columns(others)
    if gap > 0:
        return [first + " " * gap + others]
    return [line for cell in cells for line in wrap(cell, width)]


def _centred(line: str, width: int) -> str:
    return " " * ((width - columns(line)) // 2) + line


def _cluster_columns(cluster: str) -> int:
    """Return the columns of one letter with its marks; a letter alone may be a mark."""
    return max(wcswidth(cluster), 0)
