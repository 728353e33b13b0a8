"""Ask: a question to an operator waits as a task token; ``dossier resolve`` answers it.

The step that failed has stored the full question, because the state machine cuts the text of its error.
"""

from __future__ import annotations

from dossier.models import CaseStatus, iso, now
from dossier.questions import answers, listed
from dossier.steps.reasons import reason_of
from dossier.steps.work import Desk
from dossier.stores.cases import Question
from dossier.stores.events import Events


def ask(connection: str, reference: str, what: str, token: str, cause: str, *, desk: Desk, events: Events) -> None:
    """Store the question and send the event ``Case Needs Attention``."""
    job = desk.load(connection, reference)
    doubt = desk.cases.doubt(connection, reference, what)
    text, choices = (doubt.text, doubt.choices) if doubt else (reason_of(cause), ())
    question = Question(what=what, text=text, token=token, asked_at=iso(now()), choices=choices)
    desk.cases.ask(connection, reference, question)
    desk.cases.change(connection, reference, status=CaseStatus.NEEDS_ATTENTION, reason=text, note=None)
    detail = {
        "connection": connection,
        "reference": reference,
        "vendor": job.vendor.name,
        "case_id": job.case.record.case_id,
        "status": CaseStatus.NEEDS_ATTENTION.value,
        "reason": text,
        "question": what,
        "candidates": listed(choices),
        "answers": [command for _, command in answers(connection, reference, choices, what)],
    }
    events.put("Case Needs Attention", detail)
