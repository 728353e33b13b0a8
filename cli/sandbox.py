"""``dossier sandbox fault``: switches the sandbox's faults on and off."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import httpx
from pydantic import ValidationError

from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.text import clean
from dossier.suggestions import closest
from local import control
from local.sandbox.settings import FaultRule

_TIMEOUT = 10.0
_ANYWHERE = "download"
"""The operation of the vendors' storage."""
_DELIVERIES = "webhook_"
"""The prefix of faults whose operation is a delivery's event, which is any text."""


def list_faults(out: Output) -> None:
    """Print every fault of the sandbox, and the active rules."""
    found = _ask("GET", "/faults")
    out.document(found)
    rows = [(name, _rates(found["rules"], name) or "off", what) for name, what in found["faults"].items()]
    out.table(("FAULT", "RATE", "EFFECT"), rows)


def set_fault(out: Output, name: str, rule: Mapping[str, Any]) -> None:
    """Activate a rule, in place of one for the same fault, vendor and operation.

    Args:
        out: prints the rules.
        name: the fault's name.
        rule: the other fields of a ``FaultRule``; None leaves a field out.

    Raises:
        BadUsageError: the fault, the vendor or the operation is unknown, or the rule is invalid.

    """
    found = _ask("GET", "/faults")
    new = {"name": name, **{key: value for key, value in rule.items() if value is not None}}
    _require("fault", name, found["faults"])
    operations = found["operations"]
    if "vendor" in new:
        _require("vendor", new["vendor"], operations)
    if "operation" in new and not name.startswith(_DELIVERIES):
        vendors = [new["vendor"]] if "vendor" in new else operations
        known = {each for vendor in vendors for each in operations[vendor]} | {_ANYWHERE}
        _require("operation", new["operation"], sorted(known))
    try:
        FaultRule.model_validate(new)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadUsageError(f"--{first['loc'][0] if first['loc'] else 'seconds'}: {first['msg']}") from None
    _change(out, [*(each for each in found["rules"] if _place(each) != _place(new)), new])


def clear_faults(out: Output, name: str | None) -> None:
    """Remove the rules of one fault, or all rules.

    Raises:
        BadUsageError: the fault is unknown.

    """
    found = _ask("GET", "/faults")
    if name is not None:
        _require("fault", name, found["faults"])
    _change(out, [each for each in found["rules"] if name is not None and each["name"] != name])


def _require(what: str, word: str, known: Collection[str]) -> None:
    if word not in known:
        found = closest(word, known)
        fix = f"do you mean {found}?" if found else f"use one of {', '.join(known)}"
        raise BadUsageError(f'unknown {what} "{clean(word)}"', fix=fix)


def _change(out: Output, rules: Sequence[Mapping[str, Any]]) -> None:
    rules = [each for each in rules if each.get("times") != 0]  # a rule without remaining times has ended
    _ask("POST", "/settings", {"faults": rules})
    out.document({"rules": rules})
    for each in rules:
        out.line(
            f"{each['name']}: " + ", ".join(f"{key} {_plain(value)}" for key, value in each.items() if key != "name")
        )
    if not rules:
        out.line("no fault is set")


def _place(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    return rule["name"], rule.get("vendor"), rule.get("operation")


def _rates(rules: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return the rates of a fault, and where they apply."""
    rates = []
    for each in rules:
        if each["name"] == name:
            place = " ".join(each[key] for key in ("vendor", "operation") if key in each)
            left = f", {each['times']} more" if "times" in each else ""
            rates.append(_plain(each["rate"]) + (f" ({place}{left})" if place or left else ""))
    return "; ".join(rates)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ask(method: str, path: str, body: Any = None) -> Any:
    state = control.current()
    if state is None or state.sandbox is None or not state.sandbox.alive:
        raise CommandError("the sandbox is not running", fix="start it with `dossier up`")
    url = f"{state.sandbox_url}/_sandbox{path}"
    try:
        answer = httpx.request(method, url, json=body, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        message = f"the sandbox does not answer ({type(error).__name__})"
        raise CommandError(message, fix="restart it with `dossier down` and `dossier up`") from None
    return answer.json()
