"""JSONata as the local AWS evaluates it, with each expression read once; a plain path needs no evaluation at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonata

_PATH = re.compile(r"\$([A-Za-z]\w*)((?:\.[A-Za-z]\w*)*)")


class UndefinedError(Exception):
    """An expression gives nothing, or cannot be evaluated."""


def value_of(value: Any, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """Return a value of the definition with its expressions evaluated."""
    if isinstance(value, dict):
        return {name: value_of(each, states, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [value_of(each, states, variables) for each in value]
    if not isinstance(value, str) or not value.startswith("{%"):
        return value
    return evaluate(value[2:-2].strip(), states, variables)


def evaluate(expression: str, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression.

    Raises:
        UndefinedError: it gives nothing, or cannot be evaluated.

    """
    path = _PATH.fullmatch(expression)
    if path is not None:
        found: Any = states if path[1] == "states" else variables.get(path[1])
        for name in path[2].split(".")[1:]:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str | bool | int | float):
            return found
    nothing = jsonata.utils.Utils.NULL_VALUE
    bindings = {name: nothing if value is None else value for name, value in variables.items()}
    try:
        found = _read(expression).evaluate(None, {**bindings, "states": states})
    except jsonata.jexception.JException as error:
        raise UndefinedError(str(error)) from error
    if found is None:
        raise UndefinedError(f"{expression} gives nothing")
    return found


@lru_cache(maxsize=1024)
def _read(expression: str) -> Any:
    return jsonata.Jsonata.jsonata(expression)
