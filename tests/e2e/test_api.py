"""The HTTP API on the deployed local AWS, with IAM on: a program that may call it does everything with one case."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.programs import Program
from tests.e2e.world import World, until


def test_a_program_submits_and_reads_a_case(world: World) -> None:
    """With only its own permission; without one, and without a signature, IAM rejects it."""
    name = world.name("api")
    program = Program(world, "POST/cases*", "GET/cases*")
    targets = program("POST", "/cases", {"connection": "scans", "files": [{"name": f"{name}.pdf"}]}).json()
    [file] = targets["files"]
    with httpx.Client(trust_env=False) as client:
        assert client.put(file["url"], content=world.file(f"{name}.pdf").read_bytes()).status_code == 200
    given = {"connection": "scans", "reference": name, "documents": [{"uri": file["uri"], "name": file["name"]}]}
    begun = program("POST", "/cases", given)
    assert (begun.status_code, begun.json()["outcome"]) == (202, "started")
    assert program("POST", "/cases", given).json()["outcome"] == "already_submitted"
    path = f"/cases/scans/{name}"

    def ended() -> dict[str, Any] | None:
        found = program("GET", path)
        done = found.status_code == 200 and found.json()["status"] == "completed"
        return dict(found.json()) if done else None

    case = until(ended, what="the case does not end")
    assert program("GET", f"{path}/result").json()["reference"] == name
    [artifact] = case["artifacts"][:1]
    link = program("GET", f"{path}/artifacts/{artifact['name']}").json()
    with httpx.Client(trust_env=False) as client:
        assert len(client.get(link["url"]).content) == artifact["size"]
    listed = program("GET", "/cases?connection=scans&status=completed&limit=100").json()["cases"]
    assert name in {each["reference"] for each in listed}
    assert len(program("GET", f"{path}/revisions").json()["revisions"]) == 1
    assert program("POST", f"{path}/refresh").status_code == 202
    refused = program("POST", f"{path}/cancel")
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert program("POST", f"{path}/resolve", {"answer": "retry"}).status_code == 409
    assert program("POST", "/cases", {**given, "refrence": "x"}).json()["status"] == 400

    assert program("GET", path, signed=False).status_code == 403
    reader = Program(world, f"GET/cases/scans/{name}")
    assert reader("GET", path).status_code == 200
    assert reader("POST", "/cases", given).status_code == 403
    assert reader("GET", "/cases/scans/other").status_code == 403
