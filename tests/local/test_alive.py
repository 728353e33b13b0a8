"""Signs of life of a command that takes minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local import alive
from tests.machine import ROOT


def test_a_command_that_takes_long_gives_signs_of_life(tmp_path: Path) -> None:
    """The command continues until the second line was reported; its output and its exit code are returned."""
    fifo, text = tmp_path / "go", list[str]()
    os.mkfifo(fifo)

    def report(line: str) -> None:
        text.append(line)
        if len(text) == 2:
            fifo.write_text("on")

    command = ["sh", "-c", f"read line < '{fifo}'; echo \"$line\" done; exit 7"]
    done = alive.run(command, report, "installing it", every=0.05, quiet=True)
    assert (done.returncode, done.stdout) == (7, "on done\n")
    assert text[:2] == ["still installing it (0:00)", "still installing it (0:00)"]


def test_make_sees_output_and_exit_code() -> None:
    """As a program it passes on the command's output, and ends with its exit code."""
    words = [sys.executable, "-m", "local.alive", "setting up", "sh", "-c", "echo printed; exit 3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "printed\n")


def test_the_installations_of_make_are_watched() -> None:
    """Each recipe that installs a lock file runs under it."""
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in recipes.splitlines() if "pip install --quiet --require" in line or "npm ci" in line]
    assert len(installs) == recipes.count("-m venv ") + 1  # npm installs too
    assert all("$(ALIVE)" in line for line in installs)
