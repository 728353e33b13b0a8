"""The webhook fails closed, reveals nothing to strangers, stores evidence without secrets, and never crashes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dossier.bodies import others
from dossier.errors import ConfigurationError
from dossier.masks import HIDDEN
from dossier.refusals import ADVICE, cause_of
from dossier.signatures import Rule
from dossier.steps.webhook import MAX_BYTES, PROBE, REFUSED_PER_MINUTE, Webhook
from dossier.stores.evidence import Claim
from tests.conftest import BUCKET, Cloud
from tests.unit.samples import SECRET, sample
from tests.unit.signing import NOW, WHSEC, signed

SAMPLES = ("api-gateway-signed", "api-gateway-base64", "api-gateway-path-token", "api-gateway-shared-secret")


class Door:
    """A webhook with fakes around it."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.secrets = {name: [SECRET] for name in table}
        self.rotated: dict[str, list[str]] = {}
        self.reads: list[bool] = []
        self.kept: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self.causes: list[tuple[str, str]] = []
        self.done: dict[str, str] = {}
        self.repeats = 0
        self.queued: list[dict[str, str]] = []
        self.arrived: list[float] = []
        self.broken = ""
        self.now = 1_768_226_467.0
        self.webhook = Webhook(
            settings_of=lambda name: table.get(name, {}).get("webhook"),
            secrets_of=self._read,
            evidence=lambda: self,
            enqueue=self._enqueue,
            names=lambda: [name for name in table if table[name].get("webhook")],
            clock=lambda: self.now,
        )

    def _read(self, connection: str, fresh: bool) -> list[str]:
        self.reads.append(fresh)
        self._break("secrets")
        if fresh:
            self.secrets.update(self.rotated)
        if connection not in self.secrets:
            raise ConfigurationError(f"secret dossier/{connection} does not exist")
        return self.secrets[connection]

    def claim(self, connection: str, digest: str, **_: Any) -> Claim:
        """Claim a delivery, unless it was stored and queued."""
        self._break("evidence")
        key = f"webhooks/{connection}/{len(self.kept) + 1}.json"
        return Claim(connection, digest, self.done.get(digest, key), known=digest in self.done)

    def keep(self, connection: str, verdict: str, body: bytes, headers: Mapping[str, str], **more: Any) -> str:
        """Keep a delivery in memory."""
        self.kept.append((connection, verdict, body, headers))
        self.arrived.append(more["at"].timestamp())
        return str(more["key"])

    def finish(self, claim: Claim, **_: Any) -> None:
        """Note that a delivery is stored and queued."""
        self.done[claim.digest] = claim.key

    def repeated(self, _claim: Claim) -> None:
        """Count a known one."""
        self.repeats += 1

    def refuse(
        self, connection: str | None, cause: str, body: bytes, headers: Mapping[str, str], **more: Any
    ) -> str | None:
        """Store a rejected delivery in memory."""
        self._break("evidence")
        self.causes.append((cause, more["detail"] or more["asked"]))
        self.kept.append((connection or "-", "refused", body, headers))
        return "key"

    def _enqueue(self, message: dict[str, str]) -> None:
        self._break("queue")
        self.queued.append(message)

    def _break(self, what: str) -> None:
        if self.broken == what:
            raise RuntimeError(f"no {what} now")

    def post(self, event: Mapping[str, Any]) -> tuple[int, str]:
        """Answer an event."""
        return self.webhook.answer(event)


@pytest.fixture
def door(table: dict[str, Any]) -> Door:
    """Return a webhook with fakes around it."""
    return Door(table)


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return an event's body as the vendor sent it."""
    return base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()


@pytest.mark.rule("docustack webhooks 200 within 30 s", "security: hide that a delivery arrived")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_proven_delivery_is_stored_and_queued(door: Door, name: str) -> None:
    """A delivery gets a 200 only after its exact bytes are stored and its message is queued."""
    event = sample(name)
    assert door.post(event) == (200, "accepted")
    [(connection, verdict, body, _)] = door.kept
    assert (connection, verdict, body) == (event["pathParameters"]["connection"], "accepted", body_of(event))
    assert door.queued == [{"connection": connection, "delivery": f"webhooks/{connection}/1.json"}]


@pytest.mark.parametrize(
    ("told", "expected"),
    [(-1.5, -1.5), (0.0, 0.0), (-31.0, 0.0), (0.5, 0.0), (None, 0.0), ("1768226467000", 0.0), (float("nan"), 0.0)],
)
def test_a_delivery_arrives_when_api_gateway_receives_it(door: Door, told: Any, expected: float) -> None:
    """A cold start comes later. A time that cannot be right is not used."""
    event = sample("api-gateway-signed")
    epoch = (door.now + told) * 1000 if isinstance(told, float) else told
    assert door.post({**event, "requestContext": {"timeEpoch": epoch}}) == (200, "accepted")
    assert door.arrived == [door.now + expected]


@pytest.mark.rule("security: read a webhook's secret or token in the log or in the evidence")
@pytest.mark.parametrize("name", SAMPLES)
def test_headers_with_a_secret_are_not_stored(door: Door, name: str) -> None:
    """The evidence of accepted and rejected deliveries has signatures, but neither token nor secret."""
    event = sample(name)
    door.post(event)
    event["body"] = event["body"][4:]
    door.post(event)
    assert len(door.kept) == 2
    assert SECRET not in str([headers for _, _, _, headers in door.kept])
    assert all("x-docustack-signature" in headers for _, _, _, headers in door.kept) == ("signature" in str(event))


@pytest.mark.rule("security: read a webhook's secret or token in the log or in the evidence")
def test_a_secret_in_a_wrong_header_is_redacted(door: Door) -> None:
    """A vendor that was set up wrongly sends its secret somewhere else: it is not stored there either."""
    event = sample("api-gateway-shared-secret")
    event["headers"]["authorization"] = f"Bearer {event['headers'].pop('x-webhook-token')}"
    assert door.post(event)[0] == 401
    assert door.kept[0][3]["authorization"] == HIDDEN
    event["headers"]["X-Webhook-Token"] = "an older secret"
    door.post(event)
    assert door.kept[1][3]["x-webhook-token"].startswith("hidden")


@pytest.mark.rule("security: read a webhook's secret or token in the log or in the evidence")
@pytest.mark.parametrize(
    "spelled",
    [
        lambda secret: "Basic " + base64.b64encode(f"vendor:{secret}".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"{secret}?".encode()).decode(),
        lambda secret: "token=" + "".join(f"%{ord(each):02x}" for each in secret),
        lambda secret: secret.encode().hex().upper(),
        str.upper,
    ],
)
def test_an_encoded_secret_in_a_header_is_redacted(door: Door, spelled: Callable[[str], str]) -> None:
    """A vendor that signs may also send the secret in some form; the evidence does not show it."""
    event = sample("api-gateway-signed")
    event["headers"]["authorization"] = spelled(SECRET)
    assert door.post(event)[0] == 200
    event["body"] = event["body"][1:]
    assert door.post(event)[0] == 401
    assert [headers["authorization"] for _, _, _, headers in door.kept] == [HIDDEN] * 2
    assert all(headers["x-docustack-signature"] != HIDDEN for _, _, _, headers in door.kept)


@pytest.mark.rule("security: read a webhook's secret or token in the log or in the evidence")
def test_an_unknown_secret_is_redacted_in_every_header(door: Door) -> None:
    """The secret may be in any header, so only the values of harmless headers of a rejected delivery are stored."""
    event = sample("api-gateway-shared-secret")
    event["headers"] |= {"x-webhook-token": "not-known-yet-1", "authorization": "Bearer not-known-yet-2", "x-key": "3"}
    event["headers"][PROBE] = "4a"  # by which `dossier doctor` finds its own delivery again
    assert door.post(event)[0] == 401
    headers = door.kept[0][3]
    assert "not-known-yet" not in str(headers)
    assert (headers["authorization"], headers["x-key"], headers[PROBE]) == (HIDDEN, HIDDEN, "4a")
    assert headers["x-webhook-token"].startswith("hidden; hmac-sha256=")
    assert headers["content-type"] == event["headers"]["content-type"]


def _no_signature(event: dict[str, Any]) -> None:
    del event["headers"]["x-docustack-signature"]


def _no_headers(event: dict[str, Any]) -> None:
    del event["headers"]


def _another_body(event: dict[str, Any]) -> None:
    event["body"] += " "


def _unknown_connection(event: dict[str, Any]) -> None:
    event["pathParameters"]["connection"] = "nobody"


def _path_tricks(event: dict[str, Any]) -> None:
    event["pathParameters"]["connection"] = "../invoices"


def _no_path(event: dict[str, Any]) -> None:
    del event["pathParameters"]


def _not_base64(event: dict[str, Any]) -> None:
    event["isBase64Encoded"] = True


def _not_ascii(event: dict[str, Any]) -> None:
    event["headers"]["x-docustack-signature"] = "é" * 64


REFUSALS = (
    _no_signature, _no_headers, _another_body, _unknown_connection, _path_tricks, _no_path, _not_base64, _not_ascii,
)  # fmt: skip


@pytest.mark.parametrize("spoil", REFUSALS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_an_unproven_delivery_is_rejected(door: Door, spoil: Callable[[dict[str, Any]], None]) -> None:
    """Every failed verification is a 401, and nothing is queued."""
    event = sample("api-gateway-signed")
    spoil(event)
    assert door.post(event)[0] == 401
    assert door.queued == []


@pytest.mark.rule("security: get in before a secret is set, or while Secrets Manager is unavailable")
@pytest.mark.parametrize("secrets", [[], [""]])
def test_a_connection_without_a_secret_rejects_deliveries(door: Door, secrets: list[str]) -> None:
    """Before a secret is set no delivery is accepted, not even one that is signed with an empty secret."""
    event = sample("api-gateway-signed")
    body = event["body"].encode()
    event["headers"]["x-docustack-signature"] = hmac.new(b"", body, hashlib.sha256).hexdigest()
    door.secrets["invoices"] = secrets
    assert door.post(event)[0] == 401
    del door.secrets["invoices"]
    assert door.post(event)[0] == 401


@pytest.mark.rule(
    "docustack webhooks after a non-2xx DocuStack tries again",
    "security: get in before a secret is set, or while Secrets Manager is unavailable",
)
@pytest.mark.parametrize("broken", ["secrets", "evidence", "queue"])
def test_an_error_of_aws_is_never_a_200(door: Door, broken: str) -> None:
    """If reading the secret, storing or queuing fails, the vendor must send the delivery again."""
    door.broken = broken
    with pytest.raises(RuntimeError):
        door.post(sample("api-gateway-signed"))
    assert door.queued == []
    door.broken = ""
    assert door.post(sample("api-gateway-signed")) == (200, "accepted")


def _sized(connection: str, size: int, *, signed: bool) -> dict[str, Any]:
    event = sample("api-gateway-signed")
    event["pathParameters"]["connection"] = connection
    event["body"] = "x" * size
    signature = hmac.new(SECRET.encode(), event["body"].encode(), hashlib.sha256).hexdigest()
    event["headers"]["x-docustack-signature"] = signature if signed else "0" * 64
    return event


@pytest.mark.rule("security: find out which connections exist")
@pytest.mark.parametrize("connection", ["invoices", "claims", "small", "nobody"])
def test_a_too_large_body_is_rejected_before_any_read(door: Door, connection: str) -> None:
    """A body larger than any connection accepts is rejected without a look at the connection."""
    for encoded in (False, True):
        event = _sized(connection, MAX_BYTES + 1, signed=False)
        if encoded:
            event.update(isBase64Encoded=True, body=base64.b64encode(event["body"].encode()).decode())
        assert door.post(event) == (413, "too large")
    event["body"], event["isBase64Encoded"] = "é" * (MAX_BYTES // 2 + 1), False
    assert door.post(event)[0] == 413
    assert (door.reads, door.queued) == ([], [])


@pytest.mark.rule("security: find out which connections exist")
def test_only_the_vendor_learns_a_connections_limit(door: Door) -> None:
    """A stranger gets the same 401 below and above a connection's limit; only a sender with the secret gets the 413."""
    for size in (10, 11, MAX_BYTES):
        answers = [door.post(_sized(each, size, signed=False))[0] for each in ("small", "invoices", "nobody")]
        assert answers == [401] * 3
    assert door.post(_sized("small", 11, signed=True)) == (413, "too large")
    assert door.post(_sized("small", 10, signed=True)) == (200, "accepted")
    assert door.causes[-1] == ("too large", "")


@pytest.mark.rule("security: find out which connections exist")
def test_known_and_unknown_connections_are_the_same_work(door: Door) -> None:
    """A known and an unknown connection cause the same reads of a secret and one stored rejection."""
    work = {}
    for name in ("invoices", "nobody", "disputes"):
        door.reads.clear()
        before = len(door.kept)
        door.now += 60
        for _ in range(3):
            assert door.post(_sized(name, 10, signed=False))[0] == 401
        work[name] = (list(door.reads), len(door.kept) - before)
    assert work["invoices"] == work["nobody"] == work["disputes"]
    assert work["nobody"][1] == 3


@pytest.mark.rule("security: continue to use a key or a webhook secret that was replaced")
def test_a_rotated_secret_needs_no_deployment(door: Door) -> None:
    """A delivery that is signed with a new secret makes the function read again, and none is dropped."""
    event = sample("api-gateway-signed")
    assert door.post(event)[0] == 200
    door.rotated = {"invoices": ["whs-next-77e0", SECRET]}
    signature = hmac.new(b"whs-next-77e0", event["body"].encode(), hashlib.sha256).hexdigest()
    new = deepcopy(event)
    new["headers"]["x-docustack-signature"] = signature
    assert [door.post(each)[0] for each in (new, event, new)] == [200, 200, 200]
    assert door.reads.count(True) == 2  # for the new secret, and for the one before it: is it still good?


@pytest.mark.rule("security: continue to use a key or a webhook secret that was replaced")
def test_retired_secret_is_rejected_at_once(door: Door) -> None:
    """A secret with a newer one before it is looked up again whenever it is used: it ends when it should."""
    event = sample("api-gateway-signed")
    door.secrets["invoices"] = ["whs-next-77e0", SECRET]
    assert door.post(event)[0] == 200
    door.rotated = {"invoices": ["whs-next-77e0"]}
    assert door.post(event) == (401, "signature refused")
    assert len(door.queued) == 1


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_a_flood_of_bad_signatures_is_cheap(door: Door) -> None:
    """Strangers cause limited evidence and reads of a secret, and starve no other connection."""
    bad = sample("api-gateway-signed")
    bad["headers"]["x-docustack-signature"] = "0" * 64
    for _ in range(200):
        assert door.post(bad) == (401, "signature refused")
    assert len(door.kept) == REFUSED_PER_MINUTE
    assert door.reads.count(True) == 1
    door.rotated = {"claims": ["whs-next-77e0"]}
    other = sample("api-gateway-shared-secret")
    other["headers"]["x-webhook-token"] = "whs-next-77e0"
    assert door.post(other)[0] == 200
    assert door.post(sample("api-gateway-signed"))[0] == 200
    door.now += 60
    door.post(bad)
    assert [verdict for _, verdict, _, _ in door.kept[-3:]] == ["accepted", "accepted", "refused"]


@pytest.mark.rule("security: delay a rotation: the new secret is rejected, the retired one accepted")
def test_strangers_do_not_hold_up_a_rotation(door: Door) -> None:
    """However many bad signatures come in between, a new secret is known within seconds, a retired one ends at once."""
    bad, good = sample("api-gateway-signed"), sample("api-gateway-signed")
    bad["headers"]["x-docustack-signature"] = "0" * 64
    assert door.post(good)[0] == 200
    new = deepcopy(good)
    new["body"] += " "
    new["headers"]["x-docustack-signature"] = hmac.new(b"whs-next-77e0", new["body"].encode(), "sha256").hexdigest()
    for _ in range(100):
        door.post(bad)
    door.rotated = {"invoices": ["whs-next-77e0"]}
    door.now += 2.0  # as docs/security.md promises
    assert door.post(new)[0] == 200
    good["body"] += "\n"
    good["headers"]["x-docustack-signature"] = hmac.new(SECRET.encode(), good["body"].encode(), "sha256").hexdigest()
    for _ in range(100):
        door.post(bad)
    assert door.post(good)[0] == 401


@pytest.mark.rule("security: delay a rotation: the new secret is rejected, the retired one accepted")
def test_an_older_secret_causes_a_read_each_time(door: Door) -> None:
    """A flood of bad signatures does not keep a secret alive that was retired in the middle of it."""
    bad, old = sample("api-gateway-signed"), sample("api-gateway-signed")
    bad["headers"]["x-docustack-signature"] = "0" * 64
    door.secrets["invoices"] = ["whs-next-77e0", SECRET]
    for _ in range(50):
        door.post(bad)
    door.rotated = {"invoices": ["whs-next-77e0"]}
    assert door.post(old) == (401, "signature refused")


@pytest.mark.rule("security: delay a rotation: the new secret is rejected, the retired one accepted")
def test_a_delivery_that_may_be_valid_is_stored(door: Door) -> None:
    """A delivery that is signed with an unknown secret is stored whole, so the operator can verify it later."""
    new = sample("api-gateway-signed")
    new["headers"]["x-docustack-signature"] = hmac.new(b"whs-next-77e0", new["body"].encode(), "sha256").hexdigest()
    assert door.post(new)[0] == 401
    assert door.kept[-1][2] == body_of(new)
    assert door.causes == [("wrong secret", "")]


# --- the same delivery again ------------------------------------------------------------------------------------------


@pytest.mark.rule(
    "docustack webhooks after a non-2xx DocuStack tries again",
    "security: repeat an old delivery, or send one from the future",
)
def test_a_repeated_delivery_wakes_no_case(door: Door) -> None:
    """It is answered 200 and counted, but not stored or applied again. Another body is another delivery."""
    event = sample("api-gateway-signed")
    assert [door.post(event) for _ in range(5)] == [(200, "accepted"), *[(200, "duplicate")] * 4]
    assert (len(door.kept), len(door.queued), door.repeats) == (1, 1, 4)
    assert door.post(sample("api-gateway-shared-secret")) == (200, "accepted")


@pytest.mark.rule(
    "docustack webhooks after a non-2xx DocuStack tries again", "security: get a delivery dropped as a duplicate"
)
@pytest.mark.parametrize("broken", ["evidence", "queue"])
def test_a_retry_after_our_own_failure_is_not_a_duplicate(door: Door, broken: str) -> None:
    """Only a stored and queued delivery counts as known, so the vendor's next try is applied."""
    door.broken = broken
    with pytest.raises(RuntimeError):
        door.post(sample("api-gateway-signed"))
    door.broken = ""
    assert door.post(sample("api-gateway-signed")) == (200, "accepted")
    assert len(door.queued) == 1


# --- what vendors and gateways do to a delivery ----------------------------------------------------------------------


def _signs(event: dict[str, Any], signed: bytes) -> None:
    event["headers"]["x-docustack-signature"] = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def _in_base64(event: dict[str, Any], body: bytes) -> None:
    event.update(body=base64.b64encode(body).decode(), isBase64Encoded=True)


@pytest.mark.rule("security: change a signed delivery")
def test_a_compressed_body_may_be_signed_before_or_after_compression(door: Door, table: dict[str, Any]) -> None:
    """The signature may cover the compressed or the original body; the delivery is stored as it came."""
    plain = body_of(sample("api-gateway-signed"))
    packed = gzip.compress(plain)
    for signs in (packed, plain):
        door = Door(table)
        event = sample("api-gateway-signed")
        event["headers"]["content-encoding"] = "gzip"
        _in_base64(event, packed)
        _signs(event, signs)
        assert door.post(event) == (200, "accepted")
        assert door.kept[0][2] == packed
        event["headers"]["x-docustack-signature"] = "0" * 64
        assert door.post(event)[0] == 401


@pytest.mark.rule("security: change a signed delivery")
def test_a_decompression_bomb_is_rejected(door: Door) -> None:
    """A body that would exceed every limit is not decompressed."""
    event = sample("api-gateway-signed")
    event["headers"]["content-encoding"] = "gzip"
    _in_base64(event, gzip.compress(bytes(50_000_000)))
    assert door.post(event)[0] == 401


@pytest.mark.rule("security: change a signed delivery")
def test_a_body_in_another_charset(door: Door) -> None:
    """The gateway passes it on as text; the signed bytes are the stored ones."""
    event = sample("api-gateway-signed")
    event["headers"]["content-type"] = 'application/json; charset="ISO-8859-1"'
    event["body"] = '{"document_id": "Müller"}'
    _signs(event, event["body"].encode("latin-1"))
    assert door.post(event) == (200, "accepted")
    assert door.kept[0][2] == event["body"].encode("latin-1")


@pytest.mark.rule("security: occupy the function with a crafted body or header")
@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "utf-7", "rot13", "zlib"])
def test_a_codec_that_is_not_a_charset_is_not_used(charset: str) -> None:
    """Strangers name the charset: ``punycode`` takes a minute for 30 kB, and no vendor signs its bytes."""
    text = "\u4e2d\u6587" * 100
    assert others(text.encode(), {"content-type": f"text/plain; charset={charset}"}, text) == []
    assert others(text.encode(), {"content-type": "text/plain; charset=GBK"}, text) == [text.encode("gbk")]


@pytest.mark.rule("security: occupy the function with a crafted body or header")
@pytest.mark.parametrize("charset", ["utf-16", "hex", "no-such", "rot13", "idna", "punycode", "a\0b", "x" * 9000, ""])
def test_no_charset_breaks_the_webhook(door: Door, charset: str) -> None:
    """An unknown charset, or one that is not for text, is a rejection like any other."""
    event = sample("api-gateway-signed")
    event["headers"]["content-type"] = f"text/plain; charset={charset}"
    event["body"] = "\ud800 \U0001f642"
    assert door.post(event)[0] == 401


@pytest.mark.parametrize("form", ["{0},{0}", "{0}, {0}", "00,{0}", "{0},00", " {0} "])
def test_a_signature_that_was_sent_twice(door: Door, form: str) -> None:
    """One value that proves the bytes is enough, in letters of any case."""
    for change in (str, str.upper):
        event = sample("api-gateway-signed")
        event["body"] += " " * len(door.kept)
        _signs(event, event["body"].encode())
        signature = change(event["headers"]["x-docustack-signature"])
        event["headers"]["x-docustack-signature"] = form.format(signature)
        assert door.post(event) == (200, "accepted")


# --- why a delivery was refused ---------------------------------------------------------------------------------------


def _rewritten(event: dict[str, Any]) -> None:
    event["body"] = json.dumps(json.loads(event["body"]), separators=(",", ":"))
    _signs(event, json.dumps(json.loads(event["body"]), indent=2).encode())


def _twice(event: dict[str, Any]) -> None:
    event["headers"]["x-docustack-signature"] = f"{'0' * 64},{'1' * 64}"


def _words(event: dict[str, Any]) -> None:
    event["headers"]["x-docustack-signature"] = "undefined"


def _wrong(event: dict[str, Any]) -> None:
    event["headers"]["x-docustack-signature"] = "0" * 64


def _no_token(event: dict[str, Any]) -> None:
    event["pathParameters"]["connection"] = "letters"


@pytest.mark.rule("security: learn why a delivery was rejected")
@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (_no_signature, ("header missing", "x-docustack-signature")),
        (_no_headers, ("header missing", "x-docustack-signature")),
        (_another_body, ("body differs", "")),
        (_rewritten, ("body differs", "")),
        (_wrong, ("wrong secret", "")),
        (_twice, ("header twice", "x-docustack-signature")),
        (_words, ("undecodable header", "x-docustack-signature")),
        (_not_ascii, ("undecodable header", "x-docustack-signature")),
        (_not_base64, ("undecodable body", "")),
        (_unknown_connection, ("unknown connection", "nobody")),
        (_path_tricks, ("unknown connection", "../invoices")),
        (_no_token, ("token missing", "")),
    ],
    ids=lambda each: each.__name__.strip("_") if callable(each) else None,
)
def test_only_the_operator_learns_the_cause(
    door: Door, spoil: Callable[[dict[str, Any]], None], cause: tuple[str, str]
) -> None:
    """The delivery's cause is stored with advice; the sender gets the same answer for every cause."""
    event = sample("api-gateway-signed")
    spoil(event)
    assert door.post(event)[0] == 401
    assert door.causes == [cause]
    assert cause[0] in ADVICE


def test_a_connection_without_a_secret_says_so(door: Door) -> None:
    """A missing secret and a wrong secret are different causes."""
    door.secrets["invoices"] = []
    assert door.post(sample("api-gateway-signed"))[0] == 401
    assert door.causes == [("no secret", "")]


@pytest.mark.parametrize("scheme", ["standard-webhooks", "timestamped-hmac"])
@pytest.mark.parametrize(("ago", "cause"), [(400, ("too old", "400 s")), (-500, ("too new", "500 s"))])
def test_a_time_out_of_range_is_the_cause(scheme: str, ago: int, cause: tuple[str, str]) -> None:
    """If only the time of a signature is wrong, the cause is the time."""
    rule = Rule(scheme)
    delivery = signed(rule, WHSEC, at=NOW - ago)
    assert cause_of(rule, delivery, [WHSEC], NOW) == cause
    assert cause_of(rule, delivery, ["whsec_b3RoZXI="], NOW) == ("wrong secret", "")


@pytest.mark.rule("security: read what the vendor sent to a mistyped URL")
def test_headers_of_a_delivery_to_no_connection_are_not_stored(door: Door) -> None:
    """A vendor whose URL has a typo sends its real secret: no value is stored but those of harmless headers."""
    event = sample("api-gateway-shared-secret")
    event["pathParameters"]["connection"] = "claim"
    assert door.post(event)[0] == 401
    shown = door.kept[0][3]
    assert SECRET not in str(shown)
    assert (shown["x-webhook-token"], shown["content-type"]) == (HIDDEN, "application/json")
    too_large = sample("api-gateway-shared-secret")
    too_large["body"] = "x" * (MAX_BYTES + 1)
    assert door.post(too_large)[0] == 413
    assert SECRET not in str(door.kept[1][3])


# --- the function itself ----------------------------------------------------------------------------------------------


def test_the_function_answers_a_delivery(function: Callable[[Any], dict[str, Any]], cloud: Cloud) -> None:
    """From API Gateway's event to evidence in S3, a message for wake and an empty 200."""
    assert function(sample("api-gateway-signed")) == {"statusCode": 200, "body": ""}
    [message] = cloud.messages("wake")
    kept = cloud.app.evidence.read(json.loads(message)["delivery"])
    assert (kept.verdict, kept.body) == ("accepted", body_of(sample("api-gateway-signed")))


@pytest.mark.rule("security: find out which connections exist")
def test_every_rejection_has_the_same_answer(function: Callable[[Any], dict[str, Any]], cloud: Cloud) -> None:
    """A wrong signature, an unknown connection, and one whose secret is missing or broken: one and the same answer."""
    wrong = sample("api-gateway-signed")
    wrong["headers"]["x-docustack-signature"] = "0" * 64
    answers = [wrong, *(sample(name) for name in ("api-gateway-path-token", "api-gateway-shared-secret"))]
    unknown = deepcopy(wrong)
    unknown["pathParameters"]["connection"] = "nobody"
    assert [function(event) for event in (*answers, unknown)] == [{"statusCode": 401, "body": ""}] * 4
    assert cloud.messages("wake") == []


@pytest.mark.rule("security: read a webhook's secret or token in the log or in the evidence")
def test_the_log_has_neither_body_nor_secret(
    function: Callable[[Any], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function logs only the verdict, even if somebody turns on the logging of events."""
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    with caplog.at_level(logging.DEBUG):
        for name in SAMPLES:
            function(sample(name))
    written = capsys.readouterr()
    text = written.out + written.err + caplog.text
    assert "delivery accepted" in text
    assert "delivery signature refused" in text
    assert SECRET not in text
    assert "document_completed" not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "pathParameters": JSON
        | st.fixed_dictionaries(
            {"connection": JSON | st.sampled_from(["invoices", "claims", "letters", "small"])}, optional={"token": JSON}
        ),
        "headers": JSON | st.dictionaries(st.sampled_from(["x-docustack-signature", "X-Webhook-Token", "a"]), JSON),
        "body": JSON | st.text(max_size=50),
        "isBase64Encoded": JSON,
    },
)


@pytest.mark.rule("security: crash the function")
@given(event=EVENTS | JSON)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_event_breaks_the_webhook(table: dict[str, Any], event: Any) -> None:
    """Whatever comes is answered: with 401 or 413, never with an exception, which would be a 500."""
    door = Door(table)
    assert door.post(event)[0] in {401, 413}
    assert door.queued == []


@pytest.mark.rule("security: crash the function")
@given(event=EVENTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_event_breaks_the_function(function: Callable[[Any], dict[str, Any]], event: dict[str, Any]) -> None:
    """The same through the handler, with S3, SQS and Secrets Manager behind it."""
    assert function(event)["statusCode"] in {401, 413}


@pytest.mark.rule("security: write elsewhere in the bucket")
def test_evidence_is_stored_in_its_connections_folder(function: Callable[[Any], dict[str, Any]], cloud: Cloud) -> None:
    """Strangers only cause keys of rejected deliveries, in their connection's folder or that for unknown ones."""
    for spoil in REFUSALS:
        event = sample("api-gateway-signed")
        spoil(event)
        function(event)
    keys = [each["Key"] for each in cloud.session.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys
    assert {tuple(key.split("/")[:2]) for key in keys} == {
        ("webhooks-refused", "invoices"), ("webhooks-refused", "-")
    }  # fmt: skip
