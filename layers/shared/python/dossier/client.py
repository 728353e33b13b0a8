"""A Python client of the HTTP API (``docs/api.md``): :class:`Dossier`, and :class:`AsyncDossier` with the same methods.

::

    from dossier.client import Dossier

    with Dossier("https://….execute-api.eu-central-1.amazonaws.com") as dossier:
        begun = dossier.submit({"connection": "invoices", "reference": "INV-1"}, files=["INV-1.pdf"])
        dossier.wait(begun.connection, begun.reference)
        result = dossier.result(begun.connection, begun.reference)

Each method is a flow: a generator that yields requests and pauses, and gets the responses. One class drives the flows
with ``httpx.Client`` and ``time.sleep``, the other with ``httpx.AsyncClient`` and ``asyncio.sleep``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session, get_session
from pydantic import BaseModel

from dossier.api.models import (
    ArtifactLink,
    CancelledView,
    CasePage,
    Refreshed,
    Resolved,
    Revisions,
    Submitted,
    UploadTargets,
)
from dossier.models import CaseStatus
from dossier.result import Result
from dossier.steps.views import CaseSummary, CaseView, RevisionView

TIMEOUT = 60.0
"""Seconds until a request that nobody answers fails; API Gateway gives up after 30."""
TRIES = 5
"""How often a request is sent if its answer is lost, or is 429, 502, 503 or 504. Each request may be repeated."""
AGAIN = {429, 502, 503, 504}
FIRST_LOOK, LONGEST_LOOK, GROWTH = 1.0, 15.0, 1.5
"""First and longest pause, in seconds, between two looks of ``wait``, and the factor between them."""
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class ApiError(Exception):
    """An error response. ``error`` is Dossier's name of the error, or ``HTTP`` and the status."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.error = status, error


class NotFinishedError(Exception):
    """The case has not ended in time, or waits for an operator's answer; ``case`` is its state."""

    def __init__(self, text: str, case: CaseView) -> None:
        super().__init__(text)
        self.case = case


@dataclass(frozen=True, slots=True)
class _Send:
    """A request of a flow. A presigned URL is sent unsigned."""

    method: str
    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True


@dataclass(frozen=True, slots=True)
class _Pause:
    """A pause of a flow."""

    seconds: float


Given = httpx.Response | httpx.TransportError | None
"""The outcome of a request that a flow receives: the response, or the error. For a pause it receives None."""
Flow = Generator[_Send | _Pause, Given, T]


class _Flows:
    """The client's operations, without I/O."""

    def __init__(self, api_url: str, *, session: Session | None = None, region: str | None = None) -> None:
        parts = urlsplit(api_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f'api_url "{api_url}" is no URL: `dossier outputs` prints it')
        self._url = api_url.rstrip("/")
        self._session = session or get_session()
        own = os.environ.get("AWS_REGION") or self._session.get_config_variable("region")  # botocore ignores the former
        found = region or _region(self._url) or own
        if not found:
            raise ValueError("the Region of the API is not known: give region, or set AWS_REGION")
        self._region: str = found

    def signed(self, request: _Send) -> dict[str, str]:
        """Return a request's headers, with its signature."""
        made = AWSRequest(request.method, request.url, headers=dict(request.headers), data=request.content)
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ApiError(0, "NoCredentials", "there are no AWS credentials to sign the request with")
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(made)
        return dict(made.headers.items())

    def submit(self, case: Mapping[str, Any], files: Sequence[str | Path]) -> Flow[Submitted]:
        """Submit a case, its files uploaded first."""
        given = dict(case)
        if files:
            targets = yield from self._upload(given, [Path(each) for each in files])
            named = [{"uri": each.uri, "name": each.name} for each in targets.files]
            given["documents"] = [*given.get("documents", ()), *named]
        return (yield from self._ask(Submitted, "POST", "/cases", given))

    def _upload(self, case: Mapping[str, Any], files: Sequence[Path]) -> Flow[UploadTargets]:
        wanted: dict[str, Any] = {"files": [{"name": each.name} for each in files]}
        wanted |= {"connection": case["connection"]} if "connection" in case else {}
        targets = yield from self._ask(UploadTargets, "POST", "/cases", wanted)
        for target, file in zip(targets.files, files, strict=True):
            yield from self._send(_Send("PUT", target.url, file.read_bytes(), signed=False))
        return targets

    def case(self, connection: str, reference: str) -> Flow[CaseView]:
        """Look at a case."""
        return self._ask(CaseView, "GET", _path(connection, reference))

    def wait(self, connection: str, reference: str, timeout: float) -> Flow[CaseView]:
        """Look at a case until it ends."""
        waited, pause = 0.0, FIRST_LOOK
        while True:
            try:
                case = yield from self.case(connection, reference)
            except ApiError as error:
                if error.status != 404 or waited >= timeout:  # Accept has not stored it yet
                    raise
            else:
                if case.status.final:
                    return case
                if case.status is CaseStatus.NEEDS_ATTENTION:
                    raise NotFinishedError(f"case {reference} needs attention: {case.reason}", case)
                if waited >= timeout:
                    raise NotFinishedError(f"case {reference} is {case.status.value} after {timeout:g} s", case)
            length = min(pause, timeout - waited) or FIRST_LOOK
            yield _Pause(length)
            waited, pause = waited + length, min(pause * GROWTH, LONGEST_LOOK)

    def result(self, connection: str, reference: str) -> Flow[Result]:
        """Read a case's result."""
        response = yield from self._send(self._request("GET", f"{_path(connection, reference)}/result"))
        if response.status_code == 303:
            response = yield from self._send(_Send("GET", response.headers["location"], signed=False))
        return Result.model_validate_json(response.content)

    def revisions(self, connection: str, reference: str) -> Flow[list[RevisionView]]:
        """Read a case's revisions."""
        return (yield from self._ask(Revisions, "GET", f"{_path(connection, reference)}/revisions")).revisions

    def artifact(self, connection: str, reference: str, name: str) -> Flow[bytes]:
        """Download an artifact."""
        path = f"{_path(connection, reference)}/artifacts/{quote(name, safe='')}"
        link = yield from self._ask(ArtifactLink, "GET", path)
        return (yield from self._send(_Send("GET", link.url, signed=False))).content

    def page(self, after: str | None, wanted: Mapping[str, str | None]) -> Flow[CasePage]:
        """Read a page of cases."""
        query = {name: value for name, value in {**wanted, "after": after}.items() if value is not None}
        return self._ask(CasePage, "GET", f"/cases?{urlencode(query)}" if query else "/cases")

    def refresh(self, connection: str, reference: str) -> Flow[Refreshed]:
        """Collect a case again."""
        return self._ask(Refreshed, "POST", f"{_path(connection, reference)}/refresh")

    def cancel(self, connection: str, reference: str) -> Flow[CancelledView]:
        """End a case."""
        return self._ask(CancelledView, "POST", f"{_path(connection, reference)}/cancel")

    def resolve(self, connection: str, reference: str, body: Mapping[str, Any]) -> Flow[Resolved]:
        """Answer a question."""
        return self._ask(Resolved, "POST", f"{_path(connection, reference)}/resolve", body)

    def _ask(self, model: type[M], method: str, path: str, body: Mapping[str, Any] | None = None) -> Flow[M]:
        response = yield from self._send(self._request(method, path, body))
        return model.model_validate_json(response.content)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> _Send:
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return _Send(method, self._url + path, content, {"content-type": "application/json"} if content else {})

    def _send(self, request: _Send) -> Flow[httpx.Response]:
        """Send a request until it is answered, at most ``TRIES`` times."""
        for number in range(1, TRIES + 1):
            given = yield request
            last, after, why = number == TRIES, "", str(given) or type(given).__name__
            if isinstance(given, httpx.Response):
                if given.status_code < 400:
                    return given
                if given.status_code not in AGAIN or last:
                    raise _error(given)
                after = given.headers.get("retry-after", "")
            if not last:
                longest = float(after) if after.isdecimal() else 2.0 ** (number - 1)
                yield _Pause(random.uniform(longest / 2, longest))  # noqa: S311 -- jitter, no secret
        parts = urlsplit(request.url)
        raise ApiError(0, "Unreachable", f"{parts.hostname} did not answer {request.method} {parts.path}: {why}")


class Dossier:
    """A client that waits for each answer.

    Args:
        api_url: ``api_url`` of ``dossier outputs``.
        session: botocore's session with the credentials that sign; by default that of the environment.
        region: the Region of the API; by default the one in its address, that of ``AWS_REGION``, or the session's.
        client: the HTTP client; by default a new one, which ``close`` closes.

    Raises:
        ValueError: ``api_url`` is not a URL, or the Region is not known.

    """

    def __init__(
        self,
        api_url: str,
        *,
        session: Session | None = None,
        region: str | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self._flows = _Flows(api_url, session=session, region=region)
        self._client = client or httpx.Client(timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def submit(self, case: Mapping[str, Any], *, files: Sequence[str | Path] = ()) -> Submitted:
        """Submit an execution's input as a case; ``files`` are uploaded, and become its last documents."""
        return self._drive(self._flows.submit(case, files))

    def case(self, connection: str, reference: str) -> CaseView:
        """Return everything about a case."""
        return self._drive(self._flows.case(connection, reference))

    def wait(self, connection: str, reference: str, *, timeout: float = 3600.0) -> CaseView:
        """Return a case once it has ended.

        Raises:
            NotFinishedError: it has not ended after ``timeout`` seconds, or waits for an operator's answer.

        """
        return self._drive(self._flows.wait(connection, reference, timeout))

    def result(self, connection: str, reference: str) -> Result:
        """Return a case's result."""
        return self._drive(self._flows.result(connection, reference))

    def revisions(self, connection: str, reference: str) -> list[RevisionView]:
        """Return a case's revisions, the first one first."""
        return self._drive(self._flows.revisions(connection, reference))

    def artifact(self, connection: str, reference: str, name: str) -> bytes:
        """Return an artifact's bytes."""
        return self._drive(self._flows.artifact(connection, reference, name))

    def cases(
        self,
        *,
        connection: str | None = None,
        status: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[CaseSummary]:
        """Yield cases, latest submitted first, page by page."""
        wanted, after = {"connection": connection, "status": status, "since": since, "until": until}, None
        while True:
            page = self._drive(self._flows.page(after, wanted))
            yield from page.cases
            if (after := page.next) is None:
                return

    def refresh(self, connection: str, reference: str) -> Refreshed:
        """Start to collect an ended case again."""
        return self._drive(self._flows.refresh(connection, reference))

    def cancel(self, connection: str, reference: str) -> CancelledView:
        """End a case."""
        return self._drive(self._flows.cancel(connection, reference))

    def resolve(
        self,
        connection: str,
        reference: str,
        answer: Literal["retry", "use", "give_up", "send"],
        *,
        id: str = "",  # noqa: A002 -- the API's own name for it
        question: str | None = None,
    ) -> Resolved:
        """Answer a case's open question."""
        return self._drive(self._flows.resolve(connection, reference, _answer(answer, id, question)))

    def _drive(self, flow: Flow[T]) -> T:
        given: Given = None
        try:
            while True:
                step = flow.send(given)
                if isinstance(step, _Pause):
                    time.sleep(step.seconds)
                    given = None
                    continue
                try:
                    given = self._client.send(_built(self._client, step, self._flows), follow_redirects=False)
                except httpx.TransportError as error:
                    given = error
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # a flow's own value


class AsyncDossier:
    """A client for asyncio; see :class:`Dossier`."""

    def __init__(
        self,
        api_url: str,
        *,
        session: Session | None = None,
        region: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._flows = _Flows(api_url, session=session, region=region)
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def submit(self, case: Mapping[str, Any], *, files: Sequence[str | Path] = ()) -> Submitted:
        """Submit an execution's input as a case; ``files`` are uploaded, and become its last documents."""
        return await self._drive(self._flows.submit(case, files))

    async def case(self, connection: str, reference: str) -> CaseView:
        """Return everything about a case."""
        return await self._drive(self._flows.case(connection, reference))

    async def wait(self, connection: str, reference: str, *, timeout: float = 3600.0) -> CaseView:
        """Return a case once it has ended.

        Raises:
            NotFinishedError: it has not ended after ``timeout`` seconds, or waits for an operator's answer.

        """
        return await self._drive(self._flows.wait(connection, reference, timeout))

    async def result(self, connection: str, reference: str) -> Result:
        """Return a case's result."""
        return await self._drive(self._flows.result(connection, reference))

    async def revisions(self, connection: str, reference: str) -> list[RevisionView]:
        """Return a case's revisions, the first one first."""
        return await self._drive(self._flows.revisions(connection, reference))

    async def artifact(self, connection: str, reference: str, name: str) -> bytes:
        """Return an artifact's bytes."""
        return await self._drive(self._flows.artifact(connection, reference, name))

    async def cases(
        self,
        *,
        connection: str | None = None,
        status: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AsyncIterator[CaseSummary]:
        """Yield cases, latest submitted first, page by page."""
        wanted, after = {"connection": connection, "status": status, "since": since, "until": until}, None
        while True:
            page = await self._drive(self._flows.page(after, wanted))
            for each in page.cases:
                yield each
            if (after := page.next) is None:
                return

    async def refresh(self, connection: str, reference: str) -> Refreshed:
        """Start to collect an ended case again."""
        return await self._drive(self._flows.refresh(connection, reference))

    async def cancel(self, connection: str, reference: str) -> CancelledView:
        """End a case."""
        return await self._drive(self._flows.cancel(connection, reference))

    async def resolve(
        self,
        connection: str,
        reference: str,
        answer: Literal["retry", "use", "give_up", "send"],
        *,
        id: str = "",  # noqa: A002 -- the API's own name for it
        question: str | None = None,
    ) -> Resolved:
        """Answer a case's open question."""
        return await self._drive(self._flows.resolve(connection, reference, _answer(answer, id, question)))

    async def _drive(self, flow: Flow[T]) -> T:
        given: Given = None
        try:
            while True:
                step = flow.send(given)
                if isinstance(step, _Pause):
                    await asyncio.sleep(step.seconds)
                    given = None
                    continue
                try:
                    given = await self._client.send(_built(self._client, step, self._flows), follow_redirects=False)
                except httpx.TransportError as error:
                    given = error
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # a flow's own value


def _built(client: httpx.Client | httpx.AsyncClient, request: _Send, flows: _Flows) -> httpx.Request:
    headers = flows.signed(request) if request.signed else dict(request.headers)
    return client.build_request(request.method, request.url, content=request.content, headers=headers)


def _error(response: httpx.Response) -> ApiError:
    try:
        answer = response.json()
        detail = str(answer.get("detail") or answer.get("message"))
        name = str(answer.get("error") or f"HTTP{response.status_code}")
    except (ValueError, AttributeError):
        detail, name = response.text[:500], f"HTTP{response.status_code}"
    return ApiError(response.status_code, name, detail)


def _answer(answer: str, id_: str, question: str | None) -> dict[str, Any]:
    return {"answer": answer, "id": id_, **({"question": question} if question else {})}


def _path(connection: str, reference: str) -> str:
    return f"/cases/{quote(connection, safe='')}/{quote(reference, safe='')}"


def _region(url: str) -> str | None:
    """Return the Region in the address of an API: ``<id>.execute-api.<region>.amazonaws.com``."""
    parts = (urlsplit(url).hostname or "").split(".")
    return parts[2] if len(parts) > 3 and parts[1] == "execute-api" else None
