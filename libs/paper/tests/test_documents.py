"""Documents: what stands on which page, and where."""

import io
import re
import subprocess
import sys
import tracemalloc
import weakref
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest

from tillhook_paper import (
    A4,
    LETTER,
    MM,
    ROLL_58,
    ROLL_80,
    Barcode,
    Beside,
    Cell,
    Cells,
    Column,
    Document,
    Gap,
    Pair,
    Paragraph,
    QRCode,
    Rule,
    Sheet,
    Table,
    Together,
    Total,
    fonts,
    to_escpos,
    to_pdf,
    to_text,
    write_pdf,
)

COLUMNS = (Column("Article"), Column("Quantity", 25 * MM, "right"), Column("Amount", 30 * MM, "right"))
#: Eight rows of a table fit below its titles.
CARD = Sheet(105 * MM, 76 * MM, 10 * MM)


def rows(count):
    return [(f"Article-{number}", str(number), f"{number}.50") for number in range(1, count + 1)]


def table(*given, columns=COLUMNS):
    return Table(columns, given)


def texts(content):
    """Return what each page says, the margins last."""
    document = pypdfium2.PdfDocument(content)
    return [page.get_textpage().get_text_range() for page in document]


def said(*blocks, paper=A4, **fields):
    return texts(to_pdf(Document("Test", blocks, **fields), paper))


def place_of(page, word, *, every=False):
    """Return the left, bottom, right and top of a word on a page, or of every place where it stands."""
    textpage = page.get_textpage()
    search, boxes = textpage.search(word, match_case=True), []
    while (found := search.get_next()) and (every or not boxes):
        boxes += [textpage.get_charbox(found[0] + index) for index in range(found[1])]
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def first_page(*blocks, paper=A4):
    return pypdfium2.PdfDocument(to_pdf(Document("Test", blocks), paper))[0]


# --- pages -------------------------------------------------------------------------------------------------


def test_every_page_repeats_titles_head_foot_and_number():
    pages = said(Table(COLUMNS, rows(130)), head="Stock of Main", foot="Corner Shop · مخزن", numbering="{page}/{pages}")
    assert len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert all(title in page for title in ("Article", "Quantity", "Amount", "Corner Shop", f"{number}/3"))
        assert ("Stock of Main" in page) == (number > 1)
    found = [int(number) for page in pages for number in re.findall(r"Article-(\d+)", page)]
    assert found == list(range(1, 131))


def test_a_document_of_nothing_is_one_empty_page():
    assert said(numbering="Page {page} of {pages}") == ["Page 1 of 1"]
    assert [page.strip() for page in said(numbering="")] == [""]


@pytest.mark.slow
def test_no_row_stands_in_the_margins():
    document = pypdfium2.PdfDocument(to_pdf(Document("Test", [Table(COLUMNS, rows(200))], numbering=""), LETTER))
    for page in document:
        heights = [page.get_textpage().get_charbox(index) for index in range(page.get_textpage().count_chars())]
        assert page.get_size() == (612, 792)
        assert min(box[1] for box in heights) > LETTER.margin + 4 * MM and max(box[3] for box in heights) < 792 - 51


def test_a_row_is_kept_whole_where_it_can_be():
    tall = ("Word " * 6 + "x" * 60, "1", "2.00")
    pages = said(table(*rows(6), tall, *rows(1)), paper=CARD)
    assert "Word" not in pages[0] and pages[1].count("Word") == 6 and pages[1].count("x") >= 60


@pytest.mark.parametrize("before", [0, 1])
def test_a_row_higher_than_a_page_is_divided_and_loses_nothing(before):
    words = [f"word{number}" for number in range(400)]
    pages = said(table(*rows(before), (" ".join(words), "7", "8.00"), *rows(1)), paper=CARD)
    assert len(pages) > 5 and all("Quantity" in page for page in pages)
    assert re.findall(r"word\d+", " ".join(pages)) == words
    assert sum(page.count("Article-1") for page in pages) == before + 1


@pytest.mark.parametrize("room", range(2, 42, 3))
def test_a_table_is_written_however_low_the_paper_is(room):
    paper = Sheet(105 * MM, room + 14 * MM, 5 * MM)
    pages = said(table(*rows(3)), paper=paper, numbering="")
    assert re.findall(r"Article-\d", " ".join(pages)) == ["Article-1", "Article-2", "Article-3"]
    assert len(pages) <= 6


def test_a_paragraph_flows_and_a_group_stays_together():
    words = [f"word{number}" for number in range(60)]
    pages = said(*[Paragraph("line")] * 8, Paragraph(" ".join(words)), paper=CARD)
    assert "word0" in pages[0] and len(pages) == 2 and re.findall(r"word\d+", " ".join(pages)) == words
    group = Together((Paragraph("first"), Pair("second", "2"), Paragraph("third")))
    pages = said(*[Paragraph("line")] * 10, group, paper=CARD)
    assert "first" not in pages[0] and all(word in pages[1] for word in ("first", "second", "third"))


def test_a_group_higher_than_a_page_is_divided():
    lines = [f"line{number}" for number in range(40)]
    pages = said(Together(tuple(map(Paragraph, lines))), paper=CARD)
    assert len(pages) > 2 and re.findall(r"line\d+", " ".join(pages)) == lines


def test_what_cannot_be_divided_is_printed_all_the_same():
    tiny = Sheet(40 * MM, 25 * MM, 5 * MM)
    pages = said(Paragraph("before"), QRCode("x" * 300), Paragraph("after"), paper=tiny, numbering="")
    assert "before" in pages[0] and "after" in pages[-1] and len(pages) < 5


def test_a_heading_is_on_the_page_of_what_it_is_above():
    for filling in range(20):
        heading = Paragraph("Heading", keeps_next=True)
        pages = said(*[Paragraph("line")] * filling, heading, Table(COLUMNS, rows(2)), paper=CARD)
        (page,) = [page for page in pages if "Heading" in page]
        assert "Quantity" in page and "Article-1" in page
    assert "Heading" in said(Paragraph("Heading", keeps_next=True))[0], "also when nothing follows"


def test_a_total_is_on_the_page_of_the_row_before_it():
    for count in range(1, 12):
        pages = said(table(*rows(count), Total(("Total", "", "99.00")), Total(("To pay", "", "98.00"))), paper=CARD)
        assert f"Article-{count}" in pages[-1] and "99.00" in pages[-1] and "98.00" in pages[-1]


def test_empty_room_begins_no_page():
    assert len(said(*[Paragraph("line")] * 10, Gap(200), paper=CARD)) == 1


# --- tables ------------------------------------------------------------------------------------------------


def test_numbers_end_where_their_column_ends_and_long_texts_are_wrapped():
    page = first_page(table(("A name that is far too long for its column, " * 3, "7", "8.25"), ("Tea", "12345", "1.5")))
    right = A4.width - A4.margin
    assert place_of(page, "8.25")[2] == pytest.approx(right, abs=1)
    assert place_of(page, "1.5")[2] == pytest.approx(right, abs=1)
    assert place_of(page, "12345")[2] == pytest.approx(right - 30 * MM, abs=1)
    assert place_of(page, "Quantity")[2] == pytest.approx(right - 30 * MM, abs=1)
    name = place_of(page, "A name that is far too long for its column, A name")
    assert name[2] < right - 55 * MM


@pytest.mark.parametrize("digits", [3, 30])
def test_a_cell_never_touches_the_next_one(digits):
    columns = (Column("No", 15 * MM, "right"), Column("Name", 30 * MM), Column("What"), Column("Sum", 20 * MM, "right"))
    page = first_page(table(("2" * digits, "i" * 200, "Q" * 200, "9" * digits), columns=columns))
    titles = [place_of(page, title) for title in ("No", "Name", "What", "Sum")]
    cells = [place_of(page, char, every=True) for char in "2iQ9"]
    for places in (titles, cells):
        assert places[0][0] >= A4.margin and places[-1][2] <= A4.width - A4.margin + 1
        assert all(right[0] - left[2] > 4 for left, right in pairwise(places))


def test_columns_wider_than_the_paper_are_reduced():
    columns = (Column("Name"), *(Column(f"C{number}", 60 * MM, "right") for number in range(5)))
    page = first_page(table(("Tea", *"12345"), columns=columns))
    edges = [place_of(page, f"C{number}")[2] for number in range(5)]
    assert edges == sorted(edges) and edges[-1] == pytest.approx(A4.width - A4.margin, abs=1)
    assert place_of(page, "C0")[0] > place_of(page, "Name")[2] + 3


def test_details_stand_below_their_cell_in_a_smaller_size():
    page = first_page(table((Cell("Cheese", ("Lot L-77",)), "1", "2.00"), ("Bread", "1", "1.00")))
    cheese, lot, bread = (place_of(page, word) for word in ("Cheese", "Lot L-77", "Bread"))
    assert cheese[1] > lot[3] > lot[1] > bread[3] and cheese[0] == pytest.approx(lot[0], abs=1)


def test_a_row_has_one_cell_per_column():
    with pytest.raises(ValueError):
        said(table(("Tea", "1")))


def test_columns_side_by_side():
    beside = Beside(((Paragraph("left"),), (Paragraph("right"), Pair("Due", "2026"))), shares=(1, 3), gap=0)
    page = first_page(beside, Paragraph("below"))
    left, right, below = (place_of(page, word) for word in ("left", "right", "below"))
    assert right[0] == pytest.approx(A4.margin + A4.body_width / 4, abs=1) and left[3] == pytest.approx(right[3], abs=3)
    assert below[3] < place_of(page, "2026")[1]


# --- long ones ---------------------------------------------------------------------------------------------


class Tracked(list):
    """A row that a weak reference can follow."""

    __hash__ = object.__hash__


def test_rows_are_taken_as_they_are_written_and_let_go():
    alive, counts = weakref.WeakSet(), []

    def stream():
        for row in rows(1500):
            tracked = Tracked(row)
            alive.add(tracked)
            counts.append(len(alive))
            yield tracked

    file = io.BytesIO()
    assert write_pdf(Document("Test", iter([Table(COLUMNS, stream())])), file) == len(texts(file.getvalue())) > 20
    assert max(counts) < 5


def calls_for(count):
    """Return how many functions are called to write a table."""
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    # Texts of one length, each of them new.
    texts = [(f"{number:08}", f"{number + 1:07}", f"{number:09}.5") for number in range(count)]
    document = Document("Test", [Table(COLUMNS, texts)])
    fonts.shape.cache_clear()
    sys.setprofile(note)
    try:
        to_pdf(document)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.slow
def test_the_work_grows_with_the_rows_and_no_faster():
    calls_for(50)
    few, some, many = map(calls_for, (400, 800, 1600))
    assert many - some == pytest.approx(2 * (some - few), rel=0.05)


class Nowhere:
    """A file that keeps nothing."""

    def write(self, data):
        return len(data)


def peak_for(count):
    """Return the most memory that is used while a table is written, in bytes."""
    fonts.shape.cache_clear()
    stream = ((f"{number % 100:08}", f"{number % 90:07}", f"{number % 77:09}.5") for number in range(count))
    tracemalloc.start()
    write_pdf(Document("Test", [Table(COLUMNS, stream)]), Nowhere())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_of_a_page_that_is_written_only_its_packed_contents_are_left():
    peak_for(50)
    assert peak_for(2000) - peak_for(500) < 1500 * 375


def test_another_document_is_written_between_two_pages():
    inner = []

    def stream():
        for number, row in enumerate(rows(200)):
            if number % 60 == 30:
                inner.append(to_pdf(Document("Test", [Paragraph("Українська Ґанок")])))
            yield ("Ελληνικά", *row[1:])

    outer = said(Table(COLUMNS, stream()))
    assert sum(page.count("Ελληνικά") for page in outer) == 200
    assert ["Українська Ґанок" in texts(content)[0] for content in inner] == [True] * 3


# --- one column --------------------------------------------------------------------------------------------

RECORD = (Column("No.", 10 * MM, "right"), *COLUMNS)


def test_in_one_column_a_row_is_a_list_of_its_cells():
    given = table(("1", Cell("Green tea", ("Lot 7",)), "2", "7.20"), Total(("", "Total", "", "7.20")), columns=RECORD)
    assert to_text(Document("Test", [given]), 20).splitlines() == [
        "Green tea",
        "  Lot 7",
        "  No.              1",
        "  Quantity         2",
        "  Amount        7.20",
        "-" * 20,
        "Total",
        "  Amount        7.20",
        "-" * 20,
    ]


@pytest.mark.parametrize("paper", [ROLL_58, ROLL_80], ids=("58mm", "80mm"))
def test_a_roll_is_as_long_as_what_stands_on_it(paper):
    blocks = [Paragraph("Receipt", "centre"), Table(COLUMNS, rows(3)), Barcode("A-1"), QRCode("code")]
    short, long = (
        pypdfium2.PdfDocument(to_pdf(Document("Test", [*blocks, *[Rule()] * count]), paper)) for count in (1, 40)
    )
    assert len(short) == len(long) == 1 and short[0].get_width() == pytest.approx(paper.width)
    assert short[0].get_height() < long[0].get_height() < 1000
    box = place_of(short[0], "Amount")
    assert box[0] > (paper.width - paper.body_width) / 2 and "Page" not in texts(to_pdf(Document("", blocks), paper))[0]


def test_lines_of_a_text_are_kept_and_placed():
    document = Document("Test", [Paragraph("one\ntwo"), Paragraph("right", "right"), Paragraph("mid", "centre")])
    assert to_text(document, 9).splitlines() == ["one", "two", "    right", "   mid"]
    page = first_page(Paragraph("one\ntwo"), Paragraph("right", "right"))
    assert place_of(page, "one")[1] > place_of(page, "two")[3]
    assert place_of(page, "right")[2] == pytest.approx(A4.width - A4.margin, abs=1)


def test_nothing_in_a_text_reaches_the_printer_as_a_command():
    hostile = "a\x1bp\x00\x1dVb\r\n\x1b@"
    blocks = [Paragraph(hostile), Pair(hostile, hostile), Cells((hostile, hostile)), table((hostile, hostile, hostile))]
    content = to_escpos(Document(hostile, blocks), 32)
    assert content.count(b"\x1b@") == 1 and content.count(b"\x1dV") == 1 and b"\x1bp" not in content
    assert "\x1b" not in to_text(Document("", blocks), 32)
    assert "\x1b" not in said(*blocks, head=hostile, foot=hostile, numbering=hostile)[0]


@pytest.mark.parametrize("text", ["", "é", "a\x1d", "a\n"])
def test_bars_say_printable_ascii(text):
    with pytest.raises(ValueError):
        Barcode(text)


def test_the_example_of_the_readme():
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, names := {})
    (page,) = texts(names["content"])
    assert all(word in page for word in ("Invoice 17", "Green tea", "9.70", "Corner Shop", "Page 1 of 1"))


def test_importing_the_library_loads_nothing_that_draws():
    heavy = "{'uharfbuzz', 'reportlab', 'PIL', 'escpos', 'segno', 'wcwidth'}"
    code = f"import sys, tillhook_paper; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
