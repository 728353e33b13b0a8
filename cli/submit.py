"""``dossier submit``: uploads files to S3, starts their case, and waits until it is accepted, or until it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any, Literal

from cli import watch
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError, InterruptedCommandError, NotFinishedError
from cli.files import is_uri
from cli.output import Output
from cli.sources import Source, chunks, read_file, referred
from cli.status import describe
from cli.target import Target
from cli.text import clean, when
from dossier import vendors
from dossier.errors import InvalidCaseError
from dossier.layout import STAGING
from dossier.models import CaseInput, CaseStatus, Document, OptionValue, now
from dossier.names import proper_names, safe_name
from dossier.options import Option, parse, plain
from dossier.settings import Connection
from dossier.steps.accept import Takes, judge
from dossier.steps.identity import NAMES, fingerprint, reference_of_files
from dossier.steps.redrive import in_vain
from dossier.steps.sources import check_sources, together
from dossier.steps.submissions import before, start
from dossier.stores import s3
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.executions import INPUT_LIMIT
from dossier.texts import counted

ACCEPT_SECONDS = 60.0
"""How long ``submit`` waits for Accept before it reports that the case is not accepted yet."""
_LOOK, _SELDOM, _GROWTH = 0.3, 3.0, 1.25
"""First and longest pause between two reads of the case, in seconds, and the factor by which the pauses grow."""
_AT_ONCE = 4


@dataclass
class Progress:
    """The progress of a submission, for the user who interrupts it."""

    case: CaseInput | None = None
    files: int = 0
    uploaded: int = 0
    state: Literal["nothing", "starting", "started"] = "nothing"
    stop: Event = field(default_factory=Event)
    """Set to end the uploads."""


def submit(
    out: Output,
    where: Target,
    connection: str,
    files: Sequence[str],
    *,
    reference: str | None,
    options: Sequence[str],
    case_id: str | None,
    deadline: str | None,
    wait: bool,
    allow_duplicates: bool,
    again: bool = False,
    priority: str = "normal",
    timeout: float,
) -> None:
    """Submit files as one case; of files with the same bytes, send one unless ``allow_duplicates``.

    Raises:
        BadUsageError: an argument is invalid; nothing was uploaded.
        CommandError: the case was rejected, or failed.
        NotFinishedError: the case was not accepted, or with ``wait`` not finished, in time.

    """
    where.require(connection)
    settings = settings_of(where).get(connection)
    declared = vendors.vendor(settings).options() if settings else ()
    if [*options] == ["help"]:
        _list_options(out, connection, declared)
        return
    progress = Progress()
    try:
        parsed = _options(options, declared)
        most = Takes.by(vendors.vendor(settings), settings).most if settings else None
        sources = [
            referred(where, each, parsed, most) if is_uri(each) else read_file(Path(each), most) for each in files
        ]
        if not allow_duplicates:
            sources = _without_duplicates(out, sources)
        case, digest = _case(where, connection, sources, reference, parsed, case_id, deadline)
        case = progress.case = case.model_copy(update={"again": again, "priority": priority})
        documents = _judged(where, settings, case, sources)
        _submit(out, where, case, digest, sources, documents, progress, wait=wait, timeout=timeout)
    except KeyboardInterrupt:
        raise _interrupted(progress) from None


def _submit(
    out: Output,
    where: Target,
    case: CaseInput,
    digest: str,
    sources: Sequence[Source],
    documents: Sequence[Document],
    progress: Progress,
    *,
    wait: bool,
    timeout: float,
) -> None:
    """Submit a checked case, unless it was submitted before."""
    started = time.monotonic()
    try:
        found, known = before(case, digest, documents, context=where.app)
    except InvalidCaseError as error:
        raise _refused(error, case) from None
    if found is not None and known:
        arn, accepted = found.record.execution_arn, found
    else:
        data = _stage(out, where, case, digest, sources, progress)
        progress.state = "starting"
        begun = start(case.id, digest, data, found=found, context=where.app)
        if begun is None:
            raise CommandError(f"case {case.reference} was rejected {NAMES} times: use another --reference")
        arn, repeated = begun
        progress.state = "started"
        accepted = _accepted(where, case, digest, arn, until=started + min(timeout, ACCEPT_SECONDS))
        known = repeated or accepted.record.execution_arn != arn
    progress.state = "started"
    out.progress(_greeting(accepted, known=known))
    hold = None if accepted.record.status.final else where.app.limiter.paused().get(case.connection)
    if hold is not None:
        out.progress(f"{hold.text(case.connection, now())}: until then the case waits")
    if wait and not accepted.record.status.final:
        remaining = timeout - (time.monotonic() - started)
        accepted = watch.watch(out, where, accepted, seconds=remaining)
    _conclude(out, where, accepted, known=known, waited=wait)


def _judged(
    where: Target, settings: Connection | None, case: CaseInput, sources: Sequence[Source]
) -> tuple[Document, ...]:
    """Check a case as Accept will, before anything is uploaded, if the connection's settings are known.

    Returns its documents, to compare them with a case of the same reference.

    Raises:
        CommandError: the vendor does not accept some files; names each, and says what to do.

    """
    problems = [each.problem for each in sources if each.problem]
    try:
        if settings is not None:
            check_sources(case, bucket=where.bucket, connection=settings)
            facts = [each.facts for each in sources]
            vendor = vendors.vendor(settings)
            return judge(case, facts, connection=settings, vendor=vendor, problems=problems).view.documents
        if problems:
            raise InvalidCaseError(together(problems), problems=problems)
    except InvalidCaseError as error:
        if problems and [*error.problems] == problems:
            raise BadUsageError(str(error)) from None
        here = "" if where.connections_file else f" (by {settings_file(where)}, which may differ from the deployed one)"
        raise _refused(InvalidCaseError(f"{error}{here}"), case) from None
    return tuple(
        Document(index=index, name=name, key="", sha256=each.sha256, ref=each.uri or None)
        for index, (name, each) in enumerate(zip(proper_names([each.name for each in sources]), sources, strict=True))
    )


def _refused(error: InvalidCaseError, case: CaseInput) -> CommandError:
    """Return the error of a case that was rejected before anything was uploaded."""
    document = {**_identity(case, None), "status": "failed", "reason": str(error)}
    return CommandError(str(error), kind=type(error).__name__, document=document)


def _interrupted(progress: Progress) -> InterruptedCommandError:
    """Return the error for an interrupted command: what was submitted, and what to run next."""
    case = progress.case
    if case is None or progress.state == "nothing":
        done = f"; {progress.uploaded} of {counted(progress.files, 'file')} uploaded" if progress.files else ""
        rest = ": it uploads the rest" if progress.uploaded else ""
        return InterruptedCommandError(
            f"interrupted, nothing was submitted{done}", fix=f"run the same command again to submit it{rest}"
        )
    names = f"{case.reference} --connection {case.connection}"
    look = f"dossier status {names}"
    if progress.state == "starting":
        return InterruptedCommandError(
            f"interrupted while case {case.reference} was submitted: it may have started",
            fix=f"see `{look}`, or run the same command again: the same case is never submitted twice",
        )
    return InterruptedCommandError(
        f"interrupted: case {case.reference} is submitted, and continues",
        fix=f"follow it with `{look}`, or end it with `dossier cancel {names}`",
    )


def _list_options(out: Output, connection: str, declared: Sequence[Option]) -> None:
    out.document([{"option": each.name, "may_be": each.form, "says": plain(each.says)} for each in declared])
    if not declared:
        out.progress(f"the options of {connection} are unknown: name its connections file in DOSSIER_CONNECTIONS")
    out.table(("OPTION", "MAY BE", "WHAT IT DOES"), [(each.name, each.form, plain(each.says)) for each in declared])


def _options(given: Sequence[str], declared: Sequence[Option]) -> dict[str, OptionValue]:
    """Parse ``k=v``: a boolean if the option is declared as one, else the text."""
    parsed: dict[str, OptionValue] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or not key.strip():
            raise BadUsageError(f'option "{clean(each)}" is not of the form key=value')
        if key in parsed:
            raise BadUsageError(f'option "{clean(key)}" is given twice')
        parsed[key] = parse(declared, key, text)
    return parsed


def _without_duplicates(out: Output, sources: Sequence[Source]) -> list[Source]:
    """Return the files without duplicates; vendors bill each by the page."""
    first: dict[str, Source] = {}
    for each in sources:
        known = first.setdefault(each.content, each)
        if known is not each:
            one, other = (every.uri.partition("?")[0] or every.path for every in (each, known))
            out.progress(f"{one} has the same bytes as {other}: it is sent once (--allow-duplicates sends it twice)")
    return list(first.values())


def _case(
    where: Target,
    connection: str,
    sources: Sequence[Source],
    reference: str | None,
    options: dict[str, OptionValue],
    case_id: str | None,
    deadline: str | None,
) -> tuple[CaseInput, str]:
    """Return the case and its fingerprint, as Accept computes it; derive a reference if none is given."""
    contents = [(safe_name(each.name), each.content) for each in sources]
    data: dict[str, Any] = {
        "connection": connection,
        "reference": reference or "case",
        "documents": [
            {"uri": each.uri or f"s3://{where.bucket}/{STAGING}{connection}/{index}", "name": each.name}
            for index, each in enumerate(sources)
        ],
        "options": options,
    }
    if case_id is not None:
        data["case_id"] = case_id
    if deadline is not None:
        data["deadline"] = deadline
    if not sources and case_id is None:
        raise BadUsageError("there is nothing to submit: give files, or --case-id to collect a case")
    try:
        case = CaseInput.parse(data, wrong="")
    except InvalidCaseError as error:
        raise BadUsageError(str(error)) from None
    if reference is None:
        case = case.model_copy(update={"reference": reference_of_files(case, contents)})
    return case, fingerprint(case, contents)


def _stage(
    out: Output, where: Target, case: CaseInput, digest: str, sources: Sequence[Source], progress: Progress
) -> dict[str, Any]:
    """Upload the files that the bucket does not have yet, and return the execution's input."""
    prefix = f"{STAGING}{case.connection}/{digest[:32]}/"
    keyed = [(f"{prefix}{index}-{safe_name(each.name)}", each) for index, each in enumerate(sources) if not each.uri]
    staged = {id(each): f"s3://{where.bucket}/{key}" for key, each in keyed}
    data = case.model_dump(include={"connection", "reference", "options", "case_id", "deadline"}, exclude_none=True)
    data |= {"again": True} if case.again else {}
    data |= {"priority": case.priority} if case.priority != "normal" else {}
    data["documents"] = [{"uri": each.uri or staged[id(each)], "name": each.name} for each in sources]
    if len(json.dumps(data, ensure_ascii=False).encode()) > INPUT_LIMIT:
        raise BadUsageError(f"{counted(len(sources), 'file')} are too many for one case: submit them as several")
    there = dict(where.app.objects.list(prefix)) if keyed else {}
    missing = [(key, each) for key, each in keyed if there.get(key) != each.size]
    if missing:
        out.progress(f"uploading {counted(len(missing), 'file')}")
    progress.files, progress.uploaded = len(keyed), len(keyed) - len(missing)
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for _ in pool.map(lambda pair: _upload(where, pair[0], pair[1], progress), missing):
            progress.uploaded += 1
    finally:
        progress.stop.set()
        pool.shutdown(cancel_futures=True)
    return data


def _upload(where: Target, key: str, source: Source, progress: Progress) -> None:
    sha256 = where.app.objects.stream(key, chunks(source.path, progress.stop), "application/octet-stream").sha256
    if sha256 != source.sha256:
        s3.client(where.session).delete_object(Bucket=where.bucket, Key=key)
        raise CommandError(f"{source.path} changed while it was submitted: submit it again")


def _accepted(where: Target, case: CaseInput, digest: str, arn: str, *, until: float) -> Case:
    """Wait until Accept has accepted or rejected the case, and return it.

    Some rejections leave no case, so the execution is described too: at the first read, the second, the fourth, the
    eighth and so on, because the account's quota of DescribeExecution refills at 10 to 15 a second, and the scheduled
    check needs it. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html

    Raises:
        CommandError: the case was rejected; says why.
        NotFinishedError: Accept has not decided at ``until``.

    """
    pause = _LOOK
    for look in count(1):
        found = where.app.cases.find(case.id)
        record = found.record if found is not None and not found.record.refused else None
        if found is not None and record is not None and (record.fingerprint == digest or record.execution_arn == arn):
            stored = len(found.documents) >= len(case.documents)
            if stored or record.status is not CaseStatus.ACCEPTED:
                return found
        refused = _refusal(found, arn)
        if refused is None and look.bit_count() == 1:
            refused = watch.ended_badly(where, arn)
        if refused:
            error, reason = refused
            raise CommandError(
                reason, kind=error, document={**_identity(case, arn), "status": "failed", "reason": reason}
            )
        if time.monotonic() >= until:
            raise NotFinishedError(
                f"case {case.reference} is started, but not accepted yet",
                fix=f"see `dossier status {case.reference} --connection {case.connection}` or execution {arn}",
                document={**_identity(case, arn), "outcome": "started", "status": None},
            )
        time.sleep(pause)
        pause = min(pause * _GROWTH, _SELDOM)
    raise AssertionError("unreachable")


def _refusal(found: Case | None, arn: str) -> tuple[str, str] | None:
    if found is None or not found.record.refused or found.record.execution_arn != arn:
        return None
    record = found.record
    return (record.error or "InvalidCaseError", record.reason) if record.status.final and record.reason else None


def _identity(case: CaseInput, arn: str | None) -> dict[str, Any]:
    return {
        "connection": case.connection,
        "reference": case.reference,
        "execution_arn": arn,
        "outcome": "refused",
    }


def _greeting(case: Case, *, known: bool) -> str:
    record = case.record
    if known:
        at = when(record.submitted_at, seconds=True)
        return f"{record.reference} was already submitted ({at}), and its status is {record.status.value}"
    return f"{record.reference} is accepted"


def _conclude(out: Output, where: Target, case: Case, *, known: bool, waited: bool) -> None:
    record = case.record
    outcome = "already_submitted" if known else "accepted"
    document = {**describe(case), "outcome": outcome, "bucket": where.bucket}
    if record.status is CaseStatus.CANCELLED:
        raise CommandError(f"case {record.reference} was cancelled", kind="Cancelled", document=document)
    if record.status is CaseStatus.FAILED:
        raise CommandError(_failure(record), kind=record.error or "CaseFailedError", document=document)
    out.document(document)
    rows = [("reference", record.reference), ("execution", record.execution_arn), ("status", record.status.value)]
    if record.status.final:
        rows.append(("result", f"s3://{where.bucket}/{document['result_key']}"))
        rows.append(("fetch it", f"dossier fetch {record.reference} DIR --connection {record.connection}"))
    elif not waited:
        rows.append(("follow it", f"dossier status {record.reference} --connection {record.connection}"))
    out.pairs(rows)
    for each in case.documents:
        if each.warning:
            out.progress(f"warning: {each.name} {each.warning}")


def _failure(record: CaseRecord) -> str:
    reason = (record.reason or record.error or "the reason is unknown").rstrip(".")
    failed, names = f"case {record.reference} failed: {reason}", f"{record.reference} --connection {record.connection}"
    if not in_vain(record):
        return f"{failed} (once that is fixed, resume it: dossier redrive {names})"
    return failed if record.refused else f"{failed} (once that is fixed, submit it under another reference)"
