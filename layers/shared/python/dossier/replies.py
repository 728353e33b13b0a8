"""Reading a vendor's reply: from status and body to a value, or to the error that says what can be done next.

The vendors share this; what a vendor does differently it says by argument. It tells apart what was certainly not
performed (429, 503: try again), what may have been (another 5xx on a request that changes something: look it up),
and what was refused.

A refusal is a verdict only where it can be nobody else's and about nothing else: in the vendor's own form
(``Request.refusal``), with a status that no gateway makes of its own accord. Any other status is trouble on the way. A
404 is never a verdict on a request that reads: the vendor may not know everywhere yet what it has just made.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

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
from dossier.models import now

DEFAULT_PAUSE = 5.0
"""Pause in seconds after a 429 without a usable ``Retry-After``."""
LONGEST_PAUSE = 3600.0
VERDICTS = frozenset({400, 402, 406, 410, 411, 412, 413, 414, 415, 416, 417, 422, 426, 428, 431, 451})
"""Statuses that, in the vendor's own form, are a verdict about the request. A gateway, or its second try of a request
that the vendor has performed, makes the others: 404, 405, 407, 408, 409, 421, 423, 424, 499 and all that is not
registered (https://www.iana.org/assignments/http-status-codes)."""
UNREAD = frozenset({411, 413, 414, 431})
"""Statuses by which whoever answers did not read the request: it was not performed, whoever that is."""
LONGEST_ID = 512
"""Longest id that is taken for one, in characters."""


def retry_after(reply: Reply, *, at: datetime | None = None) -> float:
    """Return the pause that a reply asks for, in seconds.

    ``Retry-After`` is a number of seconds or an HTTP date (RFC 9110, section 10.2.3); anything else, and a missing
    header, counts as ``DEFAULT_PAUSE``.
    """
    text = reply.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return min(float(text), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return DEFAULT_PAUSE
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - (at or now())).total_seconds(), 0.0), LONGEST_PAUSE)


def read_object(request: Request, reply: Reply, *, not_performed: Collection[int] = ()) -> dict[str, Any]:
    """Return the JSON object in a successful reply; see :func:`read` for the errors."""
    value = read(request, reply, not_performed=not_performed)
    if not isinstance(value, dict):
        raise _malformed(request, reply, "a JSON object was expected")
    return value


def read(request: Request, reply: Reply, *, not_performed: Collection[int] = ()) -> Any:
    """Return the JSON value in a successful reply.

    The HTTP status and the body's own ``status_code``/``statusCode`` are both checked, the worse one counts; a body
    with ``"status": "fail"`` (or ``"error"`` in an envelope with a status code) is a refusal.

    Args:
        request: what was asked.
        reply: what came back.
        not_performed: 5xx statuses by which this vendor says, even to a request that changes something, that it did
            not perform it; 503 always counts as that.

    Raises:
        ThrottledError: 429.
        UnauthorizedError: 401 or 403, in JSON.
        VendorUnavailableError: 5xx to a safe request, or the request was not performed.
        StrayAnswerError: any other status to a safe request that is no verdict.
        OutcomeUnknownError: 5xx, any status that is no verdict, or an unreadable success, to a request that changes
            something.
        VendorRejectedError: the vendor's verdict, be it in the status or in the body.
        MalformedAnswerError: an unreadable answer to a safe request.

    """
    fail(request, reply, status=reply.status, not_performed=not_performed)
    try:
        value = reply.json()
    except MalformedAnswerError as error:
        if request.effect is Effect.UNSAFE:
            raise OutcomeUnknownError(f"{_what(request)}: {error}") from error
        raise VendorUnavailableError(f"{_what(request)}: {error}") from error
    if isinstance(value, dict):
        inner = value.get("status_code", value.get("statusCode"))
        if isinstance(inner, int) and not isinstance(inner, bool) and inner >= 400:
            fail(request, reply, status=inner, not_performed=not_performed, worded=True)
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
    """Raise what ``status`` means for ``request``; return on 2xx. Every status is judged here.

    ``worded`` says whether the refusal is in the vendor's own form; None: see for yourself.
    """
    if 200 <= status < 300:
        return
    what, said, unsafe = _what(request), message(reply), request.effect is Effect.UNSAFE
    if status == 429:
        pause = retry_after(reply)
        raise ThrottledError(f"{what}: the vendor asks for a pause of {pause:g} s (429)", retry_after=pause)
    own = is_worded(request, reply) if worded is None else worded
    if status in {401, 403} and (own or (said and not unsafe)):
        raise UnauthorizedError(f"{what}: the vendor refused the API key ({status}{said})")
    if status == 503 or status in not_performed or status == 425 or (status == 408 and not unsafe):
        raise VendorUnavailableError(f"{what}: the vendor answered {status}{said}")
    if status >= 500:
        if not unsafe:
            raise VendorUnavailableError(f"{what}: the vendor answered {status}{said}")
        raise OutcomeUnknownError(f"{what}: the vendor answered {status}{said}; it may have been performed")
    verdict = own and status in VERDICTS
    if verdict or (unsafe and (status in UNREAD or (own and _names_what_is_missing(status, said)))):
        raise VendorRejectedError(f"{what}: the vendor refused it ({status}{said})", status=status)
    if unsafe:
        raise OutcomeUnknownError(f"{what}: {_answered(status, said, own)}; it may have been performed")
    raise StrayAnswerError(f"{what}: {_answered(status, said, own)}", status=status, worded=own)


def is_worded(request: Request, reply: Reply) -> bool:
    """Whether a refusal is in the form in which the request's vendor words one: else it may be anybody's."""
    try:
        value = reply.json()
    except MalformedAnswerError:
        return False
    present = {key for key, each in value.items() if each is not None} if isinstance(value, dict) else set()
    return any(keys <= present for keys in request.refusal)


def _names_what_is_missing(status: int, said: str) -> bool:
    """Whether a 404 is about something by name ("Schema not found"); a router knows only that it has no such path."""
    words = said.removeprefix(": ").lower()
    return status == 404 and words not in {"", "not found"} and not re.match(r"cannot [a-z]+ /|no route", words)


def _answered(status: int, said: str, worded: bool) -> str:
    if worded:
        return f"the vendor refused it ({status}{said})"
    return f"the answer is {status}{said}, and not in the vendor's form: a gateway's, most likely"


def delivered(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    """Return the event that a delivery names ("unnamed" without one), and the objects that may hold its ids.

    These are the body itself and what it has under ``data``; none if the body is not a JSON object. Never raises.
    """
    try:
        value = Reply(200, body).json()
    except MalformedAnswerError:
        return "unnamed", []
    if not isinstance(value, dict):
        return "unnamed", []
    said, inner = value.get("event"), value.get("data")
    event = said[:100] if isinstance(said, str) and said else "unnamed"
    return event, [value, inner] if isinstance(inner, dict) else [value]


def message(reply: Reply) -> str:
    """Return what a vendor says is wrong as ``: text`` of one line and at most 300 characters, or an empty text."""
    try:
        value = reply.json()
    except MalformedAnswerError:
        return ""
    if not isinstance(value, dict):
        return ""
    said = next((value[key] for key in ("message", "detail", "error_message", "error") if value.get(key)), "")
    text = "; ".join(str(each) for each in said) if isinstance(said, list) else str(said)
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())[:300]
    return f": {text}" if text else ""


def identifier(value: object) -> str | None:
    """Return an opaque id as text; None where there is none, or nothing that can be one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value if 0 < len(value) <= LONGEST_ID else None


def instant(value: object) -> datetime | None:
    """Return a time of the vendor's; without an offset it counts as UTC.

    What is no time is None, and so is a day alone: as midnight it would lie before all that was done on that day.
    """
    if not isinstance(value, str) or ":" not in value:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _malformed(request: Request, reply: Reply, problem: str) -> Exception:
    text = f"{_what(request)}: the vendor's answer ({reply.status}) cannot be used: {problem}"
    return OutcomeUnknownError(text) if request.effect is Effect.UNSAFE else MalformedAnswerError(text)


def missing(request: Request, reply: Reply, key: str) -> Exception:
    """Return the error for a successful reply that lacks ``key``, which its guide promises."""
    return _malformed(request, reply, f'it has no "{key}"')


def _what(request: Request) -> str:
    return f"{request.method} {request.path}"
