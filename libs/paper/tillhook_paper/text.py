"""Rows as plain text, in columns of one width: for a screen, an e-mail, or a printer that takes text."""

from wcwidth import wcswidth

from tillhook_paper import words
from tillhook_paper.blocks import Barcode, Cells, Gap, Pair, Paragraph, QRCode, Row, Rule

#: The least columns that stay for what stands at the left of an amount.
_LEAST_LEFT = 8


def columns(text: str) -> int:
    """Return how many columns a cleaned text takes: two for a wide letter, none for a mark."""
    return max(wcswidth(text), 0) if text.isascii() else sum(map(_cluster_columns, words.clusters(text)))


def lines_of(row: Row, width: int) -> list[str]:
    """Return the lines of one row; none for a code that text cannot show."""
    match row:
        case Paragraph():
            return [_placed(line, row, width) for line in wrap(row.text, width - row.indent)]
        case Pair():
            return _pair(row, width)
        case Cells():
            return _cells(tuple(map(words.clean, row.cells)), width)
        case Rule():
            return ["-" * width]
        case Gap():
            return [""]
        case Barcode():
            return [_centred(line, width) for line in wrap(row.text, width)]
        case QRCode():
            return []


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most ``width`` columns."""
    return words.wrap(text, width, columns)


def _pair(row: Pair, width: int) -> list[str]:
    value = words.clean(row.right)
    taken = columns(value)
    left_width = width - row.indent - taken - 1
    if left_width < _LEAST_LEFT:
        # Too long a text to stand beside anything.
        left = [" " * row.indent + line for line in wrap(row.left, width - row.indent)]
        return left + [" " * (width - columns(line)) + line for line in wrap(value, width)]
    lines = [" " * row.indent + line for line in wrap(row.left, left_width)]
    lines[-1] += " " * (width - columns(lines[-1]) - taken) + value
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


def _placed(line: str, row: Paragraph, width: int) -> str:
    match row.align:
        case "left":
            return " " * row.indent + line
        case "centre":
            return _centred(line, width)
        case "right":
            return " " * (width - columns(line)) + line


def _centred(line: str, width: int) -> str:
    return " " * ((width - columns(line)) // 2) + line


def _cluster_columns(cluster: str) -> int:
    """Return the columns of one letter with its marks; a letter alone may be a mark."""
    return max(wcswidth(cluster), 0)
