"""What happens to a case after its first collection."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dossier.models import CaseId, CaseStatus, now
from dossier.ports import CaseView
from dossier.settings import Poll
from dossier.steps.redrive import case_input
from dossier.steps.wake import wake
from tests.conftest import BUCKET, Cloud
from tests.flows import document
from tests.machine import World, samples


def case_id(world: World, connection: str = "claims") -> str:
    """Return the vendor's id of the case."""
    return str(world.context.cases.get(CaseId(connection, "R-1")).record.case_id)


def deliver(world: World, body: dict[str, Any], connection: str = "claims") -> list[str]:
    """Apply a delivery, and walk what it starts; return the names of the executions."""
    at = {"look": 1, "received_at": now()}
    assert wake(connection, json.dumps(body).encode(), **at, context=world.context).done  # type: ignore[arg-type]
    return world.run_started()


def read(cloud: Cloud, key: str) -> dict[str, Any]:
    """Return a JSON object of the bucket."""
    return dict(json.loads(cloud.app.objects.read(key) or b"null"))


def stray(world: World, connection: str) -> str:
    """Upload a document without any record of it; return the vendor's id."""
    settings = world.connection(connection)
    vendor, [(name, body)] = world.context.vendor_of(settings), samples("invoice.pdf").items()
    world.cloud.put(f"stray/{connection}", body)
    sent = document(name, size=len(body)).model_copy(update={"key": f"stray/{connection}"})
    case = CaseView(connection=settings, reference="stray", documents=(sent,))
    made = world.transport.run(vendor.upload(case, [0]), vendor=vendor)
    return made.case_id or made.document_ids[0]


def completed(cloud: Cloud, connection: str = "claims", **sandbox: Any) -> World:
    """Return a world with a completed case of one document."""
    world = World(cloud, **sandbox)
    assert world.submit(connection, "R-1", samples("invoice.pdf"))["status"] == "completed"
    assert world.run_started() == []
    return world


def move(world: World, stage: str) -> None:
    """Move the case as the vendor's operator does."""
    answer = world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id(world)}/stage", json={"stage_id": stage})
    assert answer.is_success, answer.text


def whole(cloud: Cloud, manifest: dict[str, Any]) -> None:
    """Check that every file of a manifest is there, byte for byte, in the version that it names."""
    assert manifest["files"]
    for each in manifest["files"]:
        body = cloud.app.objects.read(each["key"], version_id=each["version_id"])
        assert body is not None, each
        assert (len(body), hashlib.sha256(body).hexdigest()) == (each["size"], each["sha256"]), each


def short(world: World, connection: str, deadline: float = 0.2) -> None:
    """Let a connection's cases wait for a moment alone."""
    poll = Poll(first=0, every=0.05, max=0.05, deadline=deadline)
    world.connections[connection] = world.connections[connection].model_copy(update={"poll": poll})


def docs(result: dict[str, Any]) -> dict[str, str | None]:
    """Return why each document has no result, by its name."""
    return {each["name"]: each["error"] for each in result["documents"]}


def resumed(world: World, connection: str, reference: str) -> dict[str, Any]:
    """Send a failed case back to work as ``dossier redrive`` does, and walk it to its end."""
    case = world.context.cases.get(CaseId(connection, reference))
    assert case.record.status is CaseStatus.FAILED
    data = json.loads(json.dumps({**case_input(case.record, case.documents, BUCKET), "resume": True}))
    return world.execute(data, f"{case.record.execution_arn}-again")


def happened(world: World) -> None:
    """Let a case complete and change, another one fail, and a third one ask."""
    world.submit("claims", "CLAIM-7", samples("invoice.pdf"))
    vendor_id = world.context.cases.get(CaseId("claims", "CLAIM-7")).record.case_id
    world.sandbox.post(f"/_sandbox/docsumo/cases/{vendor_id}/stage", json={"stage_id": "stage__approved"})
    world.refresh("claims", "CLAIM-7")
    world.submit("claims", "CLAIM-8", {"invoice.pdf": b""})
    lost = {"name": "lost_after", "operation": "create", "rate": 1, "times": 1}
    world.sandbox.post("/_sandbox/settings", json={"faults": [lost]})
    world.submit("disputes", "DISPUTE-3", samples("complaint.docx"))
