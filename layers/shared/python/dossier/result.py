"""The case's outcome in Dossier's schema, the same for every vendor: ``result.json``, version 2.

A stored result of version 1 is read as version 2, with defaults for new attributes.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "2"
UNFINISHED, LATE = "not finished by the deadline", "did not finish within"
"""The reason for a missing result of a document or a case: a later result becomes the next revision."""
NO_FILES = "the vendor's file search finds nothing, though the case has documents"
"""A warning: the search most likely fails only for now, so the case is collected again."""


class Part(BaseModel):
    """Base of the result's parts."""

    model_config = ConfigDict(defer_build=True, extra="forbid")


class Amount(Part):
    """Money. ``amount`` is a plain decimal number; ``currency`` the ISO 4217 code, None if its symbol is ambiguous."""

    amount: str
    currency: str | None = None
    symbol: str | None = None
    """The vendor's currency symbol."""


class FieldValue(Part):
    """An extracted value. ``confidence`` is 0 to 1, None if the vendor gives no valid one."""

    key: str
    name: str
    value: str | None = None
    """As the vendor wrote it."""
    type: Literal["number", "date", "currency", "boolean", "text"] | None = None
    """The value's type if it is certain; an ambiguous value is ``text``, and null has no type."""
    typed: str | bool | Amount | None = None
    """The normalized value: a number as plain decimal text, a date in ISO 8601; None for a text."""
    confidence: float | None = None
    inferred: bool = False
    edited: bool = False
    review: bool = False
    """Its confidence is below the connection's ``review_below``, malformed, or (``review_missing``) missing."""


class TimelineEntry(Part):
    """An event of the case. ``date`` is ``YYYY-MM-DD`` or an instant in ISO 8601; ``documents`` are vendor ids."""

    timeline_id: str | None = None
    title: str | None = None
    description: str | None = None
    date: str | None = None
    documents: list[str] = Field(default_factory=list)
    external_document_ids: list[str | None] = Field(default_factory=list)
    """The caller's id of each of ``documents``, or None."""
    is_ai_generated: bool | None = None


class Dates(Part):
    """Dates in a document."""

    event: str | None = None
    start: str | None = None
    end: str | None = None


class Scores(Part):
    """How strongly a document supports each party, 0 to 10; not complementary."""

    claimant: int | float | None = None
    defendant: int | float | None = None


class DocumentResult(Part):
    """The outcome of a document. ``status`` is the vendor's; ``error`` says why it failed."""

    document_id: str | None = None
    external_document_id: str | None = None
    name: str | None = None
    status: str | None = None
    error: str | None = None
    fields_extracted: int | None = None
    """How many fields the vendor reports as extracted, if it does."""
    title: str | None = None
    description: str | None = None
    summary: str | None = None
    insights: list[str] = Field(default_factory=list)
    dates: Dates = Field(default_factory=Dates)
    scores: Scores = Field(default_factory=Scores)
    fields: list[FieldValue] = Field(default_factory=list)


class ArtifactResult(Part):
    """A downloaded file: its S3 ``key`` in the artifact bucket, ``size`` in bytes, ``sha256`` in hex."""

    name: str
    key: str
    size: int
    sha256: str


class FailedArtifact(Part):
    """A file that could not be collected, and why."""

    name: str
    error: str


class Result(Part):
    """``result.json``. ``reason`` says why a case failed; ``review`` that a person should check low confidences.

    ``revision`` counts the collections that differed; it is 0 if nothing was ever collected. ``vendor_status``,
    ``stage_id`` and ``assigned_to`` are the vendor's attributes of its case, or null. ``warnings`` are problems that
    did not stop the case.
    """

    schema_version: Literal["2"] = "2"
    connection: str = ""
    vendor: str = ""
    reference: str = ""
    case_id: str | None = None
    revision: int = Field(default=0, ge=0)
    collected_at: str | None = None
    status: Literal["completed", "completed_with_failures", "failed", "uploaded", "cancelled"] = "completed"
    vendor_status: str | None = None
    stage_id: str | None = None
    assigned_to: str | None = None
    reason: str | None = None
    review: bool = False
    title: str | None = None
    summary: str | None = None
    warnings: list[str] = Field(default_factory=list)
    """Facts that a reader should know before using it, one line each."""
    fields: list[FieldValue] = Field(default_factory=list)
    timeline: list[TimelineEntry] = Field(default_factory=list)
    documents: list[DocumentResult] = Field(default_factory=list)
    artifacts: list[ArtifactResult] = Field(default_factory=list)
    failed_artifacts: list[FailedArtifact] = Field(default_factory=list)
    submitted_at: str | None = None
    completed_at: str | None = None


def unfinished(result: Result) -> bool:
    """Whether more may come: a part was not done at the collection, or could not be read."""
    return bool(result.failed_artifacts) or NO_FILES in result.warnings or at_work(result)


def at_work(result: Result) -> bool:
    """Whether the vendor has not finished the case or one of its documents; a missing file does not show that."""
    reason = result.reason or ""
    for each in result.failed_artifacts:
        reason = reason.replace(each.error, "")
    texts = [reason, *(each.error or "" for each in result.documents)]
    return any(UNFINISHED in each or LATE in each for each in texts)


def read_stored(body: bytes) -> Result:
    """Read a stored ``result.json`` of this version or of the one before; ignore keys of later versions.

    Raises:
        ValueError: it is neither.

    """
    data = json.loads(body)
    if isinstance(data, dict) and data.get("schema_version") == "1":
        data = {**data, "schema_version": SCHEMA_VERSION}
    return Result.model_validate(data, extra="ignore")


def readable(body: bytes | None) -> Result | None:
    """Return a stored ``result.json``; None if there is none, or a later version of Dossier has written it."""
    try:
        return read_stored(body) if body else None
    except ValueError:
        return None


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of ``result.json``, as published in ``docs/result.schema.json``."""
    schema = Result.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Dossier result, version {SCHEMA_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }
