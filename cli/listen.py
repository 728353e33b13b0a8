"""``dossier listen`` and ``dossier replay --forward``: sends deliveries and events to a program under development."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import islice
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import httpx

from cli.deliveries import is_probe
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from cli.text import clean, when
from dossier.models import iso, now
from dossier.steps.announced import Announced, Announcements
from dossier.stores.events import SOURCE
from dossier.stores.evidence import Evidence, id_of

EVERY = 1.0
"""Seconds between two looks at the bucket, and between two tries at a program that does not answer."""
EVERY_CASE = 5.0
"""Seconds between two looks at the connection's cases."""
OVERLAP = timedelta(seconds=30)
"""How far back each look goes: keys sort by arrival, but a delivery is stored some time later."""
PATIENCE = 30.0
"""Seconds in which the program has to answer."""
ID_HEADER = "x-dossier-delivery"
"""The header with the delivery's id, by which a program recognizes a repetition."""
EVENT_HEADER = "x-dossier-event"
"""The header of an event about a case: its ``detail-type``."""
Only = Literal["deliveries", "events"]
_OF_THE_HOP = frozenset({"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
                         "transfer-encoding", "upgrade"})  # fmt: skip
"""Headers of one connection, which are not forwarded (RFC 9110, section 7.6.1), and those that the client sets."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery to forward unchanged, or an event as a target of the bus receives it.

    Attributes:
        id: the delivery's or the event's.
        what: ``delivery``, or the event's ``detail-type``.
        connection: its connection.
        at: when it arrived or happened (ISO 8601).
        body: its bytes.
        headers: the headers to send it with.
        lacks: why it cannot be sent, or empty.

    """

    id: str
    what: str
    connection: str
    at: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""


def listen(
    out: Output,
    where: Target,
    connection: str,
    *,
    forward: str,
    only: Only | None,
    since: datetime | None,
    count: int | None,
) -> None:
    """Forward verified deliveries and the events about cases as they come, until Ctrl-C; print a line for each.

    If the program cannot be reached, the command tries again until it answers, so that nothing is left out. It prints
    any answer, also an error, and does not repeat the request: ``dossier replay ID --forward URL`` does.

    Args:
        out: prints the lines; with ``--json`` an object a line.
        where: the deployment.
        connection: its deliveries and events are forwarded.
        forward: the URL to send them to.
        only: deliveries or events alone.
        since: also forward those since then; by default only new ones.
        count: end after that many.

    Raises:
        BadUsageError: an unknown connection, or a URL that is not allowed.

    """
    where.require(connection)
    target = local_url(forward, own=where.webhook_urls.values())
    what = only or "deliveries and events"
    out.progress(f"forwarding {what} of {connection} to {target}; Ctrl-C ends it")
    looks: list[Callable[[], Iterator[Parcel]]] = []
    if only != "events":
        looks.append(_Deliveries(where, connection, since or now()).look)
    if only != "deliveries":
        looks.append(_Events(where, connection, since).look)
    try:
        with httpx.Client(timeout=PATIENCE) as client:
            for parcel in islice(_arriving(looks), count):
                _say(out, _until_sent(out, client, target, parcel))
    except KeyboardInterrupt:
        out.progress(f"{what} are no longer forwarded; Dossier has applied them as usual")


def _arriving(looks: Sequence[Callable[[], Iterator[Parcel]]]) -> Iterator[Parcel]:
    """Yield the findings of one look after the other, for ever."""
    while True:
        for look in looks:
            yield from look()
        time.sleep(EVERY)


class _Deliveries:
    """The verified deliveries of a connection, each once."""

    def __init__(self, where: Target, connection: str, begin: datetime) -> None:
        self._evidence, self._connection, self._begin = where.app.evidence, connection, begin
        self._latest, self._seen = begin, set[str]()

    def look(self) -> Iterator[Parcel]:
        """Yield those that came since the look before."""
        for key in self._evidence.accepted_after(self._connection, max(self._begin, self._latest - OVERLAP)):
            if key in self._seen:
                continue
            self._seen.add(key)
            evidence = self._evidence.find(key)
            if evidence is not None and not is_probe(evidence):
                self._latest = max(self._latest, datetime.fromisoformat(evidence.received_at))
                yield _delivery(key, evidence)


class _Events:
    """The events about a connection's cases, each once."""

    def __init__(self, where: Target, connection: str, since: datetime | None) -> None:
        self._found = Announcements(connection, since=since, context=where.app)
        self._region, self._due = where.region, 0.0

    def look(self) -> Iterator[Parcel]:
        """Yield those since the look before, if that was long enough ago."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY_CASE
            yield from (_event(each, self._region) for each in self._found.look())


def _delivery(key: str, evidence: Evidence) -> Parcel:
    lacks = "" if evidence.whole else f"only a part of it is stored ({evidence.size:,} bytes arrived)"
    headers = {name: value for name, value in evidence.headers.items() if name.lower() not in _OF_THE_HOP}
    headers[ID_HEADER] = id_of(key)
    return Parcel(
        id_of(key), "delivery", evidence.connection, evidence.received_at, evidence.body, headers, lacks=lacks
    )


def _event(announced: Announced, region: str) -> Parcel:
    """Return an event as EventBridge gives it to a target.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html. Its account is left out.
    """
    at = iso(announced.at)
    text = json.dumps(announced.detail, sort_keys=True)
    event = {
        "version": "0", "id": str(uuid5(NAMESPACE_URL, f"{announced.kind} {at} {text}")), "detail-type": announced.kind,
        "source": SOURCE, "time": at, "region": region, "resources": [], "detail": announced.detail,
    }  # fmt: skip
    headers = {"content-type": "application/json", EVENT_HEADER: announced.kind}
    return Parcel(str(event["id"]), announced.kind, announced.case.connection, at, json.dumps(event).encode(), headers)


def forward_all(out: Output, found: Sequence[tuple[str, Evidence]], url: str) -> None:
    """Send stored deliveries once, verified or not; print the answers.

    Raises:
        BadUsageError: the URL is not allowed.
        CommandError: a delivery is not stored whole, or the program did not take it.

    """
    target = local_url(url)
    with httpx.Client(timeout=PATIENCE) as client:
        answers = [_sent(client, target, _delivery(key, evidence)) for key, evidence in found]
    for each in answers:
        if not out.as_json:
            _say(out, each)
    failed = [each for each in answers if each["error"] or not 200 <= each["status"] < 300]
    if failed:
        problem = failed[0]["error"] or f"the program answered {failed[0]['status']}"
        message = f"{len(failed)} of {len(answers)} deliveries were not taken: {problem}"
        raise CommandError(message, document={"deliveries": answers})
    out.document({"deliveries": answers})


def local_url(text: str, *, own: Iterable[str] = ()) -> str:
    """Return the URL if deliveries may be forwarded to it: https, or plain http on this machine.

    Raises:
        BadUsageError: it is neither, or one of the stage's ``own`` webhook URLs, from which everything would come back.

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
    url = parts.geturl()
    if any(url.startswith(each) for each in own):
        raise BadUsageError(
            f"{clean(url)} is the stage's own webhook URL: whatever is sent there comes back",
            fix="forward to the program that you develop",
        )
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _until_sent(out: Output, client: httpx.Client, target: str, parcel: Parcel) -> dict[str, Any]:
    """Send something until the program answers; report once that it does not."""
    reported = False
    while True:
        answer = _sent(client, target, parcel)
        if answer["error"] is None or parcel.lacks:
            return answer
        if not reported:
            out.progress(f"{parcel.id}: {answer['error']}; trying until it answers")
            reported = True
        time.sleep(EVERY)


def _sent(client: httpx.Client, target: str, parcel: Parcel) -> dict[str, Any]:
    """Send bytes and headers once; return the answer."""
    answer: dict[str, Any] = {
        "id": parcel.id, "what": parcel.what, "connection": parcel.connection, "received_at": parcel.at,
        "size": len(parcel.body), "status": None, "error": None,
    }  # fmt: skip
    if parcel.lacks:
        return {**answer, "error": parcel.lacks}
    try:
        reply = client.post(target, content=parcel.body, headers=parcel.headers)
    except (httpx.HTTPError, UnicodeError, ValueError) as error:
        return {**answer, "error": f"{target} does not answer: {clean(str(error)) or type(error).__name__}"}
    return {**answer, "status": reply.status_code}


def _say(out: Output, answer: dict[str, Any]) -> None:
    if out.as_json:  # one object a line, for a program that reads along
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return
    outcome = answer["error"] or f"{answer['status']}"
    what = "" if answer["what"] == "delivery" else f"{answer['what']}  "
    out.line(f"{answer['id']}  {when(answer['received_at'])}  {what}{answer['size']:,} bytes  {outcome}")
