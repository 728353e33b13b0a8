"""Webhook: verify a delivery, store it, queue it, answer. No vendor is called, and the body is not parsed.

Every cold start of the webhook function loads this module, so it only imports the standard library.
"""

from __future__ import annotations

import base64
import binascii
import re
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
"""Most rejected deliveries of a connection that one instance of the function tries to store per minute."""
REREAD_EVERY = 2.0
"""Least seconds between two reads of a secret that strangers can cause; a new secret is known after at most as long."""
MAX_BYTES = 1_048_576
"""Largest body, in bytes, unless a connection accepts more; a larger one is rejected for every connection."""
LONGEST_ANSWER = 30.0
"""Most seconds that API Gateway waits for an answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""
_LONG_ENOUGH = 8
"""Shortest secret, in characters, that is searched for in headers: a shorter one matches ordinary text."""
PROBE, PROBE_KEY = "x-dossier-probe", "dossier_probe"
"""The header of the deliveries that ``dossier doctor`` sends, whose value identifies the delivery; and the only key in
the body of its signed one."""
_SIGNED_PROBE = re.compile(rb'\{"dossier_probe": "[0-9a-f]{16}"\}')
_HARMLESS = frozenset({"content-type", "content-length", "content-encoding", "user-agent", "date", "host", PROBE})
"""Headers that are stored unchanged even if no known secret matches: any other may contain an unknown secret."""
_LONGEST_NAME = 64
_STAND_IN = Rule("hmac-sha256-hex", "x-signature")


def is_signed_probe(headers: Mapping[str, str], content: bytes) -> bool:
    """Return whether a delivery is the signed probe of ``dossier doctor``: marked, and otherwise empty."""
    return PROBE in headers and _SIGNED_PROBE.fullmatch(content) is not None


class Taken(Protocol):
    """A claimed delivery (``stores.evidence.Claim``)."""

    @property
    def key(self) -> str:
        """The key to store it under."""

    @property
    def known(self) -> bool:
        """Whether it was stored and queued before."""


class Keeper(Protocol):
    """Stores deliveries (``stores.evidence``)."""

    def claim(self, connection: str, digest: str, *, at: datetime) -> Any:
        """Claim a delivery; return a ``Taken``."""

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
        """Store an accepted delivery under its claim's key, and return the key."""

    def finish(self, claim: Any, *, at: datetime) -> None:
        """Note that a delivery is stored and queued."""

    def repeated(self, claim: Any) -> None:
        """Count a repetition of a known delivery."""

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
        """Store a rejected delivery, within limits."""


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
        """Return the HTTP status and the verdict: 200 once verified, stored and queued; 401; 413.

        An unknown connection, one without webhooks, one without a secret and a wrong signature get the same answer
        after about the same work. An error of AWS (reading the secret, storing, queuing) is raised: API Gateway answers
        500, and the vendor tries again.
        """
        event = _mapping(event)  # malformed events get an answer too
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
            self._verified(self._stand_in(name), _STAND_IN, arrival)  # takes as long as for a known connection
            return self._refused(arrival, 401, "unknown connection")
        rule = Rule(settings["scheme"], settings.get("header") or "", settings["prefix"], settings["tolerance"])
        body, secrets = self._verified(name, rule, arrival)
        if body is None:
            return self._refused(arrival, 401, "signature refused", rule, secrets)
        if max(len(arrival.body), len(body)) > settings["max_bytes"]:
            return self._refused(arrival, 413, "too large", rule, secrets)
        return self._accepted(name, rule, arrival, body, secrets)

    def connection_of(self, event: Mapping[str, Any]) -> str | None:
        """Return the connection that a request names; None if there is none of that name."""
        name = str(_mapping(_mapping(event).get("pathParameters")).get("connection", ""))
        return name if self._settings_of(name) else None

    def _accepted(
        self, connection: str, rule: Rule, arrival: _Arrival, body: bytes, secrets: Sequence[str]
    ) -> tuple[int, str]:
        """Store and queue a delivery once. Only a delivery that is both is recognized when it is repeated."""
        evidence, at = self._evidence(), datetime.fromtimestamp(self._clock(), UTC)
        arrived = datetime.fromtimestamp(arrival.at(at.timestamp()), UTC)
        claim = evidence.claim(connection, identity(rule, arrival.delivery(body)), at=at)
        if claim.known:
            if self._counted.allows(connection):
                evidence.repeated(claim)
            return 200, "duplicate"
        delivery = arrival.delivery(arrival.as_it_came(body))
        shown = _without_secrets(rule, delivery, secrets)
        evidence.keep(connection, "accepted", delivery.body, shown, key=claim.key, digest=claim.digest, at=arrived)
        self._enqueue({"connection": connection, "delivery": claim.key})
        evidence.finish(claim, at=at)
        return 200, "accepted"

    def _refused(
        self, arrival: _Arrival, status: int, verdict: str, rule: Rule | None = None, secrets: Sequence[str] = ()
    ) -> tuple[int, str]:
        """Store a rejected delivery and its cause, unless this instance's share is used up; return the answer."""
        if self._kept.allows(arrival.connection or ""):
            from dossier.refusals import cause_of  # noqa: PLC0415 -- accepted deliveries do not need it

            cause, detail, now = verdict, "", self._clock()
            delivery = arrival.delivery(arrival.body or b"")
            if rule is not None and verdict == "signature refused":
                cause, detail = cause_of(rule, delivery, secrets, now)
            # Without the secrets it is unknown which headers contain one.
            shown = _harmless(arrival.headers) if rule is None else _without_secrets(rule, delivery, secrets)
            if rule is not None and rule.scheme in SAYS_THE_SECRET and verdict == "signature refused":
                # No known secret fits, so the vendor's secret may be in any header.
                proofs = {rule.header.lower(), KEPT_TOKEN}
                shown = {name: shown[name] if name in proofs else each for name, each in _harmless(shown).items()}
            plain = "".join(each if each.isprintable() else "?" for each in arrival.name[:_LONGEST_NAME])
            self._evidence().refuse(
                arrival.connection,
                cause,
                delivery.body,
                shown,
                detail=detail,
                asked="" if arrival.connection else plain,
                at=datetime.fromtimestamp(now, UTC),
            )
        return status, verdict

    def _verified(self, connection: str, rule: Rule, arrival: _Arrival) -> tuple[bytes | None, list[str]]:
        """Return the bytes that a secret verifies (None if none does), and every secret that was tried."""
        secrets = self._secrets(connection, fresh=False)
        proven = self._proven(rule, arrival, secrets[:1], all_forms=False)
        if proven is not None:
            return proven, secrets
        proven = self._proven(rule, arrival, secrets)
        # If an older secret fits, the secrets are read again each time, so that a retired one ends at once; strangers
        # do not have such a secret. If none fits, there may be a newer one; that is checked every REREAD_EVERY seconds.
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
        except ConfigurationError:  # no secret is set, so nothing can be verified
            return []

    def _stand_in(self, name: str) -> str:
        """Return the connection whose secret is read for an unknown name; always the same for one name."""
        names = self._names()
        return names[sum(name.encode("utf-8", "surrogatepass")) % len(names)] if names else ""

    @cached_property
    def _largest(self) -> int:
        """The largest body, in bytes, that any connection accepts; the same limit hides which connections exist."""
        limits = [int(settings["max_bytes"]) for name in self._names() if (settings := self._settings_of(name))]
        return max([MAX_BYTES, *limits])


@dataclass(frozen=True)
class _Arrival:
    """A request, with the connection if its name is known."""

    connection: str | None
    name: str
    headers: Mapping[str, str]
    token: str
    event: Mapping[str, Any]

    def at(self, now: float) -> float:
        """Return when API Gateway received the request, in seconds since 1970; ``now`` if the event does not say it.

        A cold start comes after that, and so may the collection that another delivery of the same moment has caused.
        """
        told = _mapping(self.event.get("requestContext")).get("timeEpoch")
        at = told / 1000 if isinstance(told, int | float) else now
        return at if now - LONGEST_ANSWER <= at <= now else now

    @cached_property
    def body(self) -> bytes | None:
        """The body's bytes, with text as UTF-8; None if it cannot be decoded."""
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
        """The bytes that the vendor may have signed: the body as received, decompressed, or in another charset."""
        body, text = self.body or b"", self.event.get("body")
        handed_on = text if isinstance(text, str) and not self.event.get("isBase64Encoded") else None
        return [body, *others(body, self.headers, handed_on)]

    def as_it_came(self, proven: bytes) -> bytes:
        """Return the bytes to store: a body that was only decompressed for verification is stored compressed."""
        body = self.body or b""
        return body if proven == content(body, self.headers) else proven

    def delivery(self, body: bytes) -> Delivery:
        """Return the delivery with these bytes."""
        return Delivery(body, self.headers, self.token)


class _PerMinute:
    """Allows something ``most`` times per minute and connection."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._at: dict[str, list[float]] = {}

    def allows(self, connection: str) -> bool:
        """Return whether it is allowed once more now, and count it."""
        now = self._clock()
        recent = [at for at in self._at.get(connection, []) if now - at < 60]
        allowed = len(recent) < self._most
        self._at[connection] = [*recent, now] if allowed else recent
        return allowed


def _without_secrets(rule: Rule, delivery: Delivery, secrets: Iterable[str]) -> dict[str, str]:
    """Return the headers to store, with every value hidden that is or contains a secret.

    If a delivery carries the secret in plain text, an HMAC keyed with it is stored instead, so that the delivery can be
    verified again.
    """
    from dossier.masks import HIDDEN, repeats  # noqa: PLC0415 -- not for an import that every cold start pays for

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
    from dossier.masks import HIDDEN  # noqa: PLC0415 -- as above

    return {name: value if name in _HARMLESS else HIDDEN for name, value in headers.items()}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
