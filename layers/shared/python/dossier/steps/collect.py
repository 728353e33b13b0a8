"""Collect: list the files that the vendor has for a case."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import PurePosixPath

from pydantic import BaseModel

from dossier.clocks import dates
from dossier.errors import (
    CaseFailedError,
    ConfigurationError,
    NotReadyError,
    PausedError,
    RetryableError,
    StrayAnswerError,
    ThrottledError,
    UnauthorizedError,
)
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.names import safe_name, unique_names
from dossier.ports import Artifact, updated
from dossier.revisions import listing_digest
from dossier.steps.context import Context, LoadedCase
from dossier.steps.download import settle
from dossier.stores.cases import ArtifactRecord, Case, Collection

ITERATIONS = 200
"""Most iterations of the Download map: an execution's history is limited to 25,000 events."""
TOGETHER = 2
"""The fewest artifacts of an iteration: each iteration is a state transition, which costs more than a download."""
HERE, EARLY = 3, 5.0
"""Most artifacts of a case that Collect itself downloads, and the seconds from its own beginning after which it begins
no further one. The Map downloads side by side, so what takes longer is quicker there; and a download after a slow list
would not end within the function's time."""
PROVEN = 1000
"""The most files of a later collection with an unchanged list entry for which storage is asked."""


class Collected(BaseModel):
    """The artifacts to download: a list of indices for each iteration of the map."""

    artifacts: list[list[int]]
    at_once: int


def collect(case: CaseId, collection: str = "", *, context: Context) -> Collected:
    """List the case's artifacts, give each a safe, unique name, and return which have to be downloaded.

    Raises:
        ConfigurationError: there are more than ``limits.artifacts``; nothing is stored.

    """
    began, loaded = time.monotonic(), _begun(case, collection, context)
    if loaded.case.record.trouble is None or loaded.case.record.status is not CaseStatus.DOWNLOADING:
        context.cases.change(case, status=CaseStatus.DOWNLOADING, note=None)
    answered: list[Mapping[str, str]] = []
    with loaded.telling():
        loaded = _followed(loaded)
        listed = loaded.look_up(
            f"artifacts-{loaded.label}",
            loaded.vendor.artifacts(loaded.view),
            note=lambda reply: answered.append(reply.headers),
        )
    most = loaded.connection.limits.artifacts
    if len(listed) > most:
        raise ConfigurationError(
            f"the vendor lists {len(listed)} files for the case, more than {most}: "
            "raise limits.artifacts if that is correct"
        )
    known = {artifact.index: artifact for artifact in loaded.case.collected(collection)}
    names = stable_names(listed, loaded.case if collection else None)
    todo: list[ArtifactRecord] = []
    fresh: list[ArtifactRecord] = []
    for index, (artifact, name) in enumerate(zip(listed, names, strict=True)):
        record, old = _record(index, artifact, name), known.pop(index, None)
        if old and (old.source, old.name, old.listed) == (record.source, record.name, record.listed):
            record = old
        else:
            proven = len(todo) < PROVEN
            record = _former(record, loaded.case, tells=artifact.tells, proven=proven) if collection else record
            fresh.append(record)
        if not record.settled:
            todo.append(record)
    context.cases.drop_artifacts(case, known, collection=collection)
    if loaded.vendor.dates_changes and (answered_at := dates(answered)):
        dated = loaded.case.collection.model_copy(update={"read_at": min(answered_at)})
        context.cases.put_collection(case, dated)
    stored = _downloaded(loaded, todo, until=began + EARLY) if len(todo) <= HERE else set()
    for record in fresh:
        if record.index not in stored:
            context.cases.put_artifact(case, record, collection=collection)
    left = [each.index for each in todo if each.index not in stored]
    return Collected(artifacts=chunks(left), at_once=loaded.connection.limits.concurrency)


def _downloaded(loaded: LoadedCase, artifacts: Sequence[ArtifactRecord], *, until: float) -> set[int]:
    """Download a case's few artifacts here; return the indices of those that are settled.

    Iterations of the Download map cost transitions and invocations. What does not succeed at once, or is not begun
    ``until`` a moment (``time.monotonic``), is left to them, with their retries.
    """
    settled: set[int] = set()
    answers = all(loaded.vendor.answer_of(each.source) for each in artifacts)
    try:
        with nullcontext() if answers else loaded.lease("collect"):
            for each in artifacts:
                if time.monotonic() > until:
                    break
                settle(loaded, each, leased=True)
                settled.add(each.index)
    except (RetryableError, PausedError):
        pass
    return settled


def _begun(case: CaseId, collection: str, context: Context) -> LoadedCase:
    """Begin a collection and return the case; a retry continues the collection that the first try began.

    The collection serves every refresh that was requested before it began. What an earlier one has stored, and not
    published, may have changed at the vendor since: a redriven case collects it anew.
    """
    loaded = context.load(case, collection)
    label = loaded.label
    if loaded.case.collection.id != label:
        context.refreshes.see(case)
        context.cases.drop_artifacts(case, [each.index for each in loaded.case.staged], collection="stale")
        gone: dict[str, object] = {"staged": ()}
        if not collection:
            context.cases.drop_artifacts(case, [each.index for each in loaded.case.artifacts])
            gone["artifacts"] = ()
        begun = Collection(id=label, at=now())
        context.cases.put_collection(case, begun)
        return replace(loaded, case=loaded.case.model_copy(update={"collection": begun, **gone}))
    return loaded


def _followed(loaded: LoadedCase) -> LoadedCase:
    """Poll documents again that were unfinished at their last poll, if the deadline passed or the case is refreshed.

    An assessment for which the documents were too late is triggered once they are done; ``dossier redrive`` handles a
    failed one.
    """
    record = loaded.case.record
    if "documents" not in loaded.vendor.phases or not (record.late or loaded.collection):
        return loaded
    _ask_on(loaded)
    loaded = loaded.context.load(record.id, loaded.collection)
    if loaded.collection and loaded.case.record.late and len(loaded.vendor.phases) > 1:
        sent = [each for each in loaded.case.documents if each.document_id]
        if sent and all(each.finished for each in sent) and not all(each.failed for each in sent):
            try:
                stands = loaded.run(loaded.vendor.poll_results([loaded.view])).get(record.case_id or "")
                if stands is None or not stands.failed:
                    loaded.run(loaded.vendor.process(loaded.view))
            except ConfigurationError:
                raise
            except (NotReadyError, StrayAnswerError, CaseFailedError):
                return loaded  # collected unfinished: the result says so
    return loaded


def _ask_on(loaded: LoadedCase) -> None:
    """Request the state of each unfinished document; another try continues where this one stopped."""
    case, collection = loaded.case.record.id, loaded.case.collection
    left = [each for each in loaded.case.documents if each.document_id and (not each.finished or each.failed)]
    done = collection.followed
    try:
        for each in left:
            if each.index > done and (state := _state(loaded, each)) != each:
                loaded.context.cases.put_documents(case, [state], fresh=False)
            done = max(done, each.index)
    finally:
        if len(left) > 1 and done > collection.followed:
            loaded.context.cases.put_collection(case, collection.model_copy(update={"followed": done}))


def _state(loaded: LoadedCase, document: Document) -> Document:
    """Return a document with its current state; the vendor's error about it becomes the document's failure."""
    document_id = document.document_id or ""
    try:
        states = loaded.run(loaded.vendor.poll_documents(loaded.view, [document_id])).documents
    except (UnauthorizedError, ThrottledError):
        raise
    except RetryableError as error:
        gone = isinstance(error, StrayAnswerError) and error.worded
        return document.model_copy(update={"failed": True, "error": str(error)}) if gone else document
    except CaseFailedError as error:
        return document.model_copy(update={"failed": True, "error": str(error)})
    return updated(document, states[document_id]) if document_id in states else document


def _record(index: int, artifact: Artifact, name: str) -> ArtifactRecord:
    return ArtifactRecord(
        index=index,
        name=name,
        source=artifact.source,
        content_type=artifact.content_type,
        listed="" if artifact.entry is None else listing_digest(artifact.entry),
        error=artifact.unfinished,
    )


def _former(record: ArtifactRecord, case: Case, *, tells: bool, proven: bool) -> ArtifactRecord:
    """Return the current revision's artifact if its entry in the list is unchanged and its bytes are, too.

    Storage compares the bytes by their ETag. If it gives none, they are fetched again, unless the entry ``tells`` of
    its content (a checksum, a size, a time of change).
    """
    old = next((each for each in case.artifacts if (each.source, bool(each.key)) == (record.source, True)), None)
    if old is None:
        return record
    same = bool(record.listed) and (old.listed, old.name) == (record.listed, record.name)
    if same and not record.error and not (proven and (old.etag or not tells)):
        return old.model_copy(update={"index": record.index})
    return record.model_copy(update={"former": old})


def stable_names(listed: Sequence[Artifact], case: Case | None) -> list[str]:
    """Return safe, unique names; artifacts of the current revision keep theirs, whatever their place in the list."""
    if case is None:
        return unique_names(each.name for each in listed)
    standing = {each.source: each.name for each in case.artifacts}
    kept = {
        index: standing[each.source]
        for index, each in enumerate(listed)
        if each.source in standing and _is_of(standing[each.source], safe_name(each.name))
    }
    others = [index for index in range(len(listed)) if index not in kept]
    fresh = unique_names([*kept.values(), *(listed[index].name for index in others)])[len(kept) :]
    named = {**kept, **dict(zip(others, fresh, strict=True))}
    return [named[index] for index in range(len(listed))]


def _is_of(name: str, safe: str) -> bool:
    """Whether a stored name was derived from a file's: it is the same, or has a number before its ending."""
    ending = PurePosixPath(safe).suffix
    numbered = rf"{re.escape(safe.removesuffix(ending))}-\d+{re.escape(ending)}"
    return name == safe or re.fullmatch(numbered, name) is not None


def chunks(indices: Sequence[int]) -> list[list[int]]:
    """Return the indices of artifacts in at most ``ITERATIONS`` lists."""
    step = max(TOGETHER, -(-len(indices) // ITERATIONS))
    return [list(indices[start : start + step]) for start in range(0, len(indices), step)]
