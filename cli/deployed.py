"""What the commands that work on queues and deliveries know of a deployment besides its outputs."""

from __future__ import annotations

import os
from pathlib import Path

from cli.target import Target
from dossier.connections import load_toml
from dossier.settings import Connection


def settings_of(where: Target) -> dict[str, Connection]:
    """Return the connections' settings by name, from the file that was deployed where that is known.

    Nothing if the file is not here.

    Raises:
        ConfigurationError: the file is wrong.

    """
    path = settings_file(where)
    return load_toml(path) if path.is_file() else {}


def settings_file(where: Target) -> Path:
    """Return the connections file, which may not be here."""
    return where.connections_file or Path(os.environ.get("DOSSIER_CONNECTIONS") or "connections.toml")


def wake_queue_url(where: Target) -> str:
    """Return the URL of the wake queue; the other queues lie beside it."""
    return where.session.client("sqs").get_queue_url(QueueName=f"{where.stack}-wake")["QueueUrl"]
