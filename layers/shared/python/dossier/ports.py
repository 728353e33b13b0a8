"""What the steps need from the outside world: the vendor port, and the values that cross it.

Every vendor is one folder under ``vendors`` with a :class:`Vendor`; none of them does I/O (see ``http``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dossier.http import Flow, Refusal
from dossier.models import Document, OptionValue, Phase
from dossier.result import Result
from dossier.settings import Connection


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as a vendor adapter sees it."""

    connection: Connection
    reference: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    case_id: str | None = None
    """The vendor's id of the case, once known; None for vendors without cases."""
    documents: tuple[Document, ...] = ()
    submitted_at: datetime | None = None
    appends: bool = False
    """The vendor's case was there before: its documents are appended to it."""
    before: frozenset[str] | None = None
    """Of such a case, the ids that ``before_upload`` saw in it before the first upload; None if that is not known."""
    sent_at: str | None = None
    """When the last upload began, by the vendor's own clock (ISO 8601), where that is known; at the latest."""
    completed: bool = False
    """It has been completed before: what the vendor does since does not undo that."""
    finished: bool = False
    """A poll found that the vendor has finished it: one odd status in the collection after it does not undo that."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Why a job failed, by its id, as a delivery says: no truth, but all that some vendors say of it."""

    def document(self, document_id: str) -> Document | None:
        """Return the case's document that the vendor knows by ``document_id``."""
        return next((each for each in self.documents if each.document_id == document_id), None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an account listed before a request: the newest ids, in the order of the list."""

    ids: tuple[str, ...] = ()
    whole: bool = False
    """Whether the list certainly ended with them."""
    dated: bool = False
    """Whether each came with a time, all of one form."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What was stored before a create or upload, and what is known by now, to find out whether it took effect.

    Absence is never told by a name or by the vendor's clock: what is listed is known by its id, or is certainly older
    than all that ``seen`` has, or may be what the request made.
    """

    at: datetime
    """When the request began; of a request that was repeated, when the first one did."""
    known: Container[str] = frozenset()
    """The vendor's ids (cases or documents) that the request cannot have made: they existed before, or are others'."""
    rivals: int = 0
    """How many other requests in flight on the connection could be mistaken for this one."""
    adopt: str | None = None
    """What the request made, as an operator says: the vendor's id of the case, of the document, or of the batch's job.
    It is looked up, and nothing else is; it is taken if it exists and can be what the request made."""
    thorough: bool = False
    """Whether all that the vendor says of it has to fit, names too; else that it exists and can be the request's."""
    seen: Seen | None = None
    """What the account listed before the request; None if that is not known, or the upload went into a case."""
    fresh: bool = True
    """Whether ``seen`` was read for this very request: what it lacks is new. Else it is up to some minutes older."""
    recorded: Mapping[str, datetime] = field(default_factory=dict)
    """When Dossier wrote ids down, those of late: marks in the vendor's own order of events."""
    others: tuple[tuple[str, ...], ...] = ()
    """The names of what each of the other requests in flight on the connection uploads."""
    settled: bool = True
    """Whether the vendor lists by now whatever the request has made; before, only the surest find counts."""
    among: frozenset[str] | None = None
    """Ids of which one is what the request made, if it made anything: an earlier look-up found no others."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What the vendor answered to an upload: the case it belongs to, and an id for each document by its index."""

    case_id: str | None = None
    document_ids: Mapping[int, str] = field(default_factory=dict)
    job_id: str | None = None
    sent_at: str | None = None
    """When the request began, by the vendor's own clock (ISO 8601), at the latest; where that is known."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Documents that the vendor refused while it took others, by index, with its reason."""
    named: str | None = None
    """The id by which an operator said that this is what the request has made."""


@dataclass(frozen=True, slots=True)
class DocumentState:
    """How one document stands at the vendor."""

    status: str
    """The vendor's own word."""
    finished: bool
    failed: bool = False
    error: str | None = None
    progress: int | None = None
    """Percent, where the vendor tells."""
    fields_extracted: int | None = None
    """How many fields the vendor has read, where it tells."""


def told(document: Document, state: DocumentState) -> Document:
    """Return a document as the vendor says that it stands."""
    extracted = state.fields_extracted if state.fields_extracted is not None else document.fields_extracted
    changes = {
        "status": state.status,
        "progress": state.progress,
        "fields_extracted": extracted,
        "finished": state.finished,
        "failed": state.failed,
        "error": state.error,
    }
    return document.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class Progress:
    """How a case stands at the vendor."""

    finished: bool
    documents: Mapping[str, DocumentState] = field(default_factory=dict)
    """By document id; only those that were asked for this time."""
    case_status: str | None = None
    failed: bool = False
    """The vendor gave up on the whole case."""
    error: str | None = None
    unknown: tuple[str, ...] = ()
    """Statuses that the vendor's guide does not name: handled as "not finished yet", counted by a metric."""


class Found(dict[str, Progress]):
    """How cases stand, by vendor case id; ``rest`` is where the list goes on that was not read as far as it must."""

    rest: int | None = None


def never() -> bool:
    """Return False: there is all the time in the world."""
    return False


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that can be fetched: ``source`` is what the adapter needs to locate it (an id, a path)."""

    name: str
    source: str
    content_type: str | None = None
    entry: Mapping[str, object] | None = None
    """What the vendor's list says of it: while that stays the same, the file is taken to be the same. None: no list."""
    unfinished: str | None = None
    """Why it is not fetched yet: the vendor still works on it."""
    tells: bool = False
    """Whether ``entry`` has something that changes with the bytes, such as a checksum."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where an artifact's bytes are: an absolute ``url`` on storage (no key is sent), or an API ``path`` (with it)."""

    url: str | None = None
    path: str | None = None
    keep: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What an account's list says of changes: times as the vendor writes them, compared with each other alone."""

    cases: Mapping[str, str] = field(default_factory=dict)
    """When each case was changed last, by id."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Where the next look may begin in each of the account's lists (by case type, say), by the vendor's own clock; one
    that is left out: where this one began."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a delivery is about: ids that the vendor names. It carries no truth, it only moves the next poll to now."""

    event: str
    case_ids: tuple[str, ...] = ()
    document_ids: tuple[str, ...] = ()
    job_ids: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """What the vendor says that it belongs to, of what an account has several of: case types."""
    says: str | None = None
    """What the vendor says went wrong, as one line."""


ARTIFACT = "artifact/"
"""Before the name of a stored artifact, among what a result is read from."""


class Vendor(Protocol):
    """One vendor's API, sans-I/O. An adapter is stateless; every method takes all that it needs."""

    name: str
    media_types: frozenset[str]
    """Types of document that the vendor reads, as MIME types."""
    max_document_bytes: int
    opens_case: bool
    """Whether a case is opened by a request of its own before documents are uploaded."""
    phases: tuple[Phase, ...]
    """What is waited for, in order. With both phases, ``process`` triggers the assessment between them."""
    accepts_references: bool
    """Whether the vendor itself can read documents by ``https://`` or ``s3://`` reference."""
    bulk_poll: bool
    """Whether one ``poll`` call serves many cases of a connection."""
    lists: bool
    """Whether the account has a list of what was created in it (``created``)."""
    dates_changes: bool
    """Whether the account's list says when its cases were changed last (``changed``)."""
    documented: Mapping[str, tuple[str, ...]]
    """The fields that the guide shows, by (the beginning of) the name under which an answer is kept: ``dossier.drift``
    counts answers that differ. What is not named here is not looked at."""
    refusal: Refusal
    """How the vendor words a refusal: what has another form is not the vendor's own (``dossier.replies.fail``)."""

    def headers(self, connection: Connection, api_key: str) -> Mapping[str, str]:
        """Return the headers that authorize a request.

        Raises:
            ConfigurationError: the key is of the wrong kind for the connection (test on live, say).

        """

    def validate(self, case: CaseView) -> None:
        """Refuse what the vendor would refuse: options, counts.

        Raises:
            InvalidCaseError: says what to mend.

        """

    def batches(self, case: CaseView) -> Sequence[Sequence[int]]:
        """Return the upload requests: for each, the indices of the documents it carries, in order."""

    def uploads_at_once(self, case: CaseView) -> int:
        """Return how many upload requests of one case may run at once (1 where a look-up needs it)."""

    def open(self, case: CaseView) -> Flow[Uploaded]:
        """Create the vendor's case (only where ``opens_case``)."""

    def find_opened(self, case: CaseView, intent: Intent) -> Flow[Uploaded | None]:
        """Look up a case whose create lost its answer; None if it certainly does not exist.

        With ``Intent.adopt`` that case is looked up, and returned.

        Raises:
            NeedsAttentionError: it cannot be looked up, or more than one object fits; ``Intent.adopt`` is another one.

        """

    def before_upload(self, case: CaseView, batch: Sequence[int]) -> Flow[frozenset[str]]:
        """Return the vendor's ids that have to be known before an upload into its case, for ``find_uploaded`` to tell.

        An upload outside of any case is told by what the account lists (``listed``), where it has a list.
        """

    def listed(self, connection: Connection) -> Flow[Seen]:
        """Return what the account lists before an upload, in one request. Only where ``lists``."""

    def upload(self, case: CaseView, batch: Sequence[int]) -> Flow[Uploaded]:
        """Upload the documents of one batch; the last batch triggers the vendor's work where it must be triggered."""

    def find_uploaded(self, case: CaseView, batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Look up an upload whose answer was lost; None if nothing that the vendor has can be what it made.

        With ``Intent.adopt`` that case or document is looked up, and returned.

        Raises:
            NeedsAttentionError: it cannot be told; names the ``candidates`` and ``choices``. ``Intent.adopt`` is not
                what the upload can have made.

        """

    def poll_documents(self, case: CaseView, pending: Sequence[str]) -> Flow[Progress]:
        """Ask how the documents in ``pending`` (vendor ids) stand. Finished once none of them is still running."""

    def poll_results(
        self, cases: Sequence[CaseView], *, start: int = 0, spent: Callable[[], bool] = never
    ) -> Flow[Mapping[str, Progress]]:
        """Ask how cases stand, by vendor case id; a case that the answer lacks is not finished.

        Called with one case, and nothing else, unless ``bulk_poll``. Only for vendors with cases.

        Args:
            cases: of one connection.
            start: where in the list to begin: the ``rest`` of an earlier :class:`Found`.
            spent: whether to leave the rest of the list for another time.

        """

    def process(self, case: CaseView) -> Flow[None]:
        """Trigger the assessment, after checking that it is not already under way (only with two phases)."""

    def artifacts(self, case: CaseView) -> Flow[Sequence[Artifact]]:
        """List what can be fetched, in a stable order."""

    def locate(self, case: CaseView, artifact: Artifact) -> Flow[Location]:
        """Return where an artifact's bytes are now. ``case`` has no documents here: they were not read."""

    def finish(self, case: CaseView) -> Flow[None]:
        """Do what the connection asks for once the results are collected (Docsumo's after-steps)."""

    def read_result(self, case: CaseView, raw: Mapping[str, bytes]) -> Result:
        """Build the result from the raw answers that were kept (by ``Request.keep`` and ``Location.keep`` names).

        Identity, artifacts and times are filled in by the caller. Never raises on unexpected content: what cannot
        be read is left out of the result and stays in the raw answer.
        """

    def modified(self, case: CaseView, raw: Mapping[str, bytes]) -> str | None:
        """Return when the vendor says that it changed the case last, as it writes that, in the kept answers."""

    def later(self, one: str, other: str) -> bool | None:
        """Whether a time of change is later than another one; None if that cannot be told: they may be the same."""

    def read_hint(self, body: bytes) -> Hint | None:
        """Return what a verified delivery is about; None if it names nothing. Never raises."""

    def concerns(self, connection: Connection, hint: Hint) -> bool:
        """Whether a delivery about a case that nobody knows may be the connection's, by what it says itself."""

    def having(self, connection: Connection, case_ids: Sequence[str]) -> Flow[frozenset[str]]:
        """Return which of these cases the connection's list has, in one walk. Only where ``lists`` and for cases."""

    def changed(self, connection: Connection, since: Mapping[str, str]) -> Flow[Changed]:
        """Return which cases the account's lists date as changed at ``since`` or later, and when, latest first.

        ``since`` is ``Changed.seen`` of the look before (under an empty name: for lists that have none). Without it as
        many as are worth a look. Only where ``dates_changes``.
        """

    def created(
        self, connection: Connection, since: datetime, recorded: Mapping[str, datetime]
    ) -> Flow[Mapping[str, datetime]]:
        """Return the ids of the cases (or documents, without cases) that the account created since then, and when.

        Only where ``lists``. What the list gives no time of creation is left out. The times are by our clock: the
        difference of the vendor's is told by the entries that are ``recorded``, ids with when they were written down.
        """

    def check(self, connection: Connection) -> Flow[str]:
        """Make one safe request that proves URL and key, for ``dossier doctor``; return what was seen, one line."""


class NoCaseList:
    """What a vendor answers whose accounts have no list of cases: nothing dates changes, or says whose they are."""

    dates_changes = False

    def modified(self, case: CaseView, raw: Mapping[str, bytes]) -> str | None:  # noqa: ARG002 - the port's
        """Return None: no list says so."""
        return None

    def later(self, one: str, other: str) -> bool | None:  # noqa: ARG002 - the port's
        """Return None: there are no such times."""
        return None

    def concerns(self, connection: Connection, hint: Hint) -> bool:  # noqa: ARG002 - the port's
        """Return True: a delivery does not say otherwise."""
        return True

    def having(self, connection: Connection, case_ids: Sequence[str]) -> Flow[frozenset[str]]:  # noqa: ARG002 - the port's
        """Return nothing, without a request: there is no list of cases."""
        yield from ()
        return frozenset()

    def changed(self, connection: Connection, since: Mapping[str, str]) -> Flow[Changed]:  # noqa: ARG002 - the port's
        """Return nothing, without a request: no list says so."""
        yield from ()
        return Changed()
