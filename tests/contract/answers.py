"""Answers as they really are, held against the OpenAPI document: a hook for the clients of other tests."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.contract.documents import today, validator


def as_documented(service: str) -> dict[str, list[Callable[[httpx.Response], Awaitable[None]]]]:
    """For ``httpx.AsyncClient(event_hooks=...)``: every answer of the service must be one that its document tells of."""
    document = today("openapi", service)

    async def check(response: httpx.Response) -> None:
        method, path = response.request.method.lower(), response.request.url.path
        operation = next((one for way, one in _operations(document, method) if _leads(way, path)), None)
        if operation is None:  # a page is for people, and its forms lead to pages
            is_page = response.headers.get("content-type", "").startswith("text/html") or response.status_code in (
                303,
                304,
            )
            assert is_page or response.status_code in (404, 405), f"{method} {path} is not in the document"
            return
        said = operation["responses"].get(str(response.status_code))
        assert said is not None, f"{method} {path} answers {response.status_code}, which is not in the document"
        if "$ref" in said:
            said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
        assert all(name in response.headers for name in said.get("headers", {}))
        content = await response.aread()
        media = response.headers.get("content-type", "").partition(";")[0]
        if not content:
            assert "content" not in said, f"{method} {path} answers nothing"
        elif media == "application/json":
            validator(document, said["content"][media]["schema"]).validate(json.loads(content))
        else:
            assert media in said["content"], f"{method} {path} answers {media}, which is not in the document"

    return {"response": [check]}


def _operations(document: dict[str, Any], method: str) -> list[tuple[str, Any]]:
    return [(path, methods[method]) for path, methods in document["paths"].items() if method in methods]


def _leads(way: str, path: str) -> bool:
    """Whether a path of the document, with names in braces, is this one."""
    steps, taken = way.split("/"), path.split("/")
    return len(steps) == len(taken) and all(
        step == there or step.startswith("{") for step, there in zip(steps, taken, strict=True)
    )
