"""Clean a vendor's texts where they enter: printable, on one line, and short.

A vendor's status, error or name is stored in items of the table (400 KiB), sent through queues, states and the bus
(256 KiB), and printed on terminals.
"""

from __future__ import annotations

import re
import unicodedata

STATUS, ERROR, NAME = 100, 300, 500
"""Longest status, error text, and name or title, in characters."""
LONGEST_ID = 512
"""Longest id, in characters."""
LONGEST_ID_BYTES = 2012
"""Longest id, in bytes of UTF-8: ``ID#<connection>#<id>`` is a key of the table, which has at most 2,048.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
_ENDING = 20
"""Last characters that stay when a name is cut, to keep a file's ending."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Invisible characters that are not format characters: fillers, variation selectors, tags.
https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt (Default_Ignorable_Code_Point), and a blank."""
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that change the direction of a text: https://www.unicode.org/reports/tr9, section 2."""
_CONSONANT_Y = re.compile("(?<=[^aeiou])y$")
"""The end of a word whose plural ends in ``ies``."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def line(text: str, longest: int = ERROR) -> str:
    """Return a text as one printable line of at most ``longest`` characters.

    Control characters, line ends and blanks of every kind become one blank. Invisible characters (zero-width, direction
    marks, fillers) are removed, so that two texts that look the same are the same.
    """
    seen = ""
    for character in _UNSEEN.sub("", text[: 8 * longest]):  # the rest, perhaps 500 KB, is cut anyway
        if character.isprintable():
            seen += character
        elif unicodedata.category(character) != "Cf":
            seen += " "
    return " ".join(seen.split())[:longest].rstrip()


def counted(number: int, what: str) -> str:
    """Return ``1 document``, ``2 documents``, ``0 deliveries``, ``2,000 documents``."""
    if number == 1:
        return f"{number:,} {what}"
    return f"{number:,} {_CONSONANT_Y.sub('ie', what)}s"


def the_last(number: int, what: str) -> str:
    """Return ``the last poll``, ``the last 2 polls``."""
    return f"the last {what}" if number == 1 else f"the last {counted(number, what)}"


def name(text: str) -> str:
    """Return a file name or a title as one printable line; a long one is cut before its ending."""
    if len(text) > 8 * NAME:
        text = text[: 4 * NAME] + text[-4 * NAME :]
    plain = line(text, 8 * NAME)
    return plain if len(plain) <= NAME else f"{plain[: NAME - _ENDING - 1]}…{plain[-_ENDING:]}"


def block(text: str) -> str:
    """Return a text of several lines without terminal controls and direction marks."""
    return _DIRECTIONS.sub("", _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def identifier(value: object) -> str | None:
    """Return an opaque id as text, or None if it is missing or unusable.

    Ids are used in keys of the table and as segments of paths, so an id must not be too long, must be printable, and
    must not lead elsewhere (``..``).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_ID else ""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        return None
    return None if len(value.encode()) > LONGEST_ID_BYTES or leads_elsewhere(value) else value


def leads_elsewhere(text: str) -> bool:
    """Whether a text, as a segment of a path, may lead a server or proxy to another folder.

    Some of them decode ``%2F`` and ``%2E``, once or twice, or drop a ``;parameter`` before they resolve ``.`` and
    ``..``.
    """
    for _ in range(3):
        if any(part.partition(";")[0] in {".", ".."} for part in re.split(r"[/\\]", text)):
            return True
        text = re.sub(r"%(2e|2f|5c|25|3b)", lambda found: chr(int(found[1], 16)), text, flags=re.IGNORECASE)
    return False
