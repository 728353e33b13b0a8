"""Wait: store a case's wait, with the task token that the state machine waits on."""

from __future__ import annotations

from dossier.errors import VendorRejectedError
from dossier.models import CaseStatus, Phase, iso, now
from dossier.steps.sources import together
from dossier.steps.wake import nudge
from dossier.steps.work import Desk
from dossier.stores.waits import Waits


def wait(connection: str, reference: str, phase: Phase, token: str, *, desk: Desk, waits: Waits) -> None:
    """Store the wait and send its first poll message.

    The first poll is made now if a delivery arrived before the wait (before the documents' ids were known, say), or if
    the case is only collected: it has most likely been finished for long.

    Raises:
        VendorRejectedError: the vendor rejected every document, so there is nothing to wait for.

    """
    job = desk.load(connection, reference)
    refused = [each for each in job.case.documents if each.failed and each.document_id is None]
    if refused and len(refused) == len(job.case.documents):
        raise VendorRejectedError(together([f"{each.name}: {each.error}" for each in refused]))
    poll = job.connection.poll
    assessing = phase == "results" and len(job.vendor.phases) > 1
    desk.cases.change(
        connection,
        reference,
        status=CaseStatus.PROCESSING if assessing else CaseStatus.WAITING,
        note="the vendor assesses the case" if assessing else "the vendor reads the documents",
        waited_from=iso(now()),
    )
    before = job.case.record.hinted_at
    hinted = before is not None and before >= (job.case.record.waited_from or "")
    first = 0.0 if hinted or not job.case.documents else poll.first
    waits.start(
        connection, reference, phase=phase, token=token, first=first, deadline=job.case.record.deadline or poll.deadline
    )
    if desk.cases.get(connection, reference).record.hinted_at != before:  # a delivery arrived meanwhile
        nudge(connection, reference, desk=desk, waits=waits)
