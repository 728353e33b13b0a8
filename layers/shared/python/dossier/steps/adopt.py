"""Adopt: what an operator says that a lost request has made is looked up at the vendor before it is believed."""

from __future__ import annotations

from dataclasses import replace

from dossier.errors import (
    InvalidCaseError,
    MalformedAnswerError,
    NeedsAttentionError,
    StrayAnswerError,
    VendorRejectedError,
)
from dossier.models import now
from dossier.ports import Intent, Uploaded
from dossier.steps.work import Job
from dossier.texts import identifier

OPEN, UPLOAD = "open", "upload-"
"""What a question is about: the opening of the vendor's case, or ``upload-<batch>``."""


def adopt(job: Job, what: str, named: str, *, thorough: bool = False) -> Uploaded:
    """Return what the vendor has under an id that an operator named.

    Args:
        job: the case.
        what: the request that the id answers for.
        named: the vendor's id, as the operator gives it.
        thorough: whether names and lists have to fit as well. Vendors rewrite names, so the operator decides.

    Raises:
        NeedsAttentionError: the vendor does not have it, or it is certainly not what the request made.
        RetryableError: the vendor could not be asked.

    """
    record, connection = job.case.record, job.connection.name
    if identifier(named) is None:
        raise NeedsAttentionError(f"{named[:100]!r} cannot be an id of the vendor's")
    maker = job.desk.intents.maker(connection, named)
    if maker not in {None, record.reference} and named != record.appends_to:
        raise NeedsAttentionError(f"{named} belongs to case {maker} already")
    stored = job.desk.intents.find(connection, record.reference, what)
    seen = job.desk.intents.seen(connection, stored.seen) if stored else None
    known = {*(stored.known if stored else record.known_files or ()), *(seen.ids if seen else ())}
    intent = Intent(at=stored.began if stored else now(), known=known, adopt=named, thorough=thorough)
    # What an earlier answer has put down of this request is not what it is compared with.
    indices = job.vendor.batches(job.view)[int(what.removeprefix(UPLOAD))] if what != OPEN else ()
    others = tuple(
        each.model_copy(update={"document_id": None}) if each.index in indices else each for each in job.view.documents
    )
    view = replace(job.view, documents=others)
    vendor = job.vendor
    flow = vendor.find_uploaded(view, indices, intent) if indices else vendor.find_opened(view, intent)
    try:
        found = job.run(flow)
    except (VendorRejectedError, MalformedAnswerError, InvalidCaseError) as error:
        raise NeedsAttentionError(f"{named} cannot be looked up at the vendor: {error}") from error
    except StrayAnswerError as error:
        if error.status not in {404, 410} or not error.worded:
            raise
        raise NeedsAttentionError(f"the vendor does not know {named} ({error})") from error
    if found is None:
        raise NeedsAttentionError(f"the vendor does not know {named}")
    return found
