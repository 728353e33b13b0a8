"""Adopt: look up at the vendor the id that an operator named as the effect of a lost request."""

from __future__ import annotations

from dataclasses import replace

from dossier.errors import (
    InvalidCaseError,
    MalformedAnswerError,
    NeedsAttentionError,
    StrayAnswerError,
    VendorRejectedError,
)
from dossier.models import CaseId, now
from dossier.ports import Intent, Uploaded
from dossier.steps.context import LoadedCase
from dossier.texts import identifier

OPEN, UPLOAD = "open", "upload-"
"""Names of questions: about the opening of the vendor's case, or about ``upload-<batch>``."""


def adopt(loaded: LoadedCase, what: str, named: str, *, thorough: bool = False) -> Uploaded:
    """Return the vendor's object under an id that an operator named.

    Args:
        loaded: the case.
        what: the request in question.
        named: the vendor's id.
        thorough: whether names and lists must match as well. Vendors rewrite names, so the operator decides.

    Raises:
        NeedsAttentionError: the vendor does not have it, or the request certainly did not create it.
        RetryableError: the vendor could not be asked.

    """
    record, connection = loaded.case.record, loaded.connection.name
    if identifier(named) is None:
        raise NeedsAttentionError(f"{named[:100]!r} cannot be a vendor id")
    maker = loaded.context.intents.maker(connection, named)
    if maker not in {None, record.reference} and named != record.appends_to:
        raise NeedsAttentionError(f"{named} already belongs to case {maker}")
    stored = loaded.context.intents.find(CaseId(connection, record.reference), what)
    seen = loaded.context.intents.seen(connection, stored.seen) if stored else None
    known = {*(stored.known if stored else record.known_files or ()), *(seen.ids if seen else ())}
    intent = Intent(at=stored.began if stored else now(), known=known, adopt=named, thorough=thorough)
    # Ids that an earlier answer gave this request's documents must not count as other documents'.
    indices = loaded.vendor.batches(loaded.view)[int(what.removeprefix(UPLOAD))] if what != OPEN else ()
    others = tuple(
        each.model_copy(update={"document_id": None}) if each.index in indices else each
        for each in loaded.view.documents
    )
    view = replace(loaded.view, documents=others)
    vendor = loaded.vendor
    flow = vendor.find_uploaded(view, indices, intent) if indices else vendor.find_opened(view, intent)
    try:
        found = loaded.run(flow)
    except (VendorRejectedError, MalformedAnswerError, InvalidCaseError) as error:
        raise NeedsAttentionError(f"{named} cannot be looked up at the vendor: {error}") from error
    except StrayAnswerError as error:
        if error.status not in {404, 410} or not error.worded:
            raise
        raise NeedsAttentionError(f"the vendor does not know {named} ({error})") from error
    if found is None:
        raise NeedsAttentionError(f"the vendor does not know {named}")
    return found
