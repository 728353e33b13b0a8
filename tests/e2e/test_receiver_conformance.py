"""The deployed webhook under the scenarios of the public project webhook-receiver-conformance.

Its catalogue (https://github.com/luckyteagirl/webhook-receiver-conformance, ``specification/07-scenario-catalog.md``)
names typical mistakes of webhook receivers: duplicates, delays, bad signatures, order, interrupted sends. Each scenario
is worded here anew, against this receiver: what counts as one effect is one delivery kept, and one note in the table.
"""

from __future__ import annotations

import gzip
import json
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from dossier.signatures import Delivery as Signed
from dossier.signatures import Rule, identity
from dossier.stores.evidence import ABANDONED, EvidenceStore
from tests.e2e.fences import completed, pass_through, trace
from tests.e2e.world import World, until

CONNECTION = "called"


class Delivery:
    """One logical event of DocuStack about an unknown id; its note in the table shows that it was applied."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.word = uuid.uuid4().hex
        self.body = completed(self.word)
        self.headers: dict[str, str | bytes] = dict(world.signed(CONNECTION, self.body))

    def send(self) -> int:
        """Send it; return the answer's status."""
        return self.world.deliver(CONNECTION, self.body, self.headers).status

    def effects(self) -> tuple[int, bool]:
        """Return how often it was stored as accepted, and whether it was applied."""
        kept = self.world.evidence(CONNECTION, self.word)
        return len([each for each in kept if each["verdict"] == "accepted"]), bool(
            trace(self.world, CONNECTION, self.word)
        )

    def applied_once(self) -> None:
        """Check that it had its one effect."""
        until(lambda: trace(self.world, CONNECTION, self.word), what="it was not applied")
        pass_through(self.world)
        assert self.effects() == (1, True)

    def without_effect(self) -> None:
        """Check that it had none."""
        pass_through(self.world)
        assert self.effects() == (0, False)


def test_scn_001_single_valid_delivery(world: World) -> None:
    """One valid delivery, one effect."""
    delivery = Delivery(world)
    assert delivery.send() == 200
    delivery.applied_once()


def test_scn_002_sequential_duplicate(world: World) -> None:
    """The same event twice, a second apart: both are acknowledged, one has an effect."""
    delivery = Delivery(world)
    assert delivery.send() == 200
    delivery.applied_once()
    assert delivery.send() == 200
    delivery.applied_once()


def test_scn_003_concurrent_duplicate(world: World) -> None:
    """The same event from four sides at once: one effect, whatever instance of the function each reaches."""
    delivery = Delivery(world)
    barrier = Barrier(4)

    def send(_number: int) -> int:
        barrier.wait()
        return delivery.send()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [200] * 4
    delivery.applied_once()


def test_scn_004_dependency_order_reversal(world: World) -> None:
    """The event of a job arrives before its document's: both are accepted, and each has its own effect."""
    job, document = uuid.uuid4().hex, uuid.uuid4().hex
    later = json.dumps({"event": "job_completed", "job_id": job, "document_count": 1, "failed_count": 0}).encode()
    sooner = completed(document, job_id=job)
    for body in (later, sooner):
        assert world.deliver(CONNECTION, body, dict(world.signed(CONNECTION, body))).status == 200
    for word in (job, document):
        until(lambda word=word: trace(world, CONNECTION, word))  # type: ignore[misc]


def test_scn_005_timeout_then_retry(world: World) -> None:
    """The vendor hangs up before it has read the answer, and sends again: one effect."""
    delivery = Delivery(world)
    _raw(delivery, len(delivery.body), read=False)
    until(lambda: delivery.effects()[0])
    assert delivery.send() == 200
    delivery.applied_once()


def test_scn_006_connection_failure_then_retry(world: World) -> None:
    """A first try that never arrives changes nothing about the second."""
    delivery = Delivery(world)
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.bind(("127.0.0.1", 0))
        socket.create_connection(probe.getsockname(), 5)
    assert delivery.send() == 200
    delivery.applied_once()


def _missing(delivery: Delivery) -> None:
    delivery.headers.clear()


def _malformed(delivery: Delivery) -> None:
    delivery.headers["X-DocuStack-Signature"] = b"\xff v1,=="


def _wrong_key(delivery: Delivery) -> None:
    delivery.headers = dict(delivery.world.signed("turnstile", delivery.body))


def _altered(delivery: Delivery) -> None:
    delivery.body = delivery.body[:-1] + b" "


def _cut_short(delivery: Delivery) -> None:
    delivery.body = delivery.body[: len(delivery.body) // 2]


@pytest.mark.parametrize("spoil", [_missing, _malformed, _wrong_key, _altered, _cut_short])
def test_scn_007_to_011_a_bad_signature(world: World, spoil: Callable[[Delivery], None]) -> None:
    """Missing, malformed, of another key, or over other bytes: 401, and no effect."""
    delivery = Delivery(world)
    spoil(delivery)
    assert delivery.send() == 401
    delivery.without_effect()


def test_scn_010_stale_timestamp(world: World) -> None:
    """A valid signature with a time outside of the tolerance is rejected; one inside is accepted."""
    word = uuid.uuid4().hex
    body = completed(word)
    answers = [world.deliver("stamped", body, dict(world.stamped(body, ago=ago))).status for ago in (150, 3600, -150)]
    assert answers == [401] * 3
    assert {each["verdict"] for each in world.evidence("stamped", word)} <= {"refused"}
    assert not trace(world, "stamped", word)
    assert world.deliver("stamped", body, dict(world.stamped(body, ago=30))).status == 200
    until(lambda: trace(world, "stamped", word), what="it was not applied")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/xml", b'{"document_id": "WORD"}'),
        ("application/json", b'{"document_id": "WORD"'),
        ("application/json", b'{"document_id": "WORD", "document_id": ["WORD"]}'),
        ("application/octet-stream", b'\xc3\x28{"document_id": "WORD"}'),
        ("text/plain; charset=no-such", b"WORD"),
        ("application/octet-stream", gzip.compress(b'{"document_id": "WORD"}', mtime=0)),
    ],
)
def test_scn_012_malformed_body_and_content_type(world: World, content_type: str, body: bytes) -> None:
    """A proven body is acknowledged and stored, whatever it contains: after a 5xx the vendor would repeat it."""
    body = body.replace(b"WORD", uuid.uuid4().hex.encode())
    headers = {**world.signed(CONNECTION, body), "Content-Type": content_type}
    assert world.deliver(CONNECTION, body, headers).status == 200
    pass_through(world)
    assert not any(world.messages("wake-dlq").values())


def test_scn_013_receiver_restart_between_attempts(world: World, calm: None) -> None:
    """A new instance of the function recognizes the delivery without any memory of it."""
    delivery = Delivery(world)
    assert delivery.send() == 200
    delivery.applied_once()
    functions = delivery.world.client("lambda")
    functions.update_function_configuration(FunctionName="dossier-dev-webhook", Description=f"after {delivery.word}")
    assert delivery.send() == 200
    delivery.applied_once()


def test_scn_014_interrupted_send(world: World) -> None:
    """A vendor that dies in the middle of its request has no effect; its next try has its own."""
    delivery = Delivery(world)
    _raw(delivery, len(delivery.body) // 2, read=False)
    assert delivery.send() == 200
    delivery.applied_once()


def test_scn_015_partial_processing(world: World) -> None:
    """A function died after it claimed a delivery and before it stored it: the vendor's next try has the one effect."""
    delivery = Delivery(world)
    signed = Signed(delivery.body, {name.lower(): str(value) for name, value in delivery.headers.items()})
    digest = identity(Rule("hmac-sha256-hex", "X-DocuStack-Signature"), signed)
    store = EvidenceStore(world.client("s3"), world.outputs["bucket"])
    assert not store.claim(CONNECTION, digest, at=datetime.now(UTC) - ABANDONED).known
    assert delivery.effects() == (0, False)
    assert [delivery.send() for _ in range(2)] == [200] * 2
    delivery.applied_once()


def test_scn_016_redaction_canary(world: World) -> None:
    """Neither the secret nor the body is in the stored headers or in the function's log."""
    delivery = Delivery(world)
    delivery.headers["Authorization"] = f"Bearer {world.secrets(CONNECTION)[1]}"
    assert delivery.send() == 200
    (kept,) = delivery.world.evidence(CONNECTION, delivery.word)
    pages = world.client("logs").get_paginator("filter_log_events")
    logged = [
        each["message"]
        for page in pages.paginate(logGroupName="/aws/lambda/dossier-dev-webhook")
        for each in page["events"]
    ]
    assert logged
    for text in (json.dumps(kept["headers"]), *logged):
        assert not [each for each in world.secrets(CONNECTION) if each in text]
    assert not [text for text in logged if delivery.word in text]


def _raw(delivery: Delivery, sent: int, *, read: bool) -> None:
    """Send a request, or as much of its body, and hang up."""
    url = urlsplit(delivery.world.outputs["webhook_urls"][CONNECTION])
    lines = [f"POST {url.path} HTTP/1.1", f"Host: {url.netloc}", "Content-Type: application/json"]
    lines += [
        f"Content-Length: {len(delivery.body)}",
        *(f"{name}: {value!s}" for name, value in delivery.headers.items()),
    ]
    with socket.create_connection((url.hostname or "", url.port or 80), 30) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode() + delivery.body[:sent])
        if read:
            link.recv(1)
