"""One simulated deployment: Dossier as it is synthesized, over the models of AWS and the sandbox's vendors."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx

from checks.places import PLACES, Filled
from checks.synthesis import COUNTS, definition, fingerprint, stack_name, templates
from dossier import connections, network
from dossier.environment import Environment
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.stores.clients import Clients
from local.sandbox.accounts import load as load_accounts
from tests.simulation import handlers
from tests.simulation.clock import CLOCK
from tests.simulation.faults import Faults
from tests.simulation.handlers import ROOT
from tests.simulation.models import dynamodb, functions, iam, others, s3, sqs, stepfunctions
from tests.simulation.models.wire import Wire
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace
from tests.simulation.vendors import Gateway, Network, Vendors

BUCKET, TABLE, STAGE = "artifacts", "cases", "dossier-dev"
LAYER = "dossier_settings"
SCHEDULES = {"sweep": 60.0, "reconcile": 300.0, "compare": 3600.0}
"""The scheduled functions, and how many seconds are between two runs."""
ACCOUNT_AT_ONCE = 1000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_async_client = httpx.AsyncClient


@cache
def deployed() -> tuple[Mapping[str, Any], Filled]:
    """Return the synthesized state machine, and the template that has it."""
    if not (ROOT / "build" / "checks" / fingerprint()).is_dir():  # in a process that has the machine's own clock
        command = [sys.executable, "-c", "from checks.synthesis import templates; templates()"]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared" / "python")])
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, check=True)
    template = templates()[COUNTS[1]]
    return definition(templates()[COUNTS[0]]), Filled(template, stack_name(COUNTS[1]), PLACES[0])


@cache
def deployed_functions() -> dict[str, Mapping[str, Any]]:
    """Return the properties of the deployed functions, by verb."""
    found = deployed()[1].of_type("AWS::Lambda::Function").values()
    return {str(each["FunctionName"]).removeprefix(f"{STAGE}-"): each for each in found if "FunctionName" in each}


@cache
def deployed_roles() -> dict[str, Mapping[str, Any]]:
    """Return the properties of the deployed roles, by ARN."""
    filled = deployed()[1]
    return {filled.arn_of(name): each for name, each in filled.of_type("AWS::IAM::Role").items()}


@cache
def _queues() -> dict[str, tuple[float, int, str, int, int]]:
    """Return for each queue of work (polls as ``poll``) its visibility, tries, function, batch and how many at once."""
    filled, found = deployed()[1], {}
    mappings = {
        str(each["EventSourceArn"]).rpartition(":")[2]: each
        for each in filled.of_type("AWS::Lambda::EventSourceMapping").values()
    }
    for each in filled.of_type("AWS::SQS::Queue").values():
        name = str(each["QueueName"])
        if name not in mappings:
            continue
        mapping, kind = mappings[name], name.removeprefix(f"{STAGE}-").partition("-")[0]
        tries = int(each["RedrivePolicy"]["maxReceiveCount"])
        at_once = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        found[kind] = (float(each["VisibilityTimeout"]), tries, kind, int(mapping["BatchSize"]), at_once)
    return found


class World:
    """Everything of one history."""

    def __init__(
        self,
        faults: Faults,
        trace: Trace,
        settings: Mapping[str, Connection],
        *,
        at_once: int = ACCOUNT_AT_ONCE,
        sandbox: Mapping[str, Any] | None = None,
    ) -> None:
        self.faults, self.trace, self.settings = faults, trace, dict(settings)
        self.scheduler = Scheduler()
        faults.who = lambda: self.scheduler.current
        self.wire = Wire(self.scheduler, faults, trace)
        self.wire.allows = iam.Grants(deployed_functions(), deployed_roles(), settings).allow
        self.lambda_ = functions.Lambda(self.scheduler, faults, trace, at_once=at_once)
        self.machine = stepfunctions.StateMachine(deployed()[0], self.scheduler, self.lambda_, faults, trace)
        self.machine.ended = self._ended
        self.lambda_.ended = lambda task, well: None if well else self.machine.spoiled.add(task)
        self.dynamo = dynamodb.Dynamo(self._lag)
        self.bucket = s3.Bucket(BUCKET, self._changed)
        self.events = others.Events(self.wire, trace)
        self.secrets = others.Secrets(self.wire)
        self.metrics: Counter[str] = Counter()
        self.queues: dict[str, sqs.Queue] = {}
        self.pollers: dict[str, sqs.Poller] = {}
        self._make_queues()
        clients = {
            "s3": s3.S3(self.bucket, self.wire),
            "sqs": sqs.SQS(self.queues, self.wire, trace),
            "stepfunctions": stepfunctions.Client(self.machine, self.wire),
            "events": self.events,
            "secretsmanager": self.secrets,
        }
        self.session = others.Session(clients, lambda _: dynamodb.Table(self.dynamo, self.wire))
        self.vendors = Vendors(self.scheduler, faults, trace)
        self.network = Network(self.vendors)
        self.gateway = Gateway(self.vendors, self.lambda_)
        self._install()
        self._make_functions()
        self._make_accounts(sandbox or {})
        for number, (verb, seconds) in enumerate(SCHEDULES.items()):
            self._schedule(verb, seconds, 7.0 + 3 * number)
        self.vendors.start()

    # Making it

    def _make_queues(self) -> None:
        for name in ("wake", "drop", *(f"poll-{each}" for each in self.settings)):
            visibility, tries, verb, batch, at_once = _queues()[name.partition("-")[0]]
            if name.startswith("poll-"):
                at_once = self.settings[name.removeprefix("poll-")].limits.polls_at_once
            full = f"{STAGE}-{name}"
            queue = sqs.Queue(full, self.scheduler, self.faults, visibility=visibility, tries=tries)
            queue.dead = self.queues[f"{full}-dlq"] = sqs.Queue(f"{full}-dlq", self.scheduler, self.faults)
            self.queues[full] = queue
            self.pollers[name] = sqs.Poller(
                queue, verb, self.lambda_.invoke, self.scheduler, self.faults, batch=batch, at_once=at_once
            )

    def _install(self) -> None:
        """Make boto3, httpx and the settings layer lead to this world."""
        boto3.Session = lambda *_, **__: self.session  # type: ignore[assignment,misc]
        boto3.client = lambda service, **_: self.session.client(service)  # type: ignore[assignment]
        client = httpx.Client(transport=self.network, trust_env=False)
        network.client = lambda: client
        httpx.AsyncClient = lambda **_: _async_client(transport=self.gateway)  # type: ignore[assignment,misc]
        os.environ.update(
            DOSSIER_STAGE="dev",
            DOSSIER_PREFIX="dossier",
            DOSSIER_TABLE=TABLE,
            DOSSIER_BUCKET=BUCKET,
            DOSSIER_EVENT_BUS="dossier",
            DOSSIER_WAKE_QUEUE_URL=self.queues[f"{STAGE}-wake"].url,
            DOSSIER_STATE_MACHINE_ARN=self.machine.arn,
            DOSSIER_RECORDS_DAYS="0",
            POWERTOOLS_METRICS_NAMESPACE="Dossier",
            POWERTOOLS_SERVICE_NAME="dossier",
            POWERTOOLS_TRACE_DISABLED="true",
        )
        (_layer() / LAYER / connections.LAYER_FILE).write_text(connections.dump(self.settings), encoding="utf-8")
        self.connections_file.write_text(toml(self.settings), encoding="utf-8")
        importlib.invalidate_caches()
        for each in vars(connections).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()
        logging.disable(logging.CRITICAL)

    @property
    def connections_file(self) -> Path:
        """The deployed connections file, as the operator has it."""
        return _layer() / "connections.toml"

    def _make_functions(self) -> None:
        for verb, each in deployed_functions().items():
            retry = 1 if verb in SCHEDULES else functions.ASYNC_TRIES
            self.lambda_.functions[verb] = functions.Function(
                verb, float(each["Timeout"]), self._loader(verb), async_tries=retry
            )

    def _loader(self, verb: str) -> Callable[[], functions.Handler]:
        def load() -> functions.Handler:
            context = self.app()
            return handlers.load(verb, context=lambda: context, count=self._count)

        return load

    def app(self) -> Context:
        """Return the context of one execution environment, or of an operator."""
        return Context(Environment.from_os(), Clients(self.session), count=self._count)  # type: ignore[arg-type]

    def _count(self, name: str, value: int = 1, **_: str) -> None:
        self.metrics[name] += value

    def _make_accounts(self, sandbox: Mapping[str, Any]) -> None:
        known = load_accounts()
        for name, connection in self.settings.items():
            account = getattr(known, connection.vendor)
            secret = {"api_key": account.api_key, "webhook_secrets": [account.webhook_secret]}
            self.secrets.values[f"dossier/{name}"] = secret
            if connection.webhook is not None:
                self.vendors.context.webhooks.register(connection.vendor, f"http://api.local/webhooks/{name}")
        self.vendors.set(**{"pause_grace": 0.0, **sandbox})  # the invariants judge calls in a pause

    # What AWS does by itself

    def _lag(self) -> float:
        return self.faults.between("index_lags", 0.1, 3.0) if self.faults.strikes("index_lags") else 0.0

    def _schedule(self, verb: str, seconds: float, first: float) -> None:
        def run() -> None:
            self.lambda_.send(verb, {}, source="schedule")
            self.scheduler.later(seconds, run)

        self.scheduler.later(first, run)

    def _changed(self, key: str, what: str, version: s3.Version) -> None:
        """Notify the drop queue of created and removed objects of the inbox, sometimes late or twice."""
        if not key.startswith("inbox/"):
            return
        about = {"key": key, "size": len(version.body or b""), "eTag": version.etag.strip('"'), "versionId": version.id}
        record = {
            "eventSource": "aws:s3",
            "eventName": what,
            "eventTime": CLOCK.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "s3": {"bucket": {"name": BUCKET}, "object": {**about, "sequencer": f"{int(version.id[1:]):016X}"}},
        }
        queue, text = self.queues[f"{STAGE}-drop"], json.dumps({"Records": [record]})
        late = self.faults.between("event_late", 1, 120) if self.faults.strikes("event_late", key) else 0.0
        self.scheduler.later(0.1 + late, lambda: queue.send(text))

    def _ended(self, execution: stepfunctions.Execution) -> None:
        """Send the event of an execution that did not succeed, if EventBridge does not lose it: it does its best."""
        if execution.status == "SUCCEEDED" or self.faults.strikes("event_lost", execution.name):
            return
        detail = {
            "executionArn": execution.arn,
            "stateMachineArn": self.machine.arn,
            "name": execution.name,
            "status": execution.status,
            "input": json.dumps(execution.given),
            "error": execution.error,
            "cause": execution.cause,
        }
        is_late = self.faults.strikes("event_late", execution.name)
        late = self.faults.between("event_late", 1, 120) if is_late else 0.0
        self.scheduler.later(0.5 + late, lambda: self.lambda_.send("fail", {"detail": detail}, source="eventbridge"))

    # Running it

    def run(self, until: float) -> None:
        """Let time pass until some time."""
        self.scheduler.run(until)

    def perform(
        self, name: str, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None] | None = None
    ) -> None:
        """Run code as a separate task, for example an operator's, which no fault of AWS kills."""
        self.scheduler.spawn(name, work, done or (lambda *_: None))

    def close(self) -> None:
        """End everything."""
        self.scheduler.end()
        self.vendors.close()

    def docsumo_case(self, made: str) -> Any:
        """Return a case at Docsumo, as its own server has it."""
        return self.vendors.docsumo._cases.get(made)

    def depths(self) -> dict[str, int]:
        """Return how many messages each queue has."""
        return {name.removeprefix(f"{STAGE}-"): each.depth for name, each in self.queues.items()}


def toml(settings: Mapping[str, Connection]) -> str:
    """Return connections as TOML."""

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            return "{ " + ", ".join(f"{json.dumps(name)} = {text(each)}" for name, each in value.items()) + " }"
        return json.dumps(value)

    lines = []
    for name, connection in settings.items():
        given = connection.model_dump(mode="json", by_alias=True, exclude_none=True)
        lines += [f"[{name}]", *(f"{key} = {text(each)}" for key, each in given.items() if key != "name")]
    return "\n".join(lines) + "\n"


@cache
def _layer() -> Path:
    """Return the folder of the settings layer, on the path."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    (folder / LAYER).mkdir()
    (folder / LAYER / "__init__.py").write_text("")
    sys.path.insert(0, str(folder))
    return folder
