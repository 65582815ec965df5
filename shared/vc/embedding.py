"""Credentials inside pictures and papers, found within limits: a PNG's text chunk, as Open Badges 3.0 bakes it; a file in a PDF.

A PDF is not understood here, only looked through for embedded files. So a hostile one costs no more than reading it, and
nothing in it is run.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from shared.vc.reading import PART

LARGEST_FILE: Final = 16_000_000
"""Bytes of a picture or a paper."""
LARGEST_CREDENTIAL: Final = 200_000
"""Bytes of a credential; ours have some six thousand."""
PNG: Final = b"\x89PNG\r\n\x1a\n"
PDF: Final = b"%PDF-"
KEYWORD: Final = b"openbadgecredential"
_MOST_FILES: Final = 20
_MOST_CHUNKS: Final = 10_000
_END: Final = b"IEND\xaeB`\x82"
_AFTER_THE_END: Final = 1_000
"""Bytes that some programs leave behind a picture's last chunk."""
_NEAR: Final = 4_000
"""Bytes between the words of a stream's dictionary and its content."""


PHOTO: Final = (
    "It is a photo or a scan, and holds no credential. Scan the code in it, or ask for the file itself (PDF or PNG)."
)
_PDF_ENDS: Final = b"%%EOF"
_PHOTOS: Final = (b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""How JPEG, GIF, BMP and TIFF begin."""
_BRANDS: Final = (b"WEBP", b"ftypheic", b"ftypheif", b"ftypmif1", b"ftypavif")
"""What WebP, HEIC and AVIF have a few bytes later."""


class NothingInside(ValueError):
    """A picture or paper without a credential; the message is for a person."""


def write_png(picture: bytes, credential: str) -> bytes:
    """The picture with a credential (JSON or JWT) in it. Raises NothingInside when it is no PNG."""
    if picture[:8] != PNG or picture[12:16] != b"IHDR":
        raise NothingInside("It is not a PNG.")
    end = 8 + 12 + int.from_bytes(picture[8:12], "big")
    said = KEYWORD + b"\0\0\0\0\0" + credential.encode()
    return picture[:end] + _chunk(b"iTXt", said) + picture[end:]


def read_png(picture: bytes) -> bytes:
    """The credential in a whole picture. Raises NothingInside."""
    if _END not in picture[-_AFTER_THE_END:]:
        raise NothingInside(PART)
    for kind, data in _chunks(picture):
        if kind != b"iTXt" or not data.startswith(KEYWORD + b"\0"):
            continue
        # After the keyword: whether it is packed, and how; a language, the keyword in it, the text.
        flags, text = data[len(KEYWORD) + 1 :][:2], data[len(KEYWORD) + 3 :].split(b"\0", 2)
        if len(text) == 3:
            return _unpacked(text[2]) if flags[:1] == b"\1" else text[2][: LARGEST_CREDENTIAL + 1]
    raise NothingInside(
        "There is no credential in this picture. A screenshot or a copy that was sent as a photo has lost it."
    )


def is_photo(content: bytes) -> bool:
    """Whether a file is a picture of a kind that holds no credential: a photo, a scan, or a picture that was sent on as one."""
    return content.startswith(_PHOTOS) or any(brand in content[4:12] for brand in _BRANDS)


def is_whole_pdf(paper: bytes) -> bool:
    """Whether a PDF has its end."""
    return _PDF_ENDS in paper[-_AFTER_THE_END:]


def read_pdf(paper: bytes) -> Iterator[bytes]:
    """The files inside a PDF that may be credentials, as they come."""
    place = -1
    for _ in range(_MOST_FILES):
        place = paper.find(b"/EmbeddedFile", place + 1)
        if place < 0:
            return
        start = paper.find(b"stream", place, place + _NEAR)
        begins = paper.rfind(b" obj", max(0, place - _NEAR), place)
        if start < 0 or begins < 0:
            continue
        start += len(b"stream")
        start += 2 if paper[start : start + 2] == b"\r\n" else 1
        end = paper.find(b"endstream", start, start + LARGEST_CREDENTIAL)
        if end < 0:
            continue
        content = paper[start:end]
        packed = b"/FlateDecode" in paper[begins:start]
        yield _unpacked(content) if packed else content.rstrip(b"\r\n")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    for _ in range(_MOST_CHUNKS):
        head = picture[place : place + 8]
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, picture[place + 8 : place + 8 + length] if length <= LARGEST_CREDENTIAL * 2 else b""
        place += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _unpacked(content: bytes) -> bytes:
    """As much as a credential may have, and one byte more, by which it is seen to be too large."""
    try:
        return zlib.decompressobj().decompress(content, LARGEST_CREDENTIAL + 1)
    except zlib.error:
        return b""
