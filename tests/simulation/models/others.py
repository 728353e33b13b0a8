"""EventBridge and Secrets Manager, and the session that gives all clients.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.hooks import HierarchicalEmitter

from tests.simulation.models.errors import refused
from tests.simulation.models.wire import Tracing, Wire


class Events:
    """boto3's EventBridge client, whose bus stores the events."""

    def __init__(self, wire: Wire, trace: Tracing) -> None:
        self._wire, self._trace = wire, trace
        self.put: list[tuple[str, dict[str, Any]]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 -- boto3's names
        """Put events on the bus."""

        def act() -> None:
            for each in Entries:
                detail = json.loads(each["Detail"])
                self.put.append((each["DetailType"], detail))
                self._trace("event", kind=each["DetailType"], reference=detail.get("reference"))

        self._wire.call("events", "PutEvents", Entries[0]["DetailType"], act, on=Entries[0]["EventBusName"])
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "0"} for _ in Entries]}


class Secrets:
    """What boto3's Secrets Manager client does."""

    class exceptions:  # noqa: N801 -- boto3's name
        """The errors that the client names."""

        class ResourceNotFoundException(Exception):  # noqa: N818 -- boto3's name
            """There is no such secret."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.values: dict[str, dict[str, Any]] = {}

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        """Return a secret."""

        def act() -> dict[str, Any]:
            if SecretId not in self.values:
                raise refused("ResourceNotFoundException", "GetSecretValue")
            return {"Name": SecretId, "SecretString": json.dumps(self.values[SecretId])}

        return self._wire.call("secretsmanager", "GetSecretValue", SecretId, act, on=SecretId)


class Session:
    """What ``boto3.Session`` does for Dossier."""

    region_name = "us-east-1"

    def __init__(self, clients: dict[str, Any], table: Callable[[str], Any]) -> None:
        self._clients, self._table = clients, table
        self.events = HierarchicalEmitter()
        """Nothing emits here: the counts of ``dossier.usage`` stay empty."""

    def client(self, service: str, **_: Any) -> Any:
        """Return a client."""
        return self._clients[service]

    def resource(self, service: str, **_: Any) -> Any:
        """Return the resource of DynamoDB."""
        assert service == "dynamodb", service
        return self

    def Table(self, name: str) -> Any:  # noqa: N802 -- boto3's name
        """Return a table."""
        return self._table(name)
