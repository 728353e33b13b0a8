"""However many wait, queue, vendor and table are not overloaded, and every wait gets polled."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from dossier.steps.sweep import BACKLOG, SELDOM
from tests.waiting.simulation import HEAD, Figures, Load, Simulation

SIZES = [int(each) for each in os.environ.get("DOSSIER_WAITING", "").split(",") if each]
"""Sizes of the large form, for an hour each: ``DOSSIER_WAITING=1000,5000,20000 pytest tests/waiting -s``."""
SMALL = Load(waits=240, rate=1, hours=0.4, concurrency=2)
"""Four times as many as can be polled in a minute."""


def bounded(load: Load, figures: Figures) -> None:
    """Check what holds at any load."""
    capacity = load.rate * 3600 * load.hours
    wanted = load.waits * load.hours * 3600 / 100  # at least so many polls, if the vendor's limit lets them
    assert max(figures.messages) <= 1.1 * load.waits + 20
    assert len(figures.polls) <= capacity * 1.05 + load.rate * 60
    assert len(figures.polls) >= 0.9 * min(capacity, wanted)
    turn = load.waits / load.rate  # until every wait was polled once
    seldom = 60 * SELDOM if load.waits > BACKLOG else 60  # a message that was lost is missed by a sweep
    assert max(figures.oldest) <= 2.5 * max(turn, 60) + seldom + 90
    assert figures.sent <= load.waits + 1.1 * figures.invocations + 20
    assert figures.invocations <= 1.1 * len(figures.polls) + 20
    assert figures.writes <= 4 * figures.invocations + 3 * load.waits
    assert not figures.failed


def test_overload_is_bounded() -> None:
    """One message for each wait, each poll gets its turn, and none is forgotten, though messages are lost."""
    bounded(SMALL, Simulation(SMALL).run())


def test_outdated_learned_times_cause_no_storm() -> None:
    """All plans are dense at once, and the vendor takes far longer: its rate holds, and each wait has its turns."""
    plan = tuple(range(10, 33))
    load = replace(SMALL, learned=plan)
    figures = Simulation(load).run()
    bounded(load, figures)
    quiet = replace(load, waits=20, rate=10, hours=1.0)
    polls = Simulation(quiet).run().polls
    assert len(polls) <= 20 * (len(plan) + 75)  # one a minute, and those of the growing intervals
    assert sum(each > 200 for each in polls) <= 20 * 65


@pytest.mark.parametrize("waits", SIZES or [60])
def test_any_load_is_bounded(waits: int) -> None:
    """The same at the requested sizes."""
    load = Load(waits=waits) if SIZES else Load(waits=waits, hours=0.3)
    figures = Simulation(load).run()
    print(f"\n{HEAD}\n{figures.row(load)}")  # noqa: T201 -- for the documentation
    bounded(load, figures)
