"""When a vendor answers, by its own clock: the ``Date`` of its replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from dossier.models import iso


def vendor_date(header: str) -> str | None:
    """Return a reply's ``Date`` in ISO 8601; None where it has none."""
    try:
        return iso(parsedate_to_datetime(header))
    except (TypeError, ValueError, OverflowError):
        return None


def dates(answered: Iterable[Mapping[str, str]]) -> list[str]:
    """Return when a vendor answered, by its own clock, as far as the headers of its answers say so."""
    return [stamp for each in answered if (stamp := vendor_date(each.get("date", "")))]
