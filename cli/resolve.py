"""``dossier resolve``: an operator's answer to what nobody else can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.status import find
from cli.target import Target
from dossier.errors import GivenUpError
from dossier.models import CaseStatus
from dossier.stores.cases import Case, Question

GAVE_UP = "an operator gave up"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator says: do it again, ``id`` is what the vendor made of it, or end the case."""

    kind: Literal["retry", "use", "give_up"]
    id: str = ""

    @classmethod
    def of(cls, *, retry: bool, use: str | None, give_up: bool) -> Answer:
        """Return the one answer that was given.

        Raises:
            BadUsageError: none or several were, or the id is blank.

        """
        if [retry, use is not None, give_up].count(True) != 1:
            raise BadUsageError("give one of --retry, --use ID and --give-up")
        if use is not None and not use.strip():
            raise BadUsageError("--use is blank: give the id that the vendor shows")
        return cls("use", use.strip()) if use is not None else cls("retry" if retry else "give_up")


def resolve(
    out: Output, where: Target, reference: str, answer: Answer, *, connection: str | None, what: str | None
) -> None:
    """Answer a case's open question.

    Raises:
        BadUsageError: several questions are open and none is named, or the named one is not.
        CommandError: no question is open, or nobody waits for its answer any more.

    """
    case = find(where, reference, connection)
    question = _question(case, what)
    if answer.kind == "give_up":
        _give_up(where, case, question)
    else:
        _prepare(where, case, question, answer)
        _go_on(where, case, question)
    names = {"connection": case.record.connection, "reference": reference}
    out.document({**names, "question": question.what, "answer": answer.kind, "id": answer.id or None})
    out.line(_DONE[answer.kind].format(**names, what=question.what, id=answer.id))


_DONE = {
    "retry": "{reference}: {what} is done again",
    "use": "{reference}: {what} goes on with {id}",
    "give_up": "{reference} ends as failed",
}


def _question(case: Case, what: str | None) -> Question:
    reference = case.record.reference
    if not case.questions:
        raise CommandError(f"case {reference} has no open question: it is {case.record.status.value}")
    open_ones = ", ".join(each.what for each in case.questions)
    if what is None and len(case.questions) > 1:
        raise BadUsageError(f"case {reference} has several open questions: say which with --question: {open_ones}")
    found = next((each for each in case.questions if what in {None, each.what}), None)
    if found is None:
        raise BadUsageError(f'case {reference} has no open question "{what}": use one of {open_ones}')
    return found


def _prepare(where: Target, case: Case, question: Question, answer: Answer) -> None:
    """Leave the intent as the step has to find it: gone for another try, or with the id to go on with."""
    intents = where.app.intents
    key = (case.record.connection, case.record.reference, question.what)
    if answer.kind == "retry":
        intents.end(*key)
        return
    record = case.record
    owner = intents.owner(record.connection, answer.id)
    if owner not in {None, record.reference} and answer.id != record.appends_to:
        raise CommandError(f"{answer.id} belongs to case {owner} already: look it up at the vendor again")
    intents.adopt(*key, answer.id)


def _go_on(where: Target, case: Case, question: Question) -> None:
    """Close the question, then answer its token: the other way round, a new question could be closed unseen."""
    cases, names = where.app.cases, (case.record.connection, case.record.reference)
    others = [each for each in case.questions if each.what != question.what]
    cases.answered(*names, question.what)
    cases.change(
        *names,
        status=CaseStatus.NEEDS_ATTENTION if others else CaseStatus.UPLOADING,
        reason=others[0].text if others else None,
    )
    try:
        waiting = where.app.executions.succeed(question.token, {})
    except (BotoCoreError, ClientError):
        cases.ask(*names, question)
        cases.change(*names, status=CaseStatus.NEEDS_ATTENTION, reason=question.text)
        raise
    if not waiting:
        raise _nobody_waits(case)


def _give_up(where: Target, case: Case, question: Question) -> None:
    if not where.app.executions.fail(question.token, GivenUpError(GAVE_UP)):
        raise _nobody_waits(case)
    where.app.cases.answered(case.record.connection, case.record.reference, question.what)


def _nobody_waits(case: Case) -> CommandError:
    record = case.record
    return CommandError(
        f"execution {record.execution_arn} does not wait for this answer any more: "
        f"see `dossier status {record.reference} --connection {record.connection}`"
    )
