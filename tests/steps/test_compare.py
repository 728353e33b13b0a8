"""What the vendors' accounts list, compared with what is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dossier.models import now
from dossier.ports import CaseView
from dossier.steps import compare as comparing
from dossier.steps.compare import REACH, SETTLED, Compared, compare
from tests.conftest import Cloud
from tests.flows import document
from tests.machine import World, samples

LATER = SETTLED + timedelta(minutes=1)
NAMES = ("invoices", "claims", "disputes")


def later(world: World, after: timedelta = LATER) -> Compared:
    """Compare as if so much time had passed."""
    return compare(NAMES, desk=world.desk, at=now() + after)


def finished(cloud: Cloud, **sandbox: Any) -> World:
    """Return a world with one completed case at each vendor."""
    world = World(cloud, **sandbox)
    for connection in NAMES:
        assert world.submit(connection, f"{connection}-1", samples("invoice.pdf"))["status"] == "completed"
    return world


def stray(world: World, connection: str) -> str:
    """Upload a document without any record of it; return the vendor's id."""
    settings = world.connection(connection)
    vendor, [(name, body)] = world.desk.vendor_of(settings.vendor), samples("invoice.pdf").items()
    world.cloud.put(f"stray/{connection}", body)
    sent = document(name, size=len(body)).model_copy(update={"key": f"stray/{connection}"})
    case = CaseView(connection=settings, reference="stray", documents=(sent,))
    made = world.transport.run(vendor.upload(case, [0]), vendor=vendor, connection=settings)
    return made.case_id or made.document_ids[0]


def test_what_dossier_made_is_known(cloud: Cloud) -> None:
    """A case whose vendor has a list is found there; the Ombudsman has none, and is not asked."""
    world = finished(cloud)
    before = len(world.journal())
    assert later(world) == Compared(unknown={"invoices": [], "claims": []})
    asked = [(each["vendor"], each["operation"]) for each in world.journal()[before:]]
    assert sorted(asked) == [("docsumo", "list"), ("docustack", "list")]


def test_what_nobody_here_made_is_found(cloud: Cloud) -> None:
    """Uploads that no record tells of are named: a duplicate would be on the bill all the same."""
    world = finished(cloud)
    made = {name: [stray(world, name)] for name in ("invoices", "claims")}
    assert later(world).unknown == made


def test_what_is_fresh_or_old_is_left_alone(cloud: Cloud) -> None:
    """What has just been created may yet be recorded; what is older was compared before."""
    world = World(cloud)
    made = stray(world, "claims")
    for after in (SETTLED - timedelta(minutes=1), REACH + timedelta(minutes=1)):
        assert later(world, after).unknown["claims"] == []
    assert later(world).unknown["claims"] == [made]


def test_what_was_only_collected_is_known(cloud: Cloud) -> None:
    """A case of an operator's own, which a delivery told of, is nobody's duplicate."""
    world = World(cloud)
    made = stray(world, "claims")
    cloud.app.intents.own("claims", made, [made], collected=True)
    assert later(world).unknown["claims"] == []


@pytest.mark.parametrize("fault", ["error_before", "throttle", "html"])
def test_an_account_that_cannot_be_read_does_not_keep_others_from_it(cloud: Cloud, fault: str) -> None:
    """It is said why; the next comparison reaches further back than an hour."""
    world = finished(cloud)
    faults = [{"name": fault, "rate": 1, "vendor": "docsumo", "operation": "list"}]
    world.sandbox.post("/_sandbox/settings", json={"faults": faults})
    found = later(world)
    assert found.unknown == {"invoices": []}
    assert list(found.unread) == ["claims"]
    world.sandbox.post("/_sandbox/settings", json={"faults": []})
    assert later(world, LATER + timedelta(hours=2)).unknown == {"invoices": [], "claims": []}


def test_accounts_that_take_too_long_are_left_to_the_next_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's time is for as many accounts as it suffices for; each hour begins with another one."""
    world = finished(cloud)
    monkeypatch.setattr(comparing, "LONGEST", -1.0)
    assert set(later(world).unread) == {"invoices", "claims"}
