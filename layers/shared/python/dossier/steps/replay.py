"""Replay: a delivery that was kept, verified and applied again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dossier.settings import Webhook
from dossier.signatures import Delivery, Rule, proves
from dossier.stores.evidence import Evidence


def replay(
    key: str,
    evidence: Evidence,
    *,
    webhook: Webhook,
    secrets: Iterable[str],
    enqueue: Callable[[dict[str, str]], None],
) -> bool:
    """Queue a delivery again if an active secret proves it, whatever the verdict was; return whether one does.

    Its exact bytes and headers are verified; how long ago a signed time was does not matter.
    """
    rule = Rule(webhook.scheme, webhook.header or "", webhook.prefix)
    if not proves(rule, Delivery(evidence.body, evidence.headers), secrets):
        return False
    enqueue({"connection": evidence.connection, "delivery": key})
    return True
