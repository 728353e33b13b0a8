"""A case whose input is wrong ends at once, and is known under its own reference with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from dossier.models import CaseId, CaseStatus
from tests.conftest import Cloud
from tests.machine import World


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"documnets": []}, 'the execution input is wrong: documnets: unknown key; did you mean "documents"?'),
        ({"documents": 7}, "the execution input is wrong: documents: Input should be a valid tuple"),
        ({"documents": []}, "the execution input is wrong: it has no documents, and no case_id to collect"),
        ({"options": {"colour": [1]}}, "the execution input is wrong: options.colour"),
        ({"deadline": "soon"}, "the execution input is wrong: "),
    ],
)
def test_invalid_input_is_a_rejected_case(cloud: Cloud, changes: dict[str, Any], reason: str) -> None:
    """The status of the reference shows the reason, and the reference stays free for a corrected case."""
    world = World(cloud)
    uri = cloud.put("uploads/a.pdf", b"%PDF-1.7\n")
    case = {"connection": "invoices", "reference": "INV-1", "documents": [{"uri": uri}]}
    world.execute({**case, **changes}, "arn:wrong")
    record = cloud.app.cases.get(CaseId("invoices", "INV-1")).record
    assert (record.status, record.refused, record.error) == (CaseStatus.FAILED, True, "InvalidCaseError")
    assert (record.reason or "").startswith(reason)
    assert [(kind, detail["reference"]) for kind, detail in world.sent_events] == [("Case Failed", "INV-1")]
    assert world.execute(case, "arn:right")["status"] == "completed"


def test_invalid_input_does_not_change_an_existing_case(cloud: Cloud) -> None:
    """A later mistake with a reference that is taken is the execution's failure, and not the case's."""
    world = World(cloud)
    assert world.submit("invoices", "INV-1", {"a.pdf": b"%PDF-1.7\n"})["status"] == "completed"
    world.execute({"connection": "invoices", "reference": "INV-1", "documnets": []}, "arn:wrong")
    assert cloud.app.cases.get(CaseId("invoices", "INV-1")).record.status is CaseStatus.COMPLETED


@pytest.mark.parametrize(
    "case", [{"connection": "nobody", "reference": "INV-1"}, {"connection": "invoices", "reference": "../x"}, []]
)
def test_input_without_valid_names_creates_no_case(cloud: Cloud, case: Any) -> None:
    """No record can hold it: the execution has the reason."""
    world = World(cloud)
    app = cloud.app
    world.fail(case, "arn:wrong", "InvalidCaseError", "wrong")
    assert not list(app.cases.connections())
