"""``dossier replay``: verifies stored deliveries, and applies them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from cli.deliveries import REPLAYED
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.listen import forward_all
from cli.output import Output
from cli.target import Target
from cli.text import clean
from dossier.layout import DELIVERIES, DELIVERIES_REFUSED
from dossier.settings import Connection, Webhook
from dossier.steps.replay import replay as apply
from dossier.stores.evidence import Evidence, id_of, key_of
from dossier.stores.queues import WAKE


def replay(
    out: Output, where: Target, words: Sequence[str], *, connection: str | None, forward: str | None = None
) -> None:
    """Queue each delivery that an active secret proves again; ``words`` are their ids or keys.

    With ``forward`` send them to this URL instead, and apply nothing.

    Raises:
        BadUsageError: a delivery does not exist; none was applied.
        CommandError: no secret proves a delivery; the others are applied.

    """
    if forward is not None:
        names = [where.require(connection)] if connection else where.connections
        forward_all(out, [_find(where, word, names) for word in words], forward)
        return
    answers = replayed(where, words, connection=connection)
    for each in answers:
        out.line(f"{each['id']}: {each['error'] or 'verified, and queued again'}")
    refused = [each for each in answers if each["error"]]
    if refused:
        message = f"{len(refused)} of {len(answers)} deliveries could not be applied again"
        message = f"{message}: {refused[0]['error']}"
        raise CommandError(message, document={"deliveries": answers})
    out.document({"deliveries": answers})


def replayed(where: Target, words: Sequence[str], *, connection: str | None) -> list[dict[str, Any]]:
    """Queue each delivery that an active secret proves again; return for each whether it was ``applied``, or why not.

    Raises:
        BadUsageError: a delivery does not exist; none was applied.

    """
    names = [where.require(connection)] if connection else where.connections
    found = [_find(where, word, names) for word in words]
    settings = settings_of(where)
    enqueue = partial(where.queues.send, WAKE)
    return [_apply(where, settings, enqueue, key, evidence) for key, evidence in found]


def _find(where: Target, word: str, names: Sequence[str]) -> tuple[str, Evidence]:
    for name in names:
        key = word if word.startswith((f"{DELIVERIES}{name}/", f"{DELIVERIES_REFUSED}{name}/")) else key_of(name, word)
        evidence = where.app.evidence.find(key) if key else None
        if key and evidence:
            return key, evidence
    raise BadUsageError(f'there is no delivery "{clean(word)}" at {" or ".join(names)}: see `dossier deliveries`')


def _apply(
    where: Target,
    settings: Mapping[str, Connection],
    enqueue: Callable[[dict[str, str]], None],
    key: str,
    evidence: Evidence,
) -> dict[str, Any]:
    answer = {"id": id_of(key), "key": key, "connection": evidence.connection, "verdict": evidence.verdict}
    known = settings.get(evidence.connection)
    if known is None:
        error = f"[{evidence.connection}] is not in {settings_file(where)}: name its file in DOSSIER_CONNECTIONS"
    elif known.webhook is None:
        error = f"connection {evidence.connection} takes no webhooks"
    else:
        active = where.app.secrets.get(evidence.connection, fresh=True).webhook_secrets
        proven = apply_again(where, key, evidence, webhook=known.webhook, secrets=active, enqueue=enqueue)
        cut = f"its evidence is truncated ({evidence.size:,} bytes arrived), so it cannot be verified"
        unproven = f"no active webhook secret of {evidence.connection} proves it"
        error = "" if proven else unproven if evidence.whole else cut
    return {**answer, "applied": not error, "error": error or None}


def apply_again(
    where: Target,
    key: str,
    evidence: Evidence,
    *,
    webhook: Webhook,
    secrets: Iterable[str],
    enqueue: Callable[[dict[str, str]], None],
) -> bool:
    """Queue a delivery again if a secret proves it; return whether one does. A rejected one becomes ``replayed``."""
    store = where.app.evidence
    proven = apply(key, evidence, webhook=webhook, secrets=secrets, enqueue=enqueue, adopt=store.adopt)
    if proven and evidence.verdict != "accepted":
        why = f"{evidence.cause or 'refused'}, and applied later"
        where.app.verdicts.keep(evidence.connection, id_of(key), REPLAYED, why)
    return proven
