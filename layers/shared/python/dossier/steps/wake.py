"""Wake: a verified delivery moves the next poll of its cases to now. It carries no truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dossier.errors import InvalidCaseError, RetryableError
from dossier.models import execution_name, iso, moment, now, stranger_reference
from dossier.ports import Hint
from dossier.settings import Connection
from dossier.steps.refresh import Starts, ask
from dossier.steps.work import Desk
from dossier.stores.evidence import EvidenceStore, id_of
from dossier.stores.executions import Executions
from dossier.stores.queues import WAKE, Queues
from dossier.stores.verdicts import Verdicts
from dossier.stores.waits import Wait, Waits

MOST_IDS = 50
"""Ids of one delivery that are looked at: with a body full of them it would outlast the function, and so would every
other delivery of its batch be tried again, until all of them are dead letters."""
MOST_MOVED, MOST_SEEN = 10, 500
"""Waits that a delivery moves which names nothing, and those among which the oldest are looked for."""
LOOKS = 6
"""Looks at a delivery about a case that nobody knows, before the case is collected whatever may be in doubt."""
LATER = 30
"""Seconds until the second look; each next one takes twice as long, as far as SQS goes: half an hour in all."""
MOST_COLLECTED = 5
"""Cases that nobody knows which one delivery may have collected."""
NOT_OURS = "not ours"
"""The verdict on a delivery about a case of somebody else: nothing is done, and nothing fails."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a delivery."""

    done: bool = True
    """False if it should be looked at again later."""
    verdict: str | None = None
    """What was found out about it, if it is to be kept."""
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
    """Apply one delivery; say whether it should be looked at again later, and if it is about somebody else's case.

    Every case that has to do with what it names is told. An id that belongs to nobody may be of an upload whose answer
    is not stored yet: it is remembered. For a vendor whose operators work on cases of their own (Docsumo) it is looked
    at again, and then an execution is started that collects the case, if the connection's list has it; while an upload
    from before the delivery is in doubt, it is most likely that one's.

    Args:
        connection: whose delivery it is.
        body: the delivery.
        look: how many times it was looked at before.
        received_at: when it came.
        desk: cases, intents and vendors.
        waits: the waiting room.
        executions: where a case is collected.

    """
    try:
        settings = desk.connection_of(connection)
    except InvalidCaseError:
        return Applied()  # removed since: its evidence stays, and no case of it is polled
    vendor = desk.vendor_of(settings.vendor)
    hint = vendor.read_hint(body)
    if hint is None:
        desk.count("DeliveryNotUnderstood", connection=connection)
        _move_oldest(connection, waits=waits)
        return Applied()
    references: dict[str, set[str]] = {}
    strangers = []
    # A delivery that names documents is about these; their job, and their case, is only where they belong.
    about = set(hint.document_ids) or set(hint.job_ids)
    for vendor_id in (*hint.case_ids, *hint.job_ids, *hint.document_ids)[:MOST_IDS]:
        found = _related(connection, vendor_id, desk=desk)
        strangers += [] if found else [vendor_id]
        for reference in found:
            references.setdefault(reference, set()).update({vendor_id} & about)
    _say(connection, hint, desk)
    for reference, ids in references.items():
        nudge(connection, reference, desk=desk, waits=waits, ids=ids, executions=executions)
    unknown = [each for each in hint.case_ids if each in strangers]
    if references or not unknown or vendor.phases[0] != "results":
        return Applied()
    if not vendor.concerns(settings, hint):
        return Applied(verdict=NOT_OURS, why=f"it is about {', '.join(hint.scopes)[:200]}")
    if look == 0 or (look < LOOKS and desk.intents.in_doubt(connection, received_at)):
        return LOOK_AGAIN
    return _collected(settings, unknown, last=look >= LOOKS, desk=desk, executions=executions)


def _move_oldest(connection: str, *, waits: Waits) -> None:
    """Move the next polls of a connection's oldest waits to now, one each.

    The vendor has proven that something happened, and not said in a form that is read what it is about: it is most
    likely one of those that have waited longest.
    """
    waiting = islice(waits.waiting(connection), MOST_SEEN)
    for wait in sorted(waiting, key=lambda each: (each.started_at, each.reference))[:MOST_MOVED]:
        waits.nudge(wait, None)


def _say(connection: str, hint: Hint, desk: Desk) -> None:
    """Write down what a delivery says of why a job failed."""
    for job_id in hint.job_ids[:MOST_IDS] if hint.says else ():
        for reference in desk.intents.references(connection, job_id):
            desk.cases.say(connection, reference, job_id, str(hint.says))


def _collected(
    connection: Connection, case_ids: Sequence[str], *, last: bool, desk: Desk, executions: Executions
) -> Applied:
    """Have cases that nobody knows collected, those that the connection's list has: one look-up for all of them."""
    vendor = desk.vendor_of(connection.vendor)
    listed = frozenset(case_ids)
    if vendor.lists:
        try:
            listed = desk.transport.run(vendor.having(connection, case_ids), vendor=vendor, connection=connection)
        except RetryableError:
            if last:
                raise
            return LOOK_AGAIN
    for case_id in [each for each in case_ids if each in listed][:MOST_COLLECTED]:
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
    """Move the next poll of a case to now; a case that does not wait yet will poll at once when it does.

    ``ids`` are vendor ids of the documents or jobs that it is about: only these are asked for. Without any it is about
    the whole case. A case that waits no more is collected again, by ``executions``.
    """
    if not _moved(connection, reference, waits=waits, ids=ids or None):
        desk.cases.change(connection, reference, hinted_at=iso(now()))
        if executions is not None and not _is_old_news(connection, reference, ids, desk=desk):
            ask(connection, reference, desk=desk, executions=executions)
    desk.cases.mark(connection, reference, woken=iso(now()))


def _moved(connection: str, reference: str, *, waits: Waits, ids: Collection[str] | None) -> bool:
    """Move a case's wait to now; return False if it does not wait.

    A poll that is under way may have asked the vendor a moment before there was anything to tell, and moves the wait
    too: then it is moved again, unless another delivery has done so since, for what this one is about.
    """
    began = now()
    while (wait := waits.find(connection, reference)) is not None:
        if waits.nudge(wait, ids):
            return True
        wait = waits.find(connection, reference)
        if wait is not None and began <= moment(wait.next_at) <= now() and _covers(wait, ids):
            return True
    return False


def _covers(wait: Wait, ids: Collection[str] | None) -> bool:
    """Whether the next poll of a wait asks for what ``ids`` name (None: for all)."""
    return not wait.hints if ids is None else not wait.hints or set(ids) <= set(wait.hints)


def _is_old_news(connection: str, reference: str, ids: Collection[str] | None, *, desk: Desk) -> bool:
    """Whether a delivery is about jobs alone whose documents are all known to be done: it tells nothing new.

    DocuStack says so of each job, most often a moment after its last document, when the case has ended by that.
    """
    case = desk.cases.find(connection, reference) if ids else None
    if case is None or not case.record.status.final:
        return False
    documents = [each for each in case.documents if each.job_id in set(ids or ())]
    jobs = {each.job_id for each in documents}
    return set(ids or ()) <= jobs and all(each.finished and not each.failed for each in documents)


def _related(connection: str, vendor_id: str, *, desk: Desk) -> tuple[str, ...]:
    """Return the cases that have to do with an id; of one that has none, whoever records it will be told."""
    found = desk.intents.references(connection, vendor_id)
    if not found and not desk.intents.hint(connection, vendor_id):
        found = desk.intents.references(connection, vendor_id)  # recorded between the two
    return found


def collect_stranger(connection: str, case_id: str, *, executions: Executions) -> None:
    """Start the execution that collects a vendor case which Dossier did not submit, once."""
    reference = stranger_reference(case_id)
    case = {"connection": connection, "reference": reference, "case_id": case_id}
    executions.start(execution_name(connection, reference, reference.removeprefix("case-")), case)


class Waker:
    """Serves the messages of the wake queue: ``{"connection", "delivery"}``, and ``again``: how often it was seen."""

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
        """Apply one delivery; one about an id that nobody knows yet comes back later."""
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
