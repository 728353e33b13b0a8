"""Connections of single vendors, and their adapters."""

from __future__ import annotations

from typing import Any

from dossier import vendors
from dossier.connections import load_toml
from dossier.ports import Vendor
from dossier.vendors.docsumo import CONNECTION
from dossier.vendors.docsumo.settings import DocsumoConnection
from tests.tables import ROOT


def connection(**changes: Any) -> DocsumoConnection:
    """Return a connection as ``connections.toml`` gives it."""
    settings = {"base_url": "https://app.docsumo.com", "casetype_id": "casetype__d1t5b", **changes}
    return CONNECTION.model_validate({"name": "claims", "vendor": "docsumo", **settings})


def adapter(name: str) -> Vendor:
    """Return a vendor's adapter for its connection in the shipped ``connections.toml``."""
    return vendors.vendor(next(each for each in load_toml(ROOT / "connections.toml").values() if each.vendor == name))
