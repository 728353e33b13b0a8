"""What the steps share: the case's view, and driving a vendor's flow while its raw answers are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from dossier.drift import documented_for, drift_of
from dossier.errors import ConfigurationError, InvalidCaseError, RetryableError, ThrottledError
from dossier.http import Flow, Reply
from dossier.layout import vendor_key
from dossier.models import CaseStatus, moment, now
from dossier.ports import CaseView, Vendor
from dossier.senders import Send, hiding, keeping, noting
from dossier.settings import Connection
from dossier.stores.cases import Case, Cases
from dossier.stores.intents import Intents
from dossier.stores.limiter import Limiter
from dossier.stores.lookups import Lookup
from dossier.stores.objects import Objects
from dossier.stores.refreshes import Refreshes
from dossier.transport import Transport
from dossier.troubles import trouble_of

_T = TypeVar("_T")
LONGEST_PAUSE = 30
"""Most seconds until the state machine retries a step that failed (``infra/state_machine.py``)."""
SOON = f"Next attempt within {LONGEST_PAUSE} s"
OVER = " is over"
"""After the name of a collection of which nothing is published."""
_COMPLETED = {CaseStatus.COMPLETED, CaseStatus.COMPLETED_WITH_FAILURES}


class Count(Protocol):
    """Counts metrics (``observe.count``)."""

    def __call__(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Add ``value`` to the metric ``name``."""


def uncounted(name: str, value: int = 1, **dimensions: str) -> None:
    """Count nothing, if no metrics are collected."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a step needs to work on cases; ``bootstrap`` creates it."""

    cases: Cases
    objects: Objects
    intents: Intents
    transport: Transport
    limiter: Limiter
    refreshes: Refreshes
    lookup_of: Callable[[str, str, str], Lookup]
    connection_of: Callable[[str], Connection]
    vendor_of: Callable[[Connection], Vendor]
    patience: float = 0.5
    """Seconds that a step waits for a free slot before it fails and is retried."""
    rivalry: timedelta = timedelta(seconds=120)
    """How long an inconclusive look-up waits for other requests in flight to settle."""
    count: Count = uncounted

    def load(self, connection: str, reference: str, collection: str = "") -> Job:
        """Return a case with its connection and vendor; ``collection`` as in :class:`Job`.

        Raises:
            InvalidCaseError: there is no such case.
            ConfigurationError: its connection was removed.

        """
        return self._job(self.cases.get(connection, reference), collection)

    def load_artifact(self, connection: str, reference: str, index: int, collection: str = "") -> Job:
        """Return a case with only its record and one artifact of a collection.

        Each of ten thousand downloads costs the same this way; reading the whole case each time would be millions of
        reads.

        Raises:
            InvalidCaseError: there is no such case.
            ConfigurationError: its connection was removed.

        """
        record = self.cases.record(connection, reference)
        artifact = self.cases.artifact(connection, reference, index, collection=collection)
        found = (artifact,) if artifact else ()
        case = Case(record=record, staged=found) if collection else Case(record=record, artifacts=found)
        return self._job(case, collection)

    def _job(self, case: Case, collection: str) -> Job:
        name = case.record.connection
        try:
            settings = self.connection_of(name)
        except InvalidCaseError as error:  # the connection was removed while its case ran
            raise ConfigurationError(
                f'connection "{name}" is no longer in the settings: deploy it again, then run `dossier redrive`'
            ) from error
        return Job(self, case, settings, self.vendor_of(settings), collection)


@dataclass(frozen=True, slots=True)
class Job:
    """A case with its connection, its vendor and the collection that a step works on."""

    desk: Desk
    case: Case
    connection: Connection
    vendor: Vendor
    collection: str = ""
    """The collection (empty: the first); a later one is stored separately until it is published."""

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
            submitted_at=moment(record.submitted_at),
            appends=record.appends_to is not None and bool(self.case.documents),
            before=None if record.known_files is None else frozenset(record.known_files),
            sent_at=record.sent_at,
            completed=record.status in _COMPLETED and not record.late,
            finished=not self.collection and not record.late,
            said=self.case.said,
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Show a step's retryable error in ``dossier status`` until the step succeeds.

        The same trouble is stored once, however often the step is retried.
        """
        record = self.case.record
        names, before = (record.connection, record.reference), record.trouble
        try:
            yield
        except RetryableError as error:
            found = trouble_of(error, vendor=type(self.vendor).__name__, at=now(), before=before)
            if found is not None and not isinstance(error, ThrottledError):  # its text has a time already
                found = found.model_copy(update={"text": f"{found.text}. {SOON}"})
            if found is not None and (before is None or found.kind != before.kind):
                self.desk.cases.change(*names, trouble=found.model_dump())
            raise
        if before is not None:
            self.desk.cases.change(*names, trouble=None)

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

        return self.desk.transport.run(flow, vendor=self.vendor, around=around)

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
        lookup = self.desk.lookup_of(self.case.record.connection, self.case.record.reference, what)
        answer = self.run(flow, lookup=lookup, since=since, note=note)
        lookup.forget()
        return answer

    def lease(self, what: str) -> AbstractContextManager[None]:
        """Hold one of the connection's slots for a transfer of this case."""
        holder = f"{self.case.record.reference}#{what}"
        return self.desk.limiter.lease(self.connection, holder, patience=self.desk.patience)

    def keep(self, what: str, body: bytes) -> None:
        """Store a raw answer of the vendor, and count differences from its guide."""
        record = self.case.record
        self.desk.objects.write(vendor_key(record.connection, record.reference, what, self.collection), body)
        drift = drift_of(body, documented_for(what, self.vendor.documented))
        for kind, fields in (("new", drift.new), ("missing", drift.missing)):
            if fields:
                self.desk.count("AnswerDrift", connection=record.connection, kind=kind)
