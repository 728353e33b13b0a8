"""Wake: a delivery that comes in the middle of something else moves the next poll all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from dossier.models import iso, moment, now
from dossier.ports import Uploaded
from dossier.steps.wake import LOOKS, MOST_IDS, MOST_MOVED, nudge, wake
from dossier.stores.intents import Intents
from dossier.stores.table import case_key
from dossier.stores.waits import Wait, Waits
from tests.conftest import Cloud
from tests.machine import Tokens, World, samples
from tests.unit.test_stores import record

CASE = ("invoices", "INV-1")
BODY = json.dumps({"event": "document_completed", "document_id": "doc:1"}).encode()


class Meanwhile:
    """Stands before a store; just before its next call of one kind, something else happens."""

    def __init__(self, store: Any, method: str, *happenings: Callable[[], Any]) -> None:
        self._store, self._method, self._happenings = store, method, list(happenings)

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._happenings:
            self._happenings.pop(0)()
        return getattr(self._store, name)


@pytest.fixture
def world(cloud: Cloud) -> World:
    """Return a world with a case that waits and is polled in five minutes."""
    world = World(cloud)
    cloud.app.cases.claim(record(reference=CASE[1], status="waiting"))
    cloud.app.waits.start(*CASE, phase="documents", token="t1", first=300, deadline=3600)
    return world


def waiting(waits: Waits) -> Wait:
    """Return the case's wait."""
    wait = waits.find(*CASE)
    assert wait is not None
    return wait


def test_a_poll_under_way_does_not_undo_a_delivery(world: World) -> None:
    """A poll that asked too early, and postpones the wait while the delivery is applied, is followed by another."""
    waits = world.cloud.app.waits

    def postpone() -> None:
        later = iso(now() + timedelta(seconds=300))
        moved = {"seq": waiting(waits).seq + 1, "next_at": later, "gsi_sk": later}
        world.cloud.app.table.update(case_key(*CASE), "WAIT", moved)

    nudge(*CASE, desk=world.desk, waits=Meanwhile(waits, "nudge", postpone, postpone))  # type: ignore[arg-type]
    wait = waiting(waits)
    assert moment(wait.next_at) <= now()
    messages = [json.loads(each) for each in world.cloud.messages("poll-invoices")]
    assert wait.seq in {each["seq"] for each in messages}


def test_deliveries_at_once_make_one_poll(world: World) -> None:
    """A delivery that finds the wait moved to now by another leaves it at that."""
    waits = world.cloud.app.waits
    before = waiting(waits).seq

    def other() -> None:
        nudge(*CASE, desk=world.desk, waits=waits)

    nudge(*CASE, desk=world.desk, waits=Meanwhile(waits, "nudge", other))  # type: ignore[arg-type]
    assert waiting(waits).seq == before + 1
    assert len(world.cloud.messages("poll-invoices")) == 1


def test_a_wait_that_begins_meanwhile_is_polled_at_once(world: World) -> None:
    """A wait whose token was answered, with the next one in its place by now: the next one is moved."""
    waits = world.cloud.app.waits

    def go_on() -> None:
        waits.end(waiting(waits))
        waits.start(*CASE, phase="results", token="t2", first=300, deadline=3600)

    nudge(*CASE, desk=world.desk, waits=Meanwhile(waits, "nudge", go_on))  # type: ignore[arg-type]
    wait = waiting(waits)
    assert (wait.token, moment(wait.next_at) <= now()) == ("t2", True)


def test_a_case_that_waits_no_more_is_told(world: World) -> None:
    """A wait that ends meanwhile: the case remembers the delivery for its next wait."""
    waits = world.cloud.app.waits
    began = iso(now() - timedelta(milliseconds=1))
    nudge(*CASE, desk=world.desk, waits=Meanwhile(waits, "nudge", lambda: waits.end(waiting(waits))))  # type: ignore[arg-type]
    hinted = world.desk.cases.get(*CASE).record.hinted_at
    assert hinted is not None
    assert hinted >= began


def applied(world: World, intents: Intents) -> None:
    """Apply the delivery about document ``doc:1``."""
    desk, waits, tokens = replace(world.desk, intents=intents), world.cloud.app.waits, Tokens()
    assert wake(CASE[0], BODY, look=0, received_at=now(), desk=desk, waits=waits, executions=tokens)  # type: ignore[arg-type]


def test_an_id_that_is_recorded_meanwhile_is_no_strangers(world: World) -> None:
    """The upload's answer is stored between the look for the id's owner and the note for it: the case is woken."""
    intents, waits = world.cloud.app.intents, world.cloud.app.waits
    applied(world, Meanwhile(intents, "hint", lambda: intents.own(*CASE, ["doc:1"])))  # type: ignore[arg-type]
    assert moment(waiting(waits).next_at) <= now()


def test_a_delivery_full_of_ids_is_soon_applied(world: World) -> None:
    """Of very many ids only the first are looked at, those of a job or a case before those of documents."""
    ids = [f"stranger:{number}" for number in range(3 * MOST_IDS)]
    world.cloud.app.intents.own(*CASE, ["job:1"])
    body = json.dumps({"event": "job_completed", "document_ids": ids, "job_id": "job:1"}).encode()
    waits = world.cloud.app.waits
    assert wake(CASE[0], body, look=0, received_at=now(), desk=world.desk, waits=waits, executions=Tokens())  # type: ignore[arg-type]
    assert moment(waiting(waits).next_at) <= now()
    noted = [each for each in ids if world.cloud.app.table.get(f"ID#{CASE[0]}#{each}", "ID")]
    assert noted == ids[: MOST_IDS - 1]


def test_a_note_that_is_made_meanwhile_is_not_overwritten(world: World) -> None:
    """A delivery that is noted just before the upload's answer is stored is told to who stores it, however often."""
    intents = world.cloud.app.intents
    table = Meanwhile(world.cloud.app.table, "update", lambda: intents.hint(CASE[0], "doc:1"))
    assert Intents(table).own(*CASE, ["doc:1"]) == (True, True)  # type: ignore[arg-type]
    assert intents.own(*CASE, ["doc:1"]) == (True, True)


def stranger(world: World, look: int) -> tuple[bool, list[str]]:
    """Apply a Docsumo delivery about a case that nobody knows; return whether that was all, and what was started."""
    body, tokens = json.dumps({"case_id": "case__1"}).encode(), Tokens()
    waits, at = world.cloud.app.waits, now()
    done = wake("claims", body, look=look, received_at=at, desk=world.desk, waits=waits, executions=tokens)  # type: ignore[arg-type]
    return done, [case["case_id"] for _, case in tokens.started]


def test_a_case_that_nobody_knows_is_collected_at_the_second_look(world: World) -> None:
    """The first look comes too early: the upload that made it may just be answered."""
    assert stranger(world, 0) == (False, [])
    assert stranger(world, 1) == (True, ["case__1"])


def test_a_case_that_an_upload_in_doubt_may_have_made_is_no_strangers(world: World) -> None:
    """It is looked at until that is settled, or for half an hour; an upload that began later did not make it."""
    intents = world.cloud.app.intents
    intents.begin("claims", "R-1", "upload-0", names=["a.pdf"], known=[])
    assert stranger(world, 1) == (False, [])
    assert stranger(world, LOOKS) == (True, ["case__1"])
    intents.answer("claims", "R-1", "upload-0", Uploaded(case_id="case__2"))
    assert stranger(world, 1) == (True, ["case__1"])
    began = now() - timedelta(seconds=1)
    intents.begin("claims", "R-2", "upload-0", names=["b.pdf"], known=[])
    assert not intents.in_doubt("claims", began)


def test_a_lost_upload_that_was_collected_as_a_strangers_is_not_uploaded_again(cloud: Cloud) -> None:
    """A delivery told of the case, and it was collected, before the look-up came to it: it is still the upload's."""
    lost = {"name": "error_after", "rate": 1, "operation": "upload", "times": 1, "status": 502}
    world = World(cloud, faults=[lost])

    def collect() -> None:
        (made,) = world.effects("case_created")
        collected = world.execute({"connection": "claims", "reference": "S-1", "case_id": made["case_id"]}, "arn:s")
        assert collected["status"] == "completed"

    world.desk = replace(world.desk, intents=Meanwhile(cloud.app.intents, "rivals", collect))  # type: ignore[arg-type]
    result = world.submit("claims", "mine", samples("invoice.pdf"))
    (made,) = world.effects("case_created")
    assert (result["status"], result["case_id"]) == ("completed", made["case_id"])
    assert len(world.effects("document_uploaded")) == 1
    assert cloud.app.intents.owner("claims", made["case_id"]) == "mine"


def _apply(world: World, body: bytes) -> None:
    waits, started = world.cloud.app.waits, cast("Any", world.tokens)
    wake(CASE[0], body, look=0, received_at=now(), desk=world.desk, waits=waits, executions=started)


def test_what_a_failed_job_says_is_kept_with_its_case(world: World) -> None:
    """``job_failed`` names no document and the API may give no reason: what the delivery says stands in the result."""
    app = world.cloud.app
    app.intents.own(*CASE, ["job:1"])
    body = {"event": "job_failed", "job_id": "job:1", "error_message": "Extraction workflow timed out"}
    _apply(world, json.dumps(body).encode())
    assert app.cases.get(*CASE).said == {"job:1": "Extraction workflow timed out"}
    assert world.desk.load(*CASE).view.said == app.cases.get(*CASE).said
    stranger = json.dumps({**body, "job_id": "job:2"}).encode()
    _apply(world, stranger)
    assert set(app.cases.get(*CASE).said) == {"job:1"}


def test_how_many_fields_were_extracted_is_in_the_result(cloud: Cloud) -> None:
    """The status answer's ``fields_extracted`` comes from a poll, and is in ``result.json``."""
    result = World(cloud).submit("invoices", "R-1", samples("invoice.pdf"))
    assert result["documents"][0]["fields_extracted"] == len(result["documents"][0]["fields"])
    assert result["warnings"] == []


def test_a_delivery_that_is_not_understood_moves_the_oldest_waits(world: World) -> None:
    """It is counted, and worth no less than none: those that have waited longest are asked for now, each once."""
    app, counted = world.cloud.app, list[tuple[str, str]]()
    desk = replace(world.desk, count=lambda name, value=1, **names: counted.append((name, names["connection"])))
    for number in range(MOST_MOVED + 2):
        app.waits.start("invoices", f"R-{number:02}", phase="documents", token=f"t{number}", first=300, deadline=3600)
    seqs = {each.reference: each.seq for each in app.waits.waiting("invoices")}
    assert wake(
        "invoices",
        b'{"hello": "there"}',
        look=0,
        received_at=now(),
        desk=desk,
        waits=app.waits,
        executions=cast("Any", world.tokens),
    )
    moved = [each for each in app.waits.waiting("invoices") if each.seq != seqs[each.reference]]
    assert len(moved) == MOST_MOVED
    assert CASE[1] in {each.reference for each in moved}, "the one that has waited longest is among them"
    assert all(moment(each.next_at) <= now() and each.seq == seqs[each.reference] + 1 for each in moved)
    assert counted == [("DeliveryNotUnderstood", "invoices")]
