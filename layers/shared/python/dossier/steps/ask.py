"""Ask: a question that only an operator can answer waits as a task token; ``dossier resolve`` answers it."""

from __future__ import annotations

from dossier.models import CaseStatus, iso, now
from dossier.steps.reasons import reason_of
from dossier.steps.work import Desk
from dossier.stores.cases import Question
from dossier.stores.events import Events


def ask(connection: str, reference: str, what: str, token: str, cause: str, *, desk: Desk, events: Events) -> None:
    """Store the question and tell the team's systems about it."""
    job = desk.load(connection, reference)
    text = reason_of(cause)
    desk.cases.ask(connection, reference, Question(what=what, text=text, token=token, asked_at=iso(now())))
    desk.cases.change(connection, reference, status=CaseStatus.NEEDS_ATTENTION, reason=text, note=None)
    detail = {
        "connection": connection,
        "reference": reference,
        "vendor": job.vendor.name,
        "case_id": job.case.record.case_id,
        "status": CaseStatus.NEEDS_ATTENTION.value,
        "reason": text,
        "question": what,
    }
    events.put("Case Needs Attention", detail)
