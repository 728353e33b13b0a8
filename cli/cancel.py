"""``dossier cancel``: ends a case and keeps its data."""

from __future__ import annotations

from cli.output import Output
from cli.status import find
from cli.target import Target
from dossier.layout import INBOX
from dossier.steps.cancel import cancel as end
from dossier.texts import counted


def cancel(out: Output, where: Target, reference: str, *, connection: str | None) -> None:
    """Cancel a case, and list the documents that the vendor may still bill.

    Raises:
        CommandError: there is no such case, or it has ended.

    """
    dropped = f"to cancel it, delete its files below s3://{where.bucket}/{INBOX}"
    record = find(where, reference, connection, waiting=dropped).record
    left = end(record.id, context=where.app)
    billed = [each.model_dump(include={"name", "document_id", "status"}) for each in left.documents]
    names = {"connection": record.connection, "reference": record.reference}
    out.document(
        {**names, "status": "cancelled", "case_id": record.case_id, "billed": billed, "in_doubt": left.in_doubt}
    )
    out.line(f"{record.reference} is cancelled; its stored data stays")
    if billed:
        out.line(f"the vendor has {counted(len(billed), 'document')}, which it may bill:")
        out.table(("NAME", "DOCUMENT ID", "STATUS"), [(e["name"], e["document_id"], e["status"]) for e in billed])
    if left.in_doubt:
        out.line(f"the vendor may have more documents: the outcome of {', '.join(left.in_doubt)} is unknown")
