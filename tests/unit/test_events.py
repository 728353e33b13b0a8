"""The sample events and inputs under ``events/`` are valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dossier.models import CaseInput

EXECUTIONS = sorted((Path(__file__).parents[2] / "events" / "executions").glob("*.json"))


@pytest.mark.parametrize("file", EXECUTIONS, ids=lambda file: file.stem)
def test_every_sample_input_is_accepted(file: Path) -> None:
    """Each input that the README offers parses."""
    case = CaseInput.parse(json.loads(file.read_text()))
    assert case.documents or case.case_id
