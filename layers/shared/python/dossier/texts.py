"""Texts of vendors, made fit to store and to show where they enter: printable, in one line, and short.

A vendor's status, error or name is stored in items of the table (400 KiB), sent through queues, states and the bus
(256 KiB), and printed on terminals. Whatever it holds, these functions are what comes of it.
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
"""Last characters of a name that is cut which stay: a file's ending."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""What shows as nothing and is no format character: fillers, variation selectors, tags.
https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt (Default_Ignorable_Code_Point), and a blank."""
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of a text: https://www.unicode.org/reports/tr9, section 2."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def line(text: str, longest: int = ERROR) -> str:
    """Return a text as one printable line of at most ``longest`` characters.

    Control characters, line ends and blanks of every kind become one blank; what shows as nothing (zero-width
    characters, marks of direction, fillers) goes, so that two texts that look the same are the same.
    """
    text = text[: 8 * longest]  # what is beyond cannot show any more, and may be 500 KB
    seen = "".join(_shown(each) for each in _UNSEEN.sub("", text))
    return " ".join(seen.split())[:longest].rstrip()


def name(text: str) -> str:
    """Return a file's name or a title as one printable line; one that is too long keeps its ending."""
    if len(text) > 8 * NAME:
        text = text[: 4 * NAME] + text[-4 * NAME :]
    plain = line(text, 8 * NAME)
    return plain if len(plain) <= NAME else f"{plain[: NAME - _ENDING - 1]}…{plain[-_ENDING:]}"


def block(text: str) -> str:
    """Return a text of several lines without what controls a terminal or turns the direction of the text."""
    return _DIRECTIONS.sub("", _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def identifier(value: object) -> str | None:
    """Return an opaque id as text; None where there is none, or nothing that can be one.

    An id is stored in keys of the table and is a segment of paths: one that is too long, that cannot be printed, or
    that would lead elsewhere (``..``) is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_ID else ""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        return None
    return None if len(value.encode()) > LONGEST_ID_BYTES or leads_elsewhere(value) else value


def leads_elsewhere(text: str) -> bool:
    """Whether a text, as a segment of a path, may make a server or a proxy leave the folder that it stands in.

    Some decode ``%2F`` and ``%2E``, once or twice, or drop a ``;parameter``, before they resolve ``.`` and ``..``.
    """
    for _ in range(3):
        if any(part.partition(";")[0] in {".", ".."} for part in re.split(r"[/\\]", text)):
            return True
        text = re.sub(r"%(2e|2f|5c|25|3b)", lambda found: chr(int(found[1], 16)), text, flags=re.IGNORECASE)
    return False


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return "" if unicodedata.category(character) == "Cf" else " "
