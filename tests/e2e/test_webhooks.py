"""Deliveries through the deployed API. These connections poll every five minutes: only a delivery explains speed."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from dossier.steps.identity import stranger_reference
from tests.e2e.fences import completed, pass_through, trace
from tests.e2e.otherservers import NEVER, DocuStack, Fault, Plan
from tests.e2e.world import World, sha256, until

ANSWERED_WITHIN, HELD, FINISHED_WITHIN = 2.0, 2.5, 8.0
"""Seconds: to the answer to a delivery; that the vendor takes over its next answer; from delivery to the case's end."""


def waiting(world: World, connection: str, reference: str, **plan: Any) -> tuple[str, dict[str, Any]]:
    """Submit a case of one document and wait until it waits; return its execution and the vendor's ids."""
    world.vendors.plan(reference, **plan)
    arn = str(world.submit(connection, reference, world.file(f"{reference}.pdf"))["execution_arn"])
    until(lambda: world.waits(connection, reference))
    (sent,) = world.vendors.uploads(reference)
    return arn, sent


def check_speed(world: World, connection: str, arn: str, body: bytes, headers: dict[str, str | bytes]) -> None:
    """Deliver, and check that it is answered before the vendor answers anything, and finishes the case soon."""
    before = len(world.vendors.calls(connection))
    world.vendors.accounts[connection].faults.append(
        Fault("listing" if connection == "rung" else "status", seconds=HELD)
    )
    heard = world.deliver(connection, body, headers)
    assert heard.status == 200
    assert heard.answered - heard.sent < ANSWERED_WITHIN
    assert not [call for call in world.vendors.calls(connection)[before:] if 0 < call.ended < heard.answered]
    ended = world.ended(arn, 60)
    assert ended["status"] == "SUCCEEDED"
    took = time.monotonic() - heard.answered
    assert took < FINISHED_WITHIN, f"{took:.1f} s from the delivery to the end"
    (kept,) = world.evidence(connection, body.decode())
    assert (kept["body"], kept["verdict"], kept["connection"]) == (body, "accepted", connection)


def test_rejected_delivery_leaves_only_evidence(world: World) -> None:
    """Every rejected delivery gets the same 401 and is never queued."""
    answers = []
    right = "right signature"
    cases: list[tuple[str, dict[str, str | bytes] | str]] = [
        ("called", {"X-DocuStack-Signature": "0" * 64}),
        ("called", {}),
        ("called", {"X-DocuStack-Signature": ""}),
        ("called", {"X-DocuStack-Signature": "sïgnature".encode("latin-1")}),
        ("called", {"X-DocuStack-Signature": "签名".encode()}),
        ("nobody", right),
        ("quarrels", right),
        ("scans", right),
        ("called/wrong-token", {}),
        ("rung", {}),
        ("rung", {"X-Other-Token": "planted-secret-of-runG"}),
        ("intake", {}),
    ]
    for number, (connection, headers) in enumerate(cases):
        body = completed(f"refused-{number}", case_id=f"refused-{number}")
        given = world.signed("called", body) if isinstance(headers, str) else headers
        answers.append(world.deliver(connection, body, given))
    assert [each.status for each in answers] == [401] * len(cases)
    assert len({(each.body, each.headers.get("content-type")) for each in answers}) == 1
    pass_through(world)
    for number, (connection, _) in enumerate(cases):
        assert not trace(world, connection.partition("/")[0], f"refused-{number}")
        kept = world.evidence(connection, f'"refused-{number}"') if connection not in {"nobody", "quarrels"} else []
        assert {each["verdict"] for each in kept} <= {"refused"}
    assert [each["verdict"] for each in world.evidence("called", '"refused-0"')] == ["refused"]
    assert not world.keys("webhooks/nobody/")


def test_a_delivery_too_large(world: World) -> None:
    """A body of more than the connection's limit gets 413, signed or not."""
    body = completed("large").ljust(1_048_577)
    assert world.deliver("called", body, world.signed("called", body)).status == 413
    assert world.deliver("called", body, {}).status == 413
    body = completed("just-right").ljust(1_048_576)
    assert world.deliver("called", body, world.signed("called", body)).status == 200


@pytest.mark.rule("security: hide that a delivery arrived")
def test_bytes_are_stored_as_received(world: World) -> None:
    """A signed body that is not text is verified and kept byte for byte."""
    word = uuid.uuid4().hex
    body = b'\xff\xfe\x00{"broken": "\xc3\x28"}\r\n' + word.encode()
    headers = {**world.signed("called", body), "Content-Type": "application/octet-stream"}
    assert world.deliver("called", body, headers).status == 200
    (kept,) = world.evidence("called", word)
    assert sha256(kept["body"]) == sha256(body)
    day = datetime.now(UTC).strftime("%Y/%m")
    assert all(key.startswith(f"webhooks/called/{day}/") for key in world.keys("webhooks/called/"))
    assert all(key.endswith(".json") for key in world.keys("webhooks/called/"))


def test_an_early_delivery(world: World) -> None:
    """A delivery that comes before the upload's own answer makes the first poll at once."""
    reference = world.name("early")

    def deliver(ids: dict[str, str]) -> None:
        body = completed(ids["document_id"], job_id=ids["job_id"])
        assert world.deliver("called", body, world.signed("called", body)).status == 200
        until(lambda: trace(world, "called", ids["document_id"]))

    world.vendors.plan(reference, seconds=0.0, before_answer=deliver)
    world.complete("called", reference, world.file(f"{reference}.pdf"))


def test_false_and_repeated_deliveries_change_nothing(world: World) -> None:
    """A false delivery causes one poll; repeated and late ones change nothing in a case that has ended."""
    reference = world.name("lied-about")
    arn, sent = waiting(world, "called", reference, seconds=NEVER)
    path = f"/api/v1/documents/{sent['document_id']}/status".replace(":", "%3A")

    def asked() -> int:
        return len([call for call in world.vendors.calls("called", "status") if call.path == path])

    lie = completed(sent["document_id"])
    assert world.deliver("called", lie, world.signed("called", lie)).status == 200
    until(lambda: asked() == 1)
    pass_through(world)
    until(lambda: world.messages("poll-called")["worked_on"] == 0)
    assert asked() == 1
    assert world.status("called", reference)["status"] == "waiting"
    desk = world.vendors.desks["called"]
    assert isinstance(desk, DocuStack)
    desk.papers[sent["document_id"]].plan = Plan(seconds=0)
    about_job = json.dumps({"event": "job_completed", "job_id": sent["job_id"], "failed_count": 1}).encode()
    world.deliver("called", about_job, world.signed("called", about_job))
    assert world.ended(arn)["status"] == "SUCCEEDED"
    before, calls = world.status("called", reference), len(world.vendors.calls("called"))
    result = world.read(before["result_key"])
    failed = json.dumps({"event": "job_failed", "job_id": sent["job_id"], "error_message": "x"}).encode()
    for body in (about_job, lie, failed, about_job):
        assert world.deliver("called", body, world.signed("called", body)).status == 200
    pass_through(world)
    assert world.status("called", reference) == before
    assert world.read(before["result_key"]) == result
    assert before["status"] == "completed"
    assert len([each for each in world.vendors.calls("called")[calls:] if each.path == path]) == 0
    assert len(world.executions(reference)) == 1
    (event,) = until(lambda: world.events(reference))
    assert event["detail-type"] == "Case Completed"


def test_case_that_dossier_did_not_submit_is_collected(world: World) -> None:
    """A Docsumo delivery about a case that Dossier did not submit collects that case, once, and uploads nothing."""
    word = world.name("nobodys")
    case_id = world.docsumo("intake").stranger(f"{word}.png", "other.pdf")
    body = json.dumps({"event": "stage_changed", "data": {"case": {"case_id": case_id, "documents": []}}}).encode()
    for _ in range(2):
        assert world.deliver("intake", body, {}, token=world.secrets("intake")[0]).status == 200
    reference = stranger_reference(case_id)
    (arn,) = until(lambda: world.executions(f"intake-{reference[:36]}"))
    assert world.ended(arn)["status"] == "SUCCEEDED"
    assert not {"Upload All", "Upload", "Open Case", "Process"} & set(world.states(arn))
    result = world.result("intake", reference)
    assert (result["status"], result["case_id"], result["reference"]) == ("completed", case_id, reference)
    assert f"{word}.png" in {each["name"] for each in result["documents"]}
    assert len(result["artifacts"]) == 3
    until(lambda: world.messages("wake") == {"ready": 0, "worked_on": 0, "delayed": 0})
    assert arn in world.executions(f"intake-{reference[:36]}")
    assert not world.vendors.uploads(word)


def test_a_signed_delivery_is_quick(world: World, calm: None) -> None:
    """A signed DocuStack delivery is answered before the vendor is asked, and its case finishes within seconds."""
    arn, sent = waiting(world, "called", world.name("quick"), seconds=0.0)
    assert [each.operation for each in world.vendors.calls("called") if sent in each.effects] == ["upload"]
    body = completed(sent["document_id"])
    check_speed(world, "called", arn, body, dict(world.signed("called", body)))


def test_a_delivery_with_the_secret_before_is_quick(world: World, calm: None) -> None:
    """A Docsumo delivery with its token, and during a rotation the one before it, finishes its case within seconds."""
    arn, sent = waiting(world, "rung", world.name("rung"), seconds=0.0)
    body = json.dumps({"data": {"case_id": sent["case_id"], "stage": "stage__filed"}}).encode()
    token = world.secrets("rung")[1]
    check_speed(world, "rung", arn, body, {"x-other-token": token})
    (kept,) = world.evidence("rung", sent["case_id"])
    assert token not in json.dumps(kept["headers"])
