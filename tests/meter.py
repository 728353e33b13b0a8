"""Counts what AWS would bill: each request of a session's clients, and the table's read and write units.

Units are computed from the items themselves, as DynamoDB's documentation says: AWS in memory knows nothing of them.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import boto3

READ, WRITE = 4096, 1024
"""Bytes of a read unit (of a strongly consistent read; half of it for any other) and of a write unit."""
WRITES = {"PutItem", "UpdateItem", "DeleteItem"}
Item = Mapping[str, Any]
"""An item in DynamoDB's own notation: ``{"pk": {"S": "…"}}``."""


class Meter:
    """Counts what goes through the clients that a session makes after ``attach``."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Requests by ``service.Operation``."""
        self.read_units = 0.0
        self.write_units = 0.0
        self.calls: set[tuple[str, str, str]] = set()
        """Who called what, and on what: ``caller``'s word, an IAM action, a resource."""
        self.caller: Callable[[], str] = str
        self._unmetered: Any = None

    def attach(self, session: boto3.Session) -> None:
        """Count from now on."""
        self._unmetered = boto3.Session(region_name=session.region_name).client("dynamodb")
        session.events.register("before-parameter-build", self._asked, unique_id=f"meter-{id(self)}-asked")
        session.events.register("before-call", self._called, unique_id=f"meter-{id(self)}-before")
        session.events.register("after-call", self._answered, unique_id=f"meter-{id(self)}-after")

    def _asked(self, model: Any, params: Any, **_: Any) -> None:
        self.calls |= {
            (self.caller(), *each) for each in allowed_by(model.service_model.service_name, model.name, params)
        }

    def _called(self, model: Any, params: Any, context: Any, **_: Any) -> None:
        service = model.service_model.service_name
        self.requests[f"{service}.{model.name}"] += 1
        if service == "dynamodb":
            text = json.loads(params["body"])
            context["meter"] = (text, self._find(text) if model.name in WRITES else None)

    def _answered(self, model: Any, context: Any, http_response: Any, **_: Any) -> None:
        if model.service_model.service_name != "dynamodb":
            return
        text, old = context["meter"]
        if model.name in WRITES:
            self.write_units += write_units(old, self._find(text))
        elif model.name in {"GetItem", "Query", "Scan"}:
            answer = json.loads(http_response.content)
            found = [answer["Item"]] if "Item" in answer else answer.get("Items", [])
            blocks = max(1, ceil(sum(size(each) for each in found) / READ))
            self.read_units += blocks if text.get("ConsistentRead") else blocks / 2
        elif model.name == "BatchGetItem":
            items = [each for found in json.loads(http_response.content)["Responses"].values() for each in found]
            self.read_units += sum(max(1, ceil(size(each) / READ)) / 2 for each in items)
        else:
            raise AssertionError(f"the meter knows no units of {model.name}")

    def _find(self, said: Any) -> Item | None:
        """Return the item that a write is about, as it is now."""
        key = said.get("Key") or {name: said["Item"][name] for name in ("pk", "sk")}
        answer = self._unmetered.get_item(TableName=said["TableName"], Key=dict(key), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found


def allowed_by(service: str, operation: str, params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the IAM actions that a request needs, and the resource of each.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    """
    if service == "dynamodb":
        return [(f"dynamodb:{operation}", "index" if params.get("IndexName") else "table")]
    if service == "sqs":
        queue = str(params.get("QueueUrl", "")).rpartition("/")[2]
        return [(f"sqs:{operation}", f"queue:{queue.removeprefix('dossier-dev-')}")]
    if service == "events":
        return [(f"events:{operation}", "bus")]
    if service != "s3":
        return []
    if operation == "ListObjectsV2":
        return [("s3:ListBucket", "bucket")]
    version = "Version" if params.get("VersionId") else ""
    action = {"GetObject": "GetObject", "HeadObject": "GetObject", "DeleteObject": "DeleteObject"}.get(operation)
    found = [(f"s3:{action}{version}" if action else "s3:PutObject", f"object:{params.get('Key', '')}")]
    source = params.get("CopySource")
    if isinstance(source, Mapping):
        found.append(("s3:GetObject", f"object:{source['Key']}"))
    return found


def write_units(old: Item | None, new: Item | None) -> int:
    """Return what a write costs: the larger of both items, and what changes in the index, which holds whole items.

    A write whose condition did not hold costs the item that was there.
    """
    total = blocks(max(size(old), size(new)))
    was, becomes = _in_index(old), _in_index(new)
    if was and was != becomes:
        total += blocks(size(old))
    if becomes and old != new:
        total += blocks(size(new))
    return total


def blocks(length: int) -> int:
    """Return the write units of that many bytes."""
    return max(1, ceil(length / WRITE))


def size(item: Item | None) -> int:
    """Return an item's size in bytes, as DynamoDB counts it; 0 without one."""
    return 0 if item is None else sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    sizes: dict[str, Callable[[], int]] = {
        "S": lambda: len(content.encode()),
        "N": lambda: len(content.strip("-0.")) // 2 + 2,
        "B": lambda: len(content if isinstance(content, bytes) else base64.b64decode(content)),
        "BOOL": lambda: 1,
        "NULL": lambda: 1,
        "L": lambda: 3 + sum(1 + _value(each) for each in content),
        "M": lambda: 3 + sum(1 + len(name.encode()) + _value(each) for name, each in content.items()),
        "SS": lambda: sum(len(each.encode()) for each in content),
    }
    return sizes[kind]()


def _in_index(item: Item | None) -> tuple[str, str] | None:
    if item is None or "gsi_pk" not in item or "gsi_sk" not in item:
        return None
    return item["gsi_pk"]["S"], item["gsi_sk"]["S"]
