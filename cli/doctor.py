"""``dossier doctor``: looks at everything a case needs, and says how to mend what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import httpx

from cli import secrets
from cli.errors import CommandError, explain
from cli.output import Output
from cli.target import Target
from cli.text import counted
from dossier import vendors
from dossier.connections import load_toml
from dossier.errors import DossierError
from dossier.models import INBOX, now
from dossier.settings import Connection
from dossier.stores import s3
from dossier.stores.queues import DROP

OVERDUE = timedelta(minutes=3)
"""How late a poll may be before the waiting room counts as stuck; the sweep sends lost ones again after one minute."""
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``mend`` says what to do where it is not ``ok``."""

    name: str
    state: Literal["ok", "failed", "skipped", "warning"]
    seen: str
    mend: str = ""


def doctor(out: Output, target: Callable[[], Target]) -> None:
    """Check everything and print what was seen.

    Raises:
        CommandError: a check failed.

    """
    checks = []
    for check in _checks(target):
        checks.append(check)
        out.line(f"{_MARKS[check.state]:<8} {check.name}: {check.seen}")
        if check.mend:
            out.line(f"{'':<8} {check.mend}")
    failed = [check for check in checks if check.state == "failed"]
    document = {
        "ok": not failed,
        "checks": [
            {"name": each.name, "state": each.state, "seen": each.seen, "mend": each.mend or None} for each in checks
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
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is what doctor has to show
        yield Check("deployment", "failed", explain(error).line, "run `cdk deploy`, or `dossier up` for the local AWS")
        return
    yield Check("deployment", "ok", f"{where.stack} in {where.endpoint_url or where.region}")
    yield from _resources(where)
    settings = _settings(where)
    if isinstance(settings, Check):
        yield settings
    known = {} if isinstance(settings, Check) else settings
    for name in where.connections:
        yield from _connection(where, name, known.get(name))
    yield from _queues(where)


def _resources(where: Target) -> Iterator[Check]:
    """Look at each resource that the CLI works with."""
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
    yield _tried("inbox", partial(_inbox, where), "deploy again: something else has set the bucket's notifications")


def _seen(look: Callable[[], Any], what: str) -> str:
    look()
    return what


def _inbox(where: Target) -> str:
    """Look whether the bucket tells the drop queue of what lands in the inbox."""
    told = s3.client(where.session).get_bucket_notification_configuration(Bucket=where.bucket)
    queues = [each["QueueArn"].rpartition(":")[2] for each in told.get("QueueConfigurations", [])]
    if f"{where.stack}-{DROP}" not in queues:
        raise CommandError(f"what lands in s3://{where.bucket}/{INBOX} is told to nobody")
    return f"s3://{where.bucket}/{INBOX} is watched"


def _tried(name: str, look: Callable[[], str], mend: str) -> Check:
    """Return a check that is fine if ``look`` returns what it saw, and failed if it raises."""
    try:
        return Check(name, "ok", look())
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is what doctor has to show
        return Check(name, "failed", explain(error).line, mend)


def _settings(where: Target) -> dict[str, Connection] | Check:
    """Return the connections' settings, from the file that was deployed where that is known."""
    path = where.connections_file or Path(os.environ.get("DOSSIER_CONNECTIONS") or "connections.toml")
    name = "connections file"
    if not path.is_file():
        return Check(name, "skipped", f"{path} is not here", "name it in DOSSIER_CONNECTIONS to check the vendors too")
    try:
        return load_toml(path)
    except DossierError as error:
        return Check(name, "failed", str(error), "mend it and deploy again")


def _connection(where: Target, name: str, settings: Connection | None) -> Iterator[Check]:
    secret = _secret(where, name, settings)
    yield secret
    if settings is None:
        yield Check(f"{name} vendor", "skipped", "its settings are not known here")
    elif secret.state == "failed":
        yield Check(f"{name} vendor", "skipped", "without its secret")
    else:
        mend = f"check base_url of [{name}], and its key: `dossier secrets set {name}`"
        yield _tried(f"{name} vendor", partial(_vendor, where, settings), mend)
    if name in where.webhook_urls:
        yield _tried(
            f"{name} webhook", partial(_webhook, where, name), "deploy again; see the log of the webhook function"
        )


def _secret(where: Target, name: str, settings: Connection | None) -> Check:
    check, mend = f"{name} secret", f"run `dossier secrets set {name}`"
    try:
        parts = secrets.read(where.session.client("secretsmanager"), f"{where.secret_prefix}/{name}")
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is what doctor has to show
        return Check(check, "failed", explain(error).line, mend)
    if parts is None or not parts["api_key"]:
        return Check(check, "failed", "it has no API key", mend)
    number = len(parts["webhook_secrets"])
    if settings is not None and settings.webhook is not None and not number:
        return Check(check, "failed", "it has no webhook secret, so every delivery is refused", mend)
    if settings is not None and settings.webhook is not None:
        wrong = secrets.unusable(parts["webhook_secrets"], settings.webhook.scheme)
        weak = secrets.weaknesses(parts["webhook_secrets"])
        if wrong or weak:
            return Check(check, "failed" if wrong else "warning", (wrong or weak)[0], mend)
    return Check(check, "ok", f"an API key and {counted(number, 'webhook secret')}")


def _vendor(where: Target, settings: Connection) -> str:
    vendor = vendors.vendor(settings.vendor)
    return where.app.transport.run(vendor.check(settings), vendor=vendor, connection=settings)


def _webhook(where: Target, name: str) -> str:
    """Send an unsigned delivery, which has to be refused."""
    url = where.webhook_urls[name]
    with httpx.Client(timeout=_TIMEOUT, trust_env=where.endpoint_url is None) as client:
        try:
            status = client.post(url, content=b"{}", headers={"content-type": "application/json"}).status_code
        except httpx.HTTPError as error:
            raise CommandError(f"{url} cannot be reached ({type(error).__name__})") from None
    if status != 401:
        raise CommandError(f"{url} answered {status} to an unsigned delivery, instead of 401")
    return f"{url} refuses an unsigned delivery"


def _queues(where: Target) -> Iterator[Check]:
    yield _tried("dead letters", partial(_dead_letters, where), "see what failed, then send it back: dossier redrive")
    yield _tried("waiting room", partial(_overdue, where), "see the log of the poll and sweep functions")


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
    """Look for waits that should have been polled some time ago."""
    late = [
        f"{wait.connection} {wait.reference} since {wait.next_at}"
        for name in where.connections
        for wait in where.app.waits.due(name, now() - OVERDUE)
    ]
    if late:
        more = f" and {len(late) - 3} more" if len(late) > 3 else ""
        raise CommandError(f"{counted(len(late), 'case')} not polled: {'; '.join(late[:3])}{more}")
    return "no case is overdue"
