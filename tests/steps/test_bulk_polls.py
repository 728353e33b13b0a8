"""Many cases wait at a vendor whose polls serve them together: of simultaneous polls one reads them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from dossier.models import CaseId, Document
from dossier.settings import Poll
from dossier.steps import poll as poll_step
from dossier.stores.limiter import BULK, Limiter
from dossier.transport import Transport
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import World
from tests.meter import Meter
from tests.records import record

SEVERAL = 30
CONNECTION = "claims"


class Ward:
    """Docsumo's cases that wait; the vendor's list is empty, and ``meanwhile`` happens while it is read."""

    def __init__(self, cloud: Cloud, clock: Clock, several: int = SEVERAL) -> None:
        self.meter = Meter()
        self.meter.attach(cloud.session)
        self.sent: list[tuple[str, int, int]] = []
        """Reference, ``seq`` and delay in seconds of each message that was queued."""
        cloud.session.events.register("provide-client-params.sqs.SendMessage", self._queued)
        self.clock, self.app = clock, cloud.app
        self.lists = 0
        self.meanwhile: Callable[[], object] = bool
        world = World(cloud)
        settings = world.connections[CONNECTION]
        poll = Poll(first=0, every=60, max=60, deadline=3600)
        world.connections[CONNECTION] = settings.model_copy(update={"poll": poll})
        limiter = Limiter(self.app.table, clock=clock.seconds, sleep=clock.sleep)
        client = httpx.Client(transport=httpx.MockTransport(self._answer))
        transport = Transport(client, keys=world.keys, turns=limiter, open_file=self.app.objects.open, patience=1)
        self.context = world.context.replacing(transport=transport, limiter=limiter)
        self.cases = [CaseId(CONNECTION, f"R-{number}") for number in range(several)]
        for case in self.cases:
            mine = record(
                connection=CONNECTION,
                reference=case.reference,
                vendor="docsumo",
                status="waiting",
                case_id=case.reference,
            )
            self.app.cases.claim(mine)
            document = Document(index=0, name="a.pdf", key="k", document_id=f"doc-{case.reference}")
            self.app.cases.put_documents(case, [document], fresh=True)
            self.app.waits.start(case, phase="results", token=f"t-{case.reference}", first=0, deadline=3600)

    def _queued(self, params: dict[str, Any], **_: Any) -> None:
        body = json.loads(params["MessageBody"])
        self.sent.append((body["reference"], body["seq"], params["DelaySeconds"]))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        del request
        self.lists += 1
        self.clock.sleep(0.3)
        meanwhile, self.meanwhile = self.meanwhile, bool
        meanwhile()
        return httpx.Response(200, json={"status": "success", "data": {"cases": [], "total_count": 0}})

    def poll(self, case: CaseId) -> None:
        """Serve a case's current message."""
        wait = self.app.waits.find(case)
        assert wait is not None
        poll_step.poll(case, wait.seq, context=self.context)

    def polled(self) -> int:
        """Return how many waits were polled."""
        return sum(wait.attempts for wait in self.app.waits.waiting(CONNECTION))


@pytest.fixture
def ward(cloud: Cloud, clock: Clock) -> Ward:
    """Return the waiting cases."""
    return Ward(cloud, clock)


def test_polls_at_the_same_time_read_every_case_once(ward: Ward) -> None:
    """The others cost a few reads each, however many cases wait, and leave the vendor alone."""
    costs: list[tuple[float, float]] = []

    def others() -> None:
        for case in ward.cases[1:6]:
            before = ward.meter.read_units, ward.meter.write_units
            ward.poll(case)
            costs.append((ward.meter.read_units - before[0], ward.meter.write_units - before[1]))

    ward.meanwhile = others
    ward.poll(ward.cases[0])
    assert ward.lists == 1
    assert ward.polled() == SEVERAL
    assert costs == [(3, 0)] * 5  # the wait and the limits; one more read is this test's own


def test_a_message_that_comes_meanwhile_comes_back(ward: Ward) -> None:
    """It is the same message: if another poll has served its wait, it does nothing."""
    wait = ward.app.waits.find(ward.cases[7])
    assert wait is not None
    ward.sent.clear()
    ward.meanwhile = lambda: ward.poll(ward.cases[7])
    ward.poll(ward.cases[0])
    assert [each for each in ward.sent if each[0] == "R-7"] == [("R-7", wait.seq, 1), ("R-7", wait.seq + 1, 60)]
    poll_step.poll(wait.id, wait.seq, context=ward.context)
    assert (ward.lists, ward.polled()) == (1, SEVERAL)


def test_a_wait_that_the_other_poll_does_not_serve_is_served_next(ward: Ward) -> None:
    """A delivery moves it to now while the list is read: it is due again, and its own message polls it."""
    case = ward.cases[7]

    def delivered() -> None:
        wait = ward.app.waits.find(case)
        assert wait is not None
        ward.app.waits.nudge(wait)
        ward.poll(case)

    ward.meanwhile = delivered
    ward.poll(ward.cases[0])
    assert (ward.lists, ward.polled()) == (1, SEVERAL - 1)
    ward.poll(case)
    assert (ward.lists, ward.polled()) == (2, SEVERAL)


def test_a_single_wait_takes_no_lease(cloud: Cloud, clock: Clock) -> None:
    """Its poll writes its turn and its wait, as at the other vendors."""
    ward = Ward(cloud, clock, several=1)
    ward.poll(ward.cases[0])
    written = ward.meter.requests["dynamodb.UpdateItem"]
    assert ward.polled() == 1
    assert written == 2


def test_other_kinds_of_polls_do_not_wait(ward: Ward) -> None:
    """A wait of high priority never waits for a batch's, nor for one in the middle of a list."""
    for case in ward.cases[:10]:
        ward.app.waits.start(case, phase="results", token="t", first=0, deadline=3600, priority="low")
    ward.meanwhile = lambda: ward.poll(ward.cases[20])
    ward.poll(ward.cases[0])
    assert ward.lists == 2
    assert ward.polled() == SEVERAL


def test_a_dead_poll_does_not_multiply_messages(ward: Ward) -> None:
    """While its lease lasts, each message comes back by itself; a copy that SQS may deliver does not."""
    wait = ward.app.waits.find(ward.cases[7])
    assert wait is not None
    with ward.context.limiter.bulk(CONNECTION, "normal_all") as alone:
        assert alone
        ward.clock.sleep(poll_step.LONG)
        for _ in range(5):
            ward.sent.clear()
            for _ in range(3):  # the message, and two copies
                poll_step.poll(wait.id, wait.seq, context=ward.context)
            assert [each[:2] for each in ward.sent] == [("R-7", wait.seq)]
            ward.clock.sleep(ward.sent[0][2])
    poll_step.poll(wait.id, wait.seq, context=ward.context)
    assert ward.polled() == SEVERAL


@pytest.mark.parametrize("dies", [RuntimeError, SystemExit])
def test_a_poll_that_dies_stops_the_others_for_its_time_at_most(ward: Ward, dies: type[BaseException]) -> None:
    """An error releases the lease; that of a killed function ends when the function would have been stopped."""
    if dies is SystemExit:
        with ward.context.limiter.bulk(CONNECTION, "normal_all") as alone:
            assert alone
            item = ward.app.table.get(f"LIMIT#{CONNECTION}", "LIMIT") or {}
        ward.app.table.put(item)  # as if nothing had released it
        ward.poll(ward.cases[1])
        assert ward.lists == 0
        ward.clock.sleep(BULK)
    else:

        def die() -> None:
            raise dies

        ward.meanwhile = die
        with suppress(dies):
            ward.poll(ward.cases[0])
        assert ward.lists == 1
    ward.poll(ward.cases[1])
    assert ward.polled() == SEVERAL
