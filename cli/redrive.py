"""``dossier redrive``: shows failed cases and dead letters by cause, and resumes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.errors import CommandError, explain
from cli.output import Output, confirmed
from cli.status import find
from cli.target import Target
from dossier.errors import DossierError, InvalidCaseError
from dossier.models import CaseId, CaseStatus, iso, now
from dossier.steps.redrive import Group, by_cause, failed, resume
from dossier.stores.cases import CaseRecord
from dossier.stores.queues import DROP, WAKE, poll_queue
from dossier.texts import counted

SHOWN = 3
_DEAD = "dead letters of queue "
_REFUSED = "never sent to a vendor: fix and submit them again"
_FOR_GOOD = "rejected: --yes alone does not resume them"


@dataclass(frozen=True, slots=True)
class Pile:
    """The failed cases of one cause, or the dead letters of a queue."""

    cause: str
    number: int
    group: Group | None = None
    queue: str = ""

    @property
    def moves(self) -> bool:
        """Whether it can be resumed."""
        return self.group is None or not self.group.refused

    @property
    def for_good(self) -> bool:
        """Whether its cases were rejected: they are resumed only if the operator names them."""
        return self.group is not None and self.group.for_good

    @property
    def what(self) -> str:
        """The number of cases or messages, in words."""
        return counted(self.number, "case" if self.group else "message")

    @property
    def cases(self) -> Sequence[CaseRecord]:
        """The cases; none for dead letters."""
        return self.group.cases if self.group else ()

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "kind": "case" if self.group else "dead_letter",
            "cause": self.cause,
            "count": self.number,
            "queue": self.queue or None,
            "resumable": self.moves,
            "rejected": self.for_good,
            "cases": [{"connection": each.connection, "reference": each.reference} for each in self.cases],
        }


def redrive(
    out: Output,
    where: Target,
    *,
    connection: str | None,
    cause: str | None,
    references: Sequence[str],
    dry_run: bool,
    yes: bool,
    dismiss: bool = False,
) -> None:
    """Show failed cases and dead letters by cause, and resume those that the operator confirms.

    Args:
        out: prints them.
        where: the deployment.
        connection: only its cases and dead letters.
        cause: only causes that contain this text.
        references: only these cases, dismissed ones too.
        dry_run: only shows them.
        yes: resumes all of them without asking; rejected ones only if a cause or a reference names them.
        dismiss: dismisses them instead. Without a terminal, named ones need no ``yes``.

    Raises:
        CommandError: a case or a message could not be sent back.

    """
    found, dismissed = piles_of(where, connection, references)
    piles = [each for each in found if cause is None or cause.casefold() in each.cause.casefold()]
    if found and not piles:
        out.progress(f'no cause contains "{cause}"; there {"is" if len(found) == 1 else "are"}:')
        _show(out, found, dismissed)
    else:
        _show(out, piles, dismissed)
    asks = not yes and not dry_run and not out.as_json and sys.stdin.isatty()
    named = bool(references or cause)
    movable = [each for each in piles if each.moves or references or dismiss]  # a named case gets an error
    unasked = [each for each in movable if (yes and (named or dismiss or not each.for_good)) or (dismiss and named)]
    act, what = (_dismiss, "dismiss") if dismiss else (_send, "send back")
    chosen = [each for each in movable if (confirmed(f"{what} {each.what}", each.cause) if asks else each in unasked)]
    answers = [] if dry_run else [answer for pile in chosen for answer in act(where, pile)]
    sent, problems = [each for each in answers if "error" not in each], [each for each in answers if "error" in each]
    for answer in sent:
        out.line(_line(answer, dismissed=dismiss))
    document = {
        "causes": [each.document() for each in piles],
        "other_causes": [] if piles else [each.document() for each in found],
        "dismissed_before": dismissed,
        "sent": [] if dismiss else sent,
        "dismissed": sent if dismiss else [],
        "problems": problems,
    }
    if problems:
        first = problems[0]
        done = "dismissed" if dismiss else "sent back"
        message = f"{len(problems)} could not be {done}; {first.get('reference') or first['queue']}: "
        raise CommandError(message + first["error"], document=document)
    out.document(document)
    if movable and not sent:
        how = "--yes with --cause or a reference" if all(each.for_good for each in movable) and not dismiss else "--yes"
        nothing = "nothing was dismissed" if dismiss else "nothing was sent back"
        out.progress(nothing if asks else f"{nothing}: {how} does it")


def piles_of(
    where: Target, connection: str | None, references: Sequence[str], *, since: datetime | None = None
) -> tuple[list[Pile], int]:
    """Return the named cases, or all failures that were not dismissed; and the number of dismissed cases.

    With ``since`` only cases that were submitted since then; dead letters in any case.
    """
    names = where.with_cases(connection)
    if references:
        cases = [find(where, each, connection).record for each in references]
        lively = [each for each in cases if each.status is not CaseStatus.FAILED]
        if lively:
            raise CommandError(f"case {lively[0].reference} has not failed: it is {lively[0].status.value}")
        return [Pile(each.cause, len(each.cases), each) for each in by_cause(cases)], 0
    cases = failed(names, context=where.app, since=since)
    left = [each for each in cases if each.dismissed_at is None]
    piles = [Pile(each.cause, len(each.cases), each) for each in by_cause(left)]
    queues = [*([] if connection else [WAKE, DROP]), *(poll_queue(name) for name in names if name in where.connections)]
    counts = {queue: where.dead_letters.count(queue) for queue in queues}
    dead = [Pile(_DEAD + queue, number, queue=queue) for queue, number in counts.items() if number]
    return piles + dead, len(cases) - len(left)


def _show(out: Output, piles: Sequence[Pile], dismissed: int) -> None:
    if piles:
        rows = [(each.what, each.cause, _examples(each)) for each in piles]
        out.table(("HOW MANY", "CAUSE", "SUCH AS"), rows, long={"CAUSE", "SUCH AS"})
    elif not dismissed:
        out.progress("nothing failed, and there are no dead letters")
    if dismissed:
        nothing = "" if piles else "nothing else failed, and there are no dead letters; "
        out.progress(f"{nothing}{counted(dismissed, 'dismissed case')} not shown: dossier list --status failed")


def _examples(pile: Pile) -> str:
    named = ", ".join(f"{each.connection} {each.reference}" for each in pile.cases[:SHOWN])
    why = _REFUSED if not pile.moves else _FOR_GOOD if pile.for_good else ""
    return f"{named} ({why})" if why else named


def _dismiss(where: Target, pile: Pile) -> Iterator[dict[str, Any]]:
    """Dismiss one pile; dead letters are deleted, because deliveries, drops and waits are stored elsewhere."""
    if pile.group is None:
        yield _tried({"queue": pile.queue}, "messages", partial(where.dead_letters.dismiss, pile.queue))
    at = now()
    for each in pile.cases:
        names = {"connection": each.connection, "reference": each.reference}
        yield _tried(names, "dismissed_at", partial(dismiss_case, where, each, at))


def dismiss_case(where: Target, record: CaseRecord, at: datetime) -> datetime:
    """Remove a failed case from the list of failures; return the time.

    Raises:
        InvalidCaseError: it runs again.

    """
    if not where.app.cases.dismiss(record, at):
        raise InvalidCaseError(f"case {record.reference} runs again meanwhile")
    return at


def _send(where: Target, pile: Pile) -> Iterator[dict[str, Any]]:
    """Resume one pile; yield for each case or queue its new execution or number of messages, or the ``error``."""
    if pile.group is None:
        yield _tried({"queue": pile.queue}, "messages", partial(where.dead_letters.send_back, pile.queue))
    for each in pile.cases:
        names = {"connection": each.connection, "reference": each.reference}
        yield _tried(names, "execution_arn", partial(resume_case, where, each.id))


def resume_case(where: Target, case: CaseId) -> str:
    """Resume a failed case, if its connection is deployed and the deployment is not drained; return its execution.

    Raises:
        InvalidCaseError: it cannot be resumed; says why.

    """
    connection, reference = case
    if connection not in where.connections:
        raise InvalidCaseError(
            f'connection "{connection}" of case {reference} is no longer deployed: deploy its settings again first'
        )
    if since := where.app.cases.draining():
        raise InvalidCaseError(
            f"this deployment has been draining since {iso(since)}: run `dossier drain --stop` first"
        )
    return resume(case, context=where.app)


def _tried(names: Mapping[str, str], answer: str, send: Callable[[], object]) -> dict[str, Any]:
    """Return the result of ``send``, or its error, so that one case does not hold up the others."""
    try:
        return {**names, answer: send()}
    except (DossierError, BotoCoreError, ClientError) as error:
        return {**names, "error": explain(error).line}


def _line(answer: dict[str, Any], *, dismissed: bool) -> str:
    if "queue" in answer:
        done = "deleted" if dismissed else "sent back"
        return f"{counted(answer['messages'], 'message')} of {answer['queue']}: {done}"
    if dismissed:
        return f"{answer['connection']} {answer['reference']}: dismissed"
    return f"{answer['connection']} {answer['reference']}: resumed as {answer['execution_arn']}"
