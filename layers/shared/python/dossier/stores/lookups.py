"""Answers that a look-up has read, so that the next try of an interrupted step continues from there.

A look-up of several requests that starts again whenever one fails would never end at a vendor that fails often: if
each succeeds half of the time, ten in a row succeed in one of a thousand tries. A look-up of up to three requests, as
most are, stores nothing unless it is interrupted.

Answers to ``shared`` requests also serve look-ups of the connection's other cases, if they were read after *their*
intents had settled: a hundred lost uploads read the files of a hundred new cases a hundred times, not ten thousand
times.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial

from dossier.http import Effect, Reply, Request
from dossier.models import CaseId
from dossier.senders import Send
from dossier.stores.table import Item, Table

FRESH = 600
"""Seconds for which an answer may be used: long enough for tries that follow each other quickly."""
HELD = 2
"""Most answers that are only stored if the look-up is interrupted; if the function is killed, they are read again."""
LARGEST = 300 << 10
"""Largest compressed answer that is stored, in bytes: an item of the table holds 400 KiB."""


class Lookup:
    """One look-up of a case, named ``what``; it reuses the answers of earlier tries."""

    def __init__(self, table: Table, case: CaseId, what: str) -> None:
        self._table = table
        self._pk = f"READ#{case.connection}#{case.reference}"
        self._shared = f"READ#{case.connection}"
        self._prefix = f"{what}#"
        self._stored: set[str] = set()
        self._held: list[Callable[[], None]] = []
        """Each stores an answer that the flow has used."""

    def remembering(self, send: Send, *, since: float | None = None) -> Send:
        """Return a sender for a flow that only reads; it reuses the replies of earlier tries.

        A reply is stored once the flow continues with another request: then it was usable. The first ``HELD`` are only
        stored if the look-up is interrupted, or more follow; with ``since`` all are, because they may serve others.

        Args:
            send: sends the other requests.
            since: use answers of other look-ups that were read at or after this time, in seconds since the epoch; None:
                use none.

        Raises:
            ValueError: (while sending) the request changes something at the vendor.

        """
        items = list(self._table.query(self._pk, prefix=self._prefix))
        known = {item["sk"]: _reply(item) for item in items if int(item["ttl"]) > time.time()}
        self._stored |= {item["sk"] for item in items}
        latest: list[Callable[[], None]] = []  # stores the latest reply, which the flow may not have read yet
        at_once = since is not None

        def sender(request: Request) -> Reply:
            while latest:
                self._held.append(latest.pop())
            if at_once or len(self._held) > HELD or self._stored:
                self.interrupt()
            if request.effect is not Effect.SAFE:
                raise ValueError(f"{request.method} {request.path} changes something: not a look-up")
            text = json.dumps([request.method, request.path, request.query, request.json, request.fields])
            name = hashlib.sha256(text.encode()).hexdigest()[:32]
            reply = known.pop(self._prefix + name, None)
            if reply is None and request.shared and since is not None:
                item = self._table.get(self._shared, name)
                if item and int(item["ttl"]) > time.time() and float(item["read_at"]) >= since:
                    reply = _reply(item)
            if reply is not None:
                return reply
            began, reply = time.time(), send(request)
            if request.shared and since is not None:
                latest.append(partial(self._remember, self._shared, name, reply, read_at=began))
            else:
                latest.append(partial(self._remember, self._pk, self._prefix + name, reply))
            return reply

        return sender

    def interrupt(self) -> None:
        """Store the answers that the flow has used: the next try continues after them."""
        while self._held:
            self._held.pop(0)()

    def forget(self) -> None:
        """Remove the answers of this look-up: it has ended."""
        for name in sorted(self._stored):
            self._table.delete(self._pk, name)

    def _remember(self, pk: str, sk: str, reply: Reply, *, read_at: float | None = None) -> None:
        body = gzip.compress(reply.body)
        if len(body) <= LARGEST:
            if pk == self._pk:
                self._stored.add(sk)
            item = {"pk": pk, "sk": sk, "status": reply.status, "body": body, "read_at": read_at and str(read_at)}
            self._table.put({**item, "headers": json.dumps(dict(reply.headers)), "ttl": int(time.time()) + FRESH})


def _reply(item: Item) -> Reply:
    return Reply(int(item["status"]), gzip.decompress(bytes(item["body"])), json.loads(item["headers"]))
