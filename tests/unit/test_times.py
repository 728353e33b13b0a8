"""Times: a ``datetime`` in the code, and the same text in the table as ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from dossier.clocks import vendor_date
from dossier.models import CaseId, iso, moment, now, whole
from dossier.stores.cases import CaseRecord
from dossier.stores.rounds import Round
from dossier.stores.table import case_key
from dossier.troubles import Trouble
from tests.conftest import Cloud
from tests.records import record

AT = datetime(2026, 1, 31, 12, 0, 0, 7_900, tzinfo=UTC)
TEXT = "2026-01-31T12:00:00.007Z"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, TEXT),
        (AT.astimezone(timezone(timedelta(hours=5, minutes=30))), TEXT),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00.000Z"),  # a vendor's clock
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_text_of_a_time_has_a_fixed_width(at: datetime, text: str) -> None:
    """Whole milliseconds in UTC, so that text order is time order; the text gives the same time again."""
    assert iso(at) == text
    assert moment(text) == whole(at)


def test_the_present_is_as_exact_as_it_is_stored() -> None:
    """What is compared with a stored time may not lie a fraction of a millisecond after it."""
    at = now()
    assert moment(iso(at)) == at


def test_a_model_has_a_time_and_gives_out_its_text() -> None:
    """In Python and in JSON alike; a naive time is an error, because nobody knows when it was."""
    trouble = Trouble.model_validate({"kind": "x", "since": TEXT, "text": "t"})
    assert trouble.since == whole(AT)
    assert trouble.model_dump()["since"] == TEXT
    assert f'"since":"{TEXT}"' in trouble.model_dump_json()
    with pytest.raises(ValidationError):
        Trouble.model_validate({"kind": "x", "since": "2026-01-31T12:00:00", "text": "t"})


def test_the_table_has_text(cloud: Cloud) -> None:
    """A model or an attribute that stores a time: a record, a change of it, a wait, an index."""
    cases, waits, case = cloud.app.cases, cloud.app.waits, CaseId("invoices", "INV-1")
    cloud.session.client("sqs").create_queue(QueueName="dossier-dev-poll-invoices")
    assert cases.claim(record(submitted_at=AT, updated_at=AT)) is None
    cases.mark(case, woken=AT)
    waits.start(case, phase="documents", token="t", first=0, deadline=60)
    stored = cloud.app.table.get(case_key(case), "CASE") or {}
    assert (stored["submitted_at"], stored["gsi_sk"], stored["woken"]) == (TEXT, TEXT, TEXT)
    wait = cloud.app.table.get(case_key(case), "WAIT") or {}
    assert all(iso(moment(wait[name])) == wait[name] for name in ("next_at", "gsi_sk", "deadline", "sent_at"))
    assert cases.get(case).record.woken == whole(AT)
    assert [each.id for each in cases.newest("invoices", since=AT, until=AT)] == [case]


def test_a_round_of_an_earlier_version_is_read(cloud: Cloud) -> None:
    """It had an empty text in place of a time that is unknown."""
    cloud.app.table.put({"pk": "STAGE", "sk": "ROUND", "began": TEXT, "next": "x", "woken": "", "submitted": TEXT})
    assert cloud.app.rounds.load() == Round(began=whole(AT), next="x", submitted=whole(AT))


def test_a_vendors_odd_clock_is_stored_and_read() -> None:
    """A year of three digits has a text that is a time again."""
    at = vendor_date("Mon, 01 Jan 0999 00:00:00 GMT")
    assert at is not None
    kept = record(sent_at=at)
    assert CaseRecord.model_validate(kept.model_dump()) == kept
