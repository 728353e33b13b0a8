"""``dossier drift``: fields that a vendor's guide does not have, and a recording that the contract suite takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dossier.layout import vendor_folder
from dossier.models import CaseId
from tests.cli.conftest import Dossier
from tests.contract.suite import checks, load
from tests.machine import ROOT

VENDORS = {"claims": "docsumo", "disputes": "ombudsman", "invoices": "docustack"}
SECRET = "Jack Grainger"
"""The personal data in an answer."""


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A copy of the recordings of a checkout."""
    return Path(shutil.copytree(ROOT / "events" / "vendors", tmp_path / "vendors"))


def completed(dossier: Dossier, connection: str, invoice: Path, change: Callable[[Any], None] | None = None) -> None:
    """Complete a case, and change what its vendor has answered."""
    dossier("submit", connection, invoice, "--reference", "R-1")
    dossier.tick()
    objects = dossier.cloud.app.objects
    stats = list(objects.stats(vendor_folder(CaseId(connection, "R-1"))))
    assert stats
    for each in stats if change else ():
        answer = json.loads(objects.read(each.key) or b"")
        change(answer)  # type: ignore[misc]
        objects.write(each.key, json.dumps(answer).encode())


def drifted(answer: Any) -> None:
    """Add a field to an answer, and take one from it."""
    inside = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(inside, dict):
        inside["claimant_of_tomorrow"] = {"name": SECRET, "born": "1971-02-03", "points": 4711}
        inside.pop("filename", None)


@pytest.mark.parametrize("connection", VENDORS)
def test_an_answer_like_the_guides_has_no_drift(
    asking: Dossier, connection: str, invoice: Path, recordings: Path
) -> None:
    """Nothing is listed, and nothing is recorded."""
    completed(asking, connection, invoice)
    found = asking.json("drift", connection, "--record", recordings)
    assert (found["cases"], found["fields"], found["recording"]) == (1, [], None)
    assert found["answers"] > 0
    assert (recordings / VENDORS[connection] / "suite.json").read_text() == (
        ROOT / "events" / "vendors" / VENDORS[connection] / "suite.json"
    ).read_text()


@pytest.mark.parametrize("connection", VENDORS)
def test_drift_is_listed_redacted_and_recorded(
    asking: Dossier, connection: str, invoice: Path, recordings: Path
) -> None:
    """Each new field has its number and an example; the recording passes the contract suite, without personal data."""
    completed(asking, connection, invoice, drifted)
    found = asking.json("drift", connection, "--record", recordings)
    [new] = [each for each in found["fields"] if each["kind"] == "new" and "claimant" in each["field"]][:1]
    assert (new["reference"], set(new["example"])) == ("R-1", {"name", "born", "points"})
    assert new["count"] == new["answers"] >= 1
    folder = recordings / VENDORS[connection]
    written = sorted(each.name for each in folder.glob("seen-*"))
    assert written
    for text in (json.dumps(found), *((folder / name).read_text() for name in written)):
        assert SECRET not in text
        assert "4711" not in text
        assert "1971" not in text
        assert "invoice.pdf" not in text
    suite = load(VENDORS[connection], folder)
    exchange = suite.exchange(found["recording"])
    assert sorted(exchange.raw.values()) == written
    assert exchange.gives["documents"]
    for check in checks(exchange):
        check(suite, exchange)
    again = asking.json("drift", connection, "--record", recordings)["recording"]
    assert again not in {None, found["recording"]}
    assert load(VENDORS[connection], folder).exchange(again)


def test_missing_fields_are_listed(asking: Dossier, invoice: Path) -> None:
    """With how many of the answers lack them; people get a table."""

    def without(answer: Any) -> None:
        if isinstance(answer, dict):
            answer.pop("field_values", None)

    completed(asking, "invoices", invoice, without)
    [field] = asking.json("drift", "invoices")["fields"]
    assert (field["field"], field["kind"], field["count"], field["example"]) == ("field_values", "missing", 1, None)
    shown = asking("drift", "invoices", "--since", "1d", "--limit", "5")
    assert "field_values" in shown.stdout
    assert "1 of 1" in shown.stdout
    assert "0 new fields, 1 missing field" in shown.stderr
    assert asking.json("drift", "invoices", "--since", "2999-01-01")["cases"] == 0


def test_invalid_arguments_say_what_to_do(asking: Dossier, tmp_path: Path) -> None:
    """Another connection, or a folder without recordings."""
    assert asking("drift", "nothing").exit_code == 2
    result = asking("drift", "invoices", "--record", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "has no docustack/suite.json" in result.stderr
