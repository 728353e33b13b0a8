"""Docsumo's requests, as values. Each docstring names the section of the guide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal, get_args

from dossier.http import Effect, FilePart, Request, segment
from dossier.models import Document
from dossier.slices import item_of
from dossier.vendors.docsumo.guide import REFUSAL
from dossier.vendors.docsumo.settings import DocsumoConnection

_request = partial(Request, refusal=REFUSAL)

LARGEST_PAGE = 100
"""``limit`` accepts 0 to 100 (guide 1.B)."""

SortBy = Literal["created_date.asc", "created_date.desc", "modified_date.asc", "modified_date.desc"]
SORTS: tuple[str, ...] = get_args(SortBy)


def upload(
    connection: DocsumoConnection,
    documents: Iterable[Document],
    *,
    case_id: str | None,
    trigger_workflow: bool,
    keep: str | None = None,
) -> Request:
    """Build the request that creates a case with files, or appends files to ``case_id`` (guide 1.A and 1.C)."""
    fields = [("casetype_id", connection.casetype_id), ("trigger_workflow", "true" if trigger_workflow else "false")]
    if case_id is not None:
        fields.append(("case_id", case_id))
    files = tuple(
        FilePart(field="files", filename=each.name, content_type=each.content_type, key=each.key, size=each.size)
        for each in documents
    )
    path = "/api/v1/upload-service/agents/casetype/case"
    return _request("POST", path, fields=tuple(fields), files=files, effect=Effect.UNSAFE, keep=keep)


def list_cases(
    connection: DocsumoConnection,
    *,
    limit: int,
    offset: int = 0,
    sort_by: SortBy,
    stage_id: Sequence[str] = (),
    assigned_to: Sequence[str] = (),
    keep: str | None = None,
    own: str | None = None,
    shared: bool = False,
) -> Request:
    """Build the request for one page of the case type's cases (guide 1.B).

    The connection's ``array_parameters`` decides how a filter carries several values. With ``own``, only the entry of
    that case is stored.
    """
    query = [("limit", str(limit)), ("offset", str(offset)), ("sort_by", sort_by)]
    query += _array(connection, "stage_id", stage_id)
    query += _array(connection, "assigned_to", assigned_to)
    path = f"/api/v1/external/agents/{segment(connection.casetype_id)}/cases"
    cut = partial(entry_of, case_id=own) if own else None
    return _request("GET", path, tuple(query), keep=keep, cut=cut, shared=shared)


def entry_of(page: bytes, *, case_id: str) -> bytes | None:
    """Return a case's own entry in a page of the list, byte for byte; the other entries belong to other cases."""
    return item_of(page, ("data", "cases"), lambda each: isinstance(each, dict) and each.get("case_id") == case_id)


def update_case(
    connection: DocsumoConnection, case_id: str, changes: dict[str, str], *, keep: str | None = None
) -> Request:
    """Build the request that sets ``stage_id``, ``assigned_to`` or ``case_name`` (guide 1.D). It is idempotent."""
    path = f"/api/v1/external/agents/{segment(connection.casetype_id)}/case/{segment(case_id)}"
    return _request("PATCH", path, json=changes, keep=keep)


def search_files(case_id: str, *, query: str, keep: str | None = None, shared: bool = False) -> Request:
    """Build the search for the files of a case (guide 2, step 1); ``query`` may be empty."""
    return _request("GET", f"/api/v1/chatot/cases/{segment(case_id)}/files", (("q", query),), keep=keep, shared=shared)


def download_url(case_id: str, file_id: str) -> Request:
    """Build the request for a file's temporary URL (guide 2, step 2)."""
    path = f"/api/v1/chatot/cases/{segment(case_id)}/chat/artifacts/{segment(file_id)}/url"
    return _request("GET", path, (("download", "true"),))


def _array(connection: DocsumoConnection, name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    if connection.array_parameters == "comma":
        return [(name, ",".join(values))] if values else []
    key = f"{name}[]" if connection.array_parameters == "brackets" else name
    return [(key, each) for each in values]
