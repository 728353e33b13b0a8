"""Headers of answers are hostile input: each is a value within its bounds, or None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import headers
from dossier.headers import Range
from dossier.replies import LONGEST_PAUSE, asked_pause, retry_after
from tests.flows import reply

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
HOSTILE_DATES = (
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 9999 99:99:99 GMT",
    "Mon, 99 Jan 2026 00:00:00 GMT",
    "Mon, 01 Foo 2026 00:00:00 GMT",
    "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
    "Mon, 01 Jan -1 00:00:00 GMT",
    "Mon, 01 Jan 2026 1e9:00:00 GMT",
    "31 Dec 9999 23:59:59 -2359",
    ",",
    "\x00",
    "\u0661\u0662",
    "Mon, " * 10_000,
    "9" * 100_000,
    "1" * 5000 + " Jan 2026 00:00:00 GMT",
    "nan",
    "inf",
    "-1",
    "0x10",
    "1_000",
)


@pytest.mark.rule("security: break the reader with a date, length or range in a header, or pause it without end")
@pytest.mark.parametrize("text", HOSTILE_DATES, ids=lambda text: text[:50])
def test_a_hostile_date_is_none(text: str) -> None:
    """No date of a header raises an error, and an unreadable one is not a pause."""
    assert headers.http_date(text) is None
    assert headers.pause(text, at=AT) is None
    assert retry_after(reply(status=429, headers={"retry-after": text, "date": text})) == 5.0
    assert asked_pause(reply(status=503, headers={"retry-after": text, "date": text})) is None


@pytest.mark.rule("security: break the reader with a date, length or range in a header, or pause it without end")
@given(
    st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,25} [A-Z][a-z]{2} [0-9]{1,25} [0-9:]{0,20} .{0,9}")
)
def test_any_header_is_a_value_or_nothing(text: str) -> None:
    """Whatever a header contains, reading it returns a value within its bounds."""
    found = headers.http_date(text)
    assert found is None or found.tzinfo is UTC
    pause = headers.pause(text, at=AT)
    assert pause is None or pause >= 0
    length = headers.length(text)
    assert length is None or 0 <= length < 10**18
    span = headers.content_range(text)
    assert span is None or 0 <= span.first <= span.last
    assert set(headers.codings(text)) <= headers.CODINGS
    assert headers.media_type(text) == "" or headers.media_type(text).isascii()
    asked = asked_pause(reply(status=429, headers={"retry-after": text, "date": text}))
    assert asked is not None
    assert 0 <= asked <= LONGEST_PAUSE


@pytest.mark.parametrize("offset", [timedelta(), timedelta(hours=-3), timedelta(days=400)], ids=str)
def test_a_retry_date_is_relative_to_the_answers_date(offset: timedelta) -> None:
    """A vendor whose clock is off, by however much, still gets the pause that it asked for."""
    theirs = datetime.now(UTC).replace(microsecond=0) + offset
    given = {
        "date": format_datetime(theirs, usegmt=True),
        "retry-after": format_datetime(theirs + timedelta(seconds=90), usegmt=True),
    }
    assert asked_pause(reply(status=503, headers=given)) == 90.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("7, 9", 9), (" 2.5 ", 2.5), ("7, soon", None), ("", None), (",", None), ("7;8", None)],
)
def test_a_pause_in_seconds(text: str, seconds: float | None) -> None:
    """Only numbers are seconds; of a repeated header the longer pause counts."""
    assert headers.pause(text, at=AT) == seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [("0", 0), ("12", 12), (" 12 ", 12), ("12, 12", 12), ("12, 13", None), ("-1", None), ("+1", None), ("1e3", None),
     ("", None), ("9" * 19, None), ("\u0661", None), ("\u00b2", None), ("12 ,", None)],
)  # fmt: skip
def test_a_length(text: str, length: int | None) -> None:
    """A length is plain digits; lengths that differ are none."""
    assert headers.length(text) == length


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes 0-9/10", Range(0, 9, 10)),
        ("Bytes 5-9/*", Range(5, 9, None)),
        ("bytes 0-10/10", None),
        ("bytes 9-0/10", None),
        ("bytes */10", None),
        ("items 0-9/10", None),
        ("bytes=0-9/10", None),
        ("bytes 0-9/10, bytes 0-9/10", None),
        ("bytes 0-" + "9" * 30 + "/*", None),
        ("", None),
    ],
)
def test_a_range_of_bytes(text: str, span: Range | None) -> None:
    """A range is one of bytes that makes sense, or none."""
    assert headers.content_range(text) == span


def test_only_known_and_short_headers_are_passed_on() -> None:
    """Headers that nothing reads stay where they came from."""
    given = {"Content-Type": "a/" + "b" * 999, "X-Junk": "j", "Retry-After": "7", "Set-Cookie": "c"}
    kept = headers.kept(given)
    assert set(kept) == {"content-type", "retry-after"}
    assert all(len(value) <= headers.LONGEST for value in kept.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Application/JSON; charset=utf-8", "application/json"),
        ("text", ""),
        ("a/b c", ""),
        ("\x1b[31m/x", ""),
        ("a/" + "b" * 99, ""),
    ],
)
def test_a_media_type(text: str, kind: str) -> None:
    """A media type is two plain words, or none."""
    assert headers.media_type(text) == kind
