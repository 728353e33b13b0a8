"""Wake: a verified delivery moves the next poll of its cases to now. It carries no truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dossier.errors import PAUSE_LOOK, InvalidCaseError, PausedError, RetryableError
from dossier.models import CaseId, moment
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.steps.identity import execution_name, stranger_reference
from dossier.steps.nudge import nudge
from dossier.steps.webhook import is_signed_probe
from dossier.stores.evidence import id_of
from dossier.stores.queues import WAKE

MOST_IDS = 50
"""Ids of one delivery that are looked up. A body full of ids would exceed the function's time, and every delivery of
its batch would become a dead letter."""
MOST_MOVED, MOST_SEEN = 10, 500
"""Waits that a delivery without ids moves, and waits among which the oldest are selected."""
LOOKS = 6
"""Tries of a delivery about an unknown case, before the case is collected although a request may be in doubt."""
LATER = 30
"""Seconds until the second try; the interval doubles up to the maximum of SQS: half an hour in all."""
MOST_COLLECTED = 5
"""Unknown cases that one delivery may have collected."""
NOT_OURS = "not ours"
"""The verdict on a delivery about a case outside the connection: it is ignored."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of a delivery."""

    done: bool = True
    """False if it has to be tried again later."""
    paused: bool = False
    """Whether it has to be tried again because an operator has paused the connection, which does not count as a try."""
    verdict: str | None = None
    """A verdict to store."""
    why: str = ""


LOOK_AGAIN = Applied(done=False)


def wake(
    connection: str,
    body: bytes,
    *,
    look: int,
    received_at: datetime,
    context: Context,
) -> Applied:
    """Apply one delivery: move the next poll of every case that it concerns.

    An unknown id may belong to an upload whose answer is not stored yet, so it is recorded. If the vendor's users work
    on cases of their own (Docsumo), the delivery is tried again; then an execution collects the case if the
    connection's list has it. As long as an upload from before the delivery is in doubt, the id is probably that
    upload's.

    Args:
        connection: the delivery's connection.
        body: the delivery.
        look: how often it was tried before.
        received_at: when it arrived.
        context: the collaborators.

    """
    try:
        settings = context.connection_of(connection)
    except InvalidCaseError:
        return Applied()  # the connection was removed: its evidence stays, its cases are not polled
    vendor = context.vendor_of(settings)
    hint = vendor.read_hint(body)
    if hint is None:
        # Something happened, but the delivery names nothing that is recognized: most likely one of the oldest waits.
        context.count("DeliveryNotUnderstood", connection=connection)
        waiting = islice(context.waits.waiting(connection), MOST_SEEN)
        for wait in sorted(waiting, key=lambda each: (each.started_at, each.reference))[:MOST_MOVED]:
            context.waits.nudge(wait, None)
        return Applied()
    references: dict[str, set[str]] = {}
    strangers = []
    # A delivery that names documents is about these; their job and case only locate them.
    about = set(hint.document_ids) or set(hint.job_ids)
    for vendor_id in (*hint.case_ids, *hint.job_ids, *hint.document_ids)[:MOST_IDS]:
        found = context.intents.references(connection, vendor_id)
        # The case that records the id later will see the hint.
        if not found and not context.intents.hint(connection, vendor_id):
            found = context.intents.references(connection, vendor_id)  # recorded between the two
        strangers += [] if found else [vendor_id]
        for reference in found:
            references.setdefault(reference, set()).update({vendor_id} & about)
    for job_id in hint.job_ids[:MOST_IDS] if hint.says else ():
        for reference in context.intents.references(connection, job_id):
            context.cases.say(CaseId(connection, reference), job_id, str(hint.says))
    # What a delivery itself says (DocuStack's job_failed has the reason) is no part of what a collection reads.
    read_by = None if hint.says else received_at
    for reference, ids in references.items():
        nudge(CaseId(connection, reference), ids, refresh=True, received_at=read_by, context=context)
    unknown = [each for each in hint.case_ids if each in strangers]
    if references or not unknown or vendor.phases[0] != "results":
        return Applied()
    if not vendor.concerns(hint):
        return Applied(verdict=NOT_OURS, why=f"it is about {', '.join(hint.scopes)[:200]}")
    if look == 0 or (look < LOOKS and context.intents.in_doubt(connection, received_at)):
        return LOOK_AGAIN
    return _collected(settings, unknown, last=look >= LOOKS, context=context)


def _collected(connection: Connection, case_ids: Sequence[str], *, last: bool, context: Context) -> Applied:
    """Start the collection of unknown cases that are in the connection's list, with one look-up for all of them."""
    vendor = context.vendor_of(connection)
    listed = frozenset(case_ids)
    if vendor.lists:
        try:
            listed = context.transport.run(vendor.having(case_ids), vendor=vendor)
        except PausedError:
            return Applied(done=False, paused=True)
        except RetryableError:
            if last:
                raise
            return LOOK_AGAIN
    for case_id in [each for each in case_ids if each in listed][:MOST_COLLECTED]:
        if context.cases.erased(CaseId(connection.name, stranger_reference(case_id))) is None:
            collect_stranger(connection.name, case_id, context=context)
    return Applied() if listed else Applied(verdict=NOT_OURS, why="the connection's list does not have its case")


def collect_stranger(connection: str, case_id: str, *, context: Context) -> None:
    """Start the one execution that collects a vendor case which Dossier did not submit."""
    case = CaseId(connection, stranger_reference(case_id))
    name = execution_name(case, case.reference.removeprefix("case-"))
    context.executions.start(name, {**case._asdict(), "case_id": case_id})


def serve(message: Mapping[str, str], *, context: Context) -> None:
    """Apply the delivery of a message of the wake queue; queue it again if its id is still unknown.

    Args:
        message: ``{"connection", "delivery"}``, and ``again``: how often it was tried.
        context: the collaborators.

    """
    look, delivery = int(message.get("again", 0)), context.evidence.read(message["delivery"])
    if is_signed_probe(delivery.headers, delivery.content):
        return
    at = moment(delivery.received_at)
    applied = wake(message["connection"], delivery.content, look=look, received_at=at, context=context)
    if applied.verdict:
        context.verdicts.keep(message["connection"], id_of(message["delivery"]), applied.verdict, applied.why)
    if applied.paused:
        context.queues.send(WAKE, message, after=PAUSE_LOOK)
    elif not applied.done:
        context.queues.send(WAKE, {**message, "again": str(look + 1)}, after=LATER * 2**look)
