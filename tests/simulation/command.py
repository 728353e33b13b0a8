"""The command behind ``make simulate``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from tests.simulation import planted
from tests.simulation.clock import real_time
from tests.simulation.handlers import ROOT
from tests.simulation.run import Outcome, Plan, run
from tests.simulation.shrinking import REFERENCE, shrink
from tests.simulation.world import deployed

CASES = 20
JOBS = 2
"""Processes that run seeds side by side."""


def main(environment: Mapping[str, str]) -> int:
    """Run what the environment asks for: ``SEEDS``, ``SEED``, ``CASES``, …; return the exit code."""
    cases = int(environment.get("CASES") or CASES)
    if environment.get("PLANTED"):
        show = bool(environment.get("TRACE"))
        return _planted(int(environment.get("SEEDS") or 200), int(environment.get("CASES") or planted.CASES), show=show)
    if environment.get("SEED"):
        return _one(Plan(int(environment["SEED"]), cases, planted=environment.get("PLANT", "")), environment)
    first = int(environment.get("FIRST") or 1)
    seeds = range(first, first + int(environment.get("SEEDS") or 30))
    return _many(seeds, cases, int(environment.get("JOBS") or JOBS))


def _one(plan: Plan, environment: Mapping[str, str]) -> int:
    """Replay one seed; with ``TRACE`` show the history of one case.

    That is the case that is named (``CASE=reference``), as it is in the seed's own history; or else the one that the
    violation is about, in as short a history as violates the same.
    """
    trace, about = environment.get("TRACE", ""), environment.get("CASE", "")
    with planted.planted(plan.planted):
        outcome = run(plan, keep=bool(trace))
        _say(outcome)
        if not outcome.ok and not about:
            _shrink(outcome, show=bool(trace), calls=trace == "2")
        elif trace:
            _show(outcome, about or _named(outcome), calls=trace == "2")
    print(f"{int(outcome.ok)} passed, {int(not outcome.ok)} failed")
    return int(not outcome.ok)


def _shrink(outcome: Outcome, *, show: bool, calls: bool = False) -> None:
    """Shrink a history and say what is left; show its case, or the seed's own history of it if nothing is left out."""
    least = shrink(outcome)
    _say_shrunk(outcome, least)
    if show:
        shown = outcome if least is outcome else run(least.plan, keep=True)
        _show(shown, _named(shown), calls=calls)


def _show(outcome: Outcome, about: str, *, calls: bool = False) -> None:
    """Show the history of a case; its calls of AWS, too, if they are asked for."""
    assert outcome.trace is not None
    print(f"what happened to {about}:")
    print("\n".join(outcome.trace.text(about) if calls else outcome.trace.page(about)))


def _named(outcome: Outcome) -> str:
    """Return the reference of the case that a violation is about, or of the first one that is left."""
    named = REFERENCE.search(outcome.about)
    return named[0] if named else f"C-{min(outcome.plan.chosen or [0]):04}"


def _many(seeds: Sequence[int], cases: int, jobs: int) -> int:
    """Run seeds in several processes; report each seed's outcome, and show the first failures, shrunk."""
    began = real_time()
    deployed()  # synthesizes once, before the processes need it
    failed: list[Row] = []
    totals: Counter[str] = Counter()
    for row in _rows(seeds, cases, jobs):
        totals += row.figures
        if row.violated:
            failed.append(row)
        result = f"failed: {row.violated}: {row.about}" if row.violated else "passed"
        print(f"seed {row.seed} {result}; history {row.digest}, {row.seconds:.0f} s of processor time", flush=True)
    for row in failed[:3]:
        _shrink(run(Plan(row.seed, cases), keep=True), show=True)
    lines = ", ".join(f"{number:,} {what}" for what, number in totals.items() if number)
    print(f"{lines}; {real_time() - began:.0f} s")
    print(f"{len(seeds) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


@dataclass(frozen=True)
class Row:
    """A process's report about one seed."""

    seed: int
    violated: str
    about: str
    digest: str
    seconds: float
    """Of processor time."""
    figures: Counter[str]


def _rows(seeds: Sequence[int], cases: int, jobs: int) -> Iterator[Row]:
    """Run seeds in separate processes, each an equal share; yield their reports as they come."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", "--worker"]
    shares = [list(seeds[number::jobs]) for number in range(jobs)]
    said: SimpleQueue[str | int] = SimpleQueue()
    left = 0
    for share in filter(None, shares):
        given = {**os.environ, "SHARE": json.dumps([share, cases])}
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True)
        Thread(target=_pass_on, args=(process, said), daemon=True).start()
        left += 1
    while left:
        line = said.get()
        if isinstance(line, str):
            row = json.loads(line)
            yield Row(**{**row, "figures": Counter(row["figures"])})
            continue
        left -= 1
        if line:
            raise RuntimeError("a process of the simulation failed: its error is above")


def _pass_on(process: subprocess.Popen[str], said: SimpleQueue[str | int]) -> None:
    """Pass on each line of a process, then its exit code."""
    assert process.stdout is not None
    for line in process.stdout:
        said.put(line)
    said.put(process.wait())


def work(environment: Mapping[str, str]) -> int:
    """Run a share of the seeds, and say a line of JSON for each."""
    seeds, cases = json.loads(environment["SHARE"])
    for seed in seeds:
        outcome = run(Plan(seed, cases))
        said = {
            "seed": seed,
            "violated": outcome.violated,
            "about": outcome.about,
            "digest": outcome.digest,
            "seconds": outcome.seconds,
            "figures": dict(outcome.figures) | {"virtual minutes": round(outcome.virtual / 60)},
        }
        print(json.dumps(said), flush=True)
    return 0


def _planted(most: int, cases: int, *, show: bool) -> int:
    """Plant each fault and look for it; show how many seeds that took, and with ``show`` the shrunken histories."""
    print("| planted | found by seed | invariant | cases and kinds of faults left | lines of its case |")
    print("| --- | --- | --- | --- | --- |")
    missed, pages = 0, []
    for name in planted.FAULTS:
        found = planted.look_for(name, most, cases)
        if found is None:
            missed += 1
            print(f"| {name} | not within {most} | | | |", flush=True)
            continue
        plan, page = found.plan, _page(found.plan)
        left = f"{len(plan.chosen or range(plan.cases))} and {len(found.kinds)}"
        pages.append((name, found.about, page))
        print(f"| {name} | {plan.seed} | {found.violated} | {left} | {len(page)} |", flush=True)
    for name, about, page in pages if show else ():
        print("\n".join(["", f"{name}: {about}", *page]))
    print(f"{len(planted.FAULTS) - missed} passed, {missed} failed")
    return int(bool(missed))


def _page(plan: Plan) -> list[str]:
    with planted.planted(plan.planted):
        outcome = run(plan, keep=True)
    assert outcome.trace is not None
    return outcome.trace.page(_named(outcome))


def _say(outcome: Outcome) -> None:
    figures = ", ".join(f"{number:,} {what}" for what, number in outcome.figures.items() if number)
    print(f"seed {outcome.plan.seed}, {outcome.plan.cases} cases: history {outcome.digest}, {outcome.events:,} lines")
    print(f"  {figures}")
    print(f"  faults: {', '.join(f'{kind} {number}' for kind, number in sorted(outcome.faults.items())) or 'none'}")
    if not outcome.ok:
        print(f"  violated: {outcome.violated}: {outcome.about}")


def _say_shrunk(outcome: Outcome, least: Outcome) -> None:
    plan = least.plan
    if least is outcome:
        print(f"seed {plan.seed} is not shrunk: none of the smaller histories that were tried violates the same")
        return
    chosen = "all" if plan.chosen is None else ", ".join(map(str, sorted(plan.chosen)))
    print(f"seed {plan.seed} shrunk: cases {chosen}; faults left: {', '.join(least.kinds) or 'none'}")
    print(f"  violated: {least.violated}: {least.about}")
