"""A case's record, for tests that need no case behind it."""

from __future__ import annotations

from dossier.models import now
from dossier.stores.cases import CaseRecord


def record(execution: str = "arn:1", fingerprint: str = "f1", **changes: object) -> CaseRecord:
    """Return a case's record."""
    at = now()
    values = {
        "connection": "invoices",
        "reference": "INV-1",
        "vendor": "docustack",
        "status": "accepted",
        "fingerprint": fingerprint,
        "execution_arn": execution,
        "submitted_at": at,
        "updated_at": at,
    }
    return CaseRecord.model_validate({**values, **changes})
