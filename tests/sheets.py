"""Spreadsheets as offices send them, in few words."""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from typing import Any

import xlsxwriter

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
CSV = "text/csv"
Line = Mapping[str, Any]


def as_csv(lines: Sequence[Line], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """Lines with one header, as a spreadsheet program saves them."""
    text = StringIO()
    headers = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(headers)
    writer.writerows([line.get(name, "") for name in headers] for line in lines)
    return text.getvalue().encode(encoding)


def as_xlsx(**sheets: Sequence[Line]) -> bytes:
    """A workbook; strings stay strings and numbers numbers."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False}) as book:
        for name, lines in sheets.items():
            page = book.add_worksheet(name)
            headers = list(dict.fromkeys(header for line in lines for header in line))
            for at, header in enumerate(headers):
                page.write_string(0, at, header)
                for row, line in enumerate(lines, 1):
                    if line.get(header) is not None:
                        page.write(row, at, line[header])
    return file.getvalue()


def packed(**parts: bytes) -> bytes:
    """A ZIP of parts; two underscores in a name are a slash."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def table(data: bytes) -> bytes:
    """An .ods of the tables in this XML."""
    content = b"<office:document-content><office:body><office:spreadsheet>%s</office:spreadsheet></office:body>"
    return packed(
        mimetype=b"application/vnd.oasis.opendocument.spreadsheet",
        **{"META-INF__manifest.xml": b"<manifest/>", "content.xml": content % data + b"</office:document-content>"},
    )


def a_trainee(number: str = "01", **more: Any) -> dict[str, Any]:
    """A row of Trainees, enrolled on 12 March 2025."""
    return {
        "Cohort": "wuxi-2025",
        "Trainee number": number,
        "Role": "student",
        "Sending country": "KH",
        "Trade": "electrical",
        "Name": f"សុខា {number}",
        "Name in Latin letters": f"Sokha {number}",
        "Sex": "F",
        "Birth date": "2005-04-01",
        "National identity number": f"0{number}5550001",
        "Enrolled on": "2025-03-12",
        **more,
    }


def was_there(number: str, session: int = 1, attendance: str = "present", **more: Any) -> dict[str, Any]:
    """A row of Attendance."""
    return {
        "Cohort": "wuxi-2025",
        "Session": session,
        "Date": f"2025-04-{session:02}",
        "Hours": 6,
        "Trainee number": number,
        "Present or absent": attendance,
        **more,
    }
