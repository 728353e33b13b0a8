"""The lists of the vendors' accounts, compared with the records."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from dossier.models import CaseId, moment, now
from dossier.steps import compare as comparing
from dossier.steps.compare import REACH, SETTLED, Compared, compare
from dossier.steps.refresh import FIRST_LOOK
from dossier.stores.table import case_key
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.steps.updates import stray

LATER = SETTLED + timedelta(minutes=1)
NAMES = ("invoices", "claims", "disputes")


def later(world: World, after: timedelta = LATER) -> Compared:
    """Compare as if that much time had passed."""
    return compare(NAMES, context=world.context, at=now() + after)


def finished(cloud: Cloud, **sandbox: Any) -> World:
    """Return a world with one completed case at each vendor."""
    world = World(cloud, **sandbox)
    for connection in NAMES:
        assert world.submit(connection, f"{connection}-1", samples("invoice.pdf"))["status"] == "completed"
    return world


def test_created_cases_are_known(cloud: Cloud) -> None:
    """A case whose vendor has a list is found there; the Ombudsman has none, and is not asked."""
    world = finished(cloud)
    before = len(world.journal())
    assert later(world).unknown == {"invoices": [], "claims": []}
    asked = [(each["vendor"], each["operation"]) for each in world.journal()[before:]]
    assert sorted(asked) == [("docsumo", "list"), ("docsumo", "list"), ("docustack", "list")]


@pytest.mark.rule(
    "docsumo notes, uploads the list",
    "docustack notes, the list and lost answers the list shows what the account created recently",
)
def test_unknown_cases_are_reported(cloud: Cloud) -> None:
    """Uploads without a record are named: the vendor would bill a duplicate."""
    world = finished(cloud)
    made = {name: [stray(world, name)] for name in ("invoices", "claims")}
    assert later(world).unknown == made


def test_recent_and_old_entries_are_ignored(cloud: Cloud) -> None:
    """An entry that was just created may still be recorded; older ones were compared before."""
    world = World(cloud)
    made = stray(world, "claims")
    for after in (SETTLED - timedelta(minutes=1), REACH + timedelta(minutes=1)):
        assert later(world, after).unknown["claims"] == []
    assert later(world).unknown["claims"] == [made]


def test_collected_cases_are_known(cloud: Cloud) -> None:
    """An operator's own case that a delivery named is not a duplicate."""
    world = World(cloud)
    made = stray(world, "claims")
    cloud.app.intents.own(CaseId("claims", made), [made], collected=True)
    assert later(world).unknown["claims"] == []


@pytest.mark.parametrize("fault", ["error_before", "throttle", "html"])
def test_unreadable_account_does_not_block_others(cloud: Cloud, fault: str) -> None:
    """The reason is reported; the next comparison reaches further back than an hour."""
    world = finished(cloud)
    faults = [{"name": fault, "rate": 1, "vendor": "docsumo", "operation": "list"}]
    world.sandbox.post("/_sandbox/settings", json={"faults": faults})
    found = later(world)
    assert found.unknown == {"invoices": []}
    assert list(found.unread) == ["claims"]
    world.sandbox.post("/_sandbox/settings", json={"faults": []})
    assert later(world, LATER + timedelta(hours=2)).unknown == {"invoices": [], "claims": []}


def test_slow_accounts_are_compared_next_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function compares as many accounts as its time allows; each hour begins with another one."""
    world = finished(cloud)
    monkeypatch.setattr(comparing, "LONGEST", -1.0)
    assert set(later(world).unread) == {"invoices", "claims"}


# Changes since the collection


def in_step(cloud: Cloud) -> World:
    """Return such a world, some seconds later: what was read in the second of its change was read once more."""
    world = finished(cloud)
    pass_on(world)
    return world


def pass_on(world: World) -> None:
    """Let some of the vendors' seconds pass, compare, and run the collections that this requests."""
    world.ahead += 3
    later(world)
    world.run_started()
    assert later(world).again == {}


def edit(world: World, case_id: str, **changes: Any) -> None:
    """Change a case as the vendor's operator does; its delivery is lost, and no comparison runs in that second."""
    world.sandbox.post(f"/_sandbox/docsumo/cases/{case_id}/edit", json=changes).raise_for_status()
    world.ahead += 3


def result(world: World, reference: str = "claims-1") -> dict[str, Any]:
    """Return the current result."""
    return dict(json.loads(world.cloud.app.objects.read(f"cases/claims/{reference}/result.json") or b"{}"))


def test_change_without_a_delivery_is_still_collected(cloud: Cloud) -> None:
    """The list dates the case later than its collection: it is collected again, once."""
    world = in_step(cloud)
    edit(world, result(world)["case_id"], assigned_to="user__reviewer")
    assert later(world).again == {"claims": ["claims-1"]}
    assert len(world.run_started()) == 1
    assert (result(world)["revision"], result(world)["assigned_to"]) == (2, "user__reviewer")
    assert later(world).again == {}
    assert len(world.effects("document_uploaded")) == len(NAMES)


def test_change_without_effect_is_collected_once(cloud: Cloud) -> None:
    """The vendor dates an unchanged case anew: no revision, and the next comparison ignores it."""
    world = in_step(cloud)
    before = result(world)
    edit(world, before["case_id"], case_name=before["title"])
    assert later(world).again == {"claims": ["claims-1"]}
    world.run_started()
    assert result(world) == before
    assert later(world).again == {}


def test_a_second_change_in_the_same_second_is_not_missed(cloud: Cloud) -> None:
    """The vendor dates to the second: what was read in the second of a change is read once more, and then known."""
    world = in_step(cloud)
    record = world.context.cases.get(CaseId("claims", "claims-1")).record
    assert record.modified is not None
    assert record.read_at is not None
    cloud.app.table.update(case_key(CaseId("claims", "claims-1")), "CASE", {"read_at": record.modified})
    assert later(world).again == {"claims": ["claims-1"]}
    world.run_started()
    assert later(world).again == {}


def test_case_completed_by_an_older_version_is_collected_again_once(cloud: Cloud) -> None:
    """Its record lacks the vendor's time of the last change."""
    world = in_step(cloud)
    cloud.app.table.update(case_key(CaseId("claims", "claims-1")), "CASE", {"modified": None})
    assert later(world).again == {"claims": ["claims-1"]}
    world.run_started()
    assert later(world).again == {}


def test_excess_changes_are_deferred_to_the_next_run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest come first, a limited number at once, and every change is collected in the end."""
    world = World(cloud)
    for number in range(5):
        world.submit("claims", f"R-{number}", samples("invoice.pdf"))
    pass_on(world)
    monkeypatch.setattr(comparing, "MOST_AGAIN", 2)
    for number in range(5):
        edit(world, result(world, f"R-{number}")["case_id"], assigned_to="user__reviewer")
    rounds = []
    for _ in range(3):
        rounds.append(later(world).again["claims"])
        world.run_started()
    assert sorted(each for found in rounds for each in found) == [f"R-{number}" for number in range(5)]
    assert [len(each) for each in rounds] == [2, 2, 1]
    assert {result(world, f"R-{number}")["assigned_to"] for number in range(5)} == {"user__reviewer"}


def test_times_in_the_future_hide_no_change(cloud: Cloud) -> None:
    """Some entries are dated wrongly and stay first in the list: the next look goes back beyond them."""
    world = World(cloud)
    for number in range(12):
        world.submit("claims", f"R-{number:02}", samples("invoice.pdf"))
        world.ahead += 3
    vendor = world.context.vendor_of(world.connection("claims"))
    world.ahead += 600
    changed = world.transport.run(vendor.changed({}), vendor=vendor)
    assert list(changed.seen.values()) == [list(changed.cases.values())[10]]
    again = world.transport.run(vendor.changed(changed.seen), vendor=vendor)
    assert (len(again.cases), again.seen) == (11, changed.seen)


def test_due_refresh_is_started(cloud: Cloud) -> None:
    """A refresh that failed is looked at again after an hour, also at a vendor without a list."""
    world = in_step(cloud)
    world.keys.wrong = True
    world.refresh("disputes", "disputes-1")
    world.keys.wrong = False
    assert later(world, timedelta(minutes=59)).again == {}
    assert later(world, FIRST_LOOK + timedelta(minutes=1)).again == {"disputes": ["disputes-1"]}
    assert len(world.run_started()) == 1
    assert later(world, FIRST_LOOK + timedelta(minutes=1)).again == {}


def test_a_second_change_in_the_same_second_is_not_missed_without_a_zone(cloud: Cloud) -> None:
    """The vendor writes local times: of these, minutes and seconds alone say when a case was read."""
    world = in_step(cloud)
    dated = {"modified": "2026-05-20T10:16:30", "read_at": moment("2026-05-20T04:46:30.000Z")}
    record = world.context.cases.get(CaseId("claims", "claims-1")).record.model_copy(update=dated)
    vendor = world.context.vendor_of(world.connection("claims"))
    assert comparing._is_behind(record, "2026-05-20T10:16:30", vendor)
    later_read = record.model_copy(update={"read_at": moment("2026-05-20T04:46:33.000Z")})
    assert not comparing._is_behind(later_read, "2026-05-20T10:16:30", vendor)
    night = later_read.model_copy(update={"modified": "2026-10-25T02:50:00"})
    assert comparing._is_behind(night, "2026-10-25T02:10:00", vendor)  # clocks were put back in between
    assert not comparing._is_behind(later_read, "2026-05-20T10:10:00", vendor)
