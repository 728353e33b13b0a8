"""Records of cases expire by the setting, as a whole, and only of cases that ended long enough ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus, iso, now
from dossier.steps.reconcile import reconcile
from dossier.stores.expiry import Expiry
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.records import record
from tests.steps.state import State

OLD = timedelta(days=400)
KEEP = timedelta(days=365)


def items(cloud: Cloud) -> list[dict[str, Any]]:
    """Return everything in the table."""
    return list(cloud.session.resource("dynamodb").Table("cases").scan()["Items"])


def aged(cloud: Cloud, connection: str, reference: str) -> None:
    """Let a case have ended long ago."""
    table = cloud.session.resource("dynamodb").Table("cases")
    then = iso(now() - OLD)
    table.update_item(
        Key={"pk": f"CASE#{connection}#{reference}", "sk": "CASE"},
        UpdateExpression="SET updated_at = :then, submitted_at = :then, gsi_sk = :then",
        ExpressionAttributeValues={":then": then},
    )


def test_nothing_of_an_expired_case_is_left_in_the_table(cloud: Cloud) -> None:
    """Record, documents, artifacts, vendor's ids: the vendor's case is unknown and the reference is free again."""
    world = World(cloud)
    world.submit("claims", "R-1", samples("invoice.pdf", "photo.jpg"))
    world.submit("claims", "R-2", samples("invoice.pdf"))
    aged(cloud, "claims", "R-1")
    expiry, before = Expiry(cloud.app.table), now() - KEEP
    assert list(expiry.expired("claims", before)) == ["R-1"]
    assert expiry.remove(CaseId("claims", "R-1"), before)
    assert not [each for each in items(cloud) if "R-1" in (each.get("reference"), each["pk"].rpartition("#")[2])]
    assert cloud.app.cases.get(CaseId("claims", "R-2")).record.status is CaseStatus.COMPLETED
    assert [each for each in items(cloud) if each["pk"].startswith("ID#") and each["reference"] == "R-2"]
    result = world.submit("claims", "R-1", samples("invoice.pdf", "photo.jpg"))
    assert result["status"] == "completed"


@pytest.mark.parametrize("status", [each for each in CaseStatus if not each.final])
def test_a_case_that_has_not_ended_stays(cloud: Cloud, status: CaseStatus) -> None:
    """However old: a question may wait for a year."""
    cloud.app.cases.claim(record(status=status))
    aged(cloud, "invoices", "INV-1")
    expiry = Expiry(cloud.app.table)
    assert list(expiry.expired("invoices", now() - KEEP)) == []
    assert not expiry.remove(CaseId("invoices", "INV-1"), now() - KEEP)
    assert cloud.app.cases.find(CaseId("invoices", "INV-1")) is not None


def test_a_case_that_went_back_to_work_stays(cloud: Cloud) -> None:
    """A case that is resumed before its removal stays; one whose removal has begun cannot be resumed."""
    cases, expiry, before = cloud.app.cases, Expiry(cloud.app.table), now() - KEEP
    cases.claim(record(status="failed"))
    aged(cloud, "invoices", "INV-1")
    assert list(expiry.expired("invoices", before)) == ["INV-1"]
    assert cases.claim(record(execution="arn:2"), resume=True) is None
    assert not expiry.remove(CaseId("invoices", "INV-1"), before)
    assert cases.get(CaseId("invoices", "INV-1")).record.execution_arn == "arn:2"

    cases.claim(record(reference="INV-2", status="failed"))
    cases.mark(CaseId("invoices", "INV-2"), expired_at=now())
    assert cases.claim(record(reference="INV-2", execution="arn:2"), resume=True) is not None


def test_the_check_removes_what_has_expired(cloud: Cloud) -> None:
    """With the setting, also of removed connections; without it nothing expires."""
    state = State(cloud)
    for name in ("invoices", "gone"):
        state.app.cases.claim(record(connection=name, status="completed", completed_at=now() - OLD))
        aged(cloud, name, "INV-1")
    assert state.check(timedelta(0)).expired == 0
    assert state.context.retention == timedelta(0)
    assert reconcile(state.connections, context=state.context.replacing(retention=KEEP)).expired == 2
    assert [each for each in items(cloud) if each["pk"].startswith("CASE#")] == []
