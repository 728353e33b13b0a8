"""The API's operations. Each calls the step that the command of the same name calls."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from itertools import islice

from dossier.api.models import (
    ArtifactLink,
    ArtifactPath,
    Billed,
    CancelledView,
    CasePage,
    CasePath,
    Refreshed,
    Resolved,
    ResolveRequest,
    Revisions,
    Selection,
    Submitted,
    UploadRequest,
    UploadTarget,
    UploadTargets,
)
from dossier.api.problems import conflict, not_found, wrong
from dossier.layout import STAGING
from dossier.models import CaseId, CaseInput, utc
from dossier.names import safe_name
from dossier.steps.accept import examine
from dossier.steps.cancel import cancel as end
from dossier.steps.context import Context
from dossier.steps.identity import NAMES, check_reserved, refresh_name
from dossier.steps.listing import CURSOR, cursor, newest
from dossier.steps.refresh import ask
from dossier.steps.resolve import Answer, fitting, question_of, record
from dossier.steps.submissions import before, start
from dossier.steps.views import CaseView, result_key, revisions, summary, view
from dossier.stores.cases import Case
from dossier.stores.executions import INPUT_LIMIT

LINK_SECONDS = 3600
"""Seconds for which a presigned URL is valid, unless the function's credentials expire before."""
MOST_RESULT = 4 << 20
"""Largest result, in bytes, that is answered; a larger one is redirected to. Lambda answers 6 MB at most."""
MOST_LOOKED_AT = 1000
"""Cases that one request looks at, at most, if it selects by status."""
_OWN = ("resume", "drop", "refresh")


def submit(given: CaseInput, *, context: Context) -> Submitted:
    """Start a case's execution once, under the name that every other way of submission gives it.

    Raises:
        InvalidCaseError: says what to fix.
        ReferenceConflictError: the reference has other content.

    """
    if own := next((key for key in _OWN if key in given.model_fields_set), None):
        raise wrong(f"{own}: only Dossier sets this key")
    data = given.model_dump(mode="json", exclude_defaults=True)
    if len(json.dumps(data, ensure_ascii=False).encode()) > INPUT_LIMIT:
        raise wrong("the input is too large for one case: submit its documents as several")
    check_reserved(given)
    connection = context.connection_of(given.connection)
    vendor = context.vendor_of(connection)
    checked = examine(given, objects=context.objects, connection=connection, vendor=vendor)
    found, known = before(given, checked.fingerprint, checked.view.documents, context=context)
    names = given.id._asdict()
    if found is not None and known:
        return Submitted(**names, execution_arn=found.record.execution_arn, outcome="already_submitted")
    begun = start(given.id, checked.fingerprint, data, found=found, context=context)
    if begun is None:
        raise conflict(f"case {given.reference} was rejected {NAMES} times: use another reference")
    arn, repeated = begun
    return Submitted(**names, execution_arn=arn, outcome="already_submitted" if repeated else "started")


def upload_urls(request: UploadRequest, *, context: Context) -> UploadTargets:
    """Return a URL for each file of a case that is to be submitted."""
    context.connection_of(request.connection)
    prefix = f"{STAGING}{request.connection}/api-{uuid.uuid4().hex}/"
    keys = [f"{prefix}{index}-{safe_name(each.name)}" for index, each in enumerate(request.files)]
    return UploadTargets(
        files=[
            UploadTarget(
                name=each.name,
                uri=f"s3://{context.objects.bucket}/{key}",
                url=context.objects.upload_link(key, LINK_SECONDS),
            )
            for key, each in zip(keys, request.files, strict=True)
        ],
        expires_in=LINK_SECONDS,
    )


def cases(wanted: Selection, *, context: Context) -> CasePage:
    """Return a page of cases. One of a rare status may be empty and yet have a ``next``."""
    known = context.cases.connections()
    if wanted.connection is not None and wanted.connection not in known:
        context.connection_of(wanted.connection)  # a connection without cases, or an error that names the deployed ones
    if wanted.after is not None and not CURSOR.fullmatch(wanted.after):
        raise wrong("after: give the `next` of the page before")
    names = sorted(known) if wanted.connection is None else [wanted.connection]
    since, until = _moment("since", wanted.since), _moment("until", wanted.until)
    found, looked, last = [], 0, None
    latest = newest(names, context=context, since=since, after=wanted.after)
    for each in latest:
        if until is not None and each.submitted_at > until:
            continue
        looked, last = looked + 1, each
        if wanted.status in {None, each.status}:
            found.append(summary(context.cases.troubled(each)))
        if len(found) == wanted.limit or looked == MOST_LOOKED_AT:
            break
    more = last is not None and next(islice(latest, 1), None) is not None
    return CasePage(cases=found, next=cursor(last) if last is not None and more else None)


def case(path: CasePath, *, context: Context) -> CaseView:
    """Return everything about a case."""
    return view(_found(path, context))


def result(path: CasePath, *, context: Context) -> bytes | str:
    """Return a case's ``result.json``, or a URL that downloads it if it is large."""
    stored = _found(path, context)
    key = result_key(stored.record)
    stat = context.objects.stat(key) if key else None
    if key is None or stat is None:
        raise not_found(f"case {path.reference} has no result: it is {stored.record.status.value}")
    if stat.size > MOST_RESULT:
        return context.objects.link(key, LINK_SECONDS)
    return context.objects.read(key, version_id=stat.version_id) or b""


def revisions_of(path: CasePath, *, context: Context) -> Revisions:
    """Return a case's revisions."""
    return Revisions(revisions=revisions(_found(path, context)))


def artifact(path: ArtifactPath, *, context: Context) -> ArtifactLink:
    """Return a URL that downloads an artifact."""
    stored = _found(path, context)
    found = next((each for each in stored.artifacts if each.name == path.name and each.key), None)
    if found is None or found.key is None:
        raise not_found(f'case {path.reference} has no artifact "{path.name}"')
    url = context.objects.link(found.key, LINK_SECONDS)
    return ArtifactLink(name=found.name, size=found.size, sha256=found.sha256, url=url, expires_in=LINK_SECONDS)


def refresh(path: CasePath, *, context: Context) -> Refreshed:
    """Start to collect an ended case again."""
    stored = _found(path, context)
    names = stored.record.id
    number = context.refreshes.find(names).number + 1
    if not ask(names, context=context, insist=True):
        raise conflict(
            f"case {path.reference} is {stored.record.status.value}: only a case that has ended, and whose documents "
            "the vendor all has, can be collected again"
        )
    arn = context.executions.arn_of(refresh_name(names, number))
    return Refreshed(**names._asdict(), execution_arn=arn, revision=stored.record.standing)


def cancel(path: CasePath, *, context: Context) -> CancelledView:
    """End a case; its stored data stays."""
    stored = _found(path, context).record
    if stored.status.final:
        raise conflict(f"case {path.reference} is {stored.status.value}: there is nothing to cancel")
    left = end(stored.id, context=context)
    billed = [Billed(name=each.name, document_id=each.document_id, status=each.status) for each in left.documents]
    return CancelledView(**stored.id._asdict(), billed=billed, in_doubt=list(left.in_doubt))


def resolve(path: CasePath, request: ResolveRequest, *, context: Context) -> Resolved:
    """Answer a case's open question. The case's step looks an id up, and asks again if it is wrong."""
    if (request.answer == "use") != bool(request.id.strip()):
        raise wrong('id: give it with the answer "use", and only then')
    stored = _found(path, context)
    question = question_of(stored, request.question)
    answer = fitting(question, Answer(request.answer, request.id.strip()))
    record(stored, question, answer, context=context)
    return Resolved(**stored.record.id._asdict(), question=question.what, answer=answer.kind)


def _found(path: CasePath, context: Context) -> Case:
    stored = context.cases.find(CaseId(path.connection, path.reference))
    if stored is None:
        raise not_found(f"there is no case {path.reference} at connection {path.connection}")
    return stored


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # in UTC, the first hours of the year 1 may be before it
        raise wrong(f"{name}: use a time in ISO 8601, such as 2026-01-31T12:00:00Z") from None
