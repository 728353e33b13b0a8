"""``dossier redrive``: shows failed cases and dead letters by cause, and sends them back to work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployed import wake_queue_url
from cli.errors import CommandError, explain
from cli.output import Output, confirmed
from cli.status import find
from cli.target import Target
from cli.text import counted
from dossier.errors import DossierError, InvalidCaseError
from dossier.models import CaseStatus
from dossier.steps.redrive import Group, by_cause, failed, resume
from dossier.stores.cases import CaseRecord
from dossier.stores.dead_letters import DeadLetters
from dossier.stores.queues import DROP, WAKE, poll_queue

SHOWN = 3
_DEAD = "dead letters of queue "
_REFUSED = "never sent anywhere: submit them again, mended"


@dataclass(frozen=True, slots=True)
class Pile:
    """What one cause has piled up: cases, or the dead letters of a queue."""

    cause: str
    number: int
    group: Group | None = None
    queue: str = ""

    @property
    def moves(self) -> bool:
        """Whether it can be sent back to work."""
        return self.group is None or not self.group.refused

    @property
    def what(self) -> str:
        """How many there are of what."""
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
) -> None:
    """Show what failed, by cause, and send back what the operator confirms, or all of it with ``yes``.

    Raises:
        CommandError: something could not be sent back.

    """
    letters = DeadLetters(where.session.client("sqs"), wake_queue_url(where))
    found = _piles(where, letters, connection, references)
    piles = [each for each in found if cause is None or cause.casefold() in each.cause.casefold()]
    if found and not piles:
        out.progress(
            f'no cause contains "{cause}": without --cause, `dossier redrive` shows {counted(len(found), "cause")}'
        )
    else:
        _show(out, piles)
    asks = not yes and not dry_run and not out.as_json and sys.stdin.isatty()
    movable = [each for each in piles if each.moves or references]  # one that is named gets to hear why it cannot be
    chosen = [] if dry_run else [each for each in movable if yes or (asks and _confirmed(each))]
    answers = [answer for pile in chosen for answer in _send(where, letters, pile)]
    sent, problems = [each for each in answers if "error" not in each], [each for each in answers if "error" in each]
    for answer in sent:
        out.line(_line(answer))
    document = {"causes": [each.document() for each in piles], "sent": sent, "problems": problems}
    if problems:
        first = problems[0]
        message = f"{len(problems)} could not be sent back; {first.get('reference') or first['queue']}: "
        raise CommandError(message + first["error"], document=document)
    out.document(document)
    if movable and not sent:
        out.progress("nothing was sent back" + ("" if asks else ": --yes does it"))


def _piles(where: Target, letters: DeadLetters, connection: str | None, references: Sequence[str]) -> list[Pile]:
    names = where.with_cases(connection)
    if references:
        cases = [find(where, each, connection).record for each in references]
        lively = [each for each in cases if each.status is not CaseStatus.FAILED]
        if lively:
            raise CommandError(f"case {lively[0].reference} has not failed: it is {lively[0].status.value}")
        return [Pile(each.cause, len(each.cases), each) for each in by_cause(cases)]
    piles = [Pile(each.cause, len(each.cases), each) for each in by_cause(failed(names, cases=where.app.cases))]
    queues = [*([] if connection else [WAKE, DROP]), *(poll_queue(name) for name in names if name in where.connections)]
    counts = {queue: letters.count(queue) for queue in queues}
    return piles + [Pile(_DEAD + queue, number, queue=queue) for queue, number in counts.items() if number]


def _show(out: Output, piles: Sequence[Pile]) -> None:
    if not piles:
        out.progress("nothing failed, and there are no dead letters")
        return
    out.table(("HOW MANY", "CAUSE", "SUCH AS"), [(each.what, each.cause, _examples(each)) for each in piles])


def _examples(pile: Pile) -> str:
    named = ", ".join(f"{each.connection} {each.reference}" for each in pile.cases[:SHOWN])
    return f"{named} ({_REFUSED})" if not pile.moves else named


def _confirmed(pile: Pile) -> bool:
    return confirmed(f"send back {pile.what}", pile.cause)


def _send(where: Target, letters: DeadLetters, pile: Pile) -> Iterator[dict[str, Any]]:
    """Send one pile back; each answer names what was sent and where it is, or the ``error`` that kept it."""
    if pile.group is None:
        yield _tried({"queue": pile.queue}, "messages", partial(letters.send_back, pile.queue))
    stores = {"cases": where.app.cases, "executions": where.app.executions, "bucket": where.bucket}
    for each in pile.cases:
        names = {"connection": each.connection, "reference": each.reference}
        yield _tried(names, "execution_arn", partial(_resume, where, partial(resume, **names, **stores), **names))  # type: ignore[arg-type]


def _resume(where: Target, send: Callable[[], str], *, connection: str, reference: str) -> str:
    """Send a case back to work, unless nothing could work on it."""
    if connection not in where.connections:
        raise InvalidCaseError(
            f'connection "{connection}" of case {reference} is not deployed any more: deploy its settings again first'
        )
    if since := where.app.cases.draining():
        raise InvalidCaseError(f"this deployment is drained since {since}: run `dossier drain --stop` first")
    return send()


def _tried(names: Mapping[str, str], answer: str, send: Callable[[], object]) -> dict[str, Any]:
    """Return what was sent; one case that cannot be is no reason to keep the others."""
    try:
        return {**names, answer: send()}
    except (DossierError, BotoCoreError, ClientError) as error:
        return {**names, "error": explain(error).line}


def _line(answer: dict[str, Any]) -> str:
    if "queue" in answer:
        return f"{counted(answer['messages'], 'message')} of {answer['queue']}: sent back"
    return f"{answer['connection']} {answer['reference']}: back to work as {answer['execution_arn']}"
