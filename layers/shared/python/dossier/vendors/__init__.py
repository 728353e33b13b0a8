"""The vendors: one folder each, with ``VENDOR`` (the adapter's class) and ``CONNECTION`` (its settings model).

To add a vendor, add a folder here and its recorded replies under ``events/vendors``; no other code lists vendors.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import cast

from dossier.errors import ConfigurationError
from dossier.http import Flow
from dossier.operations import Operation
from dossier.ports import Vendor
from dossier.settings import Connection


def names() -> list[str]:
    """Return the names of all vendors, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def adapter(name: str) -> type[Vendor]:
    """Return the adapter's class of a vendor.

    Raises:
        ConfigurationError: there is no such vendor.

    """
    return cast("type[Vendor]", _load(name).VENDOR)


def vendor(connection: Connection) -> Vendor:
    """Return the adapter of a connection's vendor."""
    return adapter(connection.vendor)(connection)


def connection_model(name: str) -> type[Connection]:
    """Return the settings model of a vendor's connections.

    Raises:
        ConfigurationError: there is no such vendor.

    """
    return cast("type[Connection]", _load(name).CONNECTION)


def operations(name: str) -> tuple[Operation, ...]:
    """Return a vendor's operations for ``dossier vendor`` (``OPERATIONS`` in its ``operations.py``), or none.

    Raises:
        ConfigurationError: there is no such vendor.

    """
    place = f"{_load(name).__name__}.operations"
    if importlib.util.find_spec(place) is None:
        return ()
    return cast("tuple[Operation, ...]", importlib.import_module(place).OPERATIONS)


def jobs(name: str) -> Callable[[Connection], Flow[Mapping[str, list[str]]]] | None:
    """Return the flow that lists a vendor's jobs with their documents (``jobs`` in its ``operations.py``), or None."""
    place = f"{_load(name).__name__}.operations"
    if importlib.util.find_spec(place) is None:
        return None
    found: Callable[[Connection], Flow[Mapping[str, list[str]]]] | None = getattr(
        importlib.import_module(place), "jobs", None
    )
    return found


@cache
def _load(name: str) -> ModuleType:
    """Return a vendor's module. Every job asks for it: the folder is listed once."""
    if name not in names():
        raise ConfigurationError(f'unknown vendor "{name}": use one of {", ".join(names())}')
    return importlib.import_module(f"{__name__}.{name}")
