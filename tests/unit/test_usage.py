"""The usage of an invocation: one line of its log, whatever its outcome."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr

from dossier import observe, usage
from dossier.calls import Call
from dossier.models import CaseId
from dossier.stores.cases import Cases
from dossier.stores.table import Table
from dossier.usage import USED, Usage, names_in
from tests.conftest import BUCKET, Cloud
from tests.records import record


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines about usage."""
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [each for each in found if USED in each]


def test_an_invocation_leaves_a_line_with_the_names_of_its_case(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, memory, requests to the vendor and the bytes that they sent; the next invocation counts from zero."""

    @usage.measured
    def handler(event: dict[str, Any], _context: Any) -> str:
        observe.hear(Call("invoices", "POST /documents", 200, None, 0.1, event["sent"]))
        return "done"

    context = SimpleNamespace(memory_limit_in_mb="512")
    for sent in (1000, 20):
        assert handler({"connection": "invoices", "reference": "R-1", "sent": sent}, context) == "done"
    first, second = lines(capsys)
    assert (first["connection"], first["reference"]) == ("invoices", "R-1")
    assert (first[USED]["mb"], first[USED]["calls"], first[USED]["sent"], second[USED]["sent"]) == (512, 1, 1000, 20)
    assert first[USED]["ms"] >= 0


def test_the_first_invocation_of_an_environment_has_its_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Lambda alone, and only where Lambda bills the start by the invocation."""
    for kind, first in (("on-demand", True), ("snap-start", False), ("", False)):
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
        handler = usage.measured(lambda _event, _context: None)
        handler({}, None)
        handler({}, None)
        one, two = lines(capsys)
        assert (one[USED].get("init", 0) > 0, "init" in two[USED]) == (first, False)


def test_the_start_is_the_age_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just begun is young, whatever the machine's age."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    code = "import time; time.sleep(0.3); from dossier.usage import initialized; print(initialized())"
    asked = [sys.executable, "-c", code]
    began = time.monotonic()
    age = float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    assert 0.28 < age < time.monotonic() - began + 0.02  # a tick of the kernel's clock is 10 ms


def test_an_invocation_that_fails_leaves_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Its requests are billed as well."""

    @usage.measured
    def handler(_event: dict[str, Any], _context: Any) -> None:
        usage.OWN.called()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        handler({}, None)
    [line] = lines(capsys)
    assert line[USED]["calls"] == 1
    assert set(line) == {USED}


@pytest.mark.parametrize(
    ("event", "names"),
    [
        ({"connection": "c", "reference": "R"}, {"connection": "c", "reference": "R"}),
        ({"input": {"connection": "c", "reference": "R"}, "execution": {}}, {"connection": "c", "reference": "R"}),
        ({"detail": {"input": '{"connection": "c", "reference": "R"}'}}, {"connection": "c", "reference": "R"}),
        ({"detail": {"input": "no JSON"}}, {}),
        ({"detail": {}}, {}),
        ({"input": [1]}, {}),
        ({"input": {"connection": 3, "reference": None}}, {}),
        ({"Records": []}, {}),
        (None, {}),
    ],
)
def test_names_are_those_of_the_event(event: Any, names: dict[str, str]) -> None:
    """Of a step, of Accept's input, of an execution's event; anything else has none."""
    assert names_in(event) == names


def test_a_long_name_is_cut() -> None:
    """The input of Accept is not checked yet."""
    used = Usage()
    used.begin(connection="x" * 5000)
    assert len(json.loads(used.line(0, 0))["connection"]) == usage.LONGEST_NAME


def test_requests_and_units_are_counted(cloud: Cloud) -> None:
    """DynamoDB reports the units of a request; a rejected conditional write consumes a unit without a report."""
    used = Usage()
    used.attach(cloud.session.events)
    table = Table(cloud.session.resource("dynamodb").Table("cases"))
    s3 = cloud.session.client("s3")
    assert Cases(table).claim(record(connection="invoices", reference="R-1")) is None
    written = used.write_units
    assert written >= 2  # the table's and the index's
    assert not table.put({"pk": "a", "sk": "b"}, when=Attr("pk").exists())
    assert used.write_units == written + 1
    assert table.get("a", "b") is None
    assert list(table.query("a")) == []
    assert list(table.get_many([("a", "b")])) == []
    assert used.read_units == 2
    assert Cases(table).find(CaseId("invoices", "R-1")) is not None
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert used.requests["s3.PutObject"] == 1
    assert used.requests["dynamodb.PutItem"] == 3  # the case, its connection, and the refused one
    assert used.requests["dynamodb.BatchGetItem"] == 1
    used.begin()
    assert json.loads(used.line(0.0123, 512)) == {
        USED: {"ms": 12.3, "mb": 512, "read": 0, "write": 0, "calls": 0, "sent": 0, "requests": {}}
    }
