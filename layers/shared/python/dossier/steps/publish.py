"""Publish: write result and manifest, send the event, set the final status; also for a case that failed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from dossier.errors import CaseFailedError, DeadlinePassedError, InvalidCaseError, UnauthorizedError, tree
from dossier.http import Reply
from dossier.layout import INBOX, INBOX_REFUSED, artifact_key, manifest_key, result_key
from dossier.models import CaseId, CaseInput, CaseStatus, Drop, iso, now
from dossier.result import (
    UNFINISHED,
    ArtifactResult,
    DocumentResult,
    FailedArtifact,
    FieldValue,
    Result,
    at_work,
    unfinished,
)
from dossier.revisions import content
from dossier.settings import Connection
from dossier.steps import refresh
from dossier.steps.context import OVER, Context, LoadedCase
from dossier.steps.download import room
from dossier.steps.kept import Kept
from dossier.steps.publication import (
    Made,
    RawAnswers,
    adopt_first,
    detail,
    let_go,
    shown,
    stand,
    standing,
    write_unrevised,
)
from dossier.steps.reasons import reason_of
from dossier.stores.cases import ArtifactRecord, Case, CaseRecord, Collection
from dossier.stores.objects import as_json
from dossier.texts import line

MOST_WARNINGS = 100
"""Most warnings of a case, each of 300 characters at most."""
REFUSED_AFTER = "the vendor refused what the connection asks for afterwards"
LONGEST_KEY = 1024
"""Longest key of an object, in bytes of UTF-8."""
LONGEST_CONNECTION, NOBODYS = 64, "-"
"""Characters of a connection's name that a drop's input has, and what it has where its key case none."""
_REFUSALS = {error.__name__ for error in tree(InvalidCaseError)}


def publish(
    case: CaseId,
    collection: str = "",
    *,
    context: Context,
) -> dict[str, str]:
    """Publish a collected case, if anything is new; return its status and the keys of result and manifest.

    Raises:
        CaseFailedError: the vendor failed the case; everything is published all the same. Not of a refresh. A file of
            a publication that broke off long ago is not kept any more: the case is collected anew.
        ConfigurationError: its artifacts have more bytes together than ``limits.case_bytes``.

    """
    number = refresh.number_of(collection)
    loaded = context.load(case, collection)
    room(loaded)
    before = loaded.case.record.revision
    made, again = (None, False) if loaded.case.record.committed is not None else _committed(loaded)
    if made is not None:
        loaded = context.load(case, collection)
    if loaded.case.record.committed is not None:
        try:
            stand(loaded, made, error=_failure(loaded.case.record).__name__)
        except FileNotFoundError as gone:
            context.cases.abandon(case, loaded.case.record.committed)
            refresh.end(case, number, context=context, error=f"{gone}: it is collected anew")
            raise CaseFailedError(str(gone)) from gone
    let_go(loaded)
    stored = context.cases.record(case)
    more, progress = stored.unfinished or again, stored.revision > before
    refresh.end(case, number, context=context, unfinished=more, progress=progress)
    if not number and stored.status is CaseStatus.FAILED:
        raise _failure(loaded.case.record)(stored.reason or f"{loaded.vendor.name} failed the case")
    return {
        "status": stored.status.value,
        "result": result_key(case),
        "manifest": manifest_key(case),
    }


def _failure(record: CaseRecord) -> type[CaseFailedError]:
    return DeadlinePassedError if record.late else CaseFailedError


def _committed(loaded: LoadedCase) -> tuple[Made | None, bool]:
    """Write the collected results as the next revision; return it, and whether the vendor is at work again.

    None if nothing is new, another collection has begun, or another revision is current by now. While the vendor
    processes a completed case again, its answers are not a revision; the outcome is.
    """
    context, case, record = loaded.context, loaded.case, loaded.case.record
    is_refresh = bool(refresh.number_of(loaded.collection))
    if record.collected_by == loaded.collection or (record.status.final and not is_refresh) or not loaded.current:
        return None, False  # an earlier try has published it, or a later collection will
    (result, raw), before = _read(loaded), record.standing
    if loaded.view.completed and at_work(result) and case.refresh.looks < refresh.MOST_LOOKS:
        return None, True
    former, version = standing(case, context)
    stands = result.model_copy(update={"artifacts": _artifacts(loaded, as_before=True)})
    if former is not None and content(former, version=version) == content(stands, version=version):
        modified = loaded.vendor.modified(loaded.view, raw)
        as_of = (modified, case.collection.read_at)
        if as_of != (record.modified, record.read_at):
            context.cases.collected_as_of(record.id, *as_of)
        if not is_refresh:  # a redriven case ended as before
            error = _failure(record).__name__ if result.status == "failed" else None
            ended = {"reason": result.reason, "error": error, "completed_at": now()}
            context.cases.change(record.id, status=CaseStatus(result.status), note=None, **ended)
        _over(loaded)
        return None, False
    adopt_first(case, context)
    result = result.model_copy(update={"revision": before + 1})
    key = result_key(record.id, before + 1)
    body = as_json(result.model_dump(mode="json"))
    written = context.objects.write(key, body)
    committed = context.cases.commit(record.id, before + 1, loaded.collection, ended=is_refresh)
    return Made(body, written, raw) if committed else None, False


def _over(loaded: LoadedCase) -> None:
    """Delete a later collection with nothing new: first its name, so that another try publishes nothing."""
    record = loaded.case.record
    case = record.id
    if loaded.collection:
        loaded.context.cases.put_collection(case, Collection(id=f"{loaded.label}{OVER}", at=loaded.case.collection.at))
        staged = [each.index for each in loaded.case.staged]
        loaded.context.cases.drop_artifacts(case, staged, collection=loaded.collection)


def _read(loaded: LoadedCase) -> tuple[Result, RawAnswers]:
    """Return the result of a collection and its raw answers; a completed case first runs the vendor's after-steps."""
    stored = (loaded.context.objects, loaded.case.record.id, loaded.collection)
    raw, warnings = RawAnswers(*stored), []
    files = shown(loaded.case, loaded.collection)
    result = loaded.vendor.read_result(loaded.view, _sources(loaded, raw, files))
    if loaded.view.completed:
        warnings += [each for each in loaded.case.record.warnings if each.startswith(REFUSED_AFTER)]
    elif result.status in {"completed", "completed_with_failures"} and not at_work(result):
        answered: list[Reply] = []
        try:
            with loaded.telling():
                replace(loaded, collection="").run(loaded.vendor.finish(loaded.view), note=answered.append)
        except UnauthorizedError:
            raise
        except CaseFailedError as error:
            warnings.append(f"{REFUSED_AFTER}: {error}")
        by_now = RawAnswers(*stored) if answered else raw
        if by_now != raw:  # the vendor's answer has the case's state since
            raw, result = by_now, loaded.vendor.read_result(loaded.view, _sources(loaded, by_now, files))
    warnings = [*result.warnings, *loaded.case.collection.warnings, *warnings]
    return _complete(result.model_copy(update={"warnings": warnings}), loaded), raw


def read_again(case: CaseId, *, context: Context) -> Result:
    """Return the result that this version of Dossier reads from a case's stored data, without writes or requests.

    Raises:
        InvalidCaseError: there is no such case, or it has not ended.

    """
    loaded = context.load(case)
    if not loaded.view.completed:
        raise InvalidCaseError(f"case {case.reference} has not completed: there is no result to compare")
    result, _ = _read(loaded)
    return result.model_copy(update={"artifacts": _artifacts(loaded)})


def _sources(loaded: LoadedCase, raw: RawAnswers, files: Sequence[ArtifactRecord]) -> Kept:
    """Return the sources of a result. An artifact that is an answer replaces a raw answer that is not kept."""
    named = {name: each for each in files if (name := loaded.vendor.answer_of(each.source)) is not None}
    return Kept(raw, files, loaded.context.objects, instead=named)


def fail(
    case_input: object,
    execution_arn: str,
    error: str,
    cause: str,
    *,
    context: Context,
) -> dict[str, str]:
    """Record that a case failed, and why; return ``{"error", "reason"}`` for the state machine.

    A case that belongs to another execution (a conflict, a duplicate) or has ended is not changed, nor is the case of a
    failed refresh. An interrupted publication is continued.
    """
    reason = reason_of(cause) or error
    answer = {"error": error, "reason": reason}
    try:
        submitted = CaseInput.parse(case_input)
    except CaseFailedError:
        named = CaseInput.named(case_input)
        if named is None:
            return answer  # without connection and reference there is no case to record
        submitted = named
    if submitted.drop and error in _REFUSALS:
        _note_rejection(submitted, submitted.drop, reason, context)
    if submitted.refresh is not None:
        refresh.fail(submitted.id, submitted.refresh, execution_arn, reason, context=context)
        return answer
    case = context.cases.find(submitted.id)
    if case is None and context.cases.erased(submitted.id) is not None:
        return answer  # nothing is stored under the reference of a case that was erased
    if case is None or (case.record.refused and case.record.execution_arn != execution_arn):
        # A stored case can always be failed, even if its connection was removed; this one is not stored yet.
        vendor = case.record.vendor if case else ""
        try:
            vendor = context.connection_of(submitted.connection).vendor
        except CaseFailedError:
            if case is None:
                return answer  # a connection that never existed has no cases
        at = now()
        rejected = CaseRecord(
            connection=submitted.connection,
            reference=submitted.reference,
            vendor=vendor,
            status=CaseStatus.ACCEPTED,
            execution_arn=execution_arn,
            options=submitted.options,
            refused=True,
            submitted_at=at,
            updated_at=at,
        )
        context.cases.refuse(rejected)
        case = context.cases.find(submitted.id)
    if case is not None and case.record.execution_arn == execution_arn and not case.record.status.final:
        end_as_failed(case, error, reason, context=context)
    return answer


def stopped(case_input: object, *, context: Context) -> None:
    """Count an execution that somebody stopped, unless that was ``dossier cancel``, which stops it on purpose."""
    named = CaseInput.named(case_input)
    case = context.cases.find(named.id) if named is not None else None
    if case is None or case.record.cancelled_at is None:
        context.count("ExecutionsStopped")


def end_as_failed(case: Case, error: str, reason: str, *, context: Context) -> None:
    """Record that a stored case failed: its execution has ended. An interrupted publication is continued instead."""
    if refresh.pending(case):
        refresh.ask(case.record.id, context=context)
    elif case.record.cancelled_at:
        cancelled(case, context=context)
    else:
        _leave(case, context=context)
        _conclude(_failed(case, reason), case, context=context, error=error)
        refresh.end(case.record.id, 0, context=context)


def cancelled(case: Case, *, context: Context) -> None:
    """Record that an operator cancelled a case whose execution is stopped."""
    _leave(case, context=context)
    result = _failed(case, "an operator cancelled the case").model_copy(update={"status": "cancelled"})
    _conclude(result, case, context=context, error=None)


def _leave(case: Case, *, context: Context) -> None:
    """End a case's wait, its held steps and its questions: their task tokens ended with the execution."""
    if wait := context.waits.find(case.record.id):
        context.waits.end(wait)
    for step in list(context.waits.steps_of(case.record.id)):
        context.waits.end_step(step)
    for question in case.questions:
        context.cases.answered(case.record.id, question.what)


def _conclude(result: Result, case: Case, *, context: Context, error: str | None) -> None:
    """Record an end without a collection: result, event, status. An earlier revision stays."""
    record = case.record
    if not record.revision:
        write_unrevised(result, case, context=context)
    context.events.put("Case Failed", detail(result, context.objects.bucket))
    untouched = not record.case_id and record.attempt == 1 and not any(each.document_id for each in case.documents)
    refused = result.status == "failed" and record.status is CaseStatus.ACCEPTED and untouched
    context.cases.change(
        record.id,
        status=CaseStatus(result.status),
        reason=result.reason,
        error=error,
        note=None,
        review=None,
        completed_at=result.completed_at,
        refused=refused or None,
    )


def _complete(result: Result, loaded: LoadedCase) -> Result:
    """Add the parts that every result has: identity, artifacts, times, the review mark."""
    record = loaded.case.record
    fields = [*result.fields, *(field for document in result.documents for field in document.fields)]
    for field in fields:
        field.review = _needs_review(field, loaded.connection)
    ended = record.status.final and record.status is not CaseStatus.FAILED
    completed_at = record.completed_at if ended else None
    lost = [each for each in loaded.case.collected(loaded.collection) if each.error]
    added = {
        **_identity(loaded.case),
        "collected_at": iso(loaded.case.collection.at or now()),
        "warnings": _few([*_warnings(loaded.case), *result.warnings]),
        "review": any(field.review for field in fields),
        "documents": [_with_error(each, loaded, lost) for each in result.documents],
        "artifacts": _artifacts(loaded),
        "failed_artifacts": [FailedArtifact(name=each.name, error=str(each.error)) for each in lost],
        "completed_at": iso(completed_at or now()),
    }
    return _judged(result.model_copy(update=added), record.late, completed=loaded.view.completed)


def _artifacts(loaded: LoadedCase, *, as_before: bool = False) -> list[ArtifactResult]:
    """Return a collection's artifacts, as :func:`dossier.steps.publication.shown` selects them."""
    record = loaded.case.record
    return [
        ArtifactResult(name=each.name, key=artifact_key(record.id, each.name), size=each.size, sha256=each.sha256)
        for each in shown(loaded.case, loaded.collection, as_before=as_before)
    ]


def _with_error(document: DocumentResult, loaded: LoadedCase, lost: Sequence[ArtifactRecord]) -> DocumentResult:
    """Return a document with the reason for a missing result: the vendor has not finished it, or the answer is lost."""
    if document.error or document.document_id is None or "documents" not in loaded.vendor.phases:
        return document
    stored = next((each for each in loaded.case.documents if each.document_id == document.document_id), None)
    unread = [each.error for each in lost if PurePosixPath(each.source).name == document.document_id]
    waited_for = stored is not None and not stored.finished
    error = UNFINISHED if waited_for else next(iter(unread), None)
    return document.model_copy(update={"error": error})


def _judged(result: Result, late: str | None, *, completed: bool) -> Result:
    """Return the result with its status: failed parts do not fail the case, unless all parts failed.

    A case that was ``completed`` before does not fail because its documents can no longer be read.
    """
    nothing = not result.documents and not result.artifacts and result.status == "completed_with_failures"
    if late and unfinished(result) and nothing:
        result = result.model_copy(update={"status": "failed"})
    if late and result.status == "failed" and unfinished(result):
        result = result.model_copy(update={"reason": late})
    wrong = [f"{each.name or each.document_id}: {each.error}" for each in result.documents if each.error]
    lost = [f"{each.name}: {each.error}" for each in result.failed_artifacts]
    if result.status not in {"completed", "completed_with_failures"} or not (wrong or lost):
        return result
    reason = result.reason or "; ".join([*wrong, *lost])[:1000]
    if wrong and len(wrong) == len(result.documents) and not completed:
        return result.model_copy(update={"status": "failed", "reason": late or reason})
    return result.model_copy(update={"status": "completed_with_failures", "reason": reason})


def _few(warnings: Sequence[str]) -> list[str]:
    """Return as many warnings as fit into an item of the table: a vendor may cause one for every document."""
    kept = [line(each) for each in warnings[:MOST_WARNINGS]]
    more = len(warnings) - len(kept)
    return [*kept, f"and {more} more warnings"] if more > 0 else kept


def _warnings(case: Case) -> list[str]:
    """Return the warnings about documents from before their upload."""
    return [f"{each.name} {each.warning}" for each in case.documents if each.warning]


def _identity(case: Case) -> dict[str, object]:
    record = case.record
    names = {"connection": record.connection, "vendor": record.vendor, "reference": record.reference}
    return {**names, "case_id": record.case_id, "submitted_at": iso(record.submitted_at)}


def ended_unread(case: Case) -> Result:
    """Return the event of a case that failed or was cancelled without a collection, from its record."""
    record = case.record
    return _failed(case, record.reason or "").model_copy(update={"status": record.status.value})


def _failed(case: Case, reason: str) -> Result:
    """Return the result of a case that ends without a collection, from its record and its stored artifacts."""
    documents = [
        DocumentResult(document_id=each.document_id, name=each.name, status=each.status, error=each.error)
        for each in case.documents
    ]
    artifacts = [
        ArtifactResult(name=each.name, key=each.key, size=each.size, sha256=each.sha256)
        for each in case.artifacts
        if each.key
    ]
    result = Result(status="failed", reason=reason, revision=case.record.revision, documents=documents)
    result.warnings = _few(_warnings(case))
    return result.model_copy(update={**_identity(case), "artifacts": artifacts, "completed_at": iso(now())})


def _needs_review(field: FieldValue, connection: Connection) -> bool:
    """Whether a person should check a field. The adapter has marked fields whose confidence cannot be read."""
    if connection.review_below is None:
        return False
    if field.confidence is None:
        return field.review or connection.review_missing
    return field.confidence < connection.review_below


def _note_rejection(submitted: CaseInput, drop: Drop, reason: str, context: Context) -> None:
    """Write the reason for a rejected drop beside the inbox; there may be no case that could show it.

    An execution's input may claim to be a drop into another connection's inbox; then nothing is written there.
    """
    home, slash, _ = drop.key.removeprefix(INBOX).partition("/")
    if slash and (home[:LONGEST_CONNECTION] or NOBODYS) != submitted.connection:
        return
    key = INBOX_REFUSED + drop.key.removeprefix(INBOX) + ".txt"
    if len(key.encode()) > LONGEST_KEY:
        key = f"{INBOX_REFUSED}{hashlib.sha256(drop.key.encode()).hexdigest()}.txt"
    shown = "".join(each if each.isprintable() else "?" for each in drop.key)
    context.objects.write(key, f"{iso(now())} {shown} was rejected: {reason}\n".encode(), "text/plain; charset=utf-8")
