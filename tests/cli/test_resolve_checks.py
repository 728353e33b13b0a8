"""``dossier resolve --use`` looks an id up at the vendor before anything is stored, against the sandbox as it runs."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from cli import resolve
from dossier.models import CaseId
from tests.cli.conftest import Dossier
from tests.local.sandbox.sandboxes import LiveSandbox

WHAT = {"invoices": "upload-0", "claims": "upload-0", "disputes": "open"}
NOWHERE = {"invoices": "foo", "claims": "foo", "disputes": str(uuid.uuid4())}


def ask(asking: Dossier, connection: str, invoice: Path) -> None:
    """Have a case ask about the outcome of its first request."""
    asking.whole = False
    assert asking("submit", connection, invoice, "--reference", "R-1").exit_code == 0
    asking.cloud.app.intents.begin(CaseId(connection, "R-1"), WHAT[connection], names=["invoice.pdf"], known=())
    asking.ask(connection, "R-1", WHAT[connection])


def made(sandbox: LiveSandbox, connection: str, name: str = "invoice.pdf", own_id: str = "R-1") -> str:
    """Have the vendor create the object that the case asked for; return its id."""
    if connection == "invoices":
        return str(sandbox.docustack_upload(name).json()["document_id"])
    if connection == "claims":
        return str(sandbox.docsumo_upload(name).json()["data"]["case_id"])
    return str(sandbox.ombudsman_case(external_case_id=own_id).json()["case_id"])


def stays_open(asking: Dossier, connection: str) -> None:
    """Nothing was stored, nothing answered."""
    intent = asking.cloud.app.intents.find(CaseId(connection, "R-1"), WHAT[connection])
    assert intent is not None
    assert intent.adopt is None
    assert [each.what for each in asking.case(connection, "R-1").questions] == [WHAT[connection]]
    assert asking.answers == {}


@pytest.mark.parametrize("connection", WHAT)
def test_id_unknown_to_the_vendor_is_rejected(asking: Dossier, connection: str, invoice: Path) -> None:
    """One clear line before anything is stored; the question stays open, and the right id answers it."""
    ask(asking, connection, invoice)
    for wrong in (NOWHERE[connection], "../other"):
        result = asking("resolve", "R-1", "--use", wrong)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert "nothing changed and the question stays open" in result.stderr
        assert f"see `dossier resolve R-1 --connection {connection}`" in result.stderr
        stays_open(asking, connection)


@pytest.mark.parametrize("connection", WHAT)
def test_the_right_id_is_taken(asking: Dossier, sandbox: LiveSandbox, connection: str, invoice: Path) -> None:
    """It exists, belongs to this connection, and has the name of the document that was sent."""
    ask(asking, connection, invoice)
    right = made(sandbox, connection)
    result = asking("resolve", "R-1", "--use", right)
    assert result.exit_code == 0, result.stderr
    intent = asking.cloud.app.intents.find(CaseId(connection, "R-1"), WHAT[connection])
    assert intent is not None
    assert intent.adopt == right
    assert asking.answers == {f"token-{WHAT[connection]}": True}


@pytest.mark.parametrize("connection", ["invoices", "claims"])
def test_different_name_is_rejected_without_force(
    asking: Dossier, sandbox: LiveSandbox, connection: str, invoice: Path
) -> None:
    """The line says how the vendor names it; ``--force`` accepts it anyway."""
    ask(asking, connection, invoice)
    sandbox.set(seconds=3600)  # before the vendor adds its own files
    other = made(sandbox, connection, "holiday-snapshot.pdf")
    result = asking("resolve", "R-1", "--use", other)
    assert result.exit_code == 1
    assert "is called holiday-snapshot.pdf at the vendor, but invoice.pdf was sent" in result.stderr
    assert "add --force if it is right nevertheless" in result.stderr
    stays_open(asking, connection)
    assert asking("resolve", "R-1", "--use", other, "--force").exit_code == 0


def test_case_that_already_has_another_id_is_rejected(asking: Dossier, sandbox: LiveSandbox, invoice: Path) -> None:
    """The Ombudsman says whose a case is: no ``--force`` passes over that."""
    ask(asking, "disputes", invoice)
    other = made(sandbox, "disputes", own_id="R-2")
    for more in ((), ("--force",)):
        result = asking("resolve", "R-1", "--use", other, *more)
        assert result.exit_code == 1
        assert "has external_case_id R-2, but this case's is R-1" in result.stderr
        stays_open(asking, "disputes")


def test_unreachable_vendor_leaves_the_question_open(
    asking: Dossier, sandbox: LiveSandbox, invoice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command retries transport errors; a lasting one ends it, and nothing was stored."""
    monkeypatch.setattr(resolve, "PAUSE", 0)
    ask(asking, "invoices", invoice)
    right = made(sandbox, "invoices")
    fault = {"name": "error_before", "rate": 1, "operation": "document", "status": 503}
    sandbox.set(faults=[{**fault, "times": 100}])
    result = asking("resolve", "R-1", "--use", right)
    assert result.exit_code == 1
    assert "cannot be looked up at the vendor" in result.stderr
    stays_open(asking, "invoices")
    sandbox.set(faults=[{**fault, "times": 2}])
    asking.cloud.app.limiter.succeeded("invoices")
    assert asking("resolve", "R-1", "--use", right).exit_code == 0


def test_without_settings_the_step_looks_the_id_up(
    asking: Dossier, invoice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has no connections file says that it did not look; the step does, and asks again."""
    ask(asking, "invoices", invoice)
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(tmp_path / "none.toml"))
    result = asking("resolve", "R-1", "--use", "foo")
    assert result.exit_code == 0
    assert "the case looks foo up itself, and asks again if it is wrong" in result.stderr
