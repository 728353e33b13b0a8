"""One upload, killed at each of its calls."""

from __future__ import annotations

import pytest

from dossier.models import CaseId
from dossier.steps.accept import accept
from dossier.steps.upload import open_case, upload
from tests.conftest import Cloud
from tests.machine import STRIDE, World, samples
from tests.steps.files import FILES


@pytest.mark.parametrize("connection", FILES)
def test_an_upload_killed_at_any_of_its_calls_leaves_no_id_unknown(cloud: Cloud, connection: str) -> None:
    """The next try stores what the killed one could not: the vendor's case and every document's id."""
    number, calls = 0, 1
    while number < calls:
        cloud.empty_table()
        world, reference = World(cloud), f"R-{number}"
        context = world.context
        documents = [
            {"uri": cloud.put(f"staging/{connection}/{reference}/{index}", body), "name": name}
            for index, (name, body) in enumerate(samples(*FILES[connection][:2]).items())
        ]
        case = {"connection": connection, "reference": reference, "documents": documents}
        accepted = accept(case, "arn:1", context=context)
        if accepted.opens:
            open_case(CaseId(connection, reference), context=context)
        world.killer.at = number
        world._try(lambda: upload(CaseId(connection, reference), 0, context=context))  # noqa: B023
        calls = world.killer.seen if number == 0 else calls
        stored = context.cases.get(CaseId(connection, reference))
        assert stored.documents[0].document_id, number
        assert (stored.record.case_id is None) == (connection == "invoices"), number
        assert context.intents.find(CaseId(connection, reference), "upload-0") is None, number
        number += min(STRIDE, 7)


def test_an_opening_killed_at_any_of_its_calls_leaves_no_intent(cloud: Cloud) -> None:
    """The next try finds the case's id stored, and deletes the intent that the killed one left."""
    connection, number, calls = "disputes", 0, 1
    while number < calls:
        cloud.empty_table()
        world, case = World(cloud), CaseId(connection, f"R-{number}")
        context = world.context
        uri = cloud.put(f"staging/{connection}/{case.reference}/0", samples("invoice.pdf")["invoice.pdf"])
        accept({**case._asdict(), "documents": [{"uri": uri}]}, "arn:1", context=context)
        world.killer.at = number
        world._asking("open", case, lambda: open_case(case, context=context))  # noqa: B023
        calls = world.killer.seen if number == 0 else calls
        assert context.cases.get(case).record.case_id, number
        assert context.intents.find(case, "open") is None, number
        number += 1
