"""On the deployed local AWS operators continue to work on finished and late cases, and every result follows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.deployment import ROOT, Deployment

PDF = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
LONGEST = 150.0


class Office:
    """Cases at Docsumo, and the people there."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._s3 = deployment, deployment.client("s3")

    def submit(self, reference: str, **rest: Any) -> None:
        """Start a case of one document."""
        files = {f"{reference}.pdf": PDF + f"\n% {reference}".encode()}
        self._deployment.submit("claims", reference, files, **rest)

    def read(self, reference: str, name: str = "result.json") -> dict[str, Any]:
        """Return a JSON file of a case; empty while there is none."""
        key = f"cases/claims/{reference}/{name}"
        try:
            return dict(
                json.loads(self._s3.get_object(Bucket=self._deployment.outputs["bucket"], Key=key)["Body"].read())
            )
        except self._s3.exceptions.NoSuchKey:
            return {}

    def result(self, reference: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a result, and return it."""
        until = time.monotonic() + LONGEST
        while not wanted(found := self.read(reference)):
            assert time.monotonic() < until, (
                reference,
                found.get("status"),
                found.get("revision"),
                found.get("reason"),
            )
            time.sleep(0.5)
        return found

    def move(self, case_id: str, stage: str) -> None:
        """Move a case: a PDF is made, and the webhook sent."""
        self._deployment.sandbox.post(f"/_sandbox/docsumo/cases/{case_id}/stage", json={"stage_id": stage})


@pytest.mark.timeout(2 * LONGEST)
def test_finished_and_late_cases_follow_their_vendor(deployment: Deployment) -> None:
    """A stage that moves, a review that ends after the deadline, a document appended to a processed case."""
    deployment.sandbox.post("/_sandbox/settings", json={"seconds": 2, "faults": []})
    office, uploads = Office(deployment), len(_uploads(deployment))
    for reference in ("after-moved", "after-appended"):
        office.submit(reference)
    first = office.result("after-moved", lambda found: found.get("status") == "completed")
    base = office.result("after-appended", lambda found: found.get("status") == "completed")
    deployment.sandbox.post("/_sandbox/settings", json={"seconds": 15})
    with ThreadPoolExecutor(3) as pool:
        done = [
            pool.submit(_moved, office, first),
            pool.submit(_appended, office, str(base["case_id"])),
            pool.submit(_late, office),
        ]
        for each in done:
            each.result()
    assert len(_uploads(deployment)) - uploads == 4


def _moved(office: Office, first: dict[str, Any]) -> None:
    assert first["revision"] == 1
    office.move(str(first["case_id"]), "stage__approved")
    second = office.result("after-moved", lambda found: found["revision"] == 2)
    assert (second["status"], second["stage_id"]) == ("completed", "stage__approved")
    added = {each["name"] for each in second["artifacts"]} - {each["name"] for each in first["artifacts"]}
    assert added == {"stage_approved.pdf"}
    assert office.read("after-moved", "revisions/1/result.json") == first


def _appended(office: Office, case_id: str) -> None:
    office.submit("after-append", case_id=case_id)
    result = office.result("after-append", lambda found: found.get("status") == "completed")
    assert [each["status"] for each in result["documents"]] == ["processed"]
    assert "after-append.pdf" in {each["name"] for each in result["artifacts"]}


def _late(office: Office) -> None:
    office.submit("after-late", deadline="4s")
    early = office.result("after-late", lambda found: found.get("revision") == 1)
    assert early["status"] == "failed"
    assert "did not finish within 4 s" in early["reason"]
    result = office.result("after-late", lambda found: found.get("status") == "completed")
    assert result["revision"] > 1
    assert result["artifacts"]


def _uploads(deployment: Deployment) -> list[Any]:
    effects = [each for entry in deployment.journal() for each in entry["effects"]]
    return [each for each in effects if each["effect"] == "document_uploaded"]
