"""What could not be read is kept as it came, and goes with whoever is forgotten, in whatever it was written."""

import json
import unicodedata
from typing import Any

import pytest

from shared.delivery import Delivery
from shared.events.wire import NDJSON, read_body
from shared.kept import plain
from shared.rejected import Said
from tests.integration.enrolment.house import ADMIN, REGISTRATIONS, House, said
from tests.integration.enrolment.test_forgetting import NOW, WHO
from tests.unit.enrolment.story import announced, forgotten, person, proposed

ABOUT = proposed("03", person=WHO)
ORIGINAL = {"person": {"names": {"original": WHO["names"]["original"], "language": "km"}}}
BURMESE = {"person": {"names": {"original": "ကျော်", "language": "my"}}}
DARA = b'{"who": "Dara", "note": "\\u0041\\/'

written = json.dumps(ABOUT, ensure_ascii=False)
escaped = json.dumps(ORIGINAL)
BODIES = {
    "UTF-16": written.encode("utf-16"),
    "UTF-16 without a mark, cut off": written.encode("utf-16-le")[:-2],
    "UTF-16 that happens to be UTF-8": json.dumps(BURMESE, ensure_ascii=False).encode("utf-16-le")[:-2],
    "UTF-8 with a stray byte": written.encode() + b"\xff",
    "a Windows encoding": json.dumps({**ABOUT, "note": "é"}, ensure_ascii=False).encode("cp1252", "replace"),
    "escapes, cut off": escaped.encode()[:-1],
    "capital escapes, cut off": escaped.upper().replace("\\U", "\\u").encode()[:-1],
    "JSON within JSON, cut off": json.dumps(escaped).encode()[:-1],
    "JSON within JSON": json.dumps([escaped]).encode(),
}


async def left(house: House) -> tuple[list[Any], list[bytes | None]]:
    """What is kept of rejected bodies and of dead letters."""
    await house.rows("UPDATE rejected SET expires = now() + interval '1 day' RETURNING id")
    async with house.database.transaction() as session:
        rejected, letters = house.archive.rejected, house.archive.dead_letters
        bodies = [await rejected.events(session, line.id) or [] for line in await rejected.entries(session)]
        opened = [await letters.body(session, letter.id) for letter in await letters.entries(session)]
    return [event["event"] for body in bodies for event in body], opened


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_what_is_about_them_goes_and_what_can_be_read_of_others_stays(house: House, body: bytes) -> None:
    await house.post(*REGISTRATIONS, announced(), ABOUT)
    for each in (body, DARA):
        await house.handlers.refused(ADMIN, "invalid_json", each)
        async with house.database.transaction() as session:
            letter = Delivery("intake.enrolment.kh.ntti", each, "INTAKE", len(each), 1, {})
            await house.archive.dead_letters.bury(session, letter, ValueError())
    assert [len(kept) for kept in await left(house)] == [2, 2]
    assert said(await house.post(forgotten("03"))) == ["accepted applied"]
    assert await left(house) == ([{"written": DARA.decode()}], [DARA])


async def test_lines_in_utf_16_go(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), ABOUT)
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in (ABOUT, BURMESE, {"note": "x"}))
    receipts = await house.handlers.take(read_body(NDJSON, lines.encode("utf-16")), ADMIN)
    assert {receipt.status for receipt in receipts.receipts} == {"rejected"}
    assert (await left(house))[0]
    await house.post(forgotten("03"))
    assert (await left(house))[0] == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_a_name_is_found_however_its_accents_are_put_together(house: House, form: Any) -> None:
    def accented(form: Any) -> dict[str, Any]:
        return person(names={**WHO["names"], "romanised": unicodedata.normalize(form, "Nguyễn Thị")})

    await house.post(*REGISTRATIONS, announced(), proposed("03", person=accented(form)))
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    async with house.database.transaction() as session:
        kept = [Said(1, "invalid_data", {"note": accented(other)["names"]["romanised"]}), Said(2, "x", {"note": "y"})]
        await house.archive.rejected.keep(session, None, "x", kept, NOW)
    await house.post(forgotten("03"))
    assert (await left(house))[0] == [{"note": "y"}]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("\\ud842\\udfb7", "\U00020bb7"),
        ("\\\\u1780\\u17C1", "\u1780\u17c1"),
        ("half of \\ud842 one", "half of \ufffd one"),
        ("S\0o\\u0000k", "Sok"),
        ("C:\\user", "C:\\user"),
    ],
)
def test_escapes_are_undone_before_anybody_is_looked_for(written: str, said: str) -> None:
    assert plain(written) == said
