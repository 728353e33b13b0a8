"""How far the vendor has got is shown while a case waits."""

from __future__ import annotations

import httpx

from cli.status import describe, standing
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.room import Room


def test_a_documents_progress_is_stored_and_shown(cloud: Cloud, clock: Clock) -> None:
    """`dossier status` shows DocuStack's extraction_progress of a document that is still running."""
    room = Room(cloud, clock)
    room.answer = lambda _: httpx.Response(
        200, json={"status": "processing", "extraction_progress": 40, "fields_extracted": 3}
    )
    room.serve()
    assert standing(room.case.documents[0]) == "processing (40 %)"
    assert describe(room.case)["documents"][0]["progress"] == 40
    assert room.case.documents[0].fields_extracted == 3


def test_answer_about_one_document_is_kept_if_another_fails(cloud: Cloud) -> None:
    """The next poll asks only for that one: at a bad vendor ten documents never all answer in one poll."""
    failing = {"name": "error_before", "rate": 1, "operation": "status", "times": 1, "status": 503}
    world = World(cloud, faults=[failing])
    result = world.submit("invoices", "R-2", samples("invoice.pdf", "scan.tiff", "photo.jpg"))
    assert result["status"] == "completed"
    asked = [(entry["path"], entry["status"]) for entry in world.journal() if entry["operation"] == "status"]
    assert [status for _, status in asked] == [503, 200, 200, 200]
    assert len(asked) == 4
    assert asked[3][0] == asked[0][0]


def test_late_answer_does_not_undo_a_newer_one(cloud: Cloud, clock: Clock) -> None:
    """Two polls at once: the one that was answered first, but notes last, leaves a finished document finished."""
    room = Room(cloud, clock)

    def overtaken(_: str) -> httpx.Response:
        room.answer = lambda _: httpx.Response(200, json={"status": "completed"})
        room.serve()  # a delivery's poll asks a moment later, and ends the wait
        return httpx.Response(200, json={"status": "processing"})

    room.answer = overtaken
    room.serve()
    assert room.tokens.answers == {"t1": {"phase": "documents"}}
    assert room.case.documents[0].finished
    assert room.case.documents[0].status == "completed"
