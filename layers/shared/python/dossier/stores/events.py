"""The EventBridge bus: events about cases for the team's own systems."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient

SOURCE = "dossier"
DetailType = Literal["Case Completed", "Case Updated", "Case Failed", "Case Needs Attention"]


class Events:
    """Puts events on the bus."""

    def __init__(self, events: EventBridgeClient, bus: str) -> None:
        self._events = events
        self._bus = bus

    def put(self, detail_type: DetailType, detail: dict[str, Any]) -> None:
        """Put one event.

        Raises:
            RuntimeError: the bus rejected it.

        """
        entry = {"EventBusName": self._bus, "Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self._events.put_events(Entries=[entry])  # type: ignore[list-item]
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the event bus {self._bus} rejected {detail_type}: {answer['Entries'][0]}")
