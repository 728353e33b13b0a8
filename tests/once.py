"""What boto3 and Typer read or compute anew each time, though it is always the same: done once here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from types import FunctionType
from typing import Any

import botocore.hooks
import botocore.loaders
import botocore.regions
import botocore.session
import httpx
import pytest
import typer.main
import typer.testing
from botocore.endpoint_provider import EndpointProvider


@contextmanager
def read_once() -> Iterator[None]:
    """Read service models, rules for endpoints, certificates and the command line once, as long as this lasts."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        patch.setattr(botocore.regions, "EndpointProvider", _providers(EndpointProvider))
        patch.setattr(botocore.hooks.EventAliaser, "__init__", _aliaser(botocore.hooks.EventAliaser.__init__))
        patch.setattr(botocore.hooks, "accepts_kwargs", _remembering(botocore.hooks.accepts_kwargs))
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        patch.setattr(httpx, "create_ssl_context", _context(httpx.create_ssl_context))
        yield


def _providers(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes one provider of endpoints for each set of rules: it has no state but a cache of its answers."""
    made: dict[tuple[int, int], tuple[Any, ...]] = {}

    def provider(ruleset_data: Any, partition_data: Any, excluded_params: Any = None) -> Any:
        key = id(ruleset_data), id(partition_data)
        if key not in made:  # what an id stands for is kept as long as the id is
            found = make(ruleset_data, partition_data, excluded_params)
            made[key] = found, ruleset_data, partition_data
        return made[key][0]

    return provider


def _aliaser(make: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor whose objects share what they know of the usual aliases of events."""
    shared: dict[str, str] = {}

    def init(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(self, event_emitter, event_aliases)
        if self._event_aliases == botocore.hooks.EVENT_ALIASES:
            self._alias_name_cache = shared

    return init


def _remembering(accepts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``accepts_kwargs`` with a memory for functions, whose signatures do not change."""
    remembered = lru_cache(maxsize=1024)(accepts)
    return lambda handler: remembered(handler) if isinstance(handler, FunctionType) else accepts(handler)


def _context(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what reads the certificates that everybody trusts once, and makes any other context anew."""
    usual = lru_cache(maxsize=1)(lambda: make(trust_env=False))
    return lambda *args, **options: usual() if not args and options == {"trust_env": False} else make(*args, **options)
