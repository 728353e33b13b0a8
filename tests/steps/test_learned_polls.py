"""The durations of ended waits are stored, and plan the polls of the next ones."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dossier.models import CaseId
from dossier.schedule import FEWEST, MOST, Span, plan
from dossier.settings import Poll
from dossier.steps.wait import wait
from dossier.stores.timings import REMEMBERED, Timings, kind_of
from dossier.stores.waits import Wait
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import Killed, World, samples
from tests.meter import Meter
from tests.room import CASE, Room

KIND = "documents-1-0"
SLOW = Poll(first=5, every=5, max=60, deadline=3600)
LEARNED = tuple(Span(19 + each / 10, 21 + each / 10) for each in range(20))


def begun(cloud: Cloud, clock: Clock, *, spans: tuple[Span, ...] = LEARNED, deadline: float = 3600) -> Room:
    """Return a room whose wait was planned from these spans."""
    room = Room(cloud, clock, poll=SLOW)
    for span in spans:
        cloud.app.timings.note(CASE[0], KIND, span)
    times = plan(spans, SLOW)
    cloud.app.waits.start(
        CASE, phase="documents", token="t1", first=5, deadline=deadline, kind=KIND, plan=times, attempt=1
    )
    return room


def spans_of(cloud: Cloud) -> tuple[Span, ...]:
    """Return what is stored."""
    return Timings(cloud.app.table).spans(CASE[0], KIND)


def test_polls_come_at_the_planned_times_and_then_grow(cloud: Cloud, clock: Clock) -> None:
    """The first poll comes at the plan's first time, the last planned one at its last.

    Then the usual intervals follow.
    """
    room = begun(cloud, clock)
    times = plan(LEARNED, SLOW)
    started = clock.at
    assert room.wait is not None
    assert room.wait.plan == times
    while room.serve() and (clock.at - started).total_seconds() < 900:
        assert room.left() <= 61
    ages = [(each - started).total_seconds() for each in room.polls]
    planned = [each for each in ages if each < times[-1] + 1]
    assert planned[0] == times[0]
    assert all(min(abs(each - at) for at in times) < 1 for each in planned)
    assert len(planned) >= len(times) - 2  # a request takes its time, too
    later = [round(after - before, 3) for before, after in pairwise(ages[len(planned) :])]
    assert later == sorted(later)
    assert len(ages) <= len(times) + 25


def test_a_vendor_that_calls_and_became_slower_is_polled_rarely(cloud: Cloud, clock: Clock) -> None:
    """The plan's polls, then one in each longest interval; and its delivery is served at once."""
    room = Room(cloud, clock, poll=SLOW)
    case = cloud.app.cases.get(CASE)
    for span in LEARNED:
        cloud.app.timings.note(CASE[0], KIND, span._replace(delivered=True))
    assert kind_of("documents", case) == KIND
    wait(CASE, "documents", "t1", context=room.world.context)
    started = clock.at
    assert room.wait is not None
    planned = room.wait.plan
    assert room.wait.called
    while room.serve() and (clock.at - started).total_seconds() < 210:
        pass
    ages = [(each - started).total_seconds() for each in room.polls]
    assert len(ages) <= len(planned) + 4
    assert all(after - before > 55 for before, after in pairwise(ages[len(planned) - 1 :]))
    room.statuses["d0"] = "completed"
    delivered = clock.at
    room.delivery(document_id="d0")
    assert room.serve() == ["d0"]
    assert room.wait is None
    assert (clock.at - delivered).total_seconds() < 1


@pytest.mark.parametrize("deliver", [False, True])
def test_an_ended_wait_adds_an_interval(cloud: Cloud, clock: Clock, deliver: bool) -> None:
    """From the last poll that found it running to the one that did not; a delivery gives the exact moment."""
    room = begun(cloud, clock)
    started = clock.at
    room.serve()
    unfinished = clock.at
    clock.sleep(0.4)
    room.statuses["d0"] = "completed"
    if deliver:
        room.delivery(document_id="d0")
        delivered = clock.at
        clock.sleep(0.3)
    room.serve()
    after, by, exact = spans_of(cloud)[-1]
    assert after == pytest.approx((unfinished - started).total_seconds(), rel=1e-3)
    ended = delivered if deliver else clock.at
    assert by == pytest.approx((ended - started).total_seconds(), rel=1e-3)
    assert exact is deliver
    assert room.tokens.answers == {"t1": {"phase": "documents"}}


def test_two_polls_at_once_learn_from_a_wait_once(cloud: Cloud, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """DocuStack's two deliveries come together, and each has the case polled."""
    room = begun(cloud, clock)
    room.statuses["d0"] = "completed"
    succeed, polls = room.tokens.succeed, list[str]()

    def meanwhile(token: str, output: dict[str, str]) -> bool:
        polls.append(token)
        if len(polls) == 1:
            room.serve()
        return succeed(token, output)

    monkeypatch.setattr(room.tokens, "succeed", meanwhile)
    room.serve()
    assert polls == ["t1", "t1"]
    assert len(spans_of(cloud)) == len(LEARNED) + 1


def test_a_wait_that_ends_late_records_that_it_took_longer(cloud: Cloud, clock: Clock) -> None:
    """The last poll is known, but not the end."""
    room = begun(cloud, clock, deadline=40)
    while not room.tokens.answers:
        room.serve()
    after, by, _ = spans_of(cloud)[-1]
    assert 20 < after <= 41
    assert by is None


def test_the_plan_of_other_cases_does_not_outlast_a_cases_own_deadline(cloud: Cloud, clock: Clock) -> None:
    """The first planned poll would come after it: then the last poll is at the deadline, and ends the wait."""
    room = Room(cloud, clock, poll=SLOW)
    for span in (Span(300, 310),) * 20:
        cloud.app.timings.note(CASE[0], KIND, span)
    cloud.app.cases.change(CASE, deadline=60)
    wait(CASE, "documents", "t1", context=room.world.context)
    assert room.wait is not None
    assert room.wait.plan[0] > 60
    began = clock.at
    while not room.tokens.answers:
        room.serve()
    assert room.tokens.answers == {"t1": {"phase": "documents", "late": True}}
    assert (clock.at - began).total_seconds() < 62


def test_a_wait_that_dies_before_it_is_stored_remembers_the_delivery(
    cloud: Cloud, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery came before the wait; the next try polls now, and not at the plan's first time."""
    room = Room(cloud, clock, poll=SLOW)
    for span in (Span(300, 310),) * 20:
        cloud.app.timings.note(CASE[0], KIND, span)
    assert room.wait is not None
    cloud.app.waits.end(room.wait)
    cloud.app.cases.change(CASE, hinted_at=clock.now())
    clock.sleep(1)

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(room.world.context.waits, "start", dies)
        with pytest.raises(Killed):
            wait(CASE, "documents", "t1", context=room.world.context)
    clock.sleep(1)
    wait(CASE, "documents", "t1", context=room.world.context)
    assert room.left() == 0


def test_functions_that_take_turns_learn_from_every_wait(cloud: Cloud) -> None:
    """What one of them has cached is older than what the other has added: it writes again."""
    first, second = Timings(cloud.app.table), Timings(cloud.app.table)
    for number in range(MOST // 2):
        first.note("invoices", KIND, Span(number, number + 1))
        second.note("invoices", KIND, Span(number, number + 2))
    assert len(spans_of(cloud)) == MOST


def test_a_wait_is_one_conditional_write(cloud: Cloud, clock: Clock) -> None:
    """Of two simultaneous ends the later one writes again; the item stays within one write unit."""
    meter = Meter()
    meter.attach(cloud.session)
    first, second = Timings(World(cloud).context.table), Timings(cloud.app.table)
    for number in range(MOST + 10):
        first.note("invoices", KIND, Span(86_400.123 + number, 86_520.456 + number, delivered=True))
    units = meter.write_units
    first.note("invoices", KIND, Span(1, 2))
    assert meter.write_units - units <= 2
    second.spans("invoices", KIND)
    requests = meter.requests.total()
    first.note("invoices", KIND, Span(3, 4))
    assert meter.requests.total() - requests == 1
    second.note("invoices", KIND, Span(5, 6))
    assert meter.requests.total() - requests == 3
    assert [each.by for each in Timings(cloud.app.table).spans("invoices", KIND)][-3:] == [2, 4, 6]
    assert len(first.spans("invoices", KIND)) == MOST
    del clock


def test_a_case_is_planned_from_those_before(cloud: Cloud) -> None:
    """Each case adds a span to each of its phases; a redriven case and one that is only collected add none."""
    world = World(cloud)
    for number in range(FEWEST):
        assert world.submit("disputes", f"R-{number}", samples("invoice.pdf"))["status"] == "completed"
    timings = Timings(cloud.app.table)
    assert len(timings.spans("disputes", KIND)) == len(timings.spans("disputes", "results-1-0")) == FEWEST
    case = CaseId("disputes", "R-0")
    cloud.app.cases._table.update(f"CASE#{case[0]}#{case[1]}", "CASE", {"status": "uploading", "hinted_at": None})
    wait(case, "documents", "t9", context=world.context)
    found = cloud.app.waits.find(case)
    assert found is not None
    assert found.kind == KIND
    assert found.plan
    cloud.app.cases._table.update(f"CASE#{case[0]}#{case[1]}", "CASE", {"attempt": 2})
    wait(case, "documents", "t10", context=world.context)
    again = cloud.app.waits.find(case)
    assert again is not None
    assert again.kind is None
    assert again.plan == ()


def test_a_wait_of_the_version_before_is_polled_as_before(cloud: Cloud, clock: Clock) -> None:
    """It has neither a kind nor a plan: its intervals grow, and nothing is learned from it."""
    room = Room(cloud, clock, poll=SLOW)
    assert room.wait is not None
    stored = cloud.app.table.get(f"CASE#{CASE[0]}#{CASE[1]}", "WAIT")
    assert stored is not None
    assert not {"kind", "plan", "seen_at", "woken_at"} & stored.keys()
    assert Wait.model_validate({**stored, "seq": int(stored["seq"])}).plan == ()
    room.serve()
    assert room.left() == pytest.approx(5, abs=0.01)
    room.statuses["d0"] = "completed"
    room.serve()
    assert room.tokens.answers
    assert spans_of(cloud) == ()


def test_remembered_times_are_read_again_after_a_while(cloud: Cloud, clock: Clock) -> None:
    """A function that lives for long learns what others have stored, sooner while little is known."""
    mine, others, spans = Timings(cloud.app.table), Timings(cloud.app.table), (Span(1, 2),) * FEWEST
    for number in range(FEWEST):  # what is too little to plan from is not remembered
        assert len(mine.spans("invoices", KIND)) == number
        others.note("invoices", KIND, Span(1, 2))
    assert mine.spans("invoices", KIND) == spans
    others.note("invoices", KIND, Span(3, 4))
    assert mine.spans("invoices", KIND) == spans
    clock.sleep(REMEMBERED.total_seconds() * FEWEST / MOST + 1)
    assert mine.spans("invoices", KIND) == (*spans, Span(3, 4))
    for _ in range(MOST):
        others.note("invoices", KIND, Span(3, 4))
    clock.sleep(REMEMBERED.total_seconds())
    whole = mine.spans("invoices", KIND)
    assert len(whole) == MOST
    others.note("invoices", KIND, Span(5, 6))
    clock.sleep(REMEMBERED.total_seconds() - 1)
    assert mine.spans("invoices", KIND) == whole
    clock.sleep(2)
    assert mine.spans("invoices", KIND)[-1] == Span(5, 6)
