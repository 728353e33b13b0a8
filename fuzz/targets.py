"""The targets. Each takes any bytes, and raises if they break a promise.

The promises: foreign input causes no 5xx and no traceback, only errors of ``dossier.errors`` in one line; and nothing
hangs (the fuzzer's time limit).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz.answers import replies, results
from fuzz.deliveries import webhook
from fuzz.headers import headers
from fuzz.texts import markdown, names, settings, urls


@dataclass(frozen=True, slots=True)
class Target:
    """A function to fuzz, and the longest input in bytes."""

    run: Callable[[bytes], None]
    longest: int


TARGETS = {
    "webhook": Target(webhook, 4000),
    "replies": Target(replies, 16_000),
    "headers": Target(headers, 4000),
    "results": Target(results, 16_000),
    "markdown": Target(markdown, 16_000),
    "names": Target(names, 800),
    "settings": Target(settings, 4000),
    "urls": Target(urls, 1000),
}
