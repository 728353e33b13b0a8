"""Connections of single vendors."""

from __future__ import annotations

from typing import Any

from dossier.vendors.docsumo import CONNECTION
from dossier.vendors.docsumo.settings import DocsumoConnection


def connection(**changes: Any) -> DocsumoConnection:
    """Return a connection as ``connections.toml`` gives it."""
    settings = {"base_url": "https://app.docsumo.com", "casetype_id": "casetype__d1t5b", **changes}
    return CONNECTION.model_validate({"name": "claims", "vendor": "docsumo", **settings})
