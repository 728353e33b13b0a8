"""The composition root: environment → AWS clients → stores → what the steps need. Created once per function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import Any

import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider

from dossier import connections, network, vendors
from dossier.environment import Environment
from dossier.steps.poll import Poller
from dossier.steps.reconcile import Findings, reconcile
from dossier.steps.wake import Waker
from dossier.steps.work import Count, Desk, uncounted
from dossier.stores import s3
from dossier.stores.batches import MACHINE, Batches, BatchRuns
from dossier.stores.cases import Cases
from dossier.stores.events import Events
from dossier.stores.evidence import EvidenceStore
from dossier.stores.executions import Executions
from dossier.stores.expiry import Expiry
from dossier.stores.intents import Intents
from dossier.stores.limiter import Limiter
from dossier.stores.lookups import Lookup
from dossier.stores.objects import Objects
from dossier.stores.queues import Queues
from dossier.stores.refreshes import Refreshes
from dossier.stores.rounds import Rounds
from dossier.stores.secrets import Secrets
from dossier.stores.table import Table
from dossier.stores.verdicts import Verdicts
from dossier.stores.waits import Waits
from dossier.transport import Transport

PATIENCE = 1.0
"""Seconds that a request waits inside the function for its connection's turn. Waiting costs money and occupies the
account's concurrency, so after that ``ThrottledError`` is raised."""


class App:
    """The collaborators of functions and CLI; each is created on its first use."""

    def __init__(
        self, environment: Environment, session: boto3.Session | None = None, *, count: Count = uncounted
    ) -> None:
        self.environment = environment
        self._count = count
        self._session = session or boto3.Session()

    def _client(self, service: str) -> Any:
        return self._session.client(service)  # type: ignore[call-overload]

    @cached_property
    def _s3(self) -> Any:
        return s3.client(self._session)

    @cached_property
    def table(self) -> Table:
        """The table."""
        return Table(self._session.resource("dynamodb").Table(self.environment.table))

    @cached_property
    def cases(self) -> Cases:
        """The cases."""
        return Cases(self.table)

    @cached_property
    def objects(self) -> Objects:
        """The artifact bucket."""
        return Objects(self._s3, self.environment.bucket)

    @cached_property
    def evidence(self) -> EvidenceStore:
        """Webhook deliveries in the artifact bucket."""
        return EvidenceStore(self._s3, self.environment.bucket)

    @cached_property
    def intents(self) -> Intents:
        """Intents and vendor ids."""
        return Intents(self.table)

    @cached_property
    def limiter(self) -> Limiter:
        """Rate limits and pauses."""
        return Limiter(self.table)

    @cached_property
    def waits(self) -> Waits:
        """The waits."""
        return Waits(self.table, self.queues)

    @cached_property
    def verdicts(self) -> Verdicts:
        """Verdicts about deliveries."""
        return Verdicts(self.table)

    @cached_property
    def refreshes(self) -> Refreshes:
        """Refreshes of ended cases."""
        return Refreshes(self.table)

    @cached_property
    def queues(self) -> Queues:
        """The queues of work."""
        return Queues(self._client("sqs"), self.environment.wake_queue_url)

    @cached_property
    def rounds(self) -> Rounds:
        """The progress of the scheduled check."""
        return Rounds(self.table)

    @cached_property
    def executions(self) -> Executions:
        """The state machine."""
        return Executions(self._client("stepfunctions"), self.environment.state_machine_arn)

    @cached_property
    def batches(self) -> Batches:
        """The batches in S3."""
        return Batches(self.objects)

    @cached_property
    def batch_runs(self) -> BatchRuns:
        """The state machine that runs batches."""
        return BatchRuns(self._client("stepfunctions"), f"{self.environment.state_machine_arn}-{MACHINE}")

    @cached_property
    def events(self) -> Events:
        """The event bus."""
        return Events(self._client("events"), self.environment.event_bus)

    @cached_property
    def secrets(self) -> Secrets:
        """The connections' secrets."""
        provider = SecretsProvider(boto3_client=self._client("secretsmanager"))
        return Secrets(provider, self.environment.prefix)

    @cached_property
    def transport(self) -> Transport:
        """HTTP to vendors and storage."""
        client = network.client()
        return Transport(client, keys=self.secrets, turns=self.limiter, open_file=self.objects.open, patience=PATIENCE)

    @cached_property
    def desk(self) -> Desk:
        """What the steps work with."""
        return Desk(
            cases=self.cases,
            objects=self.objects,
            intents=self.intents,
            transport=self.transport,
            limiter=self.limiter,
            refreshes=self.refreshes,
            lookup_of=partial(Lookup, self.table),
            connection_of=connections.load_runtime,
            vendor_of=vendors.vendor,
            count=self._count,
        )

    def waker(self) -> Waker:
        """Return the server of the wake queue."""
        return Waker(
            desk=self.desk,
            waits=self.waits,
            executions=self.executions,
            evidence=self.evidence,
            queues=self.queues,
            verdicts=self.verdicts,
        )

    def reconciler(self, time_left: Callable[[], float]) -> Callable[[Iterable[str]], Findings]:
        """Return the scheduled check; ``time_left`` returns the seconds that it has."""
        return partial(
            reconcile,
            desk=self.desk,
            waits=self.waits,
            executions=self.executions,
            queues=self.queues,
            events=self.events,
            rounds=self.rounds,
            expiry=Expiry(self.table),
            keep=timedelta(days=self.environment.records_days),
            time_left=time_left,
        )

    def poller(self) -> Poller:
        """Return a poller for one invocation."""
        return Poller(desk=self.desk, waits=self.waits, executions=self.executions)


@cache
def app() -> App:
    """Return the function's app, created from its environment on first use."""
    from dossier import observe  # noqa: PLC0415 -- only for functions: the CLI writes no metrics

    return App(Environment.from_os(), count=observe.count)
