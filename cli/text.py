"""Texts of others (vendors, file names) made safe to print: no control characters, one line."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def clean(text: object) -> str:
    """Return a text as one line that a terminal shows and never obeys."""
    kept = "".join("\n" if unicodedata.category(each) in _HIDDEN else each for each in str(text))
    return re.sub(r" *\n[ \n]*", " ", kept).rstrip()


def counted(number: int, what: str) -> str:
    """Return ``1 document``, ``2 documents``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


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
