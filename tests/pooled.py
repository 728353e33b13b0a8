"""AWS clients in memory that go from test to test: making them would be most of what a quick test costs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

_made_by_boto3 = boto3.Session.client


@dataclass(frozen=True, slots=True)
class _Kept:
    """A client, or a resource with its client, and how it was when it was made."""

    made: Any
    handlers: Any
    attributes: dict[str, Any]

    @classmethod
    def of(cls, made: Any) -> _Kept:
        return cls(made, _handlers(made.meta), dict(vars(made.meta.client if hasattr(made.meta, "client") else made)))

    @property
    def is_as_it_was(self) -> bool:
        """Whether nobody has registered a handler, or put something in the place of an attribute."""
        now = _Kept.of(self.made)
        return now.handlers is self.handlers and now.attributes == self.attributes


_pool: defaultdict[tuple[Any, ...], list[_Kept]] = defaultdict(list)
_sessions: defaultdict[tuple[Any, ...], list[Session]] = defaultdict(list)


@contextmanager
def session(region: str) -> Iterator[Session]:
    """Yield a session that nobody else has."""
    key = region, _variables()
    found = _sessions[key].pop() if _sessions[key] else Session(region)
    try:
        yield found
    finally:
        found.give_back()
        if found.is_as_it_was:
            _sessions[key].append(found)


class Session(boto3.Session):
    """A session with clients that earlier tests have left as they were made: each belongs to one session at a time."""

    def __init__(self, region_name: str) -> None:
        super().__init__(region_name=region_name)
        self._handlers = self.events._emitter._lookup_cache
        self._taken: list[tuple[tuple[Any, ...], _Kept]] = []
        self._attributes = dict(vars(self))

    @property
    def is_as_it_was(self) -> bool:
        """Whether nobody has registered a handler, or put something in the place of an attribute."""
        now = {name: each for name, each in vars(self).items() if name != "_attributes"}
        return self.events._emitter._lookup_cache is self._handlers and now == self._attributes

    def client(self, service_name: Any, **options: Any) -> Any:  # type: ignore[override]
        """Return a client that nobody else has."""
        make = super().client
        if boto3.Session.client is not _made_by_boto3 or set(options) - {"config"}:  # a test has its own, or an option
            return make(service_name, **options)
        return self._one("client", service_name, options, lambda: make(service_name, **options))

    def resource(self, service_name: Any, **options: Any) -> Any:  # type: ignore[override]
        """Return a resource, with its client, that nobody else has."""
        make = super().resource
        return self._one("resource", service_name, options, lambda: make(service_name, **options))

    def give_back(self) -> None:
        """Leave the clients to others."""
        for key, kept in self._taken:
            _pool[key].append(kept)
        self._taken.clear()

    def _one(self, kind: str, service: str, options: dict[str, Any], make: Callable[[], Any]) -> Any:
        if self.events._emitter._lookup_cache is not self._handlers:  # new clients have the session's handlers
            return make()
        known = repr(sorted((name, _known(each)) for name, each in options.items()))
        key = kind, service, known, self.region_name, _variables()
        while _pool[key]:
            kept = _pool[key].pop()
            if kept.is_as_it_was:
                break
        else:
            kept = _Kept.of(make())
        self._taken.append((key, kept))
        return kept.made


def _variables() -> tuple[tuple[bytes, bytes], ...]:
    """Return the environment's variables that boto3 reads."""
    return tuple((name, value) for name, value in os.environb.items() if name.startswith(b"AWS_"))


def _handlers(meta: Any) -> Any:
    """Return an object that a client replaces when its handlers change (botocore's memory of those of each event)."""
    return (meta.client.meta if hasattr(meta, "client") else meta).events._emitter._lookup_cache


def _known(option: Any) -> Any:
    return option._user_provided_options if isinstance(option, Config) else option
