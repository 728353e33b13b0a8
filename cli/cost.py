"""``dossier cost``: the usage of a case or a month, and its price at AWS and at the vendor."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.invoice import month_of
from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.timeline import FUNCTIONS, STEPS, histories, written
from dossier.layout import costs_key
from dossier.models import CaseInput, now
from dossier.pricing import Spent, bill, prices
from dossier.steps.invoice import lines as documents_of
from dossier.stores.cases import Case
from dossier.stores.objects import as_json
from dossier.texts import counted
from dossier.usage import USED

KEPT = timedelta(days=90)
"""How long AWS keeps an execution's history, and the functions' logs (``infra.function.LOG_RETENTION``)."""
EVERY = (*FUNCTIONS, "api", "webhook", "sweep", "reconcile", "compare", "summarize")
"""All functions."""
HTTP = {"api", "webhook"}
"""Functions behind API Gateway, which bills each request."""
QUEUED = {"poll", "wake", "drop"}
"""Functions that get batches of messages."""
MOST_EVENTS = 25_000
"""Most events of an execution (a quota of Step Functions)."""
AFTERWARDS = timedelta(minutes=30)
"""How long after the last change of a case a function may still run: a step's longest time, and its log's delay."""
MEMORY = 512
"""MiB of a function whose invocation left no line (``infra.function.MEMORY``)."""
STAGE = "(stage)"
"""Stands for the stage itself beside the connections."""
_AT_ONCE = 8
_SHOWN = ("transitions", "invocations", "gigabyte_seconds", "read_units", "write_units", "s3_writes", "s3_reads",
          "sqs_requests", "events", "secret_reads", "deliveries", "vendor_calls", "bytes_sent")  # fmt: skip


@dataclass
class Account:
    """The usage of a case, a connection, or the stage itself.

    Attributes:
        spent: what AWS counts.
        steps: invocations of the state machine's functions that left a line.
        scheduled: invocations that the executions' histories name.
        pages: pages that the vendor bills.
        price: its price of a page, if it is known.
        cases: how many cases, of a month.

    """

    spent: Spent = field(default_factory=Spent)
    steps: int = 0
    scheduled: int = 0
    pages: int = 0
    price: float | None = None
    cases: int = 0

    def include(self, other: Account) -> None:
        """Add what another account has used."""
        self.spent.add(other.spent)
        self.steps += other.steps
        self.scheduled += other.scheduled
        self.pages += other.pages

    @property
    def unmeasured(self) -> int:
        """Invocations without a line: they were killed or rejected by Lambda, or a former version made them."""
        return max(0, self.scheduled - self.steps)

    def settled(self, rate: Mapping[str, Any]) -> Spent:
        """Return what AWS counts, with an assumption for each invocation that left no line."""
        whole, assumed = Spent(), rate["assumed"]["table_seconds"] * MEMORY / 1024
        whole.add(self.spent)
        whole.add(Spent(invocations=self.unmeasured, gigabyte_seconds=self.unmeasured * assumed))
        return whole

    def document(self, rate: Mapping[str, Any]) -> dict[str, Any]:
        """Return the account for programs."""
        settled = self.settled(rate)
        items = {name: round(usd, 10) for name, usd in bill(settled, rate).items() if usd}
        return {
            "aws_usd": round(sum(items.values()), 10),
            "vendor_usd": None if self.price is None else round(self.pages * self.price, 6),
            "counts": {**settled.counts(), "pages": self.pages},
            "items": items,
            "unmeasured": self.unmeasured,
        }


def cost(out: Output, where: Target, reference: str | None, *, connection: str | None, month: str | None) -> None:
    """Print what a case, or everything in a month, cost.

    Raises:
        BadUsageError: neither a case nor a month is named, or both are.

    """
    if (reference is None) == (month is None):
        raise BadUsageError(
            "name either a case's reference or a month", fix="for example `dossier cost --month 2026-01`"
        )
    if reference is not None:
        of_case(out, where, find(where, reference, connection))
    elif month is not None:
        of_month(out, where, month, connection)


def of_case(out: Output, where: Target, case: Case) -> None:
    """Print what a case cost so far."""
    document = case_cost(where, case)
    out.document(document)
    _show(out, document)
    out.progress(f"{document['connection']} / {document['reference']}: {_together(document)}")
    _notes(out, prices(), document["missing"])


def case_cost(where: Target, case: Case) -> dict[str, Any]:
    """Return what a case cost so far, for programs."""
    record, rate = case.record, prices()
    account = Account(
        pages=sum(each.pages or 1 for each in case.documents if each.key and (each.document_id or each.job_id))
    )
    settings = settings_of(where).get(record.connection)
    account.price = settings.budget.price_per_page if settings else None
    for history in histories(where, case, most=MOST_EVENTS, refreshes=None):
        _executed(account, history.events)
    begin, end = record.submitted_at - timedelta(minutes=1), _until(case)
    for verb, fields in _lines(where, FUNCTIONS, begin, end, f'"{record.reference}"'):
        if (fields.get("connection"), fields.get("reference")) == (record.connection, record.reference):
            _measured(account, verb, fields)
    missing = _missing(account, record.submitted_at)
    names = {"connection": record.connection, "reference": record.reference}
    return {**names, **account.document(rate), "prices_as_of": rate["as_of"], "missing": missing}


def of_month(out: Output, where: Target, month: str, connection: str | None) -> None:
    """Print what a month cost, by connection."""
    names, rate = where.with_cases(connection), prices()
    found = month_cost(where, month, say=out.progress)
    shown = {name: each for name, each in found["connections"].items() if name in names}
    out.document({**found, "connections": shown})
    rows = [
        (name, each["cases"], f"{each['aws_usd']:.6f}", _usd(each["vendor_usd"]), each["counts"]["transitions"],
         each["counts"]["invocations"], each["counts"]["pages"])
        for name, each in [*sorted(shown.items()), (STAGE, {**found["stage"], "cases": ""})]
    ]  # fmt: skip
    out.table(("CONNECTION", "CASES", "AWS USD", "VENDOR USD", "TRANSITIONS", "INVOCATIONS", "PAGES"), rows)
    out.progress(
        f"{month}: what runs without a case, such as the schedules, is the stage's; docs/cost.md has its price"
    )
    _notes(out, rate, found["missing"])


def month_cost(where: Target, month: str, *, say: Callable[[str], object]) -> dict[str, Any]:
    """Return what a month cost, for programs: by connection, and by day.

    The cost of a past month is stored, and read from then on; one that an earlier version stored has no days.

    Raises:
        BadUsageError: the month is none, or has not begun.

    """
    begin, end = month_of(month)
    objects, rate = where.app.objects, prices()
    stored = objects.read(costs_key(month))
    if stored is not None:
        return dict(json.loads(stored))
    found = _month(where, begin, end, rate, say)
    if end + timedelta(hours=1) < now() and begin + KEPT > now():  # complete: no more usage will come
        objects.write(costs_key(month), as_json(found))
    return found


def _month(
    where: Target, begin: datetime, end: datetime, rate: Mapping[str, Any], say: Callable[[str], object]
) -> dict[str, Any]:
    by_day = _by_day(where, begin, end, say)
    accounts = {name: Account() for name in where.with_cases(None)}
    stage = Account()
    settings = settings_of(where)
    for (name, _), each in by_day.items():
        accounts.get(name, stage).include(each)
    for name, account in accounts.items():
        account.price = settings[name].budget.price_per_page if name in settings else None
        account.cases = sum(1 for _ in where.app.cases.newest(name, since=begin, until=end))
        erased = where.app.forgotten.billed(name, f"{begin:%Y-%m}")  # an earlier version stored no days
        account.cases, account.pages = account.cases + len(erased), account.pages + sum(erased)
    days: dict[str, dict[str, Any]] = {}
    for (name, day), each in sorted(by_day.items()):
        each.price = accounts[name].price if name in accounts else None
        figures = each.document(rate)
        shown = {"aws_usd": figures["aws_usd"], "vendor_usd": figures["vendor_usd"], "pages": each.pages}
        days.setdefault(day, {})[name or STAGE] = shown
    unmeasured = Account(steps=0, scheduled=sum(each.unmeasured for each in accounts.values()))
    return {
        "month": f"{begin:%Y-%m}",
        "prices_as_of": rate["as_of"],
        "connections": {name: {"cases": each.cases, **each.document(rate)} for name, each in accounts.items()},
        "stage": stage.document(rate),
        "days": dict(sorted(days.items())),
        "missing": _missing(unmeasured, begin),
    }


def _by_day(
    where: Target, begin: datetime, end: datetime, say: Callable[[str], object]
) -> dict[tuple[str, str], Account]:
    """Return the usage by connection (empty for the stage itself) and day (UTC)."""
    app, names = where.app, where.with_cases(None)
    accounts: defaultdict[tuple[str, str], Account] = defaultdict(Account)
    started = list(app.executions.began(begin, end))
    say(f"reading {counted(len(started), 'execution')} and the functions' logs")

    def history(arn: str) -> list[Mapping[str, Any]]:
        return app.executions.history(arn, most=MOST_EVENTS, data=True)

    def account(name: str, at: datetime | None) -> Account:
        return accounts[name if name in names else "", f"{at or begin:%Y-%m-%d}"]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for events in pool.map(history, started):
            at = events[0]["timestamp"].astimezone(UTC) if events else None
            _executed(account(_connection_of(events), at), events)
    for verb, fields in _lines(where, EVERY, begin, min(end, now() + timedelta(minutes=1)), f'"{USED}"'):
        at = written(fields)
        _measured(account(str(fields.get("connection")), at and at.astimezone(UTC)), verb, fields)
    for name in names:
        for each in documents_of(name, begin, end, context=app):
            if not each.in_doubt:
                account(name, each.at).pages += each.billed
    return accounts


def _executed(account: Account, events: Iterable[Mapping[str, Any]]) -> None:
    """Add an execution: each state that it entered is a transition, and so is each repetition of one."""
    kinds = Counter(str(each["type"]) for each in events)
    entered = sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))
    scheduled = kinds["LambdaFunctionScheduled"] + kinds["TaskScheduled"]
    account.scheduled += scheduled
    account.spent.transitions += entered + max(0, scheduled - kinds["TaskStateEntered"])
    account.spent.traces += kinds["ExecutionStarted"]


def _measured(account: Account, verb: str, fields: Mapping[str, Any]) -> None:
    """Add an invocation by its line."""
    used = fields[USED]
    account.steps += verb in STEPS
    account.spent.add(
        Spent(
            traces=verb not in STEPS,
            invocations=1,
            gigabyte_seconds=(used["ms"] + used.get("init", 0)) / 1000 * used["mb"] / 1024,
            read_units=used["read"],
            write_units=used["write"],
            requests=Counter(used["requests"]),
            batches=verb in QUEUED,
            deliveries=verb in HTTP,
            vendor_calls=used["calls"],
            bytes_sent=used["sent"],
        )
    )


def _lines(
    where: Target, verbs: Iterable[str], begin: datetime, end: datetime, pattern: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the functions' log lines about their usage, each with its function's verb."""
    client = where.session.client("logs")

    def read(verb: str) -> list[tuple[str, dict[str, Any]]]:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{where.stack}-{verb}",
            startTime=int(begin.timestamp() * 1000),
            endTime=int(end.timestamp() * 1000),
            filterPattern=pattern,
        )
        try:
            messages = [event["message"] for page in pages for event in page["events"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":  # it has never run
                raise
            return []
        return [(verb, fields) for each in messages if (fields := _fields(each)) is not None]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for found in pool.map(read, verbs):
            yield from found


def _fields(message: str) -> dict[str, Any] | None:
    if USED not in message:
        return None
    try:
        found = json.loads(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get(USED), dict) else None


def _connection_of(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the connection that an execution's input names, if it names one."""
    for event in events:
        if event["type"] == "ExecutionStarted":
            try:
                named = CaseInput.named(json.loads(event.get("executionStartedEventDetails", {}).get("input", "null")))
            except ValueError:
                return ""
            return named.connection if named else ""
    return ""


def _until(case: Case) -> datetime:
    changed = max(filter(None, (case.record.completed_at, case.record.updated_at, case.record.woken)))
    ended = case.record.status.final and not case.refresh.started_at
    return min(now(), changed + AFTERWARDS) if ended else now() + timedelta(minutes=1)


def _missing(account: Account, since: datetime) -> list[str]:
    """Say what could not be counted."""
    found = []
    if since + KEPT < now():
        found.append(f"usage before {now() - KEPT:%Y-%m-%d}: histories and logs are kept for {KEPT.days} days")
    if account.unmeasured:
        which = counted(account.unmeasured, "invocation")
        found.append(f"the requests of {which} that left no line: killed, rejected by Lambda, or of a former version")
    return found


def _show(out: Output, found: Mapping[str, Any]) -> None:
    out.table(("COUNTED", "NUMBER"), [(each, f"{found['counts'][each]:g}") for each in (*_SHOWN, "pages")])
    out.table(("AWS BILLS", "USD"), [(name, f"{usd:.8f}") for name, usd in found["items"].items()])


def _together(found: Mapping[str, Any]) -> str:
    return f"AWS ${found['aws_usd']:.6f}, vendor {_usd(found['vendor_usd'])}"


def _usd(usd: float | None) -> str:
    return "unknown (no price_per_page)" if usd is None else f"${usd:,.2f}"


def _notes(out: Output, rate: Mapping[str, Any], missing: Iterable[str]) -> None:
    out.progress(f"AWS's list prices in {rate['region']} as of {rate['as_of']}, without free tiers and storage")
    for each in missing:
        out.progress(f"not counted: {each}")
