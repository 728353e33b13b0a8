"""A vendor gets the requests that its guide needs, and more only if an answer was lost or others may add something."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from dossier.errors import OutcomeUnknownError
from dossier.models import CaseId, now
from dossier.steps.accept import accept
from dossier.steps.process import process
from dossier.steps.upload import open_case, upload
from tests.conftest import Cloud
from tests.machine import World, samples

CASE = CaseId("disputes", "R-1")
LOST = {"vendor": "ombudsman", "name": "error_after", "rate": 1, "operation": "upload"}


def requested(world: World) -> Counter[str]:
    """Return how often each operation was requested."""
    return Counter(str(each["operation"]) for each in world.journal())


def files(count: int) -> dict[str, bytes]:
    """Return that many different documents."""
    invoice = samples("invoice.pdf")["invoice.pdf"]
    return {f"{number}.pdf": invoice + b"%%%d\n" % number for number in range(count)}


def opened(cloud: Cloud, count: int = 3) -> World:
    """Return a world with an Ombudsman's case that is open and has nothing uploaded yet."""
    world = World(cloud)
    documents = [
        {"uri": cloud.put(f"staging/disputes/R-1/{name}", body), "name": name} for name, body in files(count).items()
    ]
    accept({**CASE._asdict(), "documents": documents}, "arn:1", context=world.context)
    open_case(CASE, context=world.context)
    return world


@pytest.mark.parametrize("count", [1, 9])
def test_an_ombudsmans_case_is_read_only_for_its_results(cloud: Cloud, count: int) -> None:
    """One request to create, to upload each, to see each done, to assess, to see that done, and to get each answer."""
    world = World(cloud)
    assert world.submit(*CASE, files(count))["status"] == "completed"
    assert requested(world) == {"create": 1, "upload": count, "evidence": 2 * count, "process": 1, "case": 2}


def test_a_lost_answer_is_looked_up_and_then_the_case_is_read_before_each_upload(cloud: Cloud) -> None:
    """The lost request may take effect late: what the records know is not a baseline any more."""
    world = opened(cloud)
    upload(CASE, 0, context=world.context)
    assert requested(world)["case"] == 0
    world.sandbox.post("/_sandbox/settings", json={"faults": [LOST]})
    with pytest.raises(OutcomeUnknownError):
        upload(CASE, 1, context=world.context)
    world.sandbox.post("/_sandbox/settings", json={"faults": []})
    upload(CASE, 1, context=world.context)
    assert requested(world)["case"] == 1  # the look-up
    upload(CASE, 2, context=world.context)
    assert requested(world)["case"] == 2
    assert len(world.effects("document_uploaded")) == 3
    assert cloud.app.cases.record(CASE).alone_at is None


def test_files_that_others_add_are_never_taken_for_a_lost_upload(cloud: Cloud) -> None:
    """Ten seconds after the last answer somebody else had time: the case is read, and its new document is known."""
    world = opened(cloud)
    upload(CASE, 0, context=world.context)
    case_id = cloud.app.cases.record(CASE).case_id
    world.sandbox.post(
        f"/ombudsman/api/partner/v1/cases/{case_id}/evidence",
        headers={"X-API-Key": world.keys.api_key("disputes")},
        files={"file": ("theirs.pdf", files(9)["8.pdf"], "application/pdf")},
    ).raise_for_status()
    cloud.app.cases.change(CASE, alone_at=now() - timedelta(seconds=11))
    upload(CASE, 1, context=world.context)
    assert requested(world)["case"] == 1
    assert cloud.app.cases.record(CASE).alone_at is None
    fault = {**LOST, "name": "error_before"}
    world.sandbox.post("/_sandbox/settings", json={"faults": [fault]})
    with pytest.raises(OutcomeUnknownError):
        upload(CASE, 2, context=world.context)
    world.sandbox.post("/_sandbox/settings", json={"faults": []})
    upload(CASE, 2, context=world.context)
    mine = {each.document_id for each in cloud.app.cases.get(CASE).documents}
    assert len(mine) == 3
    assert len(world.effects("document_uploaded")) == 4
    assert mine < {each["document_id"] for each in world.effects("document_uploaded")}


@pytest.mark.rule("ombudsman step 3 POST …/cases/{case_id}/process")
def test_a_second_try_of_the_assessment_looks_first(cloud: Cloud) -> None:
    """Whatever the outcome of the first: its status is stored before its request is sent."""
    world = opened(cloud, 1)
    upload(CASE, 0, context=world.context)
    process(CASE, context=world.context)
    assert requested(world)["case"] == 0
    process(CASE, context=world.context)
    assert requested(world)["case"] == 1
    assert requested(world)["process"] == 1


def test_a_case_that_dossier_did_not_open_is_read(cloud: Cloud) -> None:
    """Before each upload into it, and before its assessment."""
    world = opened(cloud, 1)
    case_id = cloud.app.cases.record(CASE).case_id
    result = world.submit("disputes", "R-2", files(2), case_id=case_id)
    assert result["status"] == "completed"
    assert requested(world)["case"] == 2 + 1 + 2
