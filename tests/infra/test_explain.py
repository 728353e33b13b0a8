"""``explain`` names the next event of a case in every state: the tests compare it with the event that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import httpx
import pytest

from dossier.models import CaseId, CaseStatus
from dossier.settings import Budget
from dossier.steps import collect as collect_step
from dossier.steps.explain import Explanation, Who, explain
from dossier.stores.executions import Execution
from dossier.stores.limiter import TRIP
from tests.clock import Clock
from tests.conftest import Cloud
from tests.infra.cases import case
from tests.infra.synthesis import Synthesized
from tests.journey import HOURS, Journey

VENDORS = ("invoices", "claims", "disputes")
FIRST = {"invoices": "upload", "claims": "upload", "disputes": "open"}
"""The step that sends the first request to each vendor."""


@pytest.fixture
def begin(stack: Synthesized, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Journey]]:
    """Return a function that starts a case at a connection and stops before its first step."""
    journeys: list[Journey] = []
    clock = Clock(monkeypatch)

    def begin(connection: str, budget: Budget | None = None) -> Journey:
        journey = Journey(stack.definition, cloud, clock, connection)
        known = journey.world.connections
        known[connection] = known[connection].model_copy(update={"budget": budget or known[connection].budget})
        journeys.append(journey)
        journey.start(case(cloud, (connection, "R-1")))
        journey.go()
        return journey

    yield begin
    for each in journeys:
        each.close()


def busy(status: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return a vendor that answers everything with one status."""
    return lambda _: httpx.Response(status, headers=headers, json={"detail": "not now"})


@contextmanager
def failing(journey: Journey, fault: Callable[[httpx.Request], httpx.Response | Exception | None]) -> Iterator[None]:
    """Let the vendor answer with a fault meanwhile."""
    journey.vendors.fault = fault
    yield
    journey.vendors.fault = lambda _: None


def accepted(journey: Journey) -> None:
    """Stand before the first request to the vendor."""
    journey.until("call", FIRST[journey.connection])


def refused(journey: Journey) -> None:
    """The vendor answers the first request with 503: Step Functions repeats the step."""
    accepted(journey)
    with failing(journey, busy(503)):
        journey.go()


def throttled(journey: Journey) -> None:
    """The vendor asks for a pause before anything is sent."""
    accepted(journey)
    with failing(journey, busy(429, **{"retry-after": "40"})):
        journey.go()


def lost(journey: Journey) -> None:
    """The answer to the first write is lost: it is looked up."""
    accepted(journey)
    journey.vendors.lost = lambda request: request.method == "POST"
    journey.go()
    journey.vendors.lost = lambda _: False
    assert journey.position[0] == "retry"


def asked(journey: Journey) -> None:
    """The look-up cannot decide: an operator has to."""
    accepted(journey)
    what = "open" if FIRST[journey.connection] == "open" else "upload-0"
    journey.app.intents.begin(CaseId(journey.connection, journey.reference), what, names=["0.pdf"], known=[])
    journey.app.intents.lost(CaseId(journey.connection, journey.reference), what)
    journey.clock.sleep(700)
    with failing(journey, busy(404)):
        for _ in range(30):
            journey.go()
            if journey.position[:2] == ("token", "ask"):
                break
            journey.clock.sleep(60)
    assert journey.position[:2] == ("token", "ask")


def held(journey: Journey) -> None:
    """An operator has paused the connection before anything is sent."""
    accepted(journey)
    journey.limiter.hold(journey.connection, by="ada", reason="the budget is spent")
    journey.go()
    journey.until("token", "wait")


def released(journey: Journey) -> None:
    """The pause is over, and the command died before it sent the messages."""
    held(journey)
    journey.limiter.release(journey.connection)


def waiting(journey: Journey) -> None:
    """The vendor has everything, and is asked in two seconds."""
    journey.until("token", "wait")


def polled(journey: Journey) -> None:
    """The vendor was asked, and has not finished."""
    waiting(journey)
    journey.poll_at_its_time()


def troubled(journey: Journey) -> None:
    """The vendor does not answer polls."""
    waiting(journey)
    with failing(journey, busy(503)):
        journey.poll_at_its_time()


def poll_throttled(journey: Journey) -> None:
    """The vendor asks for a pause when it is polled."""
    waiting(journey)
    with failing(journey, busy(429, **{"retry-after": "200"})):
        journey.poll_at_its_time()


def breaker_open(journey: Journey) -> None:
    """The vendor keeps failing."""
    waiting(journey)
    for _ in range(TRIP):
        journey.limiter.failed(journey.connection, "ConnectError")
    journey.poll_at_its_time()


def key_refused(journey: Journey) -> None:
    """The vendor rejects the key."""
    waiting(journey)
    with failing(journey, busy(401)):
        journey.poll_at_its_time()


def paused(journey: Journey) -> None:
    """An operator has paused the connection while the case waits."""
    polled(journey)
    journey.limiter.hold(journey.connection, by="ada", reason="the budget is spent")


def paused_and_polled(journey: Journey) -> None:
    """The poll of a paused connection has found that out."""
    paused(journey)
    journey.poll_at_its_time()


def at_the_deadline(journey: Journey) -> None:
    """The next poll is the last one."""
    waiting(journey)
    for _ in range(200):
        found = explain(journey.facts())
        if found.next and found.next.kind == "deadline":
            return
        journey.poll_at_its_time()


def message_lost(journey: Journey) -> None:
    """The poll's message was lost, and its time has come."""
    polled(journey)
    journey.lost_message = True
    journey.clock.sleep(90)


def delivered(journey: Journey) -> None:
    """A delivery has moved the poll to now."""
    polled(journey)
    wait = journey.app.waits.find(CaseId(journey.connection, journey.reference))
    assert wait is not None
    journey.app.waits.nudge(wait)


def to_collect(journey: Journey) -> None:
    """The vendor has finished, and its results are listed next."""
    waiting(journey)
    journey.finishes()
    journey.until("call", "collect")


def to_download(journey: Journey) -> None:
    """The results are downloaded next; Collect has left them to the map, as if they were many."""
    to_collect(journey)
    with patch.object(collect_step, "HERE", 0):
        journey.until("call", "download")


def download_repeated(journey: Journey) -> None:
    """The vendor does not give the results yet."""
    to_download(journey)
    with failing(journey, busy(503)):
        journey.go()


def to_publish(journey: Journey) -> None:
    """The result is published next."""
    to_collect(journey)
    journey.until("call", "publish")


def aborted(journey: Journey) -> None:
    """Somebody has stopped the execution, and its event was lost."""
    polled(journey)
    journey.execution = Execution("ABORTED", stopped_at=journey.clock.at)


def gone(journey: Journey) -> None:
    """The execution died while a step ran, some minutes ago."""
    accepted(journey)
    journey.execution = Execution("FAILED", "States.Runtime", "it died", stopped_at=journey.clock.at)
    journey.clock.sleep(300)


OF_ALL = (accepted, refused, lost, held, released, waiting, polled, troubled, poll_throttled, paused, to_collect)
OF_ONE = {
    throttled: "invoices",
    asked: "disputes",
    breaker_open: "claims",
    key_refused: "invoices",
    paused_and_polled: "disputes",
    at_the_deadline: "invoices",
    message_lost: "claims",
    delivered: "invoices",
    to_download: "claims",
    download_repeated: "invoices",
    to_publish: "disputes",
    aborted: "claims",
    gone: "invoices",
}
STATES = [*((state, each) for state in OF_ALL for each in VENDORS), *OF_ONE.items()]


def test_there_are_forty_states() -> None:
    """Every kind of state, most of them at every vendor."""
    assert len(STATES) >= 40


@pytest.mark.parametrize(("state", "connection"), STATES, ids=[f"{state.__name__}-{name}" for state, name in STATES])
def test_explain_names_what_then_happens(
    begin: Callable[[str], Journey], state: Callable[[Journey], None], connection: str
) -> None:
    """What is named happens, and not later than it says; where a person is named, nothing happens without them."""
    journey = begin(connection)
    state(journey)
    found = explain(journey.facts())
    assert found.next is not None, found
    assert not found.broken
    before = journey.vendors.asked
    if found.next.kind in {"answer", "resume"}:
        assert found.next.who is Who.OPERATOR
        assert found.next.at is None
        assert journey.happens(HOURS) is None
        assert journey.vendors.asked == before
        {"answer": journey.answers, "resume": journey.resumes}[found.next.kind]()
    else:
        happened = journey.happens()
        assert happened is not None, found
        assert happened.kind == found.next.kind, found
        assert found.next.at is not None
        assert happened.at <= found.next.at + timedelta(milliseconds=1), found
        if found.next.kind in {"poll", "deadline"} and state is not message_lost:
            assert found.next.at - happened.at <= timedelta(seconds=1)
        if found.next.kind in {"poll", "deadline", "look_up"} and state is not breaker_open:
            assert journey.vendors.asked > before or journey.position == ("call", "ask")
    check_end(journey, found)


def check_end(journey: Journey, found: Explanation) -> None:
    """The case ends, and then there is nothing left to name."""
    status = lambda: journey.app.cases.get(CaseId(journey.connection, journey.reference)).record.status  # noqa: E731
    if found.next and found.next.kind == "record_end":
        assert status() is CaseStatus.FAILED
    else:
        assert journey.ends() == "SUCCEEDED", journey.error
        assert status() in {CaseStatus.COMPLETED, CaseStatus.COMPLETED_WITH_FAILURES}
    ended = explain(journey.facts())
    assert (ended.next, ended.broken) == (None, False) or ended.next is not None
    assert len(journey.world.effects("document_uploaded")) == (0 if journey.execution.error else 1)


@pytest.mark.parametrize("connection", VENDORS)
def test_case_over_its_budget_waits_for_an_operator(begin: Callable[..., Journey], connection: str) -> None:
    """Nothing is sent and nothing happens until an operator decides; then the case ends as any other."""
    journey = begin(connection, Budget(cases_per_day=0))
    journey.until("token", "ask")
    found = explain(journey.facts())
    assert found.next is not None
    assert (found.next.kind, found.next.who, found.next.at) == ("answer", Who.OPERATOR, None)
    assert "budget.cases_per_day" in found.why
    assert [each.rpartition(" --")[2] for each in found.helps] == ["send`", "give-up`"]
    assert journey.happens(HOURS) is None
    assert journey.vendors.asked == 0
    journey.answers()
    check_end(journey, found)


def test_case_without_next_event_is_a_fault(begin: Callable[[str], Journey]) -> None:
    """A case that waits without polls is reported as a fault, with what to do."""
    journey = begin("invoices")
    polled(journey)
    journey.app.waits.end(journey.app.waits.find(CaseId("invoices", "R-1")))  # type: ignore[arg-type]
    assert explain(journey.facts()).next is not None  # between two states that is normal
    journey.clock.sleep(700)
    found = explain(journey.facts())
    assert (found.next, found.broken) == (None, True)
    assert "this is a fault" in found.why
    assert "dossier redrive R-1" in found.helps[0]
    assert found.as_json()["next"] is None
