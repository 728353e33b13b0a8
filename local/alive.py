"""Run a command, and report from time to time that it still runs: ``python -m local.alive WHAT COMMAND …``.

The Makefile calls it before anything is installed: it only imports the standard library.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence

EVERY = 20.0
"""Seconds between two signs of life: an installation takes a minute on a quick machine, and ten on a busy one."""


def run(
    command: Sequence[str],
    report: Callable[[str], None],
    what: str,
    *,
    every: float = EVERY,
    quiet: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; report each ``every`` seconds how long it has run.

    Args:
        command: the program and its arguments.
        report: called with one line each time.
        what: what the command does, for the line.
        every: seconds between two lines.
        quiet: keep what the command prints, as the result's ``stdout``, instead of passing it on.

    """
    output = subprocess.PIPE if quiet else None
    with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if quiet else None, text=True) as process:
        waited = 0.0
        while True:
            try:
                printed, _ = process.communicate(timeout=every)
            except subprocess.TimeoutExpired:
                waited += every
                minutes, seconds = divmod(int(waited), 60)
                report(f"still {what} ({minutes}:{seconds:02d})")
            else:
                return subprocess.CompletedProcess(command, process.returncode, printed or "")


if __name__ == "__main__":
    _, WHAT, *COMMAND = sys.argv
    sys.exit(run(COMMAND, lambda line: print(line, flush=True), WHAT).returncode)  # noqa: T201 -- for people who run make
