"""Part ``starts``: what each function imports, beside a bare one, and the first delivery of a cold webhook function."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report import reached, table
from bench.webhook import BARE, DOSSIER, body_of, signed
from infra.dependencies import dependency_folder

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "layers" / "shared" / "python"
VERBS = sorted(each.parent.name for each in (ROOT / "functions").glob("*/handler.py"))
CLIENTS = "import boto3; boto3.client('sqs'); boto3.resource('dynamodb'); "
"""What both make: a queue's client and a table's."""
MEASURE = "import sys, time; print(time.process_time(), len(sys.modules))"
TIMES = 5
"""Processes of each kind; the median counts."""
MOST = 1.4
MODULES = {DOSSIER: "functions.webhook.handler", BARE: "bare"}


def run(times: int = TIMES) -> dict[str, Any]:
    """Start each function, the bare one, and the interpreter alone, by turns; then both cold webhook functions."""
    codes = {"": "", BARE: CLIENTS} | {verb: f"{importing(verb)}{CLIENTS}" for verb in VERBS}
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in codes}
    for _ in range(times):
        for name, code in codes.items():
            seconds, modules = python("-c", f"{code}{MEASURE}").split()
            taken[name].append((float(seconds), int(modules)))
    starts = {
        name: {"seconds": statistics.median(each for each, _ in all_), "modules": all_[0][1]}
        for name, all_ in taken.items()
    }
    first = {who: _first(who, times) for who in MODULES}
    return {"interpreter": starts.pop(""), "starts": starts, "first": first, "layers": layers()}


def layers() -> dict[str, int]:
    """Return the bytes of the layers that a cold start unpacks, by what they have."""
    folders = {"Dossier's own package": SHARED, "third-party packages": dependency_folder(ROOT, "arm64")}
    return {
        name: sum(
            each.stat().st_size for each in folder.rglob("*") if each.is_file() and "__pycache__" not in each.parts
        )
        for name, folder in folders.items()
    }


def _first(who: str, times: int) -> dict[str, float]:
    """Return CPU seconds of a cold function's first delivery, and its requests to AWS."""
    body = body_of(0)
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            words = ("-m", "bench.handlers", folder, "first", MODULES[who], body.decode(), signed(body))
            found.append(json.loads(python(*words, path=(str(ROOT), folder))))
    return {"seconds": statistics.median(each["seconds"] for each in found), "requests": found[0]["requests"]}


def importing(verb: str) -> str:
    """Return the code of a function's cold start."""
    return f"import sys; sys.path.insert(0, {str(ROOT / 'functions' / verb)!r}); import handler; "


def python(*words: str, path: tuple[str, ...] = ()) -> str:
    """Run a new process in the environment that the functions need; return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((*path, str(SHARED))),
        "POWERTOOLS_METRICS_NAMESPACE": "Dossier",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DOSSIER_WAKE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/wake",
        "DOSSIER_BUCKET": "b",
    }
    command = [sys.executable, "-W", "ignore", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return done.stdout


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    alone, starts = found["interpreter"], dict(found["starts"])
    bare = starts.pop(BARE)

    def ratio(name: str, what: str) -> float:
        return float((starts[name][what] - alone[what]) / (bare[what] - alone[what]))

    slowest = max(starts, key=lambda name: ratio(name, "seconds"))
    most = max(starts, key=lambda name: ratio(name, "modules"))
    dossier, plain = (found["first"][who] for who in (DOSSIER, BARE))
    targets = [
        [f"Each function imports in at most {MOST} times the CPU of a bare one with the same clients",
         f"{ratio(slowest, 'seconds'):.2f} ({slowest})", reached(ratio(slowest, "seconds") <= MOST)],
        ["The same for modules", f"{ratio(most, 'modules'):.2f} ({most})", reached(ratio(most, "modules") <= MOST)],
    ]  # fmt: skip
    rows = [
        [name, f"{1000 * (starts[name]['seconds'] - alone['seconds']):.0f}", f"{ratio(name, 'seconds'):.2f}",
         f"{starts[name]['modules'] - alone['modules']}", f"{ratio(name, 'modules'):.2f}"]
        for name in sorted(starts, key=lambda name: -ratio(name, "seconds"))
    ]  # fmt: skip
    rows.append(
        [BARE, f"{1000 * (bare['seconds'] - alone['seconds']):.0f}", "1.00", f"{bare['modules'] - alone['modules']}",
         "1.00"]
    )  # fmt: skip
    firsts = [
        [who, f"{1000 * each['seconds']:.0f}", f"{each['requests']:.0f}"]
        for who, each in ((DOSSIER, dossier), (BARE, plain))
    ]
    return [
        *table(("target", "figure", "reached"), targets),
        "",
        *table(("function", "CPU, ms", "of the bare one's", "modules", "of the bare one's"), rows),
        "",
        *table(("first delivery of a cold webhook function", "CPU, ms", "requests to AWS"), firsts),
        "",
        *table(("layer", "MiB, unpacked"), [[name, f"{size / 2**20:.1f}"] for name, size in found["layers"].items()]),
    ]
