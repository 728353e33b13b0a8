"""Forget: erase a case from every store, and write a certificate of the erased and the remaining data.

The order lets each run continue where a killed one stopped: a plan is stored before anything is removed, each removal
may be repeated, and the plan is removed last. Nothing else names the case by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from dossier import vendors
from dossier.certificates import forgotten_as, sealed
from dossier.errors import InvalidCaseError
from dossier.layout import (
    AUDIT,
    BATCHES,
    COLLECTING,
    DELIVERIES,
    DELIVERIES_REFUSED,
    ERASURES,
    INBOX,
    INBOX_REFUSED,
    STAGING,
    TABLES,
    UPLOADS,
    folder,
)
from dossier.models import CaseId, Frozen, iso, now
from dossier.ports import Hint
from dossier.steps.accept import pages_of
from dossier.steps.context import RUNS, Context
from dossier.steps.drop import note_key
from dossier.steps.identity import execution_name, stranger_reference
from dossier.steps.inbox import place_of
from dossier.steps.refresh import pending
from dossier.stores.cases import Case
from dossier.stores.evidence import Evidence, id_of, seen_key
from dossier.stores.expiry import ids_of, remove_items
from dossier.stores.forgotten import Tombstone, latest
from dossier.stores.intents import SEEN_TTL
from dossier.stores.limiter import LEASE
from dossier.stores.objects import as_json, split_uri
from dossier.stores.queues import DROP, LONGEST_DELAY, WAKE, poll_queue
from dossier.stores.versions import Erased

HISTORY_DAYS, LOG_DAYS, TRACE_DAYS, BACKUP_DAYS = 90, 90, 30, 35
"""Days for which AWS keeps the history of an ended execution, logs (``infra/function.py``), traces, and the table's
 earlier states (point-in-time recovery)."""
_SCHEMA = "1"
_ATTEMPTS = 20
"""Execution names that are looked up: the same submission may have been rejected before."""
_AT_ONCE = 8
"""Deliveries that are read at once."""
_VENDOR = "vendor "
"""Prefix of the vendor's entry in a certificate."""
_OWN = (STAGING, INBOX, UPLOADS)
"""Folders of the artifact bucket that hold submitted documents before Accept copies them."""


class Plan(Frozen):
    """The ids and places that an erasure has to find, as known when it began."""

    connection: str
    reference: str
    vendor: str = ""
    case_id: str | None = None
    ids: tuple[str, ...] = ()
    """Vendor ids that belong to no other case."""
    shared: tuple[str, ...] = ()
    """Vendor ids that other cases work on as well: they stay in those cases' data."""
    fingerprint: str = ""
    sha256: tuple[str, ...] = ()
    """Digests of its documents."""
    uris: tuple[str, ...] = ()
    """Where its documents were submitted from."""
    drop: str | None = None
    """Key of the drop that became the case."""

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)


@dataclass(frozen=True, slots=True)
class Forgot:
    """A finished erasure: its certificate, that one's key, and the vendor's ids, which no store has by now."""

    certificate: dict[str, Any]
    key: str
    vendor: str
    vendor_ids: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Documents in buckets that are not Dossier's."""


@dataclass(slots=True)
class _Found:
    """The result of one run: the removed objects by kind, and those it had to leave."""

    removed: dict[str, int] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, number: int) -> None:
        self.removed[kind] = self.removed.get(kind, 0) + number

    def erased(self, done: Erased) -> None:
        self.add("versions", done.versions)
        self.add("bytes", done.bytes)
        self.locked.update(done.locked)


def forget(case: CaseId, *, context: Context) -> Forgot:
    """Erase a case from every store, and write its certificate; continue an erasure that was interrupted.

    If the case was erased before, erase the deliveries about it since then.

    Raises:
        InvalidCaseError: there is no such case, or it or its batch is at work; says what to do.

    """
    tombstone = _to_erase(case, context)
    plan = Plan.model_validate_json(tombstone.plan)
    found = _Found(removed=dict(tombstone.removed))
    for remove in (_batches, _tables, _objects, _deliveries, _messages, partial(_items, certificate=tombstone.id)):
        remove(plan, context, found)
        context.forgotten.progress(case, found.removed)
    certificate = _certified(plan, tombstone, found, context)
    context.forgotten.end(case)
    elsewhere = tuple(each for each in plan.uris if not _is_ours(each, context))
    key = f"{ERASURES}{tombstone.id}.json"
    return Forgot(certificate, key, plan.vendor, (*plan.ids, *plan.shared), elsewhere)


def _to_erase(case: CaseId, context: Context) -> Tombstone:
    """Return the interrupted erasure, or begin one: of the case, or of deliveries about it since its erasure."""
    erased = context.forgotten.stands(case)
    if erased is not None and not erased.done_at:
        return erased
    stored = context.cases.find(case)
    if stored is not None:
        return _begun(stored, context)
    if erased is None:
        raise InvalidCaseError(f"there is no case {case.reference} at connection {case.connection}")
    late = _begun_again(case, erased, context)
    if late is None:
        raise InvalidCaseError(
            f"case {case.reference} of connection {case.connection} was erased at "
            f"{iso(erased.done_at or erased.at)}: its certificate is {ERASURES}{erased.id}.json"
        )
    return late


def _begun(case: Case, context: Context) -> Tombstone:
    """Check that a case is at rest, block it from going back to work, and store the plan of its erasure."""
    record = case.record
    connection, reference = record.id
    if pending(case):
        raise InvalidCaseError(f"a revision of case {reference} is being published: erase it in a minute")
    if not record.status.final:
        raise InvalidCaseError(
            f"case {reference} is {record.status.value}: cancel it first "
            f"(dossier cancel {reference} --connection {connection}), then erase it"
        )
    running = case.refresh.execution_arn
    if running and context.executions.status(running) == "RUNNING":
        raise InvalidCaseError(f"case {reference} is being collected again ({running}): erase it once that has ended")
    for each in context.intents.of(record.id):
        over = each.at + RUNS
        if each.answer is None and each.lost_at is None and over > now():
            raise InvalidCaseError(
                f"a request to the vendor for case {reference} was sent at {iso(each.at)}, and its answer may still "
                f"come: erase the case after {iso(over)}"
            )
    if not context.expiry.mark(record.id):
        raise InvalidCaseError(f"case {reference} went back to work just now: see `dossier status {reference}`")
    ids = ids_of(context.table, record.id)
    shared = {each for each in ids if {*context.intents.references(connection, each)} - {reference}}
    given = list(_inputs(case, context))
    drop = next((each["drop"]["key"] for each in given if isinstance(each.get("drop"), dict)), None)
    uris = {str(one["uri"]) for each in given for one in each.get("documents") or () if "uri" in one}
    plan = Plan(
        connection=connection,
        reference=reference,
        vendor=record.vendor,
        case_id=record.case_id,
        ids=tuple(sorted(ids - shared)),
        shared=tuple(sorted(shared)),
        fingerprint=record.fingerprint,
        sha256=tuple(sorted({each.sha256 for each in case.documents if each.sha256})),
        uris=tuple(sorted({*uris, *(each.ref for each in case.documents if each.ref)})),
        drop=drop,
    )
    pages = pages_of(each for each in case.documents if (each.key or each.ref) and (each.document_id or each.job_id))
    return context.forgotten.begin(
        record.id,
        id=_certificate_id(record.id),
        plan=plan.model_dump_json(),
        month=f"{record.sent_at or record.submitted_at:%Y-%m}",
        pages=pages,
    )


def _begun_again(case: CaseId, erased: Tombstone, context: Context) -> Tombstone | None:
    """Store the plan for deliveries about an erased case since its erasure; None if there are none."""
    certificate = json.loads(context.objects.read(f"{ERASURES}{erased.id}.json") or b"{}")
    left = [str(each["where"]) for each in certificate.get("remains", [])]
    vendor = next((each.removeprefix(_VENDOR) for each in left if each.startswith(_VENDOR)), "")
    ids = set[str]()
    for key in context.evidence.list(case.connection, since=erased.at) if vendor else ():
        evidence = context.evidence.find(key)
        named = _named(_hint_of(vendor, evidence.content)) if evidence is not None else set()
        ids |= {each for each in named if _is_of(erased, CaseId(case.connection, each), context)}
    if not ids:
        return None
    plan = Plan(connection=case.connection, reference=case.reference, vendor=vendor, ids=tuple(sorted(ids)))
    return context.forgotten.begin(case, id=_certificate_id(case), plan=plan.model_dump_json())


def _is_of(erased: Tombstone, vendor_id: CaseId, context: Context) -> bool:
    """Whether a connection's vendor id belonged to an erased case."""
    barred = context.forgotten.stands(CaseId(vendor_id.connection, stranger_reference(vendor_id.reference)))
    return barred is not None and erased.names(barred)


def _certificate_id(case: CaseId) -> str:
    return f"{now():%Y%m%dT%H%M%S%f}-{forgotten_as(case)[:16]}"


def _inputs(case: Case, context: Context) -> Iterator[dict[str, Any]]:
    """Yield the inputs of a case's executions, as far as AWS still has them."""
    record = case.record
    names = [
        execution_name(record.id, record.fingerprint, attempt=attempt)
        for attempt in range(1, max(_ATTEMPTS, record.attempt) + 1)
    ]
    arns = [context.executions.arn_of(each) for each in names]
    for arn in dict.fromkeys([record.execution_arn, *arns]):
        found = context.executions.given(arn) if arn else None
        if found is not None and found.get("reference") == record.reference:
            yield found
        elif found is None and arn != record.execution_arn:
            return


def _is_ours(uri: str, context: Context) -> bool:
    """Whether a document was submitted from the artifact bucket."""
    return uri.startswith("s3://") and split_uri(uri)[0] == context.versions.bucket


def _batches(plan: Plan, context: Context, found: _Found) -> None:
    """Erase the case's lines from the files of the batches that it came in, in all versions.

    Raises:
        InvalidCaseError: a batch is running: at its end it would name the case again.

    """
    name = plan.reference.encode()
    for version in list(context.versions.below(BATCHES)):
        body = b"" if version.marker else context.versions.read(version)
        left = without_case(body, plan.id) if name in body else None
        if left is None:
            continue
        batch = version.key.removeprefix(BATCHES).partition("/")[0]
        run = context.batch_runs.find(batch, context.batches.latest_run(batch).run)
        if run is not None and run.status == "RUNNING":
            raise InvalidCaseError(
                f"batch {batch}, which case {plan.reference} came in, is running: wait until it has ended "
                f"(or `dossier batch stop {batch}`), then erase the case again"
            )
        if version.latest:
            context.objects.write(version.key, left)
            found.add("batch_files", 1)
        found.erased(context.versions.delete([version]))


def _tables(plan: Plan, context: Context, found: _Found) -> None:
    """Erase the case's lines from the copies of results that SQL reads, in all versions."""
    name = plan.reference.encode()
    for version in list(context.versions.below(TABLES)):
        if version.marker or not version.key.endswith(f"/{plan.connection}.jsonl"):
            continue
        body = context.versions.read(version)
        left = without_case(body, plan.id) if name in body else None
        if left is None:
            continue
        if version.latest:
            context.objects.write(version.key, left)
            found.add("table_files", 1)
        found.erased(context.versions.delete([version]))


def without_case(body: bytes, case: CaseId) -> bytes | None:
    """Return a batch's file (lines of JSON, or a list in JSON) without a case; None if it does not name the case."""
    try:
        whole = json.loads(body)
    except ValueError:
        lines = body.splitlines(keepends=True)
        kept = [each for each in lines if not _is_about(each.decode("utf-8", "replace"), case)]
        return b"".join(kept) if len(kept) < len(lines) else None
    if isinstance(whole, list):  # the Distributed Map's lists of its children
        others = [each for each in whole if not _is_about(each, case)]
        return as_json(others) if len(others) < len(whole) else None
    return b"" if _is_about(whole, case) else None  # a file of a single line


def _is_about(value: object, case: CaseId) -> bool:
    """Whether a value names a case, itself or in one of its parts, including JSON inside a text."""
    if isinstance(value, str):
        if case.reference not in value or not value.lstrip().startswith(("{", "[")):
            return False
        try:
            return _is_about(json.loads(value), case)
        except (ValueError, RecursionError):
            return False
    if isinstance(value, dict):
        if (value.get("connection"), value.get("reference")) == (case.connection, case.reference):
            return True
        return any(_is_about(each, case) for each in value.values())
    return isinstance(value, list) and any(_is_about(each, case) for each in value)


def _objects(plan: Plan, context: Context, found: _Found) -> None:
    """Erase the case's folder, leftovers of its collections, and the files it was submitted from, in all versions."""
    versions = context.versions
    found.erased(versions.erase(folder(plan.id)))
    found.erased(versions.erase(f"{COLLECTING}{plan.connection}/{plan.reference}/"))
    if plan.fingerprint:
        found.erased(versions.erase(f"{STAGING}{plan.connection}/{plan.fingerprint[:32]}/"))
    for uri in plan.uris:
        if _is_ours(uri, context) and (key := split_uri(uri)[1]).startswith(_OWN):
            _source(key, plan, context, found)
    if plan.drop:
        key, place = plan.drop, place_of(plan.drop)
        for each in (key, f"{INBOX_REFUSED}{key.removeprefix(INBOX)}.txt", note_key(place)):
            found.erased(versions.delete(versions.of(each)))


def _source(key: str, plan: Plan, context: Context, found: _Found) -> None:
    """Erase the versions of an object that have exactly a document's bytes; others belong to other cases."""
    known = context.versions.of(key)
    same = [each for each in known if not each.marker and context.versions.digest(each) in plan.sha256]
    left = [each for each in known if not each.marker and each not in same]
    markers = [each for each in known if each.marker] if not left else []
    found.erased(context.versions.delete([*same, *markers]))


def _deliveries(plan: Plan, context: Context, found: _Found) -> None:
    """Erase the deliveries that name only this case, and this case's parts of the others, in all versions."""
    mine = _Mentions(plan)
    stored = [
        each
        for prefix in (DELIVERIES, DELIVERIES_REFUSED)
        for each in context.versions.below(f"{prefix}{plan.connection}/")
        if not each.marker
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = pool.map(lambda each: context.evidence.read(each.key, version_id=each.version_id), stored)
        about = [(each, evidence) for each, evidence in zip(stored, read, strict=True) if mine.in_delivery(evidence)]
    for version, evidence in about:
        key = version.key
        context.table.delete(f"DELIVERIES#{plan.connection}", id_of(key))
        if evidence.digest:
            found.erased(context.versions.erase(seen_key(plan.connection, evidence.digest)))
        until = context.versions.locked_until(version)
        if until is not None:
            found.locked[key] = until
            continue
        others = version.latest and _names_others(plan, evidence)
        if others:
            context.evidence.redact(key, evidence, mine.pattern)
        done = context.versions.delete([version])
        found.erased(done)
        if version.latest and not done.locked:
            found.add("deliveries_redacted" if others else "deliveries", 1)


def _names_others(plan: Plan, evidence: Evidence) -> bool:
    """Whether a delivery names anything that does not belong to this case."""
    return bool(_named(_hint_of(plan.vendor, evidence.content)) - {*plan.ids, plan.reference})


def _named(hint: Hint | None) -> set[str]:
    return {*hint.case_ids, *hint.document_ids, *hint.job_ids} if hint else set()


def _hint_of(vendor: str, body: bytes) -> Hint | None:
    """Read a delivery of a vendor; None if it names nothing, or if the vendor no longer exists."""
    return vendors.adapter(vendor).read_hint(body) if vendor in vendors.names() else None


class _Mentions:
    """Recognizes a case in messages and deliveries, by its ids and its reference.

    A vendor id counts anywhere. A reference may be any word, such as ``204`` or ``completed``: it counts only in a
    message that has it as its reference, and in a delivery without any id.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ids = _words(*plan.ids) if plan.ids else None
        self._reference = _words(plan.reference)
        self.pattern = _words(*plan.ids, plan.reference)

    def in_delivery(self, evidence: Evidence) -> bool:
        """Whether a delivery is about the case: it names one of its ids, or no id at all and its reference."""
        texts = [*_texts(evidence.content)]
        whole = evidence.content.decode("utf-8", "replace")
        places = (*evidence.headers.values(), whole, *texts)
        if self._ids is not None and any(map(self._ids.search, places)):
            return True
        return not _names_others(self._plan, evidence) and any(map(self._reference.search, texts))

    def in_message(self, body: str) -> bool:
        """Whether a message is about the case: has its connection and reference, or names one of its ids."""
        try:
            if _is_about(json.loads(body), self._plan.id):
                return True
        except (ValueError, RecursionError):
            pass
        return self._ids is not None and self._ids.search(body) is not None


def _words(*words: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the words, but not as a part of a longer one."""
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"(?<![A-Za-z0-9_-])(?:{either})(?![A-Za-z0-9_-])")


def _texts(body: bytes) -> Iterator[str]:
    """Yield the texts of a delivery: unescaped text values if it is JSON, otherwise the whole body."""
    text = body.decode("utf-8", "replace")
    try:
        values = [json.loads(text)]
    except (ValueError, RecursionError):
        yield text
        return
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            values += [*value.values()]
        elif isinstance(value, list):
            values += value


def _messages(plan: Plan, context: Context, found: _Found) -> None:
    """Delete the dead letters that are about the case or its drop, or about a delivery that is gone."""
    mine = _Mentions(plan)
    keys = {plan.drop, *(split_uri(each)[1] for each in plan.uris if _is_ours(each, context))} - {None}
    # In the form of Dossier's own messages, and of S3's events.
    dropped = {form for key in keys for form in (json.dumps(key), json.dumps(quote_plus(str(key), safe="/")))}
    if plan.drop and place_of(plan.drop).folder:  # its other files, too
        inside = place_of(plan.drop).prefix
        dropped |= {json.dumps(each).removesuffix('"') for each in (inside, quote_plus(inside, safe="/"))}

    def about(body: str) -> bool:
        if mine.in_message(body) or any(each in body for each in dropped):
            return True
        try:
            key = json.loads(body).get("delivery")
        except (ValueError, AttributeError):
            return False
        return isinstance(key, str) and key.startswith(DELIVERIES) and context.evidence.find(key) is None

    for queue in (WAKE, DROP, poll_queue(plan.connection)):
        found.add("messages", context.dead_letters.remove(queue, about))


def _items(plan: Plan, context: Context, found: _Found, certificate: str) -> None:
    """Remove the case from the table: its partition, its ids, requests, look-ups, drops and leases."""
    table, case = context.table, plan.id
    context.cases.budgets.forget(case)
    ids = (*plan.ids, *plan.shared)
    found.add("items", remove_items(table, case, ids))
    found.add("items", remove_items(table, case, ids))  # a delivery that was being applied may have written again
    for each in plan.ids:
        context.intents.unhint(plan.connection, each)
        context.forgotten.bar(CaseId(plan.connection, stranger_reference(each)), id=certificate)
    keys = {plan.drop, *(split_uri(each)[1] for each in plan.uris if _is_ours(each, context))}
    others: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
        (f"INBOX#{plan.connection}", lambda item: item.get("reference") == plan.reference
         or (plan.drop is not None and item["sk"] == place_of(plan.drop).what)),
        (f"DROP#{plan.connection}", lambda item: item.get("key") in keys),
        # Answers that several look-ups share: other cases only read them again.
        (f"READ#{plan.connection}", lambda _: True),
        (f"LIMIT#{plan.connection}", lambda item: str(item.get("holder", "")).startswith(f"{plan.reference}#")),
    )  # fmt: skip
    for pk, mine in others:
        for item in list(table.query(pk)):
            if mine(item):
                found.add("items", table.delete(pk, item["sk"]))


def _certified(plan: Plan, tombstone: Tombstone, found: _Found, context: Context) -> dict[str, Any]:
    """Write the certificate, and add it to the chain; a certificate that is in the chain already stands."""
    key = f"{ERASURES}{tombstone.id}.json"
    while True:
        links = context.forgotten.links()
        if any(each.id == tombstone.id for each in links):
            stored: dict[str, Any] = json.loads(context.objects.read(key) or b"{}")
            return stored
        number, previous = latest(links)
        content = {
            "schema_version": _SCHEMA,
            "id": tombstone.id,
            "connection": plan.connection,
            "case_sha256": forgotten_as(plan.id),
            "began_at": iso(tombstone.at),
            "completed_at": iso(now()),
            "removed": {name: number for name, number in sorted(found.removed.items()) if number},
            "remains": list(_remains(plan, found, context)),
        }
        certificate = sealed(content, number=number + 1, previous=previous)
        context.objects.write(key, as_json(certificate))
        context.forgotten.link(number + 1, tombstone.id, certificate["sha256"])


def _remains(plan: Plan, found: _Found, context: Context) -> Iterator[dict[str, Any]]:
    """Yield the remaining data: where, why, and until when (None: until somebody else deletes it)."""
    at = now()

    def until(**time: float) -> str:
        return iso(at + timedelta(**time))

    ids = len({*plan.ids, *plan.shared})
    if ids:
        what = f"{ids} {'id' if ids == 1 else 'ids'} and what the vendor has under them"
        yield _left(f"{_VENDOR}{plan.vendor}", what, "ask the vendor to delete it", None)
    if elsewhere := sum(not _is_ours(each, context) for each in plan.uris):
        yield _left(
            "buckets and hosts outside of Dossier", f"{elsewhere} documents as submitted", "they are yours", None
        )
    for key, ends in sorted(found.locked.items()):
        yield _left("S3 Object Lock", f"delivery {id_of(key)}", "nobody can delete it before", ends)
    if plan.shared:
        what = f"{len(plan.shared)} vendor ids that other cases work on as well"
        yield _left("deliveries and records of other cases", what, "they belong to those cases too", None)
    why = "AWS keeps it, and nobody can shorten that"
    yield _left("Step Functions", "inputs and histories of its executions", why, until(days=HISTORY_DAYS))
    yield _left("CloudWatch Logs", "connection, reference, vendor ids, error texts", "retention", until(days=LOG_DAYS))
    yield _left("X-Ray", "names and times of functions", why, until(days=TRACE_DAYS))
    yield _left("backups of the table", "its items, by point-in-time recovery", why, until(days=BACKUP_DAYS))
    what = "vendor ids in lists that were read before uploads"
    yield _left("the table", what, "they keep other cases from adopting them", until(seconds=SEEN_TTL))
    if ids:
        what = "deliveries that the vendor sends about it after the erasure"
        yield _left(f"S3 {DELIVERIES}", what, "run `dossier forget` for it again: that erases it", None)
    longest = max(LONGEST_DELAY, LEASE)
    yield _left("SQS", "a poll message with its name, if one was on its way", "", until(seconds=longest))
    what = "its name, and ids that operators gave, in what they did with it in the console"
    yield _left(f"S3 {AUDIT}", what, "it is the trail of their actions", None)
    yield _left("EventBridge targets", "events with its name", "they went to systems of yours", None)


def _left(where: str, what: str, why: str, until: str | None) -> dict[str, Any]:
    return {"where": where, "what": what, "why": why or None, "until": until}
