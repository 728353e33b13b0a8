"""``dossier resolve``: records an operator's answer to the question of a case."""

from __future__ import annotations

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.status import describe, find, show_questions
from cli.target import Target
from dossier.errors import (
    ConfigurationError,
    NeedsAttentionError,
    PausedError,
    RetryableError,
    ThrottledError,
    UnauthorizedError,
)
from dossier.steps.adopt import adopt
from dossier.steps.context import LoadedCase
from dossier.steps.resolve import (
    GIVE_ONE,
    Answer,
    NothingAskedError,
    UnfitAnswerError,
    fitting,
    question_of,
    record,
)
from dossier.stores.cases import Case, Question

TRIES, PAUSE, LONGEST_PAUSE = 6, 1.0, 5.0
"""Look-ups of an id, the seconds between them, and the most seconds where the vendor asks for a pause."""


def answer_of(*, retry: bool, use: str | None, give_up: bool, send: bool = False, force: bool = False) -> Answer:
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
        return Answer("ask")
    if use is not None and not use.strip():
        raise BadUsageError("--use is blank: give the id that the vendor shows")
    if use is not None:
        return Answer("use", use.strip(), force=force)
    return Answer("send" if send else "retry" if retry else "give_up")


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
    question, answer = answered(where, case, answer, what=what, say=out.progress)
    names = {"connection": case.record.connection, "reference": reference}
    out.document({**names, "question": question.what, "answer": answer.kind, "id": answer.id or None})
    out.line(_DONE[answer.kind].format(**names, what=question.what, id=answer.id))


def answered(
    where: Target, case: Case, answer: Answer, *, what: str | None, say: Callable[[str], object]
) -> tuple[Question, Answer]:
    """Look an id up at the vendor, and record the answer; return the question and the interpreted answer.

    Args:
        where: the deployment.
        case: as stored.
        answer: the operator's.
        what: the question, if several are open.
        say: receives a line about an id that could not be looked up.

    Raises:
        BadUsageError: the answer does not fit, or names no open question.
        CommandError: no question is open, the id does not fit, or the execution no longer waits for the answer.

    """
    try:
        question = question_of(case, what)
        answer = fitting(question, answer)
        if answer.kind == "use":
            _check(say, where, case, question, answer)
        record(case, question, answer, context=where.app)
    except UnfitAnswerError as error:
        raise BadUsageError(str(error)) from None
    except NothingAskedError as error:
        raise CommandError(str(error)) from None
    return question, answer


_DONE = {
    "send": "{reference} is sent although it is over the budget",
    "retry": "{reference}: {what} is retried",
    "use": "{reference}: {what} continues with {id}",
    "give_up": "{reference} ends as failed",
}


def _no_question(case: Case) -> CommandError:
    return CommandError(f"case {case.record.reference} has no open question: it is {case.record.status.value}")


def _check(say: Callable[[str], object], where: Target, case: Case, question: Question, answer: Answer) -> None:
    """Look up the operator's id at the vendor.

    Raises:
        CommandError: the id does not fit, or the vendor cannot be asked; nothing was stored.

    """
    name = case.record.connection
    settings = settings_of(where).get(name)
    if settings is None:
        place = settings_file(where)
        say(f"[{name}] is not in {place}: the case looks {answer.id} up itself, and asks again if it is wrong")
        return
    loaded = where.app.replacing(connection_of=lambda _: settings).load(case.record.id)
    see = f"see `dossier resolve {case.record.reference} --connection {name}`"
    try:
        _looked_up(loaded, question, answer, thorough=False, fix=see)
    except UnauthorizedError:
        raise
    except (ConfigurationError, PausedError, ClientError) as error:  # this machine cannot read the key, or may not ask
        say(f"cannot look {answer.id} up from here ({error}): the case does, and asks again if it is wrong")
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
