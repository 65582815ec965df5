"""Every address with a NUL in each of its parameters: PostgreSQL has no text with one, and nobody means one."""

from collections.abc import Iterator, Sequence

import httpx
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tests.contract.documents import STREAMED


async def answered(client: httpx.AsyncClient, app: FastAPI) -> int:
    """Ask all of them; how many. None may break."""
    broken, asked = [], 0
    for method, path in _addresses(app):
        answer = await client.request(method, path)
        asked += 1
        if answer.status_code >= 500:
            broken.append((method, path, answer.status_code))
    assert not broken, broken
    return asked


def _addresses(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in _routes(app.routes):
        if not isinstance(route, APIRoute) or route.path in STREAMED:
            continue
        usual = {name: "1" if name in ("number", "key") else "a1" for name in route.param_convertors}
        for method in route.methods - {"HEAD"}:
            for name in usual:
                yield method, route.path.format_map(_without_kinds({**usual, name: "%00"}))
                yield method, route.path.format_map(_without_kinds({**usual, name: "a1%00"}))
            for name in _queries(route):
                yield method, f"{route.path.format_map(_without_kinds(usual))}?{name}=%00"


def _without_kinds(values: dict[str, str]) -> dict[str, str]:
    return values | {f"{name}:path": value for name, value in values.items()}


def _queries(route: APIRoute) -> set[str]:
    told = {one["name"] for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query"}
    return _declared(route.dependant) | told


def _declared(asked: Dependant) -> set[str]:
    here = {field.alias for field in asked.query_params}
    return here.union(*map(_declared, asked.dependencies))


def _routes(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        included = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        yield from _routes(included.routes) if included else [route]
