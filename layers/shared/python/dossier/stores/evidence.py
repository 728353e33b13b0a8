"""Deliveries as they came: kept in S3 before anything parses them, so that each can be verified and applied again."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T\d{12}-[0-9a-f]{16}")
_TIME = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One delivery: exact ``body``, ``headers`` as received, ``verdict`` and when it came (ISO 8601)."""

    connection: str
    verdict: str
    body: bytes
    headers: Mapping[str, str]
    received_at: str


class EvidenceStore:
    """``webhooks/<connection>/<yyyy>/<mm>/<dd>/<id>.json`` in the artifact bucket.

    For ``lock_days`` after it came nobody can delete or replace a delivery, if that is not 0 (S3 Object Lock in
    governance mode: only somebody with ``s3:BypassGovernanceRetention`` could, and no function has that).
    """

    def __init__(self, s3: S3Client, bucket: str, *, lock_days: int = 0) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._lock_days = lock_days

    def keep(self, connection: str, verdict: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Store a delivery and return its key. Ids sort by time."""
        at = datetime.now(UTC)
        key = f"webhooks/{connection}/{at:%Y/%m/%d}/{at.strftime(_TIME)}-{secrets.token_hex(8)}.json"
        data = {
            "connection": connection,
            "received_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "verdict": verdict,
            "headers": dict(headers),
            "body_base64": base64.b64encode(body).decode(),
        }
        text = json.dumps(data, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text, ContentType="application/json", **self._lock(at))
        return key

    def _lock(self, at: datetime) -> dict[str, Any]:
        if not self._lock_days:
            return {}
        until = at + timedelta(days=self._lock_days)
        # S3 takes a lock only together with a checksum of the object.
        return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ChecksumAlgorithm": "CRC32"}

    def read(self, key: str) -> Evidence:
        """Return a delivery that was kept."""
        data = json.loads(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        return Evidence(
            connection=data["connection"],
            verdict=data["verdict"],
            body=base64.b64decode(data["body_base64"]),
            headers=data["headers"],
            received_at=data["received_at"],
        )

    def find(self, key: str) -> Evidence | None:
        """Return a delivery that was kept, or None."""
        try:
            return self.read(key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return None

    def list(self, connection: str, *, since: datetime | None = None) -> Iterator[str]:
        """Yield the keys of a connection's deliveries, the latest first, back to ``since``."""
        earliest = since.astimezone(UTC).strftime(_TIME) if since else ""
        for year in self._folders(f"webhooks/{connection}/"):
            for month in self._folders(year):
                for day in self._folders(month):
                    for key in self._keys(day):
                        if id_of(key) < earliest:
                            return
                        yield key

    def _folders(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        yield from sorted((each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])), reverse=True)

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        yield from sorted((each["Key"] for page in pages for each in page.get("Contents", [])), reverse=True)


def id_of(key: str) -> str:
    """Return a delivery's id: ``<when it came>-<random>``, so that ids sort by time."""
    return key.rpartition("/")[2].removesuffix(".json")


def key_of(connection: str, id: str) -> str | None:  # noqa: A002 -- the operator's word
    """Return the key of a delivery by its id; None if that is no id."""
    found = _ID.fullmatch(id)
    return f"webhooks/{connection}/{found[1]}/{found[2]}/{found[3]}/{id}.json" if found else None
