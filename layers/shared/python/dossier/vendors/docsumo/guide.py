"""The fields that Docsumo's guide documents, by the name under which an answer is stored (``dossier.drift``)."""

from __future__ import annotations

from collections.abc import Mapping

from dossier.http import Refusal

_ENVELOPE = ("status", "status_code", "message?")
_UPLOAD = (
    *_ENVELOPE,
    "data.case_id",
    "data.casetype_id",
    "data.documents[].doc_id",
    "data.documents[].filename",
    "data.documents[].status",
)
_CASE = ("case_id", "case_name", "stage_id", "status", "created_date", "modified_date", "assigned_to")

DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "upload-": _UPLOAD,  # 1.A, 1.C
    "case": _CASE,  # 1.B; only the case's own entry is stored
    "after": (
        *_ENVELOPE,
        *(f"data.{each}" for each in ("case_id", "casetype_id", "case_name", "stage_id", "assigned_to")),
        "data.modified_date",
    ),  # 1.D
    "files": ("[].id", "[].filename", "[].status", "[].created_at"),  # 2, step 1
}

REFUSAL: Refusal = (frozenset({"status_code"}), frozenset({"status", "message"}), frozenset({"error_code", "message"}))
"""The keys of a rejection (a public page: ``{"status_code": 401, "message": "…", "error_code": "UNAUTHORIZED"}``)."""
