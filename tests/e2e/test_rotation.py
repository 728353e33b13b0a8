"""Keys and webhook secrets are replaced while cases wait: nothing is deployed for it, and nothing is dropped."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.otherservers import NEVER, Docsumo, DocuStack, Plan
from tests.e2e.rotation import CALLED, ROTATED, new_key, new_secret
from tests.e2e.world import World, until

TIMES = 6
"""Deliveries of each kind."""


def waiting(world: World, connection: str) -> tuple[str, str]:
    """Submit a case that its vendor does not finish by itself; return its reference and execution once it waits."""
    reference = world.name(f"turns-{connection}")
    world.vendors.plan(reference, seconds=NEVER)
    # at the Ombudsman the documents are read soon, and the assessment is what takes its time
    file = world.file("a paper.docx" if connection == "windmill" else f"{reference}.pdf")
    arn = str(world.submit(connection, reference, file)["execution_arn"])
    until(lambda: world.waits(connection, reference))
    asked = {"turnstile": "status", "carousel": "listing", "windmill": "case"}[connection]
    since = time.monotonic()
    if connection == "windmill":  # the case is read also before the assessment is started, which is not a poll
        until(lambda: [call for call in world.vendors.calls(connection, "process") if call.status])
        since = max(call.at for call in world.vendors.calls(connection, "process"))
    until(lambda: [call for call in world.vendors.calls(connection, asked) if call.at > since and call.status == 200])
    return reference, arn


def finish(world: World, connection: str, reference: str) -> None:
    """Let the vendor finish a case."""
    world.vendors.plan(reference, seconds=0.0)
    desk = world.vendors.desks[connection]
    known = desk.papers if isinstance(desk, DocuStack) else {}
    folders = desk.folders if isinstance(desk, Docsumo) else {}
    for paper in [*known.values(), *(paper for folder in folders.values() for paper in folder.papers)]:
        paper.plan = Plan(seconds=0.0)


def refusals(world: World, connection: str) -> list[str]:
    """Return the keys that the vendor has rejected."""
    calls = [call for call in world.vendors.calls(connection) if call.status == 401]
    return [call.headers["x-api-key"] for call in calls]


def accepted(world: World, connection: str, since: float) -> bool:
    """Whether the vendor has received the new key since a time."""
    calls = [call for call in world.vendors.calls(connection) if call.at > since and call.status == 200]
    return any(call.headers["x-api-key"] == new_key(connection) for call in calls)


def note(world: World, connection: str, reference: str) -> str:
    """Return the note in a case's status."""
    return str(world.status(connection, reference)["note"] or "")


def deliver(world: World, connection: str, secret: str) -> tuple[int, str]:
    """Send a delivery with a secret; return the answer's status and what only this delivery has in it."""
    word = uuid.uuid4().hex
    names = {"document_id": word} if connection == "turnstile" else {"event": "comment_added", "word": word}
    body = json.dumps(names).encode()
    if connection == "carousel":
        return world.deliver(connection, body, {"X-Other-Token": secret}).status, word
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return world.deliver(connection, body, {"X-DocuStack-Signature": signature}).status, word


def deliver_all(world: World, connection: str, secrets: Iterable[str]) -> list[tuple[int, str]]:
    """Send deliveries with these secrets, a few at once."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda secret: deliver(world, connection, secret), secrets))


def check_kept(world: World, connection: str, answers: Iterable[tuple[int, str]], *, accepted: bool) -> None:
    """Check the outcome of deliveries: their answers, the evidence, and whether those of ``turnstile`` were applied."""
    kept = {each["body"]: each["verdict"] for each in world.evidence(connection, "")}
    for status, word in answers:
        verdicts = {verdict for body, verdict in kept.items() if word.encode() in body}
        assert (status, verdicts) == ((200, {"accepted"}) if accepted else (401, {"refused"}))
        if connection == "turnstile" and accepted:
            until(lambda word=word: world.items(f"ID#{connection}#{word}"), what="a delivery was lost")  # type: ignore[misc]
        elif connection == "turnstile":
            assert not world.items(f"ID#{connection}#{word}")


def set_secrets(world: World, *arguments: tuple[str, ...]) -> None:
    """Write secrets as an operator does."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: world.dossier("secrets", "set", *each), arguments))


@pytest.mark.rule("security: continue to use a key or a webhook secret that was replaced")
def test_rotation_in_the_middle_of_a_run(world: World) -> None:
    """Waiting cases of every vendor complete with the new keys; each valid delivery is taken, each retired one not."""
    with ThreadPoolExecutor(3) as pool:
        cases = dict(zip(ROTATED, pool.map(lambda name: waiting(world, name), ROTATED), strict=True))
    before = {name: deliver_all(world, name, world.secrets(name)) for name in CALLED}

    # Two vendors give out the next key beside the present one; the third has one key, and puts the next in its place.
    old = {name: world.vendors.accounts[name].key for name in ROTATED}
    for name in ROTATED:
        account = world.vendors.accounts[name]
        account.key, account.also = new_key(name), None if name == "windmill" else account.key
    until(lambda: "refused the API key" in note(world, "windmill", cases["windmill"][0]), what="nobody is told")

    current = {name: world.secrets(name)[0] for name in CALLED}
    hooks = {name: ("--webhook-secret", new_secret(name), "--webhook-secret", current[name]) for name in CALLED}
    set_secrets(world, *((name, "--api-key", new_key(name), *hooks.get(name, ())) for name in ROTATED))
    during = {
        name: deliver_all(world, name, [secret for _ in range(TIMES) for secret in (new_secret(name), current[name])])
        for name in CALLED
    }
    retired = {name: deliver_all(world, name, [world.secrets(name)[1]] * 2) for name in CALLED}

    for name in CALLED:
        world.vendors.accounts[name].also = None
    revoked = time.monotonic()
    for name in ROTATED:
        until(lambda name=name: accepted(world, name, revoked), what="nobody asks with the new key")  # type: ignore[misc]
    for name, (reference, _) in cases.items():
        finish(world, name, reference)
    for name, (reference, arn) in cases.items():
        assert world.ended(arn)["status"] == "SUCCEEDED"
        assert world.result(name, reference)["status"] == "completed"
        assert set(refusals(world, name)) <= {old[name]}
        assert len(world.vendors.effects("document_uploaded", name)) == 1

    set_secrets(world, *((name, "--webhook-secret", new_secret(name)) for name in CALLED))
    after = {name: deliver_all(world, name, [new_secret(name)] * TIMES) for name in CALLED}
    late = {name: deliver_all(world, name, [current[name]] * TIMES) for name in CALLED}
    for name in CALLED:
        check_kept(world, name, [*before[name], *during[name], *after[name]], accepted=True)
        check_kept(world, name, [*retired[name], *late[name]], accepted=False)
