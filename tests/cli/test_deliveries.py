"""``dossier deliveries`` and ``dossier replay``."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.deliveries import moment_of
from cli.errors import BadUsageError
from dossier.models import now
from dossier.refusals import ADVICE
from dossier.signatures import proof
from dossier.stores.evidence import id_of
from tests.cli.conftest import Dossier

BODY = b'{"event": "document_completed", "document_id": "doc_1", "job_id": "job_1"}'
SIGNED = {"x-docustack-signature": hmac.new(b"s1", BODY, hashlib.sha256).hexdigest()}


@pytest.fixture
def keys(dossier: Dossier) -> list[str]:
    """Keys of three deliveries, the oldest first: invoices (accepted, refused), claims (accepted)."""
    for name in ("invoices", "claims"):
        dossier("secrets", "set", name, "--api-key", "k", "--webhook-secret", "s1")
    store, body = dossier.cloud.app.evidence, json.dumps({"case_id": "case__1"}).encode()
    return [
        store.keep("invoices", "accepted", BODY, SIGNED),
        store.keep("invoices", "refused", b"\xff", {"x-docustack-signature": "00"}),
        store.keep("claims", "accepted", body, {"x-webhook-token": proof("s1", body)}),
    ]


def test_deliveries_are_listed_the_latest_first(dossier: Dossier, keys: list[str]) -> None:
    """Of all connections, with the ids that each names by its vendor's reading."""
    listed = dossier.json("deliveries")
    assert [each["key"] for each in listed] == keys[::-1]
    assert [each["id"] for each in listed] == [id_of(key) for key in keys[::-1]]
    first = listed[2]
    assert set(first) == {
        "id", "received_at", "connection", "verdict", "cause", "detail", "advice", "repeats", "understood", "event",
        "case_ids", "document_ids", "job_ids", "size", "kept_whole", "key",
    }  # fmt: skip
    assert (first["event"], first["document_ids"], first["job_ids"]) == ("document_completed", ["doc_1"], ["job_1"])
    assert (first["verdict"], first["size"]) == ("accepted", len(BODY))
    assert listed[0]["case_ids"] == ["case__1"]
    assert (listed[1]["event"], listed[1]["document_ids"]) == (None, [])
    text = dossier("deliveries").stdout
    assert "doc_1, job_1" in text
    assert id_of(keys[0]) in text


@pytest.mark.rule("security: learn why a delivery was rejected")
def test_rejected_delivery_says_why_and_what_to_do(dossier: Dossier) -> None:
    """One line a row, with an id to copy; below it what to do about each cause, once."""
    store = dossier.cloud.app.evidence
    key = str(store.refuse("invoices", "too old", BODY, SIGNED, detail="400 s"))
    store.refuse("invoices", "no secret", BODY, {})
    store.refuse("invoices", "no secret", BODY, {})
    store.refuse(None, "unknown connection", BODY, {}, asked="invoice\x1b[2J")
    listed = {each["cause"]: each for each in dossier.json("deliveries")}
    assert (listed["too old"]["detail"], listed["too old"]["id"]) == ("400 s", id_of(key))
    assert "raise webhook.tolerance" in listed["too old"]["advice"]
    assert listed["no secret"]["advice"].endswith("dossier secrets set invoices")
    assert listed["unknown connection"]["connection"].startswith("invoice")
    text = dossier("deliveries").stdout
    # Ids of rejected deliveries are a connection's own: another connection may have the same within a minute.
    (row,) = [line for line in text.splitlines() if id_of(key) in line.split() and "invoices" in line.split()]
    assert "too old (400 s)" in row
    assert text.count("no secret: set the vendor's webhook secret: dossier secrets set invoices") == 1
    assert "\x1b" not in text
    assert len(dossier.json("deliveries", "--connection", "invoices")) == 3


@pytest.mark.rule("security: learn why a delivery was rejected")
@pytest.mark.parametrize("cause", ADVICE)
def test_every_cause_is_shown_with_what_to_do(dossier: Dossier, cause: str) -> None:
    """In a table for people below it, and in the document for programs; what is applied by now needs nothing."""
    dossier.cloud.app.evidence.refuse("invoices", cause, BODY, SIGNED)
    (listed,) = dossier.json("deliveries")
    assert (listed["verdict"], listed["cause"]) == ("refused", cause)
    text = dossier("deliveries").stdout
    assert f"refused: {cause}" in text
    assert text.splitlines()[-1] == f"{cause}: {listed['advice']}"
    assert not {"{connection}", "{url}"} & {*listed["advice"].replace(" ", "\n").split()}


def test_duplicates_and_unreadable_deliveries_are_shown(dossier: Dossier) -> None:
    """The number of repetitions of a delivery, and a delivery without a known id."""
    store = dossier.cloud.app.evidence
    claim = store.claim("invoices", "5d" * 32)
    store.keep("invoices", "accepted", b'{"hello": "world"}', SIGNED, key=claim.key, digest=claim.digest)
    store.finish(claim)
    assert (dossier.json("deliveries")[0]["repeats"], dossier.json("deliveries")[0]["understood"]) == (0, False)
    assert "not understood" in dossier("deliveries").stdout
    for _ in range(4):
        store.repeated(claim)
    assert dossier.json("deliveries")[0]["repeats"] == 4
    assert "repeated 4 times" in dossier("deliveries").stdout


@pytest.mark.rule("security: have rejected deliveries applied later")
def test_rejected_delivery_is_applied_as_an_accepted_one(dossier: Dossier) -> None:
    """A secret that is set by now proves it; `wake` never reads rejected deliveries."""
    dossier("secrets", "set", "invoices", "--api-key", "k", "--webhook-secret", "s1")
    key = str(dossier.cloud.app.evidence.refuse("invoices", "no secret", BODY, SIGNED))
    cut = str(dossier.cloud.app.evidence.refuse("invoices", "no secret", BODY * 1000, SIGNED))
    assert dossier("replay", id_of(key)).exit_code == 0
    (message,) = [json.loads(each) for each in dossier.cloud.messages("wake")]
    assert message["delivery"].startswith("webhooks/invoices/")
    assert dossier.cloud.app.evidence.read(message["delivery"]).body == BODY
    verdicts = {each["id"]: each["verdict"] for each in dossier.json("deliveries")}
    assert verdicts[id_of(key)] == "replayed"
    assert verdicts[id_of(message["delivery"])] == "accepted"
    assert [each["id"] for each in dossier.json("deliveries", "--verdict", "refused")] == [id_of(cut)]
    [row] = [line for line in dossier("deliveries").stdout.splitlines() if line.startswith(id_of(key))]
    assert "replayed: no secret, and applied later" in row
    result = dossier("replay", cut)
    assert (result.exit_code, "so it cannot be verified" in result.stderr) == (1, True)


def test_deliveries_are_filtered(dossier: Dossier, keys: list[str]) -> None:
    """By connection, verdict, number and time."""
    assert [each["key"] for each in dossier.json("deliveries", "--connection", "claims")] == [keys[2]]
    assert [each["key"] for each in dossier.json("deliveries", "--verdict", "refused")] == [keys[1]]
    assert [each["key"] for each in dossier.json("deliveries", "--limit", "1")] == [keys[2]]
    assert len(dossier.json("deliveries", "--since", "1h")) == 3
    assert dossier.json("deliveries", "--since", "2999-01-01") == []
    assert "no deliveries" in dossier("deliveries", "--since", "2999-01-01").stderr


def test_without_the_connections_file_ids_are_unknown(
    dossier: Dossier, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries are still listed; to verify one, its settings are needed."""
    monkeypatch.setenv("DOSSIER_CONNECTIONS", "missing.toml")
    assert [each["event"] for each in dossier.json("deliveries")] == [None] * 3
    result = dossier("replay", keys[0])
    assert result.exit_code == 1
    assert "[invoices] is not in missing.toml: name its file in DOSSIER_CONNECTIONS" in result.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_since_a_moment(text: str, moment: datetime) -> None:
    """A day or a time, by default in UTC."""
    assert moment_of(text) == moment


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("3d", 259_200)])
def test_since_some_time_ago(text: str, ago: int) -> None:
    """A number and a unit."""
    began = now()
    assert began <= moment_of(text) + timedelta(seconds=ago) <= now()


@pytest.mark.parametrize(
    "text", ["yesterday", "-3d", "", "999999d", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]
)
def test_invalid_time_is_bad_usage(text: str) -> None:
    """A text that is not a time, or a time before the earliest one, is bad usage."""
    with pytest.raises(BadUsageError, match="is not a time"):
        moment_of(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("deliveries", "--verdict", "good"), 'unknown verdict "good": use one of accepted, refused'),
        (("deliveries", "--connection", "none"), 'unknown connection "none"'),
        (("replay", "20260131T120000000000-0123456789abcdef"), 'there is no delivery "20260131T120000000000-'),
        (("replay", "cases/invoices/INV-1/result.json"), "see `dossier deliveries`"),
    ],
)
def test_bad_usage(dossier: Dossier, words: tuple[str, ...], message: str) -> None:
    """Invalid arguments are exit code 2."""
    result = dossier(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_deliveries_are_applied_again(dossier: Dossier, keys: list[str]) -> None:
    """By id or key; each that a secret proves is queued as it was when it came."""
    result = dossier("replay", id_of(keys[0]), keys[2])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("verified, and queued again") == 2
    assert [json.loads(each) for each in dossier.cloud.messages("wake")] == [
        {"connection": "invoices", "delivery": keys[0]}, {"connection": "claims", "delivery": keys[2]}
    ]  # fmt: skip


def test_unproven_delivery_is_not_applied(dossier: Dossier, keys: list[str]) -> None:
    """The others are applied; the exit code is 1."""
    result = dossier("replay", keys[1], keys[0], "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [each["applied"] for each in document["deliveries"]] == [False, True]
    assert document["error"]["message"] == (
        "1 of 2 deliveries could not be applied again: no active webhook secret of invoices proves it"
    )
    assert len(dossier.cloud.messages("wake")) == 1


def test_applying_what_a_new_secret_proves_counts_as_replayed(dossier: Dossier) -> None:
    """A delivery that ``secrets set --apply-refused`` applied is no longer listed as rejected."""
    key = str(dossier.cloud.app.evidence.refuse("invoices", "no secret", BODY, SIGNED))
    dossier("secrets", "set", "invoices", "--api-key", "k", "--webhook-secret", "s1", "--apply-refused")
    assert {each["id"]: each["verdict"] for each in dossier.json("deliveries")}[id_of(key)] == "replayed"
