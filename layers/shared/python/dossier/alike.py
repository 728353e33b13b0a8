"""Whether two file names may be of one file.

Vendors rewrite names: they fold letters to ASCII, change the case, encode or drop what is no letter, read UTF-8 as
Latin-1, put a time in front, number a second file of a name, drop the ending. So a name that differs proves nothing;
one that is alike (:func:`alike`) says that it may be the same file, and only that.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from dossier.texts import name as line

LONGEST = 1024
"""Characters of a name that are compared."""
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
        "ŧ": "t",
        "ŋ": "n",
    }
)
"""Latin letters that no Unicode decomposition takes apart."""
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})
_ENDING = re.compile(r"\.[a-z]{2,5}[0-9]?$")
_DOCUMENT = re.compile(
    r"\.(pdf|png|jpe?g|tiff?|gif|bmp|webp|heic|docx?|xlsx?|pptx?|odt|rtf|txt|csv|html?|json|xml|eml|msg|zip|p7m)$"
)
_RANDOM = re.compile(r"(?=.*[0-9])[0-9a-ftz]{6,}")
"""A time, a number or a random id in hexadecimal digits."""
_NUMBER = re.compile(r"[0-9]{1,3}")
_MOST_TOKENS = 9
"""Parts of a name that a time or a random id may consist of: a date with its time has seven."""


def same(one: str | None, other: str | None) -> bool:
    """Whether two names are one, as text: Unicode's NFC, as either side may compose it, of what shows."""
    return one is not None and other is not None and _nfc(line(one)) == _nfc(line(other))


def alike(sent: str, listed: str | None) -> bool:
    """Whether a file that was sent as ``sent`` may be listed as ``listed``."""
    if not listed:
        return False
    if same(sent, listed):
        return True
    wanted = _wholes(sent)
    return bool(wanted & _wholes(listed)) or any(_extends(tokens, wanted) for tokens in _forms(listed))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which of the listed names is which of those that were sent, by their places."""

    found: dict[int, int]
    """Place among the listed by place among the sent, where it can be only that one."""
    exact: bool
    """Whether all of ``found`` have their very names."""
    unsure: frozenset[int]
    """Places of listed names that may be of a file that was sent, while it cannot be said of which."""


def pair(sent: Sequence[str], listed: Sequence[str | None]) -> Pairs:
    """Match names that were sent with names that are listed: the same ones in order, then the alike ones.

    Names that are alike are matched where as many are listed as were sent: one for one, or all in order.
    """
    found: dict[int, int] = {}
    free = list(range(len(listed)))
    for place, name in enumerate(sent):
        match = next((each for each in free if same(name, listed[each])), None)
        if match is not None:
            found[place] = match
            free.remove(match)
    exact, unsure = True, set[int]()
    for near in (_equal, alike):
        left = [place for place in range(len(sent)) if place not in found]
        options = {place: [each for each in free if near(sent[place], listed[each])] for place in left if sent[place]}
        for wanted, there in _groups(options):
            matched = _matched(options, wanted) if len(wanted) == len(there) else None
            exact = exact and matched is None
            found.update(matched or {})
            unsure |= set() if matched else there
        free = [each for each in free if each not in {*found.values()}]
    unsure = {each for each in unsure if each not in {*found.values()}}
    unsure |= {each for each in free if any(alike(name, listed[each]) for name in sent)}
    return Pairs(found, exact, frozenset(unsure))


def _groups(options: Mapping[int, Sequence[int]]) -> Iterator[tuple[set[int], set[int]]]:
    """Yield places of the sent, and of the listed, that hang together by being alike."""
    left = {place: set(there) for place, there in options.items() if there}
    while left:
        place, there = next(iter(left.items()))
        wanted = {place}
        while more := {each for each, others in left.items() if others & there} - wanted:
            wanted |= more
            there = there.union(*(left[each] for each in more))
        left = {each: others for each, others in left.items() if each not in wanted}
        yield wanted, there


def _matched(options: Mapping[int, Sequence[int]], wanted: Iterable[int]) -> dict[int, int] | None:
    """Return one listed place for each that is wanted, in order, those with the fewest to choose from first."""
    matched: dict[int, int] = {}
    for place in sorted(wanted, key=lambda each: (len(options[each]), each)):
        free = next((each for each in options[place] if each not in matched.values()), None)
        if free is None:
            return None
        matched[place] = free
    return matched


def _equal(sent: str, listed: str | None) -> bool:
    return bool(listed) and bool(_wholes(sent) & _wholes(listed or ""))


def _wholes(name: str) -> set[str]:
    return {"".join(tokens) for tokens in _forms(name)} - {""}


def _extends(tokens: tuple[str, ...], wanted: set[str]) -> bool:
    """Whether a listed name's parts are a wanted name, numbered, or with a time or random id at an end."""
    whole = "".join(tokens)
    if len(tokens) > 1 and _NUMBER.fullmatch(tokens[-1]) and "".join(tokens[:-1]) in wanted:
        return True
    for size in range(1, min(len(tokens), _MOST_TOKENS + 1)):
        before, after = tokens[:size], tokens[-size:]
        if "".join(tokens[size:]) in wanted and _random("".join(before)):
            return True
        if "".join(tokens[:-size]) in wanted and _random("".join(after)):
            return True
    return any(whole.endswith(name) and re.fullmatch(r"[0-9]{8,}", whole.removesuffix(name)) for name in wanted)


def _random(text: str) -> bool:
    changes = len(re.findall(r"(?<=[0-9])(?=[a-z])|(?<=[a-z])(?=[0-9])", text))
    return bool(_RANDOM.fullmatch(text)) or (len(text) >= 6 and changes >= 3)


@lru_cache(maxsize=4096)
def _forms(name: str) -> frozenset[tuple[str, ...]]:
    """Return what may be left of a name once it is rewritten, each as its parts of letters and digits."""
    said = {_nfc(name[:LONGEST])}
    said |= {_nfc(html.unescape(unquote(unquote(each)))) for each in said}
    said |= {_nfc(read) for each in said if (read := _unmangled(each)) is not None}
    plain = {quote(each, safe=safe).replace("%", "") for each in said for safe in ("", " ", "()!*'~")}
    plain |= {kept for each in said if (kept := _ascii(each)) is not None}
    forms = {_folded(each) for each in said | plain} | {_folded(each.casefold().translate(_GERMAN)) for each in said}
    return frozenset(tuple(re.findall(r"[^\W_]+", bare)) for form in forms for bare in _bare(form))


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """Return a name in small letters without their marks."""
    apart = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    return "".join(each for each in apart if not unicodedata.combining(each)).casefold()


def _bare(name: str) -> Iterator[str]:
    """Yield a name, and what is left of it without a path before it and without its endings."""
    last = re.split(r"[/\\]", name)[-1] or name
    stem = _ENDING.sub("", last)
    while stem != (shorter := _DOCUMENT.sub("", stem)):
        stem = shorter
    if any(each.isalnum() for each in stem):  # an ending alone is no name
        yield from (last, stem)


def _unmangled(name: str) -> str | None:
    """Return a name of which the bytes of UTF-8 were read as Windows-1252 or Latin-1, read as what they are."""
    if name.isascii():
        return None
    try:
        return b"".join(_byte(each) for each in name).decode()
    except UnicodeError:
        return None


def _byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def _ascii(name: str) -> str | None:
    """Return a name without what is not ASCII, if most of it is: what a vendor leaves that drops all else."""
    kept = "".join(each for each in name if each.isascii())
    telling, lost = sum(each.isalnum() for each in kept), sum(each.isalnum() for each in name if not each.isascii())
    return kept if lost > 0 and max(4, 2 * lost) <= telling else None
