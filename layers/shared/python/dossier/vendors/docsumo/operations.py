"""Docsumo's operations for ``dossier vendor``: list cases, update a case, list its files, download one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.alike import same
from dossier.errors import InvalidCaseError, VendorRejectedError
from dossier.http import Flow
from dossier.operations import Answer, Argument, File, Operation, Table, Values
from dossier.vendors.docsumo import answers, flows, requests
from dossier.vendors.docsumo.requests import SORTS
from dossier.vendors.docsumo.settings import DocsumoConnection

_CASETYPE = Argument("casetype_id", "the case type, if the connection has several", option=True)
_CASE_ID = Argument("case_id", "the case's id")
_CASES = ("CASE ID", "NAME", "STAGE", "STATUS", "ASSIGNED TO", "CREATED", "MODIFIED")
_CASE_KEYS = ("case_id", "case_name", "stage_id", "status", "assigned_to", "created_date", "modified_date")
_FILES = ("FILE ID", "NAME", "STATUS", "CREATED")
_FILE_KEYS = ("id", "filename", "status", "created_at")


def _cases(connection: DocsumoConnection, given: Values) -> Flow[Answer | File]:
    found = yield from flows.list_page(
        _typed(connection, given),
        limit=given["limit"],
        offset=given["offset"] or 0,
        stage_id=given["stage_id"],
        assigned_to=given["assigned_to"],
        sort_by=given["sort_by"] or "created_date.asc",
    )
    listed = [each.raw for each in found.entries]
    facts = (("total", found.total),) if given["limit"] == 0 else ()
    raw = {"cases": listed, "total_count": found.total}
    return Answer(raw, facts, (Table(_CASES, tuple(_row(each, _CASE_KEYS) for each in listed)),))


def _update(connection: DocsumoConnection, given: Values) -> Flow[Answer | File]:
    changes = {key: given[key] for key in ("stage_id", "assigned_to", "case_name")}
    answer = yield from flows.update_case(_typed(connection, given), given["case_id"], **changes)
    data = answer.get("data")
    found = data if isinstance(data, dict) else {}
    keys = ("case_id", "case_name", "stage_id", "assigned_to", "modified_date")
    return Answer(answer, facts=tuple((key.replace("_", " "), found.get(key)) for key in keys))


def _files(connection: DocsumoConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — an operation's signature
    found = yield from flows.search_files(given["case_id"], query=given["query"] or "")
    rows = tuple(_row(each.raw, _FILE_KEYS) for each in found)
    return Answer([each.raw for each in found], tables=(Table(_FILES, rows),))


def _download(connection: DocsumoConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — see ``_files``
    """Look up the file by its id, else by its name, and request its temporary URL (guide 2, steps 1 and 2)."""
    case_id, wanted = given["case_id"], given["file"]
    found = [each for each in (yield from flows.search_files(case_id)) if each.id]
    named = [each for each in found if same(each.name, wanted)]
    fitting = [each for each in found if each.id == wanted] or named
    if len(fitting) != 1:
        which = ", ".join(f"{each.id} ({each.name})" for each in (fitting or found)[:10]) or "none"
        problem = f"has {len(fitting)} files of that name, use an id" if fitting else f'has no file "{wanted}"'
        raise VendorRejectedError(f"case {case_id} {problem}: {which}", status=404)
    request = requests.download_url(case_id, fitting[0].id or "")
    return File(fitting[0].name or wanted, answers.download_url(request, (yield request)))


def _typed(connection: DocsumoConnection, given: Values) -> DocsumoConnection:
    """Return the connection's settings with the given case type."""
    settings, casetype = connection, given["casetype_id"]
    if casetype is not None and casetype not in settings.casetypes:
        known = ", ".join(settings.casetypes)
        raise InvalidCaseError(f'case type "{casetype}" is not one of the connection\'s: use one of {known}')
    return settings if casetype is None else settings.model_copy(update={"casetype_id": casetype})


def _row(raw: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(raw.get(key) for key in keys)


OPERATIONS = (
    Operation(
        "cases",
        "the case type's cases, all of them unless limited",
        _cases,
        (
            Argument("limit", "how many at most", option=True, number=True),
            Argument("offset", "how many to leave out first", option=True, number=True),
            Argument("sort_by", "the order", option=True, choices=SORTS),
            Argument("stage_id", "only in this stage, or in one of these", option=True, many=True),
            Argument("assigned_to", "only assigned to this user, or to one of these", option=True, many=True),
            _CASETYPE,
        ),
    ),
    Operation(
        "update",
        "sets a case's stage, assignee or name",
        _update,
        (
            _CASE_ID,
            Argument("stage_id", "the stage to move it to", option=True),
            Argument("assigned_to", "the user to assign it to", option=True),
            Argument("case_name", "its new name", option=True),
            _CASETYPE,
        ),
    ),
    Operation(
        "files",
        "a case's files",
        _files,
        (_CASE_ID, Argument("query", "the text to search for", option=True)),
    ),
    Operation(
        "download",
        "downloads a file of a case",
        _download,
        (_CASE_ID, Argument("file", "the file's id, or its name")),
        saves=True,
    ),
)
