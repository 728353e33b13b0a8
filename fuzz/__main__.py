"""Fuzzes every target for a while: ``python -m fuzz [--seconds N] [TARGET …]``. Findings go into build/fuzz."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

from fuzz.seeds import ROOT, seeds, words
from fuzz.targets import TARGETS

FOLDER = ROOT / "build" / "fuzz"
HANG, MEMORY = 10, 2048
"""Seconds of one run, and MiB of the process, that count as a finding."""
LATE = 120
"""Extra seconds for a fuzzer to load, and to run its first inputs."""


def main() -> int:
    """Return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    given = parser.parse_args()
    unknown = sorted(set(given.targets) - TARGETS.keys())
    if unknown:
        parser.error(f'unknown target "{unknown[0]}": use {", ".join(TARGETS)}')
    sound = [fuzz(name, given.seconds) for name in given.targets or TARGETS]
    return 0 if all(sound) else 1


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz a target, print the outcome in one line, and return whether every promise held."""
    folder = FOLDER / name
    _prepare(name, folder)
    before = _inputs(folder)
    log, code = _run(name, folder, seconds)
    ran = re.search(r"Done (\d+) runs in (\d+) second", log)
    covered = re.findall(r" cov: (\d+) ft: (\d+)", log)
    pace = f"{int(ran[1]) / max(1, int(ran[2])):,.0f} runs/s" if ran else "ended early"
    coverage = f"{covered[-1][0]} branches, {covered[-1][1]} features" if covered else "no coverage"
    sound = code == 0 and ran is not None and bool(covered)
    print(f"{name:9} {seconds:4} s  {pace:>14}  {coverage}  {'nothing found' if sound else 'FOUND'}", flush=True)
    if not sound:
        error = re.search(r"Uncaught Python exception: ===\n(.*)", log)
        print(f"  {error[1] if error else 'no exception'}\n  log: {_shown(folder / 'log')}", flush=True)
        for each in sorted(_inputs(folder) - before):
            print(f"  again: python -m fuzz.one {name} {_shown(each)}", flush=True)
    return sound


def _prepare(name: str, folder: Path) -> None:
    """Write the fuzzer's first inputs; the corpus of earlier runs stays."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds(name):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    (folder / "words").write_text("".join(f'"{word.decode()}"\n' for word in words(name)), encoding="utf-8")


def _run(name: str, folder: Path, seconds: int) -> tuple[str, int]:
    """Return the fuzzer's log, and its exit code, which is not 0 after a finding."""
    command = [
        *(sys.executable, "-m", "fuzz.one", name),
        *(f"-max_total_time={seconds}", f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}"),
        *(f"-max_len={TARGETS[name].longest}", f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/"),
        str(folder / "corpus"),
    ]
    log = folder / "log"
    with log.open("wb") as out:
        done = subprocess.run(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, check=False, timeout=seconds + LATE
        )
    return log.read_text(encoding="utf-8", errors="replace"), done.returncode


def _inputs(folder: Path) -> set[Path]:
    """Return the inputs that broke a promise."""
    return {path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")}


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
