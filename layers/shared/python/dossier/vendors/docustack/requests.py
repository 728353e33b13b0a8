"""The requests of DocuStack's API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dossier.http import About, Effect, FilePart, Request, kept_name, segment
from dossier.models import Document
from dossier.vendors.docustack.guide import REFUSAL
from dossier.vendors.docustack.settings import DocuStackConnection

_request = partial(Request, refusal=REFUSAL)

DOCUMENTS = "/api/v1/documents"


def upload(connection: DocuStackConnection, document: Document) -> Request:
    """Build the upload of one file (guide, "Step 2 — Upload a document"). Each request is billed."""
    part = FilePart(
        field="file",
        filename=document.name,
        content_type=document.content_type or "application/octet-stream",
        key=document.key,
        size=document.size,
    )
    fields = (("schema_id", connection.schema_id), ("organization_id", connection.organization_id))
    return _request("POST", f"{DOCUMENTS}/upload", fields=fields, files=(part,), effect=Effect.UNSAFE)


def batch(connection: DocuStackConnection, documents: Sequence[Document]) -> Request:
    """Build a batch of references (guide, "Batch ingestion"). Its answer is undocumented, so the raw one is stored."""
    body = {
        "schema_id": connection.schema_id,
        "organization_id": connection.organization_id,
        "documents": [{"ref": document.ref, "name": document.name} for document in documents],
    }
    keep = f"batch-{documents[0].index}"
    return _request("POST", f"{DOCUMENTS}/batch", json=body, effect=Effect.UNSAFE, keep=keep)


def listing(offset: int = 0, *, shared: bool = False) -> Request:
    """Build the list of the account's documents (shown, without parameters, in the guide's "Authentication" example).

    ``offset`` is only sent to an account whose answers contain an ``offset``.
    """
    return _request("GET", DOCUMENTS, query=(("offset", str(offset)),) if offset else (), shared=shared)


def status(document_id: str) -> Request:
    """Build the request for a document's status (guide, "Step 3 — Poll for status")."""
    return _request("GET", f"{document_path(document_id)}/status", about=_about(document_id))


def document(document_id: str) -> Request:
    """Build the request for a document with its field values (guide, "Step 4 — Retrieve extracted fields")."""
    return _request("GET", document_path(document_id), keep=kept_as(document_id), about=_about(document_id))


def _about(document_id: str) -> About:
    return About(document_id, ("document_id", "id"))


def document_path(document_id: str) -> str:
    """Return the API path of a document."""
    return f"{DOCUMENTS}/{segment(document_id)}"


def kept_as(document_id: str) -> str:
    """Return the name under which a document's raw answer is stored, unique for each id."""
    return kept_name("document", document_id)
