"""Drop: a file in ``inbox/<connection>/`` becomes a case; a folder does once its ``case.json`` is there.

Each message is one look at the inbox, one plan (``inbox.plan``) and one act. The same submission always gets the same
execution name, so a repeated message or drop starts nothing new. Nothing is written to the inbox, so no drop causes
another. While a drop waits, the table and an object beside the inbox say so.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from dossier.errors import CaseFailedError, InvalidCaseError
from dossier.layout import CASE_FILE, INBOX, INBOX_WAITING
from dossier.models import CaseId, CaseInput, Drop, iso, now
from dossier.steps.accept import examine
from dossier.steps.context import Context
from dossier.steps.identity import NAMES, next_execution, reference_of_drop
from dossier.steps.inbox import (
    LARGEST_CASE_FILE,
    LONGEST_KEY,
    LONGEST_LINE,
    NO_TIME,
    Landed,
    Leave,
    Listing,
    Place,
    Reject,
    Start,
    Wait,
    left_out,
    place_of,
    plan,
)
from dossier.stores.cases import WaitingDrop
from dossier.stores.executions import INPUT_LIMIT
from dossier.stores.objects import Facts, Stat
from dossier.stores.queues import DROP


def landed(message: Mapping[str, Any], bucket: str) -> Iterator[Landed]:
    """Yield the created objects in a message: an event notification of this bucket, or a message of Dossier's.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (keys are
    URL-encoded as in forms). S3's test message, sent when notifications are set up, has none.
    """
    if "key" in message:
        yield Landed(message["key"], message["version_id"])
        return
    if message.get("Event") == "s3:TestEvent":
        return
    for record in message["Records"]:
        found = record["s3"]
        if found["bucket"]["name"] == bucket and record["eventName"].startswith("ObjectCreated"):
            yield Landed(unquote_plus(found["object"]["key"]), found["object"].get("versionId"))


def landed_in(message: Mapping[str, Any], bucket: str) -> Iterator[Landed]:
    """Yield the created and the removed objects in a message; ``s3:ObjectRemoved:*`` has the same form."""
    yield from landed(message, bucket)
    for record in message.get("Records", ()):
        found = record["s3"]
        if found["bucket"]["name"] == bucket and record["eventName"].startswith("ObjectRemoved"):
            yield Landed(unquote_plus(found["object"]["key"]), removed=True)


def drop(what: Landed, *, context: Context, at: datetime | None = None) -> str:
    """Start the case that an object completes; return the outcome for the log. Tests set the clock with ``at``."""
    at, place = at or now(), place_of(what.key)
    try:
        listing = look(what, place, context)
    except InvalidCaseError as error:
        if what.removed:
            raise
        listing = Listing(what, place, context.objects.bucket, problem=str(error))
    return act(plan(listing, at), listing, context)


def look(what: Landed, place: Place, context: Context) -> Listing:
    """Return the objects of the drop that an object belongs to; read only the content that a plan will need.

    Raises:
        InvalidCaseError: S3 permanently refuses to list or read them; says what to do.

    """
    objects, listing = context.objects, Listing(what, place, context.objects.bucket)
    if place.ignored or place.problem:
        return listing
    if what.removed:
        return _look_at_rest(listing, context)
    if not place.folder:
        file = objects.stat(what.key, version_id=what.version_id, dropped=True)
        latest = objects.stat(what.key, dropped=True) if file is not None and file.size == 0 else None
        return replace(listing, file=file, latest=latest)
    key, version_id = place.prefix + CASE_FILE, what.version_id if place.name == CASE_FILE else None
    case_file = objects.stat(key, version_id=version_id, dropped=True)
    if case_file is None:
        return listing
    files = {
        unicodedata.normalize("NFC", each.key.removeprefix(place.prefix)): each
        for each in objects.stats(place.prefix)
        if each.key != key and not each.key.endswith("/") and not left_out(each.key)
    }
    listing = replace(listing, case_file=case_file, files=files)
    if not listing.overtaken and 0 < case_file.size <= LARGEST_CASE_FILE:
        try:
            body = objects.read(key, version_id=case_file.version_id, dropped=True)
            listing = replace(listing, body=body or b"")
        except InvalidCaseError as error:
            listing = replace(listing, unread=str(error))
    return listing


def _look_at_rest(listing: Listing, context: Context) -> Listing:
    """Return the rest of a waiting drop after one of its objects was removed."""
    place, objects = listing.place, context.objects
    if context.cases.waiting_drop(place.connection, place.what) is None:
        return replace(listing, waits=False)
    if not place.folder:
        return replace(listing, left=objects.stat(listing.what.key, dropped=True) is not None)
    left = any(not each.key.endswith("/") for each in objects.stats(place.prefix))
    return replace(listing, left=left, case_file=objects.stat(place.prefix + CASE_FILE, dropped=True) if left else None)


def act(planned: Start | Wait | Leave | Reject, listing: Listing, context: Context) -> str:
    """Carry out the plan; return the outcome for the log."""
    what, place = listing.what, listing.place
    if isinstance(planned, Leave):
        if planned.ended is not None:
            _forget(place, planned.ended, context)
        return planned.why
    if isinstance(planned, Wait):
        if planned.after:
            message = {"key": what.key, "version_id": what.version_id}
            context.queues.send(DROP, message, after=planned.after.total_seconds(), group=place.connection)
        if planned.lacks:
            _note(planned, listing, context)
        return planned.why
    outcome = _start(planned, context)
    dropped_at = max(each.modified for each in planned.parts)
    misplaced = dropped_at == NO_TIME
    if not misplaced and (place.folder or context.cases.waiting_drop(place.connection, place.what) is not None):
        _forget(place, dropped_at, context)
    return outcome


def _note(wait: Wait, listing: Listing, context: Context) -> None:
    """Record that a drop waits: in the table, for ``dossier list``, and beside the inbox.

    Messages may arrive out of order. A drop that was started meanwhile has a later time and is not recorded again.
    """
    what, place, cases = listing.what, listing.place, context.cases
    why = f"{INBOX}{place.connection}/{place.what} {wait.why}"[:LONGEST_LINE]
    before = cases.waiting_drop(place.connection, place.what)
    if before is not None and before.why == why:
        return
    own = None if wait.landed else context.objects.stat(what.key, version_id=what.version_id, dropped=True)
    at = wait.landed or (own.modified if own else None)
    if at is None:
        return
    drop = WaitingDrop(reference=reference_of_drop(place.what), why=why, since=before.since if before else now())
    if cases.drop_waits(place.connection, place.what, drop, at):
        context.objects.write(note_key(place), f"{iso(drop.since)} {why}\n".encode(), "text/plain; charset=utf-8")
        if cases.waiting_drop(place.connection, place.what) is None:
            context.objects.delete(note_key(place))


def _forget(place: Place, landed: datetime, context: Context) -> None:
    """Remove the record of a waiting drop."""
    before = context.cases.waiting_drop(place.connection, place.what)
    context.cases.drop_ends(place.connection, place.what, landed)
    if before is not None:
        context.objects.delete(note_key(place))


def note_key(place: Place) -> str:
    """Return the key of the note about a waiting drop."""
    key = f"{INBOX_WAITING}{place.connection}/{place.what}.txt"
    longest = len(key.encode()) > LONGEST_KEY
    return f"{INBOX_WAITING}{hashlib.sha256(key.encode()).hexdigest()}.txt" if longest else key


def _start(planned: Start | Reject, context: Context) -> str:
    """Start the planned case once: an execution of its name that ended after the drop has already decided about it.

    If the execution ended before the drop, the reason may be fixed by now (a setting, a permission, a conflict), so
    dropping the same content again is another attempt. A case that was accepted is not changed.
    """
    dropped_at = max(each.modified for each in planned.parts)
    case, digest = _identified(planned, context)
    found = context.cases.find(case.id)
    if found is not None and not found.record.refused and found.record.fingerprint == digest:
        return f"is already case {case.reference}"
    found_name = next_execution(
        CaseId(reference_of_drop(case.connection), case.reference),
        digest,
        executions=context.executions,
        decides=lambda execution: execution.stopped_at is None or execution.stopped_at >= dropped_at,
    )
    if found_name is None:
        return f"was rejected {NAMES} times"
    name, execution = found_name
    if execution is not None:
        return f"is already execution {name}"
    return f"is started as {context.executions.start(name, _input(case))}"


def _identified(planned: Start | Reject, context: Context) -> tuple[CaseInput, str]:
    """Return the case, with the versions of its documents that were read, and its digest.

    The digest is the fingerprint that Accept computes too. A case that Accept will reject has none and is identified by
    its objects.
    """
    case = planned.case
    if isinstance(planned, Reject):
        return case, _by_parts(planned.parts)
    try:
        connection = context.connection_of(case.connection)
        found = examine(case, objects=context.objects, connection=connection, vendor=context.vendor_of(connection))
    except CaseFailedError:
        return case, _by_parts(planned.parts)
    other = _landed_before(planned, found.facts, context)
    if other is not None:
        problem = f"it has the same content as {other}, dropped within a minute of it: both are one case"
        case = case.model_copy(update={"drop": Drop(key=planned.parts[0].key, refused=problem)})
        return case, _by_parts(planned.parts)
    inbox = f"s3://{context.objects.bucket}/{INBOX}"
    documents = [
        each.model_copy(update={"version_id": fact.version_id}) if fact and each.uri.startswith(inbox) else each
        for each, fact in zip(case.documents, found.facts, strict=True)
    ]
    return case.model_copy(update={"documents": tuple(documents)}), found.fingerprint


def _by_parts(parts: Sequence[Stat]) -> str:
    """Return the digest of a drop that is not a valid case, from its objects."""
    return hashlib.sha256(json.dumps([[each.key, each.etag] for each in parts]).encode()).hexdigest()


def _landed_before(planned: Start, facts: Sequence[Facts | None], context: Context) -> str | None:
    """Return the other file with a single file's content that was dropped within a minute, or None."""
    alone = len(planned.parts) == 1 and len(facts) == 1
    if not alone or facts[0] is None:
        return None
    part = planned.parts[0]
    return context.cases.first_drop(planned.case.connection, facts[0].sha256, part.key, part.modified)


def _input(case: CaseInput) -> dict[str, Any]:
    """Return the execution's input."""
    data: dict[str, Any] = case.model_dump(mode="json", exclude_defaults=True)
    if len(json.dumps(data, ensure_ascii=False).encode()) <= INPUT_LIMIT:
        return data
    refused = f"{len(case.documents)} documents are too many for one case: drop them as several cases"
    return {**data, "documents": [], "options": {}, "drop": {**data["drop"], "refused": refused}}
