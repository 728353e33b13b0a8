"""What the steps that talk to a vendor share: the case's view, and driving a flow with its raw answers kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar, cast

from dossier.drift import documented_for, drift_of
from dossier.errors import ConfigurationError, InvalidCaseError, RetryableError, ThrottledError
from dossier.http import Flow, Reply
from dossier.masks import masked, masked_text
from dossier.models import CaseStatus, moment, now
from dossier.ports import CaseView, Vendor
from dossier.settings import Connection
from dossier.stores.cases import Case, Cases
from dossier.stores.intents import Intents
from dossier.stores.limiter import Limiter
from dossier.stores.lookups import Lookup
from dossier.stores.objects import Objects, vendor_key
from dossier.stores.refreshes import Refreshes
from dossier.transport import Transport
from dossier.troubles import trouble_of

_T = TypeVar("_T")
LONGEST_PAUSE = 30
"""Seconds until a step that met trouble is tried again, at most (its retrier, ``infra/state_machine.py``)."""
SOON = f"Next attempt within {LONGEST_PAUSE} s"
OVER = " is over"
"""After the name of a collection of which nothing is published."""
_COMPLETED = {CaseStatus.COMPLETED, CaseStatus.COMPLETED_WITH_FAILURES}


class Count(Protocol):
    """Counts something (``observe.count``)."""

    def __call__(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Count ``value`` of what is called ``name``."""


def uncounted(name: str, value: int = 1, **dimensions: str) -> None:
    """Count nothing: where nobody collects metrics."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a step needs to work on cases; filled in ``bootstrap``."""

    cases: Cases
    objects: Objects
    intents: Intents
    transport: Transport
    limiter: Limiter
    refreshes: Refreshes
    lookup_of: Callable[[str, str, str], Lookup]
    connection_of: Callable[[str], Connection]
    vendor_of: Callable[[str], Vendor]
    patience: float = 0.5
    """How long, in seconds, a step waits inside the function for a free slot before it comes back another time."""
    rivalry: timedelta = timedelta(seconds=120)
    """How long a look-up that cannot tell waits for other requests in flight to be settled first."""
    count: Count = uncounted

    def load(self, connection: str, reference: str, collection: str = "") -> Job:
        """Return a case with its connection and vendor; ``collection`` as in :class:`Job`.

        Raises:
            InvalidCaseError: there is no such case.
            ConfigurationError: its connection was removed.

        """
        return self._job(self.cases.get(connection, reference), collection)

    def load_artifact(self, connection: str, reference: str, index: int, collection: str = "") -> Job:
        """Return a case with its record and one artifact of a collection, if it has that one, as all that was read.

        Each of ten thousand downloads costs the same by this; to read the whole case for each costs millions of reads.

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
        except InvalidCaseError as error:  # there is a case: the connection was removed while it ran
            raise ConfigurationError(
                f'connection "{name}" is in the settings no longer: deploy it again, then run `dossier redrive`'
            ) from error
        return Job(self, case, settings, self.vendor_of(settings.vendor), collection)


@dataclass(frozen=True, slots=True)
class Job:
    """A case at hand."""

    desk: Desk
    case: Case
    connection: Connection
    vendor: Vendor
    collection: str = ""
    """The collection that it is for (empty: the first); what a later one reads is kept apart until it is published."""

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
        """Have ``dossier status`` say what keeps a step from getting on, from its first error until it is done.

        The same trouble is written down once, however often the step is tried.
        """
        record = self.case.record
        names, before = (record.connection, record.reference), record.trouble
        try:
            yield
        except RetryableError as error:
            found = trouble_of(error, vendor=type(self.vendor).__name__, at=now(), before=before)
            if found is not None and not isinstance(error, ThrottledError):  # which names its time itself
                found = found.model_copy(update={"text": f"{found.text}. {SOON}"})
            if found is not None and (before is None or found.kind != before.kind):
                self.desk.cases.change(*names, trouble=found.model_dump())
            raise
        if before is not None:
            self.desk.cases.change(*names, trouble=None)

    def run(self, flow: Flow[_T], *, hide: Sequence[str] = ()) -> _T:
        """Drive a flow; the raw answers it wants kept go to the case's ``vendor/`` folder.

        Args:
            flow: what a vendor adapter's method returned.
            hide: what must be read, kept and told by nobody, should the vendor repeat it.

        """

        def keep(what: str, body: bytes) -> None:
            self.keep(what, masked(body, hide))

        return self.desk.transport.run(_without(flow, hide), vendor=self.vendor, connection=self.connection, keep=keep)

    def look_up(self, what: str, flow: Flow[_T], *, since: datetime | None = None) -> _T:
        """Drive a flow that only reads, as ``run`` does; if it is interrupted, the next try goes on from there.

        Args:
            what: names the look-up among those of the case.
            flow: what a vendor adapter's method returned.
            since: from when on what the look-ups of other cases have read may be used.

        """
        lookup = self.desk.lookup_of(self.case.record.connection, self.case.record.reference, what)
        return self.run(lookup.resume(flow, since=None if since is None else since.timestamp()))

    def lease(self, what: str) -> AbstractContextManager[None]:
        """Hold one of the connection's slots for a transfer of this case."""
        holder = f"{self.case.record.reference}#{what}"
        return self.desk.limiter.lease(self.connection, holder, patience=self.desk.patience)

    def keep(self, what: str, body: bytes) -> None:
        """Store a raw answer of the vendor; one that differs from its guide is counted, and changes nothing else."""
        record = self.case.record
        self.desk.objects.write(vendor_key(record.connection, record.reference, what, self.collection), body)
        drift = drift_of(body, documented_for(what, self.vendor.documented))
        for kind, fields in (("new", drift.new), ("missing", drift.missing)):
            if fields:
                self.desk.count("AnswerDrift", connection=record.connection, kind=kind)


def _without(flow: Flow[_T], hide: Sequence[str]) -> Flow[_T]:
    """Drive a flow whose replies have lost what is to be hidden."""
    try:
        request = next(flow)
        while True:
            reply = yield request
            shown = {name: masked_text(value, hide) for name, value in reply.headers.items()}
            request = flow.send(Reply(reply.status, masked(reply.body, hide), shown))
    except StopIteration as stop:
        return cast("_T", stop.value)
