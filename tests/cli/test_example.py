"""``dossier example``: Accept accepts its output unchanged."""

from __future__ import annotations

import json
import shlex

import pytest

from cli.example import DOCUMENT, example, page
from cli.output import Output
from cli.target import find
from dossier import media
from dossier.models import CaseStatus
from tests.cli.conftest import Dossier
from tests.machine import ROOT


@pytest.fixture
def accepting(dossier: Dossier) -> Dossier:
    """A deployment whose executions are accepted, and then stand still."""
    dossier.whole = False
    return dossier


def started(dossier: Dossier, text: str) -> None:
    """Start an execution with an input as it is pasted, and let Accept judge it."""
    dossier.cloud.app.executions.start("pasted", json.loads(text))
    dossier.tick()


@pytest.mark.parametrize("connection", ["invoices", "claims", "disputes"])
def test_the_printed_input_is_accepted(accepting: Dossier, connection: str) -> None:
    """The JSON on the screen, pasted, is a case with one document; printing it submits nothing."""
    result = accepting("example", connection)
    assert result.exit_code == 0, result.stderr
    assert accepting.executions() == []
    text = result.stdout.partition("\n\n")[0]
    started(accepting, text)
    case = accepting.case(connection, json.loads(text)["reference"])
    assert case.record.status is CaseStatus.ACCEPTED
    assert [each.name for each in case.documents] == [DOCUMENT]
    assert case.record.options == {"case_title": "Example"}


def test_the_printed_input_is_indented_and_its_options_are_explained(accepting: Dossier) -> None:
    """The input looks as in the README, and programs read what each option does too."""
    text = accepting("example", "claims").stdout.partition("\n\n")[0]
    assert text == json.dumps(json.loads(text), indent=2)
    options = accepting.json("example", "claims")["options"]
    listed = accepting.json("submit", "claims", "--option", "help")
    assert options == listed
    assert all(each["says"] for each in options)


def test_the_printed_command_has_the_same_input(accepting: Dossier) -> None:
    """The AWS CLI's command names the state machine, and has the input in one piece for a shell."""
    document = accepting.json("example", "claims")
    words = shlex.split(document["aws_cli"][0])
    assert words[:3] == ["aws", "stepfunctions", "start-execution"]
    assert words[words.index("--state-machine-arn") + 1] == accepting.cloud.app.environment.state_machine_arn
    assert json.loads(words[words.index("--input") + 1]) == document["input"]
    assert {"case_title", "trigger_workflow"} <= {each["option"] for each in document["options"]}
    assert document["console"][0].startswith("open https://")
    assert document["drop"][0].startswith("aws s3 cp FILE.pdf s3://artifacts/inbox/claims/")


def test_commands_for_the_local_aws_have_its_credentials(
    accepting: Dossier, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without an AWS account has none, and the AWS CLI sends nothing without; a real account's stay out."""
    local = find().model_copy(update={"endpoint_url": "http://127.0.0.1:4566"})
    example(Output(as_json=True), local, "invoices")
    document = json.loads(capsys.readouterr().out)
    for command in (document["aws_cli"][0], document["drop"][0]):
        words = shlex.split(command)
        assert words[:3] == ["AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "aws"]
        assert words[words.index("--endpoint-url") + 1] == "http://127.0.0.1:4566"
    assert "AWS_SECRET" not in accepting("example", "invoices").stdout


def test_the_example_is_completed(dossier: Dossier) -> None:
    """The vendor reads the example's document."""
    text = dossier("example", "disputes").stdout.partition("\n\n")[0]
    started(dossier, text)
    record = dossier.case("disputes", json.loads(text)["reference"]).record
    assert record.status is CaseStatus.COMPLETED


def test_the_document_is_put_there_once(accepting: Dossier) -> None:
    """A second example finds the document; what another user put there stays."""
    assert "uploaded a one-page document" in accepting("example", "claims").stderr
    assert "uploaded" not in accepting("example", "invoices").stderr


def test_an_unknown_connection(accepting: Dossier) -> None:
    """The known ones are named."""
    result = accepting("example", "nobody")
    assert result.exit_code == 2
    assert 'unknown connection "nobody": use one of claims, disputes, invoices' in result.stderr


def test_the_document_is_a_pdf_of_one_page() -> None:
    """Its offsets are right, so that a strict reader opens it."""
    body = page("Dossier")
    assert media.sniff(body, "x") == media.PDF
    assert media.trouble(media.PDF, body, body) is None
    start = int(body.rpartition(b"startxref\n")[2].split()[0])
    assert body[start:].startswith(b"xref\n0 6\n")
    for number, row in enumerate(body[start:].splitlines()[3:8], start=1):
        assert body[int(row[:10]) :].startswith(b"%d 0 obj\n" % number)


def test_the_readme_has_no_input_that_fails_when_it_is_pasted() -> None:
    """It shows the command that prints one, and no bucket that might be taken for a name."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "dossier example invoices" in readme
    assert "YOUR-" not in readme
