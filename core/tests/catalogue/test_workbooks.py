"""Workbooks as Excel writes them, and as somebody writes them who means harm."""

import datetime
import io
import subprocess
import sys
import zipfile

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from tillhook.catalogue.tables import read_table
from tillhook.errors import ValidationFailed

MIB = 1024 * 1024
NOON = datetime.datetime(2030, 1, 31, 12, 30)  # noqa: DTZ001 - a cell has no time zone
WIDE = "\U0001f600"
SHEET, STYLES, STRINGS = "xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/sharedStrings.xml"
PARTS = {
    "_rels/.rels": '<Relationships><Relationship Id="r" Type="t/officeDocument" Target="xl/workbook.xml"/>'
    "</Relationships>",
    "xl/workbook.xml": '<workbook xmlns:r="u"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": "<Relationships>"
    '<Relationship Id="r0" Type="t/externalLink" Target="http://example.com/x" TargetMode="External"/>'
    '<Relationship Id="r1" Type="t/worksheet" Target="worksheets/sheet1.xml"/>'
    '<Relationship Id="r2" Type="t/styles" Target="styles.xml"/>'
    '<Relationship Id="r3" Type="t/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    SHEET: '<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>sku</t></is></c></row></sheetData>'
    "</worksheet>",
    STYLES: "<styleSheet/>",
    STRINGS: "<sst/>",
}


def packed(parts, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as package:
        for name, pieces in {**PARTS, **parts}.items():
            with package.open(name, "w", force_zip64=True) as part:
                for piece in [pieces] if isinstance(pieces, str) else pieces:
                    part.write(piece.encode())
    return file.getvalue()


def table(*rows):
    return packed({SHEET: f"<worksheet><sheetData>{''.join(rows)}</sheetData></worksheet>"})


def read(content):
    found = read_table(io.BytesIO(content), lambda title: True)
    return [(1, found.header), *((row.number, row.cells) for row in found.rows)]


def test_what_a_sheet_holds():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["sku", "Größe", 0.1 + 0.2, 4006381333931, True, 1e21, -5])
    sheet.append([datetime.date(2030, 1, 31), NOON, "", None, "x"])
    sheet["B5"] = CellRichText("one ", TextBlock(InlineFont(b=True), "word"))
    sheet["A6"], sheet["A6"].number_format = 45_000, "dd/mm/yyyy"
    book.create_chartsheet("chart", 0)
    book.create_sheet("another")
    file = io.BytesIO()
    book.save(file)
    assert read(file.getvalue()) == [
        (1, ["sku", "Größe", "0.3", "4006381333931", "true", "1000000000000000000000", "-5"]),
        (2, ["2030-01-31", "2030-01-31T12:30:00", "", "", "x"]),
        (5, ["", "one word"]),
        (6, ["2023-03-15"]),
    ]


def test_formulas_give_what_excel_kept_for_them():
    texts = '<c r="C1" t="str"><f>A2</f><v></v></c><c t="e"><v>#N/A</v></c>'
    kept = f'<row r="1"><c r="A1"><f>1+1</f><v>2</v></c>{texts}</row>'
    assert read(table(kept)) == [(1, ["2", "", "", "#N/A"])]
    for lost in ("<c><f>1+1</f></c>", "<c><f>1+1</f><v/></c>", '<c t="str"><f t="shared" si="0"/></c>'):
        with pytest.raises(ValidationFailed, match="Row 1, column 1 is a formula"):
            read(table(f"<row>{lost}</row>"))


@pytest.mark.parametrize(
    "content",
    [
        table('<row r="2"><c r="A2"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>'),
        table('<row><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>'),
        table('<row><c t="s"><v>7</v></c></row>'),
        table('<row><c t="s"><v>-1</v></c></row>'),
        table("<row><c><v>one</v></c></row>"),
        table('<row><c r="1A"><v>1</v></c></row>'),
        table("<row><c><v>1</v></row>"),
        table('<row r="9999999"><c><v>1</v></c></row>'),
        packed({"xl/workbook.xml": "<workbook/>"}),
        packed({"xl/_rels/workbook.xml.rels": "<Relationships/>"}),
        packed({STYLES: '<s><cellXfs><xf numFmtId="x"/></cellXfs></s>'}),
        packed({SHEET: "no markup"}),
        packed({})[:-30],
        packed({})[:300] + b"x" * 200 + packed({})[500:],
    ],
)
def test_what_is_damaged_is_refused(content):
    with pytest.raises(ValidationFailed) as refused:
        read(content)
    assert refused.value.errors[0]["field"] == "file"


def repeated(before, unit, mebibytes, after):
    block = unit * (MIB // len(unit.encode()))
    yield before
    for _ in range(mebibytes):
        yield block
    yield after


def lying():
    """A sheet of 20 MiB, of which the zip's directory says that it has a thousand bytes."""
    content = packed({SHEET: repeated("<w>", " ", 20, "</w>")})
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        size = package.getinfo(SHEET).file_size
    return content.replace(size.to_bytes(4, "little"), (1_000).to_bytes(4, "little"))


def many_parts():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for number in range(50_000):
            package.writestr(f"part{number}", b"")
    return file.getvalue()


def other_names():
    return "".join(f"<a{number} b{number}=''/>" for number in range(100_000))


BOMBS = {
    "styles": lambda: packed({STYLES: repeated("<s><cellXfs>", '<xf numFmtId="14"/>', 30, "</cellXfs></s>")}),
    "spaces in styles": lambda: packed({STYLES: repeated("<s>", " ", 40, "</s>")}),
    "wide strings": lambda: packed({STRINGS: repeated("<sst>", f"<si><t>{WIDE * 8_000}</t></si>", 140, "</sst>")}),
    "one string": lambda: packed({STRINGS: repeated("<sst><si><t>", "\n", 10, "</t></si></sst>")}),
    "a deep sheet": lambda: packed({SHEET: repeated("", "<a>", 5, "")}),
    "a tag without end": lambda: packed({SHEET: repeated("<w a='", "x", 5, "'/>")}),
    "a comment without end": lambda: packed({SHEET: repeated("<w><!--", "x", 5, "--></w>")}),
    "names": lambda: packed({SHEET: f"<w>{other_names()}</w>"}),
    "a cell": lambda: table("<row><c><v>", "1" * 5_000_000, "</v></c></row>"),
    "laughs": lambda: packed({SHEET: '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><w>&b;</w>'}),
    "lzma": lambda: packed({SHEET: repeated("<w>", " ", 5, "</w>")}, zipfile.ZIP_LZMA),
    "a directory that lies": lying,
    "parts": many_parts,
}
#: Reads the tables in a folder, each of which is refused, and prints the MiB that it needed besides what it is.
MEASURE = """
import pathlib, resource, sys
import openpyxl.styles.numbers
from tillhook.catalogue.tables import read_table
from tillhook.errors import ValidationFailed
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        with path.open("rb") as file:
            print("taken:", path.name, len(list(read_table(file, bool).rows)))
    except ValidationFailed:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_bombs_are_refused_in_bounded_memory(tmp_path):
    for name, make_bomb in BOMBS.items():
        content = make_bomb()
        assert len(content) < 8 * MIB
        (tmp_path / name).write_bytes(content)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "taken" not in done.stdout
    assert int(done.stdout) < 250
