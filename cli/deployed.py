"""The settings of a deployment's connections, from its connections file: its outputs do not have them."""

from __future__ import annotations

import os
from pathlib import Path

from cli.target import Target
from dossier.connections import load_toml
from dossier.settings import Connection


def settings_of(where: Target) -> dict[str, Connection]:
    """Return the connections' settings by name, from the deployed file if it is known; empty without a file.

    Raises:
        ConfigurationError: the file is invalid.

    """
    path = settings_file(where)
    return load_toml(path) if path.is_file() else {}


def settings_file(where: Target) -> Path:
    """Return the path of the connections file, which may not exist."""
    return where.connections_file or Path(os.environ.get("DOSSIER_CONNECTIONS") or "connections.toml")
