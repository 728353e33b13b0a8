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


def test_without_a_terminal_nothing_is_redriven(broken: Dossier) -> None:
    """Cases are grouped by cause, dead letters by queue; nothing is sent without a confirmation."""
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
    left = broken.json("redrive")
    assert {name: left[name] for name in ("causes", "sent", "problems")} == {"causes": [], "sent": [], "problems": []}


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
def test_named_case_is_redriven(broken: Dossier, words: tuple[str, ...], references: list[str]) -> None:
    """By cause, by reference or by connection; the rest stays."""
    assert broken("redrive", *words, "--yes").exit_code == 0
    assert sorted(started(broken)) == references
    assert bool(broken.cloud.messages("wake")) == (words[-1] == "queue wake")


def test_on_a_terminal_each_cause_is_asked_about(broken: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piles that the operator declines stay."""
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _: True)
    result = broken("redrive", "--connection", "invoices", input="n\ny\n")
    assert result.exit_code == 0, result.stderr
    assert started(broken) == ["INV-3"]
    assert "send back 2 cases (CaseFailedError: page … is dark)?" in result.stderr
    assert "invoices INV-3: resumed as arn:" in result.stdout


def test_a_case_that_was_never_sent_anywhere(broken: Dossier) -> None:
    """It is listed as one to submit again; if it is named, the command rejects it with the reason."""
    documents = [{"uri": broken.cloud.put("uploads/empty.pdf", b"")}]
    case = {"connection": "invoices", "reference": "INV-9", "documents": documents}
    broken.cloud.app.executions.start("by-hand", case)
    broken.tick()
    shown = broken("redrive").stdout
    assert "invoices INV-9 (never sent to a vendor: fix and submit them again)" in shown
    result = broken("redrive", "INV-9", "--yes")
    assert result.exit_code == 1
    assert "INV-9 was rejected before anything was sent to the vendor" in result.stderr
    assert started(broken) == []


def test_a_case_that_has_not_failed(broken: Dossier, invoice: Path) -> None:
    """A case under way is left alone."""
    broken("submit", "invoices", invoice, "--reference", "INV-8")
    result = broken("redrive", "INV-8", "--yes")
    assert result.exit_code == 1
    assert result.stderr == "dossier: case INV-8 has not failed: it is accepted\n"


def test_failing_redrive_does_not_block_others(broken: Dossier) -> None:
    """The others go; the exit code is 1, with the first reason."""
    app = broken.cloud.app
    app.table.update("CASE#invoices#INV-1", "CASE", {"fingerprint": "x?"})  # a name that no execution can have
    document = broken.json("redrive", "--yes")
    assert sorted(started(broken)) == ["INV-2", "INV-3"]
    assert [each["reference"] for each in document["problems"]] == ["INV-1"]
    assert document["error"]["message"].startswith("1 could not be sent back; INV-1: ")


def test_cause_that_matches_nothing_says_so(broken: Dossier) -> None:
    """Cases failed, but for another cause."""
    result = broken("redrive", "--cause", "no such cause")
    assert result.exit_code == 0
    assert 'no cause contains "no such cause"; there are:' in result.stderr
    assert "CaseFailedError: page … is dark" in result.stdout
    assert "dead letters of queue wake" in result.stdout
    document = broken.json("redrive", "--cause", "no such cause", "--yes")
    assert (document["causes"], document["sent"], len(document["other_causes"])) == ([], [], 4)
    assert "nothing failed" not in result.stderr


def test_nothing_failed(dossier: Dossier) -> None:
    """An empty list is not an error."""
    result = dossier("redrive")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing failed, and there are no dead letters" in result.stderr


@pytest.fixture
def rejected(broken: Dossier) -> Dossier:
    """A deployment in which the vendor has rejected INV-1 and INV-2."""
    for reference in ("INV-1", "INV-2"):
        failure = {"error": "VendorRejectedError", "reason": "POST /upload: the vendor refused it (413: too large)"}
        broken.cloud.app.table.update(f"CASE#invoices#{reference}", "CASE", failure)
    return broken


def test_yes_alone_does_not_send_rejected_cases(rejected: Dossier) -> None:
    """They are shown as such; by cause or reference they go."""
    assert "(rejected: --yes alone does not resume them)" in rejected("redrive").stdout
    causes = {each["cause"]: each["rejected"] for each in rejected.json("redrive")["causes"]}
    assert [cause for cause, known in causes.items() if known] == [
        "VendorRejectedError: POST /upload: the vendor refused it (413: too large)"
    ]
    assert rejected("redrive", "--yes").exit_code == 0
    assert started(rejected) == ["INV-3"]
    assert "--yes with --cause or a reference does it" in rejected("redrive", "--cause", "413").stderr
    assert rejected("redrive", "INV-1", "--yes").exit_code == 0
    assert rejected("redrive", "--cause", "413", "--yes").exit_code == 0
    assert sorted(started(rejected)) == ["INV-1", "INV-2", "INV-3"]


def test_dismissed_cases_stay_dismissed(rejected: Dossier) -> None:
    """They are no longer listed, and only their own reference redrives them."""
    result = rejected("redrive", "--cause", "413", "--dismiss")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count(": dismissed") == 2
    assert started(rejected) == []
    shown = rejected("redrive", "--connection", "invoices")
    assert "413" not in shown.stdout
    assert "2 dismissed cases not shown" in shown.stderr
    rejected("redrive", "--cause", "413", "--yes")
    rejected("redrive", "--yes")
    assert started(rejected) == ["INV-3"]
    assert "dismissed" in rejected("status", "INV-1").stdout
    assert {each["reference"] for each in rejected.json("list", "--status", "failed")} >= {"INV-1", "INV-2"}
    assert rejected("redrive", "INV-1", "--yes").exit_code == 0
    rejected.tick()
    record = rejected.case("invoices", "INV-1").record
    assert (record.status, record.dismissed_at) == (CaseStatus.ACCEPTED, None)


def test_dead_letters_are_dismissed(broken: Dossier) -> None:
    """They are deleted after a confirmation; those of other queues stay."""
    assert broken.json("redrive", "--dismiss")["dismissed"] == []
    assert len(broken.json("redrive")["causes"]) == 4
    document = broken.json("redrive", "--cause", "queue wake", "--dismiss", "--yes")
    assert document["dismissed"] == [{"queue": "wake", "messages": 1}]
    assert broken.cloud.messages("wake") == []
    assert [each["queue"] for each in broken.json("redrive")["causes"] if each["queue"]] == ["poll-claims"]


def test_everything_is_dismissed_with_yes(broken: Dossier) -> None:
    """Without names it needs --yes; afterwards the output says that the failed cases are dismissed."""
    assert "nothing was dismissed: --yes does it" in broken("redrive", "--dismiss").stderr
    assert broken("redrive", "--dismiss", "--yes").exit_code == 0
    result = broken("redrive", "--yes")
    assert "nothing else failed, and there are no dead letters; 3 dismissed cases not shown" in result.stderr
    assert started(broken) == []


def test_a_case_that_went_back_to_work_is_not_dismissed(broken: Dossier) -> None:
    """Another operator was quicker."""
    record = broken.case("invoices", "INV-1").record
    broken("redrive", "INV-1", "--yes")
    broken.tick()
    assert not broken.cloud.app.cases.dismiss(record, "2026-01-31T12:00:00.000Z")
    assert broken.case("invoices", "INV-1").record.dismissed_at is None


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        ("VendorRejectedError", "POST /upload: the vendor refused it (413: too large)", False),
        ("CaseFailedError", "every document failed: POST /upload: the vendor refused it (415: no PDF)", False),
        ("CaseFailedError", "every document failed: the text cannot be read", False),
        ("InvalidCaseError", "option x is not known", False),
        ("GivenUpError", "an operator gave up", False),
        ("VendorRejectedError", "POST /upload: the vendor refused it (422: schema_id: no such schema)", True),
        ("UnauthorizedError", "the vendor refused the API key (401)", True),
        ("DeadlinePassedError", "the vendor did not finish within 413 s", True),
    ],
)
def test_redrive_is_advised_where_it_can_help(
    broken: Dossier, invoice: Path, error: str, reason: str, hint: bool
) -> None:
    """A case that would fail again without a change has no such hint, and --yes alone does not send it."""
    broken.cloud.app.table.update("CASE#invoices#INV-1", "CASE", {"error": error, "reason": reason})
    result = broken("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    assert result.exit_code == 1
    assert ("dossier redrive INV-1 --connection invoices" in result.stderr) is hint
    assert ("once that is fixed, submit it under another reference" in result.stderr) is not hint
    for words in (("status", "INV-1"), ("list",)):
        assert "redrive" not in broken(*words).output
    broken("redrive", "--yes")
    assert ("INV-1" in started(broken)) is (hint and error != "VendorRejectedError")
