"""A case as the version before revisions stored it (schema 1): its items and objects, of one real run."""

from __future__ import annotations

import base64
import json
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from dossier.models import CaseId
from tests.conftest import BUCKET, Cloud
from tests.machine import ROOT

STORED = json.loads((ROOT / "events" / "stored" / "version-1.json").read_text(encoding="utf-8"))
CASE = CaseId("claims", "R-1")


def put_version_1(cloud: Cloud, case_id: str = STORED["case_id"]) -> None:
    """Put the case into an account; ``case_id`` is what its vendor calls it there."""
    text, s3 = json.dumps(STORED["items"]).replace(STORED["case_id"], case_id), cloud.session.client("s3")
    for item in json.loads(text):
        cloud.app.table.put({name: _read(value) for name, value in item.items()})
    for key, body in STORED["objects"].items():
        data = base64.b64decode(body).replace(STORED["case_id"].encode(), case_id.encode())
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)


def _read(value: dict[str, Any]) -> Any:
    return TypeDeserializer().deserialize(value)
