"""Times of polls are learned from intervals; whatever the vendor does then, there is neither storm nor starvation."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.schedules import CHANGES, PHASES, POLL, Row, changes, compare, early, learned, served
from dossier.schedule import DOUBT, EDGES, FEWEST, MOST, MOST_PLANNED, Span, calls, confidence, estimate, interval, plan
from dossier.settings import Poll

DOCUMENT, NINE, ASSESSMENT = PHASES


def of(rows: list[Row]) -> dict[str, Row]:
    """Return rows by their schedule."""
    return {each.schedule.split()[0]: each for each in rows}


def shares(spans: list[Span], *ends: float) -> list[float]:
    """Return the estimated share of waits between each two of some times."""
    masses = estimate(spans)
    middles = [(low + high) / 2 for low, high in pairwise(EDGES)]
    return [
        sum(mass for mass, at in zip(masses, middles, strict=True) if low <= at < high) for low, high in pairwise(ends)
    ]


@pytest.mark.parametrize("phase", [DOCUMENT, NINE])
def test_documents_are_seen_in_a_third_of_the_guides_delay_with_no_more_requests(phase: object) -> None:
    """With the guide's own times, one document or nine; growing intervals are far behind."""
    rows = of(compare(phase, waits=600))  # type: ignore[arg-type]
    assert rows["learned"].requests <= 1.03 * rows["the"].requests
    assert rows["learned"].median <= (0.35 if phase is DOCUMENT else 0.45) * rows["the"].median
    assert rows["learned"].median < rows["growing"].median / 4


def test_an_assessment_is_seen_nearly_as_early_as_is_possible() -> None:
    """With fewer requests than the guide's loop, within a tenth of the optimum for exactly known times."""
    rows = of(compare(ASSESSMENT, waits=600))
    assert rows["learned"].requests <= rows["the"].requests
    assert rows["learned"].median <= 0.4 * rows["the"].median
    assert rows["learned"].median <= 1.1 * rows["best"].median * rows["best"].requests / rows["learned"].requests


def test_changed_times_cost_few_requests_and_are_learned() -> None:
    """Ten times slower, five times faster, two kinds mixed: in the first fifty waits already."""
    rows = changes()
    for name in CHANGES:
        growing, after = (each for each in rows if each.phase == name)
        assert after.median < growing.median
        assert after.mean < growing.mean
        assert after.requests <= 3 * growing.requests


def test_a_vendor_that_is_ten_times_slower_gets_no_storm() -> None:
    """After the learned times the intervals grow: the first such wait costs the plan's polls and some more."""
    _, known = learned((DOCUMENT.draw(random.Random(number)) for number in range(100)), POLL)
    times = plan(known, POLL)
    (requests, delay), _ = served([300.0], times, POLL)
    assert len(times) <= 25
    assert requests <= len(times) + 12
    assert delay <= POLL.max
    (requests, delay), _ = served([86_400.0], times, POLL)
    assert requests < 600  # a fiftieth of the time waited, at the most
    assert delay <= 3600


def test_too_little_is_known_at_first() -> None:
    """Then polls come as they always did."""
    spans = [Span(5, 10)] * (FEWEST - 1)
    assert plan(spans, POLL) == ()
    assert [interval(100, tries, (), POLL) for tries in range(4)] == [5, 7.5, 11.25, 16.875]
    assert plan([*spans, Span(5, 10)], POLL) != ()


def test_a_plan_from_few_waits_takes_no_more_requests_than_the_guide() -> None:
    """Even if most of what was learned is from a vendor that was ten times faster; it is still seen earlier."""
    rows = [each for each in early() if each.phase != NINE.name]
    for guide, few in zip(rows[::2], rows[1::2], strict=True):
        assert few.requests <= guide.requests
        assert few.median <= 0.65 * guide.median


def test_polls_become_denser_with_each_wait_that_is_learned() -> None:
    """The same interval, seen more often, is more certain."""
    numbers = [len(plan([Span(10, 30)] * count, POLL)) for count in (FEWEST, 16, 32, MOST)]
    assert numbers == sorted(numbers)
    assert numbers[0] <= 0.7 * numbers[-1]
    weights = [1 / 5] * 5
    assert confidence(weights) == pytest.approx(5 / (5 + DOUBT))
    assert confidence([0.5, 0.5, 0.0]) == pytest.approx(2 / (2 + DOUBT))


def test_the_interval_is_learned_and_not_the_time_of_the_poll() -> None:
    """A vendor that is done after 12 s, and is only polled each 10 s, is soon polled near 12 s."""
    coarse = [Span(10, 20)] * 20
    before, early, late, after = shares(coarse, 0, 9, 15, 21, 1000)
    assert early > 0.3
    assert late > 0.3
    assert before + after < 0.05
    waits, _ = learned([[12.0]] * 60, POLL, coarse)
    assert max(delay for _, delay in waits[-20:]) <= 1.5
    assert max(requests for requests, _ in waits[-20:]) <= 4


def test_nothing_is_asked_before_anything_has_finished() -> None:
    """But for a small margin; and the polls are densest where most of the remaining waits finish."""
    _, known = learned((ASSESSMENT.draw(random.Random(number)) for number in range(100)), POLL)
    times = plan(known, POLL)
    assert 50 <= times[0] <= 75
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps[0] >= 3 * steps[-1]


def test_deliveries_make_polls_rare() -> None:
    """Where they end the waits, a poll is for the lost ones; once they stop, polls are dense again."""
    takes = [random.Random(number).uniform(10, 30) for number in range(64)]
    delivered = [Span(max(0, each - 3), each, delivered=True) for each in takes]
    polled = [Span(each - 1, each) for each in takes]
    assert len(plan(delivered, POLL)) <= len(plan(polled, POLL)) / 4
    assert len(plan([*delivered[:32], *polled[:32]], POLL)) > 2 * len(plan(delivered, POLL))


def test_a_wait_that_ended_unfinished_counts_as_longer() -> None:
    """The deadline says only that it takes longer; it is not taken for the vendor's time."""
    spans = [Span(9, 10)] * 20 + [Span(60, None)] * 20
    short, gap, longer = shares(spans, 0, 15, 55, 1000)
    assert short == pytest.approx(0.4, abs=0.15)
    assert gap < 0.05
    assert longer == pytest.approx(0.6, abs=0.15)


TIMES = st.floats(min_value=0, max_value=1e7)
SPANS = st.builds(
    lambda after, more, delivered: Span(after, None if more is None else after + more, delivered and more is not None),
    TIMES,
    st.none() | TIMES,
    st.booleans(),
)


@given(
    spans=st.lists(SPANS, max_size=MOST),
    first=st.floats(0, 900),
    every=st.floats(0.001, 900),
    deadline=st.floats(0.001, 30 * 86_400),
)
@settings(max_examples=60, deadline=None)
def test_a_plan_keeps_the_bounds(spans: list[Span], first: float, every: float, deadline: float) -> None:
    """Whatever was seen: whole seconds in order, not before ``first``, not after the deadline, and not too many."""
    poll = Poll(first=first, every=every, max=900, deadline=deadline)
    times = plan(spans, poll)
    assert list(times) == sorted(set(times))
    assert len(times) <= MOST_PLANNED
    assert all(first <= each <= deadline for each in times)
    age = 0.0
    for attempts in range(MOST_PLANNED + 50):
        step = interval(age, attempts, times, poll)
        assert step > 0
        age += step


@pytest.mark.parametrize("takes", [0.1, 2.0, 20.0, 600.0])
def test_a_vendor_that_calls_has_a_plan_however_fast_it_is(takes: float) -> None:
    """One poll is due when nearly all have called, for a lost delivery; then it is polled as any that calls."""
    spans = [Span(0, takes * (1 + number / 20), delivered=True) for number in range(20)]
    times = plan(spans, POLL)
    assert times
    assert max(POLL.first, 1.8 * takes) <= times[-1] <= max(POLL.first, 2.5 * takes)
    age, polls = float(times[0]), 1
    while age < times[-1] + 180:
        age, polls = age + interval(age, polls - 1, times, POLL, called=True), polls + 1
    assert polls <= len(times) + 4


def test_a_vendor_that_calls_is_polled_rarely_even_if_no_planned_time_is_within_the_deadline() -> None:
    """It always takes longer than its cases may wait now."""
    spans = [Span(0, 7200, delivered=True)] * 20
    poll = Poll(first=5, every=5, max=60, deadline=600)
    assert plan(spans, poll) == ()
    assert interval(5, 0, (), poll, called=True) == 60


@pytest.mark.parametrize(("lost", "called"), [(0, True), (3, True), (10, False)])
def test_a_vendor_that_calls_is_rarely_polled_after_the_plan(lost: int, called: bool) -> None:
    """Ten times slower than ever, it is polled once in each longest interval; without its deliveries, as any other."""
    spans = [Span(10, 20 + number / 10, delivered=number >= lost) for number in range(20)]
    assert calls(spans) is called
    assert not calls(spans[-FEWEST + 1 :])
    times = plan(spans, POLL)
    later = interval(times[-1] + 1, 3, times, POLL, called=called)
    assert later == (POLL.max if called else POLL.every + 0.5)
    assert interval(1, 0, times, POLL, called=called) == times[0] - 1
    assert interval(100_000, 3, times, POLL, called=called) == 2000
