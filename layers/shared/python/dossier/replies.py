"""Read a vendor's reply: return its value, or raise the error that says what can be done next.

The vendors share this; arguments carry their differences. It distinguishes requests that were certainly not performed
(429, 503: try again), requests that may have been (another 5xx on a request that changes something: look it up), and
rejected requests.

A rejection is final only if it is in the vendor's form (``Request.refusal``) and has a status that gateways do not
produce themselves. Any other status is treated as a failure on the way. A 404 never rejects a request that only
reads: a vendor's servers may not all know a new object yet.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from dossier import headers
from dossier.errors import (
    MalformedAnswerError,
    OutcomeUnknownError,
    StrayAnswerError,
    ThrottledError,
    UnauthorizedError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.http import Effect, Reply, Request
from dossier.models import now, utc
from dossier.texts import ERROR, NAME, STATUS, block, identifier, line, name

__all__ = [  # re-exported: adapters clean texts with it
    "ERROR", "NAME", "STATUS", "asked_pause", "block", "delivered", "fail", "identifier", "instant", "line", "message",
    "missing", "name", "read", "read_object", "retry_after", "what",
]  # fmt: skip

DEFAULT_PAUSE = 5.0
"""Pause in seconds after a 429 without a usable ``Retry-After``."""
LONGEST_PAUSE = 3600.0
FINAL = frozenset({400, 402, 406, 410, 411, 412, 413, 414, 415, 416, 417, 422, 426, 428, 431, 451})
"""Statuses that reject the request if they are in the vendor's form. A gateway, or its retry of a request
that the vendor has performed, may cause the others: 404, 405, 407, 408, 409, 421, 423, 424, 499 and unregistered ones
(https://www.iana.org/assignments/http-status-codes)."""
UNREAD = frozenset({411, 413, 414, 431})
"""Statuses of servers that did not read the request: it was not performed, even if the answer is a gateway's."""
PAUSED = frozenset({429, 503, 413})
"""Statuses that, with a usable ``Retry-After``, mean that nothing was performed, and when to try again.
RFC 9110, sections 10.2.3, 15.5.14 and 15.6.4; RFC 6585, section 4."""


def retry_after(reply: Reply, *, at: datetime | None = None) -> float:
    """Return the pause that a reply asks for, in seconds.

    ``Retry-After`` is a number of seconds or an HTTP date (RFC 9110, section 10.2.3); anything else, and a missing
    header, counts as ``DEFAULT_PAUSE``.
    """
    pause = _retry_after(reply, at)
    return DEFAULT_PAUSE if pause is None else pause


def asked_pause(reply: Reply, *, at: datetime | None = None) -> float | None:
    """Return the pause in seconds that a reply asks of all callers; None if it does not.

    A 429 always does. A 5xx and a 413 do with a valid ``Retry-After``.
    """
    if reply.status == 429:
        return retry_after(reply, at=at)
    return _retry_after(reply, at) if reply.status == 413 or reply.status >= 500 else None


def _retry_after(reply: Reply, at: datetime | None) -> float | None:
    """Return the pause in the header. A date is relative to the answer's ``Date``, so clocks need not agree."""
    sent = headers.http_date(reply.headers.get("date", "")) or at or now()
    pause = headers.pause(reply.headers.get("retry-after", ""), at=sent)
    return None if pause is None else min(pause, LONGEST_PAUSE)


def read_object(request: Request, reply: Reply, *, not_performed: Collection[int] = ()) -> dict[str, Any]:
    """Return the JSON object in a successful reply; see :func:`read` for the errors."""
    value = read(request, reply, not_performed=not_performed)
    if not isinstance(value, dict):
        raise _malformed(request, reply, "a JSON object was expected")
    return value


def read(request: Request, reply: Reply, *, not_performed: Collection[int] = ()) -> Any:
    """Return the JSON value in a successful reply.

    The HTTP status and the body's ``status_code``/``statusCode`` are both checked, and the worse one counts. A body
    with ``"status": "fail"`` (or ``"error"`` in an envelope with a status code) is a rejection.

    Args:
        request: the request.
        reply: the reply.
        not_performed: 5xx statuses that mean, for this vendor, that even a request that changes something was not
            performed; 503 always does.

    Raises:
        ThrottledError: 429; 503 and 413 with a ``Retry-After``.
        UnauthorizedError: 401 or 403, in JSON.
        VendorUnavailableError: 5xx to a safe request, or the request was not performed.
        StrayAnswerError: any other status to a safe request, which decides nothing.
        OutcomeUnknownError: 5xx, a status that decides nothing, or an unreadable success, to a request that changes
            something.
        VendorRejectedError: the vendor rejected the request, in the status or in the body.
        MalformedAnswerError: an unreadable answer to a safe request.

    """
    fail(request, reply, status=reply.status, not_performed=not_performed)
    try:
        value = reply.json()
    except MalformedAnswerError as error:
        if request.effect is Effect.UNSAFE:
            raise OutcomeUnknownError(f"{what(request)}: {error}") from error
        raise VendorUnavailableError(f"{what(request)}: {error}") from error
    if isinstance(value, dict):
        inner = value.get("status_code", value.get("statusCode"))
        if isinstance(inner, int) and not isinstance(inner, bool) and inner >= 400:
            fail(request, reply, status=inner, not_performed=not_performed, worded=True)
        if request.about and request.about.another(value):  # most likely a cache's, or a fault of the vendor
            call = what(request)
            raise StrayAnswerError(f"{call}: the answer is about another id", status=reply.status, worded=False)
        if value.get("status") == "fail" or (value.get("status") == "error" and inner is not None):
            fail(request, reply, status=400, not_performed=not_performed, worded=True)
    return value


def fail(
    request: Request,
    reply: Reply,
    *,
    status: int,
    not_performed: Collection[int] = (),
    worded: bool | None = None,
) -> None:
    """Raise the error that ``status`` means for ``request``; return on 2xx. Every status is judged here.

    ``worded`` is whether the rejection is in the vendor's form; None: check the body.
    """
    if 200 <= status < 300:
        return
    call, detail, unsafe = what(request), message(reply), request.effect is Effect.UNSAFE
    pause = retry_after(reply) if status == 429 else _retry_after(reply, None) if status in PAUSED else None
    if pause is not None:
        raise ThrottledError(f"{call}: the vendor asks for a pause of {pause:g} s ({status})", retry_after=pause)
    own = is_worded(request, reply) if worded is None else worded
    if status in {401, 403} and (own or (detail and not unsafe)):
        raise UnauthorizedError(f"{call}: the vendor refused the API key ({status}{detail})")
    if status == 503 or status in not_performed or status == 425 or (status == 408 and not unsafe):
        raise VendorUnavailableError(f"{call}: the vendor answered {status}{detail}")
    if status >= 500:
        if not unsafe:
            raise VendorUnavailableError(f"{call}: the vendor answered {status}{detail}")
        raise OutcomeUnknownError(f"{call}: the vendor answered {status}{detail}; it may have been performed")
    final = own and status in FINAL
    # "Schema not found" names an object, so it is the API's; a router only knows that it has no such path.
    words = detail.removeprefix(": ").lower()
    named = status == 404 and words not in {"", "not found"} and not re.match(r"cannot [a-z]+ /|no route", words)
    if final or (unsafe and (status in UNREAD or (own and named))):
        raise VendorRejectedError(f"{call}: the vendor refused it ({status}{detail})", status=status)
    if own:
        answered = f"the vendor refused it ({status}{detail})"
    else:
        answered = f"the answer is {status}{detail}, and not in the vendor's form: most likely a gateway's"
    if unsafe:
        raise OutcomeUnknownError(f"{call}: {answered}; it may have been performed")
    raise StrayAnswerError(f"{call}: {answered}", status=status, worded=own)


def is_worded(request: Request, reply: Reply) -> bool:
    """Whether a rejection is in the form of the request's vendor; else it may be a gateway's."""
    try:
        value = reply.json()
    except MalformedAnswerError:
        return False
    present = {key for key, each in value.items() if each is not None} if isinstance(value, dict) else set()
    return any(keys <= present for keys in request.refusal)


def delivered(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    """Return the event that a delivery names (else "unnamed"), and the objects that may contain its ids.

    These are the body and its ``data``; none if the body is not a JSON object. Never raises.
    """
    try:
        value = Reply(200, body).json()
    except MalformedAnswerError:
        return "unnamed", []
    if not isinstance(value, dict):
        return "unnamed", []
    label, inner = value.get("event"), value.get("data")
    event = (line(label, STATUS) if isinstance(label, str) else "") or "unnamed"
    return event, [value, inner] if isinstance(inner, dict) else [value]


def message(reply: Reply) -> str:
    """Return a vendor's error message as ``: text`` of one line and at most 300 characters, or an empty text."""
    try:
        value = reply.json()
    except MalformedAnswerError:
        return ""
    if not isinstance(value, dict):
        return ""
    found = next((value[key] for key in ("message", "detail", "error_message", "error") if value.get(key)), "")
    text = "; ".join(str(each) for each in found) if isinstance(found, list) else str(found)
    text = line(text, ERROR)
    return f": {text}" if text else ""


def instant(value: object) -> datetime | None:
    """Return a vendor's time; without an offset it counts as UTC.

    Anything else is None. So is a date alone: its midnight would be before everything that happened on that day.
    """
    if not isinstance(value, str) or ":" not in value:
        return None
    try:
        return utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _malformed(request: Request, reply: Reply, problem: str) -> Exception:
    text = f"{what(request)}: the vendor's answer ({reply.status}) cannot be used: {problem}"
    return OutcomeUnknownError(text) if request.effect is Effect.UNSAFE else MalformedAnswerError(text)


def missing(request: Request, reply: Reply, key: str) -> Exception:
    """Return the error for a successful reply that lacks ``key``, which its guide promises."""
    return _malformed(request, reply, f'it has no "{key}"')


def what(request: Request) -> str:
    """Return a request's method and path for an error text, cut because a path contains vendor ids."""
    return f"{request.method} {request.path[:200]}"
