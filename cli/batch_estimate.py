"""Estimates of a batch: documents, pages, cost and time (``dossier batch --dry-run``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import ceil
from typing import Any

from cli.batch_lines import Bad, Checked
from cli.output import Output
from cli.text import duration, size
from dossier.settings import Connection
from dossier.texts import counted

FEWEST, MOST, UNKNOWN = 10, 1000, 40
"""The least and most cases under way at once by default, and the default without known limits."""
_SECONDS = 10
"""Cases under way for each request a second: a case takes some four requests, and waits for the vendor most of the
time, so this many keep a connection at its limit."""


def at_once(connections: Collection[str], settings: Mapping[str, Connection]) -> int:
    """Return how many cases of a batch are under way at once by default."""
    known = {settings[name].limited_as: settings[name].limits for name in connections if name in settings}
    if not known:
        return UNKNOWN
    return max(FEWEST, min(MOST, ceil(sum(_SECONDS * each.requests_per_second for each in known.values()))))


def report(
    out: Output,
    settings: Mapping[str, Connection],
    good: Sequence[Checked],
    bad: Sequence[Bad],
    submitted: Mapping[str, int],
) -> None:
    """Print what a batch would do.

    Args:
        out: where to.
        settings: the connections' settings by name.
        good: the cases that would be sent.
        bad: the bad lines.
        submitted: by connection, how many cases are submitted already and would not be sent again.

    """
    wrong = Counter(each.connection for each in bad)
    names = sorted({each.connection for each in good} | {*submitted} | {each for each in wrong if each})
    each_one = {
        name: _of([each for each in good if each.connection == name], submitted.get(name, 0), wrong[name])
        for name in names
    }
    seconds = least_seconds(good, settings)
    total = _of(good, sum(submitted.values()), len(bad))
    total.pop("bad")
    prices = [_usd(each_one[name], settings.get(name)) for name in names]
    for name, price in zip(names, prices, strict=True):
        each_one[name]["vendor_usd"] = price
    usd = None if None in prices else round(sum(price or 0.0 for price in prices), 2)
    document = {
        **total,
        "vendor_usd": usd,
        "seconds": seconds,
        "connections": each_one,
        "bad": [each.as_json() for each in bad],
    }
    out.document(document)
    columns = ("CONNECTION", "CASES", "DOCUMENTS", "PAGES", "BYTES", "SUBMITTED BEFORE", "BAD LINES")
    rows = [
        (
            name,
            *(f"{each[what]:,}" for what in ("cases", "documents", "pages")),
            size(each["bytes"]),
            f"{each['already_submitted']:,}",
            each["bad"],
        )
        for name, each in each_one.items()
    ]
    out.table(columns, rows)
    if not good:
        out.line("every case is submitted already: nothing would be sent")
    if uncounted := total["documents_without_pages"]:
        out.line(f"the pages of {counted(uncounted, 'document')} are not known (URLs, formats without fixed pages)")
    if usd is not None and good:
        out.line(f"the vendors bill about ${usd:,.2f} for it, by price_per_page of the connections")
    if seconds is not None and good:
        out.line(f"at the connections' limits this takes {duration(seconds)} at least, besides the vendors' own time")
    for each in bad:
        out.line(f"line {each.line}: {each.reason}")


def _of(cases: Sequence[Checked], submitted: int, bad: int) -> dict[str, Any]:
    return {
        "cases": len(cases),
        "documents": sum(each.documents for each in cases),
        "pages": sum(each.pages for each in cases),
        "documents_without_pages": sum(each.uncounted for each in cases),
        "bytes": sum(each.size for each in cases),
        "already_submitted": submitted,
        "bad": bad,
    }


def _usd(counts: Mapping[str, Any], settings: Connection | None) -> float | None:
    """Return what a connection's vendor bills, or None without a price; an unknown number of pages counts as one."""
    price = settings.budget.price_per_page if settings else None
    return None if price is None else round(price * (counts["pages"] + counts["documents_without_pages"]), 2)


def least_seconds(cases: Sequence[Checked], settings: Mapping[str, Connection]) -> int | None:
    """Return the seconds that the requests take at the limits; None if the limits of a connection are not known.

    Accounts work side by side; the connections of one account share its limit.
    """
    requests: Counter[str] = Counter()
    rates: dict[str, float] = {}
    for each in cases:
        connection = settings.get(each.connection)
        if connection is None:
            return None
        requests[connection.limited_as] += each.requests
        rates[connection.limited_as] = connection.limits.requests_per_second
    return ceil(max((number / rates[account] for account, number in requests.items()), default=0))
