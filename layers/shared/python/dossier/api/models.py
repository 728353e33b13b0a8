"""Models of the API's requests and answers, besides the views of cases (``steps.views``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dossier.models import CaseStatus, Frozen, Reference
from dossier.steps.views import CaseSummary, RevisionView, View

MOST_FILES = 1000
MOST_LISTED = 100


class File(Frozen):
    """A file that is to be uploaded."""

    name: str = Field(min_length=1, max_length=1024)


class UploadRequest(Frozen):
    """Asks for URLs to upload a case's files to."""

    connection: str = Field(min_length=1, max_length=64)
    files: tuple[File, ...] = Field(min_length=1, max_length=MOST_FILES)


class UploadTarget(View):
    """Where a file is uploaded to with ``PUT``, and the ``uri`` that names it in the case's documents."""

    name: str
    uri: str
    url: str


class UploadTargets(View):
    """Where files are uploaded to, in the order of the request, valid for ``expires_in`` seconds."""

    files: list[UploadTarget]
    expires_in: int


class Submitted(View):
    """A submission: its case, the execution, and whether it is new."""

    connection: str
    reference: str
    execution_arn: str
    outcome: Literal["started", "already_submitted"]


class CasePage(View):
    """A page of cases, latest submitted first. ``next`` is the ``after`` of the next page; None on the last one."""

    cases: list[CaseSummary]
    next: str | None


class Revisions(View):
    """A case's revisions, the first one first."""

    revisions: list[RevisionView]


class ArtifactLink(View):
    """An artifact, and a URL that downloads it, valid for ``expires_in`` seconds."""

    name: str
    size: int
    sha256: str
    url: str
    expires_in: int


class Refreshed(View):
    """A requested refresh; ``revision`` is the current one."""

    connection: str
    reference: str
    execution_arn: str
    revision: int


class Billed(View):
    """A document that the vendor has, and may bill."""

    name: str
    document_id: str | None
    status: str | None


class CancelledView(View):
    """A cancelled case; ``in_doubt`` names requests whose outcome is unknown."""

    connection: str
    reference: str
    billed: list[Billed]
    in_doubt: list[str]


class ResolveRequest(Frozen):
    """An answer to a case's open question: ``id`` with ``use``, ``question`` if several are open."""

    answer: Literal["retry", "use", "give_up", "send"]
    id: str = Field(default="", max_length=512)
    question: str | None = Field(default=None, max_length=64)


class Resolved(View):
    """A question that was answered."""

    connection: str
    reference: str
    question: str
    answer: str


class Selection(Frozen):
    """Which cases are listed."""

    connection: str | None = Field(default=None, description="Only this connection's cases.")
    status: Annotated[CaseStatus | None, Field(description="Only cases of this status.")] = None
    since: str | None = Field(default=None, max_length=40, description="Submitted then or later (ISO 8601).")
    until: str | None = Field(default=None, max_length=40, description="Submitted then or before (ISO 8601).")
    after: str | None = Field(default=None, max_length=300, description="`next` of the page before.")
    limit: int = Field(default=50, ge=1, le=MOST_LISTED)


class CasePath(Frozen):
    """Names a case."""

    connection: str = Field(min_length=1, max_length=64)
    reference: Reference


class ArtifactPath(CasePath):
    """Names an artifact of a case."""

    name: str = Field(min_length=1, max_length=1024)
