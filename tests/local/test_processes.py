import os
import sys
import time
from pathlib import Path

import pytest

from local.processes import Process, ProcessError, healthy, start, stop, wait_until_healthy

# A parent with a child, both of which are deaf to SIGTERM; the child writes its id.
DEAF = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    child = subprocess.Popen([sys.executable, __file__])
    pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""


def _start_deaf(folder: Path) -> tuple[Process, Process]:
    script, note = folder / "deaf.py", folder / "child"
    script.write_text(DEAF)
    parent = start([sys.executable, script, note], log=folder / "log", environment=os.environ, folder=folder)
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = Process.find(int(note.read_text()))
    assert child is not None
    return parent, child


def test_stop_leaves_no_child_behind(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after the grace, and its child with it."""
    parent, child = _start_deaf(tmp_path)

    assert stop(parent, grace=0.3)

    assert not parent.alive
    assert not child.alive


def test_children_of_a_process_that_died_are_stopped(tmp_path: Path) -> None:
    """Children of a killed process end when it is stopped."""
    parent, child = _start_deaf(tmp_path)
    os.kill(parent.pid, 9)
    os.waitpid(parent.pid, 0)
    assert child.alive

    assert stop(parent)

    assert not child.alive


def test_stop_is_idempotent(tmp_path: Path) -> None:
    """Stopping an ended process does nothing, and reports that."""
    process = start(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        log=tmp_path / "log",
        environment=os.environ,
        folder=tmp_path,
    )

    assert [stop(process), stop(process)] == [True, False]


def test_a_recycled_id_is_left_alone(tmp_path: Path) -> None:
    """A process that started at another time than the one that was noted is neither alive nor stopped."""
    process = start(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        log=tmp_path / "log",
        environment=os.environ,
        folder=tmp_path,
    )
    earlier = Process(pid=process.pid, started="0")

    assert not earlier.alive
    assert not stop(earlier)
    assert process.alive
    stop(process)


def test_a_start_that_fails_says_why(tmp_path: Path, free_port: int) -> None:
    """The message of a process that ended while it was waited for has its last words."""
    command = [sys.executable, "-c", "import time; time.sleep(0.3); raise SystemExit('no such thing')"]
    process = start(command, log=tmp_path / "log", environment=os.environ, folder=tmp_path)

    with pytest.raises(ProcessError, match="no such thing"):
        wait_until_healthy(process, f"http://127.0.0.1:{free_port}/", log=tmp_path / "log", seconds=10)


def test_waiting_for_health_times_out(tmp_path: Path, free_port: int) -> None:
    """A process that never answers is given up on."""
    process = start(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        log=tmp_path / "log",
        environment=os.environ,
        folder=tmp_path,
    )

    with pytest.raises(ProcessError, match="did not answer"):
        wait_until_healthy(process, f"http://127.0.0.1:{free_port}/", log=tmp_path / "log", seconds=0.3)
    assert not healthy(f"http://127.0.0.1:{free_port}/")
    stop(process)
