"""When a vendor answers, by its own clock: the ``Date`` of its replies."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TypeVar, cast

from dossier.http import Flow
from dossier.models import iso

_T = TypeVar("_T")


def vendor_date(header: str) -> str | None:
    """Return a reply's ``Date`` in ISO 8601; None where it has none."""
    try:
        return iso(parsedate_to_datetime(header))
    except (TypeError, ValueError, OverflowError):
        return None


def dated(flow: Flow[_T], dates: list[str]) -> Flow[_T]:
    """Drive a flow; note when the vendor answered, by its own clock."""
    try:
        request = next(flow)
        while True:
            reply = yield request
            if stamp := vendor_date(reply.headers.get("date", "")):
                dates.append(stamp)
            request = flow.send(reply)
    except StopIteration as stop:
        return cast("_T", stop.value)
