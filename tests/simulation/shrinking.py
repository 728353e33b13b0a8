"""Fewer cases, documents and kinds of faults that still violate the same invariant: what fits on a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from tests.simulation.run import Outcome, Plan, cases_of, run

T = TypeVar("T")
MOST_LINES = 400_000
"""Lines of all histories that are tried: a minute or two of processor time. Lines, and not seconds, so that a seed is
shrunk to the same history on any machine."""
NEAR = (1, 5, 25)
"""How many cases are tried first: the one that the violation is about, and those nearest to it."""
REFERENCE = re.compile(r"C-(\d{4})")
"""A case's reference, also within the name of an execution, a token or a document."""


def shrink(first: Outcome, *, run: Callable[[Plan], Outcome] = run, most: int = MOST_LINES) -> Outcome:
    """Leave out cases, documents and kinds of faults for as long as the same invariant is violated.

    Args:
        first: what came of the whole history.
        run: runs a plan.
        most: lines of the histories that are tried.

    Returns:
        What comes of what is left; ``first`` itself if nothing can be left out.

    """
    best, left, tried = first, most, {first.plan}
    a_case = first.events / max(1, _size(first.plan))

    def still(**changes: object) -> bool:
        nonlocal best, left
        candidate = replace(best.plan, **changes)  # type: ignore[arg-type]
        if candidate in tried or a_case * _size(candidate) > left:
            return False
        tried.add(candidate)
        found = run(candidate)
        left -= found.events
        if found.violated == first.violated:
            best = found
            return True
        return False

    def cases() -> list[int]:
        return sorted(best.plan.chosen) if best.plan.chosen is not None else list(range(best.plan.cases))

    def without(kept: list[str]) -> bool:
        return still(without=best.plan.without | {each for each in best.kinds if each not in kept})

    before: Plan | None = None
    while before != best.plan and left > 0:
        before = best.plan
        while any(still(chosen=each) for each in _near(best)):  # by now it may be about another case
            pass
        _leave_out(cases, lambda kept: still(chosen=frozenset(kept)), least=1)
        still(plain=True)
        still(documents=1)
        _leave_out(lambda: list(best.kinds), without)
    return best


def _size(plan: Plan) -> int:
    return plan.cases if plan.chosen is None else len(plan.chosen)


def _near(outcome: Outcome) -> Iterator[frozenset[int]]:
    """Yield the numbers of the cases near the violation: more and more, then all of its connection."""
    cases = cases_of(outcome.plan)
    named = REFERENCE.search(outcome.about)
    about = next((each for each in cases if named and each.number == int(named[1])), None)
    names = {each.connection for each in cases}
    connection = about.connection if about else next((each for each in sorted(names) if each in outcome.about), "")
    near = [each for each in cases if each.connection == connection]
    if about:
        near.sort(key=lambda each: abs(each.at - about.at))
    for size in (*NEAR, len(near)) if about else (len(near),):
        if 0 < size < len(cases) / 2 and size <= len(near):
            yield frozenset(each.number for each in near[:size])


def _leave_out(left: Callable[[], list[T]], still: Callable[[list[T]], bool], *, least: int = 0) -> None:
    """Leave out parts of the rest, large ones first, while the same invariant is violated."""
    size = len(left()) - least
    while size > 0:
        start = 0
        while start + size <= len(left()) and len(left()) - size >= least:
            every = left()
            if not still(every[:start] + every[start + size :]):
                start += size
        size //= 2
