"""Wake: a verified delivery moves the next poll of its cases to now. It carries no truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dossier.errors import InvalidCaseError, RetryableError
from dossier.models import execution_name, iso, moment, now, stranger_reference
from dossier.settings import Connection
from dossier.steps.refresh import Starts, ask
from dossier.steps.work import Desk
from dossier.stores.evidence import EvidenceStore, id_of
from dossier.stores.executions import Executions
from dossier.stores.queues import WAKE, Queues
from dossier.stores.verdicts import Verdicts
from dossier.stores.waits import Waits

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
    desk: Desk,
    waits: Waits,
    executions: Executions,
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
        desk: cases, intents and vendors.
        waits: the waits.
        executions: starts executions that collect cases.

    """
    try:
        settings = desk.connection_of(connection)
    except InvalidCaseError:
        return Applied()  # the connection was removed: its evidence stays, its cases are not polled
    vendor = desk.vendor_of(settings)
    hint = vendor.read_hint(body)
    if hint is None:
        # Something happened, but the delivery names nothing that is recognized: most likely one of the oldest waits.
        desk.count("DeliveryNotUnderstood", connection=connection)
        waiting = islice(waits.waiting(connection), MOST_SEEN)
        for wait in sorted(waiting, key=lambda each: (each.started_at, each.reference))[:MOST_MOVED]:
            waits.nudge(wait, None)
        return Applied()
    references: dict[str, set[str]] = {}
    strangers = []
    # A delivery that names documents is about these; it names their job and case only as their place.
    about = set(hint.document_ids) or set(hint.job_ids)
    for vendor_id in (*hint.case_ids, *hint.job_ids, *hint.document_ids)[:MOST_IDS]:
        found = _related(connection, vendor_id, desk=desk)
        strangers += [] if found else [vendor_id]
        for reference in found:
            references.setdefault(reference, set()).update({vendor_id} & about)
    for job_id in hint.job_ids[:MOST_IDS] if hint.says else ():
        for reference in desk.intents.references(connection, job_id):
            desk.cases.say(connection, reference, job_id, str(hint.says))
    for reference, ids in references.items():
        nudge(connection, reference, desk=desk, waits=waits, ids=ids, executions=executions)
    unknown = [each for each in hint.case_ids if each in strangers]
    if references or not unknown or vendor.phases[0] != "results":
        return Applied()
    if not vendor.concerns(hint):
        return Applied(verdict=NOT_OURS, why=f"it is about {', '.join(hint.scopes)[:200]}")
    if look == 0 or (look < LOOKS and desk.intents.in_doubt(connection, received_at)):
        return LOOK_AGAIN
    return _collected(settings, unknown, last=look >= LOOKS, desk=desk, executions=executions)


def _collected(
    connection: Connection, case_ids: Sequence[str], *, last: bool, desk: Desk, executions: Executions
) -> Applied:
    """Start the collection of unknown cases that are in the connection's list, with one look-up for all of them."""
    vendor = desk.vendor_of(connection)
    listed = frozenset(case_ids)
    if vendor.lists:
        try:
            listed = desk.transport.run(vendor.having(case_ids), vendor=vendor)
        except RetryableError:
            if last:
                raise
            return LOOK_AGAIN
    for case_id in [each for each in case_ids if each in listed][:MOST_COLLECTED]:
        if desk.cases.erased(connection.name, stranger_reference(case_id)) is None:
            collect_stranger(connection.name, case_id, executions=executions)
    return Applied() if listed else Applied(verdict=NOT_OURS, why="the connection's list does not have its case")


def nudge(
    connection: str,
    reference: str,
    *,
    desk: Desk,
    waits: Waits,
    ids: Collection[str] | None = None,
    executions: Starts | None = None,
) -> None:
    """Move the next poll of a case to now; a case that does not wait yet polls at once when it does.

    ``ids`` are the vendor ids of the documents or jobs to poll; without any the whole case is polled. A case that no
    longer waits is collected again by ``executions``.
    """
    if not _moved(connection, reference, waits=waits, ids=ids or None):
        desk.cases.change(connection, reference, hinted_at=iso(now()))
        if executions is not None and not _is_old_news(connection, reference, ids, desk=desk):
            ask(connection, reference, desk=desk, executions=executions)
    desk.cases.mark(connection, reference, woken=iso(now()))


def _moved(connection: str, reference: str, *, waits: Waits, ids: Collection[str] | None) -> bool:
    """Move a case's wait to now; return False if it does not wait.

    A poll that is under way may have asked the vendor a moment too early, and moves the wait as well. Then the wait is
    moved again, unless another delivery has already done that for the same ids.
    """
    began = now()
    while (wait := waits.find(connection, reference)) is not None:
        if waits.nudge(wait, ids):
            return True
        wait = waits.find(connection, reference)
        covered = wait is None or not wait.hints or (ids is not None and set(ids) <= set(wait.hints))
        if wait is not None and began <= moment(wait.next_at) <= now() and covered:
            return True
    return False


def _is_old_news(connection: str, reference: str, ids: Collection[str] | None, *, desk: Desk) -> bool:
    """Whether a delivery only names jobs whose documents are all finished, so that it contains nothing new.

    DocuStack sends one for each job, usually a moment after its last document, when the case has already ended.
    """
    case = desk.cases.find(connection, reference) if ids else None
    if case is None or not case.record.status.final:
        return False
    documents = [each for each in case.documents if each.job_id in set(ids or ())]
    jobs = {each.job_id for each in documents}
    return set(ids or ()) <= jobs and all(each.finished and not each.failed for each in documents)


def _related(connection: str, vendor_id: str, *, desk: Desk) -> tuple[str, ...]:
    """Return the cases for an id. If there are none, record a hint, which the case that records the id will see."""
    found = desk.intents.references(connection, vendor_id)
    if not found and not desk.intents.hint(connection, vendor_id):
        found = desk.intents.references(connection, vendor_id)  # recorded between the two
    return found


def collect_stranger(connection: str, case_id: str, *, executions: Executions) -> None:
    """Start the one execution that collects a vendor case which Dossier did not submit."""
    reference = stranger_reference(case_id)
    case = {"connection": connection, "reference": reference, "case_id": case_id}
    executions.start(execution_name(connection, reference, reference.removeprefix("case-")), case)


class Waker:
    """Serves the messages of the wake queue: ``{"connection", "delivery"}``, and ``again``: how often it was tried."""

    def __init__(
        self,
        *,
        desk: Desk,
        waits: Waits,
        executions: Executions,
        evidence: EvidenceStore,
        queues: Queues,
        verdicts: Verdicts,
    ) -> None:
        self._desk = desk
        self._waits = waits
        self._executions = executions
        self._evidence = evidence
        self._queues = queues
        self._verdicts = verdicts

    def serve(self, message: Mapping[str, str]) -> None:
        """Apply one delivery; queue it again if its id is still unknown."""
        look, delivery = int(message.get("again", 0)), self._evidence.read(message["delivery"])
        applied = wake(
            message["connection"],
            delivery.content,
            look=look,
            received_at=moment(delivery.received_at),
            desk=self._desk,
            waits=self._waits,
            executions=self._executions,
        )
        if applied.verdict:
            self._verdicts.keep(message["connection"], id_of(message["delivery"]), applied.verdict, applied.why)
        if not applied.done:
            self._queues.send(WAKE, {**message, "again": str(look + 1)}, after=LATER * 2**look)
