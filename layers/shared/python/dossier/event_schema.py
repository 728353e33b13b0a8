"""The content of the events on the bus, as models; ``docs/events.schema.json`` is their JSON Schema.

A version only adds keys. A change of a key's meaning, or its removal, makes the next version.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

EVENTS_VERSION = "1"
_REF = "#/$defs/{model}"


class Detail(BaseModel):
    """The keys of every event."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    connection: str
    reference: str
    vendor: str | None
    case_id: str | None


class CaseDetail(Detail):
    """A case that has ended, or a new revision of one."""

    status: Literal["completed", "completed_with_failures", "uploaded", "failed", "cancelled"]
    revision: int = Field(ge=0)
    collected_at: str | None
    vendor_status: str | None
    stage_id: str | None
    assigned_to: str | None
    reason: str | None
    review: bool
    warnings: int = Field(ge=0, description="The number of warnings of the result.")
    bucket: str
    result: str = Field(description="Key of result.json.")
    manifest: str = Field(description="Key of manifest.json.")


class UpdatedDetail(CaseDetail):
    """A new revision; ``changes`` has only the keys that changed (docs/updates.md)."""

    changes: dict[str, Any]


class CandidateDetail(BaseModel):
    """A vendor's object that may be the answer."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    id: str
    name: str | None
    created: str | None


class QuestionDetail(Detail):
    """A question to an operator; ``answers`` are the commands that answer it."""

    status: Literal["needs_attention"]
    reason: str
    question: str
    candidates: list[CandidateDetail]
    answers: list[str]


DETAILS: dict[str, type[Detail]] = {
    "Case Completed": CaseDetail,
    "Case Updated": UpdatedDetail,
    "Case Failed": CaseDetail,
    "Case Needs Attention": QuestionDetail,
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an event: ``source``, ``detail-type`` and ``detail``."""
    models = [(each, "validation") for each in dict.fromkeys(DETAILS.values())]
    _, found = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]  # the modes are literals
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Dossier events, version {EVENTS_VERSION}",
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {"source": {"const": "dossier"}, "detail-type": {"enum": [*DETAILS]}},
        "oneOf": [
            {"properties": {"detail-type": {"const": kind}, "detail": {"$ref": _REF.format(model=model.__name__)}}}
            for kind, model in DETAILS.items()
        ],
        "$defs": found["$defs"],
    }
