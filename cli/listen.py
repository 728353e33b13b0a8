"""``dossier listen`` and ``dossier replay --forward``: sends stored deliveries to a program under development."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.deliveries import is_probe
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from cli.text import clean, when
from dossier.models import now
from dossier.stores.evidence import Evidence, id_of

EVERY = 1.0
"""Seconds between two looks at the bucket, and between two tries at a program that does not answer."""
OVERLAP = timedelta(seconds=30)
"""How far back each look goes: a delivery is stored some time after it came, by which its key is sorted."""
PATIENCE = 30.0
"""Seconds in which the program has to answer."""
ID_HEADER = "x-dossier-delivery"
"""The header with the delivery's id, by which a program recognizes one that it had before."""
_OF_THE_HOP = frozenset({"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
                         "transfer-encoding", "upgrade"})  # fmt: skip
"""Headers of one connection, which are not forwarded (RFC 9110, section 7.6.1), and those that the client sets."""


def listen(
    out: Output, where: Target, connection: str, *, forward: str, since: datetime | None, count: int | None
) -> None:
    """Forward each verified delivery as it arrives, in order, until Ctrl-C; print a line for each.

    A program that cannot be reached is tried again until it answers, so that no delivery is left out. Whatever it
    answers is printed, and the delivery is not sent again: ``dossier replay ID --forward URL`` does that.

    Args:
        out: prints the lines; with ``--json`` an object a line.
        where: the deployment.
        connection: whose deliveries.
        forward: the URL to send them to.
        since: also forward what came since then; by default only what comes from now on.
        count: end after so many deliveries.

    Raises:
        BadUsageError: an unknown connection, or a URL that is not allowed.

    """
    where.require(connection)
    target = local_url(forward)
    out.progress(f"forwarding deliveries of {connection} to {target}; Ctrl-C ends it")
    try:
        with httpx.Client(timeout=PATIENCE) as client:
            for key, evidence in islice(_arriving(where, connection, since or now()), count):
                _say(out, _until_sent(out, client, target, key, evidence))
    except KeyboardInterrupt:
        out.progress("deliveries are no longer forwarded; Dossier has applied them as ever")


def _arriving(where: Target, connection: str, begin: datetime) -> Iterator[tuple[str, Evidence]]:
    """Yield verified deliveries from ``begin`` on, for ever."""
    latest, seen = begin, set[str]()
    while True:
        for key in where.app.evidence.accepted_after(connection, max(begin, latest - OVERLAP)):
            if key in seen:
                continue
            seen.add(key)
            evidence = where.app.evidence.find(key)
            if evidence is not None and not is_probe(evidence):
                latest = max(latest, datetime.fromisoformat(evidence.received_at))
                yield key, evidence
        time.sleep(EVERY)


def forward_all(out: Output, found: Sequence[tuple[str, Evidence]], url: str) -> None:
    """Send stored deliveries once, verified or not; print the answers.

    Raises:
        BadUsageError: the URL is not allowed.
        CommandError: a delivery is not stored whole, or the program did not take it.

    """
    target = local_url(url)
    with httpx.Client(timeout=PATIENCE) as client:
        answers = [_sent(client, target, key, evidence) for key, evidence in found]
    for each in answers:
        if not out.as_json:
            _say(out, each)
    failed = [each for each in answers if each["error"] or not 200 <= each["status"] < 300]
    if failed:
        problem = failed[0]["error"] or f"the program answered {failed[0]['status']}"
        message = f"{len(failed)} of {len(answers)} deliveries were not taken: {problem}"
        raise CommandError(message, document={"deliveries": answers})
    out.document({"deliveries": answers})


def local_url(text: str) -> str:
    """Return a URL that deliveries may be forwarded to: https, or plain http on this machine.

    Raises:
        BadUsageError: it is neither.

    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in {"http", "https"}:
        raise BadUsageError(
            f'"{clean(text)}" is not a URL to forward to', fix="for example --forward http://localhost:8000/webhooks"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadUsageError(
            f"plain http to {host} would show deliveries to the network", fix="use https, or forward to localhost"
        )
    return parts.geturl()


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _until_sent(out: Output, client: httpx.Client, target: str, key: str, evidence: Evidence) -> dict[str, Any]:
    """Send a delivery until the program answers; say once that it does not."""
    told = False
    while True:
        answer = _sent(client, target, key, evidence)
        if answer["error"] is None or not evidence.whole:
            return answer
        if not told:
            out.progress(f"{id_of(key)}: {answer['error']}; trying until it answers")
            told = True
        time.sleep(EVERY)


def _sent(client: httpx.Client, target: str, key: str, evidence: Evidence) -> dict[str, Any]:
    """Send a delivery's bytes and headers once; return the answer."""
    answer: dict[str, Any] = {
        "id": id_of(key), "connection": evidence.connection, "received_at": evidence.received_at,
        "size": len(evidence.body), "status": None, "error": None,
    }  # fmt: skip
    if not evidence.whole:
        return {**answer, "error": f"it is not stored whole ({evidence.size:,} bytes came)"}
    headers = {name: value for name, value in evidence.headers.items() if name.lower() not in _OF_THE_HOP}
    try:
        reply = client.post(target, content=evidence.body, headers={**headers, ID_HEADER: id_of(key)})
    except (httpx.HTTPError, UnicodeError, ValueError) as error:
        return {**answer, "error": f"{target} does not answer: {clean(str(error)) or type(error).__name__}"}
    return {**answer, "status": reply.status_code}


def _say(out: Output, answer: dict[str, Any]) -> None:
    if out.as_json:  # one object a line, for a program that reads along
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return
    said = answer["error"] or f"{answer['status']}"
    out.line(f"{answer['id']}  {when(answer['received_at'])}  {answer['size']:,} bytes  {said}")
