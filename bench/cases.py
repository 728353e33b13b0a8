"""Part ``cases``: a one-document case by the guides' loops, by a textbook poller, and by Dossier, side by side."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench import guides
from bench.report import reached, table, with_range
from bench.sandboxes import Done, Sandbox, as_json, deliveries_of, done_of, keys, requests_of
from dossier.pricing import Spent, bill, prices
from local.deploy import Deployment as Deploying
from tests.chaos.deployment import Deployment, deployed, further_sandboxes

ROOT = Path(__file__).parents[1]
VENDORS = ("docustack", "docsumo", "ombudsman")
KINDS = {"docustack": "invoices", "docsumo": "claims", "ombudsman": "disputes"}
TITLES = {"docustack": "DocuStack", "docsumo": "Docsumo", "ombudsman": "Ombudsman"}
GUIDE, TEXTBOOK, POLLED, WEBHOOKS = "guide", "textbook", "Dossier, polling", "Dossier, webhooks"
WAYS = (WEBHOOKS, POLLED, TEXTBOOK, GUIDE)
PRICED = 2
"""Cases of each kind that ``dossier cost`` counts."""
TEXTBOOK_MEMORY = 128 / 1024
"""GiB: Lambda's default."""
MEMORY = 512 / 1024
"""GiB of Dossier's functions (``infra.function.MEMORY``)."""
LONGEST = 900.0
"""Seconds after which a case hangs."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the vendors take: the guides' own times, or others."""

    name: str
    seconds: float
    assessment: float
    spread: float
    cases: int
    apart: float
    """Seconds from the start of a case to that of the next one, so that they do not wait for each other."""
    vendors: tuple[str, ...] = VENDORS
    ways: tuple[str, ...] = WAYS


COLD = "the first case"
PACES = (
    (Pace(COLD, 2, 2, 0.5, 1, 5),),
    (Pace("a tenth", 2, 12, 0.5, 5, 2.5),),
    (Pace("the guides' times", 20, 120, 0.5, 5, 2.5),),
    (
        Pace("three minutes", 180, 180, 0, 2, 6, ("docustack", "docsumo"), (WEBHOOKS, TEXTBOOK, GUIDE)),
        Pace("the guides' times, once more", 20, 120, 0.5, 3, 6, ways=(POLLED,)),
    ),
)
"""First one case of each kind, whose functions start cold. Documents take 10 to 30 s, assessments 60 to 180 s, evenly
distributed (the Ombudsman's guide; DocuStack's names 30 s, Docsumo's nothing), a tenth of that, and three minutes for
the price. At the same time as the last, polls have another turn, of whose times they know by then."""


@dataclass(slots=True)
class Ran:
    """One case: when it began and ended (seconds since 1970), and its execution."""

    way: str
    vendor: str
    reference: str
    began: float
    ended: float = 0.0
    arn: str = ""
    connection: str = ""


@dataclass
class Arena:
    """All ways, ready to run: the deployment, the textbook poller beside it, and a sandbox for each."""

    deployment: Deployment
    sandboxes: Mapping[str, Sandbox]
    requests: Path
    textbook: Mapping[str, str]
    sample: bytes
    keys: Mapping[str, str] = field(default_factory=keys)
    numbers: Counter[str] = field(default_factory=Counter)

    def begin(self, way: str, vendor: str) -> Ran:
        """Run a guide's loop to its end, or start an execution."""
        self.numbers[way] += 1
        reference = f"{''.join(each for each in way if each.isalpha())}-{vendor}-{self.numbers[way]:03}"
        body = self.sample + f"\n% {reference}".encode()
        name = f"{reference}.pdf"
        ran = Ran(way, vendor, reference, time.time())
        if way == GUIDE:
            guides.LOOPS[vendor](f"{self.sandboxes[way].url}/{vendor}", self.keys[vendor], name, body, self._put)
            ran.ended = time.time()
        elif way == TEXTBOOK:
            seconds = guides.INTERVALS[vendor]
            self._put(f"inbox/{name}", body)
            job = {"vendor": vendor, "name": name, "key": f"inbox/{name}", "seconds": seconds[0], "then": seconds[-1]}
            started = self.deployment.client("stepfunctions").start_execution(
                stateMachineArn=self.textbook["Machine"], name=reference, input=json.dumps(job)
            )
            ran.arn = started["executionArn"]
        else:
            ran.connection = KINDS[vendor] + ("-polled" if way == POLLED else "")
            self.deployment.submit(ran.connection, reference, {name: body})
        return ran

    def _put(self, key: str, body: bytes) -> None:
        self.deployment.client("s3").put_object(Bucket=self.textbook["BucketName"], Key=key, Body=body)

    def lines(self) -> list[list[str]]:
        """Return the local AWS's counts so far."""
        return [line.split() for line in self.requests.read_text(encoding="utf-8").splitlines()]


@contextmanager
def arena() -> Iterator[Arena]:
    """Deploy everything on a separate local AWS, and stop it afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        requests = folder / "requests.txt"
        os.environ["DOSSIER_LOCAL_REQUESTS"] = str(requests)
        stack.callback(os.environ.pop, "DOSSIER_LOCAL_REQUESTS")
        polled, textbook, guide = stack.enter_context(further_sandboxes(folder, 3))
        deployment = stack.enter_context(deployed(folder / "home", connections(str(polled.base_url).rstrip("/"))))
        sandboxes = {WEBHOOKS: deployment.sandbox, POLLED: polled, TEXTBOOK: textbook, GUIDE: guide}
        own = {way: Sandbox(client) for way, client in sandboxes.items()}
        secrets = deployment.client("secretsmanager")
        for name in KINDS.values():
            secret = secrets.get_secret_value(SecretId=f"dossier/{name}")["SecretString"]
            secrets.put_secret_value(SecretId=f"dossier/{name}-polled", SecretString=secret)
        urls = as_json({vendor: f"{own[TEXTBOOK].url}/{vendor}" for vendor in VENDORS})
        (folder / "textbook").mkdir()
        outputs = Deploying(
            endpoint_url=deployment.outputs["endpoint_url"],
            folder=folder / "textbook",
            context={"urls": urls},
            app=ROOT / "bench" / "textbook",
        ).deploy("textbook")
        secrets.put_secret_value(SecretId="textbook/keys", SecretString=json.dumps(keys()))
        sample = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
        yield Arena(deployment, own, requests, outputs, sample)


def connections(polled: str) -> str:
    """Return the shipped connections with the default poll times, and each once more at a sandbox without webhooks."""
    lines = (ROOT / "connections.toml").read_text(encoding="utf-8").splitlines()
    own = "\n".join(line for line in lines if not line.startswith("poll"))
    first = own.replace("http://127.0.0.1:4780", "SANDBOX")
    second = own.replace("http://127.0.0.1:4780", polled)
    for name in KINDS.values():
        second = second.replace(f"[{name}]", f"[{name}-polled]")
    return f"{first}\n{second}\n"


def race(arena: Arena, pace: Pace) -> dict[str, Any]:
    """Run all cases of a pace, one after the other begun; return times and counts by vendor and way."""
    marks = {way: arena.sandboxes[way].last() for way in pace.ways}
    for way in pace.ways:
        arena.sandboxes[way].pace(pace.seconds, pace.assessment, pace.spread)
    before = len(arena.lines())
    order = [
        (way, vendor)
        for _ in range(pace.cases)
        for vendor in pace.vendors
        for way in pace.ways
        if (way, vendor) != (WEBHOOKS, "ombudsman")  # which has none
    ]
    with ThreadPoolExecutor(len(order)) as pool:
        began, running = time.monotonic(), []
        for number, (way, vendor) in enumerate(order):
            time.sleep(max(0.0, began + number * pace.apart - time.monotonic()))
            running.append(pool.submit(arena.begin, way, vendor))
        ran = [each.result() for each in running]
    _ended(arena, ran)
    calls = Counter((caller.rpartition("-")[2], action) for _, caller, action in arena.lines()[before:])
    grouped: dict[str, dict[str, Any]] = defaultdict(dict)
    for way in pace.ways:
        journal = arena.sandboxes[way].journal(marks[way])
        done, asked, delivered = done_of(journal), requests_of(journal), deliveries_of(journal)
        for vendor in pace.vendors:
            own = [each for each in ran if (each.way, each.vendor) == (way, vendor)]
            if own:
                found = _times(own, done) | {"requests": asked[vendor] / len(own)}
                grouped[vendor][way] = found | _used(arena, own, delivered[vendor] / len(own), calls)
    return {"seconds": pace.seconds, "assessment": pace.assessment, "spread": pace.spread, "vendors": grouped}


def _ended(arena: Arena, ran: Iterable[Ran]) -> None:
    """Wait for the executions, and note when each has ended."""
    states, deadline = arena.deployment.client("stepfunctions"), time.monotonic() + LONGEST
    dossiers = arena.deployment.outputs["state_machine_arn"]
    missing = {each.reference: each for each in ran if each.way != GUIDE}
    while missing:
        for machine in (dossiers, arena.textbook["Machine"]):
            for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
                for each in page["executions"]:
                    reference = next((name for name in missing if name in each["name"]), None)
                    if reference is None or each["status"] == "RUNNING":
                        continue
                    if each["status"] != "SUCCEEDED":
                        raise RuntimeError(f"{reference}: {each['status']}")
                    ran_case = missing.pop(reference)
                    ran_case.ended, ran_case.arn = each["stopDate"].timestamp(), each["executionArn"]
        if missing and time.monotonic() > deadline:
            raise TimeoutError(f"{sorted(missing)} still run")
        time.sleep(2 if missing else 0)


def _times(ran: list[Ran], done: Mapping[str, Done]) -> dict[str, Any]:
    """Return the time over the vendor's own and the detection delay: median, least, most."""
    known = [(each, done[f"{each.reference}.pdf"]) for each in ran]
    over = [each.ended - each.began - vendors.took for each, vendors in known]
    delay = [each.ended - vendors.at for each, vendors in known]
    return {"cases": len(ran), "over": spread_of(over), "delay": spread_of(delay)}


def spread_of(values: list[float]) -> list[float]:
    """Return median, least and most."""
    return [round(each, 3) for each in (statistics.median(values), min(values), max(values))]


def _used(arena: Arena, ran: list[Ran], deliveries: float, calls: Counter[tuple[str, str]]) -> dict[str, Any]:
    """Return a case's average usage of AWS, and its price.

    Args:
        arena: where they ran.
        ran: the cases.
        deliveries: the deliveries of a case.
        calls: what functions did meanwhile: requests to AWS, and invocations.

    """
    if ran[0].way == GUIDE:
        return {}
    rate = prices()
    if ran[0].way == TEXTBOOK:
        counted = Counter(_mean([_textbook(arena, each) for each in ran]))
        memory = TEXTBOOK_MEMORY
    else:
        counted = Counter(_mean([_dossier(arena, each) for each in ran[:PRICED]]))
        memory = MEMORY
        counted.update(_delivered(deliveries, calls))
    counted["gigabyte_seconds"] = counted["invocations"] * rate["assumed"]["step_seconds"] * memory
    return {"counts": dict(counted), "dollars": sum(priced(counted, rate).values())}


def _mean(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(each[name] for each in found) for name in found[0]}


def _delivered(deliveries: float, calls: Counter[tuple[str, str]]) -> dict[str, float]:
    """Return what a case's deliveries used at the webhook function, which ``dossier cost`` counts for the month."""
    of_webhook = {action: number for (function, action), number in calls.items() if function == "webhook"}
    invoked = of_webhook.get("lambda:Invoke", 0)
    share = deliveries / invoked if invoked else 0.0
    counted = {"deliveries": "lambda:Invoke", "invocations": "lambda:Invoke", "s3_writes": "s3:PutObject",
               "sqs_requests": "sqs:SendMessage", "secret_reads": "secretsmanager:GetSecretValue"}  # fmt: skip
    return {name: of_webhook.get(action, 0) * share for name, action in counted.items()}


def priced(counted: Mapping[str, float], rate: Mapping[str, Any]) -> dict[str, float]:
    """Return the list price of counts (``Spent.counts``) by item."""
    names = ("transitions", "traces", "invocations", "gigabyte_seconds", "read_units", "write_units", "deliveries")
    requests = {
        "s3.PutObject": "s3_writes",
        "s3.GetObject": "s3_reads",
        "sqs.SendMessage": "sqs_requests",
        "events.PutEvents": "events",
        "secretsmanager.GetSecretValue": "secret_reads",
    }
    averages: dict[str, Any] = {name: counted.get(name, 0) for name in names}
    asked: Any = {name: counted.get(of, 0) for name, of in requests.items()}
    spent = Spent(**averages, requests=Counter(asked))
    return bill(spent, rate)


def _textbook(arena: Arena, ran: Ran) -> dict[str, float]:
    """Count an execution of the textbook poller by its history."""
    states = arena.deployment.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=ran.arn)
    entered = [
        each["stateEnteredEventDetails"]["name"]
        for page in pages
        for each in page["events"]
        if each["type"].endswith("StateEntered")
    ]
    tasks = sum(name in {"Upload", "Poll", "Download"} for name in entered)
    written = arena.deployment.client("s3").list_objects_v2(
        Bucket=arena.textbook["BucketName"], Prefix=f"results/{ran.reference}.pdf/"
    )["KeyCount"]
    return {"transitions": len(entered), "invocations": tasks, "s3_reads": 1, "s3_writes": written}


def _dossier(arena: Arena, ran: Ran) -> dict[str, float]:
    """Count a case as ``dossier cost`` does."""
    found = arena.deployment.dossier("cost", ran.reference, "--connection", ran.connection)
    return dict(found["counts"])


# The page


def run(paces: Iterable[Sequence[Pace]] = PACES) -> dict[str, Any]:
    """Run all paces, several of other ways at the same time; return the results by pace."""
    found: dict[str, Any] = {}
    with arena() as here:
        for together in paces:
            with ThreadPoolExecutor(len(together)) as pool:
                results = pool.map(partial(race, here), together)
                found.update(zip((each.name for each in together), results, strict=True))
    return found


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    lines = _targets(found)
    for name, pace in found.items():
        lines += ["", f"### {name.capitalize()}", "", _described(pace), ""]
        lines += table(
            ("one document", "cases", "time over the vendor's own, s", "of the guide's", "detection delay, s",
             "vendor requests", "transitions", "invocations", "US dollars"),
            [_row(vendor, way, by_way) for vendor, by_way in pace["vendors"].items() for way in WAYS if way in by_way],
        )  # fmt: skip
    return lines


def _described(pace: Mapping[str, Any]) -> str:
    span = pace["spread"]
    seconds = [f"{pace[what] * (1 - span):g} to {pace[what] * (1 + span):g}" if span else f"{pace[what]:g}"
               for what in ("seconds", "assessment")]  # fmt: skip
    if "ombudsman" not in pace["vendors"]:
        return f"A document takes {seconds[0]} s. Here the price counts, which grows with the time."
    return f"A document takes {seconds[0]} s, the Ombudsman's assessment {seconds[1]} s, evenly distributed."


def _row(vendor: str, way: str, by_way: Mapping[str, Any]) -> list[str]:
    own, guide = by_way[way], by_way.get(GUIDE)
    counts = own.get("counts", {})
    return [
        f"{TITLES[vendor]}: {way}",
        f"{own['cases']}",
        with_range(own["over"]),
        f"{own['over'][0] / guide['over'][0]:.2f}" if guide else "—",
        with_range(own["delay"]),
        f"{own['requests']:.1f}",
        f"{counts['transitions']:g}" if counts else "—",
        f"{counts['invocations']:.1f}" if counts else "—",
        f"{own['dollars']:.6f}" if counts else "—",
    ]


def _targets(found: Mapping[str, Any]) -> list[str]:
    """Return the targets with their figures."""
    over, delay, dearest, ratio = 0.0, 0.0, 0.0, 0.0
    for name, pace in found.items():
        for by_way in pace["vendors"].values():
            if WEBHOOKS in by_way and name != COLD:
                over = max(over, by_way[WEBHOOKS]["over"][0])
                delay = max(delay, by_way[WEBHOOKS]["delay"][0])
    for by_way in found.get("three minutes", {"vendors": {}})["vendors"].values():
        dearest = max(dearest, by_way[WEBHOOKS]["dollars"])
        ratio = max(ratio, by_way[WEBHOOKS]["dollars"] / by_way[TEXTBOOK]["dollars"])
    return table(
        ("target", "figure", "reached"),
        [
            [
                "With webhooks at most 0.5 s over the vendor's own time (largest median after the first case)",
                f"{over:.2f} s",
                reached(over <= 0.5),
            ],
            [
                "With webhooks a detection delay of at most 0.5 s (largest median after the first case)",
                f"{delay:.2f} s",
                reached(delay <= 0.5),
            ],
            [
                "At three minutes, with webhooks, at most 1/3 of the textbook poller's price",
                f"{ratio:.2f}",
                reached(ratio <= 1 / 3),
            ],
            ["At three minutes, with webhooks, at most $0.0004", f"${dearest:.6f}", reached(dearest <= 0.0004)],
        ],
    )
