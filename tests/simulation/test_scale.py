"""The scale table: its simulation counts what the local AWS counts, and says what a case waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from boto3.dynamodb.types import TypeSerializer

from tests import meter
from tests.simulation.clock import CLOCK
from tests.simulation.handlers import ROOT
from tests.simulation.models.dynamodb import _write_units, size
from tests.simulation.scale import batches, hundred
from tests.simulation.scale.page import binding, page
from tests.simulation.scale.quotas import Bucket, Quotas, Use
from tests.simulation.scale.scenarios import LAMBDA, RATE, SCENARIOS, Figures, settings_of


def test_simulation_counts_what_the_local_aws_counted() -> None:
    """The same hundred cases: invocations, transitions and requests are within ten percent (``make scale-count``)."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "shared" / "python")])
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", "--scale"]
    environment = {**os.environ, "PYTHONPATH": paths, "ONLY": "hundred"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    simulated = json.loads((ROOT / "build" / "scale" / "hundred.json").read_text())
    local = json.loads(hundred.KEPT.read_text())["counts"]
    assert hundred.off(local, simulated) == {}


def test_counts_that_are_not_close_are_named() -> None:
    """One that the simulation does not have is off, too."""
    local = {"invocations": 1000, "events": 100, "requests to S3": 5}
    assert hundred.off(local, {"invocations": 901, "events": 111}) == {"events": (100, 111), "requests to S3": (5, 0)}


def test_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    """Who is stopped learns how long it takes until there is a token again."""
    CLOCK.at = 0.0
    bucket = Bucket(3, 2)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    CLOCK.at = 0.5
    assert [bucket.take() for _ in range(2)] == [0.0, 0.5]


def test_quota_is_used_up_when_somebody_is_stopped() -> None:
    """A burst above its rate is none of that."""
    CLOCK.at = 0.0
    quotas, use = Quotas(0.01, concurrency=1000), "Step Functions: StartExecution"
    assert all(quotas.call("stepfunctions.StartExecution") for _ in range(13))
    assert quotas.uses[use].share > 1
    assert quotas.uses[use].full_at is None
    assert not quotas.call("stepfunctions.StartExecution")
    assert quotas.uses[use].full_at == 0.0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, {"pk": "a", "sk": "b", "text": "x" * 1500}),
        ({"pk": "a", "sk": "b", "text": "x" * 2500}, {"pk": "a", "sk": "b", "text": "x"}),
        (None, {"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "1"}),
        ({"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "1"}, {"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "2"}),
        ({"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "1"}, {"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "1"}),
        ({"pk": "a", "sk": "b", "gsi_pk": "c", "gsi_sk": "1"}, None),
    ],
)
def test_write_costs_what_the_meter_counts(old: dict[str, str] | None, new: dict[str, str] | None) -> None:
    """The model's units of a write are those that ``make cost`` computes."""
    typed = [
        None if each is None else {k: TypeSerializer().serialize(v) for k, v in each.items()} for each in (old, new)
    ]
    assert _write_units(old, new, size(old) if old else 0, size(new) if new else 0) == meter.write_units(*typed)


def test_first_of_what_cases_waited_for_binds() -> None:
    """A limit that only one case in a hundred met is not a limit of the whole."""
    figures = Figures("burst", cases=100, waits={LAMBDA: 2, RATE: 300}, first={LAMBDA: 1.0, RATE: 5.0})
    assert binding(figures) == RATE
    figures.waits[LAMBDA] = 20
    assert binding(figures) == LAMBDA
    assert binding(Figures("idle", cases=5)) == ""


def test_page_shows_the_whole_question() -> None:
    """Numbers of a share are divided by it."""
    burst = next(each for each in SCENARIOS if each.name == "burst")
    figures = Figures("burst", cases=1000, ended=1000, throughput=3210, backlog=990, concurrency=77, cost=0.0012)
    figures.uses = [("S3: writes", Use(350, most=35).share, None)]
    text = page(
        [(burst, figures)],
        local={"as_of": "2026-11-28", "seconds": 300, "counts": {"invocations": 1000}},
        simulated={"invocations": 950},
        quotas={"as_of": "2026-11-28", "region": "us-east-1", "assumed": dict.fromkeys(_ASSUMED, 0.01)},
        prices={"as_of": "2026-11-27"},
    )
    assert f"| {burst.title} | 3,210 | 0 s, 0 s, 0 s | 9,900 | 0 s | 770 | 0 | 0.001200 | nothing |" in text
    assert "| S3: writes | 10 |" in text
    assert "| invocations | 1,000 | 950 | -5.0 % |" in text


_ASSUMED = ("dynamodb", "s3", "sqs", "stepfunctions", "handler")


def test_share_of_a_connection_has_its_share_of_the_limits() -> None:
    """A share of the connections has whole ones."""
    burst = next(each for each in SCENARIOS if each.name == "burst")
    whole, parts = settings_of(burst), settings_of(replace(burst, per_connection=True))
    assert {(each.limits.requests_per_second, each.limits.concurrency) for each in whole.values()} == {(10, 5)}
    assert {(each.limits.requests_per_second, each.limits.concurrency) for each in parts.values()} == {(1, 1)}


def test_batches_hold_and_are_on_the_page() -> None:
    """Nothing was lost or sent twice, time and memory grow with the cases, and a single case is not held up."""
    found = json.loads(batches.KEPT.read_text(encoding="utf-8"))
    assert list(batches.wrong(found)) == []
    page = batches.PAGE.read_text(encoding="utf-8")
    assert page[page.index(batches.HEADING) :] == "\n".join(batches.lines(found)) + "\n"


def test_a_batch_that_does_not_hold_is_reported() -> None:
    """A lost case, a slow larger batch, a case that waits behind the batch."""
    one = {"cases": 100, "completed": 100, "lost": 0, "twice": 0, "seconds": 10.0, "megabytes": 100.0}
    many = {**one, "cases": 1000, "completed": 1000, "seconds": 106.0}
    local = {"few": one, "many": many, "again": {**many, "lost": 1}}
    beside = {"docsumo": {"alone": 5.0, "median": 6.0, "most": 7.1}}
    found = list(batches.wrong({"local": local, "beside": beside}))
    assert [each.partition(":")[0] for each in found] == [
        "again",
        "the time of the larger batch is 10.6 times that of the smaller one",
        "docsumo",
    ]
