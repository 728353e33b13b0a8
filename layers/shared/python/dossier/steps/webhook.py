"""Webhook: verifies a delivery, keeps it, queues it, answers. No vendor is called, nothing of the body is parsed.

This module and what it imports are loaded at every cold start of the webhook function: standard library alone.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dossier.signatures import Delivery, Rule, verify

REFUSED_PER_MINUTE = 30
"""Refused deliveries that one instance of the function keeps as evidence, a minute at most."""
HIDDEN = "(hidden)"


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
        self._refused: list[float] = []

    def answer(self, event: Mapping[str, Any]) -> tuple[int, str]:
        """Return the HTTP status and the verdict: 200 once verified, kept and queued; 401; 413.

        An unknown connection, one without webhooks and a wrong signature get the same answer.
        """
        path = event.get("pathParameters") or {}
        connection = str(path.get("connection", ""))
        settings = self._settings_of(connection)
        if settings is None:
            return 401, "unknown connection"
        body = _body(event)
        if body is None:
            return 401, "undecodable body"
        if len(body) > settings["max_bytes"]:
            return 413, "too large"
        headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
        rule = Rule(settings["scheme"], settings.get("header") or "", settings["prefix"], settings["tolerance"])
        delivery = Delivery(body, headers, str(path.get("token", "")))
        shown = {**headers, rule.header.lower(): HIDDEN} if rule.scheme == "shared-secret" else headers
        if not self._verified(connection, rule, delivery):
            self._keep_refused(connection, body, shown)
            return 401, "signature refused"
        key = self._evidence().keep(connection, "accepted", body, shown)
        self._enqueue({"connection": connection, "delivery": key})
        return 200, "accepted"

    def _verified(self, connection: str, rule: Rule, delivery: Delivery) -> bool:
        secrets = self._secrets_of(connection, False)
        if verify(rule, delivery, secrets, now=self._clock()):
            return True
        fresh = self._secrets_of(connection, True)
        return fresh != secrets and verify(rule, delivery, fresh, now=self._clock())

    def _keep_refused(self, connection: str, body: bytes, headers: Mapping[str, str]) -> None:
        now = self._clock()
        self._refused = [at for at in self._refused if now - at < 60]
        if len(self._refused) < REFUSED_PER_MINUTE:
            self._refused.append(now)
            self._evidence().keep(connection, "refused", body, headers)


def _body(event: Mapping[str, Any]) -> bytes | None:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
