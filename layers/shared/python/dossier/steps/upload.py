"""Upload: a request that creates something at the vendor, made once.

The order matters: store the intent → send the request → store the answer in the intent → apply the answer → delete the
intent. A try that dies leaves the intent, and the next try looks it up at the vendor before it sends anything again.
A step adopts at once what the vendor lists. An entry may still appear until the connection's ``settling`` is over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dossier.clocks import vendor_date
from dossier.errors import (
    CaseFailedError,
    MalformedAnswerError,
    NeedsAttentionError,
    OutcomeUnknownError,
    RetryableError,
    StrayAnswerError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.http import Flow, Reply
from dossier.models import BY_REFERENCE, PRESIGNED, CaseId, CaseStatus, Document, iso, now
from dossier.ports import Intent, Seen, Uploaded
from dossier.steps.adopt import OPEN, UPLOAD, adopt
from dossier.steps.context import Context, LoadedCase
from dossier.stores.cases import Doubt, pick
from dossier.stores.intents import SEEN_IS_FRESH, SEEN_IS_NEW, StoredIntent
from dossier.stores.objects import secrets_of
from dossier.texts import line

LONGEST_QUESTION, MOST_CHOICES = 1000, 20
"""Characters of a question, and choices that are stored with it."""
REFUSED_FILE = {413, 415, 422}
"""Statuses that reject one file; the case continues without it, and the result says so."""
FIRST_LOOK = timedelta(seconds=5)
"""Time from a lost answer to the first of at most two look-ups."""
TRIES_TO_LIST = 6
"""After so many failures in a row a connection uploads without reading its list; a lost answer becomes a question."""
MOST_KNOWN = 200_000
"""Most bytes of the ids in a vendor's case that are stored before an upload: an item of the table has 400 KiB."""
CLOCK_TICK = timedelta(seconds=1)
"""A reply's ``Date`` has whole seconds."""
SIZE = 4 << 20
"""Bytes of documents that a vendor processes within ``settling``; larger uploads get proportionally more time."""
LONGEST = timedelta(minutes=10)
"""Longest time that a vendor may need to process a request: half of the time that the state machine retries."""
_ACCEPTED = {"index", "name", "key", "version_id", "size", "sha256", "content_type", "pages", "ref", "warning"}
"""Attributes of a document from before its upload."""
SHORTEST_LINK, LONGEST_LINK = 3600.0, 7 * 86400.0
"""Least and most seconds until a presigned URL expires; in between, as long as the case waits. The most is SigV4's
limit. A URL also expires with the credentials that signed it, a function's after hours.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html"""


@dataclass(frozen=True, slots=True)
class VendorWrite:
    """A write at the vendor that must happen once: the opening of a case, or the upload of some of its documents."""

    loaded: LoadedCase
    what: str
    """The intent's name within the case."""
    indices: Sequence[int]
    """Indices of the documents; empty if the case is opened."""

    @property
    def case(self) -> CaseId:
        """The case that it belongs to."""
        return self.loaded.case.record.id

    @property
    def key(self) -> tuple[CaseId, str]:
        """What names its intent."""
        return self.case, self.what

    @property
    def documents(self) -> list[Document]:
        """The documents that it uploads."""
        return pick(self.loaded.case.documents, self.indices)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Store a question to an operator in full, because the state machine truncates error texts."""
        try:
            yield
        except NeedsAttentionError as error:
            text, choices = line(str(error), LONGEST_QUESTION), error.choices[:MOST_CHOICES]
            self.loaded.context.cases.wonder(self.case, Doubt(what=self.what, text=text, choices=choices))
            raise


def open_case(case: CaseId, *, context: Context) -> None:
    """Create the vendor's case, once.

    Raises:
        NeedsAttentionError: the outcome of an earlier try is unknown.

    """
    loaded = context.load(case)
    write = VendorWrite(loaded, OPEN, ())
    with loaded.telling(), write.asking():
        if loaded.case.record.case_id is None:
            if loaded.case.record.trouble is None:
                context.cases.continue_upload(case, note="opening the vendor's case")
            _perform(write)
            return
        if OPEN in loaded.case.named and not any(each.document_id for each in loaded.case.documents):
            _confirm(write, loaded.case.named[OPEN])
    context.intents.end(*write.key)  # left by a try that died once it had stored the case's id


def upload(case: CaseId, batch: int, *, context: Context) -> None:
    """Upload the documents of one batch, once.

    Raises:
        NeedsAttentionError: the outcome of an earlier try is unknown.

    """
    loaded = context.load(case)
    write = VendorWrite(loaded, f"{UPLOAD}{batch}", loaded.vendor.batches(loaded.view)[batch])
    if all(each.document_id or each.finished for each in write.documents):
        named = loaded.case.named.get(write.what)
        if named is not None and any(each.failed or not each.finished for each in write.documents):
            with loaded.telling(), write.asking():
                _confirm(write, named)
        context.intents.end(*write.key)
        return
    record = loaded.case.record
    if record.trouble is None and (record.status is not CaseStatus.UPLOADING or record.note is not None):
        context.cases.continue_upload(case)
    with loaded.telling(), write.asking():
        _perform(write)


def _perform(write: VendorWrite) -> None:
    intents = write.loaded.context.intents
    intent = intents.find(*write.key)
    answer = intent.answer if intent else None
    if intent and answer is None:
        if intent.adopt:  # the id stays in the intent until another answer replaces it
            answer = replace(adopt(write.loaded, write.what, intent.adopt), named=intent.adopt)
        else:
            answer = _find(write, intent)
        if answer is not None:
            intents.answer(*write.key, answer)
    if answer is None:
        answer = _create(write, intent)
        if answer is None:
            return
        intents.answer(*write.key, answer)
    _apply(write, answer)


@dataclass(frozen=True, slots=True)
class Before:
    """The vendor's state before a request, by which a look-up recognizes the request's effect."""

    known: frozenset[str] = frozenset()
    """Ids in the vendor's case that the request adds to."""
    seen: str | None = None
    """Name of the account's list, for a request outside of any case (``Intents.seen``)."""
    fresh: bool = False
    since: datetime | None = None
    alone: bool = False
    """Whether the vendor's case contains only the documents in this case's records."""


def _create(write: VendorWrite, earlier: StoredIntent | None) -> Uploaded | None:
    """Store the data for a look-up, then send the request; return None if another try has done so meanwhile.

    If an ``earlier`` request had no effect, its state from before is used again: if it takes effect late after all,
    its result is newer than that state.
    """
    loaded = write.loaded
    with loaded.lease(write.what) if write.indices else nullcontext():  # a slot is for a transfer of documents
        if earlier is not None and not (earlier.seen is None and _is_listed(write)):
            before = Before(earlier.known, earlier.seen, earlier.fresh, earlier.began)
        elif not write.indices:
            before = Before(alone=earlier is None)
        elif _is_listed(write):
            before = _in_account(write)
        else:
            known = _in_case(write)
            own = {each.document_id for each in loaded.case.documents}
            before = Before(known, fresh=True, alone=loaded.case.record.alone_at is not None and known <= own)
        if write.indices and loaded.case.record.appends_to and loaded.case.record.known_files is None:
            loaded.context.cases.change(write.case, known_files=sorted(before.known))
        begun = loaded.context.intents.begin(
            *write.key,
            names=[each.name for each in write.documents],
            known=before.known,
            seen=before.seen,
            fresh=before.fresh,
            since=before.since,
            into=loaded.case.record.case_id,
            earlier=earlier,
        )
        if not begun:
            raise OutcomeUnknownError(f"{write.what}: another try has begun or was answered meanwhile")
        if earlier is None and _is_done(write):
            loaded.context.intents.end(*write.key)
            return None
        return replace(_send(write), alone=before.alone)


def _is_done(write: VendorWrite) -> bool:
    """Return whether another try was answered after this one had read the case.

    That try deletes its intent last. So if this one finds none, the case's records are complete.
    """
    cases = write.loaded.context.cases
    if not write.indices:
        return cases.record(write.case).case_id is not None
    waiting = next((each for each in write.documents if not (each.document_id or each.finished)), None)
    found = None if waiting is None else cases.document(write.case, waiting.index)
    return found is not None and bool(found.document_id or found.finished)


def _is_listed(write: VendorWrite) -> bool:
    """Whether a request can be looked up in the account's list, because it adds to no vendor case."""
    return bool(write.indices) and write.loaded.vendor.lists and write.loaded.case.record.case_id is None


def _in_account(write: VendorWrite) -> Before:
    """Return the account's list, from a stored one if it is only minutes old.

    A list that keeps failing does not stop uploads.
    """
    loaded, intents, connection = write.loaded, write.loaded.context.intents, write.loaded.connection
    latest, age = intents.latest_seen(connection.name)
    if age < SEEN_IS_FRESH:
        return Before(seen=latest, fresh=latest is not None and age < SEEN_IS_NEW)
    try:
        seen = intents.saw(connection.name, loaded.run(loaded.vendor.listed()))
    except (VendorRejectedError, MalformedAnswerError, VendorUnavailableError) as error:
        worded = isinstance(error, StrayAnswerError) and error.worded
        if worded or not isinstance(error, VendorUnavailableError):  # the account has no list
            return Before(seen=intents.saw(connection.name, None))
        if latest is None and intents.unseen(connection.name) < TRIES_TO_LIST:
            raise
        return Before(seen=latest)
    return Before(seen=seen, fresh=True)


def _in_case(write: VendorWrite) -> frozenset[str]:
    """Return the ids that the vendor's case has before an upload into it."""
    loaded = write.loaded
    try:
        known = loaded.run(loaded.vendor.before_upload(loaded.view, write.indices))
        size = len(json.dumps(sorted(known)))
        if size > MOST_KNOWN:  # nothing is sent whose lost answer could not be looked up
            raise CaseFailedError(
                f"{write.what}: the vendor's case has {len(known):,} documents already, whose ids have {size:,} bytes: "
                f"{MOST_KNOWN:,} can be noted. Submit to another case"
            )
        return known
    except StrayAnswerError as error:
        if loaded.case.record.appends_to and error.worded and error.status == 404:  # the caller's case_id is wrong
            raise VendorRejectedError(str(error), status=error.status) from error
        raise


def _send(write: VendorWrite) -> Uploaded:
    loaded, intents = write.loaded, write.loaded.context.intents
    opened = _presigned(write)
    replies: list[Reply] = []
    began = now()
    try:
        hide = [secret for url in opened.values() for secret in secrets_of(url)]
        answer = loaded.run(_request(write, opened), hide=hide, note=replies.append)
        date = vendor_date(replies[0].headers.get("date", "")) if write.indices and replies else None
        if date:  # the begin by the vendor's clock: the answer's time less the duration of the request
            return replace(answer, sent_at=date - (now() - began) - CLOCK_TICK)
        return answer
    except OutcomeUnknownError:
        intents.lost(*write.key)  # the intent stays: the next try looks it up
        if write.indices and replies and 200 <= replies[-1].status < 300:
            loaded.keep(f"unusable-{write.what}", replies[-1].body)
        raise
    except VendorRejectedError as error:
        if error.status in REFUSED_FILE and len(write.indices) == 1 and "documents" in loaded.vendor.phases:
            return Uploaded(case_id=loaded.case.record.case_id, failures={write.indices[0]: str(error)})
        intents.end(*write.key)
        names = ", ".join(each.name for each in write.documents)
        raise VendorRejectedError(f"{names}: {error}" if names else str(error), status=error.status) from error
    except (RetryableError, CaseFailedError):
        intents.end(*write.key)  # certainly not performed
        raise


def _presigned(write: VendorWrite) -> dict[int, str]:
    """Return a presigned URL for each document that the vendor reads by one. The URLs are not stored."""
    loaded = write.loaded
    if loaded.case.record.options.get(BY_REFERENCE) != PRESIGNED:
        return {}
    seconds = min(max(loaded.connection.poll.deadline, SHORTEST_LINK), LONGEST_LINK)
    return {each.index: loaded.context.objects.link(each.key, round(seconds)) for each in write.documents if each.key}


def _request(write: VendorWrite, refs: Mapping[int, str]) -> Flow[Uploaded]:
    vendor, view = write.loaded.vendor, write.loaded.view
    if not write.indices:
        return vendor.open(view)
    documents = tuple(each.model_copy(update={"ref": refs.get(each.index, each.ref)}) for each in view.documents)
    return vendor.upload(replace(view, documents=documents), write.indices)


def _confirm(write: VendorWrite, named: str) -> None:
    """Look up an operator's id again when the case is redriven; if it is gone, ask again.

    Raises:
        NeedsAttentionError: the vendor does not have it.

    """
    loaded = write.loaded
    try:
        adopt(loaded, write.what, named)
    except NeedsAttentionError:
        loaded.context.intents.adopt(*write.key, named)
        unsent = [Document(**each.model_dump(include=_ACCEPTED)) for each in write.documents]
        loaded.context.cases.put_documents(write.case, unsent, fresh=False)
        if loaded.case.record.case_id == named != loaded.case.record.appends_to:
            loaded.context.cases.change(write.case, case_id=None)
        loaded.context.cases.name(write.case, write.what, None)
        raise


def _find(write: VendorWrite, intent: StoredIntent) -> Uploaded | None:
    """Look up an earlier try at the vendor; return None if it certainly had no effect."""
    loaded, what, intents = write.loaded, write.what, write.loaded.context.intents
    lost_at, settled = intent.lost_at or intents.lost(*write.key), _settled(write)
    age = now() - lost_at
    if age < (settled if intent.unlisted else min(FIRST_LOOK, settled)):
        raise OutcomeUnknownError(f"{what}: the answer to an earlier try was lost; it will be looked up in a moment")
    ready = age >= settled
    before, waiting = _known_of(write, intent, ready=ready)
    if before.among is not None and not before.among:
        return None  # all candidates have turned out to be other requests'
    rivals = f"{what}: {waiting} other requests have to settle first"
    if before.among and waiting and now() - intent.at < loaded.context.rivalry:
        raise OutcomeUnknownError(rivals)
    view, indices = loaded.view, write.indices
    find = loaded.vendor.find_uploaded(view, indices, before) if indices else loaded.vendor.find_opened(view, before)
    try:
        # Answers that were read for an earlier request, or before the intent settled, would lack this one.
        name = f"{what}@{iso(intent.at)}{'!' if ready else ''}"
        found = loaded.look_up(name, find, since=lost_at + settled if ready else None)
    except StrayAnswerError as error:
        if age < LONGEST:
            raise
        raise NeedsAttentionError(
            f"{what}: its answer was lost at {lost_at:%H:%M} UTC, and it cannot be looked up: {error}"
        ) from error
    except NeedsAttentionError as error:
        if not indices:
            raise
        if ready and not (waiting and now() - intent.at < loaded.context.rivalry):
            raise
        if ready and error.candidates:
            intents.doubt(*write.key, error.candidates)
        if not ready:
            intents.unlisted(*write.key)
        raise OutcomeUnknownError(rivals if ready else f"{what}: its outcome is not known yet") from error
    if found is None and not ready:
        intents.unlisted(*write.key)
        raise OutcomeUnknownError(
            f"{what}: the answer to an earlier try was lost; the vendor may still be processing it"
        )
    return found


def _known_of(write: VendorWrite, intent: StoredIntent, *, ready: bool) -> tuple[Intent, int]:
    """Return the data for a look-up of a request, with the number of other requests in flight that it may confuse."""
    loaded, intents = write.loaded, write.loaded.context.intents
    connection, into = loaded.connection.name, loaded.case.record.case_id
    others = intents.others(write.case, intent, into=into)
    listed = _is_listed(write)
    seen = intents.seen(connection, intent.seen) if listed else Seen(tuple(sorted(intent.known)), whole=True)
    known = {*intent.known, *others.answered, *(seen.ids if seen else ())}
    ledger = intents.ledger(connection, intent, known=known, marks=listed and seen is None)
    before = Intent(
        at=intent.began,
        known=ledger,
        seen=seen,
        fresh=not listed or (intent.fresh and seen is not None),
        recorded=ledger.recorded,
        others=others.names,
        settled=ready,
        among=None if intent.doubt is None else frozenset(each for each in sorted(intent.doubt) if each not in ledger),
    )
    return before, len(others.names)


def _settled(write: VendorWrite) -> timedelta:
    """Return the time after which a request that a look-up does not find certainly had no effect."""
    size = sum(each.size for each in write.documents)
    return min(LONGEST, timedelta(seconds=write.loaded.connection.settling) * max(1, size / SIZE))


def _apply(write: VendorWrite, answer: Uploaded) -> None:
    """Apply an answer (the vendor's, a look-up's or an operator's) to the case. Idempotent."""
    loaded, record, intents = write.loaded, write.loaded.case.record, write.loaded.context.intents
    # The case's own id was recorded for it before it was stored in its record.
    new_case = answer.case_id if answer.case_id not in {record.appends_to, record.case_id} else None
    ids = [each for each in (new_case, answer.job_id, *answer.document_ids.values()) if each]
    owned, hinted = intents.own(write.case, ids)
    if not owned:
        intents.end(*write.key)
        raise NeedsAttentionError(f"{write.what}: the vendor's answer has an id that belongs to another case")
    changes: dict[str, Any] = {"case_id": answer.case_id} if answer.case_id else {}
    changes |= {"sent_at": answer.sent_at} if answer.sent_at else {}
    if not write.indices:
        changes["note"] = None  # it was "opening the vendor's case"
    if answer.alone or record.alone_at is not None:  # once a request was in doubt, it may still take effect
        changes["alone_at"] = now() if answer.alone else None
    if hinted:
        changes["hinted_at"] = changes["woken"] = now()
    if changes:
        loaded.context.cases.learn(write.case, **changes)
    if answer.named:
        loaded.context.cases.name(write.case, write.what, answer.named)
    # Documents are stored last: once all of them have ids, the next try considers the upload done.
    answered = {*answer.document_ids, *answer.failures}
    changed = [_applied(document, answer) for document in loaded.case.documents if document.index in answered]
    loaded.context.cases.put_documents(write.case, changed, fresh=False)
    intents.end(*write.key)


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
