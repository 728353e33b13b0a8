"""Wait: store a case's wait, with the task token that the state machine waits on."""

from __future__ import annotations

from dossier.errors import VendorRejectedError
from dossier.models import CaseId, CaseStatus, Phase, now
from dossier.schedule import calls, plan
from dossier.steps.context import Context
from dossier.steps.nudge import nudge
from dossier.steps.sources import together
from dossier.stores.timings import kind_of


def wait(case: CaseId, phase: Phase, token: str, *, context: Context) -> None:
    """Store the wait and send its first poll message.

    The polls are planned from the durations of earlier waits. The first poll is made now if a delivery arrived before
    the wait (for example before the documents' ids were known), or if the case is only collected, because it has most
    likely been finished for a long time.

    Raises:
        VendorRejectedError: the vendor rejected every document, so there is nothing to wait for.

    """
    loaded = context.load(case)
    refused = [each for each in loaded.case.documents if each.failed and each.document_id is None]
    if refused and len(refused) == len(loaded.case.documents):
        raise VendorRejectedError(together([f"{each.name}: {each.error}" for each in refused]))
    poll = loaded.connection.poll
    before, from_before = loaded.case.record.hinted_at, loaded.case.record.waited_from
    hinted = before is not None and (from_before is None or before >= from_before)
    assessing = phase == "results" and len(loaded.vendor.phases) > 1
    context.cases.change(
        case,
        status=CaseStatus.PROCESSING if assessing else CaseStatus.WAITING,
        note="the vendor assesses the case" if assessing else "the vendor reads the documents",
        waited_from=before if hinted else now(),  # another try, if this one dies, still sees the delivery
    )
    kind = kind_of(phase, loaded.case)
    spans = context.timings.spans(case.connection, kind) if kind else ()
    context.waits.start(
        case,
        phase=phase,
        token=token,
        first=0.0 if hinted or not loaded.case.documents else poll.first,
        deadline=loaded.case.record.deadline or poll.deadline,
        attempt=loaded.case.record.attempt,
        priority=loaded.case.record.priority,
        kind=kind,
        plan=plan(spans, poll),
        called=calls(spans),
        woken=hinted,
        trace=loaded.case.record.trace,
    )
    if context.cases.record(case).hinted_at != before:  # a delivery arrived meanwhile
        nudge(case, context=context)
