"""Suggestions: which known word a misspelt one was probably meant to be. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_LISTED = 20
"""Most known words that a suggestion lists where none of them is close."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that resembles ``word`` most, whatever its case and its separators; None if none does."""
    plain = {_plain(each): each for each in known}
    found = difflib.get_close_matches(_plain(word), list(plain), n=1)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "…"?``, or an empty text where no known word is close."""
    found = closest(word, known)
    return f'; did you mean "{found}"?' if found else ""


def suggested(word: str, known: Iterable[str]) -> str:
    """Return the close word as a question, or else the known words."""
    names = [*known]
    more = ", …" if len(names) > MOST_LISTED else ""
    listed = f"; known are {', '.join(names[:MOST_LISTED])}{more}" if names else ""
    return did_you_mean(word, names) or listed


def _plain(word: str) -> str:
    return word.strip().casefold().replace("-", "_").replace(" ", "_")
