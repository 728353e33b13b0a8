"""Part ``slower``: a vendor without webhooks that turns ten times slower, on the local AWS, once its times are learned.

DocuStack's documents take 1 to 3 s until the connection has learned that, and then 10 to 30 s. The schedule is a fifth
of the default one, so that it is long enough to be seen and short enough to wait for.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cases import spread_of
from bench.report import reached, table, with_range
from bench.sandboxes import Sandbox, done_of
from bench.schedules import served
from dossier.settings import Poll
from tests.chaos.deployment import Deployment, deployed

ROOT = Path(__file__).parents[1]
POLL = Poll(first=1, every=1, max=12, deadline=600)
LEARNED, SLOWER = 16, 10
"""Cases at the first pace, and at the second one."""
APART = 1.0
"""Seconds from the start of a case to that of the next one."""
LONGEST = 300.0
"""Seconds after which a case hangs."""
STORM = 3.0
"""Most polls of a case, as a multiple of those of growing intervals (``tests/unit/test_schedule.py`` has it, too)."""


def connections() -> str:
    """Return the shipped connections, of which the one at DocuStack has this part's poll times."""
    text = (ROOT / "connections.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:4780", "SANDBOX")
    times = ", ".join(f"{name} = {value:g}" for name, value in POLL.model_dump().items())
    return re.sub(r"^poll = .*$", f"poll = {{ {times} }}", text, count=1, flags=re.MULTILINE)


def run(learned: int = LEARNED, slower: int = SLOWER) -> dict[str, Any]:
    """Run the cases of both paces on a local AWS of their own."""
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder) / "home", connections()) as deployment:
        deployment.sandbox.post("/_sandbox/settings", json={"webhooks": False}).raise_for_status()
        return {
            "1 to 3 s, learned meanwhile": _cases(deployment, "fast", learned, 2),
            "then 10 to 30 s": _cases(deployment, "slow", slower, 20),
        }


def _cases(deployment: Deployment, name: str, count: int, seconds: float) -> dict[str, Any]:
    """Run cases whose documents take around so many seconds; return polls and delays."""
    sandbox = Sandbox(deployment.sandbox)
    sandbox.pace(seconds, seconds, 0.5)
    before = sandbox.last()
    sample = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
    running = {}
    for number in range(count):
        reference = f"{name}-{number:02}"
        files = {f"{reference}.pdf": sample + f"\n% {reference}".encode()}
        running[reference] = deployment.submit("invoices", reference, files)
        time.sleep(APART)
    ended = _ended(deployment, running)
    journal = sandbox.journal(before)
    done = done_of(journal)
    polls = sum(each["operation"] == "status" for each in journal)
    took = [done[f"{reference}.pdf"].took for reference in ended]
    grown = [served([each], (), POLL)[0][0] for each in took]
    return {
        "cases": count,
        "polls": polls / count,
        "growing": sum(grown) / count,
        "delay": spread_of([at - done[f"{reference}.pdf"].at for reference, at in ended.items()]),
    }


def _ended(deployment: Deployment, running: Mapping[str, str]) -> dict[str, float]:
    """Wait for the executions; return when each ended, in seconds since 1970."""
    states, deadline, ended = deployment.client("stepfunctions"), time.monotonic() + LONGEST, dict[str, float]()
    for reference, arn in running.items():
        while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{reference} still runs")
            time.sleep(0.5)
        if found["status"] != "SUCCEEDED":
            raise RuntimeError(f"{reference}: {found['status']}")
        ended[reference] = found["stopDate"].timestamp()
    return ended


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    _, slow = found.values()
    more = slow["polls"] / slow["growing"]
    targets: Sequence[Sequence[str]] = [
        [
            f"No storm: at most {STORM:g} times the polls of growing intervals",
            f"{more:.2f} times",
            reached(more <= STORM),
        ],
        [
            f"No starvation: each is seen within the longest interval ({POLL.max:g} s), and a second",
            f"{slow['delay'][2]:.1f} s",
            reached(slow["delay"][2] <= POLL.max + 1),
        ],
    ]
    rows = [
        [name, f"{each['cases']}", f"{each['polls']:.1f}", f"{each['growing']:.1f}", with_range(each["delay"])]
        for name, each in found.items()
    ]
    head = ("a document takes", "cases", "polls of a case", "with growing intervals", "detection delay, s")
    return [*table(("target", "figure", "reached"), targets), "", *table(head, rows)]
