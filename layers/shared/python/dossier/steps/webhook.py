"""Webhook: verifies a delivery, keeps it, queues it, answers. No vendor is called, nothing of the body is parsed.

This module and what it imports are loaded at every cold start of the webhook function: standard library alone.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from dossier.bodies import content, others
from dossier.errors import ConfigurationError
from dossier.signatures import KEPT_TOKEN, SAYS_THE_SECRET, Delivery, Rule, identity, proof, said, verify

REFUSED_PER_MINUTE = 30
"""Refused deliveries of a connection that one instance of the function tries to keep, a minute at most."""
REREAD_EVERY = 2.0
"""Seconds between two reads of a secret that strangers can cause: so late is a new secret known at most."""
MAX_BYTES = 1_048_576
"""Largest body, unless a connection takes more: a larger one is answered whatever its connection is."""
HIDDEN = "(hidden)"
_LONG_ENOUGH = 8
"""Shortest secret, in characters, that is looked for in headers: a shorter one is found in any text."""
PROBE = "x-dossier-probe"
"""The header of the unsigned delivery that ``dossier doctor`` sends, and finds again by its value."""
_HARMLESS = frozenset({"content-type", "content-length", "content-encoding", "user-agent", "date", "host", PROBE})
"""Headers that are stored as they are, also where no known secret fits: any other may hold an unknown secret."""
_LONGEST_NAME = 64
_STAND_IN = Rule("hmac-sha256-hex", "x-signature")


class Taken(Protocol):
    """A delivery that was taken (``stores.evidence.Claim``)."""

    @property
    def key(self) -> str:
        """The key under which it is kept."""

    @property
    def known(self) -> bool:
        """Whether it was kept and queued before."""


class Keeper(Protocol):
    """Keeps deliveries (``stores.evidence``)."""

    def claim(self, connection: str, digest: str, *, at: datetime) -> Any:
        """Take a delivery, or find out that it is known (``Taken``)."""

    def keep(  # noqa: PLR0913, RUF100 -- as it is stored
        self,
        connection: str,
        verdict: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        key: str,
        digest: str,
        at: datetime,
    ) -> str:
        """Store an accepted one under its claim's key, and return it."""

    def finish(self, claim: Any, *, at: datetime) -> None:
        """Note that it is stored and queued."""

    def repeated(self, claim: Any) -> None:
        """Count a known one that came again."""

    def refuse(
        self,
        connection: str | None,
        cause: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        detail: str,
        asked: str,
        at: datetime,
    ) -> str | None:
        """Store a refused one, within limits."""


class Webhook:
    """Answers webhook requests (API Gateway HTTP API, payload format 2.0)."""

    def __init__(
        self,
        *,
        settings_of: Callable[[str], Mapping[str, Any] | None],
        secrets_of: Callable[[str, bool], list[str]],
        evidence: Callable[[], Keeper],
        enqueue: Callable[[dict[str, str]], None],
        names: Callable[[], Sequence[str]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings_of = settings_of
        self._secrets_of = secrets_of
        self._evidence = evidence
        self._enqueue = enqueue
        self._names = names
        self._clock = clock
        self._kept = _PerMinute(REFUSED_PER_MINUTE, clock)
        self._counted = _PerMinute(REFUSED_PER_MINUTE, clock)
        self._asked_at: dict[str, float] = {}

    def answer(self, event: Mapping[str, Any]) -> tuple[int, str]:
        """Return the HTTP status and the verdict: 200 once verified, kept and queued; 401; 413.

        An unknown connection, one without webhooks, one without a secret and a wrong signature get the same answer, for
        about the same work. What AWS fails to do (read the secret, keep, queue) is raised: API Gateway answers 500, the
        vendor tries again.
        """
        event = _mapping(event)  # whatever comes gets an answer
        path = _mapping(event.get("pathParameters"))
        name = str(path.get("connection", ""))
        settings = self._settings_of(name)
        headers = {str(key).lower(): str(value) for key, value in _mapping(event.get("headers")).items()}
        arrival = _Arrival(name if settings else None, name, headers, str(path.get("token", "")), event)
        if arrival.body is None:
            return self._refused(arrival, 401, "undecodable body")
        if len(arrival.body) > self._largest:
            return self._refused(arrival, 413, "too large")
        if settings is None:
            self._verified(self._stand_in(name), _STAND_IN, arrival)  # the work that any other has
            return self._refused(arrival, 401, "unknown connection")
        rule = Rule(settings["scheme"], settings.get("header") or "", settings["prefix"], settings["tolerance"])
        body, secrets = self._verified(name, rule, arrival)
        if body is None:
            return self._refused(arrival, 401, "signature refused", rule, secrets)
        if max(len(arrival.body), len(body)) > settings["max_bytes"]:
            return self._refused(arrival, 413, "too large", rule, secrets)
        return self._accepted(name, rule, arrival, body, secrets)

    def _accepted(
        self, connection: str, rule: Rule, arrival: _Arrival, body: bytes, secrets: Sequence[str]
    ) -> tuple[int, str]:
        """Keep and queue a delivery, once: only what is both is known when it comes again."""
        evidence, at = self._evidence(), datetime.fromtimestamp(self._clock(), UTC)
        claim = evidence.claim(connection, identity(rule, arrival.delivery(body)), at=at)
        if claim.known:
            if self._counted.allows(connection):
                evidence.repeated(claim)
            return 200, "duplicate"
        delivery = arrival.delivery(arrival.as_it_came(body))
        shown = _without_secrets(rule, delivery, secrets)
        evidence.keep(connection, "accepted", delivery.body, shown, key=claim.key, digest=claim.digest, at=at)
        self._enqueue({"connection": connection, "delivery": claim.key})
        evidence.finish(claim, at=at)
        return 200, "accepted"

    def _refused(
        self, arrival: _Arrival, status: int, verdict: str, rule: Rule | None = None, secrets: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Keep what is refused, and why, as far as this instance's share goes; return the answer."""
        if self._kept.allows(arrival.connection or ""):
            from dossier.refusals import cause_of  # noqa: PLC0415 -- not for who is accepted

            cause, detail, now = verdict, "", self._clock()
            delivery = arrival.delivery(arrival.body or b"")
            if rule is not None and verdict == "signature refused":
                cause, detail = cause_of(rule, delivery, secrets, now)
            # Before the secret was read nobody knows which header says it.
            shown = _harmless(arrival.headers) if rule is None else _without_secrets(rule, delivery, secrets)
            if rule is not None and rule.scheme in SAYS_THE_SECRET and verdict == "signature refused":
                # No secret that is known here fits: the vendor's may be in any header.
                proofs = {rule.header.lower(), KEPT_TOKEN}
                shown = {name: shown[name] if name in proofs else each for name, each in _harmless(shown).items()}
            self._evidence().refuse(
                arrival.connection,
                cause,
                delivery.body,
                shown,
                detail=detail,
                asked="" if arrival.connection else _plain(arrival.name),
                at=datetime.fromtimestamp(now, UTC),
            )
        return status, verdict

    def _verified(self, connection: str, rule: Rule, arrival: _Arrival) -> tuple[bytes | None, list[str]]:
        """Return the bytes that a secret proves (None if none does), and every secret that was tried."""
        secrets = self._secrets(connection, fresh=False)
        proven = self._proven(rule, arrival, secrets[:1], all_forms=False)
        if proven is not None:
            return proven, secrets
        proven = self._proven(rule, arrival, secrets)
        # An older secret fits: is it still good? That is asked each time, so that one which is retired ends at once;
        # strangers have no such secret. None fits: there may be a newer one by now. That is asked once in a while.
        if proven is None:
            now = self._clock()
            if now - self._asked_at.get(connection, 0.0) < REREAD_EVERY:
                return None, secrets
            self._asked_at[connection] = now
        if proven is not None and self._proven(rule, arrival, secrets[:1]) is not None:
            return proven, secrets
        fresh = self._secrets(connection, fresh=True)
        if fresh != secrets:
            proven = self._proven(rule, arrival, fresh)
        return proven, [*secrets, *fresh]

    def _proven(self, rule: Rule, arrival: _Arrival, secrets: Sequence[str], *, all_forms: bool = True) -> bytes | None:
        for body in arrival.bodies if all_forms and rule.scheme not in SAYS_THE_SECRET else arrival.bodies[:1]:
            if verify(rule, arrival.delivery(body), secrets, now=self._clock()):
                return body
        return None

    def _secrets(self, connection: str, *, fresh: bool) -> list[str]:
        if not connection:
            return []
        try:
            return self._secrets_of(connection, fresh)
        except ConfigurationError:  # none is set: nothing can be proven
            return []

    def _stand_in(self, name: str) -> str:
        """Return the connection whose secret is read for one that there is not: always the same for a name."""
        names = self._names()
        return names[sum(name.encode("utf-8", "surrogatepass")) % len(names)] if names else ""

    @cached_property
    def _largest(self) -> int:
        """The largest body that any connection takes: what it says is said of all of them alike."""
        limits = [int(settings["max_bytes"]) for name in self._names() if (settings := self._settings_of(name))]
        return max([MAX_BYTES, *limits])


@dataclass(frozen=True)
class _Arrival:
    """A request: the connection, if there is one of that name, and what came."""

    connection: str | None
    name: str
    headers: Mapping[str, str]
    token: str
    event: Mapping[str, Any]

    @cached_property
    def body(self) -> bytes | None:
        """The body's bytes, text being UTF-8; None if it is none."""
        text = self.event.get("body") or ""
        if not isinstance(text, str):
            return None
        if not self.event.get("isBase64Encoded"):
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return None

    @cached_property
    def bodies(self) -> list[bytes]:
        """What the vendor may have signed: the body as it came, unpacked, in another charset."""
        body, text = self.body or b"", self.event.get("body")
        handed_on = text if isinstance(text, str) and not self.event.get("isBase64Encoded") else None
        return [body, *others(body, self.headers, handed_on)]

    def as_it_came(self, proven: bytes) -> bytes:
        """Return the bytes to keep: what was only unpacked to be verified is kept packed."""
        body = self.body or b""
        return body if proven == content(body, self.headers) else proven

    def delivery(self, body: bytes) -> Delivery:
        """Return it with these bytes."""
        return Delivery(body, self.headers, self.token)


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
    from dossier.masks import repeats  # noqa: PLC0415 -- not for an import that every cold start pays for

    active = [secret for secret in dict.fromkeys(secrets) if len(secret) >= _LONG_ENOUGH]
    own = rule.header.lower() if rule.scheme in SAYS_THE_SECRET else ""
    kept = {
        name: HIDDEN if name == own or any(repeats(value, secret) for secret in active) else value
        for name, value in delivery.headers.items()
    }
    if rule.scheme == "shared-secret" and own in kept:
        kept[own] = proof(said(rule, delivery), delivery.body)
    if rule.scheme == "path-token" and delivery.token:
        kept[KEPT_TOKEN] = proof(delivery.token, delivery.body)
    return kept


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value if name in _HARMLESS else HIDDEN for name, value in headers.items()}


def _plain(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name[:_LONGEST_NAME])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
