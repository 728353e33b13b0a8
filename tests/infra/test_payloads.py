"""What a state is given fits into 262,144 bytes, whatever the execution's input is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dossier.models import CaseInput
from dossier.stores.executions import INPUT_LIMIT
from infra.case_machine import LONGEST_CAUSE
from tests.infra.synthesis import Synthesized
from tests.tables import ROOT

LIMIT = 262_144
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: input and output of a task, in bytes."""
JSONATA = """
const jsonata = require('jsonata');
const given = JSON.parse(require('fs').readFileSync(0));
(async () => {
  const found = {};
  for (const [name, text] of Object.entries(given.expressions)) {
    found[name] = await jsonata(text).evaluate(null, {...given.variables, states: given.states});
  }
  console.log(JSON.stringify(found));
})();
"""


def payload(stack: Synthesized, state: str, states: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return a state's payload, as the reference implementation of JSONata evaluates it."""
    [found] = [each for name, each, _ in stack.states() if name == state]
    written = found["Arguments"].get("Payload", found["Arguments"])
    expressions = {
        name: text.removeprefix("{%").removesuffix("%}") if isinstance(text, str) else inner(text)
        for name, text in written.items()
    }
    node = Path(sys.executable).with_name("node")
    given = json.dumps({"expressions": expressions, "states": states, "variables": variables})
    done = subprocess.run(
        [node, "-e", JSONATA], input=given, cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def inner(value: dict[str, str]) -> str:
    """Return an object of expressions as one expression."""
    parts = (f"'{name}': {text.removeprefix('{%').removesuffix('%}')}" for name, text in value.items())
    return "{" + ", ".join(parts) + "}"


def failed(stack: Synthesized, given: object, cause: str = "so it is") -> dict[str, Any]:
    """Return the payload that Record Failure passes to ``fail``."""
    execution = {"Input": given, "Id": "arn:aws:states:eu-central-1:123456789012:execution:dossier-dev:x"}
    states = {"context": {"Execution": execution}}
    return payload(stack, "Record Failure", states, failure={"error": "InvalidCaseError", "cause": cause})


def case(documents: int, *, sign: str = "a") -> dict[str, Any]:
    """Return an input with a number of documents."""
    each = [{"uri": f"s3://scans/{number:04d}-{sign * 170}.pdf"} for number in range(documents)]
    return {"connection": "invoices", "reference": "INV-1", "documents": each}


def test_a_small_input_is_passed_on_unchanged(stack: Synthesized) -> None:
    """An input that fits is passed on whole."""
    given = {**case(3), "options": {"case_title": "May"}}
    assert failed(stack, given) == {
        "input": given,
        "execution_arn": "arn:aws:states:eu-central-1:123456789012:execution:dossier-dev:x",
        "error": "InvalidCaseError",
        "cause": "so it is",
    }


@pytest.mark.parametrize(
    "given",
    [
        case(1000),
        case(350, sign="\u8acb"),  # three bytes each
        {**case(1), "options": {"text": "a" * 250_000}},
        {"connection": "invoices", "reference": "INV-1", "case_id": "c", "unknown": "a" * 250_000},
    ],
    ids=["documents", "wide", "options", "unknown"],
)
def test_a_large_input_keeps_its_names(stack: Synthesized, given: dict[str, Any]) -> None:
    """An input near the limit and Lambda's longest cause fit together, and name the failed case."""
    size = len(json.dumps(given, ensure_ascii=False).encode())
    assert 190_000 < size <= LIMIT
    handed_on = failed(stack, given, cause="\u8acb" * 32_768)
    assert len(json.dumps(handed_on, ensure_ascii=False).encode()) < LIMIT
    assert len(handed_on["cause"]) == LONGEST_CAUSE
    parsed = CaseInput.parse(handed_on["input"])
    assert (parsed.connection, parsed.reference) == ("invoices", "INV-1")


@pytest.mark.parametrize(
    "given",
    [
        "a" * 250_000,
        ["a" * 1000] * 250,
        {"connection": "a" * 250_000, "reference": "INV-1"},
        {"connection": "invoices", "reference": ["a" * 1000] * 250},
        {"connection": "invoices", "reference": "INV-1", "documents": "a" * 250_000},
        {"connection": "invoices", "reference": "INV-1", "documents": [{"uri": "a" * 250_000}]},
        {"connection": "invoices", "reference": "INV-1", "drop": {"key": "a" * 250_000}},
    ],
    ids=["text", "list", "connection", "reference", "documents", "document", "drop"],
)
def test_large_values_fit_into_a_state(stack: Synthesized, given: object) -> None:
    """An input without a case is cut as well."""
    handed_on = failed(stack, given, cause="\u8acb" * 32_768)
    assert len(json.dumps(handed_on, ensure_ascii=False).encode()) < LIMIT


def test_the_largest_input_of_a_drop_fits_into_accept(stack: Synthesized) -> None:
    """Accept gets the input, and its execution's ARN and name."""
    given = {"options": {"text": "a" * (INPUT_LIMIT - 25)}}
    assert len(json.dumps(given).encode()) == INPUT_LIMIT - 25 + len(json.dumps({"options": {"text": ""}}))
    name = "n" * 80
    execution = {"Id": f"arn:aws-us-gov:states:ap-southeast-3:123456789012:execution:{'s' * 80}:{name}", "Name": name}
    handed_on = payload(stack, "Accept", {"input": given, "context": {"Execution": execution}})
    assert len(json.dumps(handed_on).encode()) <= LIMIT
