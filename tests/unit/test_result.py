"""The published schema of ``result.json``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema

from dossier.result import FieldValue, Result, json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "result.schema.json"


def test_the_published_schema_matches_the_model() -> None:
    """``docs/`` has the schema of the model; DOSSIER_WRITE_SCHEMA=1 updates it."""
    text = json.dumps(json_schema(), indent=2) + "\n"
    if os.environ.get("DOSSIER_WRITE_SCHEMA"):
        PUBLISHED.write_text(text)
    assert PUBLISHED.read_text() == text


def test_a_result_is_valid_by_the_published_schema() -> None:
    """A written result, whole or empty, validates, and one with a wrong status does not."""
    schema = json.loads(PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = Result(fields=[FieldValue(key="total", name="Total", value="4,200.00", confidence=0.99)])
    for result in (Result(), whole):
        jsonschema.validate(result.model_dump(mode="json"), schema)
    wrong = {**Result().model_dump(mode="json"), "status": "done"}
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)
