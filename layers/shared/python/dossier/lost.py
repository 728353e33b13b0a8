"""What a request whose answer was lost may have made, among what the vendor lists.

The vendors share this. Whatever is listed is one of three: known by its id (it was listed before, or Dossier recorded
it for another request), certainly older than all that was listed before (by the vendor's own times, one with another),
or a *suspect*. Where there is no suspect, the request had no effect. Where one suspect alone can be it, it is taken.
Anything else is a question to an operator: names are rewritten and clocks are wrong, so neither ever says that
something is not there.
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
"""Candidates that a question names."""
RESOLUTION = timedelta(seconds=1)
"""How exact a vendor's times are at least."""
SERVERS_DIFFER = timedelta(minutes=15)
"""How far apart the clocks of one vendor's servers may be, where only Dossier's own entries tell what is old."""
_NO_ID = "?"
"""Begins what stands for an id that cannot be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of one case or document."""

    id: str
    """The vendor's, or a stand-in (:func:`labels`)."""
    created: Stamp | None = None


class Fit(StrEnum):
    """How the names of what is listed go with those of what was sent."""

    SAME = "same"
    ALIKE = "alike"
    """Some are rewritten, and it is clear which is which."""
    PART = "part"
    """Some are missing, or it is not clear which is which."""
    EMPTY = "empty"
    UNLIKE = "unlike"
    """None is like any: which does not say that it is another one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A suspect, with the names of its files; ``new`` tells whether it certainly came after the request began."""

    id: str
    names: tuple[str, ...]
    fit: Fit
    new: bool = True
    created: Stamp | None = None

    @property
    def choice(self) -> Choice:
        """What an operator is shown of it."""
        return choice(self.id, self.names, self.created)


def labels(ids: Iterable[object]) -> list[str]:
    """Return each id of a list; for one that is missing or cannot be used a stand-in, the same each time."""
    found: list[str] = []
    missing = 0
    for each in ids:
        usable = identifier(each)
        if usable is None and each in (None, ""):
            missing += 1
        found.append(usable or _NO_ID + _mark(missing if each in (None, "") else each))
    return found


def usable(label: str) -> bool:
    """Whether a label is an id, and no stand-in for one."""
    return not label.startswith(_NO_ID)


def _mark(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fit(sent: Sequence[str], listed: Sequence[str | None]) -> Fit:
    """Compare the names of what was sent with those of what is listed, of which there may be more."""
    if not listed:
        return Fit.EMPTY
    pairs = pair(sent, listed)
    if len(pairs.found) == len(sent):
        return Fit.SAME if pairs.exact else Fit.ALIKE
    return Fit.PART if pairs.found or pairs.unsure else Fit.UNLIKE


def suspects(entries: Sequence[Entry], intent: Intent) -> list[Entry]:
    """Return what may be the request's: not known by id, nor certainly older than what was there before."""
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
    """Return the time before which an entry is certainly older than the request; None if nothing tells."""
    seen = intent.seen
    if seen is not None:
        # a list that was whole then has nothing more that is old
        there = [each.created for each in entries if each.id in seen.ids] if not seen.whole else []
        return earliest(there, zoned=zoned)
    own = [each.created for each in entries if recorded_before(each.id, intent)]
    latest = max((each for each in own if each and each.zoned == zoned), key=lambda each: each.at, default=None)
    return latest and latest.less(SERVERS_DIFFER)


def recorded_before(label: str, intent: Intent) -> bool:
    """Whether Dossier had written an id down before the request began."""
    at = intent.recorded.get(label)
    return at is not None and at <= intent.at


def reaches_back(entries: Sequence[Entry], intent: Intent) -> bool:
    """Whether entries, the first of a list that goes on, have all that came after the request began.

    They do if the list is, by the vendor's own times, the latest first, and has come down to what was there before.
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
    """Whether all that the request can have made is among the entries.

    A list that lacks all that it had before is not believed, however whole it says it is.
    """
    before = {*(intent.seen.ids if intent.seen else ())}
    if before and not any(each.id in before for each in entries):
        return not whole and reaches_back(entries, intent)
    return whole or reaches_back(entries, intent)


def is_new(entry: Entry, entries: Sequence[Entry], intent: Intent) -> bool:
    """Whether a suspect is no older than the request, and not of the minutes between ``intent.seen`` and then.

    The entries that Dossier wrote down tell: what was made at the vendor's time of one was made when that was written
    down, or before.
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
    """Return the candidate that the request has made; None if there is none at all.

    Args:
        candidates: every suspect.
        intent: what is known of the request.
        lost: says in a question which answer was lost.
        proven: whether the vendor can have nothing else of the request's (``proves``).

    Raises:
        NeedsAttentionError: it may be one of them, and none for certain; or there may be one that is not listed.

    """
    if not candidates:
        if proven:
            return None
        raise NeedsAttentionError(f"{lost}: the vendor's list does not reach back to it")
    whole = [each for each in candidates if each.fit in {Fit.SAME, Fit.ALIKE}]
    best = [each for each in whole if each.fit is Fit.SAME] or whole
    if len(best) == 1 and _alone(best[0], candidates, intent, proven=proven):
        return best[0]
    names = [each.id for each in candidates] if proven else []
    choices = [each.choice for each in candidates if usable(each.id)]
    raise NeedsAttentionError(f"{lost}: {_told(candidates)}", candidates=names, choices=choices)


def check_named(named: str, intent: Intent, documents: Iterable[Document]) -> None:
    """Refuse an operator's id that certainly is not what the request made.

    Raises:
        NeedsAttentionError: it was there before the request, or is another document of the case.

    """
    other = next((each.name for each in documents if each.document_id == named), None)
    if other is not None:
        raise NeedsAttentionError(f"{_shown(named)} is document {_shown(other)} of this case already")
    if named in intent.known:
        raise NeedsAttentionError(f"{_shown(named)} was at the vendor before the request began: it is another one")


def check_name(named: str, sent: Sequence[str], listed: Sequence[str | None], intent: Intent) -> None:
    """Refuse an operator's id of which the vendor has names that are all unlike those that were sent.

    Raises:
        NeedsAttentionError: says what it is called.

    """
    if intent.thorough and fit(sent, listed) is Fit.UNLIKE:
        shown = ", ".join(_shown(each) for each in listed[:3] if each)
        wanted = ", ".join(_shown(each) for each in sent[:3])
        raise NeedsAttentionError(f"{_shown(named)} is called {shown} at the vendor, and {wanted} was sent")


def choice(label: str, names: Sequence[str | None], created: Stamp | None) -> Choice:
    """Return what an operator is shown of something that the vendor lists."""
    shown = [_shown(each) for each in names[:3] if each]
    more = "; …" if len(names) > 3 else ""
    return Choice(label, "; ".join(shown) + more, iso(created.at) if created else "")


def _alone(one: Candidate, candidates: Sequence[Candidate], intent: Intent, *, proven: bool) -> bool:
    if not certain(one, intent):
        return False
    rest = [each for each in candidates if each is not one]
    if any(each.fit is not Fit.UNLIKE for each in rest):
        return False
    # Its very name is proof enough beside what is wholly unlike. A rewritten one is not, unless that is another's.
    return one.fit is Fit.SAME or (proven and intent.settled and all(_others(each, intent) for each in rest))


def certain(candidate: Candidate, intent: Intent) -> bool:
    """Whether a candidate can be this request's alone, if it is any's: it is new, has an id, and no other made it."""
    return candidate.new and usable(candidate.id) and not intent.rivals and not _others(candidate, intent)


def _others(candidate: Candidate, intent: Intent) -> bool:
    """Whether another request in flight may have made a candidate."""
    return any(fit(names, candidate.names) in {Fit.SAME, Fit.ALIKE} for names in intent.others if names)


def _told(candidates: Sequence[Candidate]) -> str:
    shown = ", ".join(_described(each) for each in candidates[:MOST_SHOWN])
    more = len(candidates) - MOST_SHOWN
    return f"it may have made {shown}" + (f" or {more} more" if more > 0 else "")


def _described(candidate: Candidate) -> str:
    names = "; ".join(_shown(each) for each in candidate.names[:3]) + ("; …" if len(candidate.names) > 3 else "")
    name = _shown(candidate.id) if usable(candidate.id) else "one without a usable id"
    return f"{name} ({names})" if names else name


def _shown(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= 80 else f"{plain[:80]}…"
