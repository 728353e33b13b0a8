"""An upload whose answer was lost may still be at work at the vendor: that it is not listed yet proves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dossier.errors import OutcomeUnknownError
from dossier.models import now
from dossier.steps import upload as step
from tests.conftest import Cloud
from tests.steps.lost import CONNECTIONS, SETTLING, Lost


@pytest.fixture(params=CONNECTIONS)
def lost(cloud: Cloud, request: pytest.FixtureRequest) -> Lost:
    """Return a case of each vendor in turn, whose upload was lost."""
    found = Lost(cloud, request.param)
    found.killed()
    return found


def come_back(lost: Lost) -> None:
    """Try again; the vendor is not asked to do anything twice."""
    with pytest.raises(OutcomeUnknownError, match="the answer to an earlier try was lost"):
        lost.upload()


def test_late_upload_is_adopted_and_not_repeated(lost: Lost) -> None:
    """The first look-up finds nothing, and the upload takes effect afterwards: the second look-up adopts it."""
    come_back(lost)
    lost.passes(step.FIRST_LOOK.total_seconds())
    come_back(lost)
    assert (lost.intent.unlisted, lost.uploads) == (True, 0)
    lost.work_of_the_first_try()
    lost.passes(SETTLING)
    lost.upload()
    assert lost.uploads == 1
    assert lost.world.context.cases.get(lost.names).documents[0].document_id


def test_lost_upload_is_repeated_once_the_vendor_has_settled(lost: Lost) -> None:
    """Until then Dossier looks the upload up once, however often the step is retried."""
    come_back(lost)
    lost.passes(step.FIRST_LOOK.total_seconds())
    come_back(lost)
    before = lost.asked
    for _ in range(3):
        come_back(lost)
    assert (lost.asked, lost.uploads) == (before, 0)
    lost.passes(SETTLING - step.FIRST_LOOK.total_seconds())
    lost.upload()
    assert lost.uploads == 1
    assert lost.world.cloud.app.intents.find(lost.names, "upload-0") is None


def test_listed_upload_is_adopted_at_the_first_look_up(lost: Lost) -> None:
    """An upload that the vendor lists is adopted without a wait."""
    lost.work_of_the_first_try()
    come_back(lost)
    lost.passes(step.FIRST_LOOK.total_seconds())
    lost.upload()
    assert lost.uploads == 1


def test_late_answer_of_an_earlier_try_is_used(lost: Lost) -> None:
    """The first try was still alive: the next one only applies its answer."""
    come_back(lost)
    lost.passes(SETTLING)
    intents = lost.world.context.intents
    intents.answer(lost.names, "upload-0", lost.work_of_the_first_try())
    assert not intents.begin(lost.names, "upload-0", names=[], known=[])
    lost.upload()
    assert lost.uploads == 1


def test_large_documents_take_the_vendor_longer(lost: Lost) -> None:
    """``settling`` is for a few MiB; the wait grows with the size, within what the state machine tries for."""
    context = lost.world.context
    documents = context.cases.get(lost.names).documents
    for size, seconds in ((0, SETTLING), (2 * step.SIZE, 2 * SETTLING), (1 << 40, step.LONGEST.total_seconds())):
        context.cases.put_documents(lost.names, [documents[0].model_copy(update={"size": size})], fresh=False)
        job = context.load(lost.names)
        assert step._settled(step.VendorWrite(job, "upload-0", [0])).total_seconds() == seconds


def test_an_answer_that_is_lost_is_noted_by_its_own_try(cloud: Cloud) -> None:
    """The time counts from the loss; a try that was killed is missed by the next one."""
    fault = {"name": "error_after", "rate": 1, "operation": "upload", "times": 1, "status": 504}
    lost = Lost(cloud, "invoices")
    lost.world.sandbox.post("/_sandbox/settings", json={"faults": [fault]})
    with pytest.raises(OutcomeUnknownError, match="504"):
        lost.upload()
    noted = lost.intent.lost_at
    assert noted is not None
    assert now() - noted < timedelta(minutes=1)
    assert lost.world.context.intents.lost(lost.names, "upload-0") == noted
