"""Data of the version before revisions is listed, shown and fetched."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Dossier
from tests.version1 import STORED, put_version_1


def test_case_of_the_previous_version_is_listed_shown_and_fetched(dossier: Dossier, tmp_path: Path) -> None:
    """Its files are those that were stored, byte for byte."""
    put_version_1(dossier.cloud)
    [listed] = dossier.json("list")
    assert (listed["reference"], listed["status"]) == ("R-1", "completed")
    shown = dossier.json("status", "R-1")
    assert (shown["status"], shown["case_id"], len(shown["artifacts"])) == ("completed", STORED["case_id"], 3)
    assert "completed" in dossier("status", "R-1").stdout
    fetched = dossier("fetch", "R-1", tmp_path)
    assert fetched.exit_code == 0, fetched.output
    result = next(tmp_path.rglob("result.json"))
    assert json.loads(result.read_text(encoding="utf-8"))["schema_version"] == "1"
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) >= 5
