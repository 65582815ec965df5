"""The OpenAPI and AsyncAPI documents: valid by parsers that are not ours, true, and as they were frozen."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator

import services.certification.subscribers
import services.enrolment.subscribers
import services.reporting.subscribers
from shared.asyncapi import CONTRACTS
from shared.contract_pages import asyncapi_page, openapi_page
from shared.events import certification, enrolment
from shared.events.facts import Fact
from shared.events.wire import BATCH, CONTENT_TYPES, NDJSON, ONE
from shared.streams import STREAMS
from tests.contract import documents
from tests.contract.compatibility import broken_promises
from tests.contract.documents import DOCUMENTS, FOLDER, frozen, today, validator
from tests.contract.models import FACTS, MODELS, example, schema

SPECIFICATION = json.loads((FOLDER / "asyncapi" / "specification-3.0.0.schema.json").read_text(encoding="utf-8"))
TAKEN = [(service, name) for service, contract in CONTRACTS.items() for name in contract.takes]
FACT_OF: dict[str, Callable[..., Fact]] = {
    "programme.v1": enrolment.programme_fact,
    "centre.v1": enrolment.centre_fact,
    "office.v1": lambda data, _: enrolment.office_fact(data),
    "cohort.v1": enrolment.cohort_fact,
    "trainee.v1": enrolment.trainee_fact,
    "scheme.v1": certification.scheme_fact,
    "certificate.v1": certification.certificate_fact,
    "recognition.v1": certification.recognition_fact,
}


# --- valid


# Its reader takes ten seconds for a large document.
@pytest.mark.parametrize(
    "service", [one if one == "reporting" else pytest.param(one, marks=pytest.mark.long) for one in CONTRACTS]
)
def test_the_openapi_document_is_one(service: str) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    OpenAPIV31SpecValidator(today("openapi", service)).validate()


@pytest.mark.parametrize("service", CONTRACTS)
def test_the_asyncapi_document_is_one(service: str) -> None:
    Draft7Validator(SPECIFICATION).validate(today("asyncapi", service))


def test_an_asyncapi_document_that_is_none_is_found() -> None:
    broken = copy.deepcopy(today("asyncapi", "enrolment"))
    broken["operations"]["take-events"]["action"] = "subscribe"
    assert not Draft7Validator(SPECIFICATION).is_valid(broken)


@pytest.mark.long
def test_an_openapi_document_that_is_none_is_found() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    broken = copy.deepcopy(today("openapi", "reporting"))
    del broken["paths"]["/v1/aggregates"]["get"]["responses"]["200"]["description"]
    assert not OpenAPIV31SpecValidator(broken).is_valid()


@pytest.mark.parametrize(("kind", "service"), DOCUMENTS)
def test_every_reference_leads_somewhere_and_nothing_is_described_in_vain(kind: str, service: str) -> None:
    document = today(kind, service)
    named = set(_references(document))
    for reference in named:
        assert _at(document, reference), reference
    unused = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} - named
    assert unused == set()


@pytest.mark.parametrize("service", CONTRACTS)
def test_every_message_of_an_operation_is_one_of_its_channel(service: str) -> None:
    for operation in today("asyncapi", service)["operations"].values():
        for part in (operation, operation.get("reply", operation)):
            assert all(one["$ref"].startswith(f"{part['channel']['$ref']}/messages/") for one in part["messages"])


# --- as they were frozen


@pytest.mark.parametrize(("kind", "service"), DOCUMENTS)
def test_today_keeps_what_the_frozen_document_promises(kind: str, service: str) -> None:
    assert broken_promises(frozen(kind, service), today(kind, service)) == []


@pytest.mark.parametrize(("kind", "service"), DOCUMENTS)
def test_the_frozen_document_is_todays(kind: str, service: str) -> None:
    assert frozen(kind, service) == today(kind, service), "run `make schemas`"


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("openapi", ("paths", "/v1/cohorts", "get")),
        ("openapi", ("paths", "/v1/cohorts", "get", "parameters", 0)),
        ("openapi", ("paths", "/v1/events", "post", "responses", "207")),
        ("openapi", ("paths", "/v1/events", "post", "requestBody", "content", NDJSON)),
        ("openapi", ("components", "schemas", "Event", "oneOf", 3)),
        ("openapi", ("components", "schemas", "CohortClosed", "properties", "date")),
        ("asyncapi", ("channels", "enrolment-cohort-v1")),
        ("asyncapi", ("channels", "enrolment-cohort-v1", "address")),
        ("asyncapi", ("channels", "intake", "messages", "cohort.closed.v1")),
        ("asyncapi", ("operations", "give-receipts")),
        ("asyncapi", ("components", "schemas", "Receipt", "properties", "code")),
    ],
)
def test_what_is_taken_away_is_found_and_what_is_added_may_be(kind: str, way: tuple[str | int, ...]) -> None:
    whole = today(kind, "enrolment")
    less = copy.deepcopy(whole)
    there: Any = less
    for step in way[:-1]:
        there = there[step]
    del there[way[-1]]
    assert broken_promises(whole, less)
    assert broken_promises(less, whole) == [] or way[-1] == "address"


def test_a_parameter_that_is_needed_from_now_on_is_found() -> None:
    whole = today("openapi", "enrolment")
    more = copy.deepcopy(whole)
    needed = {"name": "year", "in": "query", "required": True, "schema": {"type": "string"}}
    more["paths"]["/v1/cohorts"]["get"]["parameters"].append(needed)
    assert broken_promises(whole, more)


# --- true


@pytest.mark.parametrize(("kind", "service"), DOCUMENTS)
def test_messages_are_described_by_their_frozen_schemas(kind: str, service: str) -> None:
    described = today(kind, service)["components"]["schemas"]
    # FastAPI writes the models of answers a little otherwise: no null as a default.
    models = MODELS.values() if kind == "asyncapi" else CONTRACTS[service].takes.values()
    for model in models:
        if model.__name__ in described:
            own = json.loads(json.dumps(schema(model)).replace("#/$defs/", "#/components/schemas/"))
            assert described[model.__name__] == {key: part for key, part in own.items() if key != "$defs"}
    assert {model.__name__ for model in CONTRACTS[service].takes.values()} <= described.keys()


@pytest.mark.parametrize(("service", "name"), TAKEN)
def test_an_event_is_what_the_documents_say_over_http_and_nats(service: str, name: str) -> None:
    document = today("openapi", service)
    content = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    assert set(content) == set(CONTENT_TYPES)
    event = example(name)
    assert _fits(document, content[ONE]["schema"], event)
    assert _fits(document, content[BATCH]["schema"], [event, event])
    assert _fits(document, content[NDJSON]["schema"]["contentSchema"], [event])

    over_nats = today("asyncapi", service)
    messages = over_nats["channels"]["intake"]["messages"]
    assert [one for one, message in messages.items() if _fits(over_nats, message["payload"], event)] == [name]
    assert [one for one, message in messages.items() if _fits(over_nats, message["payload"], [event])] == ["batch"]


@pytest.mark.parametrize(("service", "name"), TAKEN)
def test_an_event_that_says_something_else_does_not_fit(service: str, name: str) -> None:
    document = today("openapi", service)
    one = document["paths"]["/v1/events"]["post"]["requestBody"]["content"][ONE]["schema"]
    for field in ("type", "data", "source", "time"):
        assert not _fits(document, one, {key: value for key, value in example(name).items() if key != field})
    assert not _fits(document, one, {**example(name), "type": "cohort.sunk.v1"})
    assert not _fits(document, one, {**example(name), "data": "nothing"})


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_is_told_on_its_channel_and_is_what_the_document_says(name: str) -> None:
    teller = next(contract.tells for contract in CONTRACTS.values() if contract.tells and name in contract.tells.data)
    document = today("asyncapi", teller.service)
    fact = FACT_OF[name](FACTS[name].model_validate_json(json.dumps(example(name)["data"])), None)
    fitting = [
        (one["x-stream"], message)
        for one in document["channels"].values()
        for message, content in one["messages"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[a-z0-9-]+", one["address"]), fact.address)
        and _fits(document, content["payload"], example(name))
    ]
    assert fitting == [(teller.stream, name)]
    assert fact.type == name


@pytest.mark.parametrize(
    ("service", "name", "channel"),
    [
        ("enrolment", "announcement", "receipts"),
        ("enrolment", "deadletter", "dead-letters"),
        ("reporting", "moved", "changes"),
    ],
)
def test_what_else_is_said_is_what_the_document_says(service: str, name: str, channel: str) -> None:
    document = today("asyncapi", service)
    (message,) = document["channels"][channel]["messages"].values()
    assert _fits(document, message["payload"], example(name))
    assert not _fits(document, message["payload"], {})


class _Heard:
    """A bus that notes what a service subscribes to."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()

    def intake(self, subject: str, _: object) -> None:
        self.subjects.add(subject)

    def facts(self, stream: str, *_: object) -> None:
        self.subjects |= set(STREAMS[stream].subjects or ())


@pytest.mark.parametrize("service", CONTRACTS)
def test_what_is_received_is_what_the_service_subscribes_to(service: str) -> None:
    bus: Any = _Heard()
    if service == "reporting":
        services.reporting.subscribers.subscribe(bus)
    else:
        subscribers: Any = {"enrolment": services.enrolment, "certification": services.certification}[service]
        subscribers.subscribers.subscribe(bus, None)
    document = today("asyncapi", service)
    received = {
        _at(document, operation["channel"]["$ref"])["address"]
        for operation in document["operations"].values()
        if operation["action"] == "receive"
    }
    covered = {
        address: [subject for subject in bus.subjects if address.startswith(subject.removesuffix(">"))]
        for address in received
    }
    assert all(len(subjects) == 1 for subjects in covered.values()), covered
    assert {subject for subjects in covered.values() for subject in subjects} == bus.subjects


PUBLIC = (
    "/.well-known/did.json",
    "/v1/credentials/",
    "/v1/log/",
    "/v1/status/",
    "/v1/recognitions",
    "/v1/schemes/",
    "/v1/verify",
    "/v1/public/",
)
"""What strangers check and read, without a token."""


@pytest.mark.parametrize("service", CONTRACTS)
def test_every_address_is_described_and_only_health_asks_for_no_token(service: str) -> None:
    document = today("openapi", service)
    assert document["security"] == [{"token": []}]
    operations = {path: one for path, methods in document["paths"].items() for one in methods.values()}
    open_to_all = {path for path, one in operations.items() if "security" in one}
    assert open_to_all >= {"/livez", "/readyz"}
    assert {path for path in open_to_all if not f"{path}/".startswith(PUBLIC)} == {"/livez", "/readyz"}
    pages = {route.path for route in documents.routes(service) if not route.include_in_schema}
    assert pages >= {"/", "/docs", "/asyncapi", "/session", "/session/end"}
    assert not any(path.startswith("/v1/") for path in pages)
    assert {route.path for route in documents.routes(service)} - pages == document["paths"].keys()
    assert all(one.get("description") for one in operations.values())


# --- and can be read


@pytest.mark.parametrize(("kind", "service"), DOCUMENTS)
def test_the_page_shows_all_of_the_document_and_needs_nothing_from_elsewhere(kind: str, service: str) -> None:
    document = today(kind, service)
    text = openapi_page(document) if kind == "openapi" else asyncapi_page(document)
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in text
    for name in document["paths"] if kind == "openapi" else document["operations"]:
        assert name in text
    links = set(re.findall(r'href="([^"]*)"', text))
    anchors = {f"#{name}" for name in re.findall(r'id="([^"]*)"', text)}
    assert links - anchors == {"/", "/docs", "/asyncapi", f"/{kind}.json"}
    assert not re.search(r"<script|\sstyle=|\ssrc=|url\(|@import|=.?https?:|>None<|\{'", text)


# --- looking into documents


def _fits(document: dict[str, Any], part: dict[str, Any], value: Any) -> bool:
    return validator(document, part).is_valid(value)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _at(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document
