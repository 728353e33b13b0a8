"""When to ask a vendor that does not call: poll times, learned from earlier waits.

**An ended wait yields an interval** (:class:`Span`): the vendor had not finished at one poll, and had at the
next. Taking the poll's time for the vendor's would confirm whatever schedule there is. So the distribution is estimated
from intervals: each adds its weight to the buckets that it overlaps, in proportion to the present estimate, and this is
repeated (Turnbull 1976, the self-consistent estimate from censored data). After each round the masses are smoothed with
their neighbours (Silverman et al. 1990, "EMS"), because the plain estimate of few intervals is a row of spikes. Buckets
are a sixteenth of an octave wide, so seconds and days are known equally well.

**Where a poll is worth most** is the problem of inspection (Barlow, Hunter and Proschan 1963, "Optimum checking
procedures"): a poll costs, and so does each second in which nobody sees that the vendor is done. Where polls are dense,
the best number of polls a second at time ``t`` depends only on the hazard ``h(t)``: the rate at which a vendor that has
not finished by ``t`` finishes then (Keller 1974, "Optimum checking schedules for systems subject to random failure")::

    n(t) = sqrt(h(t) / (2 * price))

``price`` is the delay, in seconds, that one poll has to save. How many polls a wait may take on average follows from
this: the integral of ``n(t) * S(t)``, where ``S`` is the share that has not finished by ``t``. They are placed by
``h ** (2/3)`` in place of the root, which minimizes the mean of the *root* of the delay: for a uniform distribution the
mean delay grows by 1 %, and the median falls by 4 %. A poll is where the integral of ``n`` reaches 1, 2, 3, …. None
comes before anything has ever finished (but for a margin, which the smoothing makes), and polls are densest where most
of what is left finishes.

Where deliveries end the waits, a poll saves time only in the waits whose delivery was lost, so its price is higher.
So it is while few spans are known (:func:`confidence`): a plan from eight has two thirds of the polls of a later one.
After the last planned time, and with fewer than ``FEWEST`` spans, the intervals grow (:func:`grown`), whatever the
vendor does: one that has become ten times slower costs the plan's polls and then few, and is never forgotten. Where
deliveries have ended nearly all waits (:func:`calls`), they are the longest at once: a slower vendor still calls.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from dossier.settings import Poll

FEWEST = 8
"""The fewest spans from which a plan is made."""
MOST = 64
"""Spans that are kept, the newest; a table item of them stays below one write unit (1 KiB)."""
HALF_LIFE = 32
"""A span weighs half as much as one that came this many later."""
PER_OCTAVE = 16
SHORTEST, LONGEST = 0.5, 90 * 86400.0
"""Ends of the first and of the last bucket, in seconds."""
ROUNDS = 30
"""Rounds of the estimate; later ones change a poll by less than a second."""
PRICE = 0.0293
"""Seconds of delay that a poll is worth, as a share of ``poll.every``, were the estimate certain."""
DOUBT = 16.0
"""Spans from which an estimate is as likely to be right as wrong about the next wait (``confidence``)."""
BLIND = 0.02
"""Least share of waits that count as not ended by a delivery: the next delivery may be the first that is lost."""
CALLS = 0.8
"""Least share of waits that a delivery ended from which on the vendor counts as one that calls."""
STRAGGLERS = 0.02
"""Share of waits that is left to the growing intervals: polls for the last few would be the densest of all, and all of
them wasted on a vendor that has become slower."""
MOST_PLANNED = 60
"""Most polls of a plan."""
GAP = 0.5
"""Longest time between two planned polls as a share of the time waited so far, at least ``poll.max``, at most
``RAREST``; so also before the first one."""
UNFINISHED = 4.0
"""A wait that ended unfinished is taken to have finished within this multiple of the time waited."""

GROWTH = 1.5
"""Factor between one interval and the next of the growing schedule, up to ``poll.max``."""
RARER, RAREST = 50, 3600.0
"""After the plan, an interval is at least a fiftieth of the time that a case has waited, but at most this many seconds.
Ten hours of waiting are 170 polls instead of 600, and no change is seen later than a fiftieth of the time it took."""
HALF = 0.5
"""A poll that comes at most this many seconds before its planned time counts as the planned one."""

_COUNT = math.ceil(math.log2(LONGEST / SHORTEST) * PER_OCTAVE)
EDGES = (0.0, *(SHORTEST * 2 ** (number / PER_OCTAVE) for number in range(_COUNT + 1)))
"""Ends of the buckets, in seconds."""


class Span(NamedTuple):
    """How long a vendor took, in seconds from the wait's beginning: more than ``after``, and at most ``by``."""

    after: float
    by: float | None
    """None: it had not finished when the wait ended."""
    delivered: bool = False
    """Whether a delivery ended the wait; then ``by`` is the time of the delivery, and exact."""


def plan(spans: Sequence[Span], poll: Poll) -> tuple[int, ...]:
    """Return when to poll, in whole seconds after a wait's beginning, in order; empty if too little is known.

    Args:
        spans: how long the vendor took before, the newest last.
        poll: the connection's settings; no poll comes before ``first``, none after ``deadline``.

    """
    if len(spans) < FEWEST:
        return ()
    masses = estimate(spans)
    weights = _weights(len(spans))
    by_delivery = sum(weight for span, weight in zip(spans, weights, strict=True) if span.delivered)
    price = PRICE * poll.every / max(BLIND, 1 - by_delivery) / confidence(weights)
    times: list[int] = []
    for time in _placed(masses, price):
        whole = max(round(time), math.ceil(poll.first))
        while whole - (last := times[-1] if times else 0) > (gap := _longest(last, poll)) and len(times) < MOST_PLANNED:
            times.append(last + math.ceil(gap))
        if not times or whole > times[-1]:
            times.append(whole)
    return tuple(each for each in times[:MOST_PLANNED] if each <= poll.deadline)


def confidence(weights: Sequence[float]) -> float:
    """Return the share of waits to which an estimate from spans of these weights, together 1, applies.

    The next wait may be unlike all before, and then the plan's polls save nothing. So each is worth less, the fewer
    spans there are. Spans of unequal weight count as fewer equal ones (Kish 1965, the effective sample size).
    """
    count = 1 / sum(each * each for each in weights)
    return count / (count + DOUBT)


def calls(spans: Sequence[Span]) -> bool:
    """Whether the vendor calls: deliveries have ended nearly all waits, so that a poll is only for a lost one."""
    if len(spans) < FEWEST:
        return False
    return sum(weight for span, weight in zip(spans, _weights(len(spans)), strict=True) if span.delivered) >= CALLS


def interval(age: float, attempts: int, planned: Sequence[int], poll: Poll, *, called: bool = False) -> float:
    """Return the seconds until the next poll of a wait whose vendor has not finished.

    A planned time is whole seconds away, because SQS delays messages by whole seconds. After the last planned time the
    intervals grow as they do without a plan, by the time since then, however many polls deliveries have caused.

    Args:
        age: seconds since the wait began.
        attempts: polls that the vendor has answered.
        planned: the plan's times.
        poll: the connection's settings.
        called: whether the vendor calls (``calls``); then the intervals after the plan are the longest at once.

    """
    coming = next((each for each in planned if each > age + HALF), None)
    if coming is not None:
        return max(1.0, round(coming - age))
    since = age - planned[-1] if planned else 0.0
    longer = min(poll.max, poll.every + (GROWTH - 1) * since) if planned else grown(poll, attempts)
    if called:
        longer = poll.max
    return max(longer, min(age / RARER, RAREST))


def grown(poll: Poll, tries: int) -> float:
    """Return the interval after so many tries, which grows up to ``poll.max``."""
    return min(poll.max, poll.every * GROWTH ** min(tries, 50))


def _longest(last: int, poll: Poll) -> float:
    """Return the longest time without a poll after a planned one; 0: before the first."""
    return max(poll.max, min(GAP * last, RAREST)) if last else RAREST


def estimate(spans: Sequence[Span]) -> list[float]:
    """Return the share of waits that finish in each bucket of ``EDGES``.

    Each round gives a span's weight to its buckets in proportion to what they have. A span has whole buckets between
    its first and its last, so their sum, and what they get, cost the same however many they are.
    """
    parts = [(weight, *_overlap(span)) for span, weight in zip(spans, _weights(len(spans)), strict=True)]
    most = len(EDGES) - 1
    low = max(0, min(first for _, first, _, _, _ in parts) - ROUNDS)  # a round spreads masses by one bucket
    high = min(most, max(last for _, _, last, _, _ in parts) + 1 + ROUNDS)
    parts = [(weight, first - low, last - low, head, tail) for weight, first, last, head, tail in parts]
    masses = [1.0] * (high - low)
    for _ in range(ROUNDS):
        sums = list(accumulate(masses, initial=0.0))
        found = [0.0] * len(masses)
        rises = [0.0] * len(masses)  # by how much the scale of whole buckets grows from one to the next
        for weight, first, last, head, tail in parts:
            if first == last:
                found[first] += weight
                continue
            begin, end = head * masses[first], tail * masses[last]
            whole = begin + sums[last] - sums[first + 1] + end
            scale = weight / whole if whole > 0 else 0.0
            found[first] += begin * scale
            found[last] += end * scale
            rises[first + 1] += scale
            rises[last] -= scale
        scales = accumulate(rises)
        masses = _smooth([each + mass * scale for each, mass, scale in zip(found, masses, scales, strict=True)])
    return [0.0] * low + masses + [0.0] * (most - high)


def _weights(count: int) -> list[float]:
    """Return the weight of each span, the newest last; together 1."""
    weights = [0.5 ** ((count - 1 - place) / HALF_LIFE) for place in range(count)]
    whole = sum(weights)
    return [each / whole for each in weights]


def _overlap(span: Span) -> tuple[int, int, float, float]:
    """Return the first and the last bucket that a span overlaps, and the share of each that is within the span."""
    by = span.by if span.by is not None else max(SHORTEST, span.after) * UNFINISHED
    by = min(max(by, SHORTEST / 2), EDGES[-1])
    after = by if span.delivered else min(span.after, by)
    first = min(bisect_right(EDGES, after) - 1, len(EDGES) - 2)
    last = max(first, bisect_left(EDGES, by) - 1)
    head = (min(EDGES[first + 1], by) - after) / (EDGES[first + 1] - EDGES[first])
    tail = (by - EDGES[last]) / (EDGES[last + 1] - EDGES[last])
    return first, last, head, tail


def _smooth(masses: Sequence[float]) -> list[float]:
    """Return masses of which each bucket gives a quarter to each neighbour."""
    before, after = [masses[0], *masses[:-1]], [*masses[1:], masses[-1]]
    return [(low + 2 * each + high) / 4 for low, each, high in zip(before, masses, after, strict=True)]


def _placed(masses: Sequence[float], price: float) -> list[float]:
    """Return where polls belong, in seconds; at least one, when nearly all have finished.

    Later polls would come only to what the estimate does not know, and a plan without any would look like no knowledge.
    """
    left = 1.0
    buckets: list[tuple[float, float, float, float]] = []  # begin, width, hazard, share left in the middle
    for place, mass in enumerate(masses):
        if mass > 1e-6 and left > STRAGGLERS:
            width, middle = EDGES[place + 1] - EDGES[place], max(left - mass / 2, 1e-9)
            buckets.append((EDGES[place], width, mass / width / middle, middle))
        left -= mass
    allowed = sum(math.sqrt(hazard / (2 * price)) * middle * width for _, width, hazard, middle in buckets)
    shape = sum(hazard ** (2 / 3) * middle * width for _, width, hazard, middle in buckets)
    scale = allowed / shape
    counts = [scale * hazard ** (2 / 3) * width for _, width, hazard, _ in buckets]
    times: list[float] = []
    number = 1
    for (begin, width, _, _), before, count in zip(buckets, accumulate([0.0, *counts]), counts, strict=False):
        while number <= before + count and len(times) < MOST_PLANNED:
            times.append(begin + width * (number - before) / count)
            number += 1
    return times or [buckets[-1][0] + buckets[-1][1]]
