"""A few dozen histories, each in processes of their own: a simulation replaces its process's clocks."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.simulation.handlers import ROOT

FAILED_ONCE = {12: 12, 14: 16, 1015: 20}
"""Seeds that once failed, and how many cases they ran."""


def simulate(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``make simulate`` with its variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"SEED", "SEEDS", "CASES", "TRACE", "CASE", "FIRST"}
    }
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared" / "python")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.simulation"],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": paths, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_violated_in_two_dozen_seeds() -> None:
    """Under every fault, in histories that no other test has."""
    done = simulate(SEEDS="24", CASES="4")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "24 passed, 0 failed"


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_seed_that_failed_once_passes(seed: int) -> None:
    """What it found is fixed."""
    done = simulate(SEED=str(seed), CASES=str(FAILED_ONCE[seed]))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_same_seed_gives_the_same_history() -> None:
    """In another process, where sets have another order, byte for byte."""
    said = [simulate(SEED="3", CASES="6", PYTHONHASHSEED=order).stdout for order in ("1", "2")]
    found = [re.search(r"history (\w{16}), [\d,]+ lines", each) for each in said]
    assert found[0] is not None, said[0]
    assert found[1] is not None, said[1]
    assert found[0][0] == found[1][0]


def test_planted_fault_is_found() -> None:
    """The history that finds it is shrunk, and shown (``make simulate PLANTED=1`` plants five others)."""
    done = simulate(SEED="1", CASES="3", PLANT="token answered twice", TRACE="1")
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert "what happened to C-" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


def test_named_case_is_shown_as_the_seed_has_it() -> None:
    """Of a seed that fails, too: nothing is shrunk, and no other history is run."""
    done = simulate(SEED="1", CASES="3", PLANT="token answered twice", TRACE="1", CASE="C-0002")
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert "shrunk" not in done.stdout
    assert "what happened to C-0002:" in done.stdout
    assert re.search(r"submit +connection=\w+ reference=C-0002", done.stdout)
