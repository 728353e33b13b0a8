"""The ways that ``make bench`` compares send what their guides show, and the sandbox says when it was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import guides, report
from bench.cases import GUIDE, POLLED, TEXTBOOK, VENDORS, WEBHOOKS, connections, priced, section
from bench.sandboxes import Sandbox, done_of, keys, requests_of
from dossier.connections import load_toml
from dossier.pricing import prices
from tests.chaos.deployment import further_sandboxes
from tests.machine import samples
from tests.tables import ROOT

FUNCTIONS = ROOT / "bench" / "textbook" / "functions"
BODY = samples("invoice.pdf")["invoice.pdf"]
ASKED = {"docustack": 3, "docsumo": 9, "ombudsman": 6}
"""Requests of a case at a vendor that is done at once: the fewest that the guides allow. Docsumo has three files, each
of which takes two requests, one of them to storage."""
DRIVE = """
import json, sys, vendors
name, body = sys.argv[1], sys.stdin.buffer.read()
for vendor in vendors.URLS:
    job = {"done": False, "then": 0} | vendors.upload(vendor, name, body)
    while not job["done"]:
        job |= vendors.poll(vendor, job)
    print(json.dumps([vendor, {file: len(found) for file, found in vendors.download(vendor, job).items()}]))
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run a sandbox whose vendors are done at once."""
    with further_sandboxes(tmp_path_factory.mktemp("sandboxes"), 1) as (client,):
        found = Sandbox(client)
        found.pace(0, 0, 0)
        yield found


@pytest.mark.parametrize("vendor", VENDORS)
def test_loop_of_a_guide_stores_the_result(sandbox: Sandbox, vendor: str) -> None:
    """With as few requests as the guide allows; the sandbox knows when it was done with that document."""
    stored: dict[str, bytes] = {}
    after = sandbox.last()
    guides.LOOPS[vendor](f"{sandbox.url}/{vendor}", keys()[vendor], "G-1.pdf", BODY, stored.__setitem__)
    journal = sandbox.journal(after)
    assert all(stored.values())
    assert set(stored) >= {"docsumo": {"G-1.pdf/G-1.pdf"}}.get(vendor, set())
    assert requests_of(journal)[vendor] == ASKED[vendor]
    assert [each["status"] for each in journal if each["status"] >= 300] == []
    done = done_of(journal)["G-1.pdf"]
    assert done.took < 1
    assert 0 <= journal[-1]["at"] - done.at < 60


def test_textbook_poller_stores_the_result(sandbox: Sandbox) -> None:
    """Its functions' module asks each vendor as its guide shows."""
    after, urls = sandbox.last(), {vendor: f"{sandbox.url}/{vendor}" for vendor in VENDORS}
    environment = {**os.environ, "URLS": json.dumps(urls), "PYTHONPATH": str(FUNCTIONS)}
    keyed = (
        f"import boto3; boto3.client = lambda *_: type('S', (), {{'get_secret_value': lambda s, **_: {_secret()!r}}})()"
    )
    done = subprocess.run(
        [sys.executable, "-c", keyed + DRIVE, "T-1.pdf"],
        input=BODY,
        env={**environment, "KEYS": "textbook/keys"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line)[0] for line in done.stdout.splitlines()] == list(VENDORS)
    asked = requests_of(sandbox.journal(after))
    assert asked == ASKED


def _secret() -> dict[str, str]:
    return {"SecretString": json.dumps(keys())}


def test_spread_draws_processing_times_around_the_set_one(sandbox: Sandbox) -> None:
    """The guides' times are distributions: ten to thirty seconds."""
    sandbox.pace(20, 20, 0.5)
    try:
        took = [_uploaded(sandbox) for _ in range(12)]
    finally:
        sandbox.pace(0, 0, 0)
    assert all(9.5 < each < 30.5 for each in took)
    assert len({round(each, 2) for each in took}) > 6


def _uploaded(sandbox: Sandbox) -> float:
    after = sandbox.last()
    fields = {"schema_id": "sch_xyz789", "organization_id": "org_abc123"}
    headers = {"X-API-Key": keys()["docustack"]}
    url = f"{sandbox.url}/docustack/api/v1/documents/upload"
    sandbox.client.post(url, headers=headers, files={"file": ("S-1.pdf", BODY)}, data=fields).raise_for_status()
    return done_of(sandbox.journal(after))["S-1.pdf"].took


def test_connections_of_the_cases_load(tmp_path: Path) -> None:
    """Each shipped connection, and again at a sandbox without webhooks, with the default times of polls."""
    (tmp_path / "connections.toml").write_text(
        connections("http://127.0.0.1:1").replace("SANDBOX", "http://127.0.0.1:2")
    )
    found = load_toml(tmp_path / "connections.toml")
    assert sorted(found) == ["claims", "claims-polled", "disputes", "disputes-polled", "invoices", "invoices-polled"]
    assert [each.poll for each in found.values() if "poll" in each.model_fields_set] == []
    assert len({each.base_url for each in found.values()}) == 6


def test_section_names_targets_and_every_way() -> None:
    """A missed target says no."""
    times = {"cases": 1, "over": [0.6, 0.5, 0.9], "delay": [0.4, 0.3, 0.5], "requests": 4.0}
    used = {"counts": {"transitions": 10, "invocations": 7.0}, "dollars": 0.0005}
    ways = dict.fromkeys((WEBHOOKS, POLLED, TEXTBOOK), times | used) | {GUIDE: times}
    pace = {"seconds": 20, "assessment": 120, "spread": 0.5, "vendors": {"docustack": ways}}
    text = "\n".join(section({"the guides' times": pace, "three minutes": pace}))
    assert "| 0.60 s | **no** |" in text
    assert "| 0.40 s | yes |" in text
    assert "A document takes 10 to 30 s" in text
    assert text.count("| DocuStack: ") == 8


def test_price_is_that_of_dossier_cost() -> None:
    """The same list prices: transitions and invocations, and nothing for what was not used."""
    rate = prices()
    found = priced({"transitions": 4, "invocations": 2}, rate)
    assert found["state transitions"] == 4 * rate["states"]["transition"]
    assert found["Lambda requests"] == 2 * rate["lambda"]["request"]
    assert found["table, write units"] == 0


def test_a_part_replaces_its_section_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the page is written by people, or by other parts."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.write("x", ["new"])
    assert page.read_text() == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\n"
    with pytest.raises(ValueError, match="no section"):
        report.write("z", ["new"])
