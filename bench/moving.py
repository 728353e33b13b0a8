"""Part ``moving``: bytes between a vendor and S3, with Dossier's steps, and with curl piped to or from the AWS CLI."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import reached, table

ROOT = Path(__file__).parents[1]
AWS = ROOT / ".venv-bench" / "bin" / "aws"
SIZES = {"10 MB": 10 * 10**6, "100 MB": 100 * 10**6, "1 GiB": 1 << 30}
TIMES = 3
BUCKET = "bench"
DIRECTIONS = {"down": "vendor to S3", "up": "S3 to vendor"}
DOSSIER, PIPE = "Dossier", "curl and the AWS CLI"
MEASURABLE = 0.1
"""Seconds that a file has to take besides the start of the programs."""
START_SECONDS, LONGEST = 30.0, 600.0


@contextmanager
def server(folder: Path, name: str) -> Iterator[str]:
    """Run a server of files on the loopback; yield its address."""
    port_file = folder / f"{name}.port"
    process = subprocess.Popen([sys.executable, "-m", "bench.loopback", str(port_file)], cwd=ROOT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (port_file.exists() and port_file.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server of {name} does not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text()}"
    finally:
        process.kill()
        process.wait()


class Mover:
    """Moves files between a vendor and S3."""

    def __init__(self, vendor: str, s3: str, folder: Path) -> None:
        """Use the servers at these addresses, and a folder for what the programs would read of the user's own."""
        self._vendor = vendor
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "shared" / "python"))),
            "AWS_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def dossier(self, way: str, size: int) -> Moved:
        """Move a file as Dossier's functions do."""
        command = [sys.executable, "-m", "bench.mover", way, str(size), self._vendor, BUCKET]
        began = time.monotonic()
        with _cpu() as cpu:
            done = subprocess.run(
                command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False, timeout=LONGEST
            )
        if done.returncode:
            raise RuntimeError(f"Dossier, {way}: {done.stderr[-500:]}")
        return Moved(time.monotonic() - began, cpu(), json.loads(done.stdout)["kib"] / 1024)

    def pipe(self, way: str, size: int) -> Moved:
        """Move a file with ``curl | aws s3 cp -``, or with ``aws s3 cp - | curl``."""
        if way == "down":
            first = ["curl", "-sf", f"{self._vendor}/file/{size}"]
            second = [str(AWS), "s3", "cp", "-", f"s3://{BUCKET}/{size}", "--expected-size", str(size)]
        else:
            first = [str(AWS), "s3", "cp", f"s3://{BUCKET}/staging/{size}", "-"]
            second = ["curl", "-sf", "-T", "-", f"{self._vendor}/api/v1/documents/upload"]
        began, kib = time.monotonic(), 0.0
        with _cpu() as cpu:
            one = subprocess.Popen(first, env=self._environment, stdout=subprocess.PIPE)
            other = subprocess.Popen(second, env=self._environment, stdin=one.stdout, stdout=subprocess.DEVNULL)
            if one.stdout is not None:
                one.stdout.close()
            for process in (other, one):
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                kib += used.ru_maxrss
        if one.returncode or other.returncode:
            raise RuntimeError(f"curl and the AWS CLI, {way}: {one.returncode}, {other.returncode}")
        return Moved(time.monotonic() - began, cpu(), kib / 1024)


@dataclass(frozen=True, slots=True)
class Moved:
    """One file: seconds, seconds of CPU of the programs (not the servers), and the most MiB of their memory."""

    seconds: float
    cpu: float
    mib: float


@contextmanager
def _cpu() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the CPU seconds that the children have used since."""

    def used() -> float:
        found = resource.getrusage(resource.RUSAGE_CHILDREN)
        return found.ru_utime + found.ru_stime

    before = used()
    yield lambda: used() - before


def run(sizes: Mapping[str, int] = SIZES, times: int = TIMES) -> dict[str, Any]:
    """Move every size both ways, by turns; how long the programs take for an empty file is measured first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server(folder, "vendor") as vendor, server(folder, "s3") as s3:
            mover = Mover(vendor, s3, folder)
            ways: dict[str, Callable[[str, int], Moved]] = {DOSSIER: mover.dossier, PIPE: mover.pipe}
            found: dict[str, Any] = {}
            for direction in DIRECTIONS:
                empty = {who: [move(direction, 0) for _ in range(times)] for who, move in ways.items()}
                for label, size in sizes.items():
                    moved: dict[str, list[Moved]] = {who: [] for who in ways}
                    for _ in range(times):  # in turn, so that a busy moment hits both
                        for who, move in ways.items():
                            moved[who].append(move(direction, size))
                    found[f"{direction} {label}"] = {
                        who: _summary(size, moved[who], empty[who]) | {"direction": direction, "size": label}
                        for who in ways
                    }
    return found


def _summary(size: int, moved: list[Moved], empty: list[Moved]) -> dict[str, Any]:
    start = statistics.median(each.seconds for each in empty)
    seconds = statistics.median(each.seconds for each in moved)
    return {
        "seconds": seconds,
        "start": start,
        "mb_per_second": size / 1e6 / (seconds - start) if seconds - start > MEASURABLE else None,
        "cpu": statistics.median(each.cpu for each in moved),
        "mib": max(each.mib for each in moved),
    }


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    ratios = {label: _ratio(both) for label, both in found.items()}
    known = {label: ratio for label, ratio in ratios.items() if ratio is not None}
    worst = min((ratio for label, ratio in known.items() if label.endswith("1 GiB")), default=0.0)
    peaks = {
        direction: [both[DOSSIER]["mib"] for both in found.values() if both[DOSSIER]["direction"] == direction]
        for direction in DIRECTIONS
    }
    apart = max(max(each) / min(each) - 1 for each in peaks.values() if each)
    most = max(max(each) for each in peaks.values() if each)
    targets = [
        ["At least 0.9 times the throughput of curl and the AWS CLI, 1 GiB", f"{worst:.2f}", reached(worst >= 0.9)],
        ["The same, the worst of all sizes", f"{min(known.values()):.2f}", reached(min(known.values()) >= 0.9)],
        ["Peak memory equal at all sizes (±10 %)", f"+{100 * apart:.0f} %", reached(apart <= 0.1)],
        ["Peak memory at most 256 MiB", f"{most:.0f} MiB", reached(most <= 256)],
    ]
    rows = [
        [
            f"{DIRECTIONS[both[DOSSIER]['direction']]}, {both[DOSSIER]['size']}",
            _or_none(ratios[label], 2),
            *(_or_none(both[who]["mb_per_second"], 0) for who in (DOSSIER, PIPE)),
            *(f"{both[who]['seconds']:.1f} ({both[who]['start']:.1f})" for who in (DOSSIER, PIPE)),
            *(f"{both[who]['cpu']:.2f}" for who in (DOSSIER, PIPE)),
            *(f"{both[who]['mib']:.0f}" for who in (DOSSIER, PIPE)),
        ]
        for label, both in found.items()
    ]
    head = ("file", "throughput, of the pipe's", "Dossier, MB/s", "pipe, MB/s", "Dossier, s (start)", "pipe, s (start)",
            "Dossier, CPU s", "pipe, CPU s", "Dossier, MiB", "pipe, MiB")  # fmt: skip
    return [*table(("target", "figure", "reached"), targets), "", *table(head, rows)]


def _or_none(number: float | None, digits: int) -> str:
    return "—" if number is None else f"{number:.{digits}f}"


def _ratio(both: Mapping[str, Any]) -> float | None:
    own, pipe = (both[who]["mb_per_second"] for who in (DOSSIER, PIPE))
    return None if own is None or pipe is None else float(own / pipe)
