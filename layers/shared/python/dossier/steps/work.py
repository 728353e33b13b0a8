"""What the steps that talk to a vendor share: the case's view, and driving a flow with its raw answers kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from dossier.http import Flow
from dossier.models import moment
from dossier.ports import CaseView, Vendor
from dossier.settings import Connection
from dossier.stores.cases import Case, Cases
from dossier.stores.intents import Intents
from dossier.stores.limiter import Limiter
from dossier.stores.objects import Objects, vendor_key
from dossier.transport import Transport

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a step needs to work on cases; filled in ``bootstrap``."""

    cases: Cases
    objects: Objects
    intents: Intents
    transport: Transport
    limiter: Limiter
    connection_of: Callable[[str], Connection]
    vendor_of: Callable[[str], Vendor]
    patience: float = 20.0
    """How long, in seconds, a step waits inside the function for a free slot before the state machine retries."""
    settling: timedelta = timedelta(seconds=5)
    """How long a lost request may still be at work at the vendor before it is looked up."""
    rivalry: timedelta = timedelta(seconds=120)
    """How long a look-up waits for other requests with a file of the same name to be settled first."""

    def load(self, connection: str, reference: str) -> Job:
        """Return a case with its connection and vendor.

        Raises:
            InvalidCaseError: there is no such case or connection.

        """
        case = self.cases.get(connection, reference)
        settings = self.connection_of(connection)
        return Job(self, case, settings, self.vendor_of(settings.vendor))


@dataclass(frozen=True, slots=True)
class Job:
    """A case at hand."""

    desk: Desk
    case: Case
    connection: Connection
    vendor: Vendor

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
        )

    def run(self, flow: Flow[_T]) -> _T:
        """Drive a flow; the raw answers it wants kept go to the case's ``vendor/`` folder."""
        return self.desk.transport.run(flow, vendor=self.vendor, connection=self.connection, keep=self.keep)

    def lease(self) -> AbstractContextManager[None]:
        """Hold one of the connection's slots for a transfer."""
        return self.desk.limiter.lease(self.connection, patience=self.desk.patience)

    def keep(self, what: str, body: bytes) -> None:
        """Store a raw answer of the vendor."""
        record = self.case.record
        self.desk.objects.write(vendor_key(record.connection, record.reference, what), body)
