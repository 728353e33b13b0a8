"""The vendor port, and the values that cross it.

Every vendor is one folder under ``vendors`` with a subclass of :class:`Vendor`; none of them does I/O (see ``http``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Generic

from typing_extensions import TypeVar

from dossier.errors import ConfigurationError, InvalidCaseError, NeedsAttentionError
from dossier.http import ANY_REFUSAL, About, Flow, Refusal
from dossier.models import Document, OptionValue, Phase
from dossier.options import Option, check
from dossier.result import Result
from dossier.settings import C, Connection

_T = TypeVar("_T")
C_co = TypeVar("C_co", bound=Connection, default=Connection, covariant=True)


@dataclass(frozen=True, slots=True)
class CaseView(Generic[C_co]):
    """A case as a vendor adapter sees it."""

    connection: C_co
    reference: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    case_id: str | None = None
    """The vendor's id of the case, once known; None for vendors without cases."""
    documents: tuple[Document, ...] = ()
    submitted_at: datetime | None = None
    appends: bool = False
    """The documents are appended to an existing vendor case."""
    before: frozenset[str] | None = None
    """For an append, the ids that ``before_upload`` returned before the first upload; None if unknown."""
    sent_at: datetime | None = None
    """When the last upload began, by the vendor's clock, at the latest; None if unknown."""
    completed: bool = False
    """The case was completed before; later changes at the vendor do not undo that."""
    finished: bool = False
    """A poll found that the vendor has finished it; one odd status in the collection afterwards does not undo that."""
    alone: bool = False
    """Whether the vendor's case certainly has only ``documents``: Dossier opened it, and saw this a moment ago."""
    tried: bool = True
    """The assessment may have been triggered before."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Why a job failed according to a delivery, by job id. Some vendors give the reason nowhere else."""

    @property
    def known_id(self) -> str:
        """The vendor's id of the case.

        Raises:
            InvalidCaseError: it is not known yet.

        """
        if self.case_id is None:
            raise InvalidCaseError(f"case {self.reference} has no case_id yet")
        return self.case_id

    def document(self, document_id: str) -> Document | None:
        """Return the case's document with the vendor id ``document_id``, or None."""
        return next((each for each in self.documents if each.document_id == document_id), None)

    def batch(self, indices: Iterable[int]) -> list[Document]:
        """Return the documents with these indices, in this order."""
        by_index = {each.index: each for each in self.documents}
        return [by_index[index] for index in indices]


@dataclass(frozen=True, slots=True)
class Seen:
    """The account's list before a request: the newest ids, in the order of the list."""

    ids: tuple[str, ...] = ()
    whole: bool = False
    """Whether these are certainly all ids of the list."""
    dated: bool = False
    """Whether each entry has a time, all of one form."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known of a create or upload, to look up whether it took effect.

    Names and the vendor's clock never prove absence. A listed entry is known by its id, or certainly older than all of
    ``seen``, or a suspect.
    """

    at: datetime
    """When the request began; for a repeated request, when the first one began."""
    known: Container[str] = frozenset()
    """Vendor ids (cases or documents) that the request cannot have created: they existed before, or are others'."""
    rivals: int = 0
    """How many other requests in flight on the connection could be mistaken for this one."""
    adopt: str | None = None
    """The operator's answer: the vendor id of the case, document or batch job that the request created. Only this id is
    looked up; it is adopted if it exists and the request can have created it."""
    thorough: bool = False
    """Whether everything that the vendor reports about ``adopt`` must match, including names."""
    seen: Seen | None = None
    """The account's list before the request; None if unknown, or if the upload went into a case."""
    fresh: bool = True
    """Whether ``seen`` was read for this request, so that any other entry is new. Otherwise it may be minutes older."""
    recorded: Mapping[str, datetime] = field(default_factory=dict)
    """When Dossier recorded recent ids: marks in the vendor's order of events."""
    others: tuple[tuple[str, ...], ...] = ()
    """The file names of each other request in flight on the connection."""
    settled: bool = True
    """Whether the vendor must list by now what the request created; before that, only an exact match counts."""
    among: frozenset[str] | None = None
    """The only ids that the request may have created, according to an earlier look-up."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The vendor's answer to an upload: the case, and the document ids by document index."""

    case_id: str | None = None
    document_ids: Mapping[int, str] = field(default_factory=dict)
    job_id: str | None = None
    sent_at: datetime | None = None
    """When the request began, by the vendor's clock, at the latest; None if unknown."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Reasons for documents that the vendor rejected, by document index."""
    named: str | None = None
    """The id that an operator named, if the answer comes from there."""
    alone: bool = False
    """Nothing else is in the vendor's case (``CaseView.alone``)."""


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The state of a document at the vendor."""

    status: str
    """The vendor's status."""
    finished: bool
    failed: bool = False
    error: str | None = None
    progress: int | None = None
    """Percent, if reported."""
    fields_extracted: int | None = None
    """How many fields the vendor has extracted, if reported."""


def updated(document: Document, state: DocumentState) -> Document:
    """Return a document with the vendor's state."""
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
    """The state of a case at the vendor."""

    finished: bool
    documents: Mapping[str, DocumentState] = field(default_factory=dict)
    """The polled documents, by id."""
    case_status: str | None = None
    failed: bool = False
    """The vendor gave up on the whole case."""
    error: str | None = None
    unknown: tuple[str, ...] = ()
    """Statuses that are not in the vendor's guide: treated as "not finished", and counted by a metric."""


class Found(dict[str, Progress]):
    """The state of cases by vendor case id; ``rest`` is the offset at which to continue an unfinished list."""

    rest: int | None = None


def never() -> bool:
    """Return False: there is no time limit."""
    return False


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that can be downloaded; the adapter locates it by ``source`` (an id, a path)."""

    name: str
    source: str
    content_type: str | None = None
    entry: Mapping[str, object] | None = None
    """Its entry in the vendor's list; an unchanged entry means an unchanged file. None if there is no list."""
    unfinished: str | None = None
    """Why it is not fetched yet: the vendor still works on it."""
    tells: bool = False
    """Whether ``entry`` has something that changes with the bytes, such as a checksum."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where an artifact's bytes are: a ``url`` on storage (requested without the key), or an API ``path`` (with it)."""

    url: str | None = None
    path: str | None = None
    keep: str | None = None
    about: About | None = None
    """What the answer has to be about."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The changes in an account's list, with times as the vendor writes them; only compare them with each other."""

    cases: Mapping[str, str] = field(default_factory=dict)
    """When each case was changed last, by id."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Where the next look may begin in each of the account's lists (by case type, say), by the vendor's own clock; one
    that is left out: where this one began."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The ids that a delivery names. They prove nothing; they only move the next poll to now."""

    event: str
    case_ids: tuple[str, ...] = ()
    document_ids: tuple[str, ...] = ()
    job_ids: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """The case types that the delivery names."""
    says: str | None = None
    """The vendor's error message, as one line."""


ARTIFACT = "artifact/"
"""Prefix of stored artifacts among the sources of a result."""


def no_request(value: _T) -> Flow[_T]:
    """Return a value as a flow that makes no request."""
    yield from ()
    return value


class Vendor(ABC, Generic[C]):
    """One vendor's API for one connection, sans-I/O. It has no other state.

    A subclass overrides what differs: by default a vendor has no cases, no list, no webhooks and no options, and takes
    one document per request.
    """

    name: ClassVar[str]
    called: ClassVar[str]
    """The vendor's name in messages."""
    media_types: ClassVar[frozenset[str]]
    """Types of document that the vendor reads, as MIME types."""
    max_document_bytes: ClassVar[int] = 100 * 1024 * 1024
    """Largest document that is sent, in bytes; by default a limit that only catches mistakes."""
    phases: ClassVar[tuple[Phase, ...]]
    """The waits of a case, in order. With both phases, ``process`` triggers the assessment between them."""
    opens_case: ClassVar[bool] = False
    """Whether a separate request opens a case before documents are uploaded."""
    accepts_references: ClassVar[bool] = False
    """Whether the vendor can read documents from ``https://`` or ``s3://`` itself."""
    bulk_poll: ClassVar[bool] = False
    """Whether one ``poll_results`` call serves many cases of a connection."""
    lists: ClassVar[bool] = False
    """Whether the account has a list of what was created in it (``created``)."""
    dates_changes: ClassVar[bool] = False
    """Whether the account's list has the times of its cases' last changes (``changed``)."""
    documented: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """The documented fields, by (the beginning of) the name under which an answer is stored: ``dossier.drift`` counts
    answers that differ. Answers without an entry are not compared."""
    once: ClassVar[tuple[str, ...]] = ()
    """The beginnings of the names of answers that cannot be requested again, and that a later result needs."""
    refusal: ClassVar[Refusal] = ANY_REFUSAL
    """The form of the vendor's rejections; other forms are not the vendor's (``dossier.replies.fail``)."""

    def __init__(self, connection: C) -> None:
        self.connection = connection

    @property
    def key_header(self) -> str:
        """The header that carries the API key."""
        return "X-API-Key"

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Return the headers that authorize a request.

        Raises:
            ConfigurationError: the key cannot be sent in a header, or is of the wrong kind for the connection (a test
                key on a live one, say).

        """
        fix = f"run `dossier secrets set {self.connection.name}`"
        if not api_key:
            raise ConfigurationError(f'connection "{self.connection.name}" has no API key: {fix}')
        if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
            raise ConfigurationError(
                f'the API key of connection "{self.connection.name}" has blanks or characters that are not printable '
                f"ASCII: {fix}"
            )
        return {self.key_header: api_key}

    def options(self) -> tuple[Option, ...]:
        """Return the options that the connection's cases may have."""
        return (Option("case_title", f"the result's title; {self.called} has no cases"),)

    def validate(self, case: CaseView[C]) -> None:
        """Reject options and counts that the vendor would reject.

        Raises:
            InvalidCaseError: says what to fix.

        """
        check(self.called, self.options(), case.options)

    def batches(self, case: CaseView[C]) -> Sequence[Sequence[int]]:
        """Return the upload requests: for each, the indices of the documents it carries, in order."""
        return [[document.index] for document in case.documents]

    def uploads_at_once(self, case: CaseView[C]) -> int:
        """Return how many upload requests of one case may run at once (1 if look-ups require it)."""
        return 1

    def open(self, case: CaseView[C]) -> Flow[Uploaded]:
        """Create the vendor's case (only with ``opens_case``)."""
        return no_request(Uploaded(case_id=case.case_id))

    def find_opened(self, case: CaseView[C], intent: Intent) -> Flow[Uploaded | None]:
        """Look up a case whose create lost its answer; None if it certainly does not exist.

        With ``Intent.adopt``, look up and return that case.

        Raises:
            NeedsAttentionError: it cannot be looked up, or more than one object fits, or ``Intent.adopt`` is wrong.

        """
        return no_request(None)

    def before_upload(self, case: CaseView[C], batch: Sequence[int]) -> Flow[frozenset[str]]:
        """Return the vendor ids in the case before an upload, which ``find_uploaded`` compares with.

        An upload outside of any case is compared with the account's list (``listed``), if there is one.
        """
        return no_request(frozenset())

    def listed(self) -> Flow[Seen]:
        """Return the account's list before an upload, in one request. Only with ``lists``."""
        return no_request(Seen())

    @abstractmethod
    def upload(self, case: CaseView[C], batch: Sequence[int]) -> Flow[Uploaded]:
        """Upload the documents of one batch; the last batch triggers the vendor's workflow, if it has one."""

    def find_uploaded(self, case: CaseView[C], batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Look up an upload whose answer was lost; None if it certainly created nothing.

        With ``Intent.adopt``, look up and return that case or document.

        Raises:
            NeedsAttentionError: the outcome is unclear (with ``candidates`` and ``choices``), or the upload cannot have
                created ``Intent.adopt``.

        """
        yield from ()
        raise NeedsAttentionError(f"the answer to an upload was lost, and {self.called} has no list to look it up in")

    def poll_documents(self, case: CaseView[C], pending: Sequence[str]) -> Flow[Progress]:
        """Request the state of the documents in ``pending`` (vendor ids). Finished once none is still running."""
        return no_request(Progress(finished=True))

    def poll_results(
        self, cases: Sequence[CaseView[C]], *, start: int = 0, spent: Callable[[], bool] = never
    ) -> Flow[Mapping[str, Progress]]:
        """Request the state of cases, by vendor case id; a case that is not in the answer is not finished.

        Unless ``bulk_poll``, this is called with one case and no other argument. Only for vendors with cases.

        Args:
            cases: cases of one connection.
            start: offset in the list to begin at: the ``rest`` of an earlier :class:`Found`.
            spent: whether to leave the rest of the list for another call.

        """
        return no_request({})

    def process(self, case: CaseView[C]) -> Flow[None]:
        """Trigger the assessment, unless it is already under way (only with two phases)."""
        return no_request(None)

    @abstractmethod
    def artifacts(self, case: CaseView[C]) -> Flow[Sequence[Artifact]]:
        """List the files to download, in a stable order."""

    @abstractmethod
    def locate(self, case: CaseView[C], artifact: Artifact) -> Flow[Location]:
        """Return where an artifact's bytes are now. ``case`` has no documents here: they are not loaded."""

    def finish(self, case: CaseView[C]) -> Flow[None]:
        """Run the connection's after-steps once the results are collected (Docsumo)."""
        return no_request(None)

    @abstractmethod
    def read_result(self, case: CaseView[C], raw: Mapping[str, bytes]) -> Result:
        """Build the result from the stored raw answers (by ``Request.keep`` and ``Location.keep`` names).

        The caller adds identity, artifacts and times. Never raises on unexpected content: unreadable parts are left out
        of the result and stay in the raw answer.
        """

    def facts(self, what: str, body: bytes) -> bytes:
        """Return the part of a ``once`` answer that a later result needs, without content of documents.

        It is idempotent.
        """
        return body

    def answer_of(self, source: str) -> str | None:
        """Return the name of the raw answer that an artifact (by its ``source``) is byte for byte, or None."""
        return None

    def modified(self, case: CaseView[C], raw: Mapping[str, bytes]) -> str | None:
        """Return the time of the case's last change in the stored answers, as the vendor writes it, or None."""
        return None

    def later(self, one: str, other: str) -> bool | None:
        """Whether a time of change is later than another one; None if unknown or equal."""
        return None

    @classmethod
    def read_hint(cls, body: bytes) -> Hint | None:
        """Return the ids that a verified delivery names, or None. Never raises."""
        return None

    def concerns(self, hint: Hint) -> bool:
        """Whether a delivery about an unknown case may belong to the connection, by its content."""
        return True

    def having(self, case_ids: Sequence[str]) -> Flow[frozenset[str]]:
        """Return which of these cases are in the connection's list, in one walk. Only with ``lists``, for cases."""
        return no_request(frozenset())

    def changed(self, since: Mapping[str, str]) -> Flow[Changed]:
        """Return the cases that changed at ``since`` or later by the account's lists, with the times, latest first.

        ``since`` is ``Changed.seen`` of the look before (under an empty name: for lists that have none). Without it,
        return the first page. Only with ``dates_changes``.
        """
        return no_request(Changed())

    def created(self, since: datetime, recorded: Mapping[str, datetime]) -> Flow[Mapping[str, datetime]]:
        """Return the ids of the cases (or documents, if there are no cases) created since then, with their times.

        Only with ``lists``. Entries without a time are left out. The times are by our clock: the ``recorded`` ids, with
        the time of their recording, show the difference to the vendor's clock.
        """
        return no_request({})

    @abstractmethod
    def check(self) -> Flow[str]:
        """Make one safe request that proves URL and key, for ``dossier doctor``; return one line about it."""
