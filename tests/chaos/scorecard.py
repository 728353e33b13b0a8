"""The scorecard: one page (``docs/reliability.md``) to which each suite contributes a section of figures.

A section is kept as a fragment under ``build/scorecard``, and the page is made anew of all fragments each time one is
written; so suites may run in any order, at once, or alone. ``make chaos`` clears the fragments before it begins.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FRAGMENTS = ROOT / "build" / "scorecard"
HEAD = """# Reliability, measured

`make chaos` writes this page. It runs Dossier on the local AWS with IAM enforced, and counts in the journal of the
simulated vendors, in S3, in the queues and in the table. `make simulate` tries what no machine can, such as lost
answers of AWS, in virtual time: what it has run and found is in [simulation.md](simulation.md#runs-so-far).
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One suite's figures. ``about`` says what was done; ``place`` orders the sections on the page."""

    place: int
    title: str
    about: str
    rows: Mapping[str, Any]
    """The measured figures by name; a mapping is shown as ``name: value, …``, an empty value as ``none``."""

    def markdown(self) -> str:
        """Return the section as Markdown."""
        rows = "".join(f"| {_cell(name)} | {_cell(value)} |\n" for name, value in self.rows.items())
        return f"## {self.title}\n\n{self.about.strip()}\n\n| what | measured |\n| --- | --- |\n{rows}"


def record(section: Section, *, page: str | None = None, fragments: Path = FRAGMENTS) -> None:
    """Put a section on the scorecard, in place of the one with its title; does nothing if no page is asked for.

    The page is ``DOSSIER_SCORECARD`` unless ``page`` names another.
    """
    page = page or os.environ.get("DOSSIER_SCORECARD")
    if not page:
        return
    fragments.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
    (fragments / f"{name}.json").write_text(json.dumps(asdict(section), indent=1), encoding="utf-8")
    found = [Section(**json.loads(each.read_text(encoding="utf-8"))) for each in fragments.glob("*.json")]
    parts = [HEAD, *(each.markdown() for each in sorted(found, key=lambda each: (each.place, each.title)))]
    (ROOT / page).write_text("\n".join(parts), encoding="utf-8")


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{name}: {of}" for name, of in value.items())
    elif isinstance(value, list | tuple | set):
        value = ", ".join(str(each) for each in value)
    text = str(value).replace("|", "\\|").replace("\n", " ")
    return text or "none"
