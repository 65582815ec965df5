"""Credentials inside pictures and papers, found again wherever others put them."""

import io
import zlib

import pypdf
import pytest
import segno

from shared.vc.embedding import NothingInside, read_pdf, read_png, write_png
from shared.vc.verdict import judge
from tests.credentials import NOW, encoded, signed, status_list, token, trust

FILE = encoded(signed())


def picture() -> bytes:
    out = io.BytesIO()
    segno.make("https://skills.example.org/c/x").save(out, kind="png", scale=3)
    return out.getvalue()


def paper(*files: bytes) -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    for number, content in enumerate(files):
        writer.add_attachment(f"{number}.json", content)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("file", [FILE, token().encode()], ids=["json", "jwt"])
def test_given_a_credential_in_a_picture_when_judged_then_as_the_file_itself(file: bytes) -> None:
    baked = write_png(picture(), file.decode())

    assert read_png(baked) == file
    assert judge(baked, trust(status_list()), NOW).word == "valid"
    assert judge(picture(), trust(status_list()), NOW).word == "not a credential"


def test_given_a_part_of_a_picture_then_no_credential_though_it_is_in_that_part() -> None:
    whole = write_png(picture(), FILE.decode())

    for part in (whole[:-1], whole[: whole.index(b"IDAT")]):
        assert judge(part, trust(status_list()), NOW).word == "not a credential"
    assert judge(whole + b"\n", trust(status_list()), NOW).word == "valid"


def test_given_a_packed_text_in_a_picture_then_it_is_read() -> None:
    whole = write_png(picture(), "")
    text = b"openbadgecredential\0\1\0\0\0" + zlib.compress(FILE)
    chunk = len(text).to_bytes(4, "big") + b"iTXt" + text + zlib.crc32(b"iTXt" + text).to_bytes(4, "big")

    assert read_png(picture()[:33] + chunk + picture()[33:]) == FILE
    assert read_png(whole) == b""


def test_given_something_else_then_nothing_is_written_into_it() -> None:
    with pytest.raises(NothingInside):
        write_png(b"GIF89a", "{}")


def test_given_a_credential_in_a_paper_when_judged_then_as_the_file_itself() -> None:
    assert judge(paper(FILE), trust(status_list()), NOW).word == "valid"
    assert judge(paper(b"something else", FILE), trust(status_list()), NOW).word == "valid"
    assert judge(paper(b"something else"), trust(status_list()), NOW).word == "not a credential"
    assert judge(paper(), trust(status_list()), NOW).word == "not a credential"


def test_given_a_paper_that_was_packed_then_it_is_found_too() -> None:
    reader = pypdf.PdfReader(io.BytesIO(paper(FILE)))
    writer = pypdf.PdfWriter(clone_from=reader)
    for one in list(writer._objects):
        if isinstance(one, pypdf.generic.StreamObject) and one.get("/Type") == "/EmbeddedFile":
            writer._objects[writer._objects.index(one)] = one.flate_encode()
    out = io.BytesIO()
    writer.write(out)

    assert FILE in list(read_pdf(out.getvalue()))


def test_given_a_bomb_in_a_paper_then_only_so_much_is_unpacked() -> None:
    bomb = zlib.compress(b"0" * 50_000_000)
    file = b"%PDF-1.7\n1 0 obj <</Type /EmbeddedFile /Filter /FlateDecode>> stream\n" + bomb + b"\nendstream"

    assert [len(one) for one in read_pdf(file)] == [200_001]
    assert judge(file, trust(), NOW).word == "not a credential"
