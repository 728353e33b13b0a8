"""The HTTP API in process: each answer is what the OpenAPI document says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dossier.api.app import answer
from dossier.api.models import ResolveRequest, Selection, UploadRequest
from dossier.api.openapi import document, text
from dossier.api.routes import ROUTES, Route
from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseInput, CaseStatus
from dossier.stores.cases import Question
from dossier.stores.executions import Executions
from tests.cli.conftest import DOCUMENTS, Dossier
from tests.machine import ROOT

PDF = (DOCUMENTS / "invoice.pdf").read_bytes()
DOCUMENT = document()
INPUT = {"connection": "invoices", "reference": "INV-1", "documents": [{"uri": "s3://artifacts/uploads/1.pdf"}]}


class Api:
    """Sends requests as API Gateway does, and compares each answer with the OpenAPI document."""

    def __init__(self, dossier: Dossier) -> None:
        self.dossier = dossier
        app, outputs = dossier.cloud.app, dossier.json("outputs")
        machine = Executions(dossier.cloud.session.client("stepfunctions"), outputs["state_machine_arn"])
        self.context = app.replacing(connection_of=self._connection, executions=machine)
        self.bucket = app.objects.bucket

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        """Send a request; return the status and the answer."""
        route, given = self._route(method, path)
        event = {
            "routeKey": f"{method} {route}",
            "pathParameters": given or None,
            "queryStringParameters": query or None,
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        found = answer({name: value for name, value in event.items() if value is not None}, context=self.context)
        described = DOCUMENT["paths"][route][method.lower()]["responses"][str(found["statusCode"])]["content"]
        media_type = found["headers"]["content-type"]
        assert media_type == ("application/json" if found["statusCode"] < 400 else "application/problem+json")
        content = described[media_type]
        shown = json.loads(found["body"])
        Draft202012Validator({**content["schema"], "components": DOCUMENT["components"]}).validate(shown)
        return found["statusCode"], shown

    def put(self, name: str = "1.pdf", body: bytes = PDF) -> dict[str, Any]:
        """Put a document into the bucket; return an input that names it."""
        self.dossier.cloud.put(f"uploads/{name}", body)
        return {**INPUT, "documents": [{"uri": f"s3://{self.bucket}/uploads/{name}"}]}

    def submitted(self, reference: str = "INV-1") -> str:
        """Submit a case that Accept accepts; return its path."""
        assert self("POST", "/cases", {**self.put(), "reference": reference})[0] == 202
        self.dossier.whole = False
        self.dossier.tick()
        return f"/cases/invoices/{reference}"

    def _route(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        for each in ROUTES:
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each.path), path)
            if found and each.method == method:
                return each.path, found.groupdict()
        raise AssertionError(path)

    def _connection(self, name: str) -> Any:
        if name not in self.dossier.connections:
            raise InvalidCaseError(f'unknown connection "{name}"')
        return self.dossier.connections[name]


@pytest.fixture
def api(dossier: Dossier) -> Api:
    """Return the API of a deployment."""
    return Api(dossier)


def test_the_document_is_the_one_in_docs() -> None:
    """``python -m dossier.api.openapi`` prints it."""
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == text()


def test_a_submission_starts_one_execution(api: Api) -> None:
    """The same content, sent again or submitted by the command, is the same execution."""
    sent = api.put()
    status, first = api("POST", "/cases", sent)
    assert (status, first["outcome"]) == (202, "started")
    assert api("POST", "/cases", sent) == (200, {**first, "outcome": "already_submitted"})
    api.dossier.whole = False
    api.dossier.tick()
    assert api("POST", "/cases", sent) == (200, {**first, "outcome": "already_submitted"})
    file = Path(DOCUMENTS / "invoice.pdf")
    by_hand = {**sent, "documents": [{**sent["documents"][0], "name": "invoice.pdf"}], "reference": "INV-2"}
    started = api("POST", "/cases", by_hand)[1]["execution_arn"]
    api.dossier.tick()
    again = api.dossier.json("submit", "invoices", file, "--reference", "INV-2")
    assert (again["outcome"], again["execution_arn"]) == ("already_submitted", started)
    assert len(api.dossier.executions()) == 2


def test_other_content_under_the_reference_is_a_conflict(api: Api) -> None:
    """The answer names the difference, and nothing is started."""
    api.submitted()
    status, problem = api("POST", "/cases", api.put("2.pdf", PDF + b"% other"))
    assert (status, problem["error"]) == (409, "ReferenceConflictError")
    assert "INV-1 belongs to a case with other content" in problem["detail"]
    assert len(api.dossier.executions()) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"refrence": "x"}, 'did you mean "reference"'),
        ({"resume": True}, "resume: only Dossier sets this key"),
        ({"connection": "nope"}, 'unknown connection "nope"'),
        ({"documents": []}, "it has no documents"),
        ({"documents": [{"uri": "s3://artifacts/uploads/absent.pdf"}]}, "absent.pdf"),
        ({"reference": "a/b"}, "reference: use 1 to 100 letters"),
        ({"priority": "high"}, "priority"),
        ({"options": {"case_title": "\ud800"}}, "the body is not JSON: \\ud800 is half a character"),
        ({"files": [{"name": "1.pdf"}]}, "reference: unknown key; known are connection, files"),
    ],
)
def test_a_wrong_submission_says_what_to_fix(api: Api, changes: dict[str, Any], says: str) -> None:
    """Nothing is started."""
    sent = {
        name: value
        for name, value in {**api.put(), **changes}.items()
        if "refrence" not in changes or name != "reference"
    }
    status, problem = api("POST", "/cases", sent)
    assert status == 400
    assert says in problem["detail"]
    assert api.dossier.executions() == []


_ANY_TEXT = st.text(st.characters(), max_size=20)
"""Half characters too, which JSON can write and UTF-8 cannot hold."""
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
_KEYS = st.sampled_from([*CaseInput.model_fields, *UploadRequest.model_fields, *ResolveRequest.model_fields, "odd"])
_TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text and "\n" not in text)


@given(
    route=st.sampled_from(ROUTES),
    body=st.dictionaries(_KEYS, _JSON, max_size=5),
    names=st.tuples(*[_TEXTS] * 3),
    data=st.data(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_answer_is_in_the_document(
    api: Api, route: Route, body: dict[str, Any], names: tuple[str, str, str], data: st.DataObject
) -> None:
    """No request fails the function, and every answer matches the document."""
    connection, reference, name = names
    path = route.path.format(connection=connection, reference=reference, name=name)
    query = data.draw(
        st.dictionaries(st.sampled_from([*Selection.model_fields, "odd"]), st.text(max_size=12), max_size=3)
    )
    status, _ = api(route.method, path, body if route.bodies else None, **(query if route.query else {}))
    assert status in {200, 400, 404, 409}


@pytest.mark.parametrize("body", ["", "{", "[]", '"text"', "[" * 100_000, '{"connection": "a", "connection": "b"}'])
def test_a_body_that_is_not_an_object_is_wrong(api: Api, body: str) -> None:
    """Deep nesting too."""
    assert api("POST", "/cases", body)[0] == 400


def test_a_draining_stage_takes_no_case(api: Api) -> None:
    """Like every other way of submission."""
    api.context.cases.drain("2026-01-31T12:00:00.000Z")
    status, problem = api("POST", "/cases", api.put())
    assert (status, api.dossier.executions()) == (400, [])
    assert "draining" in problem["detail"]


def test_files_are_uploaded_to_presigned_urls(api: Api) -> None:
    """An uploaded file is a document of a case."""
    status, targets = api("POST", "/cases", {"connection": "invoices", "files": [{"name": "März 1.pdf"}]})
    [file] = targets["files"]
    assert status == 200
    assert "Signature" in file["url"]
    key = file["uri"].removeprefix(f"s3://{api.bucket}/")
    assert key.startswith("staging/invoices/api-")
    assert key in unquote(file["url"])
    api.dossier.cloud.put(key, PDF)
    assert api("POST", "/cases", {**INPUT, "documents": [{"uri": file["uri"], "name": file["name"]}]})[0] == 202
    assert api("POST", "/cases", {"connection": "nope", "files": [{"name": "a"}]})[0] == 400
    assert api("POST", "/cases", {"connection": "invoices", "files": []})[0] == 400


def test_a_finished_case_is_read(api: Api) -> None:
    """Its record, result, revisions and artifacts."""
    assert api("POST", "/cases", api.put())[0] == 202
    api.dossier.tick()
    path = "/cases/invoices/INV-1"
    _, case = api("GET", path)
    assert case["status"] == "completed"
    assert case == {key: value for key, value in api.dossier.json("status", "INV-1").items() if key != "paused"}
    assert api("GET", f"{path}/result")[1]["status"] == "completed"
    assert [each["revision"] for each in api("GET", f"{path}/revisions")[1]["revisions"]] == [1]
    name = case["artifacts"][0]["name"]
    _, link = api("GET", f"{path}/artifacts/{name}")
    assert link["sha256"] == case["artifacts"][0]["sha256"]
    assert case["artifacts"][0]["key"].split("/")[-1] in link["url"]
    assert api("GET", f"{path}/artifacts/absent")[0] == 404
    status, refreshed = api("POST", f"{path}/refresh")
    assert (status, refreshed["revision"]) == (202, 1)
    assert refreshed["execution_arn"].endswith("-u1")
    assert api("POST", f"{path}/cancel")[0] == 409


def test_a_large_result_is_redirected_to(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda answers six megabytes at most."""
    assert api("POST", "/cases", api.put())[0] == 202
    api.dossier.tick()
    monkeypatch.setattr("dossier.api.operations.MOST_RESULT", 10)
    names = {"connection": "invoices", "reference": "INV-1"}
    event = {"routeKey": "GET /cases/{connection}/{reference}/result", "pathParameters": names}
    found = answer(event, context=api.context)
    assert found["statusCode"] == 303
    assert "cases/invoices/INV-1/result.json" in found["headers"]["location"]


def test_what_is_not_there_is_not_found(api: Api) -> None:
    """Each operation on a case that nobody submitted, and the result of one that has not ended."""
    for each in ROUTES:
        if "{reference}" in each.path:
            path = each.path.format(connection="invoices", reference="INV-1", name="x")
            body = {"answer": "retry"} if each.bodies else None
            assert api(each.method, path, body)[0] == 404
    path = api.submitted()
    assert api("GET", f"{path}/result")[0] == 404
    assert api("POST", f"{path}/refresh")[0] == 409


def test_cases_are_listed_in_pages(api: Api) -> None:
    """Each case once, latest first; by status, connection and time."""
    for number in range(5):
        api.submitted(f"INV-{number}")
    api.dossier.change("invoices", "INV-3", status=CaseStatus.FAILED, reason="no")
    seen, after = list[str](), {}
    while True:
        _, page = api("GET", "/cases", limit="2", **after)
        seen += [each["reference"] for each in page["cases"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [f"INV-{number}" for number in (4, 3, 2, 1, 0)]
    assert [each["reference"] for each in api("GET", "/cases", status="failed")[1]["cases"]] == ["INV-3"]
    assert api("GET", "/cases", connection="claims")[1] == {"cases": [], "next": None}
    first = api("GET", "/cases/invoices/INV-0")[1]["submitted_at"]
    assert [each["reference"] for each in api("GET", "/cases", until=first)[1]["cases"]] == ["INV-0"]
    assert api("GET", "/cases", since="2999-01-01")[1]["cases"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "x"},
        {"status": "odd"},
        {"since": "soon"},
        {"since": "0001-01-01T00:00:00+23:59"},
        {"until": "9999-12-31T23:59:59-23:59"},
        {"after": "x"},
        {"connection": "nope"},
        {"a": "b"},
    ],
)
def test_a_wrong_selection_is_wrong(api: Api, query: dict[str, str]) -> None:
    """It lists nothing."""
    assert api("GET", "/cases", **query)[0] == 400


def test_an_unknown_parameter_is_answered_with_the_known_ones(api: Api) -> None:
    """The filters of the list, and not the keys of a submission."""
    shown = api("GET", "/cases", conection="invoices")[1]["detail"]
    assert shown == 'conection: unknown key; did you mean "connection"?'
    assert api("GET", "/cases", colour="red")[1]["detail"].endswith(
        "known are connection, status, since, until, after, limit"
    )


def test_a_case_is_cancelled(api: Api) -> None:
    """It ends, as with the command."""
    path = api.submitted()
    assert api("POST", f"{path}/cancel")[1] == {**_names("INV-1"), "billed": [], "in_doubt": []}
    assert api("GET", path)[1]["status"] == "cancelled"


def test_a_question_is_answered(api: Api) -> None:
    """The case continues; a question that is not open, or an answer that does not fit, changes nothing."""
    path, cases = api.submitted(), api.context.cases
    assert api("POST", f"{path}/resolve", {"answer": "retry"})[0] == 409
    api.dossier.change("invoices", "INV-1", status=CaseStatus.NEEDS_ATTENTION, reason="is it there?")
    case = cases.get(CaseId("invoices", "INV-1")).record
    cases.ask(case.id, Question(what="upload-0", text="is it there?", token="t1", asked_at=case.submitted_at))
    assert [each["what"] for each in api("GET", path)[1]["questions"]] == ["upload-0"]
    for body in (
        {"answer": "use"},
        {"answer": "send"},
        {"answer": "retry", "id": "x"},
        {"answer": "x"},
        {"question": "?"},
    ):
        assert api("POST", f"{path}/resolve", body)[0] == 400
    assert api("POST", f"{path}/resolve", {"answer": "retry", "question": "open"})[0] == 400
    status, resolved = api("POST", f"{path}/resolve", {"answer": "retry"})
    assert (status, resolved) == (200, {**_names("INV-1"), "question": "upload-0", "answer": "retry"})
    assert api.dossier.answers == {"t1": True}
    assert api("GET", path)[1]["status"] == "uploading"


def _names(reference: str) -> dict[str, str]:
    return {"connection": "invoices", "reference": reference}
