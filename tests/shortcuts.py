"""How answers in memory take the place of requests to AWS: handlers of botocore's event ``before-call``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.handlers import BUILTIN_HANDLERS, REGISTER_LAST
from moto.core.models import botocore_stubber


def is_answered_here(params: Mapping[str, Any]) -> bool:
    """Return whether a request is one to AWS while AWS is in memory."""
    return botocore_stubber.enabled and str(urlsplit(params["url"]).hostname).endswith(".amazonaws.com")


def register(answer: Callable[..., Any]) -> None:
    """Have every session made from now on answer here, after the handlers of tests, which may fail a call."""
    handler = ("before-call", answer, REGISTER_LAST)
    if handler not in BUILTIN_HANDLERS:
        BUILTIN_HANDLERS.append(handler)
