"""``dossier redrive``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from typer import testing

from dossier.models import CaseStatus
from tests.cli.conftest import Dossier


@pytest.fixture
def broken(dossier: Dossier, invoice: Path) -> Iterator[Dossier]:
    """A deployment with two cases that failed of one cause, one of another, and dead letters of two queues."""
    dossier.whole = False
    for reference in ("INV-1", "INV-2", "INV-3"):
        dossier("submit", "invoices", invoice, "--reference", reference)
        key = "has no api_key" if reference == "INV-3" else f"page {reference} is dark"
        dossier.change("invoices", reference, status=CaseStatus.FAILED, error="CaseFailedError", reason=key)
    sqs = dossier.cloud.session.client("sqs")
    for queue in ("wake", "poll-claims"):
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}-dlq")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"queue": queue}))

    def cannot(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:  # as the local AWS; moto has no answer at all
        error = {"Error": {"Code": "InvalidAction", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return AWSResponse("https://sqs", 400, {}, None), error

    sqs.meta.events.register("before-call.sqs.StartMessageMoveTask", cannot, unique_id="cannot")
    yield dossier
    sqs.meta.events.unregister("before-call.sqs.StartMessageMoveTask", unique_id="cannot")


def started(dossier: Dossier) -> list[str]:
    """Return the references of cases that were sent back to work."""
    inputs = [json.loads(each.execution_input) for each in dossier.executions()]
    return [each["reference"] for each in inputs if each.get("resume")]


def test_without_a_terminal_it_only_shows(broken: Dossier) -> None:
    """Cases are grouped by cause, dead letters by queue; nothing is sent without being told to."""
    result = broken("redrive")
    assert result.exit_code == 0, result.stderr
    lines = [line.split("  ")[0] for line in result.stdout.splitlines()[1:]]
    assert lines == ["2 cases", "1 case", "1 message", "1 message"]
    for text in (
        "CaseFailedError: page … is dark",
        "invoices INV-2, invoices INV-1",
        "dead letters of queue poll-claims",
    ):
        assert text in result.stdout
    assert "nothing was sent back: --yes does it" in result.stderr
    assert started(broken) == []
    assert broken("redrive", "--dry-run", "--yes").exit_code == 0
    assert started(broken) == []


def test_everything_goes_back_to_work(broken: Dossier) -> None:
    """With --yes each case has a new execution, and each dead letter is in its queue again."""
    document = broken.json("redrive", "--yes")
    assert sorted(started(broken)) == ["INV-1", "INV-2", "INV-3"]
    assert {each["execution_arn"] for each in document["sent"] if "reference" in each} == {
        each.execution_arn for each in broken.executions() if "resume" in each.execution_input
    }
    assert [each for each in document["sent"] if "queue" in each] == [
        {"queue": "wake", "messages": 1}, {"queue": "poll-claims", "messages": 1}
    ]  # fmt: skip
    assert broken.cloud.messages("wake") == ['{"queue": "wake"}']
    broken.tick()
    record = broken.case("invoices", "INV-1").record
    assert (record.status, record.attempt) == (CaseStatus.ACCEPTED, 2)
    assert broken.json("redrive") == {"causes": [], "sent": [], "problems": []}


def test_drops_go_back_to_work(broken: Dossier) -> None:
    """A drop that failed five times is a dead letter like any other; it belongs to no connection."""
    sqs = broken.cloud.session.client("sqs")
    url = sqs.get_queue_url(QueueName="dossier-dev-drop-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert broken.json("redrive", "--connection", "claims", "--cause", "queue drop", "--yes")["sent"] == []
    assert broken.json("redrive", "--cause", "queue drop", "--yes")["sent"] == [{"queue": "drop", "messages": 1}]
    assert broken.cloud.messages("drop")[-1] == "{}"  # after S3's own test message


@pytest.mark.parametrize(
    ("words", "references"),
    [
        (("--cause", "API_key"), ["INV-3"]),
        (("--reference", "INV-2"), ["INV-2"]),
        (("INV-2", "INV-1"), ["INV-1", "INV-2"]),
        (("--connection", "claims"), []),
        (("--cause", "queue wake"), []),
    ],
)
def test_what_is_named_goes_back(broken: Dossier, words: tuple[str, ...], references: list[str]) -> None:
    """By cause, by reference or by connection; the rest stays."""
    assert broken("redrive", *words, "--yes").exit_code == 0
    assert sorted(started(broken)) == references
    assert bool(broken.cloud.messages("wake")) == (words[-1] == "queue wake")


def test_on_a_terminal_each_cause_is_asked_about(broken: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator says no to stays."""
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _: True)
    result = broken("redrive", "--connection", "invoices", input="n\ny\n")
    assert result.exit_code == 0, result.stderr
    assert started(broken) == ["INV-3"]
    assert "send back 2 cases (CaseFailedError: page … is dark)?" in result.stderr
    assert "invoices INV-3: back to work as arn:" in result.stdout


def test_a_case_that_was_never_sent_anywhere(broken: Dossier, tmp_path: Path) -> None:
    """It is shown as what has to be submitted again; named, it is refused with the reason."""
    empty = tmp_path / "empty.pdf"
    empty.touch()
    broken("submit", "invoices", empty, "--reference", "INV-9")
    shown = broken("redrive").stdout
    assert "invoices INV-9 (never sent anywhere: submit them again, mended)" in shown
    result = broken("redrive", "INV-9", "--yes")
    assert result.exit_code == 1
    assert "INV-9 was refused before anything was sent to the vendor" in result.stderr
    assert started(broken) == []


def test_a_case_that_has_not_failed(broken: Dossier, invoice: Path) -> None:
    """A case under way is left alone."""
    broken("submit", "invoices", invoice, "--reference", "INV-8")
    result = broken("redrive", "INV-8", "--yes")
    assert result.exit_code == 1
    assert result.stderr == "dossier: case INV-8 has not failed: it is accepted\n"


def test_one_that_cannot_be_sent_back_keeps_no_other(broken: Dossier) -> None:
    """The others go; the exit code is 1, with the first reason."""
    app = broken.cloud.app
    app.table.update("CASE#invoices#INV-1", "CASE", {"fingerprint": "x?"})  # a name that no execution can have
    document = broken.json("redrive", "--yes")
    assert sorted(started(broken)) == ["INV-2", "INV-3"]
    assert [each["reference"] for each in document["problems"]] == ["INV-1"]
    assert document["error"]["message"].startswith("1 could not be sent back; INV-1: ")


def test_cause_that_matches_nothing_says_so(broken: Dossier) -> None:
    """Something failed, but not for that cause."""
    result = broken("redrive", "--cause", "no such cause")
    assert result.exit_code == 0
    assert 'no cause contains "no such cause": without --cause, `dossier redrive` shows 4 causes' in result.stderr
    assert "nothing failed" not in result.stderr


def test_nothing_failed(dossier: Dossier) -> None:
    """An empty list is no error."""
    result = dossier("redrive")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing failed, and there are no dead letters" in result.stderr
