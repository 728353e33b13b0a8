"""``dossier forget``: erase a case, and check certificates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dossier.certificates import problems
from tests.cli.conftest import Dossier


@pytest.fixture
def finished(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with a case that has ended."""
    sqs = dossier.cloud.session.client("sqs")
    for each in ("wake-dlq", "drop-dlq", "poll-invoices-dlq"):
        sqs.create_queue(QueueName=f"dossier-dev-{each}")
    assert dossier("submit", "invoices", invoice, "--reference", "INV-1", "--wait").exit_code == 0
    return dossier


def test_a_case_is_erased_with_what_it_was_submitted_from(finished: Dossier, invoice: Path, tmp_path: Path) -> None:
    """The command shows what was erased and what remains, and the certificate is in the bucket."""
    app = finished.cloud.app
    staged = [key for key, _ in app.objects.list("staging/")]
    [document] = finished.case("invoices", "INV-1").documents
    result = finished("forget", "INV-1")
    assert result.exit_code == 0, result.stderr
    assert "INV-1 is erased: " in result.stdout
    assert re.search(rf"ask docustack to delete .*{document.document_id}", result.stdout)
    assert "Step Functions" in result.stdout
    assert staged
    assert [key for key, _ in app.objects.list("")] == [key for key, _ in app.objects.list("erasures/")]
    assert finished("status", "INV-1").exit_code == 1
    [(key, _)] = app.objects.list("erasures/")
    certificate = json.loads(app.objects.read(key) or b"")
    assert problems([certificate]) == []
    again = finished("forget", "INV-1")
    assert again.exit_code == 1
    assert f"its certificate is {key}" in again.stderr
    file = tmp_path / "certificate.json"
    file.write_text(json.dumps(certificate))
    assert finished.json("forget", "--verify", file)["sha256"] == certificate["sha256"]
    file.write_text(json.dumps({**certificate, "removed": {}}))
    changed = finished("forget", "--verify", tmp_path)
    assert changed.exit_code == 1
    assert "certificate 1" in changed.stderr
    file.write_text("{}")
    assert finished("forget", "--verify", file).exit_code == 2
    assert finished("forget", "--verify", file, "INV-1").exit_code == 2
    assert finished("forget").exit_code == 2

    rejected = finished("submit", "invoices", invoice, "--reference", "INV-1")
    assert rejected.exit_code == 1
    assert "was erased at" in rejected.stderr
    assert "--again" in rejected.stderr
    assert [key for key, _ in app.objects.list("staging/")] == []
    sent = finished("submit", "invoices", invoice, "--reference", "INV-1", "--again", "--wait")
    assert sent.exit_code == 0, sent.stderr
    assert finished.json("status", "INV-1")["status"] == "completed"


def test_a_case_that_runs_is_cancelled_first(finished: Dossier, invoice: Path) -> None:
    """The line names the command that does so; a case that never existed is unknown."""
    finished.whole = False
    finished("submit", "invoices", invoice, "--reference", "INV-2")
    finished.tick()
    result = finished("forget", "INV-2")
    assert result.exit_code == 1
    assert "case INV-2 is accepted: cancel it first (dossier cancel INV-2 --connection invoices)" in result.stderr
    assert finished("cancel", "INV-2").exit_code == 0
    assert finished.json("forget", "INV-2")["reference"] == "INV-2"
    assert "there is no case INV-3 at" in finished("forget", "INV-3").stderr
