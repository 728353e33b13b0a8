"""Publication: publish a committed revision. Each write is idempotent; ``docs/architecture.md`` explains their order.

A reader that begins with ``manifest.json`` and reads the versions that it names gets one whole revision at any moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dossier.layout import artifact_key, folder, manifest_key, result_key, vendor_folder
from dossier.models import CaseId, Document, iso, now
from dossier.names import safe_name
from dossier.result import SCHEMA_VERSION, UNFINISHED, Result, at_work, read_stored, readable, unfinished
from dossier.revisions import changes
from dossier.steps.context import Context, LoadedCase
from dossier.stores.cases import ArtifactRecord, Case, RevisionRecord
from dossier.stores.events import DetailType
from dossier.stores.objects import Objects, Stat, as_json

SMALL = 64 << 10
"""Largest raw answer, in bytes, that is cached in memory."""


class RawAnswers(Mapping[str, bytes]):
    """A case's stored raw answers, by the request's name; a later collection's override the others."""

    def __init__(self, objects: Objects, case: CaseId, collection: str = "") -> None:
        self._objects = objects
        self._place = vendor_folder(case)
        self._stats: dict[str, Stat] = {}
        for prefix in dict.fromkeys([self._place, vendor_folder(case, collection)]):
            self._stats |= {vendor_name(each.key): each for each in objects.stats(prefix)}
        self._read: dict[str, tuple[str, str | None]] = {}
        """Digest and version of the answers that were read, by key."""
        self._bodies: dict[str, bytes] = {}
        """Cache of small answers, by key."""

    def __getitem__(self, what: str) -> bytes:
        found = self._stats.get(safe_name(what))
        if found is not None and found.key in self._bodies:
            return self._bodies[found.key]
        got = None if found is None else self._objects.get(found.key)
        if found is None or got is None:
            raise KeyError(what)
        self._read[found.key] = (hashlib.sha256(got.body).hexdigest(), got.version_id)
        if found.size <= SMALL:
            self._bodies[found.key] = got.body
        return got.body

    def __contains__(self, what: object) -> bool:
        return safe_name(str(what)) in self._stats  # the inherited method would read the answer

    def __iter__(self) -> Iterator[str]:
        return iter(self._stats)

    def __len__(self) -> int:
        return len(self._stats)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RawAnswers) and self._stats == other._stats

    __hash__ = None  # type: ignore[assignment]

    def files(self) -> Iterator[dict[str, object]]:
        """Move each answer to its final key and yield its manifest entry; no answer is read twice."""
        for what, found in sorted(self._stats.items()):
            sha256, version = self._read.get(found.key, (None, None))
            if sha256 is None:
                facts = self._objects.facts_of(found.key)
                sha256, version = facts.sha256, facts.version_id
            key = f"{self._place}{found.key.rpartition('/')[2]}"
            if key != found.key:
                version = self._objects.adopt(found.key, key).version_id
            yield file_entry(key, version, found.size, sha256, f"vendor:{what}")


def let_go(loaded: LoadedCase) -> None:
    """Delete the raw answers of a finished collection if its connection keeps none.

    If the vendor sends an answer only once, the part that later results need stays. It may be repeated.
    """
    if loaded.connection.keep_raw:
        return
    collections = ("", loaded.collection, loaded.case.record.committed_by or "")
    objects, vendor, case = loaded.context.objects, loaded.vendor, loaded.case.record.id
    for folder_of in dict.fromkeys(vendor_folder(case, each) for each in collections):
        for each in list(objects.stats(folder_of)):
            what = vendor_name(each.key)
            if not (vendor.once and what.startswith(vendor.once)):
                objects.delete(each.key)
            elif (body := objects.read(each.key) or b"") != (facts := vendor.facts(what, body)):  # it was kept before
                objects.write(each.key, facts)


def vendor_name(key: str) -> str:
    """Return the name of a raw answer by its key."""
    return key.rpartition("/")[2].removesuffix(".json")


def standing(case: Case, context: Context) -> tuple[Result | None, int]:
    """Return the current revision's result, or None, and the version of its schema."""
    record = case.record
    body = None
    if record.revision:
        body = context.objects.read(result_key(record.id, record.revision))
    if body is None and record.standing:
        body = context.objects.read(result_key(record.id))
    result = readable(body)
    return result, 2 if record.revision or result is None else 1


def adopt_first(case: Case, context: Context) -> None:
    """Store a case that version 1 of Dossier completed as revision 1, before a new revision replaces it."""
    record, objects = case.record, context.objects
    if record.revision or not record.standing:
        return
    body = objects.read(result_key(record.id))
    if body is None:
        return
    version = objects.write(result_key(record.id, 1), body)
    artifacts = [
        each.model_copy(update={"version_id": objects.version_of(each.key or "")})
        for each in case.artifacts
        if each.key
    ]
    raw = RawAnswers(objects, record.id)
    files = [
        *_files(case, artifacts, raw, objects.version_of),
        _entry(result_key(record.id, 1), body, version),
    ]
    objects.write_json(manifest_key(record.id, 1), manifest(case, 1, files))
    revision = RevisionRecord(number=1, status=record.status.value, collected_at=record.completed_at)
    context.cases.put_revision(record.id, revision)


@dataclass(frozen=True, slots=True)
class Made:
    """A revision's ``result.json``, its version, and the raw answers behind it."""

    body: bytes
    version_id: str | None
    raw: RawAnswers


def stand(loaded: LoadedCase, made: Made | None, *, error: str | None) -> Result:
    """Publish the committed revision of a case; return its result.

    Args:
        loaded: the case, as it was committed.
        made: the revision, if it was committed just now.
        error: the error name for a failed case.

    Raises:
        FileNotFoundError: a file of it is not kept any more.

    """
    context, case, record = loaded.context, loaded.case, loaded.case.record
    number = record.committed or 0
    by = record.committed_by or ""
    body = made.body if made else context.objects.read(result_key(record.id, number)) or b""
    raw = made.raw if made else RawAnswers(context.objects, record.id, by)
    result = read_stored(body)
    artifacts = [_in_place(each, case, context.objects) for each in shown(case, by)]
    files = _files(case, artifacts, raw if loaded.connection.keep_raw else None, context.objects.version_of)
    version = context.objects.write(result_key(record.id), body)
    of_revision = result_key(record.id, number)
    own = _entry(of_revision, body, made.version_id if made else context.objects.version_of(of_revision))
    lost: list[dict[str, object]] = [
        {"source": f"artifact:{each.source}", "name": each.name, "error": each.error}
        for each in case.collected(by)
        if each.error
    ]
    context.objects.write_json(manifest_key(record.id, number), manifest(case, number, [*files, own], lost))
    latest = [*files, _entry(result_key(record.id), body, version)]
    context.objects.write_json(manifest_key(record.id), manifest(case, number, latest, lost))
    kept = {each.key for each in artifacts}
    for each in case.artifacts:
        if each.key and each.key not in kept:
            context.objects.delete(each.key)
    _remember(loaded, number, by, artifacts, result, loaded.vendor.modified(loaded.view, raw), error)
    return result


def shown(case: Case, by: str, *, as_before: bool = False) -> list[ArtifactRecord]:
    """Return the artifacts of a collection to publish; for one that could not be fetched, the current revision's.

    With ``as_before``, also return the current revision's for one with other bytes but the same content.
    """
    found = [
        (each.index, each if each.key and not (as_before and each.alike) else each.former)
        for each in case.collected(by)
    ]
    return [each.model_copy(update={"index": index}) for index, each in found if each is not None and each.key]


def _in_place(artifact: ArtifactRecord, case: Case, objects: Objects) -> ArtifactRecord:
    """Copy an artifact to its final key, if it is not there; return it with that key and its version."""
    key, final = artifact.key or "", artifact_key(case.record.id, artifact.name)
    if not key.startswith(folder(case.record.id)):
        if objects.stat(key) is None:  # it has expired after a week
            _check_adopted(artifact, final, objects)
        there = objects.adopt(key, final)
        return artifact.model_copy(update={"key": there.key, "version_id": there.version_id, "former": None})
    if artifact.version_id is None:
        return artifact.model_copy(update={"version_id": objects.version_of(key)})
    return artifact


def _check_adopted(artifact: ArtifactRecord, key: str, objects: Objects) -> None:
    """Check that an artifact which its collection no longer has is already at its final key.

    Raises:
        FileNotFoundError: the key has another object, or none.

    """
    there = objects.stat(key)
    if there is None or there.size != artifact.size or objects.facts_of(key).sha256 != artifact.sha256:
        raise FileNotFoundError(f"{artifact.name} was collected, and is not kept any more")


def _remember(
    loaded: LoadedCase,
    number: int,
    by: str,
    artifacts: Sequence[ArtifactRecord],
    result: Result,
    modified: str | None,
    error: str | None,
) -> None:
    context, case, record = loaded.context, loaded.case, loaded.case.record
    if by:
        for each in artifacts:
            context.cases.put_artifact(record.id, each)
        indices = {each.index for each in artifacts}
        context.cases.drop_artifacts(record.id, [each.index for each in case.artifacts if each.index not in indices])
    else:
        for old, new in zip([each for each in case.artifacts if each.key], artifacts, strict=True):
            if old != new:
                context.cases.put_artifact(record.id, new)
    before = context.objects.read(result_key(record.id, number - 1)) if number > 1 else None
    changed = changes(readable(before), result) if number > 1 else None
    context.events.put(kind_of(result, number), detail(result, context.objects.bucket, changed))
    short = RevisionRecord(number=number, status=result.status, collected_at=result.collected_at, changes=changed or {})
    context.cases.put_revision(record.id, short)
    context.cases.put_documents(record.id, _changed_documents(case, result), fresh=False)
    context.cases.published(
        record.id,
        number,
        status=result.status,
        reason=result.reason,
        error=error if result.status == "failed" else None,
        note=None,
        review=result.review or None,
        completed_at=result.completed_at or iso(now()),
        refused=None,
        unfinished=unfinished(result) or None,
        late=(record.late or UNFINISHED) if at_work(result) else None,
        collected_by=by or None,
        collected_at=result.collected_at,
        modified=modified,
        read_at=case.collection.read_at,
        vendor_status=result.vendor_status,
        stage_id=result.stage_id,
        assigned_to=result.assigned_to,
        warnings=result.warnings or None,
    )
    context.cases.drop_artifacts(record.id, [each.index for each in case.staged], collection=by or "stale")


def _changed_documents(case: Case, result: Result) -> list[Document]:
    """Return the documents whose state at the vendor differs from their record."""
    reported = {each.document_id: each for each in result.documents if each.document_id}
    found = []
    for each in case.documents:
        by_now = reported.get(each.document_id or "")
        if by_now is None or (by_now.error and UNFINISHED in by_now.error):
            continue
        stands = {"status": by_now.status, "error": by_now.error, "failed": by_now.error is not None}
        if (changed := each.model_copy(update=stands)) != each:
            found.append(changed)
    return found


def kind_of(result: Result, number: int) -> DetailType:
    """Return the ``detail-type`` of the event about a revision."""
    if number > 1:
        return "Case Updated"
    return "Case Failed" if result.status == "failed" else "Case Completed"


def detail(result: Result, bucket: str, changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the detail of an event about a case; ``changed`` are the differences from the revision before, if any."""
    case = CaseId(result.connection, result.reference)
    content: dict[str, Any] = {
        "connection": result.connection,
        "reference": result.reference,
        "vendor": result.vendor,
        "case_id": result.case_id,
        "status": result.status,
        "revision": result.revision,
        "collected_at": result.collected_at,
        "vendor_status": result.vendor_status,
        "stage_id": result.stage_id,
        "assigned_to": result.assigned_to,
        "reason": result.reason,
        "review": result.review,
        "warnings": len(result.warnings),
        "bucket": bucket,
        "result": result_key(case),
        "manifest": manifest_key(case),
    }
    return content if changed is None else {**content, "changes": dict(changed)}


def manifest(
    case: Case, number: int, files: Sequence[dict[str, object]], lost: Sequence[dict[str, object]] = ()
) -> dict[str, object]:
    """Return a manifest: each file of a revision with key, version, size, sha256 and source; and the failed ones."""
    return {
        "schema_version": SCHEMA_VERSION,
        "connection": case.record.connection,
        "reference": case.record.reference,
        "revision": number,
        "files": list(files),
        "failed": list(lost),
    }


def _files(
    case: Case,
    artifacts: Sequence[ArtifactRecord],
    raw: RawAnswers | None,
    version_of: Callable[[str], str | None] = lambda _: None,
) -> list[dict[str, object]]:
    """Return the manifest entries of all files but the result; ``version_of`` looks up unknown versions.

    Without ``raw`` no raw answers are kept.
    """
    files = [
        file_entry(each.key, each.version_id or version_of(each.key), each.size, each.sha256, "caller")
        for each in case.documents
        if each.key
    ]
    files += [
        file_entry(each.key or "", each.version_id, each.size, each.sha256, f"artifact:{each.source}")
        for each in artifacts
    ]
    return [*files, *(raw.files() if raw is not None else ())]


def file_entry(key: str, version_id: str | None, size: int, sha256: str, source: str) -> dict[str, object]:
    """Return the manifest entry of a file."""
    return {"key": key, "version_id": version_id, "size": size, "sha256": sha256, "source": source}


def _entry(key: str, body: bytes, version_id: str | None) -> dict[str, object]:
    return file_entry(key, version_id, len(body), hashlib.sha256(body).hexdigest(), "dossier")


def write_unrevised(result: Result, case: Case, *, context: Context) -> None:
    """Write result and manifest of a case that was never collected."""
    body = as_json(result.model_dump(mode="json"))
    artifacts = [each for each in case.artifacts if each.key]
    version = context.objects.write(result_key(case.record.id), body)
    raw = RawAnswers(context.objects, case.record.id)
    files = [*_files(case, artifacts, raw), _entry(result_key(case.record.id), body, version)]
    context.objects.write_json(manifest_key(case.record.id), manifest(case, 0, files))
