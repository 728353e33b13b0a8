"""``dossier resolve``: records an operator's answer to the question of a case."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.status import describe, find, show_questions
from cli.target import Target
from dossier.errors import (
    ConfigurationError,
    GivenUpError,
    NeedsAttentionError,
    PausedError,
    RetryableError,
    ThrottledError,
    UnauthorizedError,
)
from dossier.models import CaseStatus
from dossier.questions import BUDGET
from dossier.settings import Budget
from dossier.steps.accept import pages_of
from dossier.steps.adopt import adopt
from dossier.steps.context import LoadedCase
from dossier.stores.cases import Case, Question

GAVE_UP = "an operator gave up"
GIVE_ONE = "give one of --retry, --use ID and --give-up"
TRIES, PAUSE, LONGEST_PAUSE = 6, 1.0, 5.0
"""Look-ups of an id, the seconds between them, and the most seconds where the vendor asks for a pause."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The operator's answer: retry the request, use the vendor's ``id``, send it, or end it; ``ask`` for no answer."""

    kind: Literal["retry", "use", "give_up", "send", "ask"]
    id: str = ""
    force: bool = False
    """Accept the id even if the vendor shows another name for it."""

    @classmethod
    def of(cls, *, retry: bool, use: str | None, give_up: bool, send: bool = False, force: bool = False) -> Answer:
        """Return the answer that the options give.

        Raises:
            BadUsageError: there are several answers, the id is blank, or ``--force`` has no id.

        """
        given = [retry, use is not None, give_up, send].count(True)
        if given > 1:
            raise BadUsageError(GIVE_ONE)
        if force and use is None:
            raise BadUsageError("--force needs --use", fix="add --use ID, or leave --force out")
        if not given:
            return cls("ask")
        if use is not None and not use.strip():
            raise BadUsageError("--use is blank: give the id that the vendor shows")
        if use is not None:
            return cls("use", use.strip(), force=force)
        return cls("send" if send else "retry" if retry else "give_up")


def resolve(
    out: Output, where: Target, reference: str, answer: Answer, *, connection: str | None, what: str | None
) -> None:
    """Answer a case's open question; look an id up at the vendor before anything is stored. Without an answer, show it.

    Raises:
        BadUsageError: several questions are open and none is named; or the named one is not open.
        CommandError: no question is open, the id does not fit, or the execution no longer waits for the answer.

    """
    case = find(where, reference, connection)
    if answer.kind == "ask":
        if not case.questions:
            raise _no_question(case)
        out.document(describe(case))
        show_questions(out, case)
        return
    question = _question(case, what)
    answer = _fitting(question, answer)
    if answer.kind == "give_up":
        _give_up(where, case, question)
    else:
        if answer.kind == "use":
            _check(out, where, case, question, answer)
        _prepare(where, case, question, answer)
        _go_on(where, case, question)
    names = {"connection": case.record.connection, "reference": reference}
    out.document({**names, "question": question.what, "answer": answer.kind, "id": answer.id or None})
    out.line(_DONE[answer.kind].format(**names, what=question.what, id=answer.id))


def _fitting(question: Question, answer: Answer) -> Answer:
    """Return the answer as its question understands it; a case over its budget is sent, or given up.

    Raises:
        BadUsageError: it is no answer to the question.

    """
    if question.what != BUDGET:
        if answer.kind == "send":
            raise BadUsageError(f"--send answers a question about the budget, and this one is about {question.what}")
        return answer
    if answer.kind == "use":
        raise BadUsageError("the case is over its budget, and was not sent: answer with --send or --give-up")
    return replace(answer, kind="send") if answer.kind == "retry" else answer


_DONE = {
    "send": "{reference} is sent although it is over the budget",
    "retry": "{reference}: {what} is retried",
    "use": "{reference}: {what} continues with {id}",
    "give_up": "{reference} ends as failed",
}


def _question(case: Case, what: str | None) -> Question:
    reference = case.record.reference
    if not case.questions:
        raise _no_question(case)
    open_ones = ", ".join(each.what for each in case.questions)
    if what is None and len(case.questions) > 1:
        raise BadUsageError(f"case {reference} has several open questions: say which with --question: {open_ones}")
    found = next((each for each in case.questions if what in {None, each.what}), None)
    if found is None:
        raise BadUsageError(f'case {reference} has no open question "{what}": use one of {open_ones}')
    return found


def _no_question(case: Case) -> CommandError:
    return CommandError(f"case {case.record.reference} has no open question: it is {case.record.status.value}")


def _check(out: Output, where: Target, case: Case, question: Question, answer: Answer) -> None:
    """Look up the operator's id at the vendor.

    Raises:
        CommandError: the id does not fit, or the vendor cannot be asked; nothing was stored.

    """
    name = case.record.connection
    settings = settings_of(where).get(name)
    if settings is None:
        place = settings_file(where)
        out.progress(f"[{name}] is not in {place}: the case looks {answer.id} up itself, and asks again if it is wrong")
        return
    loaded = where.app.replacing(connection_of=lambda _: settings).load(case.record.id)
    see = f"see `dossier resolve {case.record.reference} --connection {name}`"
    try:
        _looked_up(loaded, question, answer, thorough=False, fix=see)
    except UnauthorizedError:
        raise
    except (ConfigurationError, PausedError, ClientError) as error:  # this machine cannot read the key, or may not ask
        out.progress(f"cannot look {answer.id} up from here ({error}): the case does, and asks again if it is wrong")
        return
    if not answer.force:
        _looked_up(loaded, question, answer, thorough=True, fix=f"{see}, or add --force if it is right nevertheless")


def _looked_up(loaded: LoadedCase, question: Question, answer: Answer, *, thorough: bool, fix: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            adopt(loaded, question.what, answer.id, thorough=thorough)
        except NeedsAttentionError as error:
            raise CommandError(f"{error}; nothing changed and the question stays open", fix=fix) from None
        except PausedError:
            raise
        except RetryableError as error:
            if not left:
                again = "nothing changed; try again in a moment"
                raise CommandError(f"{answer.id} cannot be looked up at the vendor: {error}", fix=again) from None
            time.sleep(min(error.retry_after, LONGEST_PAUSE) if isinstance(error, ThrottledError) else PAUSE)
        else:
            return


def _prepare(where: Target, case: Case, question: Question, answer: Answer) -> None:
    """Delete the intent for a retry, or store the operator's id in it."""
    intents = where.app.intents
    key = (case.record.id, question.what)
    if answer.kind == "send":
        cases = where.app.cases
        cases.budgets.spend(case.record.id, pages_of(case.documents), Budget(), allowed=True)
        cases.name(case.record.id, BUDGET, answer.kind)
        return
    if answer.kind == "retry":
        intents.end(*key)
        return
    record = case.record
    owner = intents.maker(record.connection, answer.id)
    if owner not in {None, record.reference} and answer.id != record.appends_to:
        raise CommandError(f"{answer.id} belongs to case {owner} already: look it up at the vendor again")
    intents.adopt(*key, answer.id)


def _go_on(where: Target, case: Case, question: Question) -> None:
    """Close the question, then answer its token; in the other order, this could close a new question."""
    cases, names = where.app.cases, case.record.id
    cases.answered(names, question.what)
    cases.continue_upload(names)
    try:
        waiting = where.app.executions.succeed(question.token, {})
    except (BotoCoreError, ClientError):
        cases.ask(names, question)
        cases.change(names, status=CaseStatus.NEEDS_ATTENTION, reason=question.text)
        raise
    if not waiting:
        raise _nobody_waits(case)


def _give_up(where: Target, case: Case, question: Question) -> None:
    if not where.app.executions.fail(question.token, GivenUpError(GAVE_UP)):
        raise _nobody_waits(case)
    where.app.cases.answered(case.record.id, question.what)


def _nobody_waits(case: Case) -> CommandError:
    record = case.record
    return CommandError(
        f"execution {record.execution_arn} no longer waits for this answer: "
        f"see `dossier status {record.reference} --connection {record.connection}`"
    )
