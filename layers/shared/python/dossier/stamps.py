"""Times as a vendor writes them: they are compared with each other, and never with a clock of ours.

A vendor's clock may be minutes or hours off, and a time without a zone may be of any zone. So a :class:`Stamp` has an
order only among stamps of the same form, and what is known of our side goes in as a duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FOLD = timedelta(hours=3)
"""More than clocks are ever put back at the end of summer time."""
_DAY_BEGINS, _DAY_ENDS = 5, 22
"""Hours of the day between which no zone puts its clocks back: only at night do times without a zone repeat."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time of a vendor's: in UTC, or as it stands where it has no zone."""

    at: datetime
    zoned: bool

    @classmethod
    def of(cls, value: object) -> Stamp | None:
        """Read a time; None for what is no time, and for a day alone: it would lie before all of that day."""
        if not isinstance(value, str) or ":" not in value:
            return None
        try:
            parsed = datetime.fromisoformat(value)
            zoned = parsed.tzinfo is not None
            return cls(parsed.astimezone(UTC) if zoned else parsed.replace(tzinfo=UTC), zoned)
        except (ValueError, OverflowError):
            return None

    def before(self, other: Stamp) -> bool:
        """Whether this is certainly earlier; a time without a zone at night only if it is earlier by hours."""
        if self.zoned != other.zoned:
            return False
        repeats = not self.zoned and not _DAY_BEGINS <= self.at.hour < _DAY_ENDS
        return self.at < (other.less(FOLD) if repeats else other).at

    def less(self, duration: timedelta) -> Stamp:
        """Return the stamp that was so much earlier; the first of all times where there is none so early."""
        try:
            return Stamp(self.at - duration, self.zoned)
        except OverflowError:
            return Stamp(datetime.min.replace(tzinfo=UTC), self.zoned)


def newest_first(stamps: Sequence[Stamp | None]) -> bool:
    """Whether these can be told to be in order, the latest first: all of one form, and not all the same."""
    known = [each for each in stamps if each is not None]
    if len(known) < len(stamps) or len({each.zoned for each in known}) != 1:
        return False
    times = [each.at for each in known]
    return times == sorted(times, reverse=True) and times[0] > times[-1]


def earliest(stamps: Iterable[Stamp | None], *, zoned: bool) -> Stamp | None:
    """Return the earliest of the stamps of one form."""
    return min(
        (each for each in stamps if each is not None and each.zoned == zoned), key=lambda each: each.at, default=None
    )


def by_our_clock(
    entries: Iterable[tuple[str | None, Stamp | None]], recorded: Mapping[str, datetime]
) -> dict[str, datetime]:
    """Return when entries of a list were created, by our clock: good for a report, and for no decision.

    How far the vendor's clock is off is told by the entry that was written down soonest after the vendor's time of it;
    without any it counts as right, and times without a zone as UTC.
    """
    times = {label: created for label, created in entries if label and created}
    off: dict[bool, timedelta] = {}
    for label, stamp in times.items():
        if label in recorded:
            late = recorded[label] - stamp.at
            off[stamp.zoned] = min(late, off.get(stamp.zoned, late))
    return {label: stamp.at + off.get(stamp.zoned, timedelta()) for label, stamp in times.items()}
