"""Compare file names that a vendor may have rewritten.

Vendors fold letters to ASCII, change the case, encode or drop other characters, read UTF-8 as Latin-1, add a time,
number a second file of a name, drop the ending. So a different name proves nothing, and a similar one (:func:`alike`)
only shows that it may be the same file.
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
"""Most characters of a name that are compared."""
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
"""Latin letters without a Unicode decomposition."""
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa"})
_ENDING = re.compile(r"\.[a-z]{2,5}[0-9]?$")
_DOCUMENT = re.compile(
    r"\.(pdf|png|jpe?g|tiff?|gif|bmp|webp|heic|docx?|xlsx?|pptx?|odt|rtf|txt|csv|html?|json|xml|eml|msg|zip|p7m)$"
)
_RANDOM = re.compile(r"(?=.*[0-9])[0-9a-ftz]{6,}")
"""A time, a number or a random id in hexadecimal."""
_NUMBER = re.compile(r"[0-9]{1,3}")
_LONG_NUMBER = re.compile(r"[0-9]{8,32}")
"""A time or an id that stands right before a name."""
_MOST_TOKENS = 9
"""Most parts of a time or random id in a name: a date with its time has seven."""


def same(one: str | None, other: str | None) -> bool:
    """Whether two names are the same visible text in Unicode's NFC."""
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
    """A match of sent names with listed names, by their positions."""

    found: dict[int, int]
    """Listed position by sent position, for unambiguous matches."""
    exact: bool
    """Whether all names in ``found`` are the same."""
    unsure: frozenset[int]
    """Positions of listed names that may match, but ambiguously."""


def pair(sent: Sequence[str], listed: Sequence[str | None]) -> Pairs:
    """Match names that were sent with listed names: first the same ones in order, then the similar ones.

    Similar names are only matched if as many are listed as were sent.
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
    """Return the listed places that share a name with each sent one; an index avoids pairwise comparison."""
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
    """Yield groups of sent and listed positions that are connected by similarity."""
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
    """Return a listed position for each wanted one, those with the fewest options first; None if one has none."""
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
    """Return the names under which a listed file may have been sent."""
    return _wholes(listed) | _extended(listed)


@lru_cache(maxsize=4096)
def _wholes(name: str) -> frozenset[str]:
    return frozenset({"".join(tokens) for tokens in _forms(name)} - {""})


def _extended(listed: str) -> frozenset[str]:
    """Return a listed name without a number after it, and without a time or random id at an end."""
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
    """Return the forms that a rewritten name may have, each as its parts of letters and digits."""
    names = {_nfc(name[:LONGEST])}
    names |= {_nfc(html.unescape(unquote(unquote(each)))) for each in names}
    names |= {_nfc(read) for each in names if (read := _unmangled(each)) is not None}
    plain = {quote(each, safe=safe).replace("%", "") for each in names for safe in ("", " ", "()!*'~")}
    plain |= {kept for each in names if (kept := _ascii(each)) is not None}
    forms = {_folded(each) for each in names | plain} | {_folded(each.casefold().translate(_GERMAN)) for each in names}
    return frozenset(tuple(re.findall(r"[^\W_]+", bare)) for form in forms for bare in _bare(form))


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """Return a name in lower case without diacritics."""
    apart = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    return "".join(each for each in apart if not unicodedata.combining(each)).casefold()


def _bare(name: str) -> Iterator[str]:
    """Yield a name without its path, and without its endings."""
    parts = [part for part in re.split(r"[/\\]", name) if any(each.isalnum() for each in part)]
    last = parts[-1] if parts else name
    stem = _ENDING.sub("", last)
    while stem != (shorter := _DOCUMENT.sub("", stem)):
        stem = shorter
    if any(each.isalnum() for each in stem):  # an ending alone is not a name
        yield from (last, stem)


def _unmangled(name: str) -> str | None:
    """Decode a name whose UTF-8 bytes were read as Windows-1252 or Latin-1; None if it is not one."""
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
    """Return the ASCII part of a name if that is most of it, for vendors that drop other characters."""
    kept = "".join(each for each in name if each.isascii())
    telling, lost = sum(each.isalnum() for each in kept), sum(each.isalnum() for each in name if not each.isascii())
    return kept if lost > 0 and max(4, 2 * lost) <= telling else None
