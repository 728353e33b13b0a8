"""The context that every step receives, and from it a case with its connection and its vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dossier import connections, vendors
from dossier.calls import Call, unheard
from dossier.drift import documented_for, drift_of
from dossier.environment import Environment
from dossier.errors import ConfigurationError, InvalidCaseError, RetryableError, ThrottledError
from dossier.http import Flow, Reply
from dossier.layout import PASSING, vendor_key
from dossier.models import CaseId, now
from dossier.ports import CaseView, Vendor
from dossier.senders import Send, hiding, keeping, noting
from dossier.settings import Connection
from dossier.stores.cases import Case, Cases
from dossier.stores.clients import Clients
from dossier.stores.executions import Executions
from dossier.stores.intents import SEEN_IS_NEW, Intents
from dossier.stores.limiter import Limiter
from dossier.stores.lookups import Lookup
from dossier.stores.objects import Objects
from dossier.stores.queues import Queues
from dossier.stores.refreshes import Refreshes
from dossier.stores.table import Table
from dossier.stores.timings import Timings
from dossier.stores.waits import Waits
from dossier.troubles import trouble_of

if TYPE_CHECKING:
    from dossier.stores.batches import Batches, BatchRuns
    from dossier.stores.dead_letters import DeadLetters
    from dossier.stores.events import Events
    from dossier.stores.evidence import EvidenceStore
    from dossier.stores.expiry import Expiry
    from dossier.stores.forgotten import Forgotten
    from dossier.stores.rounds import Rounds
    from dossier.stores.secrets import Secrets
    from dossier.stores.verdicts import Verdicts
    from dossier.stores.versions import Versions
    from dossier.transport import Transport

_T = TypeVar("_T")
LONGEST_PAUSE = 30
"""Most seconds until the state machine retries a step that failed (``infra/case_machine.py``)."""
PATIENCE = 1.0
"""Seconds that a request waits inside the function for its connection's turn. Waiting costs money and occupies the
account's concurrency, so after that ``ThrottledError`` is raised."""
SLOT_PATIENCE = 0.5
"""Seconds that a step waits for a free slot before it fails and is retried."""
SOON = f"Next attempt within {LONGEST_PAUSE} s"
RUNS = timedelta(minutes=15)
"""Longest time that a function runs (``infra/functions.py``)."""
OVER = " is over"
"""Suffix of the name of a collection that is not published."""


class Count(Protocol):
    """Counts metrics (``observe.count``)."""

    def __call__(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Add ``value`` to the metric ``name``."""


def uncounted(name: str, value: int = 1, **dimensions: str) -> None:
    """Count nothing, if no metrics are collected."""


class Context:
    """The collaborators of the steps: stores, transport, settings. Each is created on first use.

    Modules that few functions use are imported then, too: a cold start pays for each module, most of all for httpx.
    """

    def __init__(
        self,
        environment: Environment,
        clients: Clients,
        *,
        count: Count = uncounted,
        hear: Callable[[Call], None] = unheard,
    ) -> None:
        self.environment = environment
        self.connection_of: Callable[[str], Connection] = connections.load_runtime
        """Returns a connection by its name."""
        self.vendor_of: Callable[[Connection], Vendor] = vendors.vendor
        """Returns the adapter of a connection."""
        self.rivalry = timedelta(seconds=120)
        """How long an inconclusive look-up waits for other requests in flight to settle."""
        self.retention = timedelta(days=environment.records_days)
        """How long the records of an ended case are kept; zero means forever."""
        self.count = count
        """Counts metrics."""
        self.hear = hear
        """Receives each request to a vendor, for the log."""
        self._clients = clients

    def replacing(self, **parts: Any) -> Context:
        """Return a context with other parts; it shares the others, as far as they are made.

        Raises:
            TypeError: the context has no such part.

        """
        other = copy(self)
        for name, part in parts.items():
            if name not in vars(self) and not hasattr(type(self), name):
                raise TypeError(f"the context has no {name}")
            vars(other)[name] = part
        return other

    @cached_property
    def _s3(self) -> Any:
        return self._clients.s3()

    @cached_property
    def table(self) -> Table:
        """The table."""
        return Table(self._clients.table(self.environment.table))

    @cached_property
    def cases(self) -> Cases:
        """The cases."""
        return Cases(self.table)

    @cached_property
    def objects(self) -> Objects:
        """The artifact bucket."""
        return Objects(self._s3, self.environment.bucket)

    @cached_property
    def versions(self) -> Versions:
        """The versions of the artifact bucket's objects."""
        from dossier.stores.versions import Versions

        return Versions(self._s3, self.environment.bucket)

    @cached_property
    def evidence(self) -> EvidenceStore:
        """Webhook deliveries in the artifact bucket."""
        from dossier.stores.evidence import EvidenceStore

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
    def lookups(self) -> Callable[[CaseId, str], Lookup]:
        """What look-ups have read, by the case and the name of the look-up."""
        return partial(Lookup, self.table)

    @cached_property
    def waits(self) -> Waits:
        """The waits."""
        return Waits(self.table, self.queues)

    @cached_property
    def timings(self) -> Timings:
        """How long the vendors took before."""
        return Timings(self.table)

    @cached_property
    def verdicts(self) -> Verdicts:
        """Verdicts about deliveries."""
        from dossier.stores.verdicts import Verdicts

        return Verdicts(self.table)

    @cached_property
    def refreshes(self) -> Refreshes:
        """Refreshes of ended cases."""
        return Refreshes(self.table)

    @cached_property
    def queues(self) -> Queues:
        """The queues of work."""
        return Queues(self._clients.client("sqs"), self.environment.wake_queue_url)

    @cached_property
    def rounds(self) -> Rounds:
        """The progress of the scheduled check."""
        from dossier.stores.rounds import Rounds

        return Rounds(self.table)

    @cached_property
    def expiry(self) -> Expiry:
        """The removal of records past their retention."""
        from dossier.stores.expiry import Expiry

        return Expiry(self.table)

    @cached_property
    def forgotten(self) -> Forgotten:
        """Erased cases, and the chain of their certificates."""
        from dossier.stores.forgotten import Forgotten

        return Forgotten(self.table)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The queues of dead letters."""
        from dossier.stores.dead_letters import DeadLetters

        return DeadLetters(self._clients.client("sqs"), self.environment.wake_queue_url)

    @cached_property
    def executions(self) -> Executions:
        """The state machine."""
        return Executions(self._clients.client("stepfunctions"), self.environment.state_machine_arn)

    @cached_property
    def batches(self) -> Batches:
        """The batches in S3."""
        from dossier.stores.batches import Batches

        return Batches(self.objects)

    @cached_property
    def batch_runs(self) -> BatchRuns:
        """The state machine that runs batches."""
        from dossier.stores.batches import MACHINE, BatchRuns

        return BatchRuns(self._clients.client("stepfunctions"), f"{self.environment.state_machine_arn}-{MACHINE}")

    @cached_property
    def events(self) -> Events:
        """The event bus."""
        from dossier.stores.events import Events

        return Events(self._clients.client("events"), self.environment.event_bus)

    @cached_property
    def secrets(self) -> Secrets:
        """The connections' secrets."""
        from aws_lambda_powertools.utilities.parameters import SecretsProvider

        from dossier.stores.secrets import Secrets

        provider = SecretsProvider(boto3_client=self._clients.client("secretsmanager"))
        return Secrets(provider, self.environment.prefix)

    @cached_property
    def transport(self) -> Transport:
        """HTTP to vendors and storage."""
        from dossier import network
        from dossier.transport import Transport

        return Transport(
            network.client(),
            keys=self.secrets,
            turns=self.limiter,
            open_file=self.objects.open,
            patience=PATIENCE,
            hear=self.hear,
        )

    def load(self, case: CaseId, collection: str = "") -> LoadedCase:
        """Return a case with its connection and vendor; ``collection`` as in :class:`LoadedCase`.

        Raises:
            InvalidCaseError: there is no such case.
            ConfigurationError: its connection was removed.

        """
        return self._loaded(self.cases.get(case), collection)

    def load_artifact(self, case: CaseId, index: int, collection: str = "") -> LoadedCase:
        """Return a case with only its record and one artifact of a collection.

        Each of ten thousand downloads costs the same this way; reading the whole case each time would be millions of
        reads.

        Raises:
            InvalidCaseError: there is no such case.
            ConfigurationError: its connection was removed.

        """
        record = self.cases.record(case)
        artifact = self.cases.artifact(case, index, collection=collection)
        found = (artifact,) if artifact else ()
        stored = Case(record=record, staged=found) if collection else Case(record=record, artifacts=found)
        return self._loaded(stored, collection)

    def _loaded(self, case: Case, collection: str) -> LoadedCase:
        name = case.record.connection
        try:
            settings = self.connection_of(name)
        except InvalidCaseError as error:  # the connection was removed while its case ran
            raise ConfigurationError(
                f'connection "{name}" is no longer in the settings: deploy it again, then run `dossier redrive`'
            ) from error
        return LoadedCase(self, case, settings, self.vendor_of(settings), collection)


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case with its connection, its vendor and the collection that a step works on."""

    context: Context
    case: Case
    connection: Connection
    vendor: Vendor
    collection: str = ""
    """The collection (empty: the first); a later one is stored separately until it is published."""

    @property
    def low(self) -> bool:
        """Whether the connection's other cases go first."""
        return self.case.record.priority == "low"

    @property
    def label(self) -> str:
        """What names the collection in the table, where the first one of each attempt has a name as well."""
        return self.collection or f"first-{self.case.record.attempt}"

    @property
    def current(self) -> bool:
        """Whether no other collection has begun since: what is listed of the case is this one's."""
        return self.case.collection.id in {self.label, ""}

    @property
    def view(self) -> CaseView:
        """The case as the vendor adapter sees it."""
        record = self.case.record
        return CaseView(
            connection=self.connection,
            reference=record.reference,
            options=record.options,
            case_id=record.case_id,
            documents=self.case.documents,
            submitted_at=record.submitted_at,
            appends=record.appends_to is not None and bool(self.case.documents),
            before=None if record.known_files is None else frozenset(record.known_files),
            sent_at=record.sent_at,
            completed=record.status.completed and not record.late,
            finished=not self.collection and not record.late,
            alone=record.appends_to is None and record.alone_at is not None and now() - record.alone_at < SEEN_IS_NEW,
            said=self.case.said,
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Show a step's retryable error in ``dossier status`` until the step succeeds.

        The same trouble is stored once, however often the step is retried.
        """
        record = self.case.record
        case, before = record.id, record.trouble
        try:
            yield
        except RetryableError as error:
            found = trouble_of(error, vendor=type(self.vendor).__name__, at=now(), before=before)
            if found is not None and not isinstance(error, ThrottledError):  # its text has a time already
                found = found.model_copy(update={"text": f"{found.text}. {SOON}"})
            if found is not None and (before is None or found.kind != before.kind):
                self.context.cases.change(case, trouble=found.model_dump())
            raise
        if before is not None:
            self.context.cases.change(case, trouble=None)

    def run(
        self,
        flow: Flow[_T],
        *,
        hide: Sequence[str] = (),
        note: Callable[[Reply], object] | None = None,
        lookup: Lookup | None = None,
        since: datetime | None = None,
    ) -> _T:
        """Drive a flow; store the raw answers that it names in the case's ``vendor/`` folder.

        Args:
            flow: the flow of a vendor adapter's method.
            hide: strings to redact from the vendor's responses.
            note: gets each reply before the flow reads it.
            lookup: remembers the answers of a flow that only reads.
            since: answers that other cases' look-ups read at or after this time may be used.

        """

        def around(send: Send) -> Send:
            send = keeping(hiding(send, hide), self.keep)
            if lookup is not None:
                send = lookup.remembering(send, since=None if since is None else since.timestamp())
            return noting(send, note) if note is not None else send

        transport = self.context.transport.behind() if self.low else self.context.transport
        return transport.run(flow, vendor=self.vendor, around=around)

    def look_up(
        self,
        what: str,
        flow: Flow[_T],
        *,
        since: datetime | None = None,
        note: Callable[[Reply], object] | None = None,
    ) -> _T:
        """Drive a flow that only reads, as ``run`` does; if it is interrupted, the next try continues from there.

        ``what`` names the look-up within the case; see ``run`` for the other arguments.
        """
        lookup = self.context.lookups(self.case.record.id, what)
        try:
            answer = self.run(flow, lookup=lookup, since=since, note=note)
        except Exception:
            lookup.interrupt()
            raise
        lookup.forget()
        return answer

    def lease(self, what: str) -> AbstractContextManager[None]:
        """Hold one of the connection's slots for a transfer of this case."""
        holder = f"{self.case.record.reference}#{what}"
        limiter = self.context.limiter.behind() if self.low else self.context.limiter
        return limiter.lease(self.connection, holder, patience=SLOT_PATIENCE)

    def keep(self, what: str, body: bytes) -> None:
        """Store a raw answer of the vendor, and count differences from its guide."""
        record, kind = self.case.record, None
        stored = body
        if not self.connection.keep_raw:
            once = what.startswith(self.vendor.once) if self.vendor.once else False
            stored, kind = (self.vendor.facts(what, body), None) if once else (body, PASSING)
        self.context.objects.write(vendor_key(record.id, what, self.collection), stored, kind=kind)
        drift = drift_of(body, documented_for(what, self.vendor.documented))
        for kind, fields in (("new", drift.new), ("missing", drift.missing)):
            if fields:
                self.context.count("AnswerDrift", connection=record.connection, kind=kind)
