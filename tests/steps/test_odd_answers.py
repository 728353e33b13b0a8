"""Answers that vendors, gateways and storage really give: whole cases with one oddity at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from boto3.dynamodb.types import Binary

from dossier.models import CaseId, CaseStatus
from dossier.steps.publish import MOST_WARNINGS
from dossier.steps.refresh import ask
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.records import record
from tests.steps.answering import answering
from tests.steps.files import FILES
from tests.steps.later import later

OTHER = {"document_id": "another", "id": "another"}
EVERYWHERE: dict[str, dict[str, Any]] = {
    "stored metadata as an encoding, on every answer": {"odd_encoding": 1},
    "gzip in a list": {"odd_encoding": {"rate": 1, "form": "gzip, identity"}},
    "long texts": {"long_text": {"rate": 1, "times": 9}},
    "503 with a pause": {"retry_after": {"rate": 1, "times": 1, "seconds": 1, "form": "seconds"}},
    "503 with a pause as a date": {"retry_after": {"rate": 1, "times": 1, "seconds": 1, "form": "date"}},
    "503 with a hostile date": {"retry_after": {"rate": 1, "times": 6, "form": "hostile"}},
}
AT_STORAGE: dict[str, dict[str, Any]] = {
    "a part as 206": {"partial_content": {"rate": 1, "times": 3, "status": 206}},
    "nothing as 204": {"partial_content": {"rate": 1, "times": 3, "status": 204}},
    "a part as 200": {"partial_content": {"rate": 1, "times": 3, "status": 200}},
    "packed, and served packed": {"stored_gzip": {"rate": 1, "form": "packed"}},
    "packed, and unpacked on the way": {"stored_gzip": {"rate": 1, "form": "unpacked"}},
    "a link that has expired": {"expired_400": {"rate": 1, "times": 3}},
}


def _whole(world: World, connection: str, reference: str) -> dict[str, Any]:
    """Submit a case; check that it completes, that each document went once and each artifact is the vendor's."""
    files = samples(*FILES[connection])
    result = world.submit(connection, reference, files)
    assert result["status"] == "completed", result
    assert len(world.effects("document_uploaded")) == len(files)
    served = {each["sha256"] for each in world.sandbox.get("/_sandbox/artifacts").json()["artifacts"]}
    assert result["artifacts"]
    if connection == "claims":
        assert {each["sha256"] for each in result["artifacts"]} <= served
    return result


@pytest.mark.parametrize("connection", ["invoices", "disputes"])
def test_an_answer_about_somebody_elses_document_is_asked_for_again(cloud: Cloud, connection: str) -> None:
    """A cache mixes answers up: neither a poll nor a result, nor a stored raw answer, has those of another document."""
    world, uploaded, mixed = World(cloud), set[str](), list[dict[str, Any]]()

    def change(answer: Any) -> Any:
        named = OTHER.keys() & answer.keys() if isinstance(answer, dict) and "status" in answer else set()
        if not named or len(mixed) == 4:
            return answer
        if "uploaded_at" in answer and answer["document_id"] not in uploaded:  # the answer to the upload itself
            uploaded.add(answer["document_id"])
            return answer
        mixed.append(answer)
        return {**answer, **{name: OTHER[name] for name in named}, "secret": "of somebody else"}

    later(world, change)
    result = world.submit(connection, "R-1", samples("invoice.pdf"))
    assert result["status"] == "completed"
    assert len(mixed) == 4
    assert [each["error"] for each in result["documents"]] == [None]
    for key, _ in cloud.app.objects.list(f"cases/{connection}/R-1/"):
        assert b"of somebody else" not in (cloud.app.objects.read(key) or b""), key


@pytest.mark.parametrize("oddity", EVERYWHERE)
@pytest.mark.parametrize("connection", FILES)
def test_a_case_completes_whatever_the_answers_look_like(cloud: Cloud, connection: str, oddity: str) -> None:
    """The case ends well, every document is uploaded once, and no operator is asked."""
    world = World(cloud, faults=EVERYWHERE[oddity])
    _whole(world, connection, "R-1")
    assert world.asked == []
    name = next(iter(EVERYWHERE[oddity]))
    assert [each for each in world.journal() if each["fault"] == name]
    assert not [each for each in world.journal() if each["violation"]]


@pytest.mark.parametrize("oddity", AT_STORAGE)
def test_an_artifact_is_the_whole_file(cloud: Cloud, oddity: str) -> None:
    """Parts, empty bodies, stored gzip and a link that expires early: the stored file equals the vendor's."""
    world = World(cloud, faults=AT_STORAGE[oddity])
    _whole(world, "claims", "R-1")
    name = next(iter(AT_STORAGE[oddity]))
    struck = [each for each in world.journal() if each["fault"] == name]
    assert struck
    if name == "expired_400":
        urls = [each["query"] for each in world.journal() if each["operation"] == "download"]
        assert len([each for each in world.journal() if each["operation"] == "artifact_url"]) == len(urls)


@pytest.mark.parametrize("fault", ["truncated", "error_before", "lost_before", "lost_after", "partial_content"])
def test_a_download_that_storage_interrupts_uses_the_same_link_again(cloud: Cloud, fault: str) -> None:
    """The vendor is asked for one link for each artifact, and no step is repeated."""
    world = World(cloud, faults={fault: {"rate": 1, "times": 3, "operation": "download"}})
    _whole(world, "claims", "R-1")
    downloads = [each for each in world.journal() if each["operation"] == "download"]
    links = [each for each in world.journal() if each["operation"] == "artifact_url"]
    assert len([each for each in downloads if each["fault"] == fault]) == 3
    assert len(links) == len(downloads) - 3
    assert world.retried == []


def test_storage_that_never_has_the_whole_file_fails_the_case(cloud: Cloud) -> None:
    """A partial download is retried, and never taken for the file."""
    world = World(cloud, faults={"partial_content": {"rate": 1, "status": 206}})
    with pytest.raises(AssertionError, match="gave up"):
        world.submit("claims", "R-1", samples("invoice.pdf"))
    assert set(world.retried) == {"VendorUnavailableError"}
    assert not any(each.key for each in world.context.cases.get(CaseId("claims", "R-1")).artifacts)


@pytest.mark.parametrize("operation", ["download", "files", "upload"])
def test_unrequested_content_coding_says_what_to_do(cloud: Cloud, operation: str) -> None:
    """A file fails at once with one line; a list is read again; after an upload it is looked up, as any lost answer."""
    fault = {"rate": 1, "times": 1, "form": "br", "operation": operation, "vendor": "docsumo"}
    world = World(cloud, faults={"odd_encoding": fault})
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    if operation == "upload":
        assert result["status"] == "completed"
        assert world.retried == ["OutcomeUnknownError"]
        assert len(world.effects("document_uploaded")) == 1
        return
    assert world.retried == []
    if operation == "files":  # the waiting room asks again
        assert result["status"] == "completed"
        return
    [lost] = result["failed_artifacts"]
    assert result["status"] == "completed_with_failures"
    assert "it is compressed as br, which was not requested: ask the vendor for plain bytes or gzip" in lost["error"]
    assert lost["error"] in result["reason"]


def _items(world: World) -> list[dict[str, Any]]:
    return list(world.cloud.app.table._table.scan()["Items"])


def _size(item: dict[str, Any]) -> int:
    return len(json.dumps(item, default=lambda each: bytes(each).hex() if isinstance(each, Binary) else str(each)))


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
@pytest.mark.parametrize("connection", FILES)
def test_endless_long_texts_end_at_the_deadline(cloud: Cloud, connection: str) -> None:
    """Statuses and errors of 500 KB on every poll: the wait ends at its deadline, and they fill nothing."""
    operation = {"invoices": "status", "claims": "list", "disputes": "evidence"}[connection]
    world = World(cloud, seconds=600, faults={"long_text": {"rate": 1, "operation": operation}})
    settings = world.connections[connection]
    brief = settings.poll.model_copy(update={"deadline": 1.5, "every": 0.2, "max": 0.2})
    world.connections[connection] = settings.model_copy(update={"poll": brief})
    sizes: list[int] = []
    register = cloud.session.events.register
    register("provide-client-params", lambda params, **_: sizes.append(len(str({**params, "Body": ""}))))
    if connection == "disputes":  # whose breaker is open by then: the collection waits for it
        with pytest.raises(AssertionError, match=r"circuit breaker"):
            world.submit(connection, "R-1", samples(*FILES[connection]))
        result = {"reason": world.context.cases.get(CaseId(connection, "R-1")).record.late}
    else:
        result = world.submit(connection, "R-1", samples(*FILES[connection]))
        assert result["status"] == "failed"
    assert "did not finish within" in result["reason"]
    assert result["reason"].isprintable()
    assert len(result["reason"]) <= 1000
    assert max(sizes) < 20_000
    assert max(_size(item) for item in _items(world)) < 10_000
    assert len(json.dumps(result)) < 20_000


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
def test_warnings_about_the_vendor_fit_into_the_result(cloud: Cloud) -> None:
    """Thousands of warnings, and titles of half a megabyte that change: item, event and revision have room for them."""
    world = World(cloud)
    titles = ["\x1b[2J" + "\U0001f642" * 125_000, "B" * 500_000]
    evidence = [{"document_id": f"{number}-{'x' * 400}", "claimant_support_score": "?"} for number in range(3000)]

    def swollen(_: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        value = response.json() if response.is_success else None
        if not isinstance(value, dict) or "case_title" not in value or value.get("status") != "processed":
            return None
        value |= {"case_title": titles[0], "evidence": [*(value.get("evidence") or []), *evidence]}
        return httpx.Response(response.status_code, json=value, request=response.request)

    answering(world, "/cases/", swollen)
    result = world.submit("disputes", "R-1", samples("invoice.pdf"))
    assert len(result["warnings"]) == MOST_WARNINGS + 1
    assert result["warnings"][-1] == f"and {3000 - MOST_WARNINGS} more warnings"
    assert (result["title"].isprintable(), len(result["title"])) == (True, 500)
    titles.pop(0)
    assert ask(CaseId("disputes", "R-1"), context=world.context)
    world.run_started()
    short = world.context.cases.get(CaseId("disputes", "R-1")).revisions
    assert [each.number for each in short] == [1, 2]
    assert short[1].changes["title"]["to"] == "B" * 200
    assert max(_size(item) for item in _items(world)) < 200_000
    assert max(len(json.dumps(detail)) for _, detail in world.sent_events) < 10_000


@pytest.mark.parametrize("connection", ["disputes", "claims"])
def test_a_vendors_case_of_too_many_documents_fails_before_anything_is_sent(cloud: Cloud, connection: str) -> None:
    """An upload stores the case's earlier ids: if they do not fit, the reason is one line, without a retry."""
    world = World(cloud)
    ids = [f"{number}-{chr(0x1F642) * 300}" for number in range(1000)]

    def swollen(_: httpx.Request, response: httpx.Response) -> httpx.Response | None:
        if not response.is_success:
            return None
        value = response.json()
        if connection == "disputes" and isinstance(value, dict):
            value |= {"evidence": [{"document_id": each} for each in ids]}
        elif connection == "claims" and isinstance(value, list):
            value = [{"id": each, "filename": "a.pdf"} for each in ids]
        return httpx.Response(response.status_code, json=value, request=response.request)

    case_id = world.submit(connection, "R-0", samples("invoice.pdf"))["case_id"]
    before = len(world.effects("document_uploaded"))
    answering(world, "/cases/" if connection == "disputes" else "/files", swollen)
    result = world.submit(connection, "R-1", samples("receipt.png"), case_id=case_id)
    assert result["status"] == "failed"
    assert "the vendor's case has 1,000 documents already" in result["reason"]
    assert len(world.effects("document_uploaded")) == before
    assert world.retried == []


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
def test_job_with_a_long_id_can_report_its_failure(cloud: Cloud) -> None:
    """An id that is no longer than a partition key may be longer than a sort key."""
    job = "\U0001f642" * 500
    cloud.app.cases.claim(record(connection="claims", reference="R-1", status=CaseStatus.WAITING))
    for text in ("no", "no", "never"):
        cloud.app.cases.say(CaseId("claims", "R-1"), job, text)
    cloud.app.cases.say(CaseId("claims", "R-1"), "short", "so")
    assert cloud.app.cases.get(CaseId("claims", "R-1")).said == {job: "never", "short": "so"}


def _with_ids(made: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Return a function that changes every id of an answer."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            ids = {"case_id", "document_id", "doc_id", "job_id"}
            return {key: made(str(each)) if key in ids and each else change(each) for key, each in value.items()}
        return [change(each) for each in value] if isinstance(value, list) else value

    return change


class OnlyUploads:
    """Changes the answers to requests that create something, and leaves the others alone."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change
        self.creating = False

    def note(self, request: httpx.Request) -> None:
        """Record the request."""
        self.creating = request.method == "POST"

    def __call__(self, value: Any) -> Any:
        """Change an answer."""
        return self._change(value) if self.creating else value


ODD_IDS: dict[str, Callable[[str], Any]] = {
    "longer than a key": lambda id_: id_ + "🙂" * 600,
    "longer than a key in bytes alone": lambda id_: ("🙂" * 511 + id_)[:512],
    "half a megabyte": lambda id_: id_ + "x" * 500_000,
    "another path": lambda id_: f"../../{id_}",
    "dots": lambda _: "..",
    "control characters": lambda id_: f"\x1b[31m{id_}",
    "an object": lambda id_: {"id": id_},
}


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
@pytest.mark.parametrize("kind", ODD_IDS)
@pytest.mark.parametrize("connection", FILES)
def test_unstorable_id_leaves_the_upload_in_doubt(cloud: Cloud, connection: str, kind: str) -> None:
    """The vendor has done the work: its answer is looked up, or asked about, never sent again."""
    world = World(cloud)
    odd = OnlyUploads(_with_ids(ODD_IDS[kind]))
    world.sandbox.event_hooks["request"].append(odd.note)
    later(world, odd)
    (name, *_) = FILES[connection]
    result = world.submit(connection, "R-1", samples(name))
    assert result["status"] == "completed", result
    assert len(world.effects("document_uploaded")) == 1
    assert len(world.effects("case_created")) <= (2 if connection == "disputes" else 1)
    assert set(world.retried) <= {"OutcomeUnknownError", "NotReadyError"}
    assert (world.retried or world.asked) != []
    assert not [item for item in _items(world) if len(item["pk"].encode()) > 300]


@pytest.mark.rule("security: make an id lead to another endpoint, with the key")
@pytest.mark.parametrize("connection", ["invoices", "disputes"])
@pytest.mark.parametrize("case_id", ["..", "a/../b", "x\n", "🙂" * 512, "%2e%2e"], ids=repr)
def test_callers_id_is_checked_before_any_request(cloud: Cloud, connection: str, case_id: str) -> None:
    """A case_id that would lead to another endpoint, or fits into no key, is rejected in one line."""
    world = World(cloud)
    case = {"connection": connection, "reference": "R-1", "case_id": case_id}
    before = len(world.journal())
    try:
        result = world.execute(case, "arn:1")
    finally:
        assert len(world.journal()) == before
    assert result.get("status", "failed") == "failed"
