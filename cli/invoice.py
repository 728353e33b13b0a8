"""``dossier invoice``: the pages that a vendor should bill for a month, to compare with its bill."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.target import Target
from cli.text import clean, when
from dossier.models import iso, now
from dossier.steps.invoice import Line, Unexplained, lines, unexplained
from dossier.texts import counted

COLUMNS = ("kind", "at", "reference", "case_id", "document", "document_id", "status", "pages", "counted", "usd")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def invoice(out: Output, where: Target, connection: str, *, month: str, as_csv: bool) -> None:
    """Print every document that the vendor should bill, and what the account lists that no case explains.

    Raises:
        BadUsageError: no connection ever had that name, or the month is invalid.

    """
    [name] = where.with_cases(connection)
    begin, end = month_of(month)
    app, settings = where.app, settings_of(where).get(name)
    price = settings.budget.price_per_page if settings else None
    found = lines(name, begin, end, context=app)
    strangers: list[Unexplained] = []
    unread: str | None = f"[{name}] is not in {settings_file(where)}: name its file in DOSSIER_CONNECTIONS"
    if settings is not None:
        strangers, unread = unexplained(settings, begin, end, context=app)
    erased = app.forgotten.billed(name, month)
    pages = sum(each.billed for each in found if not each.in_doubt) + sum(erased)
    rows: list[dict[str, object]] = [
        *(_row(each, price) for each in found),
        *(_erased(each, price) for each in erased),
        *(_stranger(each) for each in strangers),
    ]
    rows = [{column: row.get(column) for column in COLUMNS} for row in rows]
    out.document(
        {
            "connection": name,
            "month": month,
            "cases": len({each.reference for each in found}) + len(erased),
            "documents": len(found),
            "pages": pages,
            "unknown_pages": sum(each.pages is None for each in found),
            "price_per_page": price,
            "vendor_usd": _usd(pages, price),
            "rows": rows,
            "unexplained": [{"id": each.id, "created": each.created} for each in strangers],
            "unread": unread,
        }
    )
    if as_csv:
        out.csv(COLUMNS, (row.values() for row in rows))
    else:
        cells = [
            (row["kind"], when(str(row["at"] or "")), row["reference"], row["document"], row["document_id"],
             row["pages"] if row["kind"] == "unexplained" or row["pages"] is not None else "unknown", row["usd"])
            for row in rows
        ]  # fmt: skip
        out.table(("KIND", "AT", "REFERENCE", "DOCUMENT", "ID AT THE VENDOR", "PAGES", "USD"), cells, long={"DOCUMENT"})
    total = f" at ${price:g} a page: ${pages * price:,.2f}" if price is not None else ""
    out.progress(f"{month}, {name}: {counted(pages, 'page')} of {counted(len(found), 'document')}{total}")
    doubtful = sum(each.in_doubt for each in found)
    if doubtful:
        out.progress(f"{counted(doubtful, 'document')} in doubt: not counted; the answer to the upload was lost")
    unknown = sum(each.pages is None for each in found)
    if unknown:
        out.progress(f"{counted(unknown, 'document')} of an unknown number of pages: each counts as one")
    if unread:
        out.progress(unread)


def month_of(text: str) -> tuple[datetime, datetime]:
    """Return the beginning of a month, ``2026-01``, and of the next one, in UTC.

    Raises:
        BadUsageError: the text is not a month, or the month has not begun.

    """
    found = _MONTH.fullmatch(text.strip())
    if found is None:
        raise BadUsageError(f'"{clean(text)}" is not a month: use year and month, such as 2026-01')
    year, month = int(found[1]), int(found[2])
    if year < 1970:
        raise BadUsageError(f'"{clean(text)}" is not a month that has any cases')
    begin = datetime(year, month, 1, tzinfo=UTC)
    if begin > now():
        raise BadUsageError(f"{clean(text)} has not begun")
    return begin, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _row(line: Line, price: float | None) -> dict[str, object]:
    return {
        "kind": "in doubt" if line.in_doubt else "document",
        "at": iso(line.at),
        "reference": line.reference,
        "case_id": line.case_id,
        "document": line.document,
        "document_id": line.document_id,
        "status": line.status,
        "pages": line.pages,
        "counted": 0 if line.in_doubt else line.billed,
        "usd": None if line.in_doubt else _usd(line.billed, price),
    }


def _erased(pages: int, price: float | None) -> dict[str, object]:
    return {"kind": "erased case", "pages": pages, "counted": pages, "usd": _usd(pages, price)}


def _stranger(found: Unexplained) -> dict[str, object]:
    return {"kind": "unexplained", "at": found.created, "document_id": found.id}


def _usd(pages: int, price: float | None) -> float | None:
    return None if price is None else round(pages * price, 6)
