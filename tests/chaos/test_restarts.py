"""Everything is restarted in the middle of the work: all functions at once, and the vendors."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.chaos.cases import AT_REST, ENDED, Group
from tests.chaos.deployment import Deployment, children
from tests.chaos.judge import judge
from tests.chaos.scorecard import Section, record

CASES = int(os.environ.get("DOSSIER_CHAOS_RESTARTED", "6"))
"""Cases: a few in ``make test``, 51 in ``make chaos``."""
LONGEST = float(os.environ.get("DOSSIER_CHAOS_SECONDS", "900"))
ABOUT = """
Cases at three vendors without any other fault (`tests/chaos/test_restarts.py`), submitted in two halves. While the
first cases of each half wait for their vendor, the test kills every process of the local AWS's functions, kills the
vendors' server, and starts it again three seconds later. An operator answers the questions: a create was interrupted,
and its vendor has no look-up.
"""


@pytest.mark.timeout(LONGEST + 120)
def test_cases_complete_through_restarts(deployment: Deployment) -> None:
    """All cases complete, and no document is uploaded twice."""
    group, before = Group(deployment, "restart", CASES), len(deployment.journal())
    deployment.sandbox.post("/_sandbox/settings", json={"seconds": 3, "faults": []})
    began, killed, under_way = time.monotonic(), 0, []
    for half in (0, 1):
        group.submit(half, of=2)
        rows = group.wait(lambda rows: any(row["status"] == "waiting" for row in rows), seconds=LONGEST, every=1)
        under_way.append(sum(row["status"] not in ENDED for row in rows))
        killed += _restart(deployment)
    rows = group.wait(group.all_in(AT_REST), seconds=LONGEST)
    asked = group.answer()
    rows = group.wait(group.all_in(ENDED), seconds=120)
    score: dict[str, Any] = {"cases": len(rows), "seconds": round(time.monotonic() - began), "restarts": len(under_way)}
    score |= {"functions killed": killed, "cases under way at a restart": under_way, "questions answered": asked}
    score |= judge(deployment, rows, deployment.journal()[before:])
    record(Section(3, "Restarts in the middle", ABOUT, score))
    assert all(under_way), "nothing was under way when everything was restarted"
    assert killed > 0
    assert score["statuses"] == {"completed": CASES}
    assert score["documents uploaded"] == group.documents
    assert score["documents uploaded twice"] == 0
    assert score["artifacts that differ from the vendor's"] == 0


def _restart(deployment: Deployment) -> int:
    """Kill every function's process and the vendors' server; start the latter again. Return how many were killed."""
    workers = children(deployment.pid("local_aws"))
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    deployment.restart_sandbox()
    return len(workers)
