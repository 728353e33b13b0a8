"""The sandbox's faults behave like real failures, and the journal records the effects."""

import base64
import email.utils
import gzip
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.sandbox.faults import STRAY
from tests.local.sandbox.sandboxes import LiveSandbox, until

CUT = (httpx.ReadError, httpx.RemoteProtocolError)


def test_lost_before_does_nothing(sandbox: LiveSandbox) -> None:
    """lost_before resets the connection: no status, and no work was done."""
    sandbox.set(faults={"lost_before": {"rate": 1, "vendor": "docustack", "operation": "upload"}})
    with pytest.raises(CUT):
        sandbox.docustack_upload()
    (entry,) = sandbox.journal(fault="lost_before")
    assert (entry["status"], entry["effects"]) == (None, [])
    assert sandbox.docustack.get("/api/v1/documents").json()["total"] == 0


def test_lost_after_hides_the_work(sandbox: LiveSandbox) -> None:
    """lost_after resets the connection after the document was stored."""
    sandbox.set(faults={"lost_after": {"rate": 1, "operation": "upload"}})
    for upload in (sandbox.docustack_upload, sandbox.docsumo_upload):
        with pytest.raises(CUT):
            upload()
    assert [entry["status"] for entry in sandbox.journal(effect="document_uploaded")] == [None, None]
    assert sandbox.docustack.get("/api/v1/documents").json()["total"] == 1


def test_late_work_is_done_after_the_caller_has_left(sandbox: LiveSandbox) -> None:
    """The connection is reset, and the document appears some time later; a reset drops pending work."""
    sandbox.set(faults={"late": {"rate": 1, "seconds": 3}})
    for upload in (sandbox.docustack_upload, sandbox.docsumo_upload):
        with pytest.raises(CUT):
            upload()
    assert sandbox.effects("document_uploaded") == []
    assert [entry["status"] for entry in sandbox.journal(fault="late")] == [None, None]
    until(lambda: len(sandbox.effects("document_uploaded")) == 2)
    assert sandbox.docustack.get("/api/v1/documents").json()["total"] == 1
    with pytest.raises(CUT):
        sandbox.docustack_upload()
    sandbox.plain.post("/_sandbox/reset")
    time.sleep(3.5)
    assert sandbox.effects("document_uploaded") == []


def test_a_large_upload_can_be_lost(sandbox: LiveSandbox) -> None:
    """A dropped connection reads the upload to its end first, so that before and after look alike."""
    sandbox.set(faults={"lost_before": 1})
    with pytest.raises(CUT):
        sandbox.docustack_upload(content=b"%PDF-" + bytes(5_000_000))


@pytest.mark.parametrize(("name", "done"), [("error_before", 0), ("error_after", 1)])
def test_errors_occur_before_or_after_the_work(sandbox: LiveSandbox, name: str, done: int) -> None:
    """error_before and error_after are a 5xx without and with the work done."""
    sandbox.set(faults={name: 1})
    assert sandbox.docustack_upload().status_code >= 500
    assert len(sandbox.effects("document_uploaded")) == done


def test_throttle_announces_a_pause_in_seconds(sandbox: LiveSandbox) -> None:
    """A throttled request gets a pause; a request with that key during the pause is a violation, a later one is not."""
    sandbox.set(faults={"throttle": {"rate": 1, "times": 1, "seconds": 3, "form": "seconds"}}, pause_grace=0.02)
    assert sandbox.docustack_upload().headers["retry-after"] == "3"
    time.sleep(0.05)
    assert sandbox.docustack.get("/api/v1/documents").status_code == 429
    assert sandbox.docsumo_upload().status_code == 200
    (entry,) = sandbox.journal(violation="true")
    assert (entry["vendor"], entry["operation"], entry["paused"]) == ("docustack", "list", True)
    time.sleep(3)
    assert sandbox.docustack.get("/api/v1/documents").status_code == 200
    assert not sandbox.effects("document_uploaded")[1:]


def test_throttle_announces_a_pause_as_a_date(sandbox: LiveSandbox) -> None:
    """Retry-After can be an HTTP date, not before the pause has the length set."""
    sandbox.set(faults={"throttle": {"rate": 1, "seconds": 1, "form": "date"}})
    before = time.time()
    until = email.utils.parsedate_to_datetime(sandbox.ombudsman_case().headers["retry-after"])
    assert before + 1 <= until.timestamp() <= time.time() + 2


def test_requests_already_in_flight_are_not_violations(sandbox: LiveSandbox) -> None:
    """A call so soon after the 429 that it may have been on its way is paused, but no violation."""
    sandbox.set(faults={"throttle": {"rate": 1, "times": 1}}, pause_grace=5)
    answers = [sandbox.docustack_upload().status_code for _ in range(2)]
    assert answers == [429, 429]
    assert [entry["paused"] for entry in sandbox.journal(status=429)] == [False, True]
    assert not sandbox.journal(violation="true")


def test_a_pause_counts_from_when_a_caller_could_know(sandbox: LiveSandbox) -> None:
    """A 429 that answers an upload leaves once the upload has been read: calls before that are not violations."""
    sandbox.set(faults={"throttle": {"rate": 1, "times": 1, "seconds": 30, "operation": "upload"}}, pause_grace=0.3)

    def slowly() -> Iterator[bytes]:
        yield from (b"%PDF-", b"1.7")
        time.sleep(1)
        yield b"\n"

    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(sandbox.docustack.post, "/api/v1/documents/upload", content=slowly())
        time.sleep(0.6)
        asked = time.monotonic()
        assert sandbox.docustack.get("/api/v1/documents").status_code == 429
        assert upload.result().status_code == 429
    assert not sandbox.journal(violation="true")
    time.sleep(0.4)
    assert sandbox.docustack.get("/api/v1/documents").status_code == 429
    (entry,) = sandbox.journal(violation="true")
    assert 0.3 < entry["since_pause"] < time.monotonic() - asked


def test_slow_delays_the_answer(sandbox: LiveSandbox) -> None:
    """A slow call's answer is held back."""
    sandbox.set(faults={"slow": {"rate": 1, "seconds": 0.3}})
    began = time.monotonic()
    assert sandbox.docustack_upload().status_code == 200
    assert time.monotonic() - began >= 0.06


@pytest.mark.parametrize("size", [0, 3_000_000], ids=["a small file", "a large one"])
def test_truncated_downloads(sandbox: LiveSandbox, size: int) -> None:
    """A truncated download ends short of its Content-Length, as its connection does."""
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    if size:
        made = {"filename": "large.bin", "size": size}
        sandbox.plain.post(f"/_sandbox/docsumo/cases/{case_id}/artifacts", json=made)
    name = "large.bin" if size else "summary.pdf"
    (file,) = sandbox.docsumo.get(f"/api/v1/chatot/cases/{case_id}/files?q={name}").json()
    path = f"/api/v1/chatot/cases/{case_id}/chat/artifacts/{file['id']}/url"
    url = sandbox.docsumo.get(path).json()["data"]["url"]
    sandbox.set(faults={"truncated": 1})
    got = b""
    with pytest.raises(CUT), sandbox.plain.stream("GET", url) as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_bytes():
            got += chunk
    if size:
        assert len(got) == size // 2


def test_truncated_json(sandbox: LiveSandbox) -> None:
    """A document's JSON can be truncated too."""
    document_id = sandbox.docustack_upload().json()["document_id"]
    sandbox.set(faults={"truncated": 1})
    with pytest.raises(CUT):
        sandbox.docustack.get(f"/api/v1/documents/{document_id}")


@pytest.mark.parametrize(("status", "when", "done"), [(200, "before", 0), (200, "after", 1), (502, "after", 1)])
def test_html_in_place_of_json(sandbox: LiveSandbox, status: int, when: str, done: int) -> None:
    """A page of HTML comes with 200 or 502, whether or not the work was done."""
    sandbox.set(faults={"html": {"rate": 1, "status": status, "when": when}})
    answer = sandbox.docustack_upload()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert len(sandbox.effects("document_uploaded")) == done


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", STRAY)
def test_stray_status_is_a_gateways_page(sandbox: LiveSandbox, status: int, when: str, done: int) -> None:
    """A status that no vendor's guide has for it comes with a page of HTML, whether or not the work was done."""
    sandbox.set(faults={"stray_status": {"rate": 1, "status": status, "when": when}})
    answer = sandbox.docustack_upload()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert ("location" in answer.headers) == (status in {302, 307})
    assert len(sandbox.effects("document_uploaded")) == done


def test_stray_statuses_are_drawn(sandbox: LiveSandbox) -> None:
    """Without a status and a time the rule draws both."""
    sandbox.set(faults={"stray_status": 1}, rate_limits={"docustack": None})
    answers = [sandbox.docustack_upload().status_code for _ in range(60)]
    assert set(answers) == set(STRAY)
    assert 10 < len(sandbox.effects("document_uploaded")) < 50


def test_redirect_detects_a_key_that_follows_it(sandbox: LiveSandbox) -> None:
    """A redirected GET ends at storage, which rejects and records a key."""
    sandbox.set(faults={"redirect": {"rate": 1, "vendor": "docustack"}})
    answer = sandbox.docustack.get("/api/v1/documents")
    assert answer.status_code == 302
    assert not sandbox.journal(leak="true")
    assert sandbox.docustack.get("/api/v1/documents", follow_redirects=True).status_code == 400
    assert len(sandbox.journal(leak="true")) == 1


def test_rules_are_filtered_and_counted(sandbox: LiveSandbox) -> None:
    """A rule strikes only its vendor and operation, and not more often than its times."""
    rule = {"rate": 1, "vendor": "ombudsman", "operation": "case", "times": 1, "status": 500}
    sandbox.set(faults={"error_before": [rule]})
    case_id = sandbox.ombudsman_case().json()["case_id"]
    assert [sandbox.ombudsman.get(f"/cases/{case_id}").status_code for _ in range(2)] == [500, 200]


def test_draws_are_repeatable(sandbox: LiveSandbox) -> None:
    """The same seed brings the same faults, another seed others."""

    def draw(seed: int) -> list[int]:
        sandbox.set(seed=seed, faults={"error_before": {"rate": 0.5, "status": 500}})
        return [sandbox.docustack.get("/api/v1/documents").status_code for _ in range(20)]

    first = draw(1)
    assert first == draw(1)
    assert first != draw(2)
    assert 3 < first.count(500) < 17


@pytest.mark.parametrize(
    "settings",
    [{"faults": {"fire": 1}}, {"faults": {"slow": 2}}, {"seconds": -1}, {"colour": 1}, {"rate_limits": {"x": None}}],
)
def test_rejects_impossible_settings(sandbox: LiveSandbox, settings: dict[str, object]) -> None:
    """Unknown settings and faults, and rates beyond 0 to 1, are a 400 and change nothing."""
    before = sandbox.plain.get("/_sandbox/settings").json()
    status = sandbox.plain.post("/_sandbox/settings", json=settings).status_code
    assert (status, sandbox.plain.get("/_sandbox/settings").json()) == (400, before)


# --- answers that are other than they should be -----------------------------------------------------------------------


def _artifact(sandbox: LiveSandbox) -> tuple[str, bytes]:
    """Return the URL of an artifact of a new case, and its bytes."""
    case_id = sandbox.docsumo_upload(trigger_workflow="false").json()["data"]["case_id"]
    body = {"filename": "a.bin", "size": 5000}
    made = sandbox.plain.post(f"/_sandbox/docsumo/cases/{case_id}/artifacts", json=body).json()
    path = f"/api/v1/chatot/cases/{case_id}/chat/artifacts/{made['file_id']}/url"
    url: str = sandbox.docsumo.get(path, params={"download": "true"}).json()["data"]["url"]
    url = f"{sandbox.url}/storage/{url.partition('/storage/')[2]}"
    return url, _raw(sandbox, url)[1]


def _raw(sandbox: LiveSandbox, url: str) -> tuple[httpx.Response, bytes]:
    """Return an answer and its bytes as they came: nothing is unpacked."""
    with sandbox.plain.stream("GET", url, headers={"accept-encoding": "identity"}) as answer:
        return answer, b"".join(answer.iter_raw())


def test_partial_content_is_a_part_or_nothing(sandbox: LiveSandbox) -> None:
    """Each form of half a file is recognizable, in its own way; none is a plain 200."""
    url, whole = _artifact(sandbox)
    for status in (206, 204, 200):
        sandbox.set(faults={"partial_content": {"rate": 1, "status": status}})
        answer, body = _raw(sandbox, url)
        assert answer.status_code == status
        assert body == (b"" if status == 204 else whole[: len(whole) // 2])
        assert answer.headers.get("content-range", "") == (
            "" if status == 204 else f"bytes 0-{len(body) - 1}/{len(whole)}"
        )
    assert len(sandbox.journal(fault="partial_content")) == 3
    sandbox.set(faults={"partial_content": 1})
    assert {_raw(sandbox, url)[0].status_code for _ in range(30)} == {200, 204, 206}
    assert sandbox.docsumo_upload().status_code == 200


def test_stored_gzip_has_the_checksums_of_what_is_stored(sandbox: LiveSandbox) -> None:
    """As at Google's: the checksums are of the packed object, whether it comes packed or is unpacked on the way."""
    url, whole = _artifact(sandbox)
    for form in ("packed", "unpacked"):
        sandbox.set(faults={"stored_gzip": {"rate": 1, "form": form}})
        answer, body = _raw(sandbox, url)
        packed = gzip.compress(whole, mtime=0)
        assert body == (packed if form == "packed" else whole)
        md5 = base64.b64encode(hashlib.md5(packed).digest()).decode()
        assert answer.headers["x-goog-hash"].endswith(f",md5={md5}")
        assert answer.headers["x-goog-stored-content-encoding"] == "gzip"
        assert answer.headers.get("content-encoding") == ("gzip" if form == "packed" else None)
        assert answer.headers.get("content-length") == (str(len(packed)) if form == "packed" else None)


def test_odd_encodings_leave_the_bytes_alone(sandbox: LiveSandbox) -> None:
    """An unknown encoding is only a header, and gzip in a list is gzip, for APIs and storage alike."""
    url, whole = _artifact(sandbox)
    for form in ("aws-chunked", "utf-8", "binary", "none", "br"):
        sandbox.set(faults={"odd_encoding": {"rate": 1, "form": form}})
        answer, body = _raw(sandbox, url)
        assert (answer.headers["content-encoding"], body) == (form, whole)
    sandbox.set(faults={"odd_encoding": {"rate": 1, "form": "gzip, identity"}})
    assert gzip.decompress(_raw(sandbox, url)[1]) == whole
    sandbox.set(faults={"odd_encoding": 1})
    seen = {sandbox.docustack.get("/api/v1/documents").headers["content-encoding"] for _ in range(60)}
    assert seen == {"aws-chunked", "utf-8", "binary", "none", "gzip, identity"}


def test_an_expired_link_gets_googles_error(sandbox: LiveSandbox) -> None:
    """A 400 in XML, though the link is good; the next try gets the file."""
    url, whole = _artifact(sandbox)
    sandbox.set(faults={"expired_400": {"rate": 1, "times": 1}})
    answer, body = _raw(sandbox, url)
    assert (answer.status_code, b"<Code>ExpiredToken</Code>" in body) == (400, True)
    assert _raw(sandbox, url)[1] == whole


def test_long_texts_are_statuses_where_one_is_asked_for(sandbox: LiveSandbox) -> None:
    """A status of 500 KB replaces the vendor's; requests without a status, and artifacts, get a long rejection."""
    document = sandbox.docustack_upload().json()["document_id"]
    sandbox.docsumo_upload()
    sandbox.set(faults={"long_text": 1})
    status = sandbox.docustack.get(f"/api/v1/documents/{document}/status").json()
    assert min(len(status["status"]), len(status["error"])) >= 500_000
    assert "\x1b" in status["status"]
    listed = sandbox.docsumo.get("/api/v1/external/agents/casetype__d1t5b/cases", params={"limit": 5}).json()
    assert len(listed["data"]["cases"][0]["status"]) >= 500_000
    refused = sandbox.docustack.get(f"/api/v1/documents/{document}")
    assert (refused.status_code, len(refused.json()["detail"]) >= 500_000) == (503, True)
    before = len(sandbox.effects("document_uploaded"))
    assert sandbox.docustack_upload().status_code == 503
    assert len(sandbox.effects("document_uploaded")) == before


def test_retry_after_announces_a_pause_on_503(sandbox: LiveSandbox) -> None:
    """A pause in seconds or as a date counts as after a 429; an unreadable one does not."""
    sandbox.set(faults={"retry_after": {"rate": 1, "times": 1, "seconds": 3, "form": "seconds"}}, pause_grace=0.02)
    answer = sandbox.docustack_upload()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    time.sleep(0.05)
    assert sandbox.docustack.get("/api/v1/documents").status_code == 429
    assert len(sandbox.journal(violation="true")) == 1
    sandbox.plain.post("/_sandbox/reset")
    sandbox.set(faults={"retry_after": {"rate": 1, "times": 1, "seconds": 1, "form": "date"}})
    before = time.time()
    until = email.utils.parsedate_to_datetime(sandbox.docustack_upload().headers["retry-after"])
    assert before + 1 <= until.timestamp() <= time.time() + 2
    sandbox.plain.post("/_sandbox/reset")
    sandbox.set(faults={"retry_after": {"rate": 1, "form": "hostile"}}, rate_limits={"docustack": None})
    text = {sandbox.docustack_upload().headers["retry-after"] for _ in range(40)}
    assert "Mon, 01 Jan 99999999999999999999 00:00:00 GMT" in text
    assert len(text) > 4
    sandbox.set(faults={})
    assert sandbox.docustack_upload().status_code == 200
