"""``make bench``: runs every part, or those that ``ONLY`` names, and writes docs/benchmarks.md."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from bench import report

PARTS = ("cases", "polling", "slower", "counts", "moving", "webhook", "starts", "growth")
"""The modules of this folder that are parts, in the page's order."""


class Part(Protocol):
    """What a part's module has."""

    run: Callable[[], Mapping[str, Any]]
    section: Callable[[Mapping[str, Any]], list[str]]


def main() -> int:
    """Run the parts; a part that fails leaves its section as it was. Return the exit code."""
    wanted = os.environ.get("ONLY", "").replace(",", " ").split() or PARTS
    if unknown := sorted(set(wanted) - set(PARTS)):
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted:
        part, load, began = cast("Part", import_module(f"bench.{name}")), os.getloadavg(), time.monotonic()
        print(f"{name} …", flush=True)
        try:
            found = part.run()
        except Exception as error:  # noqa: BLE001 -- the other parts run; the exit code says so
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
            failed.append(name)
            continue
        seconds = time.monotonic() - began
        report.save(name, found)
        report.write(name, [report.taken(load, seconds), "", *part.section(found)])
        print(f"{name}: {seconds:.0f} s", flush=True)
    print(f"{report.PAGE.relative_to(report.ROOT)} is written; the results are in build/bench")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
