"""What a vendor can be asked by hand: the answers of the guides, raw for programs and in tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dossier import vendors
from dossier.errors import DossierError, InvalidCaseError, VendorRejectedError
from dossier.http import Effect, Reply, Request
from dossier.operations import Answer, File, Operation
from dossier.settings import Connection
from tests.contract.suite import load
from tests.flows import drive, recorded, reply

CASE = "case__06c93accde6d445286518079268d45a3"
DOCUMENT = "c1a2b3c4d5e6f7g8h9i0"
ALL = [
    pytest.param(name, each, id=f"{name}-{each.name}") for name in vendors.names() for each in vendors.operations(name)
]


def connection(vendor: str, **changes: Any) -> Connection:
    """Return the connection of a vendor's suite."""
    return load(vendor).connection(changes)


def ask(
    vendor: str, name: str, given: Mapping[str, Any], replies: Sequence[Reply], *, seen: list[Request] | None = None
) -> Any:
    """Run an operation and return its answer; arguments that are not given are left out."""
    operation = next(each for each in vendors.operations(vendor) if each.name == name)
    left_out = {each.name: [] if each.many else None for each in operation.arguments}
    return drive(operation.flow(connection(vendor), {**left_out, **given}), replies, seen=seen).value


@pytest.mark.parametrize(("vendor", "operation"), ALL)
def test_every_operation_can_be_written_on_a_command_line(vendor: str, operation: Operation) -> None:
    """Names are separate words, required arguments come in order, and only the last of them may be many."""
    names = [each.name for each in operation.arguments]
    assert operation.name.isidentifier()
    assert operation.says
    assert len(set(names)) == len(names)
    assert not {"json", "local", "stage", "dest"} & set(names)
    assert all(each.name.isidentifier() and each.name.islower() and each.says for each in operation.arguments)
    assert not any(each.many for each in [each for each in operation.arguments if not each.option][:-1])


def test_operations_of_each_vendor() -> None:
    """The operations are those that the guides have endpoints for; a vendor without any is one as well."""
    assert {name: [each.name for each in vendors.operations(name)] for name in vendors.names()} == {
        "docsumo": ["cases", "update", "files", "download"],
        "docustack": ["documents", "document", "batch"],
        "ombudsman": ["case", "evidence"],
    }


# --- Docsumo ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo 1.B by hand")
def test_docsumo_cases() -> None:
    """The guide's list: the vendor's own objects, and a row for each; filters and order go into the query."""
    asked: list[Request] = []
    given = {"limit": 1, "offset": 20, "sort_by": "modified_date.desc", "stage_id": ["a", "b"], "assigned_to": ["u"]}
    answer = ask("docsumo", "cases", given, [recorded("docsumo", "list")], seen=asked)
    assert answer.raw == recorded("docsumo", "list").json()["data"]
    assert answer.tables[0].rows[0][:5] == (CASE, "Invoice Batch A", "stage__extraction", "processing", "user__982bc")
    assert asked[0].query == (
        ("limit", "1"), ("offset", "20"), ("sort_by", "modified_date.desc"),
        ("stage_id", "a"), ("stage_id", "b"), ("assigned_to", "u"),
    )  # fmt: skip


@pytest.mark.rule("docsumo 1.D by hand")
def test_docsumo_update() -> None:
    """Only what was given is set; the answer is the vendor's own, whole."""
    asked: list[Request] = []
    given = {"case_id": CASE, "stage_id": "stage__review"}
    answer = ask("docsumo", "update", given, [recorded("docsumo", "update")], seen=asked)
    assert answer.raw == recorded("docsumo", "update").json()
    assert ("case name", "Updated Invoice Batch A") in answer.facts
    assert asked[0].json == {"stage_id": "stage__review"}
    with pytest.raises(InvalidCaseError, match="nothing to update"):
        ask("docsumo", "update", {"case_id": CASE}, [])


@pytest.mark.rule("docsumo 2 by hand")
def test_docsumo_files() -> None:
    """The guide's search: a bare array, and a row for each file."""
    asked: list[Request] = []
    answer = ask("docsumo", "files", {"case_id": CASE, "query": "email"}, [recorded("docsumo", "files")], seen=asked)
    assert answer.raw == recorded("docsumo", "files").json()
    assert answer.tables[0].rows == (("6a0cd728051fa766f81f5b7d", "email.pdf", "processed", "2026-05-20T10:15:00Z"),)
    assert asked[0].query == (("q", "email"),)


@pytest.mark.rule("docsumo 2 by hand")
@pytest.mark.parametrize("wanted", ["6a0cd728051fa766f81f5b7d", "email.pdf"])
def test_docsumo_download(wanted: str) -> None:
    """A file is found by id or name, and its URL is the answer's, byte for byte."""
    replies = [recorded("docsumo", "files"), recorded("docsumo", "url")]
    file = ask("docsumo", "download", {"case_id": CASE, "file": wanted}, replies)
    assert file == File("email.pdf", recorded("docsumo", "url").json()["data"]["url"])
    assert "/artifacts//" in file.url


@pytest.mark.rule("docsumo 2 by hand")
def test_docsumo_download_of_a_missing_file() -> None:
    """The error about an unknown name lists the existing ones; two files with the same name need an id."""
    with pytest.raises(VendorRejectedError, match=r'no file "other.pdf": 6a0cd728051fa766f81f5b7d \(email.pdf\)'):
        ask("docsumo", "download", {"case_id": CASE, "file": "other.pdf"}, [recorded("docsumo", "files")])
    twice = [{"id": "a", "filename": "x.pdf"}, {"id": "b", "filename": "x.pdf"}]
    with pytest.raises(VendorRejectedError, match=r"2 files of that name, use an id: a \(x.pdf\), b \(x.pdf\)"):
        ask("docsumo", "download", {"case_id": CASE, "file": "x.pdf"}, [reply(twice)])


# --- DocuStack -------------------------------------------------------------------------------------------------------


@pytest.mark.rule(
    "docustack notes, the list and lost answers GET /api/v1/documents",
    "docustack notes, the list and lost answers by hand",
)
def test_docustack_documents() -> None:
    """The list is DocuStack's own answer; if it may continue, the output says so."""
    asked: list[Request] = []
    answer = ask("docustack", "documents", {}, [recorded("docustack", "assumed-list")], seen=asked)
    assert [each["id"][0] for each in answer.raw["documents"]] == ["c", "b", "a"]
    assert [row[0][0] for row in answer.tables[0].rows] == ["c", "b", "a"]
    assert (asked[0].method, asked[0].path, answer.facts) == ("GET", "/api/v1/documents", ())
    cut = ask("docustack", "documents", {}, [reply({"documents": [{"id": "a"}], "total": 9})])
    assert cut.facts == (("note", "DocuStack lists 1 and may have more"),)


@pytest.mark.rule("docustack document and field values GET /api/v1/documents/{id}")
def test_docustack_document() -> None:
    """The guide's document: values as they are, confidences beside them."""
    answer = ask("docustack", "document", {"document_id": DOCUMENT}, [recorded("docustack", "document")])
    assert answer.raw["field_values"][2]["value"] == "4,200.00"
    assert answer.tables[0].rows[2] == ("total_amount", "Total Amount", "4,200.00", 0.99, "", "")
    assert ("status", "completed") in answer.facts


@pytest.mark.rule("docustack batch by hand")
def test_docustack_batch_matches_the_guide() -> None:
    """The guide's request, from references and names; it is never repeated blindly."""
    wanted = recorded("docustack", "batch-request").json()
    refs, names = ([each[key] for each in wanted["documents"]] for key in ("ref", "name"))
    asked: list[Request] = []
    settings = connection("docustack", schema_id=wanted["schema_id"], organization_id=wanted["organization_id"])
    operation = next(each for each in vendors.operations("docustack") if each.name == "batch")
    taken = reply({"job_id": "j", "documents": [{"document_id": "a", "ref": refs[0]}]}, status=202)
    answer = drive(operation.flow(settings, {"ref": refs, "name": names}), [taken], seen=asked).value
    assert isinstance(answer, Answer)
    assert asked[0].json == wanted
    assert asked[0].effect is Effect.UNSAFE
    assert answer.facts == (("job id", "j"), ("to collect it", "dossier collect contract j"))
    assert answer.tables[0].rows[0] == ("https://example.com/invoice-001.pdf", "Invoice 001", "a", None)


def test_docustack_batch_names_documents_by_their_references() -> None:
    """Without names the last part of a reference is one, and nothing is shown of what may open it."""
    ref = "https://example.com/a/b.pdf?X-Amz-Signature=secret"
    answer = ask("docustack", "batch", {"ref": [ref]}, [reply({"document_ids": ["a"]})])
    assert answer.tables[0].rows == (("https://example.com/a/b.pdf", "b.pdf", "a", None),)


@pytest.mark.rule("docustack batch by hand")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"ref": ["ftp://x/y?secret"]}, "^ftp://x/y: DocuStack reads"),
        ({"ref": ["http://x/y"]}, "https:// or s3://"),
        ({"ref": ["s3://x/y", "s3://x/z"], "name": ["y"]}, "1 names for 2 references"),
    ],
)
def test_docustack_batch_rejects_wrong_input(given: Mapping[str, Any], problem: str) -> None:
    """What DocuStack would not read is refused before it is asked."""
    with pytest.raises(InvalidCaseError, match=problem):
        ask("docustack", "batch", given, [])


# --- Ombudsman -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ombudsman response fields status", "ombudsman notes by hand")
def test_ombudsman_case() -> None:
    """The guide's processed case: its own answer, and fields, chronology and evidence as tables."""
    answer = ask(
        "ombudsman",
        "case",
        {"case_id": "80058c5f-100e-428d-b547-79da822b736b"},
        [recorded("ombudsman", "case-processed")],
    )
    assert answer.raw == recorded("ombudsman", "case-processed").json()
    fields, chronology, evidence = answer.tables
    assert ("Amount Claimed", "£142.00") in fields.rows
    assert chronology.rows[0] == ("2024-04-03", "Contract signed")
    assert [row[4:] for row in evidence.rows] == [(2, 9), (7, 2), (4, 7)]
    assert ("status", "processed") in answer.facts


@pytest.mark.rule("ombudsman response fields status", "ombudsman notes by hand")
def test_ombudsman_evidence() -> None:
    """The guide's document: title, scores, dates and insights."""
    given = {"case_id": "80058c5f", "document_id": "1d7e21ab-fb5d-40ca-b6bf-b14357ce11d9"}
    answer = ask("ombudsman", "evidence", given, [recorded("ombudsman", "evidence-complete")])
    assert ("claimant support score", 7) in answer.facts
    assert ("event date start", "2025-07-15") in answer.facts
    assert answer.tables[0].rows[-1] == ("Deadlock letter received: 18/05/2025",)


# --- whatever comes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["{}", "[]", "null", '{"data": 1}', '{"data": [1]}', '[[1], {"id": 2}]'])
@pytest.mark.parametrize(("vendor", "operation"), ALL)
def test_any_answer_is_shown_or_rejected(vendor: str, operation: Operation, body: str) -> None:
    """An answer of another shape is shown as far as it goes, or is an error in one line: never anything else."""
    given: dict[str, Any] = {each.name: [] if each.many else None for each in operation.arguments}
    given |= {each.name: "s3://a/b" for each in operation.arguments if not each.option}
    given |= {each.name: ["s3://a/b"] for each in operation.arguments if each.many and not each.option}
    given |= {"stage_id": "x"} if operation.name == "update" else {}
    try:
        found = drive(operation.flow(connection(vendor), given), lambda _: reply(json.loads(body))).value
    except DossierError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, Answer)
