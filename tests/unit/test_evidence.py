"""Deliveries: how they are stored, listed and found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from dossier.layout import DELIVERIES_REFUSED
from dossier.stores.doorstep import Doorstep
from dossier.stores.evidence import (
    ABANDONED,
    REFUSED_BYTES,
    REFUSED_PER_MINUTE,
    WINDOW,
    EvidenceStore,
    id_of,
    key_of,
)
from tests.conftest import BUCKET, Cloud

BODY = b"\xff\x00 bytes"
DIGEST = "5d" * 32


def stored(cloud: Cloud, at: datetime, number: int = 0, connection: str = "invoices") -> str:
    """Put a delivery of another day into the bucket and return its id."""
    name = f"{at:%Y%m%dT%H%M%S%f}-{number:016x}"
    key = key_of(connection, name)
    assert key is not None
    cloud.put(key, b"{}")
    return name


def test_a_delivery_is_found_by_its_id(cloud: Cloud) -> None:
    """Bytes and headers are unchanged; the id alone gives the key."""
    store = cloud.app.evidence
    key = store.keep("invoices", "refused", BODY, {"x-sign": "ü"})
    assert key == key_of("invoices", id_of(key))
    found = store.find(key)
    assert found is not None
    assert (found.body, found.headers, found.verdict, found.connection) == (
        BODY, {"x-sign": "ü"}, "refused", "invoices"
    )  # fmt: skip
    assert store.find(key.replace("invoices", "claims")) is None


def test_a_malformed_delivery_id_has_no_key() -> None:
    """Ids have one form; nothing else leads to a key of the bucket."""
    assert key_of("invoices", "../cases/invoices/INV-1/result") is None
    assert key_of("invoices", "20260131") is None


def test_deliveries_are_listed_the_latest_first(cloud: Cloud) -> None:
    """The list spans days, months and years, and has only one connection's deliveries."""
    moments = [
        datetime.fromisoformat(each) for each in ("2025-12-31T23:59:59Z", "2026-01-02T03:00Z", "2026-01-02T04:00Z")
    ]
    ids = [stored(cloud, at, number) for number, at in enumerate(moments)]
    stored(cloud, moments[0], 9, connection="claims")
    newest = id_of(cloud.app.evidence.keep("invoices", "accepted", BODY, {}))
    listed = [id_of(key) for key in cloud.app.evidence.list("invoices")]
    assert listed == [newest, *reversed(ids)]


def test_a_listing_goes_back_to_a_moment(cloud: Cloud) -> None:
    """Earlier deliveries are left out, in whatever zone the time is given."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    ids = [stored(cloud, at + timedelta(hours=number), number + 3) for number in range(-3, 3)]
    since = (at - timedelta(hours=1)).astimezone()
    assert [id_of(key) for key in cloud.app.evidence.list("invoices", since=since)] == ids[:1:-1]


@pytest.mark.rule("security: hide that a delivery arrived")
def test_evidence_is_locked_for_as_long_as_the_operator_says(cloud: Cloud) -> None:
    """A locked delivery can neither be deleted nor unlocked before its time; one without a lock can be deleted."""
    s3 = cloud.session.client("s3")
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    key = EvidenceStore(s3, "locked", lock_days=400).keep("invoices", "accepted", BODY, {})
    head = s3.head_object(Bucket="locked", Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert timedelta(days=399) < head["ObjectLockRetainUntilDate"] - datetime.now(UTC) <= timedelta(days=400)
    [version] = s3.list_object_versions(Bucket="locked")["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket="locked", Key=key, VersionId=version["VersionId"])
    key = EvidenceStore(s3, "locked").keep("invoices", "accepted", BODY, {})
    assert "ObjectLockMode" not in s3.head_object(Bucket="locked", Key=key)


@pytest.mark.rule("security: hide that a delivery arrived")
def test_the_function_locks_what_the_deployment_says(cloud: Cloud) -> None:
    """The webhook function reads the days from its environment; without them, or with 0, it sets no lock."""
    s3 = cloud.session.client("s3")
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    for days, mode in (("30", "GOVERNANCE"), ("0", None), (None, None)):
        given = {} if days is None else {"DOSSIER_EVIDENCE_LOCK_DAYS": days}
        environment = {"DOSSIER_BUCKET": "locked", "DOSSIER_WAKE_QUEUE_URL": "https://sqs/wake", **given}
        key = Doorstep(cloud.session.client("sqs"), environment).evidence().keep("invoices", "accepted", BODY, {})
        assert s3.head_object(Bucket="locked", Key=key).get("ObjectLockMode") == mode


# What strangers send


def refused_keys(cloud: Cloud) -> list[str]:
    """Return the keys of all rejected deliveries."""
    pages = (
        cloud.session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=DELIVERIES_REFUSED)
    )
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_rejected_evidence_is_limited_over_all_instances(cloud: Cloud) -> None:
    """Any number of instances store the same maximum of rejected deliveries a minute for a connection."""
    at = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    instances = [EvidenceStore(cloud.session.client("s3"), BUCKET) for _ in range(4)]
    kept = [
        each.refuse("invoices", "wrong secret", BODY, {}, at=at)
        for _ in range(REFUSED_PER_MINUTE)
        for each in instances
    ]
    assert len(refused_keys(cloud)) == len([key for key in kept if key]) == REFUSED_PER_MINUTE
    assert all(kept[: REFUSED_PER_MINUTE // 3]), "a delivery found no name while most were free"
    assert instances[0].refuse("invoices", "wrong secret", BODY, {}, at=at + timedelta(minutes=1))
    assert instances[0].refuse("claims", "wrong secret", BODY, {}, at=at)


def test_one_instance_may_store_the_whole_share(cloud: Cloud) -> None:
    """A single instance uses all names: deliveries from before a secret are stored to be verified."""
    at = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    for _ in range(REFUSED_PER_MINUTE):
        assert cloud.app.evidence.refuse("invoices", "no secret", BODY, {}, at=at)


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_rejected_evidence_is_cut_and_never_locked(cloud: Cloud) -> None:
    """A megabyte of a stranger's is some KiB here, and can be deleted, even where accepted evidence is locked."""
    s3 = cloud.session.client("s3")
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    store = EvidenceStore(s3, "locked", lock_days=400)
    headers = {f"x-{number}": "v" * 5000 for number in range(50)} | {"x-signature": "s" * 64}
    key = store.refuse("invoices", "wrong secret", b"x" * (1 << 20), headers)
    assert key
    head = s3.head_object(Bucket="locked", Key=key)
    assert "ObjectLockMode" not in head
    assert head["ContentLength"] < 40_000
    found = store.read(key)
    assert (len(found.body), found.size, found.whole) == (REFUSED_BYTES, 1 << 20, False)
    assert found.headers["x-signature"] == "s" * 64
    assert store.read(str(store.refuse("invoices", "wrong secret", BODY, {}))).whole


def test_rejected_deliveries_are_listed_and_found_like_others(cloud: Cloud) -> None:
    """Among the accepted ones, by their time; the id leads to the key; those to no connection have a folder."""
    store, at = cloud.app.evidence, datetime.now(UTC) - timedelta(minutes=5)
    refused = str(store.refuse("invoices", "too old", BODY, {}, detail="400 s", at=at))
    accepted = store.keep("invoices", "accepted", BODY, {})
    nobody = str(store.refuse(None, "unknown connection", BODY, {}, asked="invoice", at=at))
    assert list(store.list("invoices")) == [accepted, refused]
    assert list(store.list("invoices", since=at)) == [accepted, refused]
    assert list(store.list("invoices", since=at + timedelta(minutes=2))) == [accepted]
    assert list(store.list("invoices", refused_only=True)) == [refused]
    assert list(store.list("-")) == [nobody]
    assert key_of("invoices", id_of(refused)) == refused
    found = store.read(refused)
    assert (found.verdict, found.cause, found.detail, found.body) == ("refused", "too old", "400 s", BODY)


# The same delivery again


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
def test_a_delivery_is_claimed_once_at_a_time(cloud: Cloud) -> None:
    """Of two functions with the same delivery one stores it; the other waits, and finds it known."""
    store, waited = cloud.app.evidence, list[float]()
    first = store.claim("invoices", DIGEST)

    def finish(_seconds: float) -> None:
        waited.append(_seconds)
        store.keep("invoices", "accepted", BODY, {}, key=first.key, digest=DIGEST)
        store.finish(first)

    other = EvidenceStore(cloud.session.client("s3"), BUCKET, pause=finish)
    second = other.claim("invoices", DIGEST)
    assert (first.known, second.known, second.key) == (False, True, first.key)
    assert len(waited) == 1


@pytest.mark.rule("security: get a delivery dropped as a duplicate")
def test_a_claim_that_was_given_up_is_taken_over(cloud: Cloud) -> None:
    """A function that died before it queued the delivery leaves it to the next try, under the same key."""
    store = EvidenceStore(cloud.session.client("s3"), BUCKET, pause=lambda _: None)
    at = datetime.now(UTC)
    first = store.claim("invoices", DIGEST, at=at)
    for later in (timedelta(seconds=1), ABANDONED):
        again = store.claim("invoices", DIGEST, at=at + later)
        assert (again.known, again.key) == (False, first.key)


@pytest.mark.rule("security: repeat an old delivery, or send one from the future")
def test_a_delivery_is_forgotten_after_its_window(cloud: Cloud) -> None:
    """Then it is applied again, which does no harm; until then it is known, however often it comes."""
    store, at = EvidenceStore(cloud.session.client("s3"), BUCKET, pause=lambda _: None), datetime.now(UTC)
    first = store.claim("invoices", DIGEST, at=at)
    store.finish(first, at=at)
    for _ in range(3):
        known = store.claim("invoices", DIGEST, at=at + WINDOW - timedelta(seconds=1))
        assert known.known
        store.repeated(known)
    seen = store.seen("invoices", DIGEST)
    assert seen is not None
    assert (seen.repeats, seen.queued, seen.key) == (3, True, first.key)
    later = store.claim("invoices", DIGEST, at=at + WINDOW)
    assert (later.known, later.key != first.key) == (False, True)
    assert not store.claim("claims", DIGEST, at=at).known


@pytest.mark.rule("security: get a delivery dropped as a duplicate")
def test_a_delivery_with_an_unreadable_note_is_not_lost(cloud: Cloud) -> None:
    """Whatever the note contains, the delivery is applied."""
    cloud.put(f"webhooks-seen/invoices/{DIGEST}", b"something else")
    assert not EvidenceStore(cloud.session.client("s3"), BUCKET, pause=lambda _: None).claim("invoices", DIGEST).known
