"""Deliveries that prove that all earlier ones were applied."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.e2e.world import World, until


def completed(document_id: str, **more: Any) -> bytes:
    """Return DocuStack's delivery about a document (guide, "Events"), with odd blanks: its bytes are what is signed."""
    names = {"event": "document_completed", "document_id": document_id, "organization_id": "org_other", **more}
    return json.dumps(names, indent=3).encode() + b" \r\n"


def trace(world: World, connection: str, vendor_id: str) -> dict[str, Any]:
    """Return the note in the table that an accepted delivery about an unknown id leaves."""
    return world.items(f"ID#{connection}#{vendor_id}")


def pass_through(world: World) -> None:
    """Wait until everything that was delivered to ``called`` before now has been applied."""
    fence = f"fence-{uuid.uuid4().hex}"
    body = completed(fence)
    assert world.deliver("called", body, world.signed("called", body)).status == 200
    until(lambda: trace(world, "called", fence), what="the delivery was not applied")
    until(lambda: world.messages("wake")["worked_on"] == 0)
