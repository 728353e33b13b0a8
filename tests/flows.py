"""Drives a vendor's flow over given replies: no socket, no clock, no transport.

``drive(flow, replies)`` runs a flow to its end and returns its value and the requests it made; ``recorded(vendor,
name)`` is a recorded reply of ``events/vendors/<vendor>/``; ``document``, ``Server`` and ``reply`` make the rest.
A test that a flow raises is ``with pytest.raises(...): drive(flow, [...])``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from dossier.http import Flow, Reply, Request
from dossier.models import Document

EVENTS = Path(__file__).parents[1] / "events" / "vendors"

T = TypeVar("T")
Server = Callable[[Request], Reply | Exception]
"""Answers each request by looking at it; an exception stands for the transport's (such as a lost answer)."""


@dataclass(frozen=True)
class Driven(Generic[T]):
    """What a flow returned, and every request that it made, in order."""

    value: T
    requests: list[Request]

    @property
    def request(self) -> Request:
        """The flow's only request."""
        assert len(self.requests) == 1, f"{len(self.requests)} requests were made: {self.requests}"
        return self.requests[0]


def reply(body: Any = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a reply; a body that is neither bytes nor text is encoded as JSON."""
    kind = "application/json"
    if isinstance(body, str):
        body, kind = body.encode(), "text/html"
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Reply(status=status, body=body, headers={"content-type": kind, **(headers or {})})


def recorded(vendor: str, name: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return the recorded body ``events/vendors/<vendor>/<name>`` (``.json`` unless it has a suffix) as a reply."""
    file = EVENTS / vendor / (name if "." in name else f"{name}.json")
    kind = "text/html" if file.suffix == ".html" else "application/json"
    return Reply(status=status, body=file.read_bytes(), headers={"content-type": kind, **(headers or {})})


def document(name: str = "invoice.pdf", *, index: int = 0, size: int = 11, **rest: Any) -> Document:
    """Return an accepted document, as the steps hand it to an adapter."""
    given = {"content_type": "application/pdf", "key": f"cases/test/R-1/documents/{index}-{name}", **rest}
    return Document(index=index, name=name, size=size, **given)


def drive(
    flow: Flow[T], replies: Iterable[Reply | Exception] | Server = (), *, seen: list[Request] | None = None
) -> Driven[T]:
    """Run a flow over replies, in order, and return its value and requests.

    Args:
        flow: what an adapter's method returned.
        replies: one for each request, or a function from request to reply.
        seen: gets each request as it is made, for a test that also looks at a flow that raises.

    Raises:
        AssertionError: the flow asks for more than was recorded, or leaves replies unread.

    """
    requests = seen if seen is not None else []
    fixed = None if callable(replies) else list(replies)
    server = replies if callable(replies) else _in_order(fixed or [], requests)
    try:
        request = next(flow)
        while True:
            requests.append(request)
            answer = server(request)
            request = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
    except StopIteration as end:
        unread = 0 if fixed is None else len(fixed) - len(requests)
        assert not unread, f"{unread} replies were not asked for, after {requests}"
        return Driven(end.value, requests)


def _in_order(replies: list[Reply | Exception], requests: list[Request]) -> Server:
    def answer(request: Request) -> Reply | Exception:
        number = len(requests) - 1
        assert number < len(replies), f"request {number + 1} has no recorded reply: {request}"
        return replies[number]

    return answer
