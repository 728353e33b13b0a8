"""What is shown of a failing seed: the smallest history that a minute finds, or the seed's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation.faults import Faults
from tests.simulation.run import Outcome, Plan, cases_of
from tests.simulation.shrinking import shrink

SEED, CASES = 31, 200
LINES = 1000
"""Lines of a case's history."""


class Fake:
    """Histories that violate an invariant if their plan has certain parts."""

    def __init__(self, violates: Callable[[Plan], bool], about: str) -> None:
        self.violates, self.about = violates, about
        self.tried: list[Plan] = []

    def __call__(self, plan: Plan) -> Outcome:
        """Run a plan."""
        self.tried.append(plan)
        cases = cases_of(plan)
        violated = "every case ends" if self.violates(plan) else ""
        kinds = tuple(Faults.drawn(str(plan.seed), without=plan.without).rates)
        return Outcome(plan, violated=violated, about=self.about, events=LINES * len(cases), kinds=kinds)

    @property
    def lines(self) -> int:
        """Lines of all histories after the first."""
        return sum(LINES * len(cases_of(each)) for each in self.tried[1:])


def chosen(plan: Plan) -> set[int]:
    """Return the numbers of a plan's cases."""
    return {each.number for each in cases_of(plan)}


def test_case_is_tried_alone_first() -> None:
    """A violation that needs no other case is found in one try, however many cases there were."""
    fake = Fake(lambda plan: 20 in chosen(plan), "case C-0020 is waiting")
    first = fake(Plan(SEED, CASES))
    least = shrink(first, run=fake)
    assert chosen(fake.tried[1]) == chosen(least.plan) == {20}
    assert (least.kinds, least.plan.plain, least.plan.documents) == ((), True, 1)
    assert fake.lines <= LINES * 20


def test_nearest_cases_of_its_connection_are_tried_next() -> None:
    """Those whose requests the case's own have waited for, say."""
    at = {each.number: each for each in cases_of(Plan(SEED, CASES))}
    mine = [each for each in at.values() if each.connection == at[20].connection and each.number != 20]
    neighbour = min(mine, key=lambda each: abs(each.at - at[20].at)).number
    fake = Fake(lambda plan: {20, neighbour} <= chosen(plan), "case C-0020 is waiting")
    least = shrink(fake(Plan(SEED, CASES)), run=fake)
    assert chosen(least.plan) == {20, neighbour}
    assert len(chosen(fake.tried[2])) == 5
    assert max(len(chosen(each)) for each in fake.tried[1:]) == 5


def test_cases_near_the_one_that_it_is_about_by_now_are_tried() -> None:
    """In half of the history another case violates the same: that one is tried alone next."""
    fake = Fake(lambda plan: 150 in chosen(plan) and len(chosen(plan)) in {1, CASES // 2 + 1, CASES}, "")
    first = fake(Plan(SEED, CASES))
    first.about, fake.about = "case C-0020 is waiting", "case C-0150 is waiting"
    assert chosen(shrink(first, run=fake).plan) == {150}
    assert fake.lines <= LINES * 3 * CASES


def test_violation_that_names_a_connection_keeps_its_cases() -> None:
    """The first try has all of them, and no others."""
    fake = Fake(lambda plan: len(chosen(plan)) > 20, "claims: 180 messages for 63 waits")
    shrink(fake(Plan(SEED, CASES)), run=fake, most=100 * LINES)
    assert {each.connection for each in cases_of(fake.tried[1])} == {"claims"}


@pytest.mark.parametrize("about", ["case C-0020 is waiting", "claims: 180 messages", "an invariant of no case"])
def test_history_that_does_not_shrink_is_given_up(about: str) -> None:
    """It stays as it was; the tries have no more lines than they may have."""
    fake, most = Fake(lambda plan: plan == Plan(SEED, CASES), about), 400 * LINES
    first = fake(Plan(SEED, CASES))
    assert shrink(first, run=fake, most=most) is first
    assert len(fake.tried) > 1
    assert fake.lines <= most


def test_same_call_is_struck_whatever_else_is_called() -> None:
    """Leaving out a case changes the others' histories as little as possible."""
    rates = {"answer_lost": 0.5}
    busy, quiet = Faults("7", dict(rates)), Faults("7", dict(rates))
    struck = Counter[bool]()
    for number in range(200):
        busy.strikes("answer_lost", f"poll dynamodb.GetItem CASE#claims#C-{number}/WAIT")
        busy.strikes("answer_lost")
        about = f"accept dynamodb.PutItem CASE#claims#R-{number % 20}/CASE"
        strikes = quiet.strikes("answer_lost", about)
        assert busy.strikes("answer_lost", about) == strikes
        struck[strikes] += 1
    assert all(50 < struck[each] < 150 for each in (True, False))
