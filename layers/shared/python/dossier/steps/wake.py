"""Wake: a verified delivery moves the next poll of its cases to now. It carries no truth."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import islice

from dossier.errors import InvalidCaseError
from dossier.models import REFERENCE, execution_name, iso, moment, now
from dossier.ports import Hint
from dossier.steps.work import Desk
from dossier.stores.evidence import EvidenceStore
from dossier.stores.executions import Executions
from dossier.stores.queues import WAKE, Queues
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


def wake(
    connection: str,
    body: bytes,
    *,
    look: int,
    received_at: datetime,
    desk: Desk,
    waits: Waits,
    executions: Executions,
) -> bool:
    """Apply one delivery; return False if it should be looked at again later.

    An id that belongs to nobody may be of an upload whose answer is not stored yet: it is remembered. For a vendor
    whose operators work on cases of their own (Docsumo) it is looked at again, and then an execution is started that
    collects the case; while an upload from before the delivery is in doubt, it is most likely that one's.

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
        return True  # removed since: its evidence stays, and no case of it is polled
    vendor = desk.vendor_of(settings.vendor)
    hint = vendor.read_hint(body)
    if hint is None:
        desk.count("DeliveryNotUnderstood", connection=connection)
        _move_oldest(connection, waits=waits)
        return True
    references: dict[str, set[str]] = {}
    strangers = []
    # A delivery that names documents is about these; their job, and their case, is only where they belong.
    about = set(hint.document_ids) or set(hint.job_ids)
    for vendor_id in (*hint.case_ids, *hint.job_ids, *hint.document_ids)[:MOST_IDS]:
        reference = _owner(connection, vendor_id, desk=desk)
        if reference is None:
            strangers.append(vendor_id)
        else:
            references.setdefault(reference, set()).update({vendor_id} & about)
    if hint.says:
        for job_id in hint.job_ids[:MOST_IDS]:
            if (owner := desk.intents.owner(connection, job_id)) is not None:
                desk.cases.say(connection, owner, job_id, hint.says)
    for reference, ids in references.items():
        nudge(connection, reference, desk=desk, waits=waits, ids=ids)
    if references or not _collectable(hint, strangers, vendor.phases[0]):
        return True
    if look == 0 or (look < LOOKS and desk.intents.in_doubt(connection, received_at)):
        return False
    for case_id in hint.case_ids[:MOST_IDS]:
        collect_stranger(connection, case_id, executions=executions)
    return True


def _move_oldest(connection: str, *, waits: Waits) -> None:
    """Move the next polls of a connection's oldest waits to now, one each.

    The vendor has proven that something happened, and not said in a form that is read what it is about: it is most
    likely one of those that have waited longest.
    """
    waiting = islice(waits.waiting(connection), MOST_SEEN)
    for wait in sorted(waiting, key=lambda each: (each.started_at, each.reference))[:MOST_MOVED]:
        waits.nudge(wait, None)


def nudge(connection: str, reference: str, *, desk: Desk, waits: Waits, ids: Collection[str] | None = None) -> None:
    """Move the next poll of a case to now; a case that does not wait yet will poll at once when it does.

    ``ids`` are vendor ids of the documents or jobs that it is about: only these are asked for. Without any it is about
    the whole case.
    """
    if not _moved(connection, reference, waits=waits, ids=ids or None):
        desk.cases.change(connection, reference, hinted_at=iso(now()))
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


def _owner(connection: str, vendor_id: str, *, desk: Desk) -> str | None:
    """Return the case that an id belongs to; None if it belongs to nobody, and whoever records it will be told."""
    owner = desk.intents.owner(connection, vendor_id)
    if owner is None and not desk.intents.hint(connection, vendor_id):
        owner = desk.intents.owner(connection, vendor_id)  # recorded between the two
    return owner


def collect_stranger(connection: str, case_id: str, *, executions: Executions) -> None:
    """Start the execution that collects a vendor case which Dossier did not submit, once."""
    digest = hashlib.sha256(case_id.encode()).hexdigest()
    reference = case_id if REFERENCE.fullmatch(case_id) else f"case-{digest[:32]}"
    case = {"connection": connection, "reference": reference, "case_id": case_id}
    executions.start(execution_name(connection, reference, digest), case)


def _collectable(hint: Hint, strangers: list[str], first_phase: str) -> bool:
    """Whether the delivery is about a case whose results can be collected without having submitted it."""
    return first_phase == "results" and any(each in strangers for each in hint.case_ids)


class Waker:
    """Serves the messages of the wake queue: ``{"connection", "delivery"}``, and ``again``: how often it was seen."""

    def __init__(
        self, *, desk: Desk, waits: Waits, executions: Executions, evidence: EvidenceStore, queues: Queues
    ) -> None:
        self._desk = desk
        self._waits = waits
        self._executions = executions
        self._evidence = evidence
        self._queues = queues

    def serve(self, message: Mapping[str, str]) -> None:
        """Apply one delivery; one about an id that nobody knows yet comes back later."""
        look, delivery = int(message.get("again", 0)), self._evidence.read(message["delivery"])
        done = wake(
            message["connection"],
            delivery.content,
            look=look,
            received_at=moment(delivery.received_at),
            desk=self._desk,
            waits=self._waits,
            executions=self._executions,
        )
        if not done:
            self._queues.send(WAKE, {**message, "again": str(look + 1)}, after=LATER * 2**look)
