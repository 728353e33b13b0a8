"""Checks the state machine with AWS's published validator, and compares the reference JSONata with the local one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonata

from app import ROOT

RECORDED = ROOT / "events" / "states" / "evaluations.json"
"""The inputs of each expression, recorded from cases of every kind (``make record``)."""
STEPS, CALLS = RECORDED.with_name("steps.json"), RECORDED.with_name("calls.json")
"""The recorded input and output of each state, and each function's calls of AWS, for ``make cloud-check``."""
_SCRIPT = Path(__file__).with_name("machine.cjs")


def problems(definition: dict[str, Any], evaluations: Sequence[dict[str, Any]]) -> list[str]:
    """Return the problems of a definition, one line each.

    Args:
        definition: the state machine's.
        evaluations: the recorded inputs of its expressions: ``expression``, ``states``, ``variables``.

    """
    used = set(expressions(definition))
    known = {each["expression"] for each in evaluations}
    found = [f"no recorded input for {each}: run make record" for each in sorted(used - known)]
    current = [each for each in evaluations if each["expression"] in used]
    checked = _by_aws(definition, current)
    found += [f"asl-validator: {each}" for each in checked["problems"]]
    for each, theirs in zip(current, checked["results"], strict=True):
        ours = evaluate(each["expression"], each["states"], each["variables"])
        if ours != theirs and not ("error" in ours and "error" in theirs):
            found.append(f"{each['expression']}: locally {_short(ours)}, by the reference {_short(theirs)}")
        elif "value" not in theirs:
            found.append(f"{each['expression']}: {_short(theirs)}, which fails the state")
    return found


def evaluate(expression: str, states: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Evaluate an expression as the local AWS does; return ``{"value"}``, ``{"undefined"}`` or ``{"error"}``."""
    nothing = jsonata.utils.Utils.NULL_VALUE
    bindings = {name: nothing if value is None else value for name, value in variables.items()}
    try:
        value = jsonata.Jsonata.jsonata(expression).evaluate(None, {**bindings, "states": states})
        if value is None:
            probe = jsonata.Jsonata.jsonata(f"$exists(({expression}))")
            return {"value": None} if probe.evaluate(None, {**bindings, "states": states}) else {"undefined": True}
        return {"value": json.loads(json.dumps(value))}
    except Exception as error:  # noqa: BLE001 -- Step Functions has one error for all of them
        return {"error": str(getattr(error, "error", None) or error)}


def expressions(definition: Any) -> Iterator[str]:
    """Yield every expression of a definition."""
    if isinstance(definition, dict):
        for each in definition.values():
            yield from expressions(each)
    elif isinstance(definition, list):
        for each in definition:
            yield from expressions(each)
    elif isinstance(definition, str) and definition.startswith("{%"):
        yield definition[2:-2].strip()


def recorded() -> list[dict[str, Any]]:
    """Return the recorded evaluations."""
    found: list[dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def _by_aws(definition: dict[str, Any], evaluations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    node = Path(sys.executable).with_name("node")
    command = [str(node) if node.exists() else "node", str(_SCRIPT)]
    given = json.dumps({"definition": definition, "evaluations": list(evaluations)})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 -- our own
    if done.returncode:
        raise RuntimeError(f"node could not check the state machine:\n{done.stderr[-2000:]}")
    checked: dict[str, Any] = json.loads(done.stdout)
    return checked


def _short(value: dict[str, Any]) -> str:
    return json.dumps(value)[:200]
