"""Cases as programs see them: what ``dossier status --json``, ``dossier list --json`` and the API return."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from dossier import layout
from dossier.models import CaseStatus, Time
from dossier.questions import BUDGET, answers, listed
from dossier.steps.accept import pages_of
from dossier.stores.cases import Case, CaseRecord, Question


class View(BaseModel):
    """Base of the views."""

    model_config = ConfigDict(defer_build=True, frozen=True)


class CaseSummary(View):
    """A case's record. Times are UTC in ISO 8601; keys are those of the artifact bucket."""

    connection: str
    reference: str
    vendor: str
    status: CaseStatus
    reason: str | None
    error: str | None
    note: str | None
    review: bool
    case_id: str | None
    execution_arn: str
    submitted_at: Time
    updated_at: Time
    completed_at: Time | None
    revision: int
    collected_at: Time | None
    vendor_status: str | None
    stage_id: str | None
    assigned_to: str | None
    warnings: list[str]
    result_key: str | None
    manifest_key: str | None


class DocumentView(View):
    """A document and its state at the vendor."""

    name: str
    pages: int | None
    document_id: str | None
    job_id: str | None
    status: str | None
    progress: int | None
    failed: bool
    error: str | None
    warning: str | None


class ArtifactView(View):
    """A file that the vendor returned; ``key`` is None until it is stored."""

    name: str
    key: str | None
    size: int
    sha256: str


class Candidate(View):
    """A vendor's object that may be the answer to a question."""

    id: str
    name: str | None
    created: str | None


class QuestionView(View):
    """An open question to an operator; ``answers`` are the commands that answer it."""

    what: str
    text: str
    asked_at: Time
    candidates: list[Candidate]
    answers: list[str]


class RevisionView(View):
    """A published collection; ``changes`` as in the event ``Case Updated``."""

    revision: int
    status: str
    collected_at: Time | None
    changes: dict[str, Any]
    result_key: str


class RefreshView(View):
    """The refresh of a case: the execution that runs, why the last one failed, when the next look is due."""

    running: str | None
    error: str | None
    look_at: Time | None


class CaseView(CaseSummary):
    """A case with all that belongs to it."""

    pages: int | None
    documents: list[DocumentView]
    artifacts: list[ArtifactView]
    questions: list[QuestionView]
    revisions: list[RevisionView]
    refresh: RefreshView


def summary(record: CaseRecord) -> CaseSummary:
    """Return a case's record for programs."""
    return CaseSummary(**_summary(record))


def view(case: Case) -> CaseView:
    """Return a case for programs."""
    refresh = case.refresh
    return CaseView(
        **_summary(case.record),
        pages=pages_of(case.documents) if case.documents else None,
        documents=[DocumentView(**each.model_dump(include={*DocumentView.model_fields})) for each in case.documents],
        artifacts=[ArtifactView(**each.model_dump(include={*ArtifactView.model_fields})) for each in case.artifacts],
        questions=[_question(case, each) for each in case.questions],
        revisions=revisions(case),
        refresh=RefreshView(running=refresh.execution_arn, error=refresh.error, look_at=refresh.look_at),
    )


def revisions(case: Case) -> list[RevisionView]:
    """Return a case's revisions, the first one first."""
    return [
        RevisionView(
            revision=each.number,
            status=each.status,
            collected_at=each.collected_at,
            changes=each.changes,
            result_key=layout.result_key(case.record.id, each.number),
        )
        for each in case.revisions
    ]


def result_key(record: CaseRecord) -> str | None:
    """Return the key of a case's ``result.json``; None until the case ends."""
    return layout.result_key(record.id) if record.status.final else None


def manifest_key(record: CaseRecord) -> str | None:
    """Return the key of a case's ``manifest.json``; None until the case ends."""
    return layout.manifest_key(record.id) if record.status.final else None


def answers_of(case: Case, question: Question) -> list[tuple[str, str]]:
    """Return the commands that answer a question, each with the condition for it."""
    which = question.what if len(case.questions) > 1 or question.what == BUDGET else None
    return answers(case.record.id, question.choices, which)


def _summary(record: CaseRecord) -> dict[str, Any]:
    own = {"revision": record.standing, "result_key": result_key(record), "manifest_key": manifest_key(record)}
    stored = record.model_dump(include={*CaseSummary.model_fields} - own.keys())
    return {**stored, **own, "warnings": list(record.warnings)}


def _question(case: Case, question: Question) -> QuestionView:
    return QuestionView(
        what=question.what,
        text=question.text,
        asked_at=question.asked_at,
        candidates=[Candidate.model_validate(each) for each in listed(question.choices)],
        answers=[command for _, command in answers_of(case, question)],
    )
