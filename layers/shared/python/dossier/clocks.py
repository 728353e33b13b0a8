"""The vendor's clock, from the ``Date`` of its replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from dossier.models import iso


def vendor_date(header: str) -> str | None:
    """Return a reply's ``Date`` in ISO 8601, or None."""
    try:
        return iso(parsedate_to_datetime(header))
    except (TypeError, ValueError, OverflowError):
        return None


def dates(answered: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the times in the ``Date`` headers of answers, in ISO 8601."""
    return [stamp for each in answered if (stamp := vendor_date(each.get("date", "")))]
