"""Upload: one request that creates something at the vendor, done once.

The order is everything: intent stored → request → answer stored in the intent → answer applied → intent deleted. A try
that dies leaves the intent; the next try asks the vendor what became of it before it does anything again. What the
vendor has is adopted at once; what it does not list may still come, until the connection's ``settling`` is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from dossier.errors import (
    CaseFailedError,
    NeedsAttentionError,
    OutcomeUnknownError,
    RetryableError,
    VendorRejectedError,
)
from dossier.http import Flow
from dossier.models import BY_REFERENCE, PRESIGNED, CaseStatus, Document, iso, now
from dossier.ports import Intent, Uploaded
from dossier.steps.work import Desk, Job
from dossier.stores.cases import pick
from dossier.stores.intents import StoredIntent
from dossier.stores.objects import secrets_of

REFUSED_FILE = {413, 415, 422}
"""Statuses by which a vendor refuses one file; the case goes on without it and says so."""
FIRST_LOOK = timedelta(seconds=5)
"""How long after its answer was lost a request is looked up, the first of two times at most."""
SIZE = 4 << 20
"""Bytes of documents for which a vendor may be at work as long as ``settling``; for twice as many, twice as long."""
LONGEST = timedelta(minutes=10)
"""Longest that a vendor is taken to be at work: half of the time for which the state machine tries again."""
SHORTEST_LINK, LONGEST_LINK = 3600.0, 7 * 86400.0
"""Least and most seconds for which a presigned URL is asked to open a document: in between, as long as the case waits.
The most is SigV4's own; a URL never outlives the credentials that signed it, a function's being good for hours.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html"""


def open_case(connection: str, reference: str, *, desk: Desk) -> None:
    """Create the vendor's case, once.

    Raises:
        NeedsAttentionError: an earlier try's outcome cannot be found out.

    """
    job = desk.load(connection, reference)
    if job.case.record.case_id is None:
        desk.cases.change(connection, reference, status=CaseStatus.UPLOADING, note="the vendor's case is opened")
        _once(job, "open", [])


def upload(connection: str, reference: str, batch: int, *, desk: Desk) -> None:
    """Upload the documents of one batch, once.

    Raises:
        NeedsAttentionError: an earlier try's outcome cannot be found out.

    """
    job = desk.load(connection, reference)
    indices = job.vendor.batches(job.view)[batch]
    if all(each.document_id or each.finished for each in pick(job.case.documents, indices)):
        desk.intents.end(connection, reference, f"upload-{batch}")
        return
    desk.cases.change(connection, reference, status=CaseStatus.UPLOADING, note=None)
    _once(job, f"upload-{batch}", indices)


def _once(job: Job, what: str, indices: Sequence[int]) -> None:
    intents, record = job.desk.intents, job.case.record
    key = (record.connection, record.reference, what)
    intent = intents.find(*key)
    answer = intent.answer if intent else None
    if intent and answer is None:
        answer = _adopt(job, indices, intent.adopt) if intent.adopt else _find(job, what, indices, intent)
        if answer is not None:
            intents.answer(*key, answer)
    if answer is None:
        answer = _create(job, what, indices)
        intents.answer(*key, answer)
    apply(job, what, answer)


def _create(job: Job, what: str, indices: Sequence[int]) -> Uploaded:
    intents, record = job.desk.intents, job.case.record
    key = (record.connection, record.reference, what)
    names = [each.name for each in pick(job.case.documents, indices)]
    known = job.run(job.vendor.before_upload(job.view, indices)) if indices else frozenset()
    with job.lease(what):
        if not intents.begin(*key, names=names, known=known):
            raise OutcomeUnknownError(f"{what}: an earlier try has been answered meanwhile")
        return _perform(job, what, indices)


def _perform(job: Job, what: str, indices: Sequence[int]) -> Uploaded:
    intents, record = job.desk.intents, job.case.record
    key = (record.connection, record.reference, what)
    opened = _presigned(job, indices)
    try:
        return job.run(
            _request(job, indices, opened), hide=[secret for url in opened.values() for secret in secrets_of(url)]
        )
    except OutcomeUnknownError:
        intents.lost(*key)  # the intent stays: the next try looks it up
        raise
    except VendorRejectedError as error:
        if error.status in REFUSED_FILE and len(indices) == 1 and "documents" in job.vendor.phases:
            return Uploaded(case_id=record.case_id, failures={indices[0]: str(error)})
        intents.end(*key)
        raise
    except (RetryableError, CaseFailedError):
        intents.end(*key)  # certainly not performed
        raise


def _presigned(job: Job, indices: Sequence[int]) -> dict[int, str]:
    """Return a presigned URL for each document that the vendor is to read by one; made here, and stored nowhere."""
    if job.case.record.options.get(BY_REFERENCE) != PRESIGNED:
        return {}
    seconds = min(max(job.connection.poll.deadline, SHORTEST_LINK), LONGEST_LINK)
    documents = [each for each in pick(job.case.documents, indices) if each.key]
    return {each.index: job.desk.objects.link(each.key, round(seconds)) for each in documents}


def _request(job: Job, indices: Sequence[int], refs: Mapping[int, str]) -> Flow[Uploaded]:
    if not indices:
        return job.vendor.open(job.view)
    documents = tuple(each.model_copy(update={"ref": refs.get(each.index, each.ref)}) for each in job.view.documents)
    return job.vendor.upload(replace(job.view, documents=documents), indices)


def _adopt(job: Job, indices: Sequence[int], found: str) -> Uploaded | None:
    """Take what an operator found at the vendor: its case, or the upload's one document."""
    if not indices:
        return Uploaded(case_id=found)
    if "documents" in job.vendor.phases:
        return Uploaded(case_id=job.case.record.case_id, document_ids=dict.fromkeys(indices, found))
    return job.look_up("adopt", job.vendor.find_uploaded(job.view, indices, Intent(at=now(), adopt=found)))


def _find(job: Job, what: str, indices: Sequence[int], intent: StoredIntent) -> Uploaded | None:
    """Ask the vendor what became of an earlier try; None: it certainly had no effect."""
    intents, record = job.desk.intents, job.case.record
    key = (record.connection, record.reference, what)
    lost_at, settled = intent.lost_at or intents.lost(*key), _settled(job, indices)
    age = now() - lost_at
    if age < (settled if intent.unlisted else min(FIRST_LOOK, settled)):
        raise OutcomeUnknownError(f"{what}: the answer to an earlier try was lost; it is looked up in a moment")
    rivals = intents.rivals(record.connection, record.reference, intent)
    if rivals and now() - intent.at < job.desk.rivalry:
        raise OutcomeUnknownError(f"{what}: {rivals} other uploads of a file of this name have to be settled first")
    others = intents.known(record.connection, record.reference, intent.at)
    before = Intent(at=intent.at, known=intent.known | others, rivals=rivals)
    find = job.vendor.find_uploaded(job.view, indices, before) if indices else job.vendor.find_opened(job.view, before)
    # What was read for an earlier request of this upload, or before the vendor had settled, would not know of this one.
    found = job.look_up(f"{what}@{iso(intent.at)}{'' if age < settled else '!'}", find)
    if found is None and age < settled:
        intents.unlisted(*key)
        raise OutcomeUnknownError(
            f"{what}: the answer to an earlier try was lost; the vendor may still be at work on it"
        )
    return found


def _settled(job: Job, indices: Sequence[int]) -> timedelta:
    """Return how long after its answer was lost a request that the vendor does not know of has had no effect."""
    size = sum(each.size for each in pick(job.case.documents, indices))
    return min(LONGEST, timedelta(seconds=job.connection.settling) * max(1, size / SIZE))


def apply(job: Job, what: str, answer: Uploaded) -> None:
    """Write down what the vendor answered (a look-up found, an operator said); may be done again.

    Raises:
        NeedsAttentionError: another case owns one of the ids.

    """
    record, intents = job.case.record, job.desk.intents
    names = (record.connection, record.reference)
    new_case = answer.case_id if answer.case_id != record.appends_to else None
    ids = [each for each in (new_case, answer.job_id, *answer.document_ids.values()) if each]
    owned, hinted = intents.own(*names, ids)
    if not owned:
        intents.end(*names, what)
        raise NeedsAttentionError(f"{what}: the vendor's answer names something that belongs to another case")
    changes = {"case_id": answer.case_id} if answer.case_id else {}
    if hinted:
        changes["hinted_at"] = changes["woken"] = iso(now())
    if changes:
        job.desk.cases.change(*names, **changes)
    # The documents last: once all of them have ids, the next try takes the upload for done, case id and all.
    changed = [_applied(document, answer) for document in job.case.documents if _concerned(document, answer)]
    job.desk.cases.put_documents(*names, changed, fresh=False)
    intents.end(*names, what)


def _concerned(document: Document, answer: Uploaded) -> bool:
    return document.index in answer.document_ids or document.index in answer.failures


def _applied(document: Document, answer: Uploaded) -> Document:
    refused = answer.failures.get(document.index)
    changes = {
        "document_id": answer.document_ids.get(document.index),
        "job_id": answer.job_id,
        "failed": refused is not None,
        "finished": refused is not None,
        "error": refused,
    }
    return document.model_copy(update=changes)
