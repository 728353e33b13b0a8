"""A fourth vendor: one folder with ``VENDOR`` and ``CONNECTION``. It reads single documents and gives back their text.

It exists to prove that a vendor needs nothing but its folder and its recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from dossier.deliveries import Delivery
from dossier.errors import ConfigurationError, InvalidCaseError, NeedsAttentionError
from dossier.http import ANY_REFUSAL, Effect, FilePart, Flow, Request
from dossier.models import Phase
from dossier.ports import Artifact, CaseView, Changed, DocumentState, Hint, Intent, Location, Progress, Seen, Uploaded
from dossier.replies import missing, read_object
from dossier.result import DocumentResult, Result
from dossier.settings import Connection


class ToyConnection(Connection):
    """An account at the toy vendor."""

    vendor: Literal["toy"]


class Toy:
    """The toy vendor's API."""

    name = "toy"
    media_types = frozenset({"application/pdf"})
    max_document_bytes = 1_000_000
    opens_case = False
    phases: tuple[Phase, ...] = ("documents",)
    accepts_references = False
    bulk_poll = False
    lists = False
    dates_changes = False
    documented: Mapping[str, tuple[str, ...]] = MappingProxyType({"upload-": ("id",)})
    refusal = ANY_REFUSAL

    def headers(self, connection: Connection, api_key: str) -> Mapping[str, str]:
        """Return the bearer token."""
        if not api_key.strip() or not api_key.isascii() or not api_key.isprintable():
            raise ConfigurationError(f"the key of {connection.name} cannot be used")
        return {"x-toy-key": api_key}

    def validate(self, case: CaseView) -> None:
        """Refuse options other than ``case_title``, which means nothing here."""
        unknown = sorted(set(case.options) - {"case_title"})
        if unknown:
            raise InvalidCaseError(f"unknown option {unknown[0]}")

    def batches(self, case: CaseView) -> Sequence[Sequence[int]]:
        """Return one request a document."""
        return [[each.index] for each in case.documents]

    def uploads_at_once(self, case: CaseView) -> int:
        """Return how many may run at once."""
        return 2

    def open(self, case: CaseView) -> Flow[Uploaded]:
        """Return at once: there are no cases."""
        yield from ()
        return Uploaded()

    def find_opened(self, case: CaseView, intent: Intent) -> Flow[Uploaded | None]:
        """Return at once: there are no cases."""
        yield from ()
        return None

    def before_upload(self, case: CaseView, batch: Sequence[int]) -> Flow[frozenset[str]]:
        """Return at once: nothing has to be known."""
        yield from ()
        return frozenset()

    def listed(self, connection: Connection) -> Flow[Seen]:
        """Return at once: there is no list."""
        yield from ()
        return Seen()

    def upload(self, case: CaseView, batch: Sequence[int]) -> Flow[Uploaded]:
        """Send one document."""
        request = self.upload_request(case, batch[0])
        reply = yield request
        answer = read_object(request, reply)
        if not isinstance(answer.get("id"), str):
            raise missing(request, reply, "id")
        return Uploaded(document_ids={batch[0]: answer["id"]})

    def upload_request(self, case: CaseView, index: int) -> Request:
        """Build the upload's request."""
        each = case.documents[index]
        part = FilePart("file", each.name, each.content_type, each.key, each.size)
        return Request("POST", "/v1/files", files=(part,), effect=Effect.UNSAFE, keep=f"upload-{index}")

    def find_uploaded(self, case: CaseView, batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Raise a question, because the vendor has no list."""
        yield from ()
        raise NeedsAttentionError("the toy vendor has no list to look in")

    def poll_documents(self, case: CaseView, pending: Sequence[str]) -> Flow[Progress]:
        """Ask for each document's status."""
        states, unknown = {}, []
        for document_id in pending:
            request = Request("GET", f"/v1/files/{document_id}")
            status = read_object(request, (yield request)).get("status")
            states[document_id] = DocumentState(str(status), finished=status == "read")
            unknown += [status] if isinstance(status, str) and status not in {"read", "reading"} else []
        finished = all(each.finished for each in states.values())
        return Progress(finished=finished, documents=states, unknown=tuple(unknown))

    def poll_results(self, cases: Sequence[CaseView]) -> Flow[Mapping[str, Progress]]:
        """Return at once: there are no cases."""
        yield from ()
        return {}

    def process(self, case: CaseView) -> Flow[None]:
        """Return at once: there is nothing to trigger."""
        yield from ()

    def artifacts(self, case: CaseView) -> Flow[Sequence[Artifact]]:
        """Return each document's text."""
        yield from ()
        return [Artifact(f"{each.name}.txt", each.document_id) for each in case.documents if each.document_id]

    def locate(self, case: CaseView, artifact: Artifact) -> Flow[Location]:
        """Return the path of a text."""
        yield from ()
        return Location(path=f"/v1/files/{artifact.source}/text")

    def finish(self, case: CaseView) -> Flow[None]:
        """Return at once: nothing comes after."""
        yield from ()

    def read_result(self, case: CaseView, raw: Mapping[str, bytes]) -> Result:
        """List the documents."""
        return Result(
            documents=[DocumentResult(document_id=each.document_id, name=each.name) for each in case.documents]
        )

    def modified(self, case: CaseView, raw: Mapping[str, bytes]) -> str | None:
        """Return None: nothing says so."""
        return None

    def later(self, one: str, other: str) -> bool | None:
        """Return None: there are no such times."""
        return None

    def read_hint(self, body: bytes) -> Hint | None:
        """Read ``file_id``, in whatever shape it comes."""
        found = Delivery(body).ids("file", "document")
        return Hint("read", document_ids=found) if found else None

    def changed(self, connection: Connection, since: str | None) -> Flow[Changed]:
        """Return nothing: nothing says so."""
        yield from ()
        return Changed()

    def concerns(self, connection: Connection, hint: Hint) -> bool:
        """Return True: nothing says otherwise."""
        return True

    def having(self, connection: Connection, case_ids: Sequence[str]) -> Flow[frozenset[str]]:
        """Return nothing: there are no cases."""
        yield from ()
        return frozenset()

    def created(
        self, connection: Connection, since: datetime, recorded: Mapping[str, datetime]
    ) -> Flow[Mapping[str, datetime]]:
        """Return nothing: there is no list."""
        yield from ()
        return {}

    def check(self, connection: Connection) -> Flow[str]:
        """Ask who we are."""
        request = Request("GET", "/v1/me")
        read_object(request, (yield request))
        return "the key works"


VENDOR = Toy()
CONNECTION = ToyConnection
