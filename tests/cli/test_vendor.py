"""``dossier vendor``, against the sandbox as it runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Dossier
from tests.local.sandbox.sandboxes import ACCOUNTS, PDF, LiveSandbox

ODD = "Rechnung №7.pdf"


def uploaded(sandbox: LiveSandbox, *names: str) -> str:
    """Make a case at Docsumo; return its id."""
    return str(sandbox.docsumo_upload(*names).json()["data"]["case_id"])


# --- operations ------------------------------------------------------------------------------------------------------


def test_operations_of_each_vendor_are_listed(asking: Dossier) -> None:
    """Without an operation its vendor's are listed, each with all that it takes."""
    text = asking("vendor", "claims").stdout
    assert "dossier vendor claims cases [--limit N] [--offset N] [--sort-by TEXT] [--stage-id TEXT …]" in text
    assert "dossier vendor claims download CASE_ID FILE DEST" in text
    assert "created_date.asc, created_date.desc" in text
    assert [each["operation"] for each in asking.json("vendor", "disputes")] == ["case", "evidence"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("claims", "documents"), 'docsumo has no operation "documents": it has cases, update, files, download'),
        (("disputes", "batch"), "it has case, evidence"),
        (("nobody", "cases"), 'unknown connection "nobody"'),
        (("claims", "files"), "Missing argument 'CASE_ID': see `dossier vendor claims`"),
        (("claims", "files", "a", "b"), "Got unexpected extra argument(s) (b)"),
        (("claims", "files", "a", "--quer", "b"), "No such option: --quer (Possible options: --query)"),
        (("claims", "cases", "--limit", "many"), "Invalid value for '--limit': must be a valid integer"),
        (("claims", "cases", "--limit", "-1"), "limit is -1"),
        (("claims", "cases", "--casetype-id", "other"), 'case type "other" is not one of the connection\'s: use'),
        (
            ("claims", "cases", "--sort-by", "name"),
            "Invalid value for '--sort-by': 'name' is not one of 'created_date.asc', 'created_date.desc'",
        ),
        (("claims", "update", "case__1"), "nothing to update"),
        (("invoices", "batch"), "Missing argument 'REF'"),
        (("invoices", "batch", "ftp://a/b"), "begin with https:// or s3://"),
    ],
)
def test_bad_usage(asking: Dossier, sandbox: LiveSandbox, words: tuple[str, ...], problem: str) -> None:
    """An invalid request is exit code 2 and one helpful line; nothing is sent to the vendor."""
    before = len(sandbox.journal())
    result = asking("vendor", *words)
    assert result.exit_code == 2, result.output
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert len(sandbox.journal()) == before


def test_missing_settings_are_reported(asking: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the connections file there is no vendor to ask."""
    monkeypatch.setenv("DOSSIER_CONNECTIONS", "missing.toml")
    result = asking("vendor", "claims", "cases")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "[claims] is not in missing.toml: name its file in DOSSIER_CONNECTIONS" in result.stderr


def test_rejection_is_one_line(asking: Dossier) -> None:
    """The vendor's text is printed unchanged, for people and programs."""
    result = asking("vendor", "disputes", "case", "00000000-0000-4000-8000-000000000000")
    assert result.exit_code == 1
    assert "the vendor refused it (404: Case not found" in result.stderr
    assert (
        "404" in asking.json("vendor", "disputes", "case", "00000000-0000-4000-8000-000000000000")["error"]["message"]
    )


# --- Docsumo ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo 1.B by hand", "docsumo 1.B limit=0 returns only the total")
def test_cases(asking: Dossier, sandbox: LiveSandbox) -> None:
    """All pages are walked; a limit, a stage and an order narrow it."""
    made = [uploaded(sandbox, f"{number}.pdf") for number in range(3)]
    sandbox.docsumo_upload("x.pdf", case_id=made[0])

    def ids(*words: str) -> list[str]:
        return [each["case_id"] for each in asking.json("vendor", "claims", *words)["cases"]]

    assert ids("cases") == made
    assert asking.json("vendor", "claims", "cases", "--limit", "0") == {"cases": [], "total_count": 3}
    assert "3" in asking("vendor", "claims", "cases", "--limit", "0").stdout
    limited = ("cases", "--limit", "1", "--offset", "1", "--sort-by", "created_date.desc")
    assert ids(*limited) == [made[1]]
    moved = asking.json("vendor", "claims", "update", made[2], "--stage-id", "stage__approved", "--assigned-to", "u")
    assert moved["data"]["stage_id"] == "stage__approved"
    staged = ("cases", "--stage-id", "stage__approved", "--stage-id=stage__rejected", "--assigned-to", "u")
    assert ids(*staged) == [made[2]]
    table = asking("vendor", "claims", *staged).stdout
    assert table.startswith("CASE ID ")
    assert made[2] in table
    nothing = asking("vendor", "claims", "cases", "--stage-id", "stage__rejected")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "the answer is empty\n")


@pytest.mark.rule("docsumo 1.D by hand")
def test_update(asking: Dossier, sandbox: LiveSandbox) -> None:
    """The output shows the changed values."""
    case_id = uploaded(sandbox, "a.pdf")
    text = asking("vendor", "claims", "update", case_id, "--case-name", "Schaden №7").stdout
    assert "Schaden №7" in text


@pytest.mark.rule("docsumo 2 by hand")
def test_files_and_download(asking: Dossier, sandbox: LiveSandbox, tmp_path: Path) -> None:
    """A file is found by name or id and arrives whole, under the name that was asked for, with no key sent for it."""
    case_id = uploaded(sandbox, ODD)
    file = next(each for each in asking.json("vendor", "claims", "files", case_id) if each["filename"] == ODD)
    assert file["id"] in asking("vendor", "claims", "files", case_id, "--query", "Rechnung").stdout
    whole = asking.json("vendor", "claims", "download", case_id, file["id"], str(tmp_path / "mine.pdf"))
    assert (tmp_path / "mine.pdf").read_bytes() == PDF
    assert (whole["size"], whole["sha256"]) == (len(PDF), hashlib.sha256(PDF).hexdigest())
    result = asking("vendor", "claims", "download", case_id, ODD, str(tmp_path))
    assert (result.exit_code, result.stdout.strip()) == (0, str(tmp_path / ODD))
    assert (tmp_path / ODD).read_bytes() == PDF
    downloads = [each for each in sandbox.journal() if each["operation"] == "download"]
    assert [each["status"] for each in downloads] == [200, 200]
    assert all("artifacts//" in each["path"] and not each["leak"] for each in downloads)
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@pytest.mark.rule("docsumo 2 filename is not trusted and never becomes a path")
def test_download_replaces_nothing_by_a_name_of_the_vendors(
    asking: Dossier, sandbox: LiveSandbox, tmp_path: Path
) -> None:
    """In a folder a file that is there stays; a folder that is not there is not made; a wrong name helps."""
    case_id = uploaded(sandbox, "a.pdf")
    (tmp_path / "a.pdf").write_text("mine")
    result = asking("vendor", "claims", "download", case_id, "a.pdf", str(tmp_path))
    assert (result.exit_code, (tmp_path / "a.pdf").read_text()) == (2, "mine")
    assert "exists already" in result.stderr
    missing = asking("vendor", "claims", "download", case_id, "a.pdf", str(tmp_path / "no" / "a.pdf"))
    assert (missing.exit_code, f"there is no folder {tmp_path / 'no'}" in missing.stderr) == (2, True)
    wrong = asking("vendor", "claims", "download", case_id, "b.pdf", str(tmp_path))
    assert (wrong.exit_code, 'has no file "b.pdf"' in wrong.stderr) == (1, True)


@pytest.mark.rule("security: write a file outside of the folder that results are downloaded to")
def test_download_writes_through_no_link(asking: Dossier, sandbox: LiveSandbox, tmp_path: Path) -> None:
    """A link that is planted where the file goes, or is written first, is replaced or left alone; never followed."""
    case_id, target, place = uploaded(sandbox, "a.pdf"), tmp_path / "authorized_keys", tmp_path / "place"
    target.write_text("mine")
    place.mkdir()
    for name in (".a.pdf.part", ".mine.pdf.part", "mine.pdf"):
        (place / name).symlink_to(target)
    assert asking("vendor", "claims", "download", case_id, "a.pdf", str(place)).exit_code == 0
    assert asking("vendor", "claims", "download", case_id, "a.pdf", str(place / "mine.pdf")).exit_code == 0
    assert target.read_text() == "mine"
    assert (place / "a.pdf").read_bytes() == (place / "mine.pdf").read_bytes() == PDF
    (place / "a.pdf").unlink()
    (place / "a.pdf").symlink_to(tmp_path / "nowhere")
    assert asking("vendor", "claims", "download", case_id, "a.pdf", str(place)).exit_code == 2
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.rule("docsumo 2 after an expired URL")
def test_an_expired_url_is_asked_for_again(asking: Dossier, sandbox: LiveSandbox, tmp_path: Path) -> None:
    """Storage rejects the first URL: the command asks the vendor for another one, once."""
    case_id = uploaded(sandbox, "a.pdf")
    sandbox.set(faults=[{"name": "error_before", "operation": "download", "status": 403, "rate": 1, "times": 1}])
    result = asking("vendor", "claims", "download", case_id, "a.pdf", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.pdf").read_bytes() == PDF
    statuses = [each["status"] for each in sandbox.journal() if each["operation"] == "download"]
    assert statuses == [403, 200]


def test_a_download_that_breaks_off_leaves_nothing(asking: Dossier, sandbox: LiveSandbox, tmp_path: Path) -> None:
    """Half a file is not a file."""
    case_id, place = uploaded(sandbox, "a.pdf"), tmp_path / "place"
    place.mkdir()
    sandbox.set(faults=[{"name": "truncated", "operation": "download", "rate": 1}])
    result = asking("vendor", "claims", "download", case_id, "a.pdf", str(place))
    assert result.exit_code == 1
    assert "the download ended" in result.stderr
    assert list(place.iterdir()) == []


# --- DocuStack -------------------------------------------------------------------------------------------------------


@pytest.mark.rule(
    "docustack document and field values field_values[]", "docustack notes, the list and lost answers by hand"
)
def test_documents_and_document(asking: Dossier, sandbox: LiveSandbox) -> None:
    """The list, and a document with its fields, as tables and as DocuStack's own answers."""
    document_id = sandbox.docustack_upload("invoice.pdf").json()["document_id"]
    assert document_id in asking("vendor", "invoices", "documents").stdout
    assert asking.json("vendor", "invoices", "documents")["documents"][0]["id"] == document_id
    own = sandbox.docustack.get(f"/api/v1/documents/{document_id}").json()
    assert asking.json("vendor", "invoices", "document", document_id) == own
    table = asking("vendor", "invoices", "document", document_id).stdout
    assert all(str(each["value"]) in table for each in own["field_values"])


@pytest.mark.rule("docustack batch by hand")
def test_batch(asking: Dossier, sandbox: LiveSandbox) -> None:
    """References go in one request; rejected ones are listed beside the accepted ones."""
    refs = ("s3://scans/1.pdf", "https://example.com/2.pdf?token=secret", "https://example.com/")
    result = asking("vendor", "invoices", "batch", *refs, "--name", "one", "--name", "two", "--name", "three")
    assert result.exit_code == 0, result.output
    assert "job id" in result.stdout
    assert "ref names no document" in result.stdout
    assert "secret" not in result.output
    assert [each["name"] for each in sandbox.effects("document_uploaded")] == ["one", "two"]
    assert len(asking.json("vendor", "invoices", "batch", "s3://scans/3.pdf")["documents"]) == 1


@pytest.mark.rule("docustack batch documents that were sent by hand are collected by job or by document")
def test_started_batch_can_be_collected(asking: Dossier, sandbox: LiveSandbox) -> None:
    """By the job that the command prints, or by a document's id, also where the vendor says that it has no list."""
    asking.whole = False
    printed = asking("vendor", "invoices", "batch", "s3://scans/1.pdf", "s3://scans/2.pdf").stdout
    made = [each["document_id"] for each in sandbox.effects("document_uploaded")]
    job = printed.partition("dossier collect invoices ")[2].split()[0]
    assert asking.json("collect", "invoices", job)[0]["outcome"] == "started"
    assert asking.json("collect", "invoices", made[0])[0]["outcome"] == "started"
    sandbox.set(faults=[{"name": "long_text", "operation": "list", "status": 404, "rate": 1}])
    assert asking.json("collect", "invoices", made[1])[0]["outcome"] == "started"
    sent = [json.loads(each.execution_input)["document_ids"] for each in asking.executions()]
    assert [sorted(each) for each in sent] == [sorted(made), [made[0]], [made[1]]]
    sandbox.set(faults=[{"name": "error_before", "operation": "list", "status": 503, "rate": 1}])
    assert asking("collect", "invoices", "another").exit_code == 1


@pytest.mark.rule("docustack batch by hand")
def test_a_batch_whose_answer_is_lost(asking: Dossier, sandbox: LiveSandbox) -> None:
    """The command does not send it again: the line says to look first."""
    sandbox.set(faults=[{"name": "lost_after", "operation": "batch", "rate": 1}])
    result = asking("vendor", "invoices", "batch", "s3://scans/1.pdf")
    assert result.exit_code == 1
    assert "check the result at the vendor before you retry" in result.stderr
    assert len(sandbox.effects("document_uploaded")) == 1


# --- Ombudsman -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ombudsman notes by hand")
def test_case_and_evidence(asking: Dossier, sandbox: LiveSandbox) -> None:
    """An assessed case and its evidence, as tables and as the API's own answers."""
    case_id = sandbox.ombudsman_case(case_title="Dispute").json()["case_id"]
    document_id = sandbox.evidence(case_id).json()["document_id"]
    sandbox.ombudsman.post(f"/cases/{case_id}/process")
    own: dict[str, Any] = sandbox.ombudsman.get(f"/cases/{case_id}").json()
    assert asking.json("vendor", "disputes", "case", case_id) == own
    text = asking("vendor", "disputes", "case", case_id).stdout
    for part in ("processed", "fields", "chronology", "evidence", document_id):
        assert part in text
    evidence = asking.json("vendor", "disputes", "evidence", case_id, document_id)
    assert evidence["document_id"] == document_id
    assert evidence["title"] in asking("vendor", "disputes", "evidence", case_id, document_id).stdout


def test_no_answer_shows_a_key(asking: Dossier, sandbox: LiveSandbox) -> None:
    """No output contains a key, whatever the operation."""
    sandbox.docustack_upload()
    keys = [each.api_key for each in (ACCOUNTS.docustack, ACCOUNTS.docsumo, ACCOUNTS.ombudsman)]
    outputs = [asking("vendor", "invoices", "documents", "--json").output, asking("vendor", "claims", "cases").output]
    assert not any(key in text for key in keys for text in outputs)
    assert json.loads(outputs[0])


# --- options, and keys -----------------------------------------------------------------------------------------------


def test_the_options_of_a_case_are_listed(asking: Dossier) -> None:
    """Each with its type and what it does, in one wording for all vendors; ``submit --help`` says where to look."""
    heading = "options of a case: dossier submit {} FILE --option NAME=VALUE"
    for connection, line in (
        ("claims", "    trigger_workflow   true or false: whether the case's workflow runs after its last upload"),
        ("invoices", '    by_reference       "s3" or "presigned": lets DocuStack read the s3:// documents itself'),
        ("disputes", "    case_initiated_date an ISO 8601 date: when the case was initiated"),
    ):
        shown = asking("vendor", connection).stdout.splitlines()
        assert heading.format(connection) in shown
        assert line in shown
    words = " ".join(asking("submit", "--help").stdout.split())
    assert "dossier vendor CONNECTION" in words
    assert "--option help" in words


def test_a_new_key_is_checked_at_the_vendor(asking: Dossier) -> None:
    """A key that the vendor accepts and one that it rejects are both stored, and the output names the difference."""
    account = ACCOUNTS.docsumo
    good = asking("secrets", "set", "claims", "--api-key", account.api_key)
    assert good.exit_code == 0
    assert "docsumo accepts the key: " in good.stdout
    bad = asking("secrets", "set", "claims", "--api-key", "mistyped")
    assert bad.exit_code == 0
    assert "refused the API key (401" in bad.stderr
    assert "the key is stored nevertheless" in bad.stderr
    assert "mistyped" not in bad.output
    assert asking.json("secrets", "set", "claims", "--api-key", "mistyped")["key_accepted"] is False
    assert asking.json("secrets", "set", "claims", "--api-key", account.api_key)["key_accepted"] is True


def test_a_check_can_be_left_out(asking: Dossier, sandbox: LiveSandbox) -> None:
    """With --no-check, and where only a webhook secret is set, the vendor is not asked."""
    before = len(sandbox.journal())
    document = asking.json("secrets", "set", "claims", "--api-key", "offline", "--no-check")
    assert "key_accepted" not in document
    asking("secrets", "set", "claims", "--webhook-secret", "0123456789abcdef")
    assert len(sandbox.journal()) == before


def test_secret_is_stored_even_if_the_vendor_is_down(
    asking: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is written first; a failed check is one line, not a failure."""
    text = (tmp_path / "connections.toml").read_text()
    (tmp_path / "down.toml").write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1/x"))
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(tmp_path / "down.toml"))
    result = asking("secrets", "set", "claims", "--api-key", "k2")
    assert result.exit_code == 0, result.stderr
    assert "the key is stored, but could not be checked" in result.stderr
    client = asking.cloud.session.client("secretsmanager")
    assert json.loads(client.get_secret_value(SecretId="dossier/claims")["SecretString"])["api_key"] == "k2"
