"""Nudge: move the next poll of a case to now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from dossier.models import CaseId, now
from dossier.steps.context import Context
from dossier.steps.refresh import ask

CLOCKS = timedelta(milliseconds=20)
"""How far the clocks of API Gateway and a function are apart at most: both follow AWS's time service. A collection that
begins less than that after a delivery's arrival does not count as later. One that the other delivery of the same moment
causes began 80 ms after it on a quiet local AWS, and must count as later."""


def nudge(
    case: CaseId,
    ids: Collection[str] | None = None,
    *,
    refresh: bool = False,
    received_at: datetime | None = None,
    context: Context,
) -> None:
    """Move the next poll of a case to now; a case that does not wait yet polls at once when it does.

    Args:
        case: its name.
        ids: the vendor ids of the documents or jobs to poll; without any the whole case is polled.
        refresh: whether a case that no longer waits is collected again, unless the delivery cannot say anything that
            is not collected anyway.
        received_at: when the delivery arrived; None if a collection does not read all that it tells of.
        context: the collaborators.

    """
    if not _moved(case, ids or None, context=context) and not (
        refresh and (_is_read_later(case, received_at, context=context) or _is_old_news(case, ids, context=context))
    ):
        context.cases.change(case, hinted_at=now())
        if refresh:
            ask(case, context=context)
    context.cases.mark(case, woken=now())


def _moved(case: CaseId, ids: Collection[str] | None, *, context: Context) -> bool:
    """Move a case's wait to now; return False if it does not wait.

    A poll that is under way may have asked the vendor a moment too early, and moves the wait as well. Then the wait is
    moved again, unless another delivery has already done that for the same ids.
    """
    began, waits = now(), context.waits
    while (wait := waits.find(case)) is not None:
        if waits.nudge(wait, ids):
            return True
        wait = waits.find(case)
        covered = wait is None or not wait.hints or (ids is not None and set(ids) <= set(wait.hints))
        if wait is not None and began <= wait.next_at <= now() and covered:
            return True
    return False


def _is_read_later(case: CaseId, received_at: datetime | None, *, context: Context) -> bool:
    """Whether the case's latest collection began after a delivery had arrived.

    Then whatever the delivery tells of was there before the collection read anything, as if the delivery had come
    before the collection and been counted. So it is with one that the poll which ended the wait was faster than.
    """
    if received_at is None:
        return False
    began = context.cases.collection(case).at
    return began is not None and received_at + CLOCKS <= began


def _is_old_news(case: CaseId, ids: Collection[str] | None, *, context: Context) -> bool:
    """Whether a delivery only names jobs whose documents are all finished, so that it contains nothing new.

    DocuStack sends one for each job, usually a moment after its last document, when the case no longer waits.
    """
    stored = context.cases.find(case) if ids else None
    if stored is None:
        return False
    documents = [each for each in stored.documents if each.job_id in set(ids or ())]
    jobs = {each.job_id for each in documents}
    return set(ids or ()) <= jobs and all(each.finished and not each.failed for each in documents)
