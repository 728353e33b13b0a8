"""``dossier forget``: erases a case from every store, and writes a certificate of the erased and the remaining data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from cli.text import size, when
from dossier.certificates import problems
from dossier.layout import ERASURES
from dossier.models import CaseId
from dossier.steps.forget import forget
from dossier.texts import counted


def erase(out: Output, where: Target, reference: str, *, connection: str | None) -> None:
    """Erase a case, or continue an erasure that was interrupted; print the certificate.

    Raises:
        BadUsageError: several connections have a case of that reference.
        InvalidCaseError: there is no such case, or it has not ended.

    """
    case = CaseId(_connection(where, reference, connection), reference)
    done = forget(case, context=where.app.replacing(dead_letters=where.dead_letters))
    place = f"s3://{where.bucket}/{done.key}"
    out.document(
        {
            **done.certificate,
            "reference": reference,
            "certificate": done.key,
            "vendor_ids": list(done.vendor_ids),
            "elsewhere": list(done.elsewhere),
        }
    )
    removed = done.certificate.get("removed", {})
    out.line(f"{reference} is erased: {_removed(removed)}")
    out.pairs([("certificate", place), ("sha256", done.certificate.get("sha256"))])
    if done.vendor_ids:
        out.line(f"ask {done.vendor} to delete {', '.join(done.vendor_ids)}: no store has these ids from now on")
    for each in done.elsewhere:
        out.line(f"it was submitted from {each}, which is outside of Dossier")
    out.line()
    remains = done.certificate.get("remains", [])
    rows = [
        (each["where"], each["what"], each["why"], when(each["until"] or "") or "it is deleted") for each in remains
    ]
    out.table(("REMAINS IN", "WHAT", "WHY", "UNTIL"), rows, long={"WHAT", "WHY"})


def _connection(where: Target, reference: str, connection: str | None) -> str:
    """Return the connection of a case, or of one whose erasure was interrupted or is done."""
    names, app = where.with_cases(connection), where.app
    given = [CaseId(each, reference) for each in names]
    found = [each.connection for each in given if app.cases.find(each) is not None or app.cases.erased(each)]
    if len(found) > 1:
        raise BadUsageError(
            f"several connections have a case {reference}: give --connection with one of {', '.join(found)}"
        )
    if not found:
        raise CommandError(f"there is no case {reference} at {' or '.join(names) or 'any connection'}")
    return found[0]


def _removed(removed: dict[str, Any]) -> str:
    words = {
        "versions": "version of objects", "items": "item of the table", "deliveries": "delivery",
        "deliveries_redacted": "redacted delivery", "messages": "dead letter",
    }  # fmt: skip
    plural = {"version of objects": "versions of objects", "item of the table": "items of the table",
              "delivery": "deliveries", "redacted delivery": "redacted deliveries"}  # fmt: skip
    found = [
        f"{number} {word if number == 1 else plural.get(word, f'{word}s')}"
        for kind, word in words.items()
        if (number := removed.get(kind, 0))
    ]
    return f"{', '.join(found) or 'nothing was left'} ({size(removed.get('bytes', 0))})"


def verify(out: Output, files: Sequence[Path]) -> None:
    """Check certificates that were downloaded: each one's content, and their chain.

    Raises: BadUsageError: a file is not a certificate.
        CommandError: a certificate was changed, or some are missing.

    """
    certificates = []
    for path in [one for each in files for one in (sorted(each.glob("*.json")) if each.is_dir() else [each])]:
        try:
            certificate = json.loads(path.read_text(encoding="utf-8"))
            certificates.append({**certificate, "number": int(certificate["number"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadUsageError(f"{path} is not a certificate of `dossier forget`: {error}") from None
    if not certificates:
        raise BadUsageError(
            "there is no certificate to verify", fix=f"download them: aws s3 sync s3://BUCKET/{ERASURES} DIR"
        )
    wrong = problems(certificates)
    newest = max(certificates, key=lambda each: each["number"])
    document = {"certificates": len(certificates), "problems": wrong, "sha256": newest.get("sha256")}
    if wrong:
        raise CommandError("; ".join(wrong), document=document)
    out.document(document)
    out.line(f"{counted(len(certificates), 'certificate')} in order; the latest has sha256 {newest.get('sha256')}")
