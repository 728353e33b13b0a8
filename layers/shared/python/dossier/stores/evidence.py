"""Deliveries as they came: kept in S3 before anything parses them, so that each can be verified and applied again."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True, slots=True)
class Evidence:
    """One delivery: exact ``body``, ``headers`` as received, ``verdict`` and when it came (ISO 8601)."""

    connection: str
    verdict: str
    body: bytes
    headers: Mapping[str, str]
    received_at: str


class EvidenceStore:
    """``webhooks/<connection>/<yyyy>/<mm>/<dd>/<id>.json`` in the artifact bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def keep(self, connection: str, verdict: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Store a delivery and return its key. Ids sort by time."""
        at = datetime.now(UTC)
        stamp = at.strftime("%H%M%S%f")
        key = f"webhooks/{connection}/{at:%Y/%m/%d}/{stamp}-{secrets.token_hex(8)}.json"
        data = {
            "connection": connection,
            "received_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "verdict": verdict,
            "headers": dict(headers),
            "body_base64": base64.b64encode(body).decode(),
        }
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=json.dumps(data, indent=1).encode(), ContentType="application/json"
        )
        return key

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
