"""The partner API's operations for ``dossier vendor``: show a case with its assessment, or an evidence document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dossier.http import Flow
from dossier.operations import Answer, Argument, File, Operation, Table, Values
from dossier.replies import read_object
from dossier.values import text
from dossier.vendors.ombudsman import requests
from dossier.vendors.ombudsman.answers import day, entries
from dossier.vendors.ombudsman.markdown import read_bullets
from dossier.vendors.ombudsman.results import case_fields
from dossier.vendors.ombudsman.settings import OmbudsmanConnection

_CASE_ID = Argument("case_id", "the case's id")
_CASE_FACTS = (
    "case_id",
    "external_case_id",
    "case_type_name",
    "status",
    "case_title",
    "case_summary",
    "created_at",
    "processing_completed_at",
)
_EVIDENCE_FACTS = (
    "document_id",
    "external_document_id",
    "status",
    "uploaded_at",
    "title",
    "short_description",
    "summary",
    "claimant_support_score",
    "defendant_support_score",
)
_EVIDENCE = ("DOCUMENT ID", "STATUS", "TITLE", "DATE", "CLAIMANT", "DEFENDANT")


def _case(connection: OmbudsmanConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — an operation's signature
    request = requests.case(given["case_id"])
    answer = read_object(request, (yield request))
    fields = case_fields(answer.get("case_specific_fields")).fields
    chronology = [(day(each.get("timeline_date")), each.get("title")) for each in entries(answer.get("chronology"))]
    evidence = [
        (
            each.get("document_id"),
            each.get("status"),
            each.get("title"),
            day(each.get("event_date")),
            each.get("claimant_support_score"),
            each.get("defendant_support_score"),
        )
        for each in entries(answer.get("evidence"))
    ]
    tables = (
        Table(("FIELD", "VALUE"), tuple((each.name, each.value) for each in fields), "fields"),
        Table(("DATE", "EVENT"), tuple(chronology), "chronology"),
        Table(_EVIDENCE, tuple(evidence), "evidence"),
    )
    return Answer(answer, _facts(answer, _CASE_FACTS), tables)


def _evidence(connection: OmbudsmanConnection, given: Values) -> Flow[Answer | File]:  # noqa: ARG001 — see ``_case``
    request = requests.evidence(given["case_id"], given["document_id"])
    answer = read_object(request, (yield request))
    dates = tuple((key.replace("_", " "), day(answer.get(key))) for key in ("event_date_start", "event_date_end"))
    insights = tuple((each,) for each in read_bullets(text(answer.get("case_insights")) or ""))
    return Answer(answer, (*_facts(answer, _EVIDENCE_FACTS), *dates), (Table(("INSIGHT",), insights, "insights"),))


def _facts(answer: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[tuple[str, object], ...]:
    return tuple((key.replace("_", " "), answer.get(key)) for key in keys)


OPERATIONS = (
    Operation("case", "a case: its status and, once processed, its assessment", _case, (_CASE_ID,)),
    Operation("evidence", "an evidence document", _evidence, (_CASE_ID, Argument("document_id", "the document's id"))),
)
