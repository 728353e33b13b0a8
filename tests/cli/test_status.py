"""``dossier status`` and ``dossier list``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dossier.models import CaseStatus, moment
from dossier.stores.cases import WaitingDrop
from tests.cli.conftest import Dossier

FIELDS = {
    "connection",
    "reference",
    "vendor",
    "status",
    "reason",
    "error",
    "note",
    "review",
    "case_id",
    "documents",
    "pages",
    "artifacts",
    "execution_arn",
    "submitted_at",
    "updated_at",
    "completed_at",
    "questions",
    "result_key",
    "manifest_key",
    "paused",
    "revision",
    "revisions",
    "refresh",
    "collected_at",
    "vendor_status",
    "stage_id",
    "assigned_to",
    "warnings",
}


@pytest.fixture
def submitted(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with the case ``INV-1`` of ``invoices``, accepted."""
    dossier.whole = False
    assert dossier("submit", "invoices", invoice, "--reference", "INV-1").exit_code == 0
    return dossier


def test_a_completed_case_is_shown_whole(dossier: Dossier, invoice: Path) -> None:
    """Status, vendor's ids, documents, artifacts and the result's place are there, for programs and people."""
    dossier("submit", "invoices", invoice, "--reference", "INV-1", "--wait")
    shown = dossier.json("status", "INV-1")
    assert set(shown) == FIELDS
    assert (shown["connection"], shown["vendor"], shown["status"]) == ("invoices", "docustack", "completed")
    assert shown["result_key"] == "cases/invoices/INV-1/result.json"
    [document] = shown["documents"]
    assert set(document) == {
        "name",
        "pages",
        "document_id",
        "job_id",
        "status",
        "failed",
        "error",
        "progress",
        "warning",
    }
    assert document["name"] == "invoice.pdf"
    assert document["document_id"]
    assert shown["artifacts"]
    assert set(shown["artifacts"][0]) == {"name", "key", "size", "sha256"}
    text = dossier("status", "INV-1").stdout
    for part in (
        "completed",
        "invoice.pdf",
        document["document_id"],
        "s3://artifacts/cases/invoices/INV-1/result.json",
    ):
        assert part in text


def test_a_failed_case_is_not_a_failure_of_the_command(submitted: Dossier) -> None:
    """Whatever the outcome of the case, showing it is exit code 0."""
    submitted.change(
        "invoices", "INV-1", status=CaseStatus.FAILED, reason="no such schema", error="VendorRejectedError"
    )
    result = submitted("status", "invoices", "INV-1")
    assert result.exit_code == 0
    assert "no such schema" in result.stdout
    assert "VendorRejectedError" in result.stdout


def test_an_open_question_is_shown_with_its_answer(submitted: Dossier) -> None:
    """The question and the command that answers it are there; the task token is not."""
    submitted.ask("invoices", "INV-1", "upload-0")
    result = submitted("status", "INV-1")
    assert "was it created?" in result.stdout
    assert "dossier resolve INV-1 --connection invoices --give-up" in result.stdout
    [question] = submitted.json("status", "INV-1")["questions"]
    assert set(question) == {"what", "text", "asked_at", "candidates", "answers"}


def test_no_such_case(submitted: Dossier) -> None:
    """A case that does not exist is exit code 1, with the connections that were looked at."""
    result = submitted("status", "INV-2", "--json")
    assert result.exit_code == 1
    message = "there is no case INV-2 at claims or disputes or invoices"
    assert result.stderr == f"dossier: {message}\n"
    assert json.loads(result.stdout)["error"]["message"] == message
    assert submitted("status", "claims", "INV-1").exit_code == 1


def test_an_ambiguous_reference(submitted: Dossier, invoice: Path) -> None:
    """A reference that several connections have needs the connection."""
    submitted("submit", "claims", invoice, "--reference", "INV-1")
    result = submitted("status", "INV-1")
    assert result.exit_code == 2
    assert "give --connection with one of claims, invoices" in result.stderr
    assert submitted.json("status", "INV-1", "--connection", "claims")["connection"] == "claims"
    assert submitted.json("status", "claims", "INV-1")["connection"] == "claims", "the form of earlier versions"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status",), "Missing argument 'REFERENCE'"),
        (("status", "a", "b", "c"), "give one REFERENCE, and its connection with --connection"),
        (("status", "nobody", "INV-1"), 'unknown connection "nobody": use one of claims, disputes, invoices'),
        (("list", "--connection", "nobody"), 'unknown connection "nobody"'),
        (("list", "--status", "done"), 'unknown status "done": use one or several of accepted, uploading'),
        (("list", "--limit", "0"), "Invalid value for '--limit'"),
    ],
)
def test_bad_usage(dossier: Dossier, words: tuple[str, ...], message: str) -> None:
    """Invalid arguments are exit code 2 and one line."""
    result = dossier(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_foreign_names_cannot_control_the_terminal(submitted: Dossier) -> None:
    """Control characters in a reason are not sent to the terminal."""
    submitted.change("invoices", "INV-1", status=CaseStatus.FAILED, reason="bad\x1b[2Jthing\nsecond [red]line[/red]")
    for words in (("status", "INV-1"), ("list",)):
        output = submitted(*words).stdout
        assert "\x1b" not in output
        assert "bad [2Jthing second [red]line[/red]" in output


def test_cases_are_listed_newest_first(submitted: Dossier, invoice: Path) -> None:
    """Cases of all connections are in one list, the latest submitted first, cut at --limit."""
    for connection, reference in (("claims", "C-1"), ("invoices", "INV-2"), ("disputes", "D-1")):
        assert submitted("submit", connection, invoice, "--reference", reference).exit_code == 0
    assert [each["reference"] for each in submitted.json("list")] == ["D-1", "INV-2", "C-1", "INV-1"]
    assert [each["reference"] for each in submitted.json("list", "--limit", "2")] == ["D-1", "INV-2"]
    assert [each["reference"] for each in submitted.json("list", "--connection", "invoices")] == ["INV-2", "INV-1"]


def test_cases_are_listed_by_status(submitted: Dossier, invoice: Path) -> None:
    """--status selects cases by status."""
    submitted("submit", "claims", invoice, "--reference", "C-1")
    submitted.change("claims", "C-1", status=CaseStatus.WAITING)
    assert [each["reference"] for each in submitted.json("list", "--status", "waiting")] == ["C-1"]
    assert submitted.json("list", "--status", "failed") == []
    assert "no cases are failed" in submitted("list", "--status", "failed").stderr


def test_cases_are_listed_by_several_statuses(submitted: Dossier, invoice: Path) -> None:
    """Statuses are separated by commas; an unknown one among them is named."""
    submitted("submit", "claims", invoice, "--reference", "C-1")
    submitted("submit", "disputes", invoice, "--reference", "D-1")
    submitted.change("claims", "C-1", status=CaseStatus.WAITING)
    submitted.change("disputes", "D-1", status=CaseStatus.FAILED)
    listed = submitted.json("list", "--status", "failed, waiting")
    assert [each["reference"] for each in listed] == ["D-1", "C-1"]
    assert [each["manifest_key"] for each in listed] == ["cases/disputes/D-1/manifest.json", None]
    assert 'unknown status "done"' in submitted("list", "--status", "failed,done").stderr


def test_cases_are_listed_since(submitted: Dossier) -> None:
    """--since takes a time or an age."""
    assert submitted.json("list", "--since", "2099-01-01") == []
    assert [each["reference"] for each in submitted.json("list", "--since", "1h")] == ["INV-1"]
    assert submitted("list", "--since", "yesterday").exit_code == 2


def test_list_says_that_there_are_more_and_how_to_see_them(submitted: Dossier, invoice: Path) -> None:
    """A list that is cut names its cursor; from there the next call continues, whatever was submitted at one moment."""
    for number in range(2, 6):
        submitted("submit", "invoices", invoice, "--reference", f"INV-{number}")
    table = submitted.cloud.app.table
    for number in range(2, 5):  # three cases of one millisecond
        at = "2026-01-31T12:00:00.000Z"
        table.update(f"CASE#invoices#INV-{number}", "CASE", {"submitted_at": at, "gsi_sk": at})
    seen: list[str] = []
    after: tuple[str, ...] = ()
    for _ in range(5):
        [case] = submitted.json("list", "--limit", "1", *after)
        seen.append(case["reference"])
        after = ("--after", case["cursor"])
    assert seen == ["INV-5", "INV-1", "INV-4", "INV-3", "INV-2"]
    assert submitted.json("list", "--limit", "1", *after) == []
    result = submitted("list", "--limit", "2")
    assert "2 cases shown, and there are more: add --all, or --after 20" in result.stderr
    assert submitted("list", "--limit", "5").stderr == ""
    assert len(submitted.json("list", "--limit", "1", "--all")) == 5
    assert "is not a cursor" in submitted("list", "--after", "INV-1").stderr


def test_the_list_is_not_cut_where_there_is_no_terminal(submitted: Dossier) -> None:
    """Piped into another program, each case is one line without truncation."""
    reason = "a long reason " * 20
    submitted.change("invoices", "INV-1", status=CaseStatus.FAILED, reason=reason)
    header, line = submitted("list").stdout.splitlines()
    assert header.split() == ["CONNECTION", "REFERENCE", "STATUS", "SUBMITTED", "REASON"]
    assert reason.strip() in line


@pytest.mark.rule("docustack notes, the rest fields below review_below are marked")
def test_case_that_needs_review_says_so(dossier: Dossier, invoice: Path) -> None:
    """Where fields of low confidence are marked, status and list show it."""
    dossier.whole = False
    for reference in ("INV-1", "INV-2"):
        assert dossier("submit", "invoices", invoice, "--reference", reference).exit_code == 0
    dossier.change("invoices", "INV-1", status=CaseStatus.COMPLETED, review=True, note=None)
    assert [each["review"] for each in dossier.json("list")] == [False, True]
    assert dossier.json("status", "INV-1")["review"] is True
    assert "review     wanted: fields of low confidence are marked in result.json" in dossier("status", "INV-1").stdout
    assert "needs review" in dossier("list").stdout.splitlines()[2]
    assert [each["reference"] for each in dossier.json("list", "--review")] == ["INV-1"]
    assert "no cases need review" in dossier("list", "--review", "--connection", "claims").stderr
    assert "review" not in dossier("status", "INV-2").stdout


def test_a_drop_that_waits_is_listed(dossier: Dossier) -> None:
    """It is not a case yet: the list and `dossier status` name the missing files."""
    drop = WaitingDrop(
        reference="May", why="inbox/invoices/May waits for its case.json", since="2026-01-31T12:00:00.000Z"
    )
    assert dossier.cloud.app.cases.drop_waits("invoices", "May", drop, moment("2026-01-31T12:00:00.000Z"))
    shown = dossier("list").stdout
    assert "waiting for files" in shown
    assert "inbox/invoices/May waits for its case.json" in " ".join(shown.split())
    for word in ("waiting for files", "waiting_for_files", "failed,waiting for files"):
        [found] = dossier.json("list", "--status", word)
        assert (found["connection"], found["reference"], found["status"]) == ("invoices", "May", "waiting for files")
        assert (found["reason"], found["result_key"]) == (drop.why, None)
    assert dossier.json("list", "--status", "failed") == []
    text = dossier("status", "May")
    assert text.exit_code == 1
    assert "May is not a case yet, it is waiting for files: inbox/invoices/May waits for its case.json" in text.stderr
    text = dossier("cancel", "May")
    assert text.exit_code == 1
    assert "waits for its case.json: to cancel it, delete its files below s3://artifacts/inbox/" in text.stderr
    dossier.cloud.app.cases.drop_ends("invoices", "May", moment("2026-01-31T12:00:01.000Z"))
    assert dossier.json("list") == []
