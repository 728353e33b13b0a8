"""Whether two file names may be of one file.

Vendors rewrite names: they fold letters to ASCII, change the case, encode or drop what is no letter, read UTF-8 as
Latin-1, put a time in front, number a second file of a name, drop the ending. So a name that differs proves nothing;
one that is alike (:func:`alike`) says that it may be the same file, and only that.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
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
_LONG_NUMBER = re.compile(r"[0-9]{8,32}")
"""A time or an id that stands right before a name."""
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
    return not _wholes(sent).isdisjoint(_wholes(listed) | _extended(listed))


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
    found, names = _same(sent, listed), [each or "" for each in listed]
    taken = {*found.values()}
    free = [each for each in range(len(listed)) if each not in taken]
    exact, unsure = True, set[int]()
    for near in (_wholes, _alike):
        left = {place: _wholes(name) for place, name in enumerate(sent) if name and place not in found}
        options = _options(left, {each: names[each] for each in free}, near)
        for wanted, there in _groups(options):
            matched = _matched(options, wanted) if len(wanted) == len(there) else None
            exact = exact and matched is None
            found.update(matched or {})
            unsure |= set() if matched else there
        taken = {*found.values()}
        free = [each for each in free if each not in taken]
    wholes, exactly = {each for name in sent for each in _wholes(name)}, {_nfc(line(name)) for name in sent}
    near_any = {each for each in free if names[each] and not wholes.isdisjoint(_alike(names[each]))}
    the_same = {each for each in free if names[each] and _nfc(line(names[each])) in exactly}
    return Pairs(found, exact, frozenset((unsure - taken) | near_any | the_same))


def _same(sent: Sequence[str], listed: Sequence[str | None]) -> dict[int, int]:
    """Return the listed place of each sent one that has its very name, those of one name in order."""
    places: dict[str, deque[int]] = {}
    for place, name in enumerate(listed):
        if name is not None:
            places.setdefault(_nfc(line(name)), deque()).append(place)
    wanted = [(place, places.get(_nfc(line(name)))) for place, name in enumerate(sent)]
    return {place: there.popleft() for place, there in wanted if there}


def _options(
    sent: Mapping[int, Set[str]], listed: Mapping[int, str], near: Callable[[str], Set[str]]
) -> dict[int, list[int]]:
    """Return which listed places have something in common with each sent one: found by it, so that none is compared."""
    wanted: dict[str, list[int]] = {}
    for place, wholes in sent.items():
        for whole in wholes:
            wanted.setdefault(whole, []).append(place)
    options: dict[int, set[int]] = {place: set() for place in sent}
    for there, name in listed.items():
        for place in {each for whole in near(name) for each in wanted.get(whole, ())}:
            options[place].add(there)
    return {place: sorted(there) for place, there in options.items()}


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
    taken: set[int] = set()
    for place in sorted(wanted, key=lambda each: (len(options[each]), each)):
        free = next((each for each in options[place] if each not in taken), None)
        if free is None:
            return None
        matched[place] = free
        taken.add(free)
    return matched


def _alike(listed: str) -> Set[str]:
    """Return what a file may have been called that is listed under a name."""
    return _wholes(listed) | _extended(listed)


@lru_cache(maxsize=4096)
def _wholes(name: str) -> frozenset[str]:
    return frozenset({"".join(tokens) for tokens in _forms(name)} - {""})


def _extended(listed: str) -> frozenset[str]:
    """Return what is left of a listed name without a number after it, or a time or random id at an end."""
    found: set[str] = set()
    for tokens in _forms(listed):
        whole = "".join(tokens)
        if len(tokens) > 1 and _NUMBER.fullmatch(tokens[-1]):
            found.add("".join(tokens[:-1]))
        for size in range(1, min(len(tokens), _MOST_TOKENS + 1)):
            if _random("".join(tokens[:size])):
                found.add("".join(tokens[size:]))
            if _random("".join(tokens[-size:])):
                found.add("".join(tokens[:-size]))
        digits = _LONG_NUMBER.match(whole)
        found |= {whole[at:] for at in range(8, digits.end() + 1)} if digits else set()
    return frozenset(found - {""})


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
