"""Foreign texts (of vendors, file names) made safe to print: one line, without control characters and stacked marks.

All output passes through here: lines and questions through :func:`clean`, documents through :func:`to_json`.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from datetime import UTC, datetime
from typing import Any

LONGEST = 4000
"""The longest printed line, in characters: a longer one would push everything else off the screen."""
LONGEST_QUESTION = 300
"""The longest foreign text in a question, which must stay in sight."""
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}
"""They shape letters of Persian and Hindi, and move no text."""
_MARKS = 4
"""The most marks on one letter: no script needs more, and a stack of them covers other lines."""


def clean(text: object, most: int = LONGEST) -> str:
    """Return a text as one line without control characters, at most ``most`` characters long."""
    kept, marks = [], 0
    for each in str(text):
        category = unicodedata.category(each)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks <= _MARKS:
            kept.append("\n" if category in _HIDDEN and each not in _JOINERS else each)
    # Match each run of blanks once: " *\n" would start again at every blank of a run (quadratic time).
    line = re.sub(r"[ \n]+", lambda run: " " if "\n" in run[0] else run[0], "".join(kept)).rstrip()
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def to_json(value: Any) -> str:
    """Return a value as JSON that is safe on a terminal, with the letters of every script.

    It also escapes the control characters that JSON allows (C1 controls, DEL, marks of direction, line separators,
    tags), which does not change the value. A vendor's number keeps the digits that
    it came with (``dossier.http.Number``).
    """
    mark, numbers = secrets.token_hex(8), list[str]()

    def marked(part: Any) -> Any:
        if isinstance(part, datetime):
            from dossier.models import iso  # noqa: PLC0415 -- keeps `dossier --help` fast

            return iso(part)
        if isinstance(part, dict):
            return {key: marked(each) for key, each in part.items()}
        if isinstance(part, list | tuple):
            return [marked(each) for each in part]
        if isinstance(part, float) and (written := getattr(part, "text", None)) is not None:
            numbers.append(written)
            return f"{mark}{len(numbers) - 1}"
        return part

    text = json.dumps(marked(value), indent=2, ensure_ascii=False)
    text = re.sub(rf'"{mark}(\d+)"', lambda found: numbers[int(found[1])], text) if numbers else text
    return "".join(_escaped(each) if _obeyed(each) else each for each in text)


def _obeyed(character: str) -> bool:
    if character.isascii():
        return character == "\x7f"  # json.dumps escapes the others, and adds the newlines
    return unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def when(at: datetime | str | None, *, seconds: bool = False) -> str:
    """Return a time in this machine's zone, short: with the day or the year only if it is another.

    ``at`` may also be a text in ISO 8601; another text is returned unchanged. None is an empty text.
    """
    try:
        there = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return str(at)
    if there is None:
        return ""
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    here, today = there.astimezone(), datetime.now().astimezone()
    if here.year != today.year:
        return f"{here:%Y-%m-%d}" + (f" {here:%H:%M:%S}" if seconds else "")
    day = "" if here.date() == today.date() else f"{here:%m-%d} "
    return f"{day}{here:%H:%M:%S}" if seconds else f"{day}{here:%H:%M}"


_UTC = re.compile(
    r"(?:(\d{4}-\d\d-\d\d) )?\b(\d\d:\d\d(:\d\d)?) UTC\b|(?<![\w/-])\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?![\w/-])"
)
"""Times as Dossier writes them: ``10:38 UTC``, with a date or without, and ISO 8601; not those in a key or cursor."""


def local(text: str) -> str:
    """Convert the UTC times in a text, as Dossier writes them into notes and reasons, to this machine's zone."""
    return _UTC.sub(_local, text)


def _local(found: re.Match[str]) -> str:
    at = found[0] if found[2] is None else f"{found[1] or datetime.now(UTC).date()}T{found[2]}+00:00"
    shown = when(at, seconds=found[2] is None or found[3] is not None)
    return found[0] if shown == at else shown


def duration(seconds: float) -> str:
    """Return ``0:05``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(number: int) -> str:
    """Return a size in bytes for people: ``512 B``, ``1.5 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
