"""A fourth vendor: one folder with ``VENDOR`` and ``CONNECTION``. It reads single documents and gives back their text.

It exists to prove that a vendor needs nothing but its folder and its recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from dossier.deliveries import Delivery
from dossier.http import Effect, FilePart, Flow, Request
from dossier.ports import Artifact, CaseView, DocumentState, Hint, Location, Progress, Uploaded, Vendor, no_request
from dossier.replies import missing, read_object
from dossier.result import DocumentResult, Result
from dossier.settings import Connection


class ToyConnection(Connection):
    """An account at the toy vendor."""

    vendor: Literal["toy"]


class Toy(Vendor[ToyConnection]):
    """The toy vendor's API."""

    name = "toy"
    called = "the toy vendor"
    media_types = frozenset({"application/pdf"})
    max_document_bytes = 1_000_000
    phases = ("documents",)
    documented = MappingProxyType({"upload-": ("id",)})

    @property
    def key_header(self) -> str:
        """The header that carries the API key."""
        return "x-toy-key"

    def upload(self, case: CaseView[ToyConnection], batch: Sequence[int]) -> Flow[Uploaded]:
        """Send one document."""
        request = self.upload_request(case, batch[0])
        reply = yield request
        answer = read_object(request, reply)
        if not isinstance(answer.get("id"), str):
            raise missing(request, reply, "id")
        return Uploaded(document_ids={batch[0]: answer["id"]})

    def upload_request(self, case: CaseView[ToyConnection], index: int) -> Request:
        """Build the upload's request."""
        each = case.documents[index]
        part = FilePart("file", each.name, each.content_type, each.key, each.size)
        return Request("POST", "/v1/files", files=(part,), effect=Effect.UNSAFE, keep=f"upload-{index}")

    def poll_documents(self, case: CaseView[ToyConnection], pending: Sequence[str]) -> Flow[Progress]:
        """Ask for each document's status."""
        states, unknown = {}, []
        for document_id in pending:
            request = Request("GET", f"/v1/files/{document_id}")
            status = read_object(request, (yield request)).get("status")
            states[document_id] = DocumentState(str(status), finished=status == "read")
            unknown += [status] if isinstance(status, str) and status not in {"read", "reading"} else []
        finished = all(each.finished for each in states.values())
        return Progress(finished=finished, documents=states, unknown=tuple(unknown))

    def artifacts(self, case: CaseView[ToyConnection]) -> Flow[Sequence[Artifact]]:
        """Return each document's text."""
        return no_request(
            [Artifact(f"{each.name}.txt", each.document_id) for each in case.documents if each.document_id]
        )

    def locate(self, case: CaseView[ToyConnection], artifact: Artifact) -> Flow[Location]:
        """Return the path of a text."""
        return no_request(Location(path=f"/v1/files/{artifact.source}/text"))

    def read_result(self, case: CaseView[ToyConnection], raw: Mapping[str, bytes]) -> Result:
        """List the documents."""
        return Result(
            documents=[DocumentResult(document_id=each.document_id, name=each.name) for each in case.documents]
        )

    @classmethod
    def read_hint(cls, body: bytes) -> Hint | None:
        """Read ``file_id``, in whatever shape it comes."""
        found = Delivery(body).ids("file", "document")
        return Hint("read", document_ids=found) if found else None

    def check(self) -> Flow[str]:
        """Ask who we are."""
        request = Request("GET", "/v1/me")
        read_object(request, (yield request))
        return "the key works"


VENDOR = Toy
CONNECTION = ToyConnection
