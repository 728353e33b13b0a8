"""What an operator does to one case or connection.

Each action calls the same functions as its command, and is recorded in the trail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cli import doctor
from cli.errors import BadUsageError, CommandError
from cli.explain import explain_case
from cli.pause import go_on, stop
from cli.redrive import resume_case
from cli.resolve import answer_of, answered
from cli.text import clean
from console.case import found
from console.desk import Desk, first
from console.words import subject
from dossier.models import CaseId
from dossier.steps.cancel import cancel
from dossier.steps.refresh import ask
from dossier.texts import counted

Act = Callable[[Desk, Request, FormData], Response]


def back(desk: Desk, path: str, outcome: str) -> Response:
    """Redirect to a page, which shows the outcome."""
    joined = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{joined}done={desk.say(outcome)}" if outcome else path, 303)


def text(form: Mapping[str, object], name: str) -> str | None:
    """Return a text of a form; None if it is missing or blank."""
    return first({key: value for key, value in form.items() if isinstance(value, str)}, name)


def redriven(desk: Desk, case: CaseId) -> str:
    """Resume a failed case; return the outcome."""
    with desk.trail.action("redrive", connection=case.connection, reference=case.reference) as outcome:
        outcome["execution_arn"] = resume_case(desk.where, case)
    return f"{case.reference} is resumed where it stopped."


def refreshed(desk: Desk, case: CaseId) -> str:
    """Start to collect a case again; return the outcome.

    Raises:
        CommandError: it cannot be collected again.

    """
    with desk.trail.action("refresh", connection=case.connection, reference=case.reference):
        if not ask(case, context=desk.app, insist=True):
            raise CommandError(
                f"case {case.reference} cannot be collected again: it has not ended, or the vendor lacks a document"
            )
    return f"{case.reference} is being collected again."


def cancelled(desk: Desk, case: CaseId) -> str:
    """End a case; return the outcome, and the documents that the vendor may bill."""
    with desk.trail.action("cancel", connection=case.connection, reference=case.reference) as outcome:
        left = cancel(case, context=desk.app)
        outcome |= {"billed": [each.document_id for each in left.documents], "in_doubt": list(left.in_doubt)}
    billed = f" The vendor may bill {counted(len(left.documents), 'document')}." if left.documents else ""
    doubt = (
        f" The vendor may have more: the outcome of {', '.join(map(subject, left.in_doubt))} is unknown."
        if left.in_doubt
        else ""
    )
    return f"{case.reference} is cancelled; its stored data stays.{billed}{doubt}"


def stopped(desk: Desk, case: CaseId) -> str:
    """Stop the execution of a case that nothing works on; return the next step.

    Raises:
        CommandError: something works on it, or it has ended.

    """
    stored = desk.app.cases.get(case)
    arn = stored.record.execution_arn
    with desk.trail.action("stop", connection=case.connection, reference=case.reference, execution_arn=arn):
        if not explain_case(desk.where, stored).broken:
            raise CommandError(f"case {case.reference} is not stuck: `dossier cancel {case.reference}` ends it")
        desk.app.executions.stop(arn, "Stopped", "an operator stopped it: nothing worked on the case")
    return f"The execution of {case.reference} is stopped. Once the case has failed, redrive it."


def _one(act: Callable[[Desk, CaseId], str]) -> Act:
    def endpoint(desk: Desk, request: Request, _form: FormData) -> Response:
        case = found(desk, request).record.id
        return back(desk, f"/cases/{case.connection}/{case.reference}", act(desk, case))

    return endpoint


def resolve(desk: Desk, request: Request, form: FormData) -> Response:
    """Answer a case's open question; an id is looked up at the vendor first."""
    case = found(desk, request)
    names, kind, use = case.record.id, text(form, "answer"), text(form, "id")
    if kind not in {"use", "retry", "send", "give_up"}:
        raise BadUsageError("choose one of the answers")
    if kind == "use" and use is None:
        raise BadUsageError("give the id that the vendor shows")
    answer = answer_of(
        retry=kind == "retry",
        send=kind == "send",
        give_up=kind == "give_up",
        use=use if kind == "use" else None,
        force=kind == "use" and text(form, "force") == "on",
    )
    notes: list[str] = []
    what = text(form, "question")
    with desk.trail.action("resolve", **names._asdict(), question=what, answer=kind, id=answer.id or None):
        question, answer = answered(desk.where, case, answer, what=what, say=notes.append)
    done = {
        "send": "is sent although it is over the budget",
        "retry": f"sends {subject(question.what)} again",
        "use": f"continues with {answer.id}",
        "give_up": "ends as failed",
    }
    said = " ".join([f"{names.reference} {done[answer.kind]}.", *notes])
    return back(desk, f"/cases/{names.connection}/{names.reference}", said)


def pause(desk: Desk, request: Request, form: FormData) -> Response:
    """Stop all calls to a connection's vendor."""
    name, reason = request.path_params["connection"], text(form, "reason") or ""
    with desk.trail.action("pause", connection=name, reason=clean(reason)):
        stop(desk.where, name, reason, by=desk.trail.who)
    return back(desk, _from(form, name), f"{name} is paused: no request goes to its vendor, and cases wait.")


def resume(desk: Desk, request: Request, form: FormData) -> Response:
    """End a connection's pause."""
    name = request.path_params["connection"]
    with desk.trail.action("resume", connection=name) as outcome:
        done = go_on(desk.where, name)
        outcome |= {"steps": done.steps, "waits": done.waits}
    line = f"{name} continues: {counted(done.steps, 'step')} and {counted(done.waits, 'wait')}."
    return back(desk, _from(form, name), line if done.hold else f"{name} was not paused.")


def _from(form: FormData, connection: str) -> str:
    return f"/connections/{connection}" if text(form, "from") == "connection" else "/connections"


def check(desk: Desk, request: Request, _form: FormData) -> Response:
    """Return the page with the findings of ``dossier doctor`` at a connection.

    It sends two deliveries that wake nothing.
    """
    name = desk.where.require(request.path_params["connection"])
    with desk.trail.action("doctor", connection=name) as outcome:
        checks = list(doctor.connection(desk.where, name, desk.settings.get(name)))
        outcome["failed"] = [each.name for each in checks if each.state == "failed"]
    return desk.page(request, "check.html", name=name, checks=checks)


ACTIONS: dict[str, Act] = {
    "/cases/{connection}/{reference}/redrive": _one(redriven),
    "/cases/{connection}/{reference}/refresh": _one(refreshed),
    "/cases/{connection}/{reference}/cancel": _one(cancelled),
    "/cases/{connection}/{reference}/stop": _one(stopped),
    "/cases/{connection}/{reference}/resolve": resolve,
    "/connections/{connection}/check": check,
    "/connections/{connection}/pause": pause,
    "/connections/{connection}/resume": resume,
}
