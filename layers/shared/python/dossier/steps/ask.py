"""Ask: a question to an operator waits as a task token; ``dossier resolve`` answers it.

The step that failed has stored the full question, because the state machine truncates the text of its error.
"""

from __future__ import annotations

from typing import Any

from dossier.models import CaseId, CaseStatus, now
from dossier.questions import answers, listed
from dossier.steps.context import Context
from dossier.steps.reasons import reason_of
from dossier.stores.cases import Case, Question


def ask(case: CaseId, what: str, token: str, cause: str, *, context: Context) -> None:
    """Store the question and send the event ``Case Needs Attention``."""
    loaded = context.load(case)
    doubt = context.cases.doubt(case, what)
    text, choices = (doubt.text, doubt.choices) if doubt else (reason_of(cause), ())
    question = Question(what=what, text=text, token=token, asked_at=now(), choices=choices)
    context.cases.ask(case, question)
    context.cases.change(case, status=CaseStatus.NEEDS_ATTENTION, reason=text, note=None)
    context.events.put("Case Needs Attention", question_detail(loaded.case, question, loaded.vendor.name))


def question_detail(case: Case, question: Question, vendor: str) -> dict[str, Any]:
    """Return the detail of the event ``Case Needs Attention`` about a question."""
    return {
        "connection": case.record.connection,
        "reference": case.record.reference,
        "vendor": vendor,
        "case_id": case.record.case_id,
        "status": CaseStatus.NEEDS_ATTENTION.value,
        "reason": question.text,
        "question": question.what,
        "candidates": listed(question.choices),
        "answers": [command for _, command in answers(case.record.id, question.choices, question.what)],
    }
