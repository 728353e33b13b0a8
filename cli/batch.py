"""``dossier batch``: submits thousands of cases in one run, follows it, stops it, resumes it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

from cli import batch_estimate, batch_watch
from cli.batch_file import BatchFile
from cli.batch_lines import Bad, Checked, Checks, Upload
from cli.batch_watch import Outcome
from cli.errors import BadUsageError, CommandError, InterruptedCommandError, NeedsAnswerError, NotFinishedError
from cli.output import Output
from cli.sources import chunks
from cli.target import Target
from dossier.layout import STAGING
from dossier.models import iso, now
from dossier.names import safe_name
from dossier.steps.batches import Stand, begin, identity, stands, summarize
from dossier.stores import s3
from dossier.stores.batches import ID, BatchCase
from dossier.stores.cases import conflict
from dossier.texts import counted

ACTIONS = ("status", "stop", "resume")
_UPLOADS_AT_ONCE = 8
_SAY_EVERY = 1000
"""Lines, or files, between two lines of progress."""
_BEGINS = 30.0
"""Seconds to wait for the Map of a run that was just started."""
_MOST_SHOWN = 20
"""Bad lines that a person sees at most."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The command line's options for a run."""

    concurrency: int | None
    wait: bool
    timeout: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked batch: its cases with their records, and the bad lines."""

    batch: str
    stands: tuple[Stand, ...]
    uploads: dict[int, tuple[Upload, ...]]
    """Local files by the line of their case."""
    bad: tuple[Bad, ...]

    @property
    def missing(self) -> list[Stand]:
        """The cases that a run has to start."""
        return [each for each in self.stands if each.missing]


def run(
    out: Output, where: Target, words: Sequence[str], *, connection: str | None, dry_run: bool, wishes: Wishes
) -> None:
    """Submit the cases of a file, or look at, stop or resume a batch.

    Raises:
        BadUsageError: an argument is invalid, or the file has no case; nothing was uploaded.
        CommandError: lines are bad (the others were started), or with ``wait`` cases failed.
        NotFinishedError: with ``wait``, the batch has not ended in time.
        NeedsAnswerError: with ``wait``, every case that has not ended waits for an answer.

    """
    first, *rest = words
    if first in ACTIONS and len(rest) == 1:
        if dry_run or connection:
            raise BadUsageError(f"`dossier batch {first} ID` takes neither --dry-run nor --connection")
        _known(out, where, first, rest[0], wishes)
        return
    if rest or first in ACTIONS:
        raise BadUsageError("give one file, or one of status, stop and resume with the batch's id")
    if connection is not None:
        where.require(connection)
    checks = Checks(where, BatchFile.of(first), connection=connection)
    if dry_run:
        _estimate(out, where, checks)
        return
    _submit(out, where, first, checks, wishes)


def _estimate(out: Output, where: Target, checks: Checks) -> None:
    """Print what a run would send, without the cases that are already submitted."""
    checked, bad = _checked(out, checks)
    plan = _plan(out, where, checked, bad)
    missing = {each.case.line for each in plan.missing}
    submitted = Counter(each.case.connection for each in plan.stands if not each.missing)
    good = [each for each in checked if each.line in missing]
    batch_estimate.report(out, checks.settings, good, plan.bad, submitted)


def _submit(out: Output, where: Target, file: str, checks: Checks, wishes: Wishes) -> None:
    """Upload, store and start the missing cases of a file."""
    step = "the file was checked"
    try:
        checked, bad = _checked(out, checks)
        plan = _plan(out, where, checked, bad)
        _check_draining(where, plan)
        step = "files were uploaded"
        if plan.missing:
            _upload(out, where, plan)
        _store(where, file, plan, checked)
        step = "the batch was started"
        _start(out, where, plan.batch, plan.missing, wishes, checks)
    except KeyboardInterrupt:
        raise InterruptedCommandError(
            f"interrupted while {step}", fix="run the same command again: it submits the missing cases"
        ) from None
    _follow(out, where, plan.batch, wishes, bad=plan.bad)


def _checked(out: Output, checks: Checks) -> tuple[list[Checked], list[Bad]]:
    """Check every line.

    Raises:
        BadUsageError: no line is a case.

    """
    good, bad = list[Checked](), list[Bad]()
    for number, each in enumerate(checks.run(), 1):
        if isinstance(each, Checked):
            good.append(each)
        else:
            bad.append(each)
        if number % _SAY_EVERY == 0:
            out.progress(f"{number:,} lines checked")
    if not good:
        raise _no_case(out, bad)
    return good, bad


def _no_case(out: Output, bad: Sequence[Bad]) -> BadUsageError:
    """Return the error of a file without any case, after its bad lines."""
    _say_bad(out, bad)
    document = {"batch_id": None, "cases": 0, "bad": [each.as_json() for each in bad]}
    return BadUsageError("the file has no case" + (": every line is bad" if bad else ""), document=document)


def _plan(out: Output, where: Target, checked: Sequence[Checked], bad: Sequence[Bad]) -> Plan:
    """Look up which cases exist. A line is bad if its reference belongs to a case with other content.

    Raises:
        BadUsageError: no line is left.

    """
    batch = identity(each.fingerprint for each in checked)
    uploads = {each.line: each.uploads for each in checked}
    cases = (_case(where, batch, each) for each in checked)
    found, wrong = list[Stand](), [*bad]
    for each in stands(cases, context=where.app):
        if each.other and each.record is not None:
            wrong.append(Bad(each.case.line, str(conflict(each.record)), each.case.connection))
        else:
            found.append(each)
    wrong.sort(key=lambda each: each.line)
    if not found:
        raise _no_case(out, wrong)
    return Plan(batch, tuple(found), uploads, tuple(wrong))


def _case(where: Target, batch: str, checked: Checked) -> BatchCase:
    """Return a case with the addresses that its files will have after the upload."""
    data = dict(checked.input)
    if checked.uploads:
        documents = [dict(each) for each in data["documents"]]
        for each in checked.uploads:
            documents[each.index]["uri"] = f"s3://{where.bucket}/{_key(batch, checked, each)}"
        data["documents"] = documents
    return BatchCase(
        line=checked.line,
        connection=checked.connection,
        reference=checked.reference,
        fingerprint=checked.fingerprint,
        input=data,
    )


def _prefix(batch: str, connection: str) -> str:
    return f"{STAGING}{connection}/batch-{batch}/"


def _key(batch: str, case: Checked | BatchCase, upload: Upload) -> str:
    return f"{_prefix(batch, case.connection)}{case.fingerprint[:32]}/{upload.index}-{safe_name(upload.name)}"


def _check_draining(where: Target, plan: Plan) -> None:
    since = where.app.cases.draining_now() if plan.missing else None
    if since:
        raise CommandError(
            f"this deployment has been draining since {iso(since)} and starts no new cases",
            fix="run the same command again after `dossier drain --stop`",
        )


def _upload(out: Output, where: Target, plan: Plan) -> None:
    """Upload the files of missing cases that the bucket does not have yet, with one listing for each connection."""
    cases = [each.case for each in plan.missing]
    wanted = [(_key(plan.batch, each, file), file) for each in cases for file in plan.uploads[each.line]]
    connections = {each.connection for each in cases}
    there = dict(pair for name in connections for pair in where.app.objects.list(_prefix(plan.batch, name)))
    missing = [(key, file) for key, file in wanted if there.get(key) != file.size]
    if not missing:
        return
    out.progress(f"uploading {counted(len(missing), 'file')}")
    stop, pool = Event(), ThreadPoolExecutor(_UPLOADS_AT_ONCE)

    def put(pair: tuple[str, Upload]) -> None:
        key, file = pair
        sha256 = where.app.objects.stream(key, chunks(file.path, stop), "application/octet-stream").sha256
        if sha256 != file.sha256:
            s3.client(where.session).delete_object(Bucket=where.bucket, Key=key)
            raise CommandError(f"{file.path} changed while it was submitted", fix="run the same command again")

    try:
        for number, _ in enumerate(pool.map(put, missing), 1):
            if number % _SAY_EVERY == 0:
                out.progress(f"{number:,} of {len(missing):,} files uploaded")
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _store(where: Target, file: str, plan: Plan, checked: Sequence[Checked]) -> None:
    """Store the batch, so that it can be resumed without the file."""
    kept = {each.case.line for each in plan.stands}
    about = {
        "batch_id": plan.batch,
        "file": file,
        "stored_at": iso(now()),
        "cases": len(plan.stands),
        "documents": sum(each.documents for each in checked if each.line in kept),
        "bytes": sum(each.size for each in checked if each.line in kept),
        "connections": sorted({each.case.connection for each in plan.stands}),
        "bad": len(plan.bad),
    }
    cases = (each.case for each in plan.stands)
    where.app.batches.store(plan.batch, about, cases, (each.as_json() for each in plan.bad))


def _start(
    out: Output, where: Target, batch: str, missing: Sequence[Stand], wishes: Wishes, checks: Checks | None
) -> None:
    app = where.app
    names = {each.case.connection for each in missing}
    concurrency = wishes.concurrency or batch_estimate.at_once(names, checks.settings if checks else {})
    begun = begin(batch, missing, concurrency=concurrency, context=app)
    if begun is None:
        out.progress(f"batch {batch}: every case is submitted already")
        summarize(batch, app.batches.latest_run(batch).run, context=app)
    elif begun.started:
        out.progress(f"batch {batch}: {counted(begun.cases, 'case')} started, {concurrency} at once")
    else:
        out.progress(f"batch {batch} is running already")
        if wishes.concurrency:
            _widen(out, where, batch, begun.run, wishes.concurrency)


def _known(out: Output, where: Target, action: str, batch: str, wishes: Wishes) -> None:
    """Look at a batch by its id, stop or resume it."""
    if not ID.fullmatch(batch):
        raise BadUsageError(f'"{batch}"is not the id of a batch', fix="give the one that `dossier batch FILE` printed")
    app = where.app
    if app.batches.describe(batch) is None:
        raise CommandError(f"there is no batch {batch}", fix="run `dossier batch FILE`, which prints its id")
    bad = tuple(Bad(each["line"], each["reason"]) for each in app.batches.bad(batch))
    latest = app.batches.latest_run(batch).run
    if action == "stop":
        app.batch_runs.stop(batch, latest)
        summarize(batch, latest, context=app)
        out.progress(f"batch {batch} starts no more cases; those under way continue (`dossier cancel` ends one)")
        wishes = replace(wishes, wait=False)
    elif action == "resume":
        missing = [each for each in stands(app.batches.cases(batch), context=app) if each.missing]
        _check_staged(where, batch, missing)
        checks = Checks(where, BatchFile("-", BatchFile.of("-").folder), connection=None)
        _start(out, where, batch, missing, wishes, checks)
    elif wishes.concurrency:
        _widen(out, where, batch, latest, wishes.concurrency)
    _follow(out, where, batch, wishes, bad=bad, known=True)


def _check_staged(where: Target, batch: str, missing: Sequence[Stand]) -> None:
    """Check that the files of missing cases are still in the bucket, where they are kept for a week."""
    own = f"s3://{where.bucket}/"
    prefixes = tuple(_prefix(batch, name) for name in {each.case.connection for each in missing})
    there = {key for prefix in prefixes for key, _ in where.app.objects.list(prefix)}
    gone = 0
    for each in missing:
        uris = [str(document["uri"]).removeprefix(own) for document in each.case.input.get("documents", ())]
        gone += any(uri.startswith(prefixes) and uri not in there for uri in uris)
    if gone:
        raise CommandError(
            f"the files of {counted(gone, 'case')} are no longer in the bucket, which keeps them for a week",
            fix="run `dossier batch FILE` again, which uploads them",
        )


def _widen(out: Output, where: Target, batch: str, latest: int, concurrency: int) -> None:
    """Set how many cases of a run are under way at once, and wait for the Map if the run was just started."""
    runs, until = where.app.batch_runs, time.monotonic() + _BEGINS
    while (found := runs.find(batch, latest)) is not None and found.status == "RUNNING":
        progress = runs.progress(batch, latest)
        if progress is not None:
            runs.widen(progress, concurrency)
            out.progress(f"batch {batch}: {concurrency} cases at once from now on, {progress.concurrency} before")
            return
        if time.monotonic() >= until:
            raise CommandError(f"batch {batch} has not begun yet", fix="run the same command again")
        time.sleep(1)
    raise CommandError(f"batch {batch} is not running", fix=f"start the rest with `dossier batch resume {batch}`")


def _follow(out: Output, where: Target, batch: str, wishes: Wishes, *, bad: Sequence[Bad], known: bool = False) -> None:
    """Print the state of a batch, with ``wait`` once it has ended; leave out its bad lines if it is ``known``.

    Raises:
        CommandError: lines are bad, or with ``wait`` cases failed.
        NotFinishedError: with ``wait``, it has not ended in time. NeedsAnswerError: with ``wait``, the cases that have
        not ended wait for an answer.

    """
    late = False
    if wishes.wait:
        late = not batch_watch.watch(out, where, batch, seconds=wishes.timeout)
    outcome = batch_watch.look(where, batch)
    _update_lists(where, outcome)
    document = {**outcome.as_json(), "bad": [each.as_json() for each in bad]}
    problem = _problem(outcome, batch, () if known else bad, late=late, waited=wishes.wait)
    if problem is not None:
        kind, text, fix = problem
        if not out.as_json:
            _show(out, outcome, bad)
        raise kind(text, fix=fix, document=document)
    out.document(document)
    _show(out, outcome, bad)


def _update_lists(where: Target, outcome: Outcome) -> None:
    """Write the lists in S3 again if cases have ended since the run did: those that a stopped run left under way."""
    if outcome.run == 0 or outcome.state in {"running", "not started"}:
        return
    batches, counts = where.app.batches, outcome.tally.as_json()
    if counts.items() <= batches.summary(outcome.batch).items():
        return
    summarize(outcome.batch, outcome.run, context=where.app)


def _problem(
    outcome: Outcome, batch: str, bad: Sequence[Bad], *, late: bool, waited: bool
) -> tuple[Callable[..., CommandError], str, str] | None:
    """Return the error with which the command ends, with its text and fix; None if it succeeds."""
    counts = outcome.tally.counts
    if waited and counts["needs_attention"] and (late or outcome.state != "running"):
        text = f"{counted(counts['needs_attention'], 'case')} of batch {batch} need an answer"
        return NeedsAnswerError, text, "`dossier list --status needs_attention` names them"
    if late:
        text = f"batch {batch} has {counted(outcome.tally.open, 'case')} left, and continues"
        return NotFinishedError, text, f"follow it with `dossier batch status {batch} --wait`"
    if outcome.state in {"failed", "stopped"} and waited:
        return CommandError, f"batch {batch}: {outcome.why}", f"start the rest with `dossier batch resume {batch}`"
    if waited and (failed := counts["failed"] + counts["cancelled"]):
        text = f"{counted(failed, 'case')} of batch {batch} failed"
        return CommandError, text, f"s3://{outcome.bucket}/{outcome.keys['failures_key']} says why"
    if bad:
        done = "the other cases are submitted" if len(bad) > 1 else "the others are submitted"
        text = f"{counted(len(bad), 'line')} {'is' if len(bad) == 1 else 'are'} bad: {done}"
        return CommandError, text, "fix the lines, then run the same command again: it submits the missing cases"
    return None


def _show(out: Output, outcome: Outcome, bad: Sequence[Bad]) -> None:
    out.pairs(outcome.rows())
    _say_bad(out, bad)


def _say_bad(out: Output, bad: Sequence[Bad]) -> None:
    for each in bad[:_MOST_SHOWN]:
        out.progress(f"line {each.line}: {each.reason}")
    if len(bad) > _MOST_SHOWN:
        out.progress(f"and {len(bad) - _MOST_SHOWN:,} more bad lines: --json prints all")
