"""Webhook: verifies a delivery, keeps it, queues it, answers. No vendor is called, nothing of the body is parsed.

This module and what it imports are loaded at every cold start of the webhook function: standard library alone.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dossier.errors import ConfigurationError
from dossier.signatures import KEPT_TOKEN, SAYS_THE_SECRET, Delivery, Rule, proof, verify

REFUSED_PER_MINUTE = 30
"""Refused deliveries of a connection that one instance of the function keeps as evidence, a minute at most."""
REREAD_PER_MINUTE = 30
"""Times that one instance reads a connection's secret again, a minute at most: each costs a call that others share."""
MAX_BYTES = 1_048_576
"""Largest body for a connection that there is not: its answers are those of one with all defaults."""
HIDDEN = "(hidden)"
_LONG_ENOUGH = 8
"""Shortest secret, in characters, that is looked for in headers: a shorter one is found in any text."""


class Keeper(Protocol):
    """Keeps deliveries (``stores.evidence``)."""

    def keep(self, connection: str, verdict: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Store one and return its key."""


class Webhook:
    """Answers webhook requests (API Gateway HTTP API, payload format 2.0)."""

    def __init__(
        self,
        *,
        settings_of: Callable[[str], Mapping[str, Any] | None],
        secrets_of: Callable[[str, bool], list[str]],
        evidence: Callable[[], Keeper],
        enqueue: Callable[[dict[str, str]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings_of = settings_of
        self._secrets_of = secrets_of
        self._evidence = evidence
        self._enqueue = enqueue
        self._clock = clock
        self._kept = _PerMinute(REFUSED_PER_MINUTE, clock)
        self._reread = _PerMinute(REREAD_PER_MINUTE, clock)

    def answer(self, event: Mapping[str, Any]) -> tuple[int, str]:
        """Return the HTTP status and the verdict: 200 once verified, kept and queued; 401; 413.

        An unknown connection, one without webhooks, one without a secret and a wrong signature get the same answer.
        What AWS fails to do (read the secret, keep, queue) is raised: API Gateway answers 500, the vendor tries again.
        """
        event = _mapping(event)  # whatever comes gets an answer
        path = _mapping(event.get("pathParameters"))
        connection = str(path.get("connection", ""))
        settings = self._settings_of(connection)
        body = _body(event)
        if body is None:
            return 401, "undecodable body"
        if len(body) > (MAX_BYTES if settings is None else settings["max_bytes"]):
            return 413, "too large"
        if settings is None:
            return 401, "unknown connection"
        headers = {str(name).lower(): str(value) for name, value in _mapping(event.get("headers")).items()}
        rule = Rule(settings["scheme"], settings.get("header") or "", settings["prefix"], settings["tolerance"])
        delivery = Delivery(body, headers, str(path.get("token", "")))
        verified, secrets = self._verified(connection, rule, delivery)
        shown = _without_secrets(rule, delivery, secrets)
        if not verified:
            if self._kept.allows(connection):
                self._evidence().keep(connection, "refused", body, shown)
            return 401, "signature refused"
        key = self._evidence().keep(connection, "accepted", body, shown)
        self._enqueue({"connection": connection, "delivery": key})
        return 200, "accepted"

    def _verified(self, connection: str, rule: Rule, delivery: Delivery) -> tuple[bool, list[str]]:
        """Return whether a secret proves the delivery, and every secret that was tried."""
        secrets = self._secrets(connection, fresh=False)
        if verify(rule, delivery, secrets[:1], now=self._clock()):
            return True, secrets
        # No secret fits, or an older one does: there may be a newer one by now, and the older one retired.
        proven = verify(rule, delivery, secrets, now=self._clock())
        if not self._reread.allows(connection):
            return proven, secrets
        fresh = self._secrets(connection, fresh=True)
        if fresh != secrets:
            proven = verify(rule, delivery, fresh, now=self._clock())
        return proven, [*secrets, *fresh]

    def _secrets(self, connection: str, *, fresh: bool) -> list[str]:
        try:
            return self._secrets_of(connection, fresh)
        except ConfigurationError:  # none is set: nothing can be proven
            return []


class _PerMinute:
    """Allows something a number of times a minute, for each connection."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._at: dict[str, list[float]] = {}

    def allows(self, connection: str) -> bool:
        """Return whether it may be done once more now, and count it."""
        now = self._clock()
        recent = [at for at in self._at.get(connection, []) if now - at < 60]
        allowed = len(recent) < self._most
        self._at[connection] = [*recent, now] if allowed else recent
        return allowed


def _without_secrets(rule: Rule, delivery: Delivery, secrets: Iterable[str]) -> dict[str, str]:
    """Return the headers to keep: none that is, or holds, a secret; whatever header the vendor was told to use.

    Where the delivery says the secret itself, its proof is kept, so that the delivery can be verified again.
    """
    active = [secret for secret in secrets if len(secret) >= _LONG_ENOUGH]
    said = rule.header.lower() if rule.scheme in SAYS_THE_SECRET else ""
    kept = {
        name: HIDDEN if name == said or any(secret in value for secret in active) else value
        for name, value in delivery.headers.items()
    }
    if rule.scheme == "shared-secret" and said in kept:
        kept[said] = proof(delivery.headers[said], delivery.body)
    if rule.scheme == "path-token" and delivery.token:
        kept[KEPT_TOKEN] = proof(delivery.token, delivery.body)
    return kept


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _body(event: Mapping[str, Any]) -> bytes | None:
    text = event.get("body") or ""
    if not isinstance(text, str):
        return None
    if not event.get("isBase64Encoded"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
