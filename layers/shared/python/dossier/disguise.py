"""Disguise an answer: same keys, types and formats, other content, so that it can be shown and stored as a recording.

Within one :class:`Disguise` equal texts stay equal, so ids still match. Statuses, stages and types stay unchanged,
because a recording has to show them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Any

LONGEST = 200
"""Characters of a text that stay."""
_WORDS = re.compile(r"[A-Za-z][A-Za-z _-]{0,39}")
_PLAIN = ("status", "type", "stage", "stage_id", "event", "currency", "mime_type")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?")
_PREFIXED = re.compile(r"([a-z]+_{1,2})([A-Za-z0-9]+)")
_HEX = re.compile(r"[0-9a-f-]+")
_ENDING = re.compile(r"\.[A-Za-z]{2,4}")


class Disguise:
    """Replaces an answer's content. ``key`` makes the replacement repeatable; by default the key is random."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = secrets.token_bytes(16) if key is None else key

    def value(self, value: Any, name: str = "") -> Any:
        """Return a decoded JSON value in disguise; ``name`` is the key that it was found under."""
        if isinstance(value, dict):
            return {key: self.value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, name) for each in value]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return self._number(value)
        return value if _is_word(name, value) else self.text(value)

    def text(self, text: str) -> str:
        """Return a text in disguise, of the same form: date, time, id, file name or words."""
        text = text[:LONGEST]
        if _DATE.match(text):
            return _CLOCK.sub("12:00:00", _DATE.sub("2026-01-31", text, count=1), count=1)[: len(text)]
        found = _PREFIXED.fullmatch(text)
        prefix, rest = (found[1], found[2]) if found else ("", text)
        ending = _ENDING.search(rest[-5:])
        tail = ending[0] if ending and rest.endswith(ending[0]) else ""
        return f"{prefix}{self._letters(rest.removesuffix(tail))}{tail}"

    def _letters(self, text: str) -> str:
        classes = ["abcdef" if _HEX.fullmatch(text) else string.ascii_lowercase, string.ascii_uppercase, string.digits]
        stream = hashlib.shake_256(self._key + text.encode()).digest(len(text))
        return "".join(_other(each, number, classes) for each, number in zip(text, stream, strict=True))

    def _number(self, number: float) -> float:
        """Return another number of the same form; a share between 0 and 1, such as a confidence, stays."""
        if 0 <= number <= 1:
            return number
        digits = self._letters(str(abs(int(number)))).lstrip("0") or "1"
        found: float = int(digits) if isinstance(number, int) else float(f"{digits}.5")
        return -found if number < 0 else found


def _is_word(name: str, value: str) -> bool:
    """Whether a value is a word of the vendor's own, such as a status."""
    plain = name.lower()
    return (plain in _PLAIN or plain.endswith("status")) and _WORDS.fullmatch(value) is not None


def _other(letter: str, number: int, classes: list[str]) -> str:
    for each, every in zip(classes, (string.ascii_lowercase, string.ascii_uppercase, string.digits), strict=True):
        if letter in every:
            return each[number % len(each)]
    return "x" if letter.isalnum() else letter
