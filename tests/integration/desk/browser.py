"""A browser without a screen or scripts: it keeps cookies, sends the forms of the pages, and reads what they show."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Page(HTMLParser):
    """What a page holds, as far as tests ask."""

    text: str
    texts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._inside: list[str] = []
        self._select: str | None = None
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in ("input", "meta", "br", "link"):
            self._inside.append(tag)
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag in ("input", "textarea") and given.get("name"):
            self.fields[given["name"]] = given.get("value", "")
        if tag == "select":
            self._select = given["name"]
            self.fields[self._select] = ""
        if tag == "option" and "selected" in given and self._select:
            self.fields[self._select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "script"} & set(self._inside):
            self.texts.append(data.strip())

    @property
    def shown(self) -> str:
        """All that can be read, in one line."""
        return re.sub(r"\s+", " ", " ".join(self.texts))


class Browser:
    """An officer at their desk."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def sign_in(self, token: str) -> None:
        answer = await self.client.post("/session", content=urlencode({"token": token}), headers=FORM)
        assert answer.status_code == 303, answer.text

    async def see(self, path: str, status: int = 200, **headers: str) -> Page:
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-2000:])
        return Page(answer.text)

    async def send(self, path: str, fields: dict[str, Any], **headers: str) -> httpx.Response:
        """Send fields as they are."""
        return await self.client.post(path, content=urlencode(fields), headers={**FORM, **headers})

    async def fill(self, path: str, **typed: Any) -> httpx.Response:
        """Look at a form, fill it in, and send it; double underscores in names stand for dots."""
        page = await self.see(path)
        fields = {**page.fields, **{name.replace("__", "."): value for name, value in typed.items()}}
        return await self.send(path.partition("?")[0], fields)

    async def follow(self, page: Page) -> None:
        """Every link of a page on this desk leads somewhere. Those that change the language are left alone."""
        for link in page.links:
            if link.startswith("/") and "lang=" not in link:
                await self.see(link.partition("#")[0])
