"""Answers that a look-up has read, so that the next try of an interrupted step continues from there.

A look-up of several requests that starts again whenever one fails would never end at a vendor that fails often: ten
requests that succeed half of the time succeed together once in a thousand tries. A look-up of one request, the usual
case, stores nothing.

Answers to ``shared`` requests also serve look-ups of the connection's other cases, if they were read after *their*
intents had settled: a hundred lost uploads read the files of a hundred new cases a hundred times, not ten thousand
times.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from typing import TypeVar, cast

from dossier.http import Effect, Flow, Reply, Request
from dossier.stores.table import Item, Table

_T = TypeVar("_T")
FRESH = 600
"""Seconds for which an answer may be used: long enough for tries that follow each other quickly."""
LARGEST = 300 << 10
"""Largest compressed answer that is stored, in bytes: an item of the table holds 400 KiB."""


class Lookup:
    """One look-up of a case, named ``what``; it reuses the answers of earlier tries."""

    def __init__(self, table: Table, connection: str, reference: str, what: str) -> None:
        self._table = table
        self._pk = f"READ#{connection}#{reference}"
        self._shared = f"READ#{connection}"
        self._prefix = f"{what}#"

    def resume(self, flow: Flow[_T], *, since: float | None = None) -> Flow[_T]:
        """Drive a flow that only reads; do not repeat a request that an earlier try has a usable answer to.

        Args:
            flow: the flow of a vendor adapter's method.
            since: use answers of other look-ups that were read at or after this time, in seconds since the epoch; None:
                use none.

        Raises:
            ValueError: the flow changes something at the vendor.

        """
        items = list(self._table.query(self._pk, prefix=self._prefix))
        known = {item["sk"]: _reply(item) for item in items if int(item["ttl"]) > time.time()}
        stored = {item["sk"] for item in items}
        try:
            request = next(flow)
            while True:
                if request.effect is not Effect.SAFE:
                    raise ValueError(f"{request.method} {request.path} changes something: not a look-up")
                name = self._prefix + _fingerprint(request)
                sharing = request.shared and since is not None
                reply = known.pop(name, None)
                if reply is None and request.shared and since is not None:
                    reply = self._others(request, since)
                if reply is None:
                    made, began = request, time.time()
                    reply = yield request
                    request = flow.send(reply)
                    if sharing:  # the flow continued, so the answer was usable
                        self._remember(self._shared, _fingerprint(made), reply, read_at=began)
                    else:
                        self._remember(self._pk, name, reply)
                        stored.add(name)
                else:
                    request = flow.send(reply)
        except StopIteration as stop:
            for name in stored:
                self._table.delete(self._pk, name)
            return cast("_T", stop.value)

    def _others(self, request: Request, since: float) -> Reply | None:
        """Return another look-up's answer to a request, if it is recent enough."""
        item = self._table.get(self._shared, _fingerprint(request))
        if item is None or int(item["ttl"]) <= time.time() or float(item["read_at"]) < since:
            return None
        return _reply(item)

    def _remember(self, pk: str, sk: str, reply: Reply, *, read_at: float | None = None) -> None:
        body = gzip.compress(reply.body)
        if len(body) <= LARGEST:
            item = {"pk": pk, "sk": sk, "status": reply.status, "body": body, "read_at": read_at and str(read_at)}
            self._table.put({**item, "headers": json.dumps(dict(reply.headers)), "ttl": int(time.time()) + FRESH})


def _fingerprint(request: Request) -> str:
    said = json.dumps([request.method, request.path, request.query, request.json, request.fields])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _reply(item: Item) -> Reply:
    return Reply(int(item["status"]), gzip.decompress(bytes(item["body"])), json.loads(item["headers"]))
