"""Make foreign file names safe to store: never a path, never two equal names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

LONGEST = 150
"""Longest stored name, in bytes of UTF-8 (an S3 key has at most 1,024)."""
LONGEST_SENT = 255
"""Longest name that is sent to a vendor, in bytes of UTF-8."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")
"""Zero-width non-joiner and joiner: part of how Persian, Hindi and others are written."""
_UNSENT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    "\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Characters that are removed from a name: controls, lone surrogates, direction marks and invisible characters. Marks
of a script, joiners, tags of a flag and private-use characters stay."""
_SEPARATORS = frozenset('/\\:*?"<>|\u2044\u2215\u29f8\u29f9')
"""Characters of paths and shells, and look-alikes of slashes."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
"""https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file"""


def safe_name(name: str) -> str:
    """Return a name without path and control characters; letters of every script stay.

    Path separators and look-alikes of separators and dots (such as U+2215 and U+FF0E, by NFKC) become ``_``. Blanks and
    dots at both ends are removed. Reserved names of Windows get a ``_`` prefix. A long name is cut before its ending.
    The result is never empty, has at most ``LONGEST`` bytes, and a safe name is returned unchanged.
    """
    if len(name) > 8 * LONGEST:  # normalizing unordered marks takes quadratic time
        name = name[: 4 * LONGEST] + name[-4 * LONGEST :]
    given = unicodedata.normalize("NFC", name)
    kept = unicodedata.normalize(
        "NFC", "".join(_one(each, given[at - 1 : at], given[at + 1 : at + 2]) for at, each in enumerate(given))
    )
    kept = re.sub(r"_{2,}", "_", kept).strip(" .") if kept.strip(" ._") else ""
    if not kept:
        return "unnamed"
    if _RESERVED.fullmatch(kept):
        kept = f"_{kept}"
    return _shorten(kept)


def unique_names(names: Iterable[str]) -> list[str]:
    """Return safe names in the same order; a repeated one gets ``-2``, ``-3``… before its ending.

    Names that only differ in case count as equal, so that they can be downloaded to any file system.
    """
    taken: dict[str, int] = {}
    """How often a name has occurred; the next number continues from there."""
    result = []
    for name in names:
        safe = candidate = safe_name(name)
        while (key := _folded(candidate)) in taken:
            taken[_folded(safe)] += 1
            candidate = _shorten(safe, f"-{taken[_folded(safe)]}")
        taken[key] = 1
        result.append(candidate)
    return result


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def proper_names(names: Iterable[str]) -> list[str]:
    """Return names to show and to send, in the same order: the caller's, with a number for a repeated one.

    Control characters and direction marks are removed; a long name is cut before its ending. Names are only equal if
    they are the same in Unicode's NFC.
    """
    taken: dict[str, int] = {}
    result = []
    for name in names:
        proper = candidate = _proper(name)
        while (key := unicodedata.normalize("NFC", candidate)) in taken:
            taken[unicodedata.normalize("NFC", proper)] += 1
            candidate = _shorten(proper, f"-{taken[unicodedata.normalize('NFC', proper)]}", LONGEST_SENT)
        taken[key] = 1
        result.append(candidate)
    return result


def _proper(name: str) -> str:
    kept = re.sub(r"[/\\]", "_", _UNSENT.sub("", name)).strip()  # a name, and never a path
    shows = any(unicodedata.category(each) not in {"Cf", "Zs"} for each in kept)
    return _shorten(kept, "", LONGEST_SENT) if shows else "unnamed"


def _one(character: str, before: str, after: str) -> str:
    if character in JOINERS:
        return character if _is_joined(before) and _is_joined(after) else ""
    if unicodedata.category(character) in _UNSEEN and not _is_rare(character):
        return ""
    if unicodedata.category(character) == "Zs":
        return " "
    plain = unicodedata.normalize("NFKC", character)
    looks_like_dots = character != "." and "." in plain
    return "_" if looks_like_dots or any(each in _SEPARATORS for each in plain + character) else character


def _is_joined(letter: str) -> bool:
    """Whether a joiner next to this character has a meaning: letters of scripts with joined forms, and emoji."""
    return letter != "" and unicodedata.category(letter) in {"Lo", "Lm", "Mn", "Mc", "So", "Sk"}


def _is_rare(character: str) -> bool:
    """Whether a character is in the planes of ideographs, where this Python's Unicode data may be incomplete."""
    return 0x20000 <= ord(character) <= 0x3FFFD and ord(character) & 0xFFFF < 0xFFFE


def _shorten(name: str, number: str = "", longest: int = LONGEST) -> str:
    """Return the name with ``number`` before its ending, and its stem cut to fit ``longest`` bytes."""
    suffix = PurePosixPath(name).suffix
    if len(name.encode()) + len(number) <= longest:
        return name.removesuffix(suffix) + number + suffix
    suffix = suffix if len(suffix.encode()) <= 20 else ""
    stem = name.removesuffix(suffix).encode()[: longest - len((number + suffix).encode())]
    return (stem.decode(errors="ignore").rstrip(" .") + number + suffix).rstrip(" .")
