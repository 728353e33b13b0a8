"""``dossier doctor``: checks everything that a case needs, and says how to fix each problem."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
from botocore.exceptions import ClientError

from cli import doctor_cloud, probe, secrets
from cli.check import Check
from cli.deliveries import PROBE_BODY, is_probe
from cli.errors import CommandError, explain
from cli.output import Output
from cli.status import current_note
from cli.target import Target
from cli.text import local
from dossier import vendors
from dossier.connections import load_toml
from dossier.errors import DossierError, StrayAnswerError, ThrottledError, VendorUnavailableError
from dossier.layout import INBOX
from dossier.models import CaseId, CaseStatus, iso, now
from dossier.refusals import ADVICE
from dossier.settings import Connection, Webhook
from dossier.steps.webhook import PROBE
from dossier.stores import s3
from dossier.stores.cases import CaseRecord
from dossier.stores.evidence import Evidence, id_of
from dossier.stores.queues import BATCHES_AT_ONCE, DROP
from dossier.texts import counted
from dossier.troubles import Trouble

OVERDUE = timedelta(minutes=3)
"""How late a poll may be before the waiting room counts as stuck; the sweep resends lost polls after one minute."""
MOST_CASES = 500
"""How many of a connection's latest cases are checked for troubles."""
RECENT = timedelta(days=1)
MOST_DELIVERIES = 50
"""How many of a connection's latest deliveries are checked."""
OTHERS_AT_ONCE = 5
"""Concurrent executions beyond those of connections and queues: a delivery, the schedules, an ended case."""
_TIMEOUT = 10.0


def doctor(out: Output, target: Callable[[], Target]) -> None:
    """Run every check and print the results.

    Raises:
        CommandError: a check failed.

    """
    checks = []
    for check in _checks(target):
        checks.append(check)
        out.line(f"{_MARKS[check.state]:<8} {check.name}: {local(check.seen)}")
        if check.fix:
            out.line(f"{'':<8} {check.fix}")
    failed = [check for check in checks if check.state == "failed"]
    document = {
        "ok": not failed,
        "checks": [
            {"name": each.name, "state": each.state, "seen": each.seen, "fix": each.fix or None} for each in checks
        ],
    }
    if failed:
        message = f"{len(failed)} of {counted(len(checks), 'check')} failed: {', '.join(each.name for each in failed)}"
        raise CommandError(message, document=document)
    out.document(document)


_MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "skipped", "warning": "warning"}


def _checks(target: Callable[[], Target]) -> Iterator[Check]:
    try:
        where = target()
    except Exception as error:  # noqa: BLE001 -- doctor reports any error
        yield Check("deployment", "failed", explain(error).line, "run `cdk deploy`, or `dossier up` for the local AWS")
        return
    yield Check("deployment", "ok", f"{where.stack} in {where.endpoint_url or where.region}")
    yield from _resources(where)
    settings = _settings(where)
    if isinstance(settings, Check):
        yield settings
    known = {} if isinstance(settings, Check) else settings
    if where.endpoint_url is None and known:
        fix = "allow it (`dossier policy operator`), or compare the quota yourself: Service Quotas, Lambda"
        try:
            yield _concurrency(where, known)
        except Exception as error:  # noqa: BLE001 -- doctor reports any error
            yield Check("concurrency", "skipped", explain(error).line, fix)
    if where.endpoint_url is None:
        yield from doctor_cloud.checks(where)
    for name in where.connections:
        yield from connection(where, name, known.get(name))
    yield _tried(
        "dead letters",
        partial(_dead_letters, where),
        "run `dossier redrive`: it shows what failed; send it back, or --dismiss it",
    )
    yield _tried("waiting room", partial(_overdue, where), "see the log of the poll and sweep functions")
    yield from _rejected(where)


def _resources(where: Target) -> Iterator[Check]:
    """Check each resource that the CLI uses."""
    client = where.session.client
    looks: list[tuple[str, str, Callable[[], Any]]] = [
        ("bucket", where.bucket, lambda: s3.client(where.session).head_bucket(Bucket=where.bucket)),
        ("table", where.table, lambda: client("dynamodb").describe_table(TableName=where.table)),
        (
            "state machine",
            where.state_machine_arn,
            lambda: client("stepfunctions").describe_state_machine(stateMachineArn=where.state_machine_arn),
        ),
        ("event bus", where.event_bus, lambda: client("events").describe_event_bus(Name=where.event_bus)),
    ]
    for name, what, look in looks:
        yield _tried(name, partial(_seen, look, what), "deploy again, with credentials that may use it")
    yield _tried("inbox", partial(_inbox, where), "deploy again: the bucket's notifications were replaced")


def _seen(look: Callable[[], Any], what: str) -> str:
    look()
    return what


def _inbox(where: Target) -> str:
    """Check that the bucket notifies the drop queue of drops."""
    found = s3.client(where.session).get_bucket_notification_configuration(Bucket=where.bucket)
    queues = [each["QueueArn"].rpartition(":")[2] for each in found.get("QueueConfigurations", [])]
    if f"{where.stack}-{DROP}" not in queues:
        raise CommandError(f"drops into s3://{where.bucket}/{INBOX} reach no queue")
    return f"s3://{where.bucket}/{INBOX} is watched"


def _tried(name: str, look: Callable[[], str], fix: str) -> Check:
    """Return an ``ok`` check with the text that ``look`` returns, or a failed one if it raises."""
    try:
        return Check(name, "ok", look())
    except Exception as error:  # noqa: BLE001 -- doctor reports any error
        return Check(name, "failed", explain(error).line, fix)


def _settings(where: Target) -> dict[str, Connection] | Check:
    """Return the connections' settings, from the deployed file if it is known."""
    path = where.connections_file or Path(os.environ.get("DOSSIER_CONNECTIONS") or "connections.toml")
    name = "connections file"
    if not path.is_file():
        return Check(name, "skipped", f"there is no {path}", "name it in DOSSIER_CONNECTIONS to check the vendors too")
    try:
        return load_toml(path)
    except DossierError as error:
        return Check(name, "failed", str(error), "fix it and deploy again")


def _concurrency(where: Target, known: Mapping[str, Connection]) -> Check:
    """Compare the account's Lambda concurrency with the number of executions that the connections can use."""
    limits = [each.limits for name, each in known.items() if name in where.connections]
    of_use = sum(each.polls_at_once + each.concurrency for each in limits) + 2 * BATCHES_AT_ONCE + OTHERS_AT_ONCE
    found = where.session.client("lambda").get_account_settings()["AccountLimit"]
    quota, free = found["ConcurrentExecutions"], found["UnreservedConcurrentExecutions"]
    reserved = "" if free == quota else f" ({quota - free:,} of them set aside for some functions)"
    seen = f"the account has {quota:,} executions at once{reserved}; {of_use:,} can be used by these connections"
    if of_use <= quota:
        return Check("concurrency", "ok", seen)
    fix = (
        "ask AWS for more (Service Quotas, Lambda, Concurrent executions), or lower limits.concurrency of the "
        "connections: until then functions are throttled under load, and deliveries, polls and steps come late"
    )
    return Check("concurrency", "warning", seen, fix)


def connection(where: Target, name: str, settings: Connection | None) -> Iterator[Check]:
    """Check a connection: pause, secret, vendor, cases, and its webhook with an unsigned and a signed delivery."""
    hold = where.app.limiter.held(name)
    if hold is not None:
        fix = f"run `dossier resume {name}` when that is over: until then no request goes to its vendor"
        yield Check(f"{name} pause", "warning", hold.text(name, now()), fix)
    secret = _secret(where, name, settings)
    yield secret
    if settings is None:
        yield Check(f"{name} vendor", "skipped", "the connections file does not describe it")
    elif secret.state == "failed":
        yield Check(f"{name} vendor", "skipped", "its secret is missing or wrong")
    elif hold is not None:
        yield Check(f"{name} vendor", "skipped", "the connection is paused, so its vendor is not asked")
    else:
        yield _vendor(where, settings)
    yield _cases(where, name)
    if name in where.webhook_urls:
        fix = "deploy again; see the log of the webhook function"
        reached = _tried(f"{name} webhook", partial(_webhook, where, name), fix)
        yield reached
        proven = secret.state != "failed" and reached.state == "ok"
        if proven and settings is not None and settings.webhook is not None:
            signed = partial(_signed, where, name, settings.webhook)
            yield _tried(f"{name} signed delivery", signed, f"run `dossier secrets set {name}`, or deploy again")
        yield _deliveries(where, name, settings)


def _secret(where: Target, name: str, settings: Connection | None) -> Check:
    check, fix = f"{name} secret", f"run `dossier secrets set {name}`"
    try:
        parts = secrets.read(where.session.client("secretsmanager"), f"{where.secret_prefix}/{name}")
    except Exception as error:  # noqa: BLE001 -- doctor reports any error
        return Check(check, "failed", explain(error).line, fix)
    if parts is None or not parts["api_key"]:
        return Check(check, "failed", "it has no API key", fix)
    number = len(parts["webhook_secrets"])
    if settings is not None and settings.webhook is not None and not number:
        return Check(check, "failed", "it has no webhook secret, so every delivery is rejected", fix)
    if settings is not None and settings.webhook is not None:
        wrong = secrets.unusable(parts["webhook_secrets"], settings.webhook.scheme)
        weak = secrets.weaknesses(parts["webhook_secrets"])
        if wrong or weak:
            return Check(check, "failed" if wrong else "warning", (wrong or weak)[0], fix)
    return Check(check, "ok", f"an API key and {counted(number, 'webhook secret')}")


def _vendor(where: Target, settings: Connection) -> Check:
    """Send the vendor a request that changes nothing."""
    vendor, check = vendors.vendor(settings), f"{settings.name} vendor"
    try:
        seen = where.app.transport.run(vendor.check(), vendor=vendor)
    except Exception as error:  # noqa: BLE001 -- doctor reports any error
        return Check(check, "failed", explain(error).line, _advice(error, settings.name))
    return Check(check, "ok", seen)


def _advice(error: Exception, connection: str) -> str:
    """Return the fix for an error of a connection's vendor."""
    if isinstance(error, ThrottledError):
        return _ADVICE[error.why].format(connection=connection)
    if isinstance(error, VendorUnavailableError) and error.unreachable:
        return _ADVICE["unreachable"].format(connection=connection)
    if isinstance(error, StrayAnswerError) and error.status in {401, 403}:
        return _ADVICE["other"].format(connection=connection)
    names = [each.__name__ for each in type(error).__mro__]
    return next((_ADVICE[name] for name in names if name in _ADVICE), _ADVICE["other"]).format(connection=connection)


_GO_ON = "cases wait and continue by themselves"
_ADVICE = {
    "unreachable": f"it cannot be reached: check base_url of [{{connection}}], DNS and the network; {_GO_ON}",
    "pause": f"the vendor limits the account: {_GO_ON}; if it lasts, lower limits.requests_per_second of "
    "[{connection}]",
    "breaker": f"the vendor keeps failing: wait, or ask the vendor; {_GO_ON}",
    "paused": "an operator has paused the connection: run `dossier resume {connection}` when that is over",
    "turn": "the connection's cases use up its own limit: run this again, or raise limits.requests_per_second",
    "slot": "the connection's cases use up its own limit: run this again, or raise limits.concurrency",
    "StrayAnswerError": "something other than the vendor's API answers: check base_url of [{connection}], and proxies",
    "VendorUnavailableError": f"the vendor has trouble: see its status page; {_GO_ON}",
    "OutcomeUnknownError": f"the vendor has trouble: see its status page; {_GO_ON}",
    "UnauthorizedError": "the vendor rejects the key: run `dossier secrets set {connection}`",
    "VendorRejectedError": "the vendor rejects the request: check the ids in [{connection}]",
    "MalformedAnswerError": "something other than the vendor's API answers: check base_url of [{connection}]",
    "ConfigurationError": "fix the settings of [{connection}], or run `dossier secrets set {connection}`",
    "key": "the vendor rejects the key: run `dossier secrets set {connection}`",
    "stray": "something other than the vendor's API answers: check base_url of [{connection}], and proxies",
    "other": "check the settings of [{connection}], and its key: `dossier secrets set {connection}`",
}
"""The fix, by ``ThrottledError.why``, the error's class, or the kind of trouble."""


def _cases(where: Target, name: str) -> Check:
    """Report what holds up the cases of a connection, the most frequent trouble first."""
    check, found = f"{name} cases", dict[str, list[tuple[Trouble, CaseRecord]]]()
    cases = where.app.cases
    for wait in islice(where.app.waits.waiting(name), MOST_CASES):
        record = cases.find_record(CaseId(name, wait.reference)) if wait.trouble else None
        if wait.trouble is not None and record is not None and not record.status.final:
            found.setdefault(_kind(wait.trouble), []).append((wait.trouble, record))
    for record in islice(cases.newest(name), MOST_CASES):
        if record.trouble is not None and not record.status.final:
            found.setdefault(_kind(record.trouble), []).append((record.trouble, record))
    if not found:
        return Check(check, "ok", "none is held up")
    seen, groups = [], sorted(found.items(), key=lambda each: -len(each[1]))
    for _, held in groups:
        first = min(held, key=lambda each: each[0].since)[1]
        note = current_note(where, cases.troubled(first))
        seen.append(f"{counted(len(held), 'case')} held up, such as {first.reference}: {note}")
    return Check(check, "warning", "; ".join(seen), _ADVICE.get(groups[0][0], _ADVICE["other"]).format(connection=name))


def _kind(trouble: Trouble) -> str:
    return trouble.kind.partition(" ")[0]


def _deliveries(where: Target, name: str, settings: Connection | None) -> Check:
    """Check the last day's deliveries that were rejected since the last accepted one.

    Anybody can send a delivery, so only one that names a case, a document or a job counts as the vendor's.
    """
    check, store, reader = (
        f"{name} deliveries",
        where.app.evidence,
        vendors.vendor(settings) if settings else None,
    )
    refused: list[Evidence] = []
    for key in islice(store.list(name, since=now() - RECENT), MOST_DELIVERIES):
        evidence = store.find(key)
        if evidence is None or is_probe(evidence) or where.app.verdicts.find(name, id_of(key)):
            continue
        if evidence.verdict == "accepted":
            break
        refused.append(evidence)
    hints = [(each, reader.read_hint(each.content) if reader else None) for each in refused]
    real = [each for each, hint in hints if hint and (hint.case_ids or hint.document_ids or hint.job_ids)]
    if not refused:
        return Check(check, "ok", "none rejected since the last accepted one, within a day")
    shown = real or refused
    causes = Counter(each.cause or "unknown" for each in shown)
    latest = max(each.received_at for each in shown)
    what = "delivery was" if len(shown) == 1 else "deliveries were"
    seen = f"the last {len(shown)} {what} refused: {', '.join(causes)} (the latest at {latest})"
    advice = ADVICE.get(next(iter(causes)), "see `dossier deliveries --verdict refused`")
    advice = advice.format(connection=name, url=where.webhook_urls[name])
    return Check(check, "failed" if real else "warning", seen, advice)


def _webhook(where: Target, name: str) -> str:
    """Send an unsigned delivery, expect its rejection, and delete its evidence."""
    url, probe, began = where.webhook_urls[name], token_hex(8), now()
    headers = {"content-type": "application/json", PROBE: probe}
    with httpx.Client(timeout=_TIMEOUT, trust_env=where.endpoint_url is None) as client:
        try:
            status = client.post(url, content=PROBE_BODY, headers=headers).status_code
        except httpx.HTTPError as error:
            raise CommandError(f"{url} cannot be reached ({type(error).__name__})") from None
    if status != 401:
        raise CommandError(f"{url} answered {status} to an unsigned delivery, instead of 401")
    _forget(where, name, probe, began)
    return f"{url} rejects an unsigned delivery"


def _signed(where: Target, name: str, webhook: Webhook) -> str:
    """Send a delivery that the current webhook secret proves; the function wake ignores it, and its evidence stays."""
    parts = secrets.read(where.session.client("secretsmanager"), f"{where.secret_prefix}/{name}")
    url, body, headers = probe.signed(webhook, parts["webhook_secrets"][0] if parts else "", where.webhook_urls[name])
    with httpx.Client(timeout=_TIMEOUT, trust_env=where.endpoint_url is None) as client:
        try:
            status = client.post(url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:  # its text has the URL, which may have the secret
            raise CommandError(f"{where.webhook_urls[name]} cannot be reached ({type(error).__name__})") from None
    if status != 200:
        raise CommandError(f"{where.webhook_urls[name]} answered {status} to a signed delivery, instead of 200")
    return f"{where.webhook_urls[name]} accepts a delivery that is signed ({webhook.scheme})"


def _forget(where: Target, name: str, probe: str, began: datetime) -> None:
    """Delete the evidence of a probe; without the permission it stays, and ``dossier deliveries`` hides it."""
    store = where.app.evidence
    for key in islice(store.list(name, since=began - timedelta(minutes=1), refused_only=True), MOST_DELIVERIES):
        evidence = store.find(key)
        if evidence is not None and is_probe(evidence) and evidence.headers[PROBE] == probe:
            with suppress(ClientError):
                store.forget_refused(key)
            return


def _rejected(where: Target) -> Iterator[Check]:
    """Report the cases of the last day whose input was rejected before anything reached a vendor."""
    since = now() - RECENT
    refused = [
        each
        for name in where.connections
        for each in islice(where.app.cases.newest(name, since=since), MOST_CASES)
        if each.refused and each.status is CaseStatus.FAILED and each.dismissed_at is None
    ]
    if refused:
        shown = "; ".join(f"{each.connection} {each.reference}: {each.reason}" for each in refused[:3])
        more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
        fix = "fix their inputs and submit them again, or dismiss them: `dossier redrive --dismiss`"
        yield Check("rejected cases", "warning", f"{counted(len(refused), 'case')} since yesterday: {shown}{more}", fix)


def _dead_letters(where: Target) -> str:
    """Count the messages in the stack's queues of dead letters."""
    pages = where.session.client("cloudformation").get_paginator("list_stack_resources")
    resources = chain.from_iterable(page["StackResourceSummaries"] for page in pages.paginate(StackName=where.stack))
    urls = [
        each["PhysicalResourceId"]
        for each in resources
        if each["ResourceType"] == "AWS::SQS::Queue" and each.get("PhysicalResourceId", "").endswith("-dlq")
    ]
    sqs, full = where.session.client("sqs"), []
    for url in urls:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        number = int(attributes["Attributes"]["ApproximateNumberOfMessages"])
        if number:
            full.append(f"{url.rpartition('/')[2]} has {number}")
    if full:
        raise CommandError(", ".join(full))
    return f"none in {counted(len(urls), 'queue')}"


def _overdue(where: Target) -> str:
    """Look for waits whose poll is overdue."""
    late = [
        f"{wait.connection} {wait.reference} since {iso(wait.next_at)}"
        for name in where.connections
        for wait in where.app.waits.due(name, now() - OVERDUE)
    ]
    if late:
        more = f" and {len(late) - 3} more" if len(late) > 3 else ""
        raise CommandError(f"{counted(len(late), 'case')} not polled: {'; '.join(late[:3])}{more}")
    return "no case is overdue"
