"""The functions' own handlers, loaded anew for each execution environment, as a cold start does."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
Handler = Callable[[Any, Any], Any]


@cache
def _code(verb: str) -> CodeType:
    file = ROOT / "functions" / verb / "handler.py"
    return compile(file.read_text(encoding="utf-8"), str(file), "exec")


def load(verb: str, **names: Any) -> Handler:
    """Return the handler of ``functions/<verb>`` in a module of its own, without what observes it.

    Args:
        verb: names the folder.
        names: what stands in for names that the module has (``context``, ``count``).

    """
    spec = importlib.util.spec_from_loader(f"tests.simulation.handlers.{verb}", loader=None)
    assert spec is not None
    module = ModuleType(spec.name)
    exec(_code(verb), vars(module))
    vars(module).update({name: each for name, each in names.items() if hasattr(module, name)})
    handler: Handler = inspect.unwrap(vars(module)["handler"])
    return handler
