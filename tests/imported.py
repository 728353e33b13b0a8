"""Does what Dossier leaves for later, before a test replaces the time in every module that is loaded.

A module that is imported afterwards, or a model whose validator is built then, would keep the time of that test for all
others, or have the machine's.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from pydantic import BaseModel


def import_late_modules() -> None:
    """Import every store and the transport (``dossier.steps.context`` imports them with their first use)."""
    stores = importlib.import_module("dossier.stores")
    for each in pkgutil.iter_modules(stores.__path__, "dossier.stores."):
        importlib.import_module(each.name)
    importlib.import_module("dossier.transport")


def build_models() -> None:
    """Build the validators of Dossier's models (pydantic's ``defer_build``)."""
    for model in _below(BaseModel):
        if model.__module__.startswith("dossier"):
            model.model_rebuild()


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)
