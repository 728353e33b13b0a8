"""Suggest the known word that a misspelt one was meant to be. Only imports the standard library."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_LISTED = 20
"""Most known words that are listed if none of them is close."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to ``word``, regardless of case and separators, or None."""
    plain = {_plain(each): each for each in known}
    found = difflib.get_close_matches(_plain(word), list(plain), n=1)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "…"?``, or an empty text if no known word is close."""
    found = closest(word, known)
    return f'; did you mean "{found}"?' if found else ""


def suggested(word: str, known: Iterable[str]) -> str:
    """Return the closest word as a question, or else the known words."""
    names = [*known]
    more = ", …" if len(names) > MOST_LISTED else ""
    listed = f"; known are {', '.join(names[:MOST_LISTED])}{more}" if names else ""
    return did_you_mean(word, names) or listed


def _plain(word: str) -> str:
    return word.strip().casefold().replace("-", "_").replace(" ", "_")
