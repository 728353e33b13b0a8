"""The vendor's clock, from the ``Date`` of its replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def vendor_date(header: str) -> datetime | None:
    """Return a reply's ``Date``, or None."""
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def dates(answered: Iterable[Mapping[str, str]]) -> list[datetime]:
    """Return the times in the ``Date`` headers of answers."""
    return [stamp for each in answered if (stamp := vendor_date(each.get("date", "")))]
