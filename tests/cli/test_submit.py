"""``dossier submit``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto.stepfunctions.models import StepFunctionBackend

import cli.submit
import cli.watch
from cli.submit import ACCEPT_SECONDS
from dossier.models import CaseId, CaseInput, CaseStatus
from dossier.steps.identity import execution_name, fingerprint, stranger_reference
from tests.cli.conftest import DOCUMENTS, Dossier


@pytest.fixture
def accepting(dossier: Dossier) -> Dossier:
    """A deployment whose executions are accepted, and then stand still."""
    dossier.whole = False
    return dossier


def test_a_case_is_accepted(accepting: Dossier, invoice: Path) -> None:
    """Without --wait the command ends as soon as Accept has accepted, and says what the case is called."""
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1")
    assert result.exit_code == 0, result.stderr
    assert "INV-1" in result.stdout
    assert accepting.executions()[0].execution_arn in result.stdout
    assert accepting.case("invoices", "INV-1").record.status is CaseStatus.ACCEPTED
    assert len(accepting.case("invoices", "INV-1").documents) == 1


def test_the_execution_is_named_as_accept_would_name_it(accepting: Dossier, tmp_path: Path) -> None:
    """Name and fingerprint are those that Accept computes, odd file names included."""
    odd = tmp_path / "..Rechnung: März?.pdf"
    odd.write_bytes((DOCUMENTS / "invoice.pdf").read_bytes())
    result = accepting("submit", "invoices", odd, "--reference", "INV-1", "--option", "case_title=Mai")
    assert result.exit_code == 0, result.stderr
    record = accepting.case("invoices", "INV-1").record
    name = execution_name(CaseId("invoices", "INV-1"), record.fingerprint)
    assert [each.name for each in accepting.executions()] == [name]


def test_the_input_is_an_execution_input(accepting: Dossier, invoice: Path) -> None:
    """The command sends the documented execution input, with its documents in the bucket's staging folder."""
    accepting("submit", "claims", invoice, "--reference", "C-1", "--option", "trigger_workflow=false")
    sent = json.loads(accepting.executions()[0].execution_input)
    case = CaseInput.parse(sent)
    assert case.options == {"trigger_workflow": False}
    assert case.documents[0].name == "invoice.pdf"
    assert case.documents[0].uri.startswith("s3://artifacts/staging/claims/")
    assert case.documents[0].uri.endswith("/0-invoice.pdf")


def test_the_same_content_gets_the_same_reference(accepting: Dossier, invoice: Path) -> None:
    """A reference made by the command is readable, and the same for the same content."""
    first = accepting.json("submit", "invoices", invoice)
    second = accepting.json("submit", "invoices", invoice)
    assert first["reference"] == second["reference"]
    assert first["reference"].startswith("invoice-")
    assert (first["outcome"], second["outcome"]) == ("accepted", "already_submitted")
    assert len(accepting.executions()) == 1


@pytest.mark.parametrize(
    ("name", "stem"),
    [("Übersicht 2024 (final).pdf", "Ubersicht-2024-final"), ("請求書.pdf", "case"), (f"{'x' * 90}.pdf", "x" * 40)],
)
def test_a_reference_is_made_of_any_file_name(accepting: Dossier, tmp_path: Path, name: str, stem: str) -> None:
    """Whatever a file is called, its reference is a valid one that resembles it."""
    path = tmp_path / name
    path.write_bytes((DOCUMENTS / "invoice.pdf").read_bytes())
    reference = accepting.json("submit", "invoices", path)["reference"]
    assert reference.rpartition("-")[0] == stem


def test_other_options_make_another_reference(accepting: Dossier, invoice: Path) -> None:
    """The same file with other options is another case."""
    first = accepting.json("submit", "invoices", invoice)["reference"]
    assert first != accepting.json("submit", "invoices", invoice, "--option", "case_title=May")["reference"]


def test_a_resubmission_uploads_nothing(accepting: Dossier, invoice: Path) -> None:
    """A case that is known already is reported with its present status."""
    accepting("submit", "invoices", invoice, "--reference", "INV-1")
    accepting.change("invoices", "INV-1", status=CaseStatus.WAITING)
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1")
    assert result.exit_code == 0
    assert "INV-1 was already submitted" in result.stderr
    assert "its status is waiting" in result.stderr
    assert "uploading" not in result.stderr
    assert len(accepting.executions()) == 1


def test_a_file_that_is_staged_already_is_not_uploaded_again(accepting: Dossier, invoice: Path) -> None:
    """A submission that was interrupted after its upload continues from there."""
    assert "uploading 1 file" in accepting("submit", "invoices", invoice, "--wait", "--timeout", "0").stderr
    assert "uploading" not in accepting("submit", "invoices", invoice).stderr


def test_unknown_outcome_at_the_timeout_is_exit_code_3(accepting: Dossier, invoice: Path) -> None:
    """If Accept has not decided in time, the command says where to look."""
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--wait", "--timeout", "0", "--json")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith("dossier: case INV-1 is started, but not accepted yet: see")
    assert json.loads(result.stdout)["error"]["type"] == "NotFinishedError"


@pytest.mark.parametrize(
    ("content", "words", "reason"),
    [
        (b"", (), "document invoice.pdf is empty: submit a file with content"),
        (b"hello", (), "document invoice.pdf is of an unknown type: docustack reads JPEG, PDF, TIFF"),
        (b"%PDF-1.7", ("--option", "colour=red"), 'unknown option "colour"'),
    ],
)
def test_rejected_case_ends_with_its_reason(
    accepting: Dossier, invoice: Path, content: bytes, words: tuple[str, ...], reason: str
) -> None:
    """A case that Accept would reject ends with one line that has the reason, and exit code 1."""
    invoice.write_bytes(content)
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", *words)
    assert result.exit_code == 1
    assert reason in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("dossier: ")


def test_rejection_as_json(accepting: Dossier, invoice: Path) -> None:
    """With --json a rejection is one document with the error; nothing was uploaded or started."""
    invoice.write_bytes(b"")
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--json")
    document = json.loads(result.stdout)
    assert (document["outcome"], document["status"]) == ("refused", "failed")
    assert document["error"]["type"] == "InvalidCaseError"
    assert document["error"]["message"] == document["reason"]
    assert document["reason"].startswith("document invoice.pdf is empty")
    assert document["execution_arn"] is None
    assert accepting.executions() == []
    assert list(accepting.cloud.app.objects.list("")) == []


def test_rejected_case_may_be_submitted_again(accepting: Dossier, invoice: Path) -> None:
    """A case that was rejected because of a setting may be submitted again once the setting is fixed."""
    connections, accepting.connections = accepting.connections, {}
    assert accepting("submit", "invoices", invoice, "--reference", "INV-1").exit_code == 1
    accepting.connections = connections
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1")
    assert result.exit_code == 0, result.stderr
    assert [each.name[-3:] for each in accepting.executions()][1] == "-r2"


def test_a_corrected_case_takes_the_reference(accepting: Dossier, invoice: Path) -> None:
    """A rejected case leaves its reference free for a corrected one."""
    good = invoice.read_bytes()
    invoice.write_bytes(b"")
    assert accepting("submit", "invoices", invoice, "--reference", "INV-1").exit_code == 1
    invoice.write_bytes(good)
    assert accepting("submit", "invoices", invoice, "--reference", "INV-1").exit_code == 0


def test_other_content_under_a_used_reference_is_rejected(accepting: Dossier, invoice: Path) -> None:
    """A reference belongs to its content; its case is not changed."""
    accepting("submit", "invoices", invoice, "--reference", "INV-1")
    invoice.write_bytes(b"%PDF-1.7 another")
    for _ in range(2):
        result = accepting("submit", "invoices", invoice, "--reference", "INV-1")
        assert result.exit_code == 1
        assert "reference INV-1 belongs to a case with other content" in result.stderr.splitlines()[-1]
        assert "; invoice.pdf has other bytes: use another reference" in result.stderr
    assert len(accepting.executions()) == 1
    assert accepting.case("invoices", "INV-1").record.status is CaseStatus.ACCEPTED


def test_a_failed_case_is_not_submitted_again(accepting: Dossier, invoice: Path) -> None:
    """A case that failed is reported as such, with how to send it back to work."""
    accepting("submit", "invoices", invoice, "--reference", "INV-1")
    accepting.change("invoices", "INV-1", status=CaseStatus.FAILED, reason="the vendor is gone")
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1")
    assert result.exit_code == 1
    assert "the vendor is gone" in result.stderr.splitlines()[-1]
    assert "dossier redrive INV-1" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("invoices", "missing.pdf"), "there is no file missing.pdf"),
        (("invoices", "/tmp"), "/tmp is not a regular file but a folder: give its files, such as /tmp/*"),
        (("nobody", "{invoice}"), 'unknown connection "nobody": use one of claims, disputes, invoices'),
        (("invoices", "{invoice}", "--reference", "a/b"), "reference: use 1 to 100 letters, digits"),
        (("invoices", "{invoice}", "--option", "oops"), 'option "oops" is not of the form key=value'),
        (("invoices", "{invoice}", "--option", "a=1", "--option", "a=2"), 'option "a" is given twice'),
        (("invoices",), "there is nothing to submit"),
        (("invoices", "{invoice}", "--timeout", "soon"), "Invalid value for '--timeout'"),
        (("invoices", "{invoice}", "--timeout", "9"), "--timeout needs --wait"),
    ],
)
def test_bad_usage_uploads_nothing(accepting: Dossier, invoice: Path, words: tuple[str, ...], message: str) -> None:
    """A mistake that the command detects is exit code 2 and one line, with nothing in the bucket."""
    result = accepting("submit", *(word.replace("{invoice}", str(invoice)) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(accepting.cloud.app.objects.list("")) == []


@pytest.mark.parametrize(
    ("connection", "option", "value"),
    [
        ("claims", "trigger_workflow=true", True),
        ("claims", "trigger_workflow=false", False),
        ("claims", "case_title=true", "true"),
        ("claims", "case_title=2024", "2024"),
        ("invoices", "case_title=10045", "10045"),
        ("invoices", "case_title=007", "007"),
        ("invoices", "case_title=-1.5e3", "-1.5e3"),
        ("invoices", "case_title=a=b", "a=b"),
    ],
)
def test_text_stays_text(accepting: Dossier, invoice: Path, connection: str, option: str, value: object) -> None:
    """Only an option that the vendor declares as true or false becomes that; a title that is a year is a title."""
    result = accepting("submit", connection, invoice, "--reference", "INV-1", "--option", option)
    assert result.exit_code == 0, result.stderr
    (sent,) = json.loads(accepting.executions()[0].execution_input)["options"].values()
    assert (sent, type(sent)) == (value, type(value))


def test_the_options_of_a_connection_are_listed(accepting: Dossier) -> None:
    """``--option help`` says what the connection's vendor declares, and starts nothing."""
    listed = accepting("submit", "claims", "--option", "help")
    assert listed.exit_code == 0
    assert "trigger_workflow" in listed.stdout
    assert "true or false" in listed.stdout
    names = [each["option"] for each in accepting.json("submit", "invoices", "--option", "help")]
    assert names == ["case_title", "by_reference", "schema_id"]
    assert accepting.executions() == []


@pytest.mark.rule("docustack batch dossier submit accepts URLs and S3 URIs")
def test_documents_that_are_not_files_are_submitted(accepting: Dossier) -> None:
    """URLs are sent to the vendor unchanged, with decoded names; Dossier copies an object in S3, as Accept does."""
    uri = accepting.cloud.put("staging/invoices/x/Rechnung%201.pdf", (DOCUMENTS / "invoice.pdf").read_bytes())
    web = "HTTPS://files.example.com/a%20b/M%C3%A4rz%202025.pdf?sig=1#x"
    result = accepting("submit", "invoices", web, uri.replace("s3://", "S3://"), "--reference", "INV-1")
    assert result.exit_code == 0, result.stderr
    sent = json.loads(accepting.executions()[0].execution_input)["documents"]
    assert sent == [
        {"uri": web.replace("HTTPS", "https"), "name": "März 2025.pdf"},
        {"uri": uri, "name": "Rechnung%201.pdf"},
    ]
    case = accepting.case("invoices", "INV-1")
    assert [each.ref for each in case.documents] == [sent[0]["uri"], None]
    name = execution_name(CaseId("invoices", "INV-1"), case.record.fingerprint)
    assert [each.name for each in accepting.executions()] == [name]


def test_a_warning_is_shown_before_the_end(accepting: Dossier) -> None:
    """An encrypted document is accepted with a warning about what may happen to it."""
    result = accepting("submit", "invoices", DOCUMENTS / "encrypted.pdf", "--reference", "INV-1")
    assert result.exit_code == 0
    assert "warning: encrypted.pdf is an encrypted PDF" in result.stderr


def test_a_vendor_case_is_collected(accepting: Dossier) -> None:
    """With --case-id alone nothing is uploaded; its reference is the one that a delivery about it would have."""
    document = accepting.json("submit", "claims", "--case-id", "case_42")
    assert document["reference"] == stranger_reference("case_42")
    sent = json.loads(accepting.executions()[0].execution_input)
    assert sent == {
        "connection": "claims",
        "reference": stranger_reference("case_42"),
        "documents": [],
        "options": {},
        "case_id": "case_42",
    }


def test_waiting_ends_with_the_case(dossier: Dossier, invoice: Path) -> None:
    """With --wait the command ends when the case has, and says where its result is."""
    result = dossier("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "completed" in result.stdout
    assert "s3://artifacts/cases/invoices/INV-1/result.json" in result.stdout
    assert "dossier fetch INV-1 DIR" in result.stdout


def test_waiting_prints_one_line_for_each_change(accepting: Dossier, invoice: Path) -> None:
    """Where there is no terminal, each change is one line."""
    accepting.then = [
        lambda: accepting.change("invoices", "INV-1", status=CaseStatus.UPLOADING),
        lambda: None,
        lambda: accepting.change("invoices", "INV-1", status=CaseStatus.WAITING),
        lambda: accepting.change("invoices", "INV-1", note="asked 3 times"),
        lambda: accepting.change("invoices", "INV-1", status=CaseStatus.COMPLETED, note=None),
    ]
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("INV-1: ")] == [
        "INV-1: accepted",
        "INV-1: uploading, 0 of 1 document sent",
        "INV-1: waiting, 0 of 1 document read",
        "INV-1: waiting, asked 3 times",
        "INV-1: completed",
    ]


def test_waiting_for_a_case_that_fails(accepting: Dossier, invoice: Path) -> None:
    """A case that fails is exit code 1, its reason the last line."""
    accepting.then = [
        lambda: accepting.change("invoices", "INV-1", status=CaseStatus.FAILED, reason="the key was refused")
    ]
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--wait", "--json")
    assert result.exit_code == 1
    assert "case INV-1 failed: the key was refused" in result.stderr.splitlines()[-1]
    document = json.loads(result.stdout)
    assert (document["status"], document["reason"]) == ("failed", "the key was refused")


def test_waiting_too_long_is_exit_code_3(accepting: Dossier, invoice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that is not finished in time continues; the command says how to follow it."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        accepting.tick(seconds)

    for module in (cli.submit, cli.watch):  # a slow machine takes three seconds to accept a case
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep))
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--wait", "--timeout", "3", "--json")
    assert result.exit_code == 3
    assert (
        "and continues: follow it with `dossier status INV-1 --connection invoices`" in result.stderr.splitlines()[-1]
    )
    assert json.loads(result.stdout)["status"] == "accepted"
    assert 3 <= sum(slept) < 4


def test_waiting_for_a_case_that_needs_attention_is_exit_code_4(accepting: Dossier, invoice: Path) -> None:
    """The command returns at once with the question and the command that answers it."""
    accepting.then = [lambda: accepting.ask("invoices", "INV-1", "upload-0")]
    result = accepting("submit", "invoices", invoice, "--reference", "INV-1", "--wait", "--json")
    assert result.exit_code == 4
    assert result.stderr.count("was it created?") == 1
    assert result.stderr.count("dossier resolve INV-1") == 1
    document = json.loads(result.stdout)
    assert document["status"] == "needs_attention"
    assert document["error"] == {
        "type": "NeedsAnswerError",
        "message": "case INV-1 needs attention: was it created?",
        "fix": "run `dossier resolve INV-1 --connection invoices (--retry | --use ID | --give-up)`",
    }


def test_waiting_for_a_known_case(accepting: Dossier, invoice: Path) -> None:
    """A resubmission with --wait waits for the case that there is."""
    accepting("submit", "invoices", invoice, "--reference", "INV-1")
    accepting.then = [lambda: accepting.change("invoices", "INV-1", status=CaseStatus.COMPLETED)]
    document = accepting.json("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    assert (document["status"], document["outcome"]) == ("completed", "already_submitted")


def test_the_fingerprint_is_of_the_contents(accepting: Dossier, invoice: Path) -> None:
    """The case that is claimed has the fingerprint by which the command knows it again."""
    accepting("submit", "invoices", invoice, "--reference", "INV-1")
    case = accepting.case("invoices", "INV-1")
    sent = CaseInput.parse(json.loads(accepting.executions()[0].execution_input))
    contents = [(each.name, each.sha256) for each in case.documents]
    assert case.record.fingerprint == fingerprint(sent, contents)


def test_unaccepted_case_is_looked_up_rarely(dossier: Dossier, invoice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute without a decision of Accept costs a few DescribeExecution calls, whose quota is shared."""
    clock, asked, real = [time.monotonic()], [], StepFunctionBackend.describe_execution

    def describe(backend: StepFunctionBackend, arn: str) -> object:
        asked.append(clock[0])
        return real(backend, arn)

    monkeypatch.setattr(StepFunctionBackend, "describe_execution", describe)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    started = clock[0]
    result = dossier("submit", "invoices", invoice, "--reference", "INV-1", "--json")
    assert result.exit_code == 3, result.stderr
    assert clock[0] - started >= ACCEPT_SECONDS
    assert 2 <= len(asked) <= 8


def test_a_case_of_low_priority_says_so(dossier: Dossier, invoice: Path) -> None:
    """The record has it from the input; another word is bad usage."""
    assert dossier("submit", "invoices", invoice, "--reference", "INV-1", "--priority", "low").exit_code == 0
    assert dossier("submit", "invoices", invoice, "--reference", "INV-2", "--allow-duplicates").exit_code == 0
    assert [dossier.case("invoices", each).record.priority for each in ("INV-1", "INV-2")] == ["low", "normal"]
    wrong = dossier("submit", "invoices", invoice, "--priority", "high")
    assert wrong.exit_code == 2
    assert "'high' is not one of 'normal', 'low'" in wrong.stderr
