"""Announced: the events read from the stores are those that were put on the bus."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dossier.models import CaseId, now
from dossier.steps.accept import accept
from dossier.steps.announced import Announced, Announcements
from dossier.steps.ask import ask
from dossier.steps.publish import cancelled, end_as_failed
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.steps.updates import case_id, completed, deliver, happened, move

CONNECTIONS = ("claims", "disputes")


def as_sent(found: list[Announced]) -> list[tuple[str, dict[str, Any]]]:
    """Return events as the bus gets them."""
    return [(each.kind, json.loads(json.dumps(each.detail))) for each in found]


def of(world: World, connection: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the events that were put on the bus about a connection's cases."""
    return [
        (kind, detail)
        for kind, detail in json.loads(json.dumps(world.sent_events))
        if detail["connection"] == connection
    ]


@pytest.mark.parametrize("before", [True, False])
def test_each_event_is_announced_once(cloud: Cloud, before: bool) -> None:
    """Completed, updated and failed cases, for a new listener and for one that asks for earlier events.

    The question is missing: it is answered when they look.
    """
    world, begin = World(cloud), now()
    looks = {name: Announcements(name, since=None if before else begin, context=world.context) for name in CONNECTIONS}
    if before:
        assert [each.look() for each in looks.values()] == [[], []]
    happened(world)
    for name, each in looks.items():
        events = [event for event in of(world, name) if event[0] != "Case Needs Attention"]
        assert as_sent(each.look()) == events != []
        assert each.look() == []


def test_an_open_question_is_announced_once(cloud: Cloud) -> None:
    """The second one of a case, too; not those that were open before."""
    world = World(cloud)
    uri = cloud.put("uploads/1.pdf", b"%PDF-1.7")
    case = CaseId("invoices", "Q-1")
    given = {"connection": "invoices", "reference": "Q-1", "documents": [{"uri": uri, "name": "a.pdf"}]}
    accept(given, "arn:Q-1", context=world.context)
    look = Announcements("invoices", since=None, context=world.context)
    assert look.look() == []
    ask(case, "upload-0", "token-0", "the answer was lost", context=world.context)
    assert as_sent(look.look()) == of(world, "invoices") != []
    late = Announcements("invoices", since=None, context=world.context)
    assert late.look() == look.look() == []
    world.sent_events.clear()
    ask(case, "upload-1", "token-1", "the answer was lost", context=world.context)
    for each in (look, late):
        assert as_sent(each.look()) == of(world, "invoices") != []
        assert each.look() == []


def test_earlier_events_are_not_announced(cloud: Cloud) -> None:
    """Neither old results nor open questions, whatever else is stored with their cases later; new revisions are."""
    world = completed(cloud)
    happened(world)
    looks = {name: Announcements(name, since=None, context=world.context) for name in CONNECTIONS}
    assert [each.look() for each in looks.values()] == [[], []]
    events = len(of(world, "claims"))
    for each in (CaseId("disputes", "DISPUTE-3"), CaseId("claims", "R-1")):
        world.context.cases.mark(each, woken=now())
    assert [each.look() for each in looks.values()] == [[], []]
    move(world, "stage__approved")
    assert len(deliver(world, {"case_id": case_id(world)})) == 1
    assert as_sent(looks["claims"].look()) == of(world, "claims")[events:] != []
    late = Announcements("claims", since=now(), context=world.context)
    assert late.look() == []


def test_ends_without_a_collection_are_announced(cloud: Cloud) -> None:
    """A failed and a cancelled case, before a first revision and after one."""
    world = completed(cloud)
    for number in (1, 2):
        uri = cloud.put(f"uploads/{number}.pdf", b"%PDF-1.7")
        case = {"connection": "claims", "reference": f"N-{number}", "documents": [{"uri": uri, "name": "a.pdf"}]}
        accept(case, f"arn:{number}", context=world.context)
    look = Announcements("claims", since=None, context=world.context)
    assert look.look() == []
    world.sent_events.clear()
    world.context.table.update("CASE#claims#R-1", "CASE", {"status": "accepted"})  # as a redrive does
    first, second, third = (CaseId("claims", each) for each in ("N-1", "N-2", "R-1"))
    end_as_failed(world.context.cases.get(first), "Broken", "it broke", context=world.context)
    cancelled(world.context.cases.get(second), context=world.context)
    end_as_failed(world.context.cases.get(third), "Broken", "it broke again", context=world.context)
    assert as_sent(look.look()) == of(world, "claims")
    assert [detail["status"] for _, detail in of(world, "claims")] == ["failed", "cancelled", "failed"]
    assert look.look() == []


def test_a_new_case_is_announced_by_its_first_result(cloud: Cloud) -> None:
    """It was not there when somebody began to look."""
    world = World(cloud)
    look = Announcements("invoices", since=None, context=world.context)
    assert look.look() == []
    assert world.submit("invoices", "R-2", samples("invoice.pdf"))["status"] == "completed"
    assert as_sent(look.look()) == of(world, "invoices")
