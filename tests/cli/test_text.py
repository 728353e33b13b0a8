"""Times for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.status import standing
from cli.text import local, to_json, when
from dossier.http import decode
from dossier.models import Document, iso


@pytest.fixture(autouse=True)
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


def test_a_time_is_local_and_short() -> None:
    """Of today the time, of this year the day too, of another year the day alone."""
    today = datetime.now().astimezone().replace(hour=10, minute=38, second=5)
    assert when(iso(today.astimezone(UTC))) == "10:38"
    assert when(iso(today.astimezone(UTC)), seconds=True) == "10:38:05"
    assert when("2001-11-26T20:38:05.123Z") == "2001-11-27"
    assert when("2001-11-26T20:38:05.123Z", seconds=True) == "2001-11-27 05:38:05"
    other = today.replace(month=2 if today.month == 1 else 1, day=2)
    assert when(other.isoformat()) == f"{other:%m}-02 10:38"
    assert (when(""), when("soon")) == ("", "soon")


def test_a_vendors_number_keeps_its_digits() -> None:
    """``--json`` prints a vendor's answer as it wrote it: no number goes through a float."""
    body = '{"a": [12345678901234567.89, 4200.00, 1e400, -0.0, 7], "b": "x"}'
    value = decode(body.encode())
    assert "".join(to_json(value).split()) == "".join(body.split())
    assert (str(value["a"][0]), to_json({"c": 1.5, "d": True})) == (
        "12345678901234567.89",
        '{\n  "c": 1.5,\n  "d": true\n}',
    )


def test_times_in_a_note_are_local() -> None:
    """Dossier's UTC times are shown in this machine's zone; other text is unchanged."""
    now = datetime.now(UTC)
    note = f"No connection to the vendor since {now:%H:%M} UTC (ConnectError). Next attempt {now:%H:%M:%S} UTC"
    here = now + timedelta(hours=9)
    day = "" if here.date() == datetime.now().astimezone().date() else f"{here:%m-%d} "
    assert local(note) == (
        f"No connection to the vendor since {day}{here:%H:%M} (ConnectError). Next attempt {day}{here:%H:%M:%S}"
    )
    assert local("the same since 2001-11-26 20:38 UTC") == "the same since 2001-11-27"
    assert local("submitted 2001-01-01T20:38:05.123Z") == "submitted 2001-01-02 05:38:05"
    for text in ("10:38 is not said to be UTC", "99:99 UTC", "v10:38:00", ""):
        assert local(text) == text


@pytest.mark.parametrize(
    ("document", "ended", "shown"),
    [
        ({"document_id": "d", "status": "uploaded"}, False, "uploaded"),
        ({"document_id": "d", "status": "uploaded"}, True, "uploaded when last asked"),
        ({"document_id": "d"}, True, "uploaded when last asked"),
        ({"document_id": "d", "status": "processed", "finished": True}, True, "processed"),
        ({}, False, "accepted"),
        ({}, True, "not sent"),
        ({"job_id": "j"}, True, "sent"),
    ],
)
def test_document_of_an_ended_case_shows_its_last_known_status(
    document: dict[str, object], ended: bool, shown: str
) -> None:
    """A status such as "processing" is not shown for a case that has ended."""
    stored = Document.model_validate({"index": 0, "name": "a.pdf", "key": "a.pdf", **document})
    assert standing(stored, ended=ended) == shown
