"""Background processes: start one that outlives this process, find it again, and stop it with its children.

The system reuses process ids. So each process is recorded with its start time, and no signal is sent to a process that
started at another time.
"""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

_LOOK = 0.05
_PROC = Path("/proc")


class ProcessError(Exception):
    """A background process did not start; the message ends with the end of its log."""


class Process(BaseModel):
    """A background process, which leads its own session and process group.

    Attributes:
        pid: the id of the process and of its group.
        started: the start time as the system writes it; only compared.

    """

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> Self | None:
        """Return the process that has this id now; None if there is none, or only a zombie."""
        started = _started(pid)
        return cls(pid=pid, started=started) if started else None

    @property
    def alive(self) -> bool:
        """Return whether this process still runs."""
        return _started(self.pid) == self.started


def start(command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str], folder: Path) -> Process:
    """Start a process that outlives this one.

    Args:
        command: what to run.
        log: gets its output; an earlier log is replaced.
        environment: all of its variables.
        folder: its working directory.

    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    process = Process.find(child.pid)
    # The process outlives us by design: this keeps Popen from warning about that.
    child.returncode = 0
    if process is None:
        raise ProcessError(f"{Path(command[0]).name} ended at once{_log_end(log)}")
    return process


def wait_until_healthy(process: Process, url: str, *, log: Path, seconds: float) -> None:
    """Wait until a process answers a GET with 200.

    Raises:
        ProcessError: if the process ends before that, or does not answer in time.

    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if healthy(url):
            return
        _collect(process.pid)
        if not process.alive:
            raise ProcessError(f"it ended while it started{_log_end(log)}")
        time.sleep(_LOOK)
    raise ProcessError(f"it did not answer {url} within {seconds:.0f} s{_log_end(log)}")


def healthy(url: str) -> bool:
    """Return whether a GET gets a 200 now."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the loopback needs no proxy
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def stop(process: Process, *, grace: float = 5.0) -> bool:
    """Stop a process and every process of its group; return whether there was anything to stop.

    The leader gets SIGTERM and has ``grace`` seconds to end; then the rest of the group is killed. If the id belongs to
    another process by now, this does nothing: the system reuses an id only when its group is empty.
    """
    present = _started(process.pid)
    if present is not None and present != process.started:
        return False
    if present is None and not _group(process.pid):
        return False
    if present is not None:
        _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while process.alive and time.monotonic() < deadline:
            time.sleep(_LOOK)
            _collect(process.pid)
    kill_group(process.pid)
    return True


def kill_group(group: int) -> None:
    """Kill the rest of a process group, and wait until it is gone."""
    deadline = time.monotonic() + 5.0
    while _group(group) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(_LOOK)
        _collect(group)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _collect(pid: int) -> None:
    """Reap an ended child; a process of an earlier ``up`` is not our child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _started(pid: int) -> str | None:
    """Return the start time of a process; None if there is none, or only a zombie."""
    if _PROC.joinpath("self", "stat").exists():
        fields = _stat(pid)
        return fields[19] if fields and fields[0] not in "ZX" else None  # field 22 of proc(5), the state is field 3
    answer = _ps("-o", "stat=,lstart=", "-p", str(pid))
    state, _, started = answer.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _group(group: int) -> list[int]:
    """Return the living members of a process group."""
    if _PROC.joinpath("self", "stat").exists():
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
        stats = {pid: _stat(pid) for pid in pids}
        return [pid for pid, fields in stats.items() if fields and int(fields[2]) == group and fields[0] not in "ZX"]
    lines = [line.split() for line in _ps("-axo", "pid=,pgid=,stat=").splitlines()]
    return [int(line[0]) for line in lines if int(line[1]) == group and not line[2].startswith("Z")]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on; the name before it may contain anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout


def _log_end(log: Path, lines: int = 5) -> str:
    try:
        written = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        written = []
    return "".join(f"\n  {line}" for line in written[-lines:]) + f"\n  (full log: {log})"
