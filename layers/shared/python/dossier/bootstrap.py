"""The composition root: the environment → AWS clients → the context of the steps. Created once per function."""

from __future__ import annotations

from functools import cache

from dossier.environment import Environment
from dossier.steps.context import Context
from dossier.stores.clients import Clients


@cache
def context() -> Context:
    """Return the function's context, created from its environment on first use."""
    from dossier import observe, usage  # noqa: PLC0415 -- only for functions: the CLI writes no metrics

    clients = Clients()
    usage.OWN.attach(clients.events)
    return Context(Environment.from_os(), clients, count=observe.count, hear=observe.hear)
