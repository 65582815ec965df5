"""Files: the forms and encodings that spreadsheet programs write, and those that would take more than there is."""

import re
import zipfile
from io import BytesIO

import pytest

from shared.rosters import unpacking
from shared.rosters.books import open_book
from shared.rosters.columns import LANGUAGES, sheets
from shared.rosters.refusing import ROWS_LIMIT, BookRefused
from shared.rosters.rows import Row, read_rows
from tests.sheets import a_trainee, as_csv, as_xlsx, packed, table

KHMER = {"Name": "ចាន់ សុភា"}


def rows(content: bytes, **known: str) -> list[Row]:
    book = open_book(content, **known)  # type: ignore[arg-type]
    return [row for sheet in book.sheets if sheet.kind for row in read_rows(book, sheet)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_of_unicode(encoding: str, delimiter: str) -> None:
    (row,) = rows(as_csv([a_trainee("01", **KHMER)], encoding, delimiter))
    assert row.values["name"] == "ចាន់ សុភា"
    assert row.complaints == []


def test_chinese_windows() -> None:
    headers = {column.titles["en"]: column.titles["zh"] for column in sheets()["trainees"].columns}
    line = {headers[name]: value for name, value in a_trainee("01", Name="李小明").items()}
    for content in (as_csv([line], "gb18030"), as_csv([a_trainee("01", Name="李小明")], "gbk")):
        (row,) = rows(content)
        assert row.values["name"] == "李小明"


def test_western_and_thai_windows() -> None:
    (row,) = rows(as_csv([a_trainee("01", Name="José Núñez")], "cp1252"))
    assert row.values["name"] == "José Núñez"
    (row,) = rows(as_csv([a_trainee("01", Name="สมชาย", **{"Sending country": "TH"})], "cp874"), encoding="tis-620")
    assert row.values["name"] == "สมชาย"


def test_an_encoding_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(BookRefused) as refused:
        open_book(as_csv([a_trainee("01", Name="สม")], "cp874"))  # a Chinese letter by its bytes
    assert refused.value.code == "encoding_unknown"


def test_a_title_above_the_header_and_empty_rows_between() -> None:
    lines = as_csv([a_trainee("01"), a_trainee("02")]).decode().splitlines()
    content = "\n".join(["List of trainees,,", "", lines[0], lines[1], ",,", lines[2]]).encode()
    assert [(row.place, row.values["number"]) for row in rows(content)] == [(4, "01"), (6, "02")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sheet_in_every_language(language: str) -> None:
    sheet = sheets()["trainees"]
    headers = {column.titles["en"]: column.titles[language] for column in sheet.columns}
    line = {headers[name]: value for name, value in a_trainee("01").items()}
    (row,) = rows(as_xlsx(**{sheet.titles[language]: [line]}))
    assert row.complaints == []
    assert row.key == ("trainees", "wuxi-2025", "01", "")


def test_columns_that_are_missing_or_there_twice_are_told() -> None:
    book = open_book(as_xlsx(Trainees=[{"Cohort": "c", "Sex": "F", "Gender": "F"}]))
    assert [column.key for column in book.sheets[0].missing] == ["number"]
    assert [column.key for column in book.sheets[0].twice] == ["sex"]


def code(content: bytes) -> str:
    with pytest.raises(BookRefused) as refused:
        list(rows(content))
    assert refused.value.sentence.endswith(".")
    return refused.value.code


@pytest.mark.parametrize(
    "start", [b"%PDF-1.7", b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"<?xml version='1.0'?><office:document/>"]
)
def test_a_file_that_was_meant_for_somebody_else_is_no_spreadsheet(start: bytes) -> None:
    with pytest.raises(BookRefused) as refused:
        open_book(start + b"\nhello" * 9)
    assert refused.value.code == "not_a_spreadsheet"


def test_a_password_is_named_as_what_keeps_it_shut() -> None:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("content.xml", b"\x8f\x01\x99 unreadable")
        archive.writestr(
            "META-INF/manifest.xml", "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"
        )
    for content in (file.getvalue(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        with pytest.raises(BookRefused, match="a password") as refused:
            open_book(content)
        assert refused.value.code == "old_form"


def test_a_small_file_that_unpacks_to_more_than_there_is() -> None:
    assert code(packed(**{"xl__workbook.xml": b"0" * (unpacking.UNPACKED_LIMIT + 1)})) == "unpacked_too_large"


def test_one_cell_at_the_end_of_the_sheet() -> None:
    far = b'<sheetData><row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row></sheetData>'
    assert code(packed(**{"xl__workbook.xml": b"<workbook/>", "xl__worksheets__sheet1.xml": far})) == "too_many_rows"
    wide = b'<sheetData><row r="1"><c r="XFD1" t="n"><v>1</v></c></row></sheetData>'
    assert (
        code(packed(**{"xl__workbook.xml": b"<workbook/>", "xl__worksheets__sheet1.xml": wide})) == "too_many_columns"
    )


def test_cells_that_are_repeated_without_end() -> None:
    def sheet(rows: int, cells: int, kind: bytes) -> bytes:
        cell = b'<table:table-cell table:number-columns-repeated="%d" %s><text:p>x</text:p></table:table-cell>' % (
            cells,
            kind,
        )
        row = b'<table:table-row table:number-rows-repeated="%d">%s</table:table-row>' % (rows, cell)
        return packed(**{"content.xml": b"<table:table>" + row + b"</table:table>"})

    assert code(sheet(1_048_576, 1, b'office:value-type="string"')) == "too_many_rows"
    assert code(sheet(1, 16_384, b'office:value-type="string"')) == "too_many_columns"


WORKBOOK = {
    "_rels__.rels": b"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship
      Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
      Target="xl/workbook.xml"/></Relationships>""",
    "xl__workbook.xml": b"""<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
      xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
      <sheets><sheet name="Trainees" sheetId="1" r:id="rId1"/></sheets></workbook>""",
}
OF_SHEETS = b"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship
  Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
  Target="%s"/></Relationships>"""


def workbook(data: bytes, at: str = "worksheets/sheet1.xml", **more: bytes) -> bytes:
    sheet = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s</worksheet>' % data
    parts = {"xl___rels__workbook.xml.rels": OF_SHEETS % at.encode(), f"xl__{at.replace('/', '__')}": sheet}
    return packed(**WORKBOOK, **parts, **more)


def test_workbooks_by_hand_are_read() -> None:
    cells = (
        b"<sheetData><row><c t='inlineStr'><is><t>a</t></is></c><c r='C1'><v>1</v></c><c><v>2</v></c></row></sheetData>"
    )
    book = open_book(workbook(cells))
    assert [list(cells) for _, cells in book.rows("Trainees")] == [["a", "", 1.0, 2.0]]
    book = open_book(
        table(
            b'<table:table table:name="T"><table:table-row><table:table-cell office:value="1"/></table:table-row></table:table>'
        )
    )
    assert [list(cells) for _, cells in book.rows("T")] == [[1.0]]


FAR = [
    b'<row r="1"><c r="KZ3"><v>1</v></c></row>',
    b"<row r='1'><c r='KZ3'><v>1</v></c></row>",
    b'<row r="1"><c x=">" r="KZ3" t="n"><v>1</v></c></row>',
    b'<row r="1"><c r="kz3"><v>1</v></c></row>',
    b'<row r="1"><c r="GR1"><v>1</v></c><c><v>1</v></c></row>',
    b"<row>" + b"<c><v>1</v></c>" * 201 + b"</row>",
    b'<c r="A1048576"><v>1</v></c>',
    b'<row r="50001"><c><v>1</v></c></row>',
    b'<row r="50000"/><row><c><v>1</v></c></row>',
    b"<row/>" * 50_000 + b"<row><c><v>1</v></c></row>",
    b'<c r="A4294967297"><v>1</v></c>',
    b'<c r="GR1"><v>1</v></c><c r="A50000"><v>1</v></c>',  # each within the limits, and ten million cells between them
]


@pytest.mark.parametrize("rows", FAR)
@pytest.mark.parametrize("prefix", [b"", b"x:"])
@pytest.mark.parametrize("at", ["worksheets/sheet1.xml", "other/sheet1.xml", "sharedStrings.XML"])
def test_a_cell_far_away_however_it_is_written(rows: bytes, prefix: bytes, at: str) -> None:
    data = b"<sheetData>" + rows + b"</sheetData>"
    for name in (b"sheetData", b"row", b"c", b"v"):
        for before, after in ((b"<", b">"), (b"<", b" "), (b"</", b">"), (b"<", b"/>")):
            data = data.replace(before + name + after, before + prefix + name + after)
    assert code(workbook(data, at)) in ("too_many_rows", "too_many_columns")


@pytest.mark.parametrize(
    "sheet",
    [
        b'<!DOCTYPE x [<!ENTITY r "XFD1048576">]><sheetData><row><c r="&r;"><v>1</v></c></row></sheetData>',
        b'<sheetData><row><c r="A1"><v>1</v></row></sheetData>',  # never closed
        b'<sheetData><row><c r="$A$1"><v>1</v></c></row></sheetData>',
        b"<sheetData><row><c><c><v>1</v></c></c></row></sheetData>",
        "<?xml version='1.0' encoding='UTF-16'?><sheetData/>".encode("utf-16"),
    ],
)
def test_a_sheet_that_nobody_can_measure(sheet: bytes) -> None:
    parts = {"xl___rels__workbook.xml.rels": OF_SHEETS % b"worksheets/sheet1.xml", "xl__worksheets__sheet1.xml": sheet}
    assert code(packed(**WORKBOOK, **parts)) == "file_unreadable"


def test_a_sheet_under_a_name_that_is_no_sheets_is_not_read() -> None:
    far = b'<sheetData><row r="1"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    assert code(workbook(far, "media/picture.png")) == "file_unreadable"


def test_a_cell_that_only_looks_well_may_be_anywhere() -> None:
    styled = b'<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    assert [list(cells) for _, cells in open_book(workbook(styled)).rows("Trainees")] == [[1.0]]


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        (b"<table:table-row><table:table-cell table:number-columns-repeated='300' office:value='1'/></table:table-row>",
         "too_many_columns"),
        (b"<table:table-row table:number-rows-repeated='60000'><table:table-cell office:value='1'/></table:table-row>",
         "too_many_rows"),
        (b'<table:table-row table:x=">" table:number-rows-repeated="60000"><table:covered-table-cell table:formula="1"/>'
         b"</table:table-row>", "too_many_rows"),
        # Room is made for empty cells as soon as another follows, though it is empty, too.
        (b'<table:table-row><table:table-cell table:number-columns-repeated="16000"/><table:table-cell/></table:table-row>' * 300,
         "too_many_rows"),
        (b'<table:table-row><table:table-cell office:value-type="string"><text:p><text:s text:c="4000000000"/></text:p>'
         b"</table:table-cell></table:table-row>", "file_unreadable"),
        (b"<table:table-row><table:table-cell><table:table></table:table></table:table-cell></table:table-row>",
         "file_unreadable"),
        (b'<table:table-row table:number-rows-repeated="+60000"><table:table-cell office:value="1"/></table:table-row>',
         "file_unreadable"),
    ],
)  # fmt: skip
def test_cells_that_are_repeated_however_it_is_written(row: bytes, refused: str) -> None:
    assert code(table(b'<table:table table:name="T">' + row + b"</table:table>")) == refused


NAMING = b'<row><c t="s"><v>%s</v></c></row>'


@pytest.mark.parametrize("number", [b"0", b"0<!-- -->1", b"0&#49;", b"&#48;", b"<![CDATA[0]]>1"])
def test_a_long_text_that_many_cells_name(number: bytes) -> None:
    long = {"xl__sharedStrings.xml": b"<sst><si><t>" + b"x" * 1_000_000 + b"</t></si><si><t>y</t></si></sst>"}
    assert code(workbook(b"<sheetData>" + NAMING % number * 300 + b"</sheetData>", **long)) == "unpacked_too_large"
    book = open_book(workbook(b"<sheetData>" + NAMING % b"1" * 300 + NAMING % b"0" + b"</sheetData>", **long))
    assert sum(len(cells[0]) for _, cells in book.rows("Trainees")) == 1_000_300


def test_a_long_text_in_a_cell_that_is_repeated() -> None:
    cell = b'<table:table-cell office:value-type="string" table:number-columns-repeated="100">%s</table:table-cell>'
    row = b'<table:table-row table:number-rows-repeated="1000">' + cell % (b"<text:p>" + b"x" * 5000 + b"</text:p>")
    assert (
        code(table(b'<table:table table:name="T">' + row + b"</table:table-row></table:table>")) == "unpacked_too_large"
    )
    spaces = b"<text:p>" + b'<text:s text:c="1000"/>' * 5 + b"</text:p>"
    row = b'<table:table-row table:number-rows-repeated="1000">' + cell % spaces
    assert (
        code(table(b'<table:table table:name="T">' + row + b"</table:table-row></table:table>")) == "unpacked_too_large"
    )


def test_a_file_that_says_of_itself_that_it_has_more_texts_than_there_is_memory_for() -> None:
    many = {"xl__sharedStrings.xml": b'<sst uniqueCount="1000000000000"><si><t>a</t></si></sst>'}
    assert code(workbook(b"<sheetData/>", **many)) == "file_unreadable"


def test_empty_cells_to_the_end_of_the_sheet_are_what_spreadsheet_programs_write() -> None:
    rows = b"""<table:table-row><table:table-cell office:value="1"/><table:table-cell table:number-columns-repeated="16383"/>
      </table:table-row><table:table-row table:number-rows-repeated="1048575"><table:table-cell
      table:number-columns-repeated="16384"/></table:table-row>""".replace(b"\n      <", b"<")
    book = open_book(table(b'<table:table table:name="T">' + rows + b"</table:table>"))
    assert [list(cells) for _, cells in book.rows("T")] == [[1.0]]


def test_more_rows_than_are_taken() -> None:
    assert code(b"cohort,number\n" + b"c,1\n" * ROWS_LIMIT) == "too_many_rows"


def test_a_quotation_that_never_ends() -> None:
    assert code(b'cohort,number\n"' + b"c,1\n" * 50_000) == "file_unreadable"


def of_ods(*cells: bytes) -> bytes:
    return table(b'<table:table table:name="T"><table:table-row>%s</table:table-row></table:table>' % b"".join(cells))


def cells_of(content: bytes) -> list[object]:
    book = open_book(content)
    return [cell for _, cells in book.rows(book.sheets[0].name) for cell in cells]


def test_an_error_of_a_workbook_is_no_empty_cell() -> None:
    cells = b"""<sheetData><row r="1"><c r="A1" t="e"><f>NA()</f><v>#N/A</v></c><c a=" t='e' r='XFD9' >" t = 'e' r="B1">
      <v>#SPILL!</v></c><c><v>1</v></c><c r="D1" t="e"><v>#DIV/0!</v></c><c r="E1" t="str"><v>e</v></c></row></sheetData>"""
    assert cells_of(workbook(cells)) == ["#N/A", "#SPILL!", 1.0, "#DIV/0!", "e"]


def test_an_error_of_an_ods_is_no_empty_cell_and_no_0() -> None:
    ends = b"</text:p></table:table-cell>"
    content = of_ods(
        b'<table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value=""'
        b' calcext:value-type="error"><text:p>#N/A' + ends,
        b'<table:table-cell office:value-type="float" x=\' office:y="\' office:value="0" calcext:value-type="error"'
        b' table:number-columns-repeated="2"><text:p>Err:502' + ends,
        b'<table:table-cell table:formula="of:=1/0" office:value="0" office:value-type="float">'
        b"<office:annotation><text:p>why?</text:p></office:annotation><text:p>#DIV/0!" + ends,
        b'<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value=""><text:p>Err:509'
        + ends,
        b'<table:table-cell table:formula="of:=1" office:value="0" office:value-type="float"><text:p>0' + ends,
        b'<table:table-cell table:formula="of:=X" office:value="3" office:value-type="float"/>',
        b'<table:table-cell office:value="2" office:value-type="float"><text:p>2' + ends,
    )
    assert cells_of(content) == ["#N/A"] * 5 + [0.0, 3.0, 2.0]


@pytest.mark.parametrize("room", [0, 1, 7, 40])
def test_errors_wherever_the_part_is_cut(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(unpacking, "PIECE", 64)
    fill = b"<!--%s-->" % (b"x" * room)
    cell = b'<c t="e" x="%s"><v>#N/A</v></c><c><v>1</v></c>' % (b">" * 100)
    rows = b"".join(b"<row>%s%s</row>" % (fill, cell * 2) for _ in range(50))
    assert cells_of(workbook(b"<sheetData>%s</sheetData>" % rows)) == ["#N/A", 1.0, "#N/A", 1.0] * 50
    failed = b'<table:table-cell table:formula="x" office:value="0"><text:p>#REF!</text:p></table:table-cell>'
    fine = b'<table:table-cell table:formula="x" office:value="0"><text:p>%s</text:p></table:table-cell>' % (b"x" * 300)
    plain = b'<table:table-cell x="%s" office:value="2"/>' % (b"x" * room)
    assert cells_of(of_ods((failed + plain + fine) * 50)) == ["#N/A", 2.0, 0.0] * 50


def test_an_error_in_a_cell_that_need_not_be_filled_in_refuses_the_row_and_no_other() -> None:
    resit = {
        "Cohort": "c", "Trainee number": "01", "Scheme": "s", "Occupation": "o", "Level": "junior", "Date": "2025-04-01",
        "Result": "pass", "Attempt": 2,
    }  # fmt: skip
    first = {**resit, "Result": "fail", "Attempt": 1}
    content = packed(**errors_in_the_first_row(as_xlsx(Assessments=[resit, first])))
    wrong, right = rows(content)
    assert [(one.flaw.code, one.column) for one in wrong.complaints] == [("formula_error", "H (Attempt)")]
    assert (wrong.key, right.complaints) == (None, [])


def errors_in_the_first_row(content: bytes) -> dict[str, bytes]:
    """The parts of a workbook, with an error as the attempt of its first row."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    return {part: re.sub(rb'(<c r="H2")><v>2</v>', rb'\1 t="e"><v>#N/A</v>', inside) for part, inside in parts.items()}


LIST = "cohort,number,remark,trade\nc,01,good,x\nc,02,%s,x\nc,03,%s,x\nc,04,%s,x\nc,05,good,x\n"


@pytest.mark.parametrize(
    ("remarks", "row"),
    [
        (('"good', "good", "good"), 3),
        (('"good', "good", 'so "so"'), 3),
        (('"good', "good", '"so"'), 3),
        (('"good', "good", 'so"'), 3),
        (('"good', 'so"', "good"), 3),
        (('"good', '""', 'good"'), 3),
        (("good", 'so "so', '"so" so'), 5),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quotation_mark_in_a_column_that_is_not_read_swallows_no_row(
    remarks: tuple[str, str, str], row: int, delimiter: str, end: str
) -> None:
    content = (LIST % remarks).replace(",", delimiter).replace("\n", end).encode()
    with pytest.raises(BookRefused, match=f"row {row}") as refused:
        rows(content)
    assert refused.value.code == "file_unreadable"


def test_a_header_that_swallows_rows() -> None:
    assert code(b'cohort,number,"remark,trade\nc,01,good,x\nc,02,good",x\nc,03,good,x\n') == "file_unreadable"


@pytest.mark.parametrize("remark", ['"one\ntwo"', '"one, two\nthree"', '"said ""no"", then\nyes\n"', '5" pipe'])
def test_a_remark_in_several_lines_is_nobodys_business(remark: str) -> None:
    content = (LIST % (remark, "good", "good")).encode()
    assert [row.values["number"] for row in rows(content)] == ["01", "02", "03", "04", "05"]
