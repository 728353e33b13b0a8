"""The requests of the Ombudsman partner API, under ``/api/partner/v1``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

from dossier.http import About, Effect, FilePart, Request, kept_name, segment
from dossier.models import Document, OptionValue
from dossier.options import text_of
from dossier.vendors.ombudsman.guide import REFUSAL
from dossier.vendors.ombudsman.settings import OmbudsmanConnection

_request = partial(Request, refusal=REFUSAL)

CASES = "/api/partner/v1/cases"
CREATE_OPTIONS = ("case_title", "case_initiated_date")
"""The optional fields of a create that are also options of a case."""


def create(connection: OmbudsmanConnection, reference: str, options: Mapping[str, OptionValue]) -> Request:
    """Build the request that creates a case (guide, "Step 1")."""
    body = {"external_case_id": external_id(reference, options), "ombudsman": connection.tenant}
    case_type = text_of(options, "case_type_id") or connection.case_type_id
    if case_type is not None:
        body["case_type_id"] = case_type
    body.update({name: text for name in CREATE_OPTIONS if (text := text_of(options, name)) is not None})
    return _request("POST", CASES, json=body, effect=Effect.UNSAFE)


def external_id(reference: str, options: Mapping[str, OptionValue]) -> str:
    """Return the caller's id of a case: the option of that name, else the reference."""
    return text_of(options, "external_case_id") or reference


def case(case_id: str) -> Request:
    """Build the request for a case (guide, "Step 4" and "Step 5")."""
    return _get(case_path(case_id))


def upload(case_id: str, document: Document) -> Request:
    """Build the upload of one evidence document (guide, "Step 2"). It is not idempotent."""
    part = FilePart(
        field="file",
        filename=document.name,
        content_type=document.content_type or "application/octet-stream",
        key=document.key,
        size=document.size,
    )
    return _request("POST", f"{case_path(case_id)}/evidence", files=(part,), effect=Effect.UNSAFE)


def evidence(case_id: str, document_id: str) -> Request:
    """Build the request for an evidence document (guide, "Step 2b")."""
    return _get(evidence_path(case_id, document_id))


def process(case_id: str) -> Request:
    """Build the request that triggers the assessment (guide, "Step 3")."""
    return _request("POST", f"{case_path(case_id)}/process", effect=Effect.UNSAFE)


def _get(path: str) -> Request:
    return _request("GET", path, about=about(path))


def about(path: str) -> About:
    """Return what the answer to a case's or evidence document's path is about."""
    parent, _, last = path.rpartition("/")
    return About(unquote(last), ("document_id" if parent.endswith("/evidence") else "case_id", "id"))


def case_path(case_id: str) -> str:
    """Return the API path of a case."""
    return f"{CASES}/{segment(case_id)}"


def evidence_path(case_id: str, document_id: str) -> str:
    """Return the API path of an evidence document."""
    return f"{case_path(case_id)}/evidence/{segment(document_id)}"


def kept_as(path: str) -> str:
    """Return the name under which the answer to a case's or evidence document's path is stored."""
    parent, _, last = path.rpartition("/")
    return kept_name("evidence", last) if parent.endswith("/evidence") else "case"
