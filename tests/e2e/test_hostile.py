"""Attacks on the deployment: each of these got somewhere once.

Those that replace secrets, or look at what a minute holds, run by themselves (``calm``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dossier.refusals import ADVICE
from dossier.steps.identity import stranger_reference
from tests.e2e.fences import completed, pass_through, trace
from tests.e2e.world import World, until


def stolen(world: World) -> str:
    """Put a document into a case of another connection; return its URI."""
    body = world.file("payroll.pdf").read_bytes()
    return world.put(f"cases/quarrels/{world.name('PAYROLL')}/documents/payroll.pdf", body)


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
def test_a_drop_reads_no_other_connections_documents(world: World) -> None:
    """A ``case.json`` that names another connection's document is rejected in one line, and nothing is sent."""
    word, uri = world.name("thief"), stolen(world)
    world.put(
        f"inbox/scans/{word}/case.json", json.dumps({"documents": [{"uri": uri, "name": f"{word}.pdf"}]}).encode()
    )
    until(lambda: world.keys(f"inbox-refused/scans/{word}/case.json.txt"))
    note = world.read(f"inbox-refused/scans/{word}/case.json.txt").decode()
    assert f"document {uri}: the documents of a drop must be in inbox/scans/{word}/" in note
    assert not world.vendors.uploads(word)


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
@pytest.mark.parametrize("spelling", ["{uri}", "{root}uploads/../{key}", "{root}/{key}", "{root}webhooks/{word}.json"])
def test_an_execution_reads_no_other_connections_documents(world: World, spelling: str) -> None:
    """The same by an execution's own input, however the URI is spelt."""
    word, uri = world.name("thief"), stolen(world)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    target = spelling.format(uri=uri, root=f"s3://{bucket}/", key=key, word=word)
    case = {"connection": "scans", "reference": word, "documents": [{"uri": target, "name": f"{word}.pdf"}]}
    ended = world.ended(world.start(case, f"thief-{uuid.uuid4()}"))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidCaseError")
    assert not world.vendors.uploads(word)


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_flood_of_bad_signatures_stores_little(world: World, calm: None) -> None:
    """Unsigned megabytes to a connection leave some KiB each, so many a minute, in a folder that expires."""
    flood, body = 80, b"x" * 300_000
    began = time.time()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.deliver("rung", body, {}).status, range(flood)))
    assert answers == [401] * flood
    minutes = int((time.time() - began) // 60) + 2
    refused = [each for each in world.evidence("rung", "xxx") if each["verdict"] == "refused"]
    kept = [each for each in refused if each["size"] == len(body)]  # other tests send such bodies, too
    assert 0 < len(kept) <= 30 * minutes
    assert {len(each["body"]) for each in refused} == {16 << 10}
    assert {each["cause"] for each in kept} == {"header missing"}
    assert not [key for key in world.keys("webhooks/rung/") if b"xxx" in world.read(key)]


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
def test_repeated_delivery_is_recognized(world: World) -> None:
    """Sent five times, some at once: each is answered 200, one is kept, and one moved the poll."""
    word = uuid.uuid4().hex
    body = completed(word)
    headers = world.signed("called", body)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: world.deliver("called", body, headers).status, range(3)))
    answers += [world.deliver("called", body, headers).status for _ in range(2)]
    assert answers == [200] * 5
    assert [each["verdict"] for each in world.evidence("called", word)] == ["accepted"]
    until(lambda: trace(world, "called", word))
    answer = world.dossier("deliveries", "--connection", "called", "--limit", "5000").document
    (listed,) = [each for each in answer if word in str(each)]
    assert listed["repeats"] >= 2


@pytest.mark.rule("security: delay a rotation: the new secret is rejected, the retired one accepted")
def test_bad_signatures_do_not_delay_a_rotation(world: World, calm: None) -> None:
    """While bad signatures come all the time, a new secret is taken within seconds of being written."""
    body = completed(uuid.uuid4().hex)
    signed = {"X-DocuStack-Signature": hmac.new(b"whs-next-0123456789", body, hashlib.sha256).hexdigest()}
    forged = {"X-DocuStack-Signature": "0" * 64}
    secrets = world.secrets("called")
    stop: list[bool] = []

    def attack() -> None:
        while not stop:
            world.deliver("called", b"{}", forged)

    words = [part for each in ["whs-next-0123456789", *secrets] for part in ("--webhook-secret", each)]
    with ThreadPoolExecutor(2) as pool:
        attacks = [pool.submit(attack) for _ in range(2)]
        try:
            assert world.deliver("called", body, signed).status == 401
            world.dossier("secrets", "set", "called", *words)
            until(lambda: world.deliver("called", body, signed).status == 200, 20, "the new secret is refused")
        finally:
            stop.append(True)
            for each in attacks:
                each.result()
            old = [part for each in secrets for part in ("--webhook-secret", each)]
            world.dossier("secrets", "set", "called", *old)
    pass_through(world)


@pytest.mark.rule("security: have rejected deliveries applied later")
def test_deliveries_from_before_the_secret_are_applied(world: World, calm: None) -> None:
    """They are kept, their cause is shown to the operator, and once the secret is set they are verified and applied."""
    word = uuid.uuid4().hex
    body = completed(word)
    late = {"X-DocuStack-Signature": hmac.new(b"whs-late-0123456789", body, hashlib.sha256).hexdigest()}
    until(lambda: world.deliver("scans", body, late).status == 401 and world.evidence("scans", word))
    (listed,) = [each for each in world.dossier("deliveries", "--connection", "scans").document if word in str(each)][
        :1
    ]
    assert (listed["verdict"], listed["cause"]) == ("refused", "wrong secret")
    secrets = world.secrets("scans")
    words = [part for each in [*secrets, "whs-late-0123456789"] for part in ("--webhook-secret", each)]
    text = world.dossier("secrets", "set", "scans", *words, "--apply-refused").document
    assert text["refused_before"]["applied"] >= 1
    until(lambda: trace(world, "scans", word), what="the delivery was not applied")
    world.dossier("secrets", "set", "scans", *[part for each in secrets for part in ("--webhook-secret", each)])


@pytest.mark.rule(
    "security: take a caller's reference, or start endless work: a verified delivery about cases that do not exist"
)
def test_a_delivery_about_no_case_claims_no_reference(world: World) -> None:
    """A verified delivery names a caller's reference, and twenty more, as its cases: nothing starts, none is taken."""
    word = world.name("INV")
    names = [word, *(f"{word}-{number}" for number in range(20))]
    token = world.secrets("intake")[0]
    for body in ([{"case_id": each} for each in names], {"case_id": word}, {"data": {"case": {"id": word}}}):
        assert world.deliver("intake", json.dumps(body).encode(), {}, token=token).status == 200
    fence = world.docsumo("intake").stranger(f"{word}-fence.png")
    assert world.deliver("intake", json.dumps({"case_id": fence}).encode(), {}, token=token).status == 200
    until(lambda: world.executions(f"intake-{stranger_reference(fence)[:36]}"), what="the fence was not applied")
    result = world.complete("intake", word, world.file("R1 mine.pdf"))
    assert (result["reference"], result["status"]) == (word, "completed")
    assert result["case_id"] != word
    assert len(world.executions(f"intake-{word}")) == 1
    assert not [each for each in names if world.executions(f"intake-{stranger_reference(each)[:36]}")]


@pytest.mark.rule("security: learn why a delivery was rejected")
def test_each_cause_is_shown_with_what_to_do(world: World) -> None:
    """The operator sees why a delivery was rejected: each of six causes, with its advice."""
    sent: dict[str, str] = {}

    def refuse(cause: str, headers: Callable[[bytes], dict[str, str]]) -> None:
        sent[cause] = uuid.uuid4().hex
        body = completed(sent[cause])
        assert world.deliver("stamped", body, dict(headers(body))).status == 401

    right = world.stamped(b"x")["X-Stamp"]
    refuse("wrong secret", lambda body: world.stamped(body, secret="another-secret-0123"))
    refuse("body differs", lambda body: world.stamped(json.dumps(json.loads(body), separators=(",", ":")).encode()))
    refuse("too old", lambda body: world.stamped(body, ago=3600))
    refuse("header missing", lambda _: {"X-Stamp-2": right})
    refuse("header twice", lambda _: {"X-Stamp": f"{right}, {right}"})  # as a gateway joins two
    refuse("undecodable header", lambda _: {"X-Stamp": "undefined"})
    answer = world.dossier("deliveries", "--connection", "stamped", "--verdict", "refused", "--limit", "500").document
    for cause, word in sent.items():
        (listed,) = [each for each in answer if word in each["document_ids"]]
        assert listed["cause"] == cause
        assert listed["advice"] == ADVICE[cause].format(connection="stamped", url="")
    assert {each["detail"] for each in answer if each["cause"] == "header missing"} == {"x-stamp"}


@pytest.mark.rule("security: find out which connections exist")
def test_known_and_unknown_connections_get_the_same_answer(world: World) -> None:
    """The same status, body and headers, below and above the limit."""
    for size in (2, 1_048_577):
        heard = [world.deliver(name, b"x" * size, {}) for name in ("called", "rung", "nobody", "quarrels")]
        answer = {(each.status, each.body, each.headers.get("content-type")) for each in heard}
        assert len(answer) == 1
