"""The case's outcome in Dossier's own schema, the same for every vendor: ``result.json``, version 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1"


class Part(BaseModel):
    """Base of the result's parts."""

    model_config = ConfigDict(extra="forbid")


class FieldValue(Part):
    """An extracted value. ``confidence`` is 0 to 1, None where the vendor gives none."""

    key: str
    name: str
    value: str | None = None
    confidence: float | None = None
    inferred: bool = False
    edited: bool = False
    review: bool = False
    """Its confidence is below the connection's ``review_below``."""


class TimelineEntry(Part):
    """An event of the case. ``date`` is ``YYYY-MM-DD`` or an instant in ISO 8601; ``documents`` are vendor ids."""

    title: str | None = None
    description: str | None = None
    date: str | None = None
    documents: list[str] = Field(default_factory=list)


class Dates(Part):
    """Dates that a document speaks of."""

    event: str | None = None
    start: str | None = None
    end: str | None = None


class Scores(Part):
    """How strongly a document supports each party, 0 to 10; not complementary."""

    claimant: float | None = None
    defendant: float | None = None


class DocumentResult(Part):
    """What came of one document. ``status`` is the vendor's own word; ``error`` says why it failed."""

    document_id: str | None = None
    name: str | None = None
    status: str | None = None
    error: str | None = None
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
