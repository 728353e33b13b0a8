"""Replay: verify a stored delivery and apply it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from dossier.bodies import others
from dossier.settings import Webhook
from dossier.signatures import Delivery, Rule, identity, proves
from dossier.stores.evidence import Evidence, EvidenceStore

MOST_LOOKED_AT = 2000
"""Rejected deliveries, latest first, that are verified with a new secret."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A rejected delivery that an active secret verifies: its key, its evidence and its identity."""

    key: str
    evidence: Evidence
    digest: str


def replay(
    key: str,
    evidence: Evidence,
    *,
    webhook: Webhook,
    secrets: Iterable[str],
    enqueue: Callable[[dict[str, str]], None],
    adopt: Callable[[Evidence, str], str] | None = None,
) -> bool:
    """Queue a delivery again if an active secret verifies it, whatever its verdict was; return whether one does.

    The exact bytes and headers are verified; the age of a signed time does not matter. A rejected delivery is first
    stored as accepted by ``adopt``, because rejected ones expire and are not read by the wake step.
    """
    digest = _proven(evidence, webhook, list(secrets))
    if digest is None:
        return False
    if adopt is not None and evidence.verdict != "accepted":
        key = adopt(evidence, digest)
    enqueue({"connection": evidence.connection, "delivery": key})
    return True


def provable(connection: str, *, store: EvidenceStore, webhook: Webhook, secrets: Iterable[str]) -> Iterator[Proven]:
    """Yield a connection's rejected deliveries that an active secret verifies, latest first, each once."""
    active, known = list(secrets), set[str]()
    for key in islice(store.list(connection, refused_only=True), MOST_LOOKED_AT):
        evidence = store.find(key)
        digest = _proven(evidence, webhook, active) if evidence else None
        if evidence and digest and digest not in known:
            known.add(digest)
            seen = store.seen(connection, digest)
            if seen is None or not seen.queued:  # the vendor's retry may have been accepted meanwhile
                yield Proven(key, evidence, digest)


def _text(body: bytes) -> str | None:
    """Return the text that the gateway passed on and that was stored as UTF-8; None for a body that is not text."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None


def _proven(evidence: Evidence, webhook: Webhook, secrets: list[str]) -> str | None:
    """Return a delivery's identity if an active secret verifies it; None if none does, or its body was cut."""
    if not evidence.whole:
        return None
    rule = Rule(webhook.scheme, webhook.header or "", webhook.prefix)
    for body in (evidence.body, *others(evidence.body, evidence.headers, _text(evidence.body))):
        delivery = Delivery(body, evidence.headers)
        if proves(rule, delivery, secrets):
            return identity(rule, delivery)
    return None
