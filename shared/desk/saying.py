"""The pages at /record: what can be said, by a form each.

They translate and decide nothing: a form becomes an event that goes the way of every other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from shared.desk import forms
from shared.desk.entries import STAYS, Entry, country_of, entry, envelope, is_code, moment_on, new_id, own_source
from shared.desk.frame import Desk, Visit
from shared.desk.house import House
from shared.desk.said import place_of
from shared.desk.wording import HINTS, KINDS, PURPOSES, VALUES, WRONG
from shared.events.codes import Model
from shared.events.wire import Raw
from shared.http import Problem
from shared.pages.languages import zone_of

Kind = Annotated[str, Path(pattern=r"^[a-z]+\.[a-z]+\.v[0-9]$")]
COUNTRIES = ("KH", "LA", "MM", "CN", "TH", "VN", "ID", "MY", "PH", "SG", "BN", "TL", "JP", "KR", "IN")
"""Those that a browser suggests; any other can be typed."""
TIMEZONES = ("Asia/Phnom_Penh", "Asia/Vientiane", "Asia/Yangon", "Asia/Shanghai", "Asia/Bangkok", "Asia/Ho_Chi_Minh")
SUGGESTED = 60
"""Codes of one list that a form suggests; any other can be typed."""
HINT_OF = {
    "cohort.changed.v1": "changes",
    "person.corrected.v1": "changes",
    "consent.withdrawn.v1": "consent",
    "person.merged.v1": "merging",
    "person.parted.v1": "parting",
    "person.forgotten.v1": "forgetting",
}
"""What is said above the forms of some types."""
OWN_FIELDS = ("id", "happened", "correct", "for_office")
"""Fields of every form that are none of the event's data."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as it is shown: what stands in its fields, what is wrong with them, and which entry it corrects."""

    type: str
    values: Mapping[str, str]
    wrong: Mapping[str, str] = field(default_factory=dict)
    corrected: Entry | None = None


def routes(desk: Desk, house: House) -> APIRouter:
    """A form for every type that an office may say."""
    router = desk.router()

    @router.get("/record")
    async def kinds(request: Request) -> Response:
        visit = await desk.visit(request)
        may_say = house.may_say(visit.caller) - {"event.voided.v1"}
        return desk.page(
            request,
            visit,
            "record.html",
            kinds=[(type_, KINDS.get(type_, type_)) for type_ in house.types if type_ in may_say],
        )

    @router.get("/record/{type_}")
    async def empty(request: Request, type_: Kind) -> Response:
        visit = await desk.visit(request)
        known = {name: value for name, value in request.query_params.items() if name not in ("lang", "correct")}
        corrected = await _corrected(visit, type_, request.query_params.get("correct"))
        if corrected is not None:
            known = _as_it_was(visit, model_of(house, type_), corrected)
        today = datetime.now(visit.zone).date().isoformat()
        values = {"happened": today, "id": new_id(), **known}
        return await _form(request, visit, Shown(type_, values, corrected=corrected))

    @router.post("/record/{type_}")
    async def filled(request: Request, type_: Kind) -> Response:
        visit, typed = await desk.sent(request)
        corrected = await _corrected(visit, type_, typed.get("correct"))
        if more := typed.get("more"):
            return await _form(
                request, visit, Shown(type_, forms.one_more(model_of(house, type_), typed, more), corrected=corrected)
            )
        read = forms.read(model_of(house, type_), typed, corrected.data if corrected else None)
        values = {name: typed[name] for name in OWN_FIELDS if name in typed} | read.values
        source, wrong = own_source(visit.caller, typed.get("for_office", "")), dict(read.wrong)
        if country_of(source) is None:
            wrong["for_office"] = WRONG["office"]
        happened = day_of(read.data.get("date") or typed.get("happened"))
        if happened is None:
            wrong.setdefault("happened", WRONG["date_impossible"])
        if wrong or happened is None:
            return await _form(request, visit, Shown(type_, values, wrong, corrected))
        id_ = _id_of(typed)
        before = await house.said_at(visit.caller, source, id_) or (corrected.time if corrected else None)
        at = moment_on(happened, datetime.now(UTC), zone_of(country_of(source)), before)
        event = envelope(type_, source, id_, read.data, at, corrected.id if corrected else None)
        (receipt,) = (await house.take([Raw(1, event)], visit.caller)).receipts
        if receipt.status == "rejected":
            if receipt.code == "id_reused":
                values["id"] = new_id()
            sentence = house.codes.get(receipt.code) or WRONG.get(receipt.code, WRONG["other"])
            return await _form(request, visit, Shown(type_, values, {"": sentence}, corrected))
        return RedirectResponse(f"/said/{source.removeprefix('/offices/')}/{id_}", 303)

    async def _corrected(visit: Visit, type_: str, named: str | None) -> Entry | None:
        """The entry that a form corrects: one of this office's own, of the form's type."""
        if not named:
            return None
        found = await house.found(visit, *_entry_named(named))
        if found.type != type_:
            raise Problem(404, "not_found", "")
        return entry(found, house.codes, house.may_say(visit.caller))

    async def _form(request: Request, visit: Visit, shown: Shown) -> Response:
        model = model_of(house, shown.type)
        if shown.type not in house.may_say(visit.caller):
            raise Problem(403, "not_your_role", "")
        async with house.database.transaction() as session:
            suggestions = await house.overview.suggestions(session, visit.caller)
        fields = forms.fields_of(model)
        names = {one.name for one in fields}
        return desk.page(
            request,
            visit,
            "form.html",
            422 if shown.wrong else 200,
            type=shown.type,
            heading=KINDS.get(shown.type, shown.type),
            fields=fields,
            values=shown.values,
            wrong=shown.wrong,
            corrected=shown.corrected,
            asks_when="date" not in names,
            hint=HINTS.get(HINT_OF.get(shown.type, "")),
            warned=shown.type in STAYS,
            personal="person" in names or shown.type == "person.corrected.v1",
            suggestions={
                **{name: found[:SUGGESTED] for name, found in suggestions.items()},
                "country": [(code, {visit.language.tag: visit.language.country(code)}) for code in COUNTRIES],
                "purposes": [(code, {visit.language.tag: visit.language.say(VALUES[code])}) for code in PURPOSES],
                "timezone": [(zone, {}) for zone in TIMEZONES],
                "language": [(tag, {}) for tag in ("km", "lo", "my", "zh-Hans", "en")],
            },
        )

    return router


def model_of(house: House, type_: str) -> type[Model]:
    """The model of a type that has a form. Raises ``Problem`` 404."""
    model = house.types.get(type_)
    if model is None or type_ == "event.voided.v1":
        raise Problem(404, "not_found", "")
    return model


def _entry_named(named: str) -> tuple[str, str]:
    """The source and the id of an entry, from how a link names it. Raises ``Problem`` 404."""
    office, _, event = named.rpartition("/")
    source = f"/offices/{office}"
    if country_of(source) is None or not is_code(event):
        raise Problem(404, "not_found", "")
    return source, event


def _id_of(typed: Mapping[str, str]) -> str:
    """The id of the event that a form becomes. Raises ``Problem`` 404 for one that no form has."""
    id_ = typed.get("id") or new_id()
    if not is_code(id_):
        raise Problem(404, "not_found", "")
    return id_


def day_of(text: Any) -> date | None:
    """A day as a browser sends it; None for what is none."""
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _as_it_was(visit: Visit, model: type[Model], corrected: Entry) -> dict[str, str]:
    """What stands in the fields of a form that corrects an entry."""
    day = corrected.time.astimezone(place_of(visit, corrected.source)).date()
    return {
        **forms.typed(model, corrected.data),
        "for_office": corrected.source.removeprefix("/offices/"),
        "happened": day.isoformat(),
        "correct": corrected.named,
    }
