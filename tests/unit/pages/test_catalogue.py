"""Every text that a page may show is there in every language, and says the same things."""

import re
import unicodedata

import pytest

from docs.catalogue import gathered
from services.certification import rules
from services.certification import sentences as certification_sentences
from services.certification.wording import CODES as AT_CERTIFICATION
from services.enrolment import sentences
from services.enrolment.wording import CODES as AT_ENROLMENT
from shared.desk import wording
from shared.desk.forms import Field, fields_of
from shared.events import offices_to_certification, offices_to_enrolment
from shared.pages.languages import LANGUAGES, catalogue, language

TRANSLATED = [tag for tag in LANGUAGES if tag != "en"]
SCRIPTS = {"km": "KHMER", "lo": "LAO", "my": "MYANMAR", "zh-Hans": "CJK"}
JARGON = ("fact", "fold", "dead letter", "event", "receipt", "payload", "JSON", "conflict")
MODELS = {**offices_to_enrolment.TYPES, **offices_to_certification.TYPES}


def texts() -> list[str]:
    return [str(message.id) for message in gathered() if message.id]


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_text_is_translated_and_nothing_is_left_over(tag: str) -> None:
    held = {str(message.id): message for message in catalogue(tag) if message.id}
    assert set(held) == set(texts()), "run `make catalogue` and translate what is new"
    assert [text for text, message in held.items() if not message.string or message.fuzzy] == []


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_translation_has_the_same_places_for_values_and_is_in_its_own_script(tag: str) -> None:
    places = re.compile(r"%\(\w+\)s")
    for message in catalogue(tag):
        if not message.id:
            continue
        said, translated = str(message.id), str(message.string)
        assert sorted(places.findall(said)) == sorted(places.findall(translated)), said
        assert "%" not in places.sub("", said + translated), said
        assert ("*" in said) == ("*" in translated), said
        letters = {
            unicodedata.name(letter, "").split()[0] for letter in translated if unicodedata.category(letter)[0] == "L"
        }
        assert SCRIPTS[tag] in letters, said
        assert letters <= {SCRIPTS[tag], "LATIN"}, (said, letters)
        assert translated == unicodedata.normalize("NFC", translated), said


@pytest.mark.parametrize("tag", TRANSLATED)
def test_codes_in_a_text_are_the_same_in_every_language(tag: str) -> None:
    codes = re.compile(r"\b(?:kh/ntti|Asia/\w+|[A-Z]{2}\b|zh-Hans|ISCO-08|\d+|family-reasons)")
    for message in catalogue(tag):
        if message.id:
            assert sorted(codes.findall(str(message.id))) == sorted(codes.findall(str(message.string))), message.id


def test_no_text_speaks_as_programs_do() -> None:
    for text in texts():
        assert not re.search(rf"\b({'|'.join(JARGON)})s?\b", text, re.IGNORECASE), text


def test_every_code_of_a_receipt_has_the_officers_words() -> None:
    assert AT_ENROLMENT.keys() >= sentences.SENTENCES.keys() | sentences.REFUSALS.keys()
    guards = {guard.code for guards in rules.GUARDS.values() for guard in guards}
    assert (
        AT_CERTIFICATION.keys()
        >= guards | certification_sentences.SENTENCES.keys() | certification_sentences.REFUSALS.keys()
    )


@pytest.mark.parametrize("type_", MODELS)
def test_every_type_field_and_value_has_the_officers_words(type_: str) -> None:
    def walk(fields: tuple[Field, ...]) -> None:
        for field in fields:
            assert field.label in wording.FIELDS.values(), f"{type_} {field.name}"
            assert set(field.choices) <= wording.VALUES.keys(), f"{type_} {field.name}"
            walk(field.fields)

    assert type_ in wording.KINDS
    walk(fields_of(MODELS[type_]))


def test_what_the_models_complain_of_has_the_officers_words() -> None:
    said = (offices_to_enrolment.__file__, offices_to_certification.__file__)
    for path in said:
        with open(path, encoding="utf-8") as file:
            complaints = re.findall(r'PydanticCustomError\("invalid_data", "([^"]+)"\)', file.read())
        assert complaints
        assert set(complaints) <= wording.WRONG.keys()


def test_every_type_that_resolves_a_code_is_one() -> None:
    assert set(wording.RESOLVED_BY.values()) <= MODELS.keys()
    assert wording.RESOLVED_BY.keys() <= AT_ENROLMENT.keys() | AT_CERTIFICATION.keys()


def test_a_text_without_a_translation_stays_english() -> None:
    assert language("km").say("nobody translated this") == "nobody translated this"
    assert language("km").say("Trainee %(number)s", number="7") == "សិក្ខាកាម 7"
