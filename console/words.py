"""Texts of the pages: names of statuses, and formats of times and numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

from cli.text import local, when
from dossier.models import CaseStatus, moment, now
from dossier.questions import BUDGET
from dossier.steps.adopt import OPEN, UPLOAD
from dossier.texts import block


@dataclass(frozen=True, slots=True)
class Chip:
    """How a status is shown: its name, a sign beside the color, and the color's kind."""

    name: str
    sign: str
    kind: str


STATUSES = {
    CaseStatus.ACCEPTED: Chip("Accepted", "○", "going"),
    CaseStatus.UPLOADING: Chip("Uploading", "↑", "going"),
    CaseStatus.WAITING: Chip("Waiting", "◷", "going"),
    CaseStatus.PROCESSING: Chip("Processing", "◷", "going"),
    CaseStatus.DOWNLOADING: Chip("Downloading", "↓", "going"),
    CaseStatus.NEEDS_ATTENTION: Chip("Needs attention", "?", "ask"),
    CaseStatus.WAITING_FOR_FILES: Chip("Waiting for files", "…", "ask"),
    CaseStatus.COMPLETED: Chip("Completed", "✓", "good"),
    CaseStatus.COMPLETED_WITH_FAILURES: Chip("With failures", "!", "mixed"),
    CaseStatus.UPLOADED: Chip("Uploaded", "✓", "good"),
    CaseStatus.FAILED: Chip("Failed", "✕", "bad"),
    CaseStatus.CANCELLED: Chip("Cancelled", "-", "quiet"),
}
UNDER_WAY = (
    CaseStatus.ACCEPTED,
    CaseStatus.UPLOADING,
    CaseStatus.WAITING,
    CaseStatus.PROCESSING,
    CaseStatus.DOWNLOADING,
)


def ago(at: datetime | str | None) -> str:
    """Return how long ago a moment was, in one unit: ``just now``, ``4 min ago``; after two days the date."""
    if not at:
        return ""
    there = moment(at) if isinstance(at, str) else at
    seconds = (now() - there).total_seconds()
    if seconds < 45:
        return "just now" if seconds > -45 else when(there)
    for unit, length, most in (("min", 60, 3600), ("h", 3600, 86_400)):
        if seconds < most:
            return f"{max(1, round(seconds / length))} {unit} ago"
    return "yesterday" if seconds < 2 * 86_400 else when(there)


def filename(path: str | None) -> str:
    """Return the last part of a path; empty without one."""
    return re.split(r"[/\\]", path or "")[-1]


def zone() -> str:
    """Return the name of this machine's time zone, as it is now: ``UTC``, ``CET``."""
    return datetime.now().astimezone().tzname() or "local time"


def percent(share: float | None) -> str:
    """Return a share between 0 and 1 in percent; empty if it is unknown."""
    return "" if share is None else f"{share * 100:.0f} %"


def usd(amount: float | None) -> str:
    """Return an amount of dollars: cents for a large one, enough digits for a small one."""
    if amount is None:
        return "unknown"
    if amount >= 1 or amount == round(amount, 2):
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.01 else f"${amount:.6f}"


def subject(what: str) -> str:
    """Return the subject of a question (``Question.what``) in words: ``open``, ``upload-1``, ``budget``."""
    if what.startswith(UPLOAD) and what.removeprefix(UPLOAD).isdecimal():
        return f"upload {int(what.removeprefix(UPLOAD)) + 1}"
    return {OPEN: "the opening of the case", BUDGET: "the budget"}.get(what, what)


def failure(name: str) -> str:
    """Return the name of an error in words: ``vendor unavailable`` for ``VendorUnavailableError``."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error").replace(".", " "))
    return plain.capitalize() or name


def coded(text: str | None) -> Markup:
    """Return a sentence of Dossier's as HTML: times in this machine's zone, and its commands as code."""
    parts = re.split(r"`([^`]*)`", block(local(text or "")))
    return Markup("").join(
        Markup("<code>{}</code>").format(each) if number % 2 else escape(each) for number, each in enumerate(parts)
    )
