"""A vendor's times, compared with each other alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dossier.stamps import Stamp, by_our_clock, newest_first


def stamp(text: str) -> Stamp:
    """Return a stamp that is one."""
    found = Stamp.of(text)
    assert found is not None
    return found


@pytest.mark.parametrize("value", [None, 7, "", "2026-05-20", "yesterday", "10:15", "2026-05-20T25:00:00Z"])
def test_a_text_without_a_time_has_no_order(value: object) -> None:
    """A day alone is none, either: it would come before all that was done on it."""
    assert Stamp.of(value) is None


def test_only_times_of_one_form_have_an_order() -> None:
    """A time without a zone is of any zone."""
    zoned, zoneless = stamp("2026-05-20T10:15:00+05:30"), stamp("2026-05-20T03:15:00")
    assert zoned.at == datetime(2026, 5, 20, 4, 45, tzinfo=UTC)
    assert not zoneless.before(zoned)
    assert not zoned.before(zoneless)
    assert stamp("2026-05-20T10:15:00+05:30").before(stamp("2026-05-20T04:45:01Z"))


def test_times_without_a_zone_repeat_at_night() -> None:
    """At night clocks may be put back, so 02:10 may follow 02:50; by day it cannot."""
    assert not stamp("2026-10-25T02:10:00").before(stamp("2026-10-25T02:50:00"))
    assert stamp("2026-10-25T02:10:00").before(stamp("2026-10-25T05:50:00"))
    assert stamp("2026-10-25T12:10:00").before(stamp("2026-10-25T12:10:01"))
    assert stamp("2026-10-25T02:10:00Z").before(stamp("2026-10-25T02:10:01Z"))


def test_equal_times_have_no_order() -> None:
    """All times have to be there, of one form, and not all the same."""
    times = [stamp(f"2026-05-20T10:15:0{second}Z") for second in (3, 2, 2, 1)]
    assert newest_first(times)
    assert not newest_first(times[::-1])
    assert not newest_first([*times, None])
    assert not newest_first([*times, stamp("2026-05-20T10:15:00")])
    assert not newest_first(times[1:3])
    assert not newest_first([])


def test_no_time_is_too_early() -> None:
    """The first of all times has no earlier one."""
    assert stamp("0001-01-01T00:00:00Z").less(timedelta(days=1)).at == datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize("off", [timedelta(), timedelta(hours=-5), timedelta(hours=5, minutes=30)])
def test_recorded_entries_show_the_error_of_a_vendors_clock(off: timedelta) -> None:
    """The one that was written down soonest after it was made; the others are reckoned from it."""
    at = datetime(2026, 5, 20, 10, 15, tzinfo=UTC)
    entries: list[tuple[str | None, Stamp | None]] = [
        ("a", Stamp(at + off, zoned=True)),
        ("b", Stamp(at + timedelta(minutes=5) + off, zoned=True)),
        ("c", Stamp(at + timedelta(hours=1) + off, zoned=True)),
        (None, Stamp(at, zoned=True)),
        ("d", None),
    ]
    recorded = {"a": at + timedelta(minutes=3), "b": at + timedelta(minutes=5)}
    assert by_our_clock(entries, recorded)["c"] == at + timedelta(hours=1)
    assert set(by_our_clock(entries, {})) == {"a", "b", "c"}
