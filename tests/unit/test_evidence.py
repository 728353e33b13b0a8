"""Deliveries as they are kept, listed and found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from dossier.stores.doorstep import Doorstep
from dossier.stores.evidence import EvidenceStore, id_of, key_of
from tests.conftest import Cloud

BODY = b"\xff\x00 bytes"


def stored(cloud: Cloud, at: datetime, number: int = 0, connection: str = "invoices") -> str:
    """Put a delivery of another day into the bucket and return its id."""
    name = f"{at:%Y%m%dT%H%M%S%f}-{number:016x}"
    key = key_of(connection, name)
    assert key is not None
    cloud.put(key, b"{}")
    return name


def test_a_delivery_is_found_by_its_id(cloud: Cloud) -> None:
    """Bytes and headers are exactly those that came; the id alone tells where it is kept."""
    store = cloud.app.evidence
    key = store.keep("invoices", "refused", BODY, {"x-sign": "ü"})
    assert key == key_of("invoices", id_of(key))
    found = store.find(key)
    assert found is not None
    assert (found.body, found.headers, found.verdict, found.connection) == (
        BODY, {"x-sign": "ü"}, "refused", "invoices"
    )  # fmt: skip
    assert store.find(key.replace("invoices", "claims")) is None


def test_what_is_no_id_has_no_key() -> None:
    """Ids have one form; nothing else leads to a key of the bucket."""
    assert key_of("invoices", "../cases/invoices/INV-1/result") is None
    assert key_of("invoices", "20260131") is None


def test_deliveries_are_listed_the_latest_first(cloud: Cloud) -> None:
    """Across days, months and years, of one connection alone."""
    moments = [
        datetime.fromisoformat(each) for each in ("2025-12-31T23:59:59Z", "2026-01-02T03:00Z", "2026-01-02T04:00Z")
    ]
    ids = [stored(cloud, at, number) for number, at in enumerate(moments)]
    stored(cloud, moments[0], 9, connection="claims")
    newest = id_of(cloud.app.evidence.keep("invoices", "accepted", BODY, {}))
    listed = [id_of(key) for key in cloud.app.evidence.list("invoices")]
    assert listed == [newest, *reversed(ids)]


def test_a_listing_goes_back_to_a_moment(cloud: Cloud) -> None:
    """What came before it is left out, in whatever zone it is told."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    ids = [stored(cloud, at + timedelta(hours=number), number + 3) for number in range(-3, 3)]
    since = (at - timedelta(hours=1)).astimezone()
    assert [id_of(key) for key in cloud.app.evidence.list("invoices", since=since)] == ids[:1:-1]


def test_evidence_is_locked_for_as_long_as_the_operator_says(cloud: Cloud) -> None:
    """A delivery that is kept with a lock can neither be deleted nor unlocked before its time; without one, it can."""
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


def test_the_function_locks_what_the_deployment_says(cloud: Cloud) -> None:
    """The webhook function reads the days from its environment; none, or 0, is no lock, and needs no right to one."""
    s3 = cloud.session.client("s3")
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    for days, mode in (("30", "GOVERNANCE"), ("0", None), (None, None)):
        given = {} if days is None else {"DOSSIER_EVIDENCE_LOCK_DAYS": days}
        environment = {"DOSSIER_BUCKET": "locked", "DOSSIER_WAKE_QUEUE_URL": "https://sqs/wake", **given}
        key = Doorstep(cloud.session.client("sqs"), environment).evidence().keep("invoices", "accepted", BODY, {})
        assert s3.head_object(Bucket="locked", Key=key).get("ObjectLockMode") == mode
