"""The sandbox's Docsumo keeps to its integration guide."""

import hashlib
import json
import re
import time
from typing import Any

import pytest

from local.sandbox.strictly import LARGEST_FILE
from tests.local.sandbox.sandboxes import ACCOUNTS, PDF, SAMPLES, LiveSandbox

CASES = "/api/v1/external/agents/casetype__d1t5b"


def _files(sandbox: LiveSandbox, case_id: str, q: str = "") -> list[dict[str, str]]:
    found: list[dict[str, str]] = sandbox.docsumo.get(f"/api/v1/chatot/cases/{case_id}/files", params={"q": q}).json()
    return found


def _url(sandbox: LiveSandbox, case_id: str, file_id: str) -> str:
    answer = sandbox.docsumo.get(f"/api/v1/chatot/cases/{case_id}/chat/artifacts/{file_id}/url?download=true")
    return str(answer.json()["data"]["url"])


def _listed(sandbox: LiveSandbox, query: str = "") -> list[dict[str, str]]:
    listed: list[dict[str, str]] = sandbox.docsumo.get(f"{CASES}/cases{query}").json()["data"]["cases"]
    return listed


@pytest.mark.parametrize("header", ["x-api-key", "apikey"])
def test_takes_the_key_in_either_header(sandbox: LiveSandbox, header: str) -> None:
    """The key may come as x-api-key or as apikey."""
    answer = sandbox.plain.get(f"/docsumo{CASES}/cases", headers={header: ACCOUNTS.docsumo.api_key})
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ACCOUNTS.docustack.api_key}])
def test_rejects_a_wrong_key_in_the_vendors_form(sandbox: LiveSandbox, headers: dict[str, str]) -> None:
    """A missing, wrong or another vendor's key is a 401 with status_code, message and error_code."""
    answer = sandbox.plain.get(f"/docsumo{CASES}/cases", headers=headers)
    assert answer.status_code == answer.json()["status_code"] == 401
    assert answer.json()["error_code"] == "UNAUTHORIZED"
    assert sandbox.journal()[-1]["key"] == ("wrong" if headers else "missing")


def test_upload_creates_a_case(sandbox: LiveSandbox) -> None:
    """An upload without case_id answers with a new case and its documents, in the guide's shape."""
    answer = sandbox.docsumo_upload("a.pdf", "b.pdf").json()
    assert {name: answer[name] for name in ("status", "status_code", "message")} == {
        "status": "success",
        "status_code": 200,
        "message": "File upload successful",
    }
    assert re.fullmatch("case__[0-9a-f]{32}", answer["data"]["case_id"])
    assert [each["filename"] for each in answer["data"]["documents"]] == ["a.pdf", "b.pdf"]
    assert all(re.fullmatch("doc__[0-9a-f]{8}", each["doc_id"]) for each in answer["data"]["documents"])


def test_upload_with_a_case_id_appends(sandbox: LiveSandbox) -> None:
    """An upload with case_id adds documents to that case, even of a name that it has."""
    case_id = sandbox.docsumo_upload("a.pdf").json()["data"]["case_id"]
    answer = sandbox.docsumo_upload("a.pdf", case_id=case_id).json()
    assert answer["message"] == "File successfully appended to case"
    assert answer["data"]["case_id"] == case_id
    assert [each["filename"] for each in _files(sandbox, case_id, "a.pdf")] == ["a.pdf", "a.pdf"]


def test_nothing_runs_until_an_upload_triggers_the_workflow(sandbox: LiveSandbox) -> None:
    """With trigger_workflow=false documents stay new; a later append with true runs the workflow over all."""
    case_id = sandbox.docsumo_upload("a.pdf", trigger_workflow="false").json()["data"]["case_id"]
    assert (_listed(sandbox)[0]["status"], _listed(sandbox)[0]["stage_id"]) == ("new", "stage__intake")
    assert [each["status"] for each in _files(sandbox, case_id)] == ["new"]
    sandbox.docsumo_upload("b.pdf", case_id=case_id, trigger_workflow="true")
    assert (_listed(sandbox)[0]["status"], _listed(sandbox)[0]["stage_id"]) == ("processed", "stage__review")
    names = [each["filename"] for each in _files(sandbox, case_id)]
    assert names == ["a.pdf", "b.pdf", "extraction.json", "summary.pdf"]


def test_processing_takes_the_set_time(sandbox: LiveSandbox) -> None:
    """A case is processing until the seconds have passed, without anything happening in between."""
    sandbox.set(seconds=2)
    sandbox.docsumo_upload()
    assert (_listed(sandbox)[0]["status"], _listed(sandbox)[0]["stage_id"]) == ("processing", "stage__extraction")
    time.sleep(2.01)
    assert _listed(sandbox)[0]["status"] == "processed"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"casetype_id": ""}, 400),
        ({"casetype_id": "casetype__none"}, 404),
        ({"case_id": "case__none"}, 404),
        ({"trigger_workflow": "maybe"}, 400),
        ({"colour": "blue"}, 400),
    ],
)
def test_rejects_wrong_form_fields(sandbox: LiveSandbox, fields: dict[str, Any], status: int) -> None:
    """Missing, unknown and impossible form fields are rejected, and nothing is uploaded."""
    assert sandbox.docsumo_upload(**fields).status_code == status
    assert not sandbox.effects("document_uploaded")


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"plain text", 400), (SAMPLES["complaint.docx"], 400), (b"%PDF-" + bytes(LARGEST_FILE), 413)],
    ids=["empty", "text", "docx", "too large"],
)
def test_rejects_files_by_their_bytes(sandbox: LiveSandbox, content: bytes, status: int) -> None:
    """Empty, too large and unsupported files are rejected, whatever their names."""
    assert sandbox.docsumo_upload("invoice.pdf", content=content).status_code == status


@pytest.mark.parametrize("name", ["invoice.pdf", "receipt.png", "scan.tiff", "photo.jpg"])
def test_accepts_the_documented_types(sandbox: LiveSandbox, name: str) -> None:
    """PDF, PNG, TIFF and JPEG are accepted."""
    assert sandbox.docsumo_upload(name, content=SAMPLES[name]).status_code == 200


def test_rejects_another_content_type(sandbox: LiveSandbox) -> None:
    """An upload that is not a multipart form, and a PATCH that is not JSON, are a 415."""
    path = "/api/v1/upload-service/agents/casetype/case"
    assert sandbox.docsumo.post(path, data={"casetype_id": "casetype__d1t5b"}).status_code == 415
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    assert sandbox.docsumo.patch(f"{CASES}/case/{case_id}", data={"case_name": "x"}).status_code == 415


def test_lists_one_page_of_cases(sandbox: LiveSandbox) -> None:
    """The list is newest first unless sorted otherwise, paged by limit and offset, with the total."""
    ids = [sandbox.docsumo_upload().json()["data"]["case_id"] for _ in range(3)]
    assert [each["case_id"] for each in _listed(sandbox)] == ids[::-1]
    assert [each["case_id"] for each in _listed(sandbox, "?sort_by=created_date.asc&limit=1&offset=1")] == [ids[1]]
    data = sandbox.docsumo.get(f"{CASES}/cases?limit=0").json()["data"]
    assert data == {"cases": [], "total_count": 3}
    assert set(_listed(sandbox)[0]) == {
        "case_id",
        "case_name",
        "stage_id",
        "status",
        "created_date",
        "modified_date",
        "assigned_to",
    }


def test_filters_by_repeated_keys(sandbox: LiveSandbox) -> None:
    """stage_id and assigned_to are arrays: the key is repeated for each value."""
    ids = [sandbox.docsumo_upload().json()["data"]["case_id"] for _ in range(3)]
    sandbox.docsumo.patch(f"{CASES}/case/{ids[0]}", json={"stage_id": "stage__approved", "assigned_to": "user__1"})
    sandbox.docsumo.patch(f"{CASES}/case/{ids[1]}", json={"stage_id": "stage__rejected"})
    found = _listed(sandbox, "?stage_id=stage__approved&stage_id=stage__rejected&sort_by=created_date.asc")
    assert [each["case_id"] for each in found] == ids[:2]
    assert [each["case_id"] for each in _listed(sandbox, "?assigned_to=user__1&assigned_to=user__2")] == ids[:1]


@pytest.mark.parametrize(
    "query", ["limit=101", "limit=-1", "limit=x", "offset=-1", "sort_by=name.asc", "page=2", "limit=1&limit=2"]
)
def test_rejects_wrong_queries(sandbox: LiveSandbox, query: str) -> None:
    """Queries out of bounds, and parameters that the guide does not name, are a 400."""
    assert sandbox.docsumo.get(f"{CASES}/cases?{query}").status_code == 400


def test_unknown_things_are_404(sandbox: LiveSandbox) -> None:
    """Unknown case types, cases, files and paths are a 404 in the vendor's form."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    for path in (
        "/api/v1/external/agents/casetype__none/cases",
        "/api/v1/chatot/cases/case__none/files",
        f"/api/v1/chatot/cases/{case_id}/chat/artifacts/0/url",
        "/api/v1/nothing",
    ):
        answer = sandbox.docsumo.get(path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


def test_patch_changes_a_case(sandbox: LiveSandbox) -> None:
    """PATCH sets stage, assignee and name, and answers in the guide's shape."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    changes = {"stage_id": "stage__review", "assigned_to": "user__081ad", "case_name": "Updated"}
    answer = sandbox.docsumo.patch(f"{CASES}/case/{case_id}", json=changes).json()
    assert answer["message"] == "Case updated successfully"
    assert {**answer["data"], **changes} == answer["data"]
    assert set(answer["data"]) == {"case_id", "casetype_id", "modified_date", *changes}


@pytest.mark.parametrize("changes", [{}, {"stage_id": "stage__none"}, {"status": "processed"}, {"case_name": 1}])
def test_patch_rejects_other_changes(sandbox: LiveSandbox, changes: dict[str, object]) -> None:
    """PATCH rejects an empty change, an unknown stage, an unknown field and a value that is not text."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    assert sandbox.docsumo.patch(f"{CASES}/case/{case_id}", json=changes).status_code == 400


def test_file_search_is_a_bare_array(sandbox: LiveSandbox) -> None:
    """The search finds files by a part of their name; their ids are not those of documents."""
    uploaded = sandbox.docsumo_upload("email.pdf", "unreadable.pdf").json()["data"]
    found = _files(sandbox, uploaded["case_id"], "EMAIL")
    assert [set(each) for each in found] == [{"id", "filename", "status", "created_at"}]
    assert found[0]["status"] == "processed"
    assert found[0]["id"] not in {each["doc_id"] for each in uploaded["documents"]}
    assert _files(sandbox, uploaded["case_id"], "unread")[0]["status"] == "erred"


def test_artifacts_are_downloaded_by_signed_url(sandbox: LiveSandbox) -> None:
    """A file's URL has artifacts// in it and gives its bytes, which the operator's list names by SHA-256."""
    case_id = sandbox.docsumo_upload("my invoice.pdf").json()["data"]["case_id"]
    known = {each["file_id"]: each["sha256"] for each in sandbox.plain.get("/_sandbox/artifacts").json()["artifacts"]}
    files = _files(sandbox, case_id)
    for file in files:
        url = _url(sandbox, case_id, file["id"])
        assert f"/{case_id}/artifacts//" in url
        answer = sandbox.plain.get(url)
        assert hashlib.sha256(answer.content).hexdigest() == known[file["id"]]
    assert len(known) == len(files) == 3
    assert sandbox.plain.get(_url(sandbox, case_id, files[0]["id"])).content == PDF
    extraction = json.loads(sandbox.plain.get(_url(sandbox, case_id, files[1]["id"])).content)
    assert extraction["documents"][0]["sha256"] == hashlib.sha256(PDF).hexdigest()


def test_results_depend_only_on_the_file(sandbox: LiveSandbox) -> None:
    """The same file gives the same fields in another case."""
    fields = []
    for _ in range(2):
        case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
        file = _files(sandbox, case_id, "extraction")[0]
        answer = sandbox.plain.get(_url(sandbox, case_id, file["id"]))
        fields.append(answer.json()["documents"][0]["fields"])
    assert fields[0] == fields[1]


@pytest.mark.parametrize("change", [("artifacts//", "artifacts/"), ("Signature=", "Signature=0"), ("&", "&x=1&")])
def test_storage_rejects_a_changed_url(sandbox: LiveSandbox, change: tuple[str, str]) -> None:
    """A URL that does not arrive byte for byte as it was given is a 403."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    url = _url(sandbox, case_id, _files(sandbox, case_id)[0]["id"])
    assert sandbox.plain.get(url.replace(*change)).status_code == 403


def test_storage_rejects_an_expired_url(sandbox: LiveSandbox) -> None:
    """A URL is a 403 once its time is over; a new one can be asked for."""
    sandbox.set(url_seconds=-1)
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    file_id = _files(sandbox, case_id)[0]["id"]
    assert sandbox.plain.get(_url(sandbox, case_id, file_id)).status_code == 403
    sandbox.set(url_seconds=60)
    assert sandbox.plain.get(_url(sandbox, case_id, file_id)).status_code == 200


@pytest.mark.parametrize("header", ["x-api-key", "apikey", "authorization", "x-other"])
def test_storage_rejects_and_records_a_key(sandbox: LiveSandbox, header: str) -> None:
    """A key sent to storage is a 400 and a leak in the journal."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    url = _url(sandbox, case_id, _files(sandbox, case_id)[0]["id"])
    assert sandbox.plain.get(url, headers={header: ACCOUNTS.docsumo.api_key}).status_code == 400
    assert [entry["operation"] for entry in sandbox.journal(leak="true")] == ["download"]


def test_storage_serves_artifacts_of_any_size_and_name(sandbox: LiveSandbox) -> None:
    """An artifact of any name and size can be added; its bytes match the reported SHA-256."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    added = sandbox.plain.post(
        f"/_sandbox/docsumo/cases/{case_id}/artifacts", json={"filename": "../../etc/é.bin", "size": 200_001}
    ).json()
    answer = sandbox.plain.get(_url(sandbox, case_id, added["file_id"]))
    assert len(answer.content) == 200_001
    assert hashlib.sha256(answer.content).hexdigest() == added["sha256"]


def test_a_second_run_supersedes_the_generated_artifacts(sandbox: LiveSandbox) -> None:
    """After an append the generated artifacts are made anew, under new ids."""
    case_id = sandbox.docsumo_upload("a.pdf").json()["data"]["case_id"]
    first = _files(sandbox, case_id, "extraction")
    sandbox.docsumo_upload("b.pdf", case_id=case_id)
    second = _files(sandbox, case_id, "extraction")
    assert len(first) == len(second) == 1
    assert first[0]["id"] != second[0]["id"]
