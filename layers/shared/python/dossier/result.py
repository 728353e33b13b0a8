"""The case's outcome in Dossier's own schema, the same for every vendor: ``result.json``, version 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1"


class Part(BaseModel):
    """Base of the result's parts."""

    model_config = ConfigDict(extra="forbid")


class Amount(Part):
    """Money. ``amount`` is a plain decimal number; ``currency`` the ISO 4217 code, None where its sign has several."""

    amount: str
    currency: str | None = None
    symbol: str | None = None
    """The sign that the vendor wrote."""


class FieldValue(Part):
    """An extracted value. ``confidence`` is 0 to 1, None where the vendor gives none that can be read."""

    key: str
    name: str
    value: str | None = None
    """As the vendor wrote it."""
    type: Literal["number", "date", "currency", "boolean", "text"] | None = None
    """What the value is beyond doubt; what can be read in two ways is ``text``, and null has none."""
    typed: str | bool | Amount | None = None
    """The value in one form: a number as a plain decimal text, a date in ISO 8601; None for a text."""
    confidence: float | None = None
    inferred: bool = False
    edited: bool = False
    review: bool = False
    """Its confidence is below the connection's ``review_below``, cannot be read, or (``review_missing``) is missing."""


class TimelineEntry(Part):
    """An event of the case. ``date`` is ``YYYY-MM-DD`` or an instant in ISO 8601; ``documents`` are vendor ids."""

    timeline_id: str | None = None
    title: str | None = None
    description: str | None = None
    date: str | None = None
    documents: list[str] = Field(default_factory=list)
    external_document_ids: list[str | None] = Field(default_factory=list)
    """The caller's own id of each of ``documents``, None where it has none."""
    is_ai_generated: bool | None = None


class Dates(Part):
    """Dates that a document speaks of."""

    event: str | None = None
    start: str | None = None
    end: str | None = None


class Scores(Part):
    """How strongly a document supports each party, 0 to 10; not complementary."""

    claimant: int | float | None = None
    defendant: int | float | None = None


class DocumentResult(Part):
    """What came of one document. ``status`` is the vendor's own word; ``error`` says why it failed."""

    document_id: str | None = None
    external_document_id: str | None = None
    name: str | None = None
    status: str | None = None
    error: str | None = None
    fields_extracted: int | None = None
    """How many fields the vendor says that it extracted, where it says so."""
    title: str | None = None
    description: str | None = None
    summary: str | None = None
    insights: list[str] = Field(default_factory=list)
    dates: Dates = Field(default_factory=Dates)
    scores: Scores = Field(default_factory=Scores)
    fields: list[FieldValue] = Field(default_factory=list)


class ArtifactResult(Part):
    """A file that came back: its S3 ``key`` in the artifact bucket, ``size`` in bytes, ``sha256`` in hex."""

    name: str
    key: str
    size: int
    sha256: str


class Result(Part):
    """``result.json``. ``reason`` says why a case failed; ``review`` that a person should look at low confidences."""

    schema_version: Literal["1"] = "1"
    connection: str = ""
    vendor: str = ""
    reference: str = ""
    case_id: str | None = None
    status: Literal["completed", "completed_with_failures", "failed"] = "completed"
    reason: str | None = None
    review: bool = False
    title: str | None = None
    summary: str | None = None
    warnings: list[str] = Field(default_factory=list)
    """What a reader should know before relying on it, one line each."""
    fields: list[FieldValue] = Field(default_factory=list)
    timeline: list[TimelineEntry] = Field(default_factory=list)
    documents: list[DocumentResult] = Field(default_factory=list)
    artifacts: list[ArtifactResult] = Field(default_factory=list)
    submitted_at: str | None = None
    completed_at: str | None = None


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of ``result.json``, as published in ``docs/result.schema.json``."""
    schema = Result.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Dossier result, version {SCHEMA_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }
