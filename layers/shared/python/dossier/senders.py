"""Drive a flow over a sender, and small senders that wrap each other.

A *sender* sends one request and returns the reply: the transport's over HTTP, a test's from recorded replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar, cast

from dossier.errors import MalformedAnswerError
from dossier.http import Flow, Reply, Request
from dossier.masks import masked, masked_text

_T = TypeVar("_T")
Send: TypeAlias = Callable[[Request], Reply]


def drive(flow: Flow[_T], send: Send) -> _T:
    """Run a flow to its end and return its answer; an error of ``send`` ends the flow."""
    try:
        request = next(flow)
        while True:
            request = flow.send(send(request))
    except StopIteration as stop:
        return cast("_T", stop.value)


def hiding(send: Send, secrets: Iterable[str]) -> Send:
    """Return a sender that redacts secrets from the replies, headers included."""
    hidden = tuple(secrets)

    def sender(request: Request) -> Reply:
        reply = send(request)
        shown = {name: masked_text(value, hidden) for name, value in reply.headers.items()}
        return Reply(reply.status, masked(reply.body, hidden), shown)

    return sender


def keeping(send: Send, keep: Callable[[str, bytes], None]) -> Send:
    """Return a sender that stores the raw body of each successful reply whose request has a ``keep`` name.

    One about something else is not stored: it may have somebody else's data.
    """

    def sender(request: Request) -> Reply:
        reply = send(request)
        if request.keep and 200 <= reply.status < 300 and not _is_about_another(request, reply):
            body = request.cut(reply.body) if request.cut else reply.body
            if body is not None:
                keep(request.keep, body)
        return reply

    return sender


def _is_about_another(request: Request, reply: Reply) -> bool:
    try:
        return request.about is not None and request.about.another(reply.json())
    except MalformedAnswerError:
        return False


def noting(send: Send, note: Callable[[Reply], object]) -> Send:
    """Return a sender that hands each reply to ``note`` before the flow reads it."""

    def sender(request: Request) -> Reply:
        reply = send(request)
        note(reply)
        return reply

    return sender
