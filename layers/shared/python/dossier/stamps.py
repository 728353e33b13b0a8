"""Times as a vendor writes them. They are only compared with each other, never with our clock.

A vendor's clock may be off by minutes or hours, and a time without a zone may belong to any zone. So a :class:`Stamp`
is only comparable with stamps of the same form; our side contributes durations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dossier.models import utc

FOLD = timedelta(hours=3)
"""More than clocks are ever set back at the end of summer time."""
_DAY_BEGINS, _DAY_ENDS = 5, 22
"""Between these hours no zone sets its clocks back; only at night can times without a zone repeat."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A vendor's time: in UTC, or as written if it has no zone."""

    at: datetime
    zoned: bool

    @classmethod
    def of(cls, value: object) -> Stamp | None:
        """Parse a time; None for anything else. A date alone is None: its midnight would be before all of that day."""
        if not isinstance(value, str) or ":" not in value:
            return None
        try:
            parsed = datetime.fromisoformat(value)
            return cls(utc(parsed), parsed.tzinfo is not None)
        except (ValueError, OverflowError):
            return None

    def before(self, other: Stamp) -> bool:
        """Whether this is certainly earlier; at night, a time without a zone only if it is earlier by hours."""
        if self.zoned != other.zoned:
            return False
        repeats = not self.zoned and not _DAY_BEGINS <= self.at.hour < _DAY_ENDS
        return self.at < (other.less(FOLD) if repeats else other).at

    def less(self, duration: timedelta) -> Stamp:
        """Return the stamp that is earlier by ``duration``, at least the earliest possible time."""
        try:
            return Stamp(self.at - duration, self.zoned)
        except OverflowError:
            return Stamp(datetime.min.replace(tzinfo=UTC), self.zoned)


def newest_first(stamps: Sequence[Stamp | None]) -> bool:
    """Whether stamps are certainly ordered latest first: all of one form, and not all equal."""
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
    """Return when entries of a list were created, by our clock. Use this for reports only, not for decisions.

    The entry that was recorded soonest after its vendor time shows the offset of the vendor's clock. Without any, the
    offset is zero, and times without a zone count as UTC.
    """
    times = {label: created for label, created in entries if label and created}
    off: dict[bool, timedelta] = {}
    for label, stamp in times.items():
        if label in recorded:
            late = recorded[label] - stamp.at
            off[stamp.zoned] = min(late, off.get(stamp.zoned, late))
    return {label: stamp.at + off.get(stamp.zoned, timedelta()) for label, stamp in times.items()}
