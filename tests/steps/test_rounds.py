"""A poll asks about documents in turn, within its own time limit, and only about those that may have changed."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from dossier.schedule import RAREST
from dossier.settings import Poll
from dossier.steps.poll import BUDGET, LASTING, LASTS
from dossier.steps.wake import wake
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import Killed
from tests.room import CASE, Room


def test_each_of_300_documents_is_polled_in_turn(cloud: Cloud, clock: Clock) -> None:
    """At 0.3 s each a round takes five polls, none longer than its budget, and continues without an interval."""
    room = Room(cloud, clock, documents=300)
    everyone = [f"d{index}" for index in range(300)]
    while len(room.asked) < 300:
        began = clock.at
        assert room.serve()
        assert clock.at - began <= BUDGET + timedelta(seconds=room.latency)
    assert room.asked == everyone
    assert len(room.polls) == 5
    assert room.polls[-1] - room.polls[0] < timedelta(seconds=100)
    assert room.left() >= room.poll.every
    room.serve()
    assert room.asked[300:] == everyone[: len(room.asked) - 300]


def test_the_wait_ends_as_soon_as_the_last_document_finishes(cloud: Cloud, clock: Clock) -> None:
    """One of 300 is processed for a long time: polls ask only for that one meanwhile."""
    room = Room(cloud, clock, documents=300)
    room.statuses |= {each: "completed" for each in room.statuses if each != "d7"}
    while not room.tokens.answers and len(room.polls) < 20:
        room.serve()
        if len(room.polls) == 12:
            room.statuses["d7"] = "completed"
    assert room.tokens.answers == {"t1": {"phase": "documents"}}
    assert len(room.polls) == 13
    assert room.asked.count("d7") == 9
    assert len(room.asked) == 299 + 9


def test_answers_survive_a_killed_poll(cloud: Cloud, clock: Clock) -> None:
    """Killed in the middle of a round, or out of time: the documents that were answered are not asked for again."""
    room = Room(cloud, clock, documents=6)
    room.statuses |= dict.fromkeys(("d0", "d1", "d2"), "completed")

    def dies(document_id: str) -> httpx.Response | Exception:
        if document_id == "d3":
            raise Killed
        return room.status(document_id)

    room.answer = dies
    with pytest.raises(Killed):
        room.serve()
    assert [each.finished for each in room.case.documents] == [True] * 3 + [False] * 3
    room.answer = room.status
    assert room.serve() == ["d3", "d4", "d5"]


def test_failing_document_does_not_block_the_rest_of_the_round(cloud: Cloud, clock: Clock) -> None:
    """Three documents that cannot be asked for end a poll; the next one does not begin with the same three."""
    room = Room(cloud, clock, documents=8)
    room.answer = lambda document_id: (
        httpx.Response(503) if document_id in {"d0", "d1", "d2"} else room.status(document_id)
    )
    assert room.serve() == ["d0", "d1", "d2"]
    assert room.left() >= room.poll.every
    assert room.serve() == ["d3", "d4", "d5", "d6", "d7"]
    assert room.serve() == ["d0", "d1", "d2"]


def delivered(room: Room, document_id: str) -> None:
    """Have a verified delivery of DocuStack's applied."""
    app, context = room.cloud.app, room.world.context
    number = document_id.removeprefix("d")
    body = json.dumps({"event": "document_completed", "document_id": document_id, "job_id": f"j{number}"}).encode()
    app.intents.own(CASE, [document_id, f"j{number}"])
    assert wake(CASE[0], body, look=0, received_at=room.clock.at, context=context).done


def clock_of(room: Room) -> object:
    """Return the time in a room."""
    return room.clock.at


def test_delivery_polls_only_its_document(cloud: Cloud, clock: Clock) -> None:
    """30 deliveries about 30 documents cause 30 requests, and the regular poll keeps its time."""
    room = Room(cloud, clock, documents=30, poll=Poll(first=0, every=900, max=900, deadline=36_000))
    room.serve()
    room.asked.clear()
    regular = room.wait.next_at  # type: ignore[union-attr]
    for index in range(29):
        clock.sleep(1)
        room.statuses[f"d{index}"] = "completed"
        delivered(room, f"d{index}")
        assert room.serve() == [f"d{index}"]
        assert room.wait is not None
        assert room.wait.next_at == regular
    room.statuses["d29"] = "completed"
    delivered(room, "d29")
    room.serve()
    assert len(room.asked) == 30
    assert room.tokens.answers == {"t1": {"phase": "documents"}}


def test_an_answer_behind_its_delivery_is_asked_for_once_more_soon(cloud: Cloud, clock: Clock) -> None:
    """The vendor reads what it has just written from elsewhere; an early delivery costs one request, too."""
    room = Room(cloud, clock, documents=2, poll=Poll(first=0, every=5, max=900, deadline=36_000))
    for _ in range(9):
        room.serve()
    regular = room.wait.next_at  # type: ignore[union-attr]
    assert room.left() > 60
    clock.sleep(2)
    delivered(room, "d1")
    assert room.serve() == ["d1"]
    assert room.left() == pytest.approx(5, abs=0.01)
    assert room.serve() == ["d1"]
    assert room.wait is not None
    assert room.wait.next_at == regular  # not a third time
    delivered(room, "d1")
    room.serve()
    room.statuses["d1"] = "completed"
    assert room.serve() == ["d1"]
    assert room.wait is not None
    assert room.wait.next_at == regular
    delivered(room, "d0")
    room.serve()
    room.statuses["d0"] = "completed"
    began = clock.at
    room.serve()
    assert room.tokens.answers == {"t1": {"phase": "documents"}}
    assert clock.at - began < timedelta(seconds=6)


def test_deliveries_before_one_poll_are_one_poll(cloud: Cloud, clock: Clock) -> None:
    """The poll asks about everything that deliveries have named by then, and about nothing twice."""
    room = Room(cloud, clock, documents=30, poll=Poll(first=0, every=900, max=900, deadline=36_000))
    room.serve()
    for document_id in ("d3", "d9", "d3"):
        delivered(room, document_id)
    assert room.serve() == ["d3", "d9"]
    room.statuses["d3"] = "completed"
    delivered(room, "d3")
    assert room.serve() == ["d3"]
    delivered(room, "d3")
    assert room.serve() == []  # it is finished, and the delivery is about nothing else


def test_a_delivery_that_comes_during_a_poll_is_not_lost(cloud: Cloud, clock: Clock) -> None:
    """The next poll asks about documents of deliveries that arrived meanwhile."""
    room = Room(cloud, clock, documents=5, poll=Poll(first=0, every=900, max=900, deadline=36_000))
    room.serve()
    delivered(room, "d1")

    def late(document_id: str) -> httpx.Response | Exception:
        if document_id == "d1":
            delivered(room, "d4")
        return room.status(document_id)

    room.answer = late
    assert room.serve() == ["d1"]
    room.answer = room.status
    assert "d4" in room.serve()


def test_delivery_proves_nothing(cloud: Cloud, clock: Clock) -> None:
    """At its regular time the poll asks for all, whatever deliveries named; so it does where they name nothing here."""
    room = Room(cloud, clock, documents=4)
    room.serve()
    clock.sleep(room.left() + 1)
    delivered(room, "d2")
    assert sorted(room.serve()) == ["d0", "d1", "d2", "d3"]
    room.delivery(document_id="nobody's")
    assert sorted(room.serve()) == ["d0", "d1", "d2", "d3"]


def test_a_delivery_whose_document_cannot_be_asked_for_is_asked_again(cloud: Cloud, clock: Clock) -> None:
    """After a 503 the next poll asks again."""
    room = Room(cloud, clock, documents=4, poll=Poll(first=0, every=10, max=10, deadline=36_000))
    room.serve()
    clock.sleep(1)
    delivered(room, "d2")
    room.answer = lambda _: httpx.Response(503)
    assert room.serve() == ["d2"]
    room.answer = room.status
    assert "d2" in room.serve()


def test_rejection_of_one_document_fails_only_that_document(cloud: Cloud, clock: Clock) -> None:
    """A clear rejection fails it with the vendor's text; the case waits for the others."""
    room = Room(cloud, clock, documents=3)
    refusal = httpx.Response(422, json={"detail": "This document was withdrawn"})
    room.answer = lambda document_id: refusal if document_id == "d1" else room.status(document_id)
    room.serve()
    failed = room.case.documents[1]
    assert (failed.finished, failed.failed) == (True, True)
    assert "withdrawn" in (failed.error or "")
    assert not room.tokens.answers
    assert room.serve() == ["d0", "d2"]


def test_lasting_stray_answer_fails_the_document(cloud: Cloud, clock: Clock) -> None:
    """A 404 in the vendor's form that repeats for some minutes ends the wait with the vendor's text."""
    room = Room(cloud, clock, documents=2)
    room.statuses["d0"] = "completed"
    gone = httpx.Response(404, json={"detail": "Document not found"})
    room.answer = lambda document_id: gone if document_id == "d1" else room.status(document_id)
    while not room.tokens.answers:
        assert len(room.polls) < 60
        room.serve()
    lasted = clock.at - room.polls[0]
    assert LASTS <= lasted < 2 * LASTS
    assert room.asked.count("d1") >= LASTING
    assert room.case.documents[1].failed
    assert "Document not found" in (room.case.documents[1].error or "")


def test_answer_resets_the_count_of_stray_answers(cloud: Cloud, clock: Clock) -> None:
    """A stray answer now and then does not count as lasting, and a gateway's page never does."""
    room = Room(cloud, clock, poll=Poll(first=0, every=60, max=60, deadline=72_000))
    gone, page = httpx.Response(404, json={"detail": "Not found"}), httpx.Response(404, html="<h1>404</h1>")
    for turn in range(60):
        room.answer = lambda _, turn=turn: gone if turn % 5 else room.status("d0")  # type: ignore[misc]
        room.serve()
    room.answer = lambda _: page
    for _ in range(60):
        room.serve()
    assert not room.tokens.answers
    assert not room.case.documents[0].finished


def test_polls_grow_rarer_with_age(cloud: Cloud, clock: Clock) -> None:
    """Ten hours are some 170 polls, a week some 300; nothing is seen later than by a fiftieth of the time it took."""
    room = Room(cloud, clock, poll=Poll(first=0, every=5, max=60, deadline=8 * 86_400))
    room.serve()
    began = room.polls[0]
    while clock.at - began < timedelta(days=7):
        age = (clock.at - began).total_seconds()
        assert room.left() <= max(60, min(age / 50, RAREST)) + 1
        room.serve()
    hours = sum(each - began < timedelta(hours=10) for each in room.polls)
    assert 150 < hours < 200
    assert len(room.polls) < 400
