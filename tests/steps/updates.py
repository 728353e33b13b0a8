"""What happens to a case after its first collection."""

from __future__ import annotations

import json
from typing import Any

from dossier.models import now
from dossier.ports import CaseView
from dossier.steps.wake import wake
from tests.conftest import Cloud
from tests.flows import document
from tests.machine import World, samples


def case_id(world: World, connection: str = "claims") -> str:
    """Return the vendor's id of the case."""
    return str(world.desk.cases.get(connection, "R-1").record.case_id)


def deliver(world: World, body: dict[str, Any], connection: str = "claims") -> list[str]:
    """Apply a delivery, and walk what it starts; return the names of the executions."""
    waits = world.cloud.app.waits
    at = {"look": 1, "received_at": now()}
    assert wake(connection, json.dumps(body).encode(), **at, desk=world.desk, waits=waits, executions=world.tokens).done  # type: ignore[arg-type]
    return world.run_started()


def read(cloud: Cloud, key: str) -> dict[str, Any]:
    """Return a JSON object of the bucket."""
    return dict(json.loads(cloud.app.objects.read(key) or b"null"))


def stray(world: World, connection: str) -> str:
    """Upload a document without any record of it; return the vendor's id."""
    settings = world.connection(connection)
    vendor, [(name, body)] = world.desk.vendor_of(settings.vendor), samples("invoice.pdf").items()
    world.cloud.put(f"stray/{connection}", body)
    sent = document(name, size=len(body)).model_copy(update={"key": f"stray/{connection}"})
    case = CaseView(connection=settings, reference="stray", documents=(sent,))
    made = world.transport.run(vendor.upload(case, [0]), vendor=vendor, connection=settings)
    return made.case_id or made.document_ids[0]
