"""``dossier up`` and ``dossier down``: the command's output for the results of ``local.control``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import target
from cli.local import INTERRUPTED, resume_interrupted
from cli.main import app
from dossier.models import CaseStatus, now
from dossier.stores.cases import CaseRecord
from local import control
from local.home import LocalError, LocalState
from tests.cli.conftest import Dossier


def run(*words: str) -> Result:
    """Run ``dossier`` in this process."""
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of ``control.up``, which starts nothing here."""
    calls: list[dict[str, Any]] = []

    def up(*, report: Callable[[str], None], **wanted: Any) -> None:
        calls.append(wanted)
        report("deploying")

    monkeypatch.setattr(control, "up", up)
    return calls


def test_up_prints_the_outputs(local_aws: LocalState, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    """Progress goes to stderr, the outputs to stdout."""
    file = tmp_path / "mine.toml"
    file.touch()
    result = run("up", "--reset", "--connections", str(file), "--json")
    assert result.exit_code == 0, result.stderr
    assert asked == [{"connections": file, "reset": True}]
    assert result.stderr == "deploying\n"
    assert local_aws.outputs is not None
    outputs = json.loads(result.stdout)
    assert outputs["bucket"] == local_aws.outputs.bucket
    assert outputs["inbox"] == f"s3://{local_aws.outputs.bucket}/inbox/<connection>/"


def test_up_with_a_file_that_is_not_there(asked: list[dict[str, Any]], nowhere: None) -> None:
    """A connections file that does not exist is bad usage, and starts nothing."""
    result = run("up", "--connections", "missing.toml")
    assert result.exit_code == 2
    assert result.stderr == "dossier: there is no connections file missing.toml\n"
    assert asked == []


def test_a_deployment_that_fails(monkeypatch: pytest.MonkeyPatch, nowhere: None) -> None:
    """The details come first; the error is the last line."""

    def up(**_: Any) -> None:
        raise LocalError("cdk deploy failed\n  connections.toml: [claims] vendor: missing\n  (full log: deploy.log)")

    monkeypatch.setattr(control, "up", up)
    result = run("up", "--json")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "  connections.toml: [claims] vendor: missing",
        "  (full log: deploy.log)",
        "dossier: cdk deploy failed",
    ]
    assert json.loads(result.stdout)["error"]["message"] == "cdk deploy failed"


def test_the_mistakes_of_a_file_are_reported_in_its_order(monkeypatch: pytest.MonkeyPatch, nowhere: None) -> None:
    """The first one is the error, the others are below it."""
    mistakes = [f"connections.toml: [claims] {key}: missing (line {line})" for line, key in enumerate(("a", "b", "c"))]

    def up(**_: Any) -> None:
        raise LocalError("\n".join(mistakes))

    monkeypatch.setattr(control, "up", up)
    result = run("up", "--json")
    assert result.stderr.splitlines() == [f"dossier: {mistakes[0]}", *mistakes[1:]]
    document = json.loads(result.stdout)
    assert [document["error"]["message"], *document["details"]] == mistakes


def test_down_with_nothing_up(nowhere: None) -> None:
    """Stopping without anything running is no error."""
    result = run("down", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"stopped": []}
    assert result.stderr == "nothing was running\n"


def test_down_reports_what_it_stopped(monkeypatch: pytest.MonkeyPatch, nowhere: None) -> None:
    """The output names what was stopped."""

    def down(*, report: Callable[[str], None]) -> None:
        report("stopped the local AWS")

    monkeypatch.setattr(control, "down", down)
    assert json.loads(run("down", "--json").stdout) == {"stopped": ["the local AWS"]}


def test_interrupted_cases_are_resumed(dossier: Dossier, invoice: Path) -> None:
    """A case whose execution ended with the local AWS continues where it stopped; ended and running ones are left."""
    dossier.whole = False
    for reference in ("interrupted", "running", "ended"):
        dossier("submit", "invoices", invoice, "--reference", reference)
    for execution in dossier.executions():
        execution.status = "RUNNING" if "running" in execution.name else "FAILED"
    dossier.change("invoices", "ended", status=CaseStatus.COMPLETED)
    where = target.find()

    assert resume_interrupted(where) == 1

    resumed = [json.loads(each.execution_input) for each in dossier.executions()]
    assert [each["reference"] for each in resumed if each.get("resume")] == ["interrupted"]
    assert dossier.case("invoices", "interrupted").record.reason == INTERRUPTED
    assert dossier.case("invoices", "running").record.status is CaseStatus.ACCEPTED


def test_case_interrupted_before_its_documents_were_stored_can_be_submitted_again(dossier: Dossier) -> None:
    """There is nothing to resume: the case is rejected with its reason, and its reference is free."""
    at = now()
    record = CaseRecord(
        connection="invoices",
        reference="early",
        status=CaseStatus.ACCEPTED,
        execution_arn=dossier.cloud.app.executions.arn_of("early"),
        submitted_at=at,
        updated_at=at,
    )
    dossier.cloud.app.cases.claim(record)
    where = target.find()

    assert resume_interrupted(where) == 0

    stored = dossier.case("invoices", "early").record
    assert (stored.status, stored.refused, stored.reason) == (CaseStatus.FAILED, True, INTERRUPTED)
