"""``make cost``: computes the cost of an idle stage and of one case at each vendor; writes docs/cost.md.

The counts come from real runs: this walks the synthesized state machine over the functions' handlers, and meters every
request of their clients. A dated file has the list prices, and assumptions for figures that a run in process cannot
show.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from app import ROOT
from checks.places import PLACES, Filled
from checks.synthesis import definition, stack_name, templates
from dossier import pricing
from dossier.connections import load_toml
from dossier.models import CaseId, iso, moment, now
from dossier.pricing import Spent, prices
from dossier.settings import Poll
from dossier.steps import poll as poll_step
from dossier.steps.wake import serve
from dossier.steps.webhook import Webhook
from dossier.stores.queues import WAKE
from dossier.stores.table import case_key
from tests.conftest import REGION, Cloud, in_memory
from tests.machine import World, samples
from tests.meter import Meter
from tests.walk import Handlers, Walk

PAGE = ROOT / "docs" / "cost.md"
COUNTED = ROOT / "tests" / "simulation" / "scale" / "counted.json"
LIMIT = 0.0005
"""The most dollars that a case of one document may cost."""
MONTH = 30 * 86_400
CONNECTIONS = ("invoices", "claims", "disputes")
WAITS = {"ten seconds": 10, "a minute": 60, "ten minutes": 600, "an hour": 3600, "ten hours": 36_000}
_APART = {"poll", "wake", "drop", "webhook", "sweep", "reconcile", "compare"}
"""The functions that the state machine does not call."""
_SECRET = "what a delivery is signed with"  # noqa: S105  # the vendor's, in memory
_RATES = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86_400, "days": 86_400}


@dataclass
class Counts:
    """The counts that AWS would bill."""

    transitions: int = 0
    invoked: Counter[str] = field(default_factory=Counter)
    """Invocations by verb."""
    asking: Counter[str] = field(default_factory=Counter)
    """Invocations by verb that called their vendor, and so read its key."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests by ``service.Operation``."""
    read_units: float = 0
    write_units: float = 0

    def minus(self, before: Counts) -> Counts:
        """Return the difference from earlier counts."""
        return Counts(
            self.transitions - before.transitions,
            self.invoked - before.invoked,
            self.asking - before.asking,
            self.requests - before.requests,
            self.read_units - before.read_units,
            self.write_units - before.write_units,
        )


class Deployed:
    """The figures of the template: the functions' memory, and the traced functions."""

    def __init__(self, template: Mapping[str, Any], name: str) -> None:
        self.filled = Filled(template, name, PLACES[0])
        self.memory: dict[str, int] = {}
        self.traced: set[str] = set()
        machine = self.filled.machines()[0]
        self.traces_executions = bool(machine.get("TracingConfiguration", {}).get("Enabled"))
        for each in self.filled.of_type("AWS::Lambda::Function").values():
            verb = str(each["FunctionName"]).removeprefix(f"{name}-")
            self.memory[verb] = int(each["MemorySize"])
            if each.get("TracingConfig", {}).get("Mode") == "Active":
                self.traced.add(verb)

    def bill(self, counts: Counts, rate: Mapping[str, Any]) -> dict[str, float]:
        """Return the cost of counts, in dollars, by item."""
        assumed = rate["assumed"]
        seconds = {
            verb: counts.asking[verb] * assumed["step_seconds"]
            + (number - counts.asking[verb]) * assumed["table_seconds"]
            for verb, number in counts.invoked.items()
        }
        # A traced execution is one trace with all its calls; a call from a queue or a schedule is another trace.
        apart = sum(number for verb, number in counts.invoked.items() if verb in self.traced & _APART)
        return pricing.bill(
            Spent(
                transitions=counts.transitions,
                traces=apart + (counts.transitions > 0) * self.traces_executions,
                invocations=counts.invoked.total(),
                gigabyte_seconds=sum(self.memory[verb] / 1024 * each for verb, each in seconds.items()),
                read_units=counts.read_units,
                write_units=counts.write_units,
                requests=counts.requests + Counter({"secretsmanager.GetSecretValue": counts.asking.total()}),
                batches=counts.invoked["poll"] + counts.invoked["wake"] + counts.invoked["drop"],
                deliveries=counts.invoked["webhook"],
            ),
            rate,
        )


class Metered:
    """An account in memory with metered requests, and Dossier in it, with the shipped settings."""

    def __init__(self, cloud: Cloud) -> None:
        self._meter = Meter()
        self._meter.attach(cloud.session)
        self.world = World(cloud)
        self.cloud = cloud
        self.transitions = 0
        self.invoked: Counter[str] = Counter()
        handlers = Handlers(self.world)
        self._handlers = handlers
        self.walked: Walk | None = None
        """The latest execution."""

    def counts(self) -> Counts:
        """Return the counts so far."""
        meter = self._meter
        return Counts(
            self.transitions,
            +self.invoked,
            +self._handlers.asking,
            +meter.requests,
            meter.read_units,
            meter.write_units,
        )

    def walk(self, used: Mapping[str, Any], connection: str, reference: str) -> Counts:
        """Walk a case of one document to its end; return its counts.

        Raises:
            RuntimeError: the case did not complete.

        """
        uri = self.cloud.put(f"staging/{connection}/{reference}/invoice.pdf", samples("invoice.pdf")["invoice.pdf"])
        before = self.counts()
        walk = Walk(used, self._handlers, name=reference)
        answer = walk.run(
            {"connection": connection, "reference": reference, "documents": [{"uri": uri, "name": "invoice.pdf"}]}
        )
        if walk.outcome != "SUCCEEDED":
            raise RuntimeError(f"the case at {connection} failed: {answer}")
        self.walked = walk
        self.transitions += len(walk.entered)
        self.invoked.update(walk.invoked)
        self.invoked["poll"] += self._handlers.polls
        self._handlers.polls = 0
        return self.counts().minus(before)


@contextmanager
def metered() -> Iterator[Metered]:
    """Yield a new account."""
    names = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    os.environ.update(names)
    with in_memory() as cloud:
        yield Metered(cloud)


def polls_during(seconds: float, poll: Poll) -> tuple[int, Counts]:
    """Return the number of polls of a document that takes ``seconds``, and their counts.

    The real poller sets the time of each next poll; instead of waiting, this moves all times of the wait back.
    """
    with metered() as it:
        world = it.world
        world.sandbox.post("/_sandbox/settings", json={"seconds": 10 * seconds + 3600})
        given = poll.model_copy(update={"deadline": 2 * seconds + 3600})
        world.connections["invoices"] = world.connections["invoices"].model_copy(update={"poll": given})
        _begin(it)
        waits, names = it.cloud.app.waits, CaseId("invoices", "R-1")
        passed, polls, before = given.first, 0, it.counts()
        _shift(it, given.first)
        while passed <= seconds:
            current = waits.find(names)
            if current is None:
                raise RuntimeError("the wait ended before the document did")
            it._handlers.invoke("poll", partial(poll_step.poll, names, current.seq, context=world.context))
            polls += 1
            moved = waits.find(names)
            delay = max(0.05, (moved.next_at - now()).total_seconds()) if moved else seconds
            passed += delay
            _shift(it, delay)
        it.invoked["poll"] += polls
        return polls, it.counts().minus(before)


def delivered() -> Counts:
    """Return the counts of one delivery, from the request to the poll that it causes."""
    with metered() as it:
        _begin(it)
        app, context = it.cloud.app, it.world.context
        [document] = context.cases.get(CaseId("invoices", "R-1")).documents
        body = json.dumps({"event": "document_completed", "document_id": document.document_id})
        signature = hmac.new(_SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        settings = it.world.connections["invoices"].webhook
        sent: list[dict[str, str]] = []

        def enqueue(message: dict[str, str]) -> None:
            sent.append(message)
            app.queues.send(WAKE, message)

        webhook = Webhook(
            settings_of=lambda _: settings.model_dump() if settings else None,
            secrets_of=lambda *_: [_SECRET],
            evidence=lambda: app.evidence,
            enqueue=enqueue,
        )
        before = it.counts()
        status, verdict = webhook.answer(
            {
                "headers": {"content-type": "application/json", "x-docustack-signature": signature},
                "pathParameters": {"connection": "invoices"},
                "body": body,
                "isBase64Encoded": False,
            }
        )
        if status != HTTPStatus.OK or len(sent) != 1:
            raise RuntimeError(f"the delivery was answered {status} ({verdict})")
        serve(sent[0], context=context)
        it.invoked.update(webhook=1, wake=1)
        it._handlers.asking["webhook"] += 1  # it reads the secret
        return it.counts().minus(before)


def _begin(it: Metered) -> None:
    """Run a case until it waits for its document."""
    uri = it.cloud.put("staging/invoices/R-1/invoice.pdf", samples("invoice.pdf")["invoice.pdf"])
    case = {"connection": "invoices", "reference": "R-1", "documents": [{"uri": uri, "name": "invoice.pdf"}]}
    names = {"connection": "invoices", "reference": "R-1"}
    it._handlers("accept", {"input": case, "execution": {"arn": "arn:1", "name": "1"}})
    it._handlers("upload", {**names, "batch": 0})
    it._handlers.begin("wait", {**names, "phase": "documents", "token": "token"})


def _shift(it: Metered, seconds: float) -> None:
    """Let time pass for the wait, without metered requests."""
    table = it.world.context.cases._table._table
    key = {"pk": case_key(CaseId("invoices", "R-1")), "sk": "WAIT"}
    own = it._meter._unmetered
    item = own.get_item(TableName=table.name, Key={name: {"S": value} for name, value in key.items()})["Item"]
    for name in ("next_at", "gsi_sk", "started_at", "deadline", "polled_at", "refused_at"):
        if "S" in item.get(name, {}):
            item[name] = {"S": iso(moment(item[name]["S"]) - timedelta(seconds=seconds))}
    own.put_item(TableName=table.name, Item=item)


def idle(deployed: Deployed, rate: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost of a month without a case, by item."""
    filled = deployed.filled
    assumed = rate["assumed"]
    seconds_of = _schedules(filled, deployed)
    queues = len(filled.of_type("AWS::Lambda::EventSourceMapping"))
    polling = queues * assumed["pollers"] * MONTH / assumed["long_poll_seconds"] * rate["sqs"]["request"]
    alarms, metrics = filled.of_type("AWS::CloudWatch::Alarm"), set[str]()
    composite, watch = len(filled.of_type("AWS::CloudWatch::CompositeAlarm")), rate["cloudwatch"]
    dashboards = len(filled.of_type("AWS::CloudWatch::Dashboard"))
    secrets = len(filled.of_type("AWS::SecretsManager::Secret"))
    bill: dict[str, float] = {
        f"{secrets} secrets": secrets * rate["secrets"]["secret_month"],
        f"{len(alarms)} alarms": sum(_metrics_of(each) for each in alarms.values()) * watch["alarm_month"],
        f"{composite} composite alarms": composite * watch["composite_alarm_month"],
        f"{dashboards} dashboard (`dashboard = false` leaves it out)": dashboards * watch["dashboard_month"],
        f"{queues} queue mappings that poll": polling,
    }
    for verb, every in seconds_of.items():
        with metered() as it:
            metrics |= _run(it, verb)
            it.invoked[verb] += 1
            runs = MONTH / every
            bill[f"{verb}, every {every // 60} min"] = runs * sum(deployed.bill(it.counts(), rate).values())
    bill[f"{len(metrics)} custom metrics"] = len(metrics) * rate["cloudwatch"]["metric_month"]
    return bill


def _schedules(filled: Filled, deployed: Deployed) -> dict[str, int]:
    """Return the seconds between two scheduled calls, by verb."""
    found = {}
    for rule in filled.of_type("AWS::Events::Rule").values():
        words = str(rule.get("ScheduleExpression", "")).removeprefix("rate(").removesuffix(")").split()
        for target in rule.get("Targets", []) if words else []:
            verb = str(target["Arn"]).rpartition("-")[2]
            if verb in deployed.memory:
                found[verb] = int(words[0]) * _RATES[words[1]]
    return found


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in each for each in alarm.get("Metrics", [])) or 1


def _run(it: Metered, verb: str) -> set[str]:
    """Run a scheduled function once, without a case; return the metrics that it wrote."""
    metrics: set[str] = set()

    def count(name: str, _value: int = 1, **dimensions: str) -> None:
        metrics.add(f"{name} {sorted(dimensions.items())}")

    handler = it._handlers.load(verb, count=count, connections=SimpleNamespace(runtime_names=lambda: CONNECTIONS))
    handler({})
    return metrics


def main() -> int:
    """Write the page, which explains any case that costs more than the limit; return the exit code."""
    rate = prices()
    deployed = Deployed(templates()[3], stack_name(3))
    used = definition(templates()[3])
    cases: dict[str, tuple[Counts, dict[str, float]]] = {}
    for connection in CONNECTIONS:
        with metered() as it:
            counts = it.walk(used, connection, "R-1")
            cases[connection] = counts, deployed.bill(counts, rate)
    waited = {}
    for name, seconds in WAITS.items():
        polls, counts = polls_during(seconds, Poll())
        waited[name] = polls, sum(deployed.bill(counts, rate).values())
    delivery = sum(deployed.bill(delivered(), rate).values())
    monthly = idle(deployed, rate)
    PAGE.write_text(_page(rate, cases, waited, delivery, monthly), encoding="utf-8")
    for name, (_, bill) in cases.items():
        print(f"{name}: a case of one document costs ${sum(bill.values()):.6f}")
    print(f"idle: ${sum(monthly.values()):.2f} a month; {PAGE.relative_to(ROOT)} is written")
    return 0


def _page(
    rate: Mapping[str, Any],
    cases: Mapping[str, tuple[Counts, Mapping[str, float]]],
    waited: Mapping[str, tuple[int, float]],
    delivery: float,
    monthly: Mapping[str, float],
) -> str:
    vendors = load_toml(ROOT / "connections.toml")
    titles = {"docsumo": "Docsumo", "docustack": "DocuStack", "ombudsman": "Ombudsman"}
    names = [titles[vendors[each].vendor] for each in cases]
    bills = [bill for _, bill in cases.values()]
    rows = [row for row in bills[0] if any(bill[row] for bill in bills)]
    assumed = rate["assumed"]
    rules, head = "| --- |" + " ---: |" * len(names), " | ".join(names)
    together = " | ".join(f"**{sum(bill.values()):.6f}**" for _, bill in cases.values())
    counted: dict[str, Callable[[Counts], float]] = {
        "state transitions": lambda each: each.transitions,
        "invocations": lambda each: each.invoked.total(),
        "read units": lambda each: each.read_units,
        "write units": lambda each: each.write_units,
        "S3 requests": lambda each: sum(n for name, n in each.requests.items() if name.startswith("s3.")),
        "SQS messages sent": lambda each: each.requests["sqs.SendMessage"],
    }
    lines = [
        "# What it costs",
        "",
        "`make cost` writes this page; do not edit it. The counts come from real runs in process: the synthesized",
        "state machine calls the functions' handlers, and the requests of their AWS clients are metered. Prices are",
        f"AWS's list prices in {rate['region']} as of {rate['as_of']}, without free tiers and discounts, and may have",
        "changed since; the last table names their sources. To update them, edit prices and date in",
        "`layers/shared/python/dossier/prices.toml` and run `make cost`.",
        "",
        "A run in process cannot show some figures. For these the same file has assumptions:",
        f"{assumed['step_seconds']:g} s of billed time for a function that calls its vendor,",
        f"{assumed['table_seconds']:g} s for others, {assumed['log_bytes']} bytes of log for each invocation,",
        "and one read of the secret in each function that calls its vendor. Storage and data transfer out of AWS",
        "depend on the files and are not included, nor are the vendors' prices.",
        "",
        "## One case of one document",
        f"The vendor has finished by the first poll. The limit is ${LIMIT}.",
        "",
        f"| US dollars | {head} |",
        rules,
        *(f"| {row} | " + " | ".join(f"{bill[row]:.7f}" for _, bill in cases.values()) + " |" for row in rows),
        f"| **together** | {together} |",
        "",
        *_why(cases),
        f"| counted | {head} |",
        rules,
        *(
            f"| {what} | " + " | ".join(f"{value(counts):g}" for counts, _ in cases.values()) + " |"
            for what, value in counted.items()
        ),
        "",
        "## Waiting",
        "The number of polls depends on how long a vendor takes; that of state transitions does not. One document at",
        "DocuStack, with the default `poll` settings and without a webhook (which would cause the next poll at once):",
        "",
        "| the vendor takes | polls | US dollars |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {polls} | {dollars:.6f} |" for name, (polls, dollars) in waited.items()),
        "",
        f"A delivery that moves the next poll to now costs ${delivery:.6f}: the request, its evidence, and the",
        "function that applies it. It saves the polls that would have been made meanwhile.",
        "",
        "## What your own cases cost",
        "`dossier cost REFERENCE` counts what a case has used, `dossier cost --month 2026-01` everything in a month,",
        "by connection; AWS's price and the vendor's (pages at the connection's `price_per_page`) are apart. `--json`",
        "has `aws_usd`, `vendor_usd`, `counts` and `items`. Nothing is assumed but the size of the logs:",
        "",
        "- transitions and invocations are the events of the executions' histories,",
        "- units of the table, requests, time and bytes are those that each invocation has logged (`dossier_used`);",
        "  DynamoDB itself says the units. The line costs no request. A write whose condition fails counts as a unit.",
        "",
        "The time includes the start of a new environment of a function, which AWS bills too. Not included: storage,",
        "downloads by people, the transitions of batches (`dossier batch`), and data that a vendor reads from a",
        "presigned URL. An invocation that left no line, because it was killed or a former version made it, counts",
        "with the assumed time, and the answer says so (`unmeasured`, `missing`). A call that polls several cases",
        "counts for the one whose message it had.",
        "",
        "AWS keeps histories and logs for 90 days. The first `dossier cost --month` after the end of a month stores",
        "its figures in `costs/<month>.json` in the bucket, without references: run it once a month if you want to",
        "look at them later. A case's own cost cannot be counted any more after 90 days.",
        "",
        "`tests/infra/test_spent.py` compares the command with the counts of AWS in memory, for each of 100 cases of",
        "the three vendors in turn (`DOSSIER_COST_CASES=100`): all are equal.",
        "",
        *_counted(),
        "## A month without cases",
        "Three connections, default settings, 30 days.",
        "",
        "| what | US dollars |",
        "| --- | ---: |",
        *(f"| {name} | {dollars:.2f} |" for name, dollars in monthly.items()),
        f"| **together** | **{sum(monthly.values()):.2f}** |",
        "",
        f"Your own KMS key (`kms_key_arn`) adds {rate['kms']['key_month']:.2f}, and the price of its requests.",
        "",
        "## Sources of the prices",
        "Scripts fill in the tables on AWS's pages, so some figures come from texts that quote them.",
        "",
        "| AWS's page | US dollars | source |",
        "| --- | --- | --- |",
        *(
            f"| <{each['page']}> | {', '.join(f'{what} {_dollars(price)}' for what, price in priced(each))} "
            f"| {each['source']} |"
            for each in rate.values()
            if isinstance(each, Mapping) and "page" in each
        ),
        "",
    ]
    return "\n".join(lines)


def _counted() -> Iterator[str]:
    """Compare the command with the counts of the local AWS, as ``make scale-count`` kept them."""
    kept = json.loads(COUNTED.read_text(encoding="utf-8"))
    yield f"`make scale-count` ran a hundred cases on the local AWS on {kept['as_of']}, and counted each request and"
    yield "each state there. It fails if `dossier cost --month` says anything else:"
    yield ""
    yield "| counted | local AWS | `dossier cost` |"
    yield "| --- | ---: | ---: |"
    yield from (f"| {name.replace('_', ' ')} | {local:,} | {said:,} |" for name, (local, said) in kept["cost"].items())
    yield ""


def priced(service: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the units that a service bills, and their price."""
    return [(what.replace("_", " "), price) for what, price in service.items() if isinstance(price, float)]


def _dollars(price: float) -> str:
    """Return a price without an exponent."""
    return f"{price:.10f}".rstrip("0").ljust(4, "0")


def _why(cases: Mapping[str, tuple[Counts, Mapping[str, float]]]) -> Iterator[str]:
    """Explain each case that costs more than the limit."""
    for connection, (counts, bill) in cases.items():
        if sum(bill.values()) >= LIMIT:
            what, dearest = max(bill.items(), key=lambda item: item[1])
            yield (
                f"A case of `{connection}` costs more than the limit. {what} cost ${dearest:.6f} "
                f"({counts.transitions} transitions, {counts.invoked.total()} invocations), because its vendor needs a "
                "request for each part."
            )
            yield ""


if __name__ == "__main__":
    sys.exit(main())
