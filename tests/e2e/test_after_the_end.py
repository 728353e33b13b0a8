"""Cases whose vendor goes on after they have ended, on the deployment: each result follows, revision by revision."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.otherservers import DocuStack, Folder, Paper, Sent
from tests.e2e.world import World, until


def tell(world: World, connection: str, **body: Any) -> None:
    """Send a valid delivery to a connection of Docsumo or DocuStack."""
    text = json.dumps(body).encode()
    docsumo = connection == "intake"
    headers: Any = {} if docsumo else world.signed(connection, text)
    token = world.secrets(connection)[0] if docsumo else ""
    assert world.deliver(connection, text, headers, token=token).status == 200


def revised(world: World, connection: str, reference: str, revision: int) -> dict[str, Any]:
    """Wait for a revision; return the result then."""

    def look() -> dict[str, Any] | None:
        result = world.result(connection, reference)
        return result if result["revision"] >= revision else None

    return until(look, what=f"no revision {revision} of {reference}")


def test_stage_change_is_a_revision(world: World) -> None:
    """The operator approves, a file appears, seven deliveries come: one more revision, and both can be fetched."""
    reference = world.name("moved")
    first = world.complete("intake", reference, world.file(f"{reference}.pdf"))
    folder = world.docsumo("intake").folders[first["case_id"]]
    folder.files["f-approved"] = Sent("", "R approved.pdf", b"%PDF- approved")
    folder.stage = "stage__approved"
    for number in range(7):
        tell(world, "intake", event="stage_changed", case_id=folder.id, number=number)
    second = revised(world, "intake", reference, 2)
    assert (second["status"], second["stage_id"]) == ("completed", "stage__approved")
    names = [{each["name"] for each in result["artifacts"]} for result in (first, second)]
    assert names[1] - names[0] == {"R approved.pdf"}
    # the result can be read a moment before the record names its revision
    until(lambda: world.status("intake", reference)["revision"] == 2)
    text = world.dossier("refresh", reference, "--connection", "intake", "--wait").document
    assert (text["before"], text["revision"]) == (2, 2)
    assert json.loads(world.read(f"cases/intake/{reference}/revisions/1/result.json")) == first
    events = until(lambda: found if len(found := world.events(reference)) >= 2 else None)
    assert [(each["detail-type"], each["detail"]["revision"]) for each in events] == [
        ("Case Completed", 1),
        ("Case Updated", 2),
    ]
    assert events[1]["detail"]["changes"]["artifacts"] == {"added": ["R approved.pdf"]}
    assert len(world.vendors.uploads(reference)) == 1
    for number, result in ((1, first), (2, second)):
        place = world.folder / reference / str(number)
        world.dossier("fetch", reference, str(place), "--connection", "intake", "--revision", str(number))
        assert json.loads((place / "result.json").read_text("utf-8")) == result


@pytest.mark.parametrize("connection", ["intake", "scans"])
def test_a_review_that_takes_longer_than_the_deadline(world: World, connection: str) -> None:
    """Nothing is finished at the deadline, so the case fails; a later delivery brings the result."""
    reference = world.name("late")
    world.vendors.plan(reference, seconds=3600.0)
    rest = ("--deadline", "4s")
    arn = world.submit(connection, reference, world.file(f"{reference}.pdf"), rest=rest)["execution_arn"]
    assert world.ended(arn)["error"] == "DeadlinePassedError"
    early = world.result(connection, reference)
    assert (early["status"], early["revision"]) == ("failed", 1)
    assert "did not finish within 4 s" in early["reason"]
    (sent,) = world.vendors.uploads(reference)
    paper = _paper(world, connection, sent)
    assert paper.began is not None
    paper.began -= 3600  # the reviewer is done
    if connection == "intake":
        tell(world, connection, event="processed", case_id=sent["case_id"])
    else:
        tell(world, connection, event="document_completed", document_id=sent["document_id"])
    late = revised(world, connection, reference, 2)
    assert (late["status"], late["reason"]) == ("completed", None)
    assert late["artifacts"]
    assert len(world.vendors.uploads(reference)) == 1


def _paper(world: World, connection: str, sent: dict[str, Any]) -> Paper:
    desk = world.vendors.desks[connection]
    if isinstance(desk, DocuStack):
        return desk.papers[sent["document_id"]]
    folder: Folder = world.docsumo(connection).folders[sent["case_id"]]
    return folder.papers[0]


def test_a_document_that_is_appended_to_a_finished_case(world: World) -> None:
    """The case stays in its final stage at the vendor all the while: the new document is waited for."""
    reference, desk = world.name("addendum"), world.docsumo("intake")
    case_id = desk.stranger(f"{reference} before.pdf")
    until(lambda: desk.folders[case_id].papers[0].ended)
    desk.folders[case_id].stage = "stage__filed"
    world.vendors.plan(f"{reference} more", seconds=6.0)
    result = world.complete("intake", reference, world.file(f"{reference} more.png"), rest=["--case-id", case_id])
    assert result["status"] == "completed"
    assert [(each["name"], each["status"]) for each in result["documents"]] == [(f"{reference} more.png", "fine")]
    assert f"{reference} more.png" in {each["name"] for each in result["artifacts"]}
