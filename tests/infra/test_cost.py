"""``make cost``: its counts, its arithmetic, and their figures in the README."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from checks import cost
from checks.cost import CONNECTIONS, LIMIT, Counts, Deployed, delivered, metered, polls_during, priced
from checks.places import PLACES, Filled
from dossier.pricing import prices
from dossier.settings import Poll
from dossier.steps import collect
from dossier.stores import limiter
from tests.infra.synthesis import Synthesized
from tests.tables import ROOT

PAGE = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


@pytest.fixture
def deployed(stack: Synthesized) -> Deployed:
    """Return the functions' figures in the template."""
    return Deployed(stack.template, stack.name)


@pytest.fixture
def definition(stack: Synthesized) -> dict[str, Any]:
    """Return the state machine's definition."""
    machine = Filled(stack.template, stack.name, PLACES[0]).machines()[0]
    found: dict[str, Any] = json.loads(machine["DefinitionString"])
    return found


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_case_of_one_document_costs_less_than_a_twentieth_of_a_cent(
    deployed: Deployed, definition: dict[str, Any], connection: str
) -> None:
    """The cost is counted from a run, at list price, and matches the page."""
    with metered() as it:
        counts = it.walk(definition, connection, "R-1")
    together = sum(deployed.bill(counts, prices()).values())
    assert 0.0002 < together < LIMIT
    assert counts.transitions >= 7
    assert counts.invoked["publish"] == 1
    assert counts.requests["events.PutEvents"] == 1
    [shown] = re.findall(
        r"^\| \*\*together\*\* \| \*\*([0-9.]+)\*\* \| \*\*([0-9.]+)\*\* \| \*\*([0-9.]+)", PAGE, re.MULTILINE
    )
    assert float(shown[CONNECTIONS.index(connection)]) == pytest.approx(together, rel=0.1)  # or run make cost


REQUESTS = {
    # writes and reads of the table, S3's writes and reads, messages, transitions, invocations, requests to the vendor
    "invoices": (30, 25, 7, 4, 1, 7, 6, 4),
    "claims": (40, 27, 11, 6, 1, 7, 6, 12),
    "disputes": (41, 39, 9, 5, 2, 12, 10, 7),
}
"""What a case of one document takes, the first of its connection, whose vendor is done at the first poll."""


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_case_takes_no_more_requests_than_it_did(
    definition: dict[str, Any], connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is counted where it is made; a change that takes more (or fewer) changes this table."""
    monkeypatch.setattr(limiter, "JUST_READ", 600.0)  # however busy the machine is, a step's turns are one moment
    monkeypatch.setattr(collect, "EARLY", 600.0)
    with metered() as it:
        counts = it.walk(definition, connection, "R-1")
        vendor = len(it.world.journal())
    requests = counts.requests
    counted = (
        sum(requests[f"dynamodb.{each}"] for each in ("PutItem", "UpdateItem", "DeleteItem")),
        sum(requests[f"dynamodb.{each}"] for each in ("GetItem", "Query", "BatchGetItem")),
        sum(requests[f"s3.{each}"] for each in ("PutObject", "CopyObject")),
        sum(requests[f"s3.{each}"] for each in ("GetObject", "HeadObject", "ListObjectsV2")),
        requests["sqs.SendMessage"],
        counts.transitions,
        counts.invoked.total(),
        vendor,
    )
    assert counted == REQUESTS[connection]
    known = ("dynamodb.", "s3.", "sqs.SendMessage", "events.PutEvents")
    assert sum(counted[:5]) + 1 == sum(number for name, number in requests.items() if name.startswith(known))


def test_a_bill_is_counts_times_prices(deployed: Deployed) -> None:
    """Each count is paid for once, at its own price."""
    rate = prices()
    requests = Counter({"s3.PutObject": 2, "s3.GetObject": 3, "sqs.SendMessage": 1, "events.PutEvents": 1})
    counts = Counts(10, Counter(poll=1, wait=1), Counter(poll=1), requests, 4, 5)
    bill = deployed.bill(counts, rate)
    gigabytes = {verb: deployed.memory[verb] / 1024 for verb in ("poll", "wait")}
    assumed, apart, executions = rate["assumed"], "poll" in deployed.traced, deployed.traces_executions
    seconds = gigabytes["poll"] * assumed["step_seconds"] + gigabytes["wait"] * assumed["table_seconds"]
    assert bill == pytest.approx(
        {
            "state transitions": 10 * rate["states"]["transition"],
            "Lambda requests": 2 * rate["lambda"]["request"],
            "Lambda GB-seconds": seconds * rate["lambda"]["gigabyte_second"],
            "table, read units": 4 * rate["dynamodb"]["read_unit"],
            "table, write units": 5 * rate["dynamodb"]["write_unit"],
            "S3, writes and lists": 2 * rate["s3"]["write"],
            "S3, reads": 3 * rate["s3"]["read"],
            "webhook requests": 0,
            "SQS requests": 3 * rate["sqs"]["request"],
            "events": rate["events"]["event"],
            "reads of the secret": rate["secrets"]["request"],
            "logs (assumed size)": 2 * assumed["log_bytes"] / 1e9 * rate["cloudwatch"]["log_gigabyte"],
            "traces": (apart + executions) * rate["xray"]["trace"],
            "documents sent": 0,
        }
    )


def test_polls_are_those_of_the_poller() -> None:
    """A wait of a minute is polled as often as its settings say, at the least every ``max`` seconds."""
    polls, counts = polls_during(60, Poll(first=0, every=10, max=10, deadline=3600))
    assert 6 <= polls <= 8
    assert counts.invoked == Counter(poll=polls)
    assert counts.requests["sqs.SendMessage"] == polls


def test_a_delivery_is_counted_from_the_request_to_the_poll(deployed: Deployed) -> None:
    """Evidence, message, its application and the next poll are counted; the page has the cost."""
    counts = delivered()
    assert counts.invoked == Counter(webhook=1, wake=1)
    assert counts.requests["s3.PutObject"] == 3
    assert counts.requests["sqs.SendMessage"] == 2  # to wake, and the poll that is next now
    rate = prices()
    bill = deployed.bill(counts, rate)
    assert bill["webhook requests"] == rate["api"]["request"]
    [shown] = re.findall(r"^A delivery .* costs \$([0-9.]+):", PAGE, re.MULTILINE)
    assert float(shown) == pytest.approx(sum(bill.values()), rel=0.1)  # or run make cost


def test_the_readme_has_the_pages_figures() -> None:
    """The README's figures about waiting match the count."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("ten seconds", "ten hours"):
        row = re.search(rf"^\| {name} \| (\d+) \| ([0-9.]+) \|$", PAGE, re.MULTILINE)
        text = re.search(rf"{name}[^.;]*? (\d+) times \(\$([0-9.]+)\)", readme)
        assert row
        assert text
        assert text[1] == row[1]
        assert float(text[2]) == pytest.approx(float(row[2]), rel=0.25)


def test_the_page_names_the_prices_date() -> None:
    """The page has the date of the prices."""
    rate = prices()
    assert f"in {rate['region']} as of {rate['as_of']}" in PAGE
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", rate["as_of"])
    assert cost.PAGE == ROOT / "docs" / "cost.md"


def test_every_price_says_where_it_is_from() -> None:
    """File and page name AWS's page and the source of each price."""
    services = {name: each for name, each in prices().items() if isinstance(each, dict) and name != "assumed"}
    assert len(services) > 10
    for name, service in services.items():
        assert priced(service), name
        assert re.fullmatch(r"https://aws\.amazon\.com/[a-z0-9/-]+/pricing/(on-demand/)?", service["page"]), name
        assert service["source"].count("$") >= 1, name
        assert f"| <{service['page']}> |" in PAGE, name
        assert service["source"] in PAGE, name
