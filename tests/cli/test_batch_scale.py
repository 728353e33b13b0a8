"""``dossier batch`` with many cases: its reads, and its memory for each case."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import target
from cli.batch_estimate import at_once
from cli.batch_file import BatchFile
from cli.batch_lines import Checked, Checks
from cli.batch_watch import Speed
from dossier.models import CaseStatus, now
from dossier.stores.batches import BatchCase, Counts, Progress
from dossier.stores.cases import CaseRecord
from tests import dynamodb
from tests.cli.batches import jsonl
from tests.cli.conftest import DOCUMENTS, Dossier

BATCH = "0123456789abcdef"
PDF = (DOCUMENTS / "invoice.pdf").read_bytes()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a counter of the requests for many items, each with its number of keys."""
    seen: list[int] = []
    answer = dynamodb.batch_get

    def counted(region: str, request: dynamodb.Json) -> dynamodb.Json:
        seen.extend(len(each["Keys"]) for each in request["RequestItems"].values())
        return answer(region, request)

    monkeypatch.setattr(dynamodb, "batch_get", counted)
    return seen


def stored(dossier: Dossier, cases: int, *, records: int) -> None:
    """Store a batch, of whose cases some are completed."""
    app, at = dossier.cloud.app, now()
    found = [
        BatchCase(line=n, connection="invoices", reference=f"R-{n}", fingerprint="f", input={}) for n in range(cases)
    ]
    app.batches.store(BATCH, {"batch_id": BATCH, "cases": cases}, found, [])
    for each in found[:records]:
        app.cases.claim(
            CaseRecord(
                connection="invoices",
                reference=each.reference,
                status=CaseStatus.COMPLETED,
                fingerprint="f",
                submitted_at=at,
                updated_at=at,
            )
        )


def test_a_look_reads_a_hundred_records_a_request(dossier: Dossier, asked: list[int]) -> None:
    """Ten thousand cases are a hundred requests."""
    stored(dossier, 250, records=120)
    found = dossier.json("batch", "status", BATCH)
    assert (found["completed"], found["to_start"], found["state"]) == (120, 130, "not started")
    assert asked == [100, 100, 50]


def test_the_checks_keep_little_of_a_case(dossier: Dossier, tmp_path: Path) -> None:
    """The memory for a case does not depend on its documents, and ten times the lines take ten times the memory."""
    (tmp_path / "large.pdf").write_bytes(PDF + b"%" * 200_000)

    def peak(lines: int) -> int:
        cases = [{"connection": "invoices", "reference": f"R-{n}", "documents": ["large.pdf"]} for n in range(lines)]
        file = jsonl(tmp_path / f"{lines}.jsonl", *cases)
        tracemalloc.start()
        found = [*Checks(target.find(stage="dev"), BatchFile.of(str(file)), connection=None).run()]
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert all(isinstance(each, Checked) for each in found)
        return reached

    peak(1)  # what is imported and made once
    few, many = peak(100), peak(1000)
    assert many <= 10.5 * few
    assert (many - few) / 900 < 10_000  # less than the first and last bytes of its document


@pytest.mark.parametrize(
    ("looks", "left"),
    [
        ([(10, 0, 100)], None),  # nothing has ended yet
        ([(10, 10, 90)], 90),
        ([(10, 10, 90), (20, 20, 80)], 80),
        ([(100, 100, 900), (161, 222, 780)], 390),  # twice as fast in the last minute
        ([(100, 100, 0)], 0),
    ],
)
def test_the_time_left_goes_by_the_last_minute(looks: list[tuple[int, int, int]], left: int | None) -> None:
    """Each look is the seconds since the start, the cases that have ended, and the others."""
    speed, estimate = Speed(), None
    for seconds, ended, others in looks:
        began = datetime.now(UTC) - timedelta(seconds=seconds)
        estimate = speed.left(Progress("arn", Counts(others, 0, ended, 0), 10, began))
    assert estimate == (None if left is None else pytest.approx(left, abs=2))


@pytest.mark.parametrize(
    ("ended", "running", "left"),
    [
        (0, 100, None),
        (4, 96, 55),  # and not 720, as if the 96 had done nothing in these 30 seconds
        (100, 0, 270),
    ],
)
def test_cases_under_way_count_half_at_the_begin(ended: int, running: int, left: int | None) -> None:
    """Few cases have ended soon after the begin, and all others are about to."""
    began = datetime.now(UTC) - timedelta(seconds=30)
    estimate = Speed().left(Progress("arn", Counts(0 if running else 900, running, ended, 0), 100, began))
    assert estimate == (None if left is None else pytest.approx(left, abs=2))


def test_how_many_run_at_once_follows_from_the_limits(dossier: Dossier) -> None:
    """Ten for each request a second; one account counts once; without settings it is a fixed number."""
    one = dossier.connections["invoices"].model_copy(update={"account": "shared"})
    two = one.model_copy(update={"name": "other"})
    limits: Any = one.limits.model_copy(update={"requests_per_second": 7.0})
    settings = {"one": one.model_copy(update={"limits": limits}), "two": two.model_copy(update={"limits": limits})}
    assert at_once({"one", "two"}, settings) == 70
    assert at_once({"one"}, {}) == 40
    slow = limits.model_copy(update={"requests_per_second": 0.1})
    assert at_once({"one"}, {"one": one.model_copy(update={"limits": slow})}) == 10
