"""Thousands of deliveries at the deployed webhook: none forged gets in, none valid is lost, none has an effect twice.

The connections poll once in a quarter of an hour and the vendors send nothing themselves: only the suite's deliveries
move cases. The outcome of each is counted where it has to be, not where Dossier says so.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deployment import deployed
from tests.chaos.scene import SEED, Scene, connections
from tests.chaos.scorecard import Section, record
from tests.chaos.storm import SENDERS, Answered, wrong

COUNT = int(os.environ.get("DOSSIER_CHAOS_DELIVERIES", "300"))
LONGEST = float(os.environ.get("DOSSIER_CHAOS_SECONDS", "900"))
FULL = COUNT >= 5000
CASES = {"ended": 4, "once": 8, "early": 4} if FULL else {"ended": 1, "once": 1, "early": 1}
"""Cases of each connection: already ended, with one delivery, still processed by their vendors."""
VENDOR_SECONDS = 60 if FULL else 8
"""How long the vendors work on the cases of ``early``."""
PATIENCE = 600
"""Until the queues are empty, or all cases have ended."""
NEW = 2 if FULL else 1
"""Cases of a connection that are opened in the storm."""
OPENED = ("invoices", "scans", "claims", "letters", "disputes") if FULL else ("invoices", "scans", "disputes")
"""Where: one about a Docsumo case that nobody knows yet is looked at again half a minute later, for which ``make test``
does not wait."""
ABOUT = f"""
Deliveries to the deployed webhook over HTTP, {SENDERS} at once, in an order drawn from seed {SEED}
(`tests/chaos/test_deliveries.py`). Five connections of three vendors each use another signature scheme and poll every
15 minutes, so that only deliveries move cases; for many cases there is exactly one delivery. Nearly every delivery
names a unique unknown id, and the note about that id in the table shows that the delivery was applied. `forgeries.py`
and `malformed.py` beside the test make the forgeries and the malformed bodies.
"""


NOTHING = (
    "answered otherwise than expected",
    "5xx",
    "no answer",
    "forged accepted",
    "valid lost",
    "dead letters",
    "effects twice",
    "ended cases that changed",
    "cases without their event",
    "errors in the log of webhook, wake and poll",
)
"""Figures that must be zero or none."""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Yield the suite's own deployment; the short form spends most of its time on starting functions."""
    monkeypatch.setenv("DOSSIER_LOCAL_WORKERS", "4" if FULL else "2")
    with deployed(tmp_path / "home", connections()) as deployment:
        yield Scene(deployment, PATIENCE)


@pytest.mark.timeout(LONGEST + 120)
def test_no_delivery_is_lost_forged_or_applied_twice(scene: Scene) -> None:
    """Forged accepted 0, valid lost 0, 5xx 0, effects twice 0; what has ended stays as it is."""
    soon = {group: scene.submit(group, CASES[group]) for group in ("ended", "once")}
    ended, once = (scene.waiting(names) for names in soon.values())
    scene.vendors(seconds=VENDOR_SECONDS)
    later = scene.submit("early", CASES["early"])
    scene.finish(ended)
    early = scene.waiting(later)
    done_at = time.monotonic() + VENDOR_SECONDS
    scene.vendors(seconds=0)
    before = scene.tally.states(ended)
    plan = scene.storm.plan(COUNT, once=once, early=early, ended=ended)
    set_up, began = len(scene.senders.answered), time.monotonic()
    with scene.opening(NEW, OPENED) as new:
        scene.senders.send(plan)
    seconds = time.monotonic() - began
    stormed = scene.senders.answered[set_up:]
    drained = scene.tally.drain(PATIENCE)
    after = scene.tally.states(ended)
    scene.moved([*once, *new])
    time.sleep(max(0.0, done_at - time.monotonic()))
    statuses = scene.tally.statuses()
    scene.finish([each for each in [*once, *early, *new] if statuses[each.reference] != "completed"])
    scene.tally.drain(PATIENCE)
    score = {
        "deliveries": len(stormed),
        "kinds": dict(Counter(each.delivery.kind for each in stormed)),
        "bytes of a body": f"{min(map(_size, stormed))} to {max(map(_size, stormed))}",
        **judge(scene, scene.senders.answered),
        "ended cases that changed": sum(one != other for one, other in zip(before, after, strict=True)),
        "cases, all completed": len(scene.tally.statuses()),
        **speed(stormed, seconds, drained),
    }
    record(Section(2, "Deliveries at the webhook", ABOUT, score))
    assert len(stormed) >= COUNT
    for name in NOTHING:
        assert score[name] in (0, []), f"{name}: {score}"
    assert set(scene.tally.statuses().values()) == {"completed"}


def judge(scene: Scene, answered: Sequence[Answered]) -> dict[str, Any]:
    """Compare the answers with S3, the table, the queues, the bus and the vendors' journal."""
    notes, kept = scene.tally.notes(), scene.tally.evidence()
    accepted = [each.delivery for each in answered if each.status == 200]
    marks = {(each.connection, each.mark) for each in accepted if each.mark}
    evidence = Counter(
        {(connection, sha): n for (connection, verdict, sha), n in kept.items() if verdict == "accepted"}
    )
    promised = Counter((each.connection, each.kept) for each in accepted)
    forged = [each for each in answered if each.delivery.kind == "forged"]
    ends = Counter(name for (kind, name), count in scene.tally.events().items() for _ in range(count))
    twice = [*scene.tally.done_twice(), *scene.tally.written_twice()]
    twice += [f"{count} events of {name}" for name, count in ends.items() if count > 1]
    depth = scene.tally.depth()
    return {
        "answers": dict(sorted(Counter(each.status for each in answered).items())),
        "answered otherwise than expected": wrong(answered),
        "5xx": sum(each.status >= 500 for each in answered),
        "no answer": sum(each.status == 0 for each in answered),
        "forged": len(forged),
        "forged accepted": sum(each.status < 400 for each in forged)
        + (evidence - promised).total()
        + len(notes - marks),
        "accepted": len(accepted),
        # a repeated delivery is answered and not stored again
        "valid lost": len(promised.keys() - evidence.keys()) + len(marks - notes) + depth["now"],
        "dead letters": depth["dead"],
        "effects twice": twice,
        "cases without their event": sorted(set(scene.tally.statuses()) - set(ends)),
        "refused ones kept as evidence": sum(n for (_, verdict, _), n in kept.items() if verdict == "refused"),
        "errors in the log of webhook, wake and poll": scene.tally.errors("webhook", "wake", "poll"),
    }


def speed(answered: Sequence[Answered], seconds: float, drained: float) -> dict[str, Any]:
    """Return how fast deliveries were answered and applied."""
    cuts = statistics.quantiles([each.seconds for each in answered], n=100)
    times = {f"p{percent}": f"{cuts[percent - 1] * 1000:.0f} ms" for percent in (50, 95, 99)}
    return {
        "time to the answer": times,
        "answered a second": round(len(answered) / seconds),
        "all applied after the last answer": f"{drained:.0f} s",
    }


def _size(answered: Answered) -> int:
    return len(answered.delivery.body)
