"""Find in the vendor's list what a request created whose answer was lost.

The vendors share this. Each listed entry is known by its id (it was listed before, or Dossier recorded it for another
request), or certainly older than all that was listed before (by the vendor's own times, compared with each other), or a
*suspect*. If there is no suspect, the request had no effect. If only one suspect can be its effect, it is adopted.
Anything else is a question to an operator: vendors rewrite names and clocks are wrong, so neither proves absence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from dossier.alike import pair
from dossier.errors import Choice, NeedsAttentionError
from dossier.models import Document, iso
from dossier.ports import Intent
from dossier.replies import identifier
from dossier.stamps import Stamp, earliest, newest_first

MOST_SHOWN = 5
"""Most candidates that a question names."""
RESOLUTION = timedelta(seconds=1)
"""Least resolution of a vendor's times."""
SERVERS_DIFFER = timedelta(minutes=15)
"""How far apart the clocks of a vendor's servers may be, if only Dossier's own entries show what is old."""
_NO_ID = "?"
"""Prefix of stand-ins for unusable ids."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case or document in the vendor's list."""

    id: str
    """The vendor's id, or a stand-in (:func:`labels`)."""
    created: Stamp | None = None


class Fit(StrEnum):
    """How listed names compare with the names that were sent."""

    SAME = "same"
    ALIKE = "alike"
    """Some are rewritten, but the match is unambiguous."""
    PART = "part"
    """Some are missing, or the match is ambiguous."""
    EMPTY = "empty"
    UNLIKE = "unlike"
    """No name matches; this does not prove that it is another one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A suspect with its files' names; ``new`` is True if it was certainly created after the request began."""

    id: str
    names: tuple[str, ...]
    fit: Fit
    new: bool = True
    created: Stamp | None = None

    @property
    def choice(self) -> Choice:
        """The choice that an operator sees."""
        return choice(self.id, self.names, self.created)


def labels(ids: Iterable[object]) -> list[str]:
    """Return each id of a list, with a stable stand-in for each missing or unusable one."""
    found: list[str] = []
    missing = 0
    for each in ids:
        label = identifier(each)
        if label is None:
            missing += each in (None, "")
            raw = json.dumps(missing if each in (None, "") else each, sort_keys=True, default=str)
            label = _NO_ID + hashlib.sha256(raw.encode()).hexdigest()[:16]
        found.append(label)
    return found


def usable(label: str) -> bool:
    """Whether a label is an id and not a stand-in."""
    return not label.startswith(_NO_ID)


def fit(sent: Sequence[str], listed: Sequence[str | None]) -> Fit:
    """Compare the names that were sent with the listed names, of which there may be more."""
    if not listed:
        return Fit.EMPTY
    pairs = pair(sent, listed)
    if len(pairs.found) == len(sent):
        return Fit.SAME if pairs.exact else Fit.ALIKE
    return Fit.PART if pairs.found or pairs.unsure else Fit.UNLIKE


def suspects(entries: Sequence[Entry], intent: Intent) -> list[Entry]:
    """Return the entries that the request may have created: not known by id, and not certainly older."""
    floor = {zoned: _floor(entries, intent, zoned=zoned) for zoned in (True, False)}

    def old(each: Entry) -> bool:
        limit = each.created and floor[each.created.zoned]
        return bool(each.created and limit and each.created.before(limit))

    return [
        each
        for each in entries
        if (intent.among is None or each.id in intent.among) and not old(each) and each.id not in intent.known
    ]


def _floor(entries: Sequence[Entry], intent: Intent, *, zoned: bool) -> Stamp | None:
    """Return the time before which an entry is certainly older than the request; None if unknown."""
    seen = intent.seen
    if seen is not None:
        # If the list was read completely, it has no other old entries.
        before = [each.created for each in entries if each.id in seen.ids] if not seen.whole else []
        return earliest(before, zoned=zoned)
    own = [each.created for each in entries if recorded_before(each.id, intent)]
    latest = max((each for each in own if each and each.zoned == zoned), key=lambda each: each.at, default=None)
    return latest and latest.less(SERVERS_DIFFER)


def recorded_before(label: str, intent: Intent) -> bool:
    """Whether Dossier recorded an id before the request began."""
    at = intent.recorded.get(label)
    return at is not None and at <= intent.at


def reaches_back(entries: Sequence[Entry], intent: Intent) -> bool:
    """Whether entries, the beginning of a longer list, include everything that was created after the request began.

    They do if the list is ordered latest first, by its own times, and reaches entries from before the request.
    """
    stamps = [each.created for each in entries]
    if not newest_first(stamps) or stamps[-1] is None:
        return False
    before = {*(intent.seen.ids if intent.seen else ())}
    return any(
        each.created is not None and stamps[-1].before(each.created)
        for each in entries
        if each.id in before or recorded_before(each.id, intent)
    )


def proves(entries: Sequence[Entry], intent: Intent, *, whole: bool) -> bool:
    """Whether the entries include everything that the request can have created.

    A list that lacks every earlier entry is not trusted, even if it claims to be complete.
    """
    before = {*(intent.seen.ids if intent.seen else ())}
    if before and not any(each.id in before for each in entries):
        return not whole and reaches_back(entries, intent)
    return whole or reaches_back(entries, intent)


def is_new(entry: Entry, entries: Sequence[Entry], intent: Intent) -> bool:
    """Whether a suspect is not older than the request, i.e. not from between ``intent.seen`` and the request.

    Entries that Dossier recorded show this: each was created at its vendor time, and at or before its recording.
    """
    if intent.fresh:
        return True
    behind = [
        intent.recorded[each.id] - each.created.at
        for each in entries
        if each.created and entry.created and each.created.zoned == entry.created.zoned
        if each.id in intent.recorded
    ]
    return bool(behind and entry.created and entry.created.at + min(behind) + RESOLUTION >= intent.at)


def choose(candidates: Sequence[Candidate], intent: Intent, *, lost: str, proven: bool = True) -> Candidate | None:
    """Return the candidate that the request created; None if there is no candidate at all.

    Args:
        candidates: every suspect.
        intent: the request.
        lost: the beginning of the question: which answer was lost.
        proven: whether the candidates include everything that the request can have created (``proves``).

    Raises:
        NeedsAttentionError: no candidate is certain, or the right one may not be listed.

    """
    if not candidates:
        if proven:
            return None
        raise NeedsAttentionError(f"{lost}: the vendor's list does not reach back to the request")
    whole = [each for each in candidates if each.fit in {Fit.SAME, Fit.ALIKE}]
    best = [each for each in whole if each.fit is Fit.SAME] or whole
    if len(best) == 1 and _alone(best[0], candidates, intent, proven=proven):
        return best[0]
    names = [each.id for each in candidates] if proven else []
    choices = [each.choice for each in candidates if usable(each.id)]
    descriptions = []
    for each in candidates[:MOST_SHOWN]:
        files = "; ".join(_shown(name) for name in each.names[:3]) + ("; …" if len(each.names) > 3 else "")
        name = _shown(each.id) if usable(each.id) else "one without a usable id"
        descriptions.append(f"{name} ({files})" if files else name)
    more = len(candidates) - MOST_SHOWN
    created = ", ".join(descriptions) + (f" or {more} more" if more > 0 else "")
    raise NeedsAttentionError(f"{lost}: it may have created {created}", candidates=names, choices=choices)


def check_named(named: str, intent: Intent, documents: Iterable[Document]) -> None:
    """Reject an operator's id that the request certainly did not create.

    Raises:
        NeedsAttentionError: it existed before the request, or is another document of the case.

    """
    other = next((each.name for each in documents if each.document_id == named), None)
    if other is not None:
        raise NeedsAttentionError(f"{_shown(named)} is already document {_shown(other)} of this case")
    if named in intent.known:
        raise NeedsAttentionError(f"{_shown(named)} was at the vendor before the request began: it is another one")


def check_name(named: str, sent: Sequence[str], listed: Sequence[str | None], intent: Intent) -> None:
    """Reject an operator's id if none of its names at the vendor is like the names that were sent.

    Raises:
        NeedsAttentionError: gives its names.

    """
    if intent.thorough and fit(sent, listed) is Fit.UNLIKE:
        shown = ", ".join(_shown(each) for each in listed[:3] if each)
        wanted = ", ".join(_shown(each) for each in sent[:3])
        raise NeedsAttentionError(f"{_shown(named)} is called {shown} at the vendor, but {wanted} was sent")


def choice(label: str, names: Sequence[str | None], created: Stamp | None) -> Choice:
    """Return the choice that an operator sees for an entry of the vendor's list."""
    shown = [_shown(each) for each in names[:3] if each]
    more = "; …" if len(names) > 3 else ""
    return Choice(label, "; ".join(shown) + more, iso(created.at) if created else "")


def _alone(one: Candidate, candidates: Sequence[Candidate], intent: Intent, *, proven: bool) -> bool:
    if not certain(one, intent):
        return False
    rest = [each for each in candidates if each is not one]
    if any(each.fit is not Fit.UNLIKE for each in rest):
        return False
    # An exact name is proof if all others are unlike it. A rewritten name also needs all others to be explained.
    return one.fit is Fit.SAME or (proven and intent.settled and all(_others(each, intent) for each in rest))


def certain(candidate: Candidate, intent: Intent) -> bool:
    """Whether only this request can have created a candidate: it is new, has an id, and no other request fits."""
    return candidate.new and usable(candidate.id) and not intent.rivals and not _others(candidate, intent)


def _others(candidate: Candidate, intent: Intent) -> bool:
    """Whether another request in flight may have created a candidate."""
    return any(fit(names, candidate.names) in {Fit.SAME, Fit.ALIKE} for names in intent.others if names)


def _shown(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= 80 else f"{plain[:80]}…"
