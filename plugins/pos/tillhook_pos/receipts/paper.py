"""Receipts as PDF: on a roll of 80 mm, and on sheets of A4."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tillhook_pos.receipts import fonts, pdf
from tillhook_pos.receipts.document import Receipt, ReceiptLine
from tillhook_pos.receipts.marks import LEADING, MM, Block, Box, Mark, block_of, written, written_to
from tillhook_pos.receipts.rows import Barcode, Gap, Pair, Row, Rule, Square, Words, strip

ROLL_WIDTH = 80 * MM
#: What a printer's head reaches of it.
STRIP_WIDTH = 72 * MM
_ROLL_MARGIN = 5 * MM
#: Readers show no page longer than 200 inches; a roll is cut well before.
_LONGEST_ROLL = 2000 * MM

_A4_WIDTH, _A4_HEIGHT = 210 * MM, 297 * MM
_MARGIN = 18 * MM
_BODY = _A4_WIDTH - 2 * _MARGIN
_BOTTOM = _A4_HEIGHT - 22 * MM
_SIZE = 9.0
_ROW_GAP = 3.0
#: The columns beside the item: title, right edge from the right margin, and the width of each.
_COLUMNS = (("Quantity", 92 * MM), ("Unit price", 66 * MM), ("Discount", 46 * MM), ("Tax", 30 * MM), ("Total", 0.0))
_ITEM_WIDTH = _BODY - 112 * MM


def roll(receipt: Receipt) -> bytes:
    """Return a receipt for a roll: one page as long as it needs, several when it is very long."""
    left = (ROLL_WIDTH - STRIP_WIDTH) / 2
    pages: list[pdf.Page] = []
    marks: list[Mark] = []
    top = _ROLL_MARGIN
    for row in strip(receipt):
        block = block_of(row, STRIP_WIDTH)
        if marks and top + block.height > _LONGEST_ROLL - _ROLL_MARGIN:
            pages.append(pdf.Page(ROLL_WIDTH, top + _ROLL_MARGIN, marks))
            marks, top = [], _ROLL_MARGIN
        marks += _placed(block, left, top)
        top += block.height
    pages.append(pdf.Page(ROLL_WIDTH, top + _ROLL_MARGIN, marks))
    return pdf.write(pages, title=_title(receipt))


def sheets(receipt: Receipt) -> bytes:
    """Return a receipt on A4: the head on the first sheet, the columns' titles on each, and its number at the foot."""
    sheet = _Sheets(receipt)
    sheet.fill()
    return pdf.write(sheet.pages(), title=_title(receipt))


def _title(receipt: Receipt) -> str:
    return f"{receipt.title} {receipt.number}"


def _placed(block: Block, x: float, y: float) -> Iterator[Mark]:
    for mark in block.marks:
        yield replace(mark, x=mark.x + x, y=mark.y + y)


class _Sheets:
    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt
        self._done: list[list[Mark]] = []
        self._marks: list[Mark] = []
        self._top = _MARGIN

    def fill(self) -> None:
        """Put the whole receipt on sheets."""
        self._head()
        self._column_titles()
        for line in self._receipt.lines:
            block = _item(line)
            if self._turn_for(block.height):
                self._column_titles()
            self._put(block)
        self._put(Block(_ROW_GAP, (Box(0, 0, _BODY, 0.5),)))
        self._sums()
        self._closing()

    def pages(self) -> list[pdf.Page]:
        """Return the sheets, numbered."""
        sheets = [*self._done, self._marks]
        return [
            pdf.Page(_A4_WIDTH, _A4_HEIGHT, [*marks, *self._foot(number, len(sheets))])
            for number, marks in enumerate(sheets, 1)
        ]

    def _turn_for(self, height: float) -> bool:
        """Begin a new sheet when what comes next does not fit on this one; say whether."""
        if self._top + height <= _BOTTOM:
            return False
        self._done.append(self._marks)
        self._marks, self._top = [], _MARGIN
        return True

    def _put(self, block: Block, x: float = 0.0) -> None:
        self._turn_for(block.height)
        self._marks += _placed(block, _MARGIN + x, self._top)
        self._top += block.height

    def _rows(self, rows: Iterable[Row], width: float, x: float) -> None:
        for row in rows:
            self._put(block_of(row, width), x)

    def _head(self) -> None:
        receipt = self._receipt
        half = _BODY / 2 - 4 * MM
        start = self._top
        firm = [Words(receipt.firm, bold=True, size="large"), *map(Words, receipt.address)]
        if receipt.tax_id:
            firm.append(Words(f"Tax number {receipt.tax_id}"))
        self._rows(firm, half, 0)
        left, self._top = self._top, start
        title = [Words(receipt.title, bold=True, size="large")]
        title += [Words(f"*** {banner} ***", bold=True) for banner in receipt.banners]
        self._rows([*title, *(Pair(name, value) for name, value in receipt.facts)], half, _BODY - half)
        self._top = max(left, self._top) + 8 * MM

    def _column_titles(self) -> None:
        marks: list[Mark] = [written("Item", 0, 0, _SIZE, bold=True)]
        marks += [written_to(title, _BODY - right, 0, _SIZE, bold=True) for title, right in _COLUMNS]
        height = LEADING * _SIZE + _ROW_GAP
        self._put(Block(height + _ROW_GAP, (*marks, Box(0, height, _BODY, 0.5))))

    def _sums(self) -> None:
        receipt = self._receipt
        rows: list[Row] = [
            Pair(each.name, each.amount, bold=each.is_total, size="large" if each.is_total else "normal")
            for each in receipt.sums
        ]
        rows.append(Rule())
        rows += [Pair(each.name, each.amount) for each in receipt.tenders]
        width = _BODY / 2
        blocks = [block_of(row, width) for row in rows]
        self._turn_for(sum(block.height for block in blocks))
        for block in blocks:
            self._put(block, _BODY - width)
        self._put(block_of(Gap(), _BODY))

    def _closing(self) -> None:
        receipt = self._receipt
        for table in receipt.taxes:
            rows = (("Rate", "Net", "Tax", "Gross"), *table.rows)
            self._put(block_of(Words(table.title, bold=True), _BODY))
            for cells in rows:
                self._put(_tax_row(cells))
            self._put(block_of(Gap(), _BODY))
        self._rows([*map(Words, receipt.notes), Gap()], _BODY, 0)
        self._rows([*(Words(line, centred=True) for line in receipt.footer), Gap(), Gap()], _BODY, 0)
        codes = [block_of(Barcode(receipt.number), _BODY / 2), block_of(Square(receipt.code), _BODY / 2)]
        self._turn_for(max(block.height for block in codes))
        for block, x in zip(codes, (0, _BODY / 2), strict=True):
            self._marks += _placed(block, _MARGIN + x, self._top)

    def _foot(self, number: int, count: int) -> list[Mark]:
        top = _A4_HEIGHT - 16 * MM
        left = written(f"{self._receipt.title} {self._receipt.number}", _MARGIN, top, _SIZE - 1)
        right = written_to(f"Page {number} of {count}", _A4_WIDTH - _MARGIN, top, _SIZE - 1)
        return [Box(_MARGIN, top - 2, _BODY, 0.3), left, right]


def _item(line: ReceiptLine) -> Block:
    lines = fonts.wrap(line.name, _ITEM_WIDTH, _SIZE)
    details = [each for text in line.details for each in fonts.wrap(text, _ITEM_WIDTH, _SIZE - 1)]
    step = LEADING * _SIZE
    marks: list[Mark] = [written(text, 0, index * step, _SIZE) for index, text in enumerate(lines)]
    marks += [written(text, 0, (len(lines) + index) * step, _SIZE - 1) for index, text in enumerate(details)]
    cells = (line.quantity, line.unit_price, line.discount, line.tax_rate, line.total)
    marks += _right_aligned(cells, [right for _, right in _COLUMNS])
    return Block((len(lines) + len(details)) * step + _ROW_GAP, tuple(marks))


def _right_aligned(cells: Sequence[str], rights: Sequence[float]) -> list[Mark]:
    """Return cells that end at distances from the right margin, made smaller where they would touch."""
    marks: list[Mark] = []
    for index, (cell, right) in enumerate(zip(cells, rights, strict=True)):
        before = _BODY - rights[index - 1] if index else _ITEM_WIDTH
        room = _BODY - right - before - 1.5 * MM
        width = fonts.width(cell, _SIZE)
        size = _SIZE if width <= room else _SIZE * room / width
        marks.append(written_to(cell, _BODY - right, 0, size))
    return marks


def _tax_row(cells: Sequence[str]) -> Block:
    room = 30 * MM
    marks = [written(cells[0], 0, 0, _SIZE)]
    marks += [written_to(cell, room * (index + 2), 0, _SIZE) for index, cell in enumerate(cells[1:])]
    return Block(LEADING * _SIZE, tuple(marks))
