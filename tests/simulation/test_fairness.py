"""A case that is submitted by hand overtakes a batch, in a simulated deployment without faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.simulation.handlers import ROOT


def test_case_beside_a_batch_of_a_thousand_takes_at_most_two_seconds_longer() -> None:
    """The Ombudsman's case needs the most requests: without a priority it takes four seconds longer.

    One of the ten may be unlucky with the moments of its polls.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared" / "python")])
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation.fairness", "ombudsman", "1000"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert said["finished"] >= 10, "the batch is not under way"
    assert sorted(said["beside"])[-2] - sorted(said["alone"])[len(said["alone"]) // 2] <= 2
