"""Resolve: record an operator's answer to the question of a case, and continue the case.

The caller (``dossier resolve``) may look an id up at the vendor first. Otherwise the next step looks it up, and asks
again if it is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dossier.errors import GivenUpError
from dossier.models import CaseStatus
from dossier.questions import BUDGET
from dossier.settings import Budget
from dossier.steps.accept import pages_of
from dossier.steps.context import Context
from dossier.stores.cases import Case, Question

GAVE_UP = "an operator gave up"
GIVE_ONE = "give one of --retry, --use ID and --give-up"


class UnfitAnswerError(ValueError):
    """The answer does not fit the question, or names no open question."""


class NothingAskedError(ValueError):
    """No question is open, the execution no longer waits for the answer, or the id belongs to another case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The operator's answer: retry the request, use the vendor's ``id``, send it, or end it; ``ask`` for no answer."""

    kind: Literal["retry", "use", "give_up", "send", "ask"]
    id: str = ""
    force: bool = False
    """Accept the id even if the vendor shows another name for it."""


def question_of(case: Case, what: str | None) -> Question:
    """Return the open question that an answer is for.

    Raises:
        NothingAskedError: none is open.
        UnfitAnswerError: several are open and none is named; or the named one is not open.

    """
    reference = case.record.reference
    if not case.questions:
        raise NothingAskedError(f"case {reference} has no open question: it is {case.record.status.value}")
    open_ones = ", ".join(each.what for each in case.questions)
    if what is None and len(case.questions) > 1:
        raise UnfitAnswerError(f"case {reference} has several open questions: say which with --question: {open_ones}")
    found = next((each for each in case.questions if what in {None, each.what}), None)
    if found is None:
        raise UnfitAnswerError(f'case {reference} has no open question "{what}": use one of {open_ones}')
    return found


def fitting(question: Question, answer: Answer) -> Answer:
    """Return the answer in the terms of its question: a case over its budget is sent, or given up.

    Raises:
        UnfitAnswerError: it does not answer the question.

    """
    if question.what != BUDGET:
        if answer.kind == "send":
            raise UnfitAnswerError(f"--send answers a question about the budget, and this one is about {question.what}")
        return answer
    if answer.kind == "use":
        raise UnfitAnswerError("the case is over its budget, and was not sent: answer with --send or --give-up")
    return replace(answer, kind="send") if answer.kind == "retry" else answer


def record(case: Case, question: Question, answer: Answer, *, context: Context) -> None:
    """Store a fitting answer, close its question and answer its task token.

    Raises:
        NothingAskedError: the execution no longer waits for the answer, or the id belongs to another case.

    """
    if answer.kind == "give_up":
        if not context.executions.fail(question.token, GivenUpError(GAVE_UP)):
            raise _nobody_waits(case)
        context.cases.answered(case.record.id, question.what)
        return
    _prepare(case, question, answer, context)
    _go_on(case, question, context)


def _prepare(case: Case, question: Question, answer: Answer, context: Context) -> None:
    """Delete the intent for a retry, or store the operator's id in it."""
    intents = context.intents
    key = (case.record.id, question.what)
    if answer.kind == "send":
        context.cases.budgets.spend(case.record.id, pages_of(case.documents), Budget(), allowed=True)
        context.cases.name(case.record.id, BUDGET, answer.kind)
        return
    if answer.kind == "retry":
        intents.end(*key)
        return
    stored = case.record
    owner = intents.maker(stored.connection, answer.id)
    if owner not in {None, stored.reference} and answer.id != stored.appends_to:
        raise NothingAskedError(f"{answer.id} belongs to case {owner} already: look it up at the vendor again")
    intents.adopt(*key, answer.id)


def _go_on(case: Case, question: Question, context: Context) -> None:
    """Close the question, then answer its token; in the other order, this could close a new question."""
    cases, names = context.cases, case.record.id
    cases.answered(names, question.what)
    cases.continue_upload(names)
    try:
        waiting = context.executions.succeed(question.token, {})
    except Exception:  # the token is not answered, and the case still waits
        cases.ask(names, question)
        cases.change(names, status=CaseStatus.NEEDS_ATTENTION, reason=question.text)
        raise
    if not waiting:
        raise _nobody_waits(case)


def _nobody_waits(case: Case) -> NothingAskedError:
    stored = case.record
    return NothingAskedError(
        f"execution {stored.execution_arn} no longer waits for this answer: "
        f"see `dossier status {stored.reference} --connection {stored.connection}`"
    )
