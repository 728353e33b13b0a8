"""Wake: a delivery that arrives in the middle of something else still moves the next poll."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dossier import models
from dossier.errors import RetryableError
from dossier.models import CaseId, now
from dossier.ports import Uploaded
from dossier.steps.identity import stranger_reference
from dossier.steps.wake import (
    LOOK_AGAIN,
    LOOKS,
    MOST_COLLECTED,
    MOST_IDS,
    MOST_MOVED,
    NOT_OURS,
    Applied,
    collect_stranger,
    nudge,
    wake,
)
from dossier.stores.cases import Collection
from dossier.stores.intents import Intents
from dossier.stores.table import case_key
from dossier.stores.waits import Wait, Waits
from tests.conftest import Cloud
from tests.flows import document
from tests.machine import Tokens, World, samples
from tests.records import record
from tests.steps.updates import stray

CASE = CaseId("invoices", "INV-1")
BODY = json.dumps({"event": "document_completed", "document_id": "doc:1"}).encode()


class Meanwhile:
    """Wraps a store; just before its next call of one kind, something else happens."""

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
    cloud.app.waits.start(CASE, phase="documents", token="t1", first=300, deadline=3600)
    return world


def waiting(waits: Waits) -> Wait:
    """Return the case's wait."""
    wait = waits.find(CASE)
    assert wait is not None
    return wait


def test_a_poll_under_way_does_not_undo_a_delivery(world: World) -> None:
    """A poll that asked too early, and postpones the wait while the delivery is applied, is followed by another."""
    waits = world.cloud.app.waits

    def postpone() -> None:
        later = now() + timedelta(seconds=300)
        moved = {"seq": waiting(waits).seq + 1, "next_at": later, "gsi_sk": later}
        world.cloud.app.table.update(case_key(CASE), "WAIT", moved)

    nudge(CASE, context=world.context.replacing(waits=Meanwhile(waits, "nudge", postpone, postpone)))
    wait = waiting(waits)
    assert wait.next_at <= now()
    messages = [json.loads(each) for each in world.cloud.messages("poll-invoices")]
    assert wait.seq in {each["seq"] for each in messages}


def test_deliveries_at_once_make_one_poll(world: World) -> None:
    """A delivery that finds the wait already moved to now changes nothing."""
    waits = world.cloud.app.waits
    before = waiting(waits).seq

    def other() -> None:
        nudge(CASE, context=world.context)

    nudge(CASE, context=world.context.replacing(waits=Meanwhile(waits, "nudge", other)))
    assert waiting(waits).seq == before + 1
    assert len(world.cloud.messages("poll-invoices")) == 1


def test_deliveries_in_one_millisecond_make_one_poll(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait stores its time in whole milliseconds, which may lie before the delivery's own time."""
    at = now().replace(microsecond=123_900)
    frozen = SimpleNamespace(now=lambda _: at, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr(models, "datetime", frozen)
    test_deliveries_at_once_make_one_poll(world)


def test_a_wait_that_begins_meanwhile_is_polled_at_once(world: World) -> None:
    """If a wait's token was answered and the next wait has replaced it, the next one is moved."""
    waits = world.cloud.app.waits

    def go_on() -> None:
        waits.end(waiting(waits))
        waits.start(CASE, phase="results", token="t2", first=300, deadline=3600)

    nudge(CASE, context=world.context.replacing(waits=Meanwhile(waits, "nudge", go_on)))
    wait = waiting(waits)
    assert (wait.token, wait.next_at <= now()) == ("t2", True)


def test_delivery_is_noted_for_a_case_that_no_longer_waits(world: World) -> None:
    """A wait that ends meanwhile: the case remembers the delivery for its next wait."""
    waits = world.cloud.app.waits
    began = now() - timedelta(milliseconds=1)
    ended = Meanwhile(waits, "nudge", lambda: waits.end(waiting(waits)))
    nudge(CASE, context=world.context.replacing(waits=ended))
    hinted = world.context.cases.get(CASE).record.hinted_at
    assert hinted is not None
    assert hinted >= began


def applied(world: World, intents: Intents) -> None:
    """Apply the delivery about document ``doc:1``."""
    tokens = Tokens()
    context = world.context.replacing(intents=intents, executions=tokens)
    assert wake(CASE[0], BODY, look=0, received_at=now(), context=context).done


def test_id_recorded_meanwhile_belongs_to_its_case(world: World) -> None:
    """The upload's answer is stored between the look for the id's owner and the note for it: the case is woken."""
    intents, waits = world.cloud.app.intents, world.cloud.app.waits
    applied(world, Meanwhile(intents, "hint", lambda: intents.own(CASE, ["doc:1"])))  # type: ignore[arg-type]
    assert waiting(waits).next_at <= now()


def test_delivery_with_many_ids_is_applied_quickly(world: World) -> None:
    """Of very many ids only the first are looked at, those of a job or a case before those of documents."""
    ids = [f"stranger:{number}" for number in range(3 * MOST_IDS)]
    world.cloud.app.intents.own(CASE, ["job:1"])
    body = json.dumps({"event": "job_completed", "document_ids": ids, "job_id": "job:1"}).encode()
    waits = world.cloud.app.waits
    assert wake(CASE[0], body, look=0, received_at=now(), context=world.context).done
    assert waiting(waits).next_at <= now()
    noted = [each for each in ids if world.cloud.app.table.get(f"ID#{CASE[0]}#{each}", "ID")]
    assert noted == ids[: MOST_IDS - 1]


def test_a_note_that_is_made_meanwhile_is_not_overwritten(world: World) -> None:
    """A delivery that is noted just before the upload's answer is stored wakes the case when the answer is applied."""
    intents = world.cloud.app.intents
    table = Meanwhile(world.cloud.app.table, "updated", lambda: intents.hint(CASE[0], "doc:1"))
    assert Intents(table).own(CASE, ["doc:1"]) == (True, True)  # type: ignore[arg-type]
    assert intents.own(CASE, ["doc:1"]) == (True, True)


def applied_of(world: World, look: int, body: dict[str, Any]) -> tuple[Applied, list[str]]:
    """Apply a Docsumo delivery; return its outcome, and the vendor's cases that it collects."""
    tokens, at = Tokens(), now()
    data = json.dumps(body).encode()
    applied = wake("claims", data, look=look, received_at=at, context=world.context.replacing(executions=tokens))
    return applied, [case.get("case_id", "") for _, case in tokens.started]


def test_unknown_case_is_collected_at_the_second_look(cloud: Cloud) -> None:
    """The first look comes too early: the upload that made it may just be answered."""
    world = World(cloud)
    made = stray(world, "claims")
    assert applied_of(world, 0, {"case_id": made}) == (LOOK_AGAIN, [])
    assert applied_of(world, 1, {"case_id": made}) == (Applied(), [made])


def test_case_of_an_upload_in_doubt_is_not_collected(cloud: Cloud) -> None:
    """The delivery comes back until the upload is settled, or for half an hour.

    A later upload did not create the case.
    """
    world = World(cloud)
    made, intents = stray(world, "claims"), world.cloud.app.intents
    intents.begin(CaseId("claims", "R-1"), "upload-0", names=["a.pdf"], known=[])
    assert applied_of(world, 1, {"case_id": made}) == (LOOK_AGAIN, [])
    assert applied_of(world, LOOKS, {"case_id": made}) == (Applied(), [made])
    intents.answer(CaseId("claims", "R-1"), "upload-0", Uploaded(case_id="case__2"))
    assert applied_of(world, 1, {"case_id": made}) == (Applied(), [made])
    began = now() - timedelta(seconds=1)
    intents.begin(CaseId("claims", "R-2"), "upload-0", names=["b.pdf"], known=[])
    assert not intents.in_doubt("claims", began)


def test_a_case_of_another_case_type_is_not_ours(cloud: Cloud) -> None:
    """The delivery shows it: no request is sent, nothing is started, and no event is sent."""
    world = World(cloud)
    before = len(world.journal())
    applied, started = applied_of(world, 0, {"case_id": "case__theirs", "casetype_id": "casetype__other"})
    assert (applied.verdict, started) == (NOT_OURS, [])
    assert len(world.journal()) == before
    assert world.sent_events == []


@pytest.mark.rule(
    "security: take a caller's reference, or start endless work: a verified delivery about cases that do not exist"
)
@pytest.mark.parametrize("count", [1, 20])
def test_a_case_that_the_list_does_not_have_is_not_ours(cloud: Cloud, count: int) -> None:
    """One look-up for all ids of the delivery; an id that the vendor does not have claims no reference."""
    world = World(cloud)
    stray(world, "claims")
    before = len(world.journal())
    ids = [f"INV-2024-{number:04}" for number in range(count)]
    applied, started = applied_of(world, 1, {"cases": [{"case_id": each} for each in ids]})
    assert (applied.verdict, started) == (NOT_OURS, [])
    assert [each["operation"] for each in world.journal()[before:]] == ["list"]
    assert [world.context.cases.find(CaseId("claims", each)) for each in ids] == [None] * count


def test_a_list_that_cannot_be_read_is_asked_again_later(cloud: Cloud) -> None:
    """Until the last look, whose failure is a dead letter."""
    world = World(cloud, faults=[{"name": "error_before", "rate": 1, "operation": "list"}])
    assert applied_of(world, 1, {"case_id": "case__1"}) == (LOOK_AGAIN, [])
    with pytest.raises(RetryableError):
        applied_of(world, LOOKS, {"case_id": "case__1"})


@pytest.mark.rule(
    "security: take a caller's reference, or start endless work: a verified delivery about cases that do not exist"
)
def test_one_delivery_has_few_cases_collected(cloud: Cloud) -> None:
    """However many it names, and though the vendor has all of them."""
    world = World(cloud)
    made = [stray(world, "claims") for _ in range(MOST_COLLECTED + 2)]
    applied, started = applied_of(world, 1, {"cases": [{"case_id": each} for each in made]})
    assert (applied, len(started)) == (Applied(), MOST_COLLECTED)


@pytest.mark.rule(
    "security: take a caller's reference, or start endless work: a verified delivery about cases that do not exist"
)
def test_collected_case_never_takes_a_callers_reference(cloud: Cloud) -> None:
    """The vendor's name of its case equals a caller's reference: the caller's own case is still accepted."""
    world = World(cloud)
    started = Tokens()
    collect_stranger("claims", "INV-2024-0042", context=world.context.replacing(executions=started))
    [(_, case)] = started.started
    assert re.fullmatch(r"case-[0-9a-f]{32}", case["reference"])
    assert case["reference"] == stranger_reference("INV-2024-0042")
    assert world.submit("claims", "INV-2024-0042", samples("invoice.pdf"))["status"] == "completed"


@pytest.mark.rule(
    "security: take a caller's reference, or start endless work: a verified delivery about cases that do not exist"
)
@pytest.mark.parametrize("more", [{"case_id": "case__2"}, {"documents": True}, {"options": {"case_title": "mine"}}])
def test_a_reserved_reference_cannot_be_squatted(cloud: Cloud, more: dict[str, Any]) -> None:
    """It is reserved for one vendor case that is only collected; any other input under it is rejected in one line."""
    world, reference = World(cloud), stranger_reference("case__1")
    uri = cloud.put("staging/claims/x.pdf", samples("invoice.pdf")["invoice.pdf"])
    case: dict[str, Any] = {"connection": "claims", "reference": reference, "case_id": "case__1", **more}
    if case.pop("documents", None):
        case["documents"] = [{"uri": uri}]
    world.execute(case, "arn:squat")
    record = world.context.cases.get(CaseId("claims", reference)).record
    assert (record.refused, "use another reference" in str(record.reason)) == (True, True)


@pytest.mark.rule("docsumo 3 a person's move and the end of the workflow each cause a delivery")
def test_delivery_wakes_every_case_of_the_vendors_case(cloud: Cloud) -> None:
    """The case that made it, one that appended to it and one that collects it: each collects again."""
    world = World(cloud)
    made = str(world.submit("claims", "mine", samples("invoice.pdf"))["case_id"])
    world.submit("claims", "appended", samples("scan.tiff"), case_id=made)
    world.execute({"connection": "claims", "reference": "collected", "case_id": made}, "arn:collected")
    world.run_started()
    assert set(cloud.app.intents.references("claims", made)) == {"mine", "appended", "collected"}
    world.sandbox.post(f"/_sandbox/docsumo/cases/{made}/stage", json={"stage_id": "stage__approved"})
    at, body = now(), json.dumps({"case_id": made}).encode()
    wake("claims", body, look=0, received_at=at, context=world.context)
    world.run_started()
    names = ("mine", "appended", "collected")
    stages = {each: world.context.cases.get(CaseId("claims", each)).record.stage_id for each in names}
    assert set(stages.values()) == {"stage__approved"}


def test_a_delivery_wakes_the_case_that_waits_and_not_only_the_first(cloud: Cloud) -> None:
    """The first reference has ended; the one that appended waits, and its next poll is now."""
    world = World(cloud)
    made = str(world.submit("claims", "mine", samples("invoice.pdf"))["case_id"])
    cloud.app.cases.claim(record(connection="claims", reference="appended", status="waiting", case_id=made))
    cloud.app.intents.relate(CaseId("claims", "appended"), made)
    cloud.app.waits.start(CaseId("claims", "appended"), phase="results", token="t1", first=300, deadline=3600)
    applied_of(world, 0, {"case_id": made})
    wait = cloud.app.waits.find(CaseId("claims", "appended"))
    assert wait is not None
    assert wait.next_at <= now()


def test_job_with_finished_documents_requests_no_refresh(cloud: Cloud) -> None:
    """DocuStack says that the job is done a moment after its last document: nothing is collected again for that."""
    world = World(cloud)
    world.submit("invoices", "R-1", samples("invoice.pdf"))
    [document] = world.context.cases.get(CaseId("invoices", "R-1")).documents
    started = Tokens()
    for body, count in (
        ({"event": "job_completed", "job_id": document.job_id}, 0),
        ({"event": "document_completed", "document_id": document.document_id, "job_id": document.job_id}, 1),
    ):
        at, data = now(), json.dumps(body).encode()
        wake("invoices", data, look=0, received_at=at, context=world.context.replacing(executions=started))
        assert len(started.started) == count


@pytest.mark.parametrize(
    ("connection", "before", "again"),
    [("invoices", 0.05, False), ("claims", 0.05, False), ("invoices", 0.01, True), ("claims", -0.001, True)],
)
def test_delivery_from_before_the_collection_requests_no_refresh(
    cloud: Cloud, connection: str, before: float, again: bool
) -> None:
    """A poll was faster than the delivery: what it tells of was there before anything was collected."""
    world, case = World(cloud), CaseId(connection, "R-1")
    world.submit(*case, samples("invoice.pdf"))
    stored = world.context.cases.get(case)
    assert stored.collection.at is not None
    body = {"document_id": stored.documents[0].document_id, "case_id": stored.record.case_id}
    started, received_at = Tokens(), stored.collection.at - timedelta(seconds=before)
    context = world.context.replacing(executions=started)
    assert wake(connection, json.dumps(body).encode(), look=0, received_at=received_at, context=context).done
    assert bool(started.started) is again
    after = world.context.cases.get(case)
    assert after.refresh.wanted is again
    assert after.record.woken is not None


def test_reason_that_only_a_delivery_gives_reaches_the_result(cloud: Cloud) -> None:
    """It arrived before the collection began, and was applied after it: no request to the vendor has its text."""
    world, case = World(cloud), CaseId("invoices", "R-1")
    world.submit(*case, samples("invoice.pdf"))
    stored = world.context.cases.get(case)
    assert stored.collection.at is not None
    [failed] = stored.documents
    world.context.cases.put_documents(case, [failed.model_copy(update={"failed": True})], fresh=False)
    body = {"event": "job_failed", "job_id": failed.job_id, "error_message": "Extraction timed out"}
    received_at = stored.collection.at - timedelta(seconds=1)
    wake(case[0], json.dumps(body).encode(), look=0, received_at=received_at, context=world.context)
    assert len(world.run_started()) == 1


def test_a_case_that_waits_is_polled_for_a_delivery_of_any_age(world: World) -> None:
    """A former collection does not answer for what the case waits for now."""
    cases, waits = world.cloud.app.cases, world.cloud.app.waits
    cases.put_collection(CASE, Collection(id="first-1", at=now()))
    world.cloud.app.intents.own(CASE, ["doc:1"])
    wake(CASE[0], BODY, look=0, received_at=now() - timedelta(hours=1), context=world.context)
    assert waiting(waits).next_at <= now()


@pytest.mark.parametrize("finished", [True, False])
def test_job_whose_documents_are_done_is_no_news_during_the_collection(cloud: Cloud, finished: bool) -> None:
    """The second delivery of a DocuStack case comes while the first one's poll has it collected."""
    world, sent = World(cloud), document("a.pdf", document_id="doc:1", job_id="job:1", finished=finished)
    cloud.app.cases.claim(record(reference=CASE[1], status="downloading"))
    cloud.app.cases.put_documents(CASE, [sent], fresh=True)
    cloud.app.intents.own(CASE, ["doc:1", "job:1"])
    cloud.app.cases.put_collection(CASE, Collection(id="first-1", at=now() - timedelta(seconds=1)))
    _apply(world, json.dumps({"event": "job_completed", "job_id": "job:1"}).encode())
    assert cloud.app.refreshes.find(CASE).wanted is not finished


def test_lost_upload_that_was_collected_is_not_repeated(cloud: Cloud) -> None:
    """A delivery had the case collected before the look-up found it: the upload still takes its id over."""
    lost = {"name": "error_after", "rate": 1, "operation": "upload", "times": 1, "status": 502}
    world = World(cloud, faults=[lost])

    def collect() -> None:
        (made,) = world.effects("case_created")
        collected = world.execute({"connection": "claims", "reference": "S-1", "case_id": made["case_id"]}, "arn:s")
        assert collected["status"] == "completed"

    world.context = world.context.replacing(intents=Meanwhile(cloud.app.intents, "rivals", collect))
    result = world.submit("claims", "mine", samples("invoice.pdf"))
    (made,) = world.effects("case_created")
    assert (result["status"], result["case_id"]) == ("completed", made["case_id"])
    assert len(world.effects("document_uploaded")) == 1
    assert cloud.app.intents.owner("claims", made["case_id"]) == "mine"


def _apply(world: World, body: bytes) -> None:
    wake(CASE[0], body, look=0, received_at=now(), context=world.context)


@pytest.mark.rule("docustack webhooks job_failed has no document")
def test_reason_of_a_failed_job_is_stored_with_its_case(world: World) -> None:
    """``job_failed`` names no document and the API may give no reason: the result has the delivery's reason."""
    app = world.cloud.app
    app.intents.own(CASE, ["job:1"])
    body = {"event": "job_failed", "job_id": "job:1", "error_message": "Extraction workflow timed out"}
    _apply(world, json.dumps(body).encode())
    assert app.cases.get(CASE).said == {"job:1": "Extraction workflow timed out"}
    assert world.context.load(CASE).view.said == app.cases.get(CASE).said
    stranger = json.dumps({**body, "job_id": "job:2"}).encode()
    _apply(world, stranger)
    assert set(app.cases.get(CASE).said) == {"job:1"}


@pytest.mark.rule("docustack status GET /api/v1/documents/{id}/status")
def test_how_many_fields_were_extracted_is_in_the_result(cloud: Cloud) -> None:
    """The status answer's ``fields_extracted`` comes from a poll, and is in ``result.json``."""
    result = World(cloud).submit("invoices", "R-1", samples("invoice.pdf"))
    assert result["documents"][0]["fields_extracted"] == len(result["documents"][0]["fields"])
    assert result["warnings"] == []


@pytest.mark.rule("docsumo notes, deliveries a delivery that names nothing is counted")
def test_a_delivery_that_is_not_understood_moves_the_oldest_waits(world: World) -> None:
    """It is counted, and the oldest waits are polled now, each once."""
    app, counted = world.cloud.app, list[tuple[str, str]]()
    context = world.context.replacing(count=lambda name, value=1, **names: counted.append((name, names["connection"])))
    for number in range(MOST_MOVED + 2):
        app.waits.start(
            CaseId("invoices", f"R-{number:02}"), phase="documents", token=f"t{number}", first=300, deadline=3600
        )
    seqs = {each.reference: each.seq for each in app.waits.waiting("invoices")}
    assert wake(
        "invoices",
        b'{"hello": "there"}',
        look=0,
        received_at=now(),
        context=context,
    )
    moved = [each for each in app.waits.waiting("invoices") if each.seq != seqs[each.reference]]
    assert len(moved) == MOST_MOVED
    assert CASE[1] in {each.reference for each in moved}, "the one that has waited longest is among them"
    assert all(each.next_at <= now() and each.seq == seqs[each.reference] + 1 for each in moved)
    assert counted == [("DeliveryNotUnderstood", "invoices")]
