"""The whole deployment, in virtual time and without faults, sees early that the Ombudsman is done, and asks little."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.simulation.handlers import ROOT

GUIDE = {"document": 2.5, "assessment": 5.0}
"""Median delay in seconds of the guide's loops: a request every 5 s and every 10 s."""


def test_finished_cases_are_seen_early_once_dossier_has_learned() -> None:
    """With no more requests than the guide's loop; and a vendor that turns ten times slower gets no storm."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared" / "python")])
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation.learning"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads(done.stdout)
    for phase, median in GUIDE.items():
        first, taught, slower = (said[each][phase] for each in ("first", "taught", "slower"))
        assert taught["requests"] <= 1.02 * taught["guide"]  # for the same times of the vendor
        assert taught["median"] <= 0.5 * median  # requests and messages take their time, too
        assert taught["median"] < first["median"] / 3
        assert slower["longest"] <= 62  # poll.max
        assert slower["requests"] <= 70
