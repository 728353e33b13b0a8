"""Troubles: what delays a case, in one line for people, with since when, and until when if known."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from dossier.errors import DossierError, OutcomeUnknownError, StrayAnswerError, ThrottledError, VendorUnavailableError
from dossier.models import Time

LONGEST = 600
"""Longest text, in characters."""


class Trouble(BaseModel):
    """A trouble as stored; ``kind`` identifies it, so that the same one is not stored again."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    kind: str
    since: Time
    text: str
    count: int = 1
    """How often it occurred in a row, if that is counted."""


def trouble_of(
    error: DossierError, *, vendor: str, at: datetime, since: datetime | None = None, before: Trouble | None = None
) -> Trouble | None:
    """Return the trouble for a retryable error; None if it is a normal wait.

    Args:
        error: the error.
        vendor: the vendor's name, for people.
        at: when it occurred.
        since: since when it has occurred, if known.
        before: the previous trouble; if it is of the same kind, it continues.

    """
    kind = _kind(error, at)
    if kind is None:
        return None
    began, count = since or at, 1
    if before is not None and before.kind == kind:
        began, count = before.since, before.count + 1
    text = _text(error, vendor, since=clock(began, at), at=at)
    return Trouble(kind=kind, since=began, text=text[:LONGEST], count=count)


def clock(time: datetime, at: datetime, *, seconds: bool = False) -> str:
    """Return a time of day for people, with the date unless it is that of ``at``."""
    day = "" if time.date() == at.date() else f"{time:%Y-%m-%d} "
    return f"{day}{time:%H:%M:%S} UTC" if seconds else f"{day}{time:%H:%M} UTC"


def until(error: ThrottledError, at: datetime) -> str:
    """Return the end of a pause, for people."""
    return clock(at + timedelta(seconds=error.retry_after), at, seconds=True)


def _kind(error: DossierError, at: datetime) -> str | None:
    if isinstance(error, ThrottledError):
        return f"{error.why} {until(error, at)}" if error.why in {"pause", "breaker"} else None
    if isinstance(error, StrayAnswerError):
        return f"stray {error.status}"
    if isinstance(error, VendorUnavailableError) and error.unreachable:
        return f"unreachable {error.unreachable}"
    return type(error).__name__


def _text(error: DossierError, vendor: str, *, since: str, at: datetime) -> str:
    if isinstance(error, ThrottledError) and error.why == "pause":
        return f"{vendor} asks for a pause until {until(error, at)} (429)"
    if isinstance(error, ThrottledError):
        return f"{vendor} keeps failing: the next request is made at {until(error, at)} (circuit breaker)"
    if isinstance(error, VendorUnavailableError) and error.unreachable:
        return f"No connection to the vendor since {since} ({error.unreachable})"
    if isinstance(error, OutcomeUnknownError):
        return f"The answer to a request was lost at {since}, and Dossier is looking it up at {vendor}: {error}"
    return f"Since {since}: {error}"
