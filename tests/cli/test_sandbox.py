"""``dossier sandbox fault``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from local.home import Home, LocalState
from local.processes import Process
from local.sandbox.descriptions import WHAT_HAPPENS
from local.sandbox.settings import FaultName
from tests.local.sandbox.sandboxes import LiveSandbox


@pytest.fixture(scope="module")
def _live() -> Iterator[LiveSandbox]:
    with LiveSandbox() as live:
        yield live


@pytest.fixture
def sandbox(_live: LiveSandbox, nowhere: None) -> LiveSandbox:
    """Return a running sandbox that the command finds; no fault is set."""
    _live.plain.post("/_sandbox/reset")
    process = Process.find(os.getpid())
    assert process is not None
    state = LocalState(local_aws=process, sandbox=process, endpoint_url="http://e", sandbox_url=_live.url)
    home = Home.from_environment()
    home.folder.mkdir()
    home.save(state)
    return _live


def fault(*words: str) -> Result:
    """Run ``dossier sandbox fault``."""
    return CliRunner().invoke(app, ["sandbox", "fault", *words])


def rules(sandbox: LiveSandbox) -> list[dict[str, Any]]:
    """Return the active rules, without unset values."""
    found = sandbox.plain.get("/_sandbox/settings").json()["faults"]
    return [{key: value for key, value in rule.items() if value is not None} for rule in found]


def test_every_fault_is_described() -> None:
    """One line each, and no two alike."""
    assert set(WHAT_HAPPENS) == set(get_args(FaultName))
    assert len(set(WHAT_HAPPENS.values())) == len(WHAT_HAPPENS)
    assert all(text and text == " ".join(text.split()) for text in WHAT_HAPPENS.values())


def test_faults_are_listed_with_what_happens(sandbox: LiveSandbox) -> None:
    """Every fault, its rate, and where it strikes."""
    sandbox.set(faults=[{"name": "throttle", "rate": 0.5, "vendor": "docustack", "operation": "upload", "times": 2}])
    lines = fault("list").stdout.splitlines()
    assert {line.split()[0] for line in lines[1:]} == set(get_args(FaultName))
    [throttle] = [line for line in lines if line.startswith("throttle ")]
    assert "0.5 (docustack upload, 2 more)" in throttle
    assert throttle.endswith(WHAT_HAPPENS["throttle"])
    assert all(" off " in line for line in lines[1:] if line != throttle)
    document = json.loads(fault("list", "--json").stdout)
    assert document["faults"] == dict(WHAT_HAPPENS)
    assert document["operations"]["docustack"] == ["upload", "batch", "list", "status", "document"]
    assert [each["name"] for each in document["rules"]] == ["throttle"]


def test_fault_is_active_until_it_is_cleared(sandbox: LiveSandbox) -> None:
    """A rule replaces one of the same fault, vendor and operation; ``clear`` takes back one fault, or all."""
    assert fault("set", "error_before", "--vendor", "docustack", "--status", "503").exit_code == 0
    assert sandbox.docustack_upload().status_code == 503
    result = fault("set", "error_before", "--vendor", "docustack", "--status", "500", "--times", "1")
    assert result.stdout == "error_before: rate 1, vendor docustack, times 1, status 500\n"
    assert [sandbox.docustack_upload().status_code for _ in range(2)] == [500, 200]
    assert fault("set", "error_before", "--operation", "list").stdout == "error_before: rate 1, operation list\n"
    fault("set", "error_before", "--vendor", "docustack")
    fault("set", "webhook_lost", "--rate", "0.25", "--operation", "document_completed")
    assert [rule["name"] for rule in rules(sandbox)] == ["error_before", "error_before", "webhook_lost"]
    assert fault("clear", "error_before").exit_code == 0
    assert rules(sandbox) == [{"name": "webhook_lost", "rate": 0.25, "operation": "document_completed"}]
    assert fault("clear").stdout == "no fault is set\n"
    assert rules(sandbox) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set", "throtle"), 'unknown fault "throtle": do you mean throttle?'),
        (("clear", "bad\x1b"), 'unknown fault "bad": use one of throttle, error_before'),
        (("set", "slow", "--vendor", "docstack"), 'unknown vendor "docstack": do you mean docustack?'),
        (("set", "slow", "--operation", "uplod"), 'unknown operation "uplod": do you mean upload?'),
        (("set", "slow", "--vendor", "ombudsman", "--operation", "list"), "use one of case, create, download, "),
        (("set", "slow", "--rate", "2"), "--rate"),
        (("set", "slow", "--seconds", "-1"), "seconds: must not be negative"),
        (("set", "throttle", "--form", "dat"), "--form: Input should be 'seconds', 'date'"),
    ],
)
def test_unsupported_fault_is_bad_usage(sandbox: LiveSandbox, words: tuple[str, ...], message: str) -> None:
    """One line says what is wrong and what to use; the rules stay as they are."""
    sandbox.set(faults=[{"name": "html", "rate": 1}])
    result = fault(*words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert rules(sandbox) == [{"name": "html", "rate": 1}]


def test_without_a_sandbox(nowhere: None) -> None:
    """The command says how to start one."""
    result = fault("set", "slow", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["message"] == "the sandbox is not running"
    assert json.loads(result.stdout)["error"]["fix"] == "start it with `dossier up`"
