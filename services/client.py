"""Sampan's HTTP client: what the command line does against a running program, on this machine or another."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import httpx

from services.errors import ClientError
from services.eventfiles import Line, ServiceName
from shared.events.wire import NDJSON

ATTEMPTS = 15
"""Tries of one request while a service cannot be reached or is not ready; sending events twice is safe."""
LONGEST_WAIT_SECONDS = 120.0
"""How long to wait at a time when a service says that this office sends too much."""
_NO_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""Where no proxy is asked: it could not reach this machine's own ports, and has no business with its tokens."""
FILE_SECONDS = 600.0
"""How long to wait for the next line of the answer to a file: some are a transaction of many rows apart."""
BEHIND_SECONDS = 120
"""How long to wait for a service that is behind and does not move."""


class RefusedError(ClientError):
    """A service's no to one request: its HTTP status, code and message."""

    def __init__(self, answer: httpx.Response) -> None:
        self.message = _message(answer)
        super().__init__(f"{answer.request.url.copy_with(query=None)}: {self.message}")
        self.status = answer.status_code
        self.code = _code(answer)


class Client:
    """One caller's connection to a running Sampan, by the address of any of its services."""

    def __init__(
        self, server: str, token: str, *, timeout: float = 60, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """``meanwhile`` is called now and then while this waits: whoever runs the program can look after it."""
        self._server = server.rstrip("/")
        self._meanwhile = meanwhile
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=timeout, mounts=dict.fromkeys(_NO_PROXY)
        )
        self._addresses: dict[str, str] | None = None
        self._answered = False
        self.token_expires: str | None = None
        """When the caller's token ends, once a service has said that this is soon."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def as_officer(self, token: str) -> "Client":
        """The same program, called with another token."""
        return Client(self._server, token, meanwhile=self._meanwhile)

    def address(self, service: ServiceName) -> str:
        """The address of a service, as the server that was named tells it."""
        if self._addresses is None:
            self._addresses = self._json("GET", f"{self._server}/v1/services")
        return self._addresses[service]

    def get(
        self,
        service: ServiceName,
        path: str,
        parameters: Sequence[tuple[str, str]] = (),
        *,
        timeout: float | None = None,
    ) -> Any:
        """The JSON answer of a GET; ``timeout`` is for one that takes long. Raises ``ClientError``."""
        more = {} if timeout is None else {"timeout": timeout}
        return self._json("GET", f"{self.address(service)}{path}", params=list(parameters), **more)

    def document(
        self,
        service: ServiceName,
        path: str,
        parameters: Sequence[tuple[str, str]],
        sent: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The answer as it is, in whatever form; with something ``sent`` it is a POST. Raises ``ClientError``."""
        request: dict[str, Any] = {"params": list(parameters), **({} if sent is None else {"json": sent})}
        answer = self._send("GET" if sent is None else "POST", f"{self.address(service)}{path}", **request)
        if not answer.is_success:
            raise RefusedError(answer)
        return answer.content

    def change(
        self,
        method: Literal["PUT", "POST", "DELETE"],
        service: ServiceName,
        path: str,
        sent: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON answer, or None, to what changes something and is tried once. Raises ``ClientError``."""
        body = {} if sent is None else {"json": sent}
        return self._json(method, f"{self.address(service)}{path}", again=False, **body)

    def post(self, service: ServiceName, path: str, *, timeout: float | None = None) -> Any:
        """The JSON answer of a POST without a body; ``timeout`` is for one that takes long. Raises ``ClientError``."""
        more = {} if timeout is None else {"timeout": timeout}
        return self._json("POST", f"{self.address(service)}{path}", **more)

    def every(
        self, service: ServiceName, path: str, parameters: Sequence[tuple[str, str]] = ()
    ) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        after: str | None = dict(parameters).get("after", "")
        given = [pair for pair in parameters if pair[0] != "after"]
        while after is not None:
            page = self.get(service, path, [*given, ("limit", "1000"), *([("after", after)] if after else [])])
            yield from page["items"]
            after = page["next"]

    def post_events(self, lines: Sequence[Line]) -> dict[str, Any]:
        """Post lines of one service; the receipts and the position, as the service answers them."""
        answer = self._send(
            "POST",
            f"{self.address(lines[0].service)}/v1/{'bundles' if lines[0].signed else 'events'}",
            content=b"\n".join(line.body for line in lines),
            headers={"Content-Type": NDJSON},
        )
        if answer.status_code not in {200, 207, 422}:
            raise RefusedError(answer)
        receipts: dict[str, Any] = answer.json()
        return receipts

    def post_file(
        self, service: ServiceName, path: str, content: bytes, kind: str, parameters: Sequence[tuple[str, str]]
    ) -> Iterator[dict[str, Any]]:
        """The lines of the answer to a file, as they come. Raises ``ClientError``: what was taken by then stays taken."""
        url = f"{self.address(service)}{path}"
        headers = {"Content-Type": kind, "Accept": NDJSON}
        asked = {"content": content, "params": list(parameters), "headers": headers, "timeout": FILE_SECONDS}
        answer = self._send("POST", url, again=False, stream=True, **asked)
        try:
            for line in answer.iter_lines():
                yield json.loads(line)
        except httpx.TransportError as error:
            raise ClientError(_broke(url, error)) from None
        finally:
            answer.close()

    def add_office(self, office: Mapping[str, Any]) -> dict[str, Any]:
        """Register an office, or an officer more of one that is registered; the answer holds the token, once."""
        answer: dict[str, Any] = self._json("POST", f"{self.address('enrolment')}/v1/offices", json=office, again=False)
        return answer

    def revoke_office(self, country: str, office: str, officer: str | None = None) -> None:
        """Revoke an office and every token of its officers, or only one officer's."""
        one = "" if officer is None else f"/officers/{officer}"
        self._json("DELETE", f"{self.address('enrolment')}/v1/offices/{country}/{office}{one}")

    def wait_until_certification_heard(self) -> None:
        """Wait until certification has heard all that enrolment holds true now."""
        self._wait("certification", "heard", {"ENROLMENT": self._position("enrolment")["position"]["ENROLMENT"]})

    def wait_until_reported(self) -> None:
        """Wait, by positions and not by time, until reporting has all that follows from what was posted so far.

        Certification may turn enrolment's facts into facts of its own, so its position counts once it has heard them.
        """
        enrolment = self._position("enrolment")["position"]
        self._wait("certification", "heard", enrolment)
        self._wait("reporting", "position", enrolment | self._position("certification")["position"])

    def _position(self, service: ServiceName) -> dict[str, dict[str, int]]:
        answer: dict[str, dict[str, int]] = self.get(service, "/v1/position")
        return answer

    def _wait(self, service: ServiceName, which: Literal["heard", "position"], wanted: Mapping[str, int]) -> None:
        last: dict[str, int] = {}
        deadline = 0.0
        while True:
            has = self._position(service)[which]
            if has != last or not deadline:
                last, deadline = has, time.monotonic() + BEHIND_SECONDS
            if all(has.get(stream, 0) >= position for stream, position in wanted.items()):
                return
            if time.monotonic() > deadline:
                raise ClientError(
                    f"{service} is still behind, and has not moved for {BEHIND_SECONDS} s (it has {has}, wanted {dict(wanted)}). "
                    f"Nothing is lost; see {self.address(service)}/readyz for the reason."
                )
            self.pause(0.05)

    def pause(self, seconds: float) -> None:
        """Wait, and look meanwhile after what is to be looked after."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._meanwhile is not None:
                self._meanwhile()
            time.sleep(min(left, 0.2))

    def _json(self, method: str, url: str, **request: Any) -> Any:
        answer = self._send(method, url, **request)
        if not answer.is_success:
            raise RefusedError(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ClientError(f"{url} did not answer as Sampan does. Check the address.") from None

    def _send(
        self, method: str, url: str, *, again: bool = True, stream: bool = False, **request: Any
    ) -> httpx.Response:
        """The answer, after as many tries as it takes; ``again`` is false for what must not be done twice.

        With ``stream`` only a good answer comes back, to be read as it comes and closed; another raises ``ClientError``.
        """
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.pause(min(0.2 * 2**attempt, 5))
            try:
                answer = (
                    self._streamed(method, url, **request) if stream else self._http.request(method, url, **request)
                )
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise ClientError(f"{url} is not an address: give it as http://host:port.") from None
            except httpx.TransportError as error:
                problem = f"{url} cannot be reached ({type(error).__name__}). Is Sampan running there?"
                never_got_there = isinstance(error, httpx.ConnectError)
                # A server that has answered before comes back; one that never did is most likely a wrong address.
                brought_back = self._meanwhile is not None or self._answered
                if (attempt >= 2 and not brought_back) if never_got_there else not again:
                    problem = problem if never_got_there or not stream else _broke(url, error)
                    break
                continue
            self._answered = True
            self.token_expires = answer.headers.get("Sampan-Token-Expires", self.token_expires)
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                problem = f"{url}: {_message(answer)}"
                self.pause(min(_seconds(answer), LONGEST_WAIT_SECONDS))
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                if stream and not answer.is_success:
                    raise RefusedError(answer)
                return answer
            problem = f"{url} is not ready: {_message(answer)}"
        raise ClientError(problem)

    def _streamed(self, method: str, url: str, **request: Any) -> httpx.Response:
        """The answer, open where it is good; whole where it says no."""
        answer = self._http.send(self._http.build_request(method, url, **request), stream=True)
        if not answer.is_success:
            answer.read()
        return answer


def _broke(url: str, error: httpx.TransportError) -> str:
    return f"{url}: the line broke ({type(error).__name__}). Send the file again: what was taken stays as it is."


def _seconds(answer: httpx.Response) -> float:
    """How long the server asks to wait."""
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else 1.0


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"http_{answer.status_code}"
