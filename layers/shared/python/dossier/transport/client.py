"""Drive vendors' flows over HTTP: with the connection's key, in its turn, and with the key redacted from answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from copy import copy
from typing import IO, Protocol, TypeVar

import httpx

from dossier import replies
from dossier.calls import Call, unheard
from dossier.errors import ConfigurationError, DossierError, RetryableError, ThrottledError
from dossier.headers import kept
from dossier.http import Flow, Reply, Request
from dossier.network import within
from dossier.ports import Vendor
from dossier.senders import Send, drive, hiding
from dossier.settings import Connection
from dossier.transport import decoding, downloads
from dossier.transport.failures import failures

_T = TypeVar("_T")
ANSWER_TIME = 90.0
"""Longest time, in seconds, from a request's first byte to the answer's last one; within a function's time."""
UPLOAD_TIME = 780.0
"""The same for a request with files."""


class Keys(Protocol):
    """The source of API keys (``stores.secrets``)."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return a connection's API key; ``fresh`` reads it again."""


class Turns(Protocol):
    """The limits of a connection (``stores.limiter``)."""

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a turn."""

    def pause(self, connection: str, seconds: float) -> None:
        """Stop all calls of the connection."""

    def failed(self, connection: str, failure: str | None = None) -> None:
        """Count a request without a usable answer; ``failure`` names a network failure."""

    def succeeded(self, connection: str) -> None:
        """Note that the vendor answers."""

    def behind(self) -> Turns:
        """Return the limits for cases of low priority."""


class Transport:
    """Drives the flows of vendors over HTTP, for all connections.

    ``patience`` is the longest time, in seconds, that a request waits for its turn before ``ThrottledError`` is raised.
    ``hear`` is called with each request that was sent, for the log.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        keys: Keys,
        turns: Turns,
        open_file: Callable[[str, int], IO[bytes]],
        patience: float,
        hear: Callable[[Call], None] = unheard,
    ) -> None:
        self._client = client
        self._keys = keys
        self._turns = turns
        self._open_file = open_file
        self._patience = patience
        self._hear = hear

    def behind(self, *, patience: float | None = None) -> Transport:
        """Return the transport for cases of low priority, whose requests leave their turn to others.

        ``patience`` replaces this one's.
        """
        other = copy(self)
        other._patience = self._patience if patience is None else patience
        other._turns = self._turns.behind()
        return other

    def run(
        self,
        flow: Flow[_T],
        *,
        vendor: Vendor,
        around: Callable[[Send], Send] = lambda send: send,
    ) -> _T:
        """Drive a flow to its end and return its answer.

        Args:
            flow: the flow of a vendor adapter's method.
            vendor: the adapter of the account's connection, for the headers.
            around: returns the sender that the flow gets, around the one that sends over HTTP.

        Raises:
            DossierError: see ``dossier.errors``; an error of sending ends the flow.

        """
        answered = False

        def send(request: Request) -> Reply:
            nonlocal answered
            answered = False
            reply = self._send(request, vendor)
            answered = True
            return reply

        try:
            return drive(flow, around(send))
        except ThrottledError as error:
            if answered:  # only the body of the answer says so; pause the other callers too
                self._turns.pause(vendor.connection.name, error.retry_after)
            raise

    def _send(self, request: Request, vendor: Vendor) -> Reply:
        name = vendor.connection.name
        key = self._keys.api_key(name)
        try:
            reply = self._authorized(request, vendor, key)
        except ConfigurationError:  # a key of the wrong kind: nothing was sent
            fresh = self._keys.api_key(name, fresh=True)
            if fresh == key:
                raise
            reply = self._authorized(request, vendor, fresh, key)
        else:
            # A 401 may mean a rotated key; the request was not performed.
            if reply.status == 401 and (fresh := self._keys.api_key(name, fresh=True)) != key:
                reply = self._authorized(request, vendor, fresh, key)
        return reply

    def _authorized(self, request: Request, vendor: Vendor, key: str, *replaced: str) -> Reply:
        """Send a request with a key, and redact this key and the replaced ones from the reply."""
        headers = vendor.headers(key)
        return hiding(lambda request: self._once(request, headers, vendor.connection), (key, *replaced))(request)

    def _once(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        began, what = time.monotonic(), replies.what(request)
        sent = sum(each.size for each in request.files)
        try:
            reply = self._exchange(request, headers, connection)
        except ThrottledError:  # nothing was sent
            raise
        except DossierError as error:
            self._hear(Call(connection.name, what, None, type(error).__name__, time.monotonic() - began, sent))
            if isinstance(error, RetryableError):
                self._turns.failed(connection.name, getattr(error, "unreachable", None))
            raise
        self._hear(Call(connection.name, what, reply.status, None, time.monotonic() - began, sent))
        if (pause := replies.asked_pause(reply)) is not None:  # first, because other callers continue until then
            self._turns.pause(connection.name, pause)
        if reply.status >= 500:
            self._turns.failed(connection.name)
        else:
            self._turns.succeeded(connection.name)
        return reply

    def _exchange(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        fields: dict[str, list[str]] = {}
        for name, value in request.fields:
            fields.setdefault(name, []).append(value)
        with ExitStack() as stack:
            files = [
                (
                    each.field,
                    (each.filename, stack.enter_context(self._open_file(each.key, each.size)), each.content_type),
                )
                for each in request.files
            ]
            built = self._client.build_request(
                request.method,
                connection.base_url + request.path,
                params=httpx.QueryParams(list(request.query)) if request.query else None,
                headers={"accept": "application/json", "accept-encoding": "gzip", **headers},
                json=request.json,
                data=fields or None,
                files=files or None,
            )
            self._turns.take(connection, patience=self._patience)  # last, because a pause may begin at any time
            stack.enter_context(within(UPLOAD_TIME if request.files else ANSWER_TIME))
            with failures(request.effect, replies.what(request)):
                answer = self._client.send(built, stream=True, follow_redirects=False)
                stack.callback(answer.close)
                body = decoding.whole(answer)
        return Reply(answer.status_code, body, kept(answer.headers))

    def download(
        self, connection: Connection, url: str, *, left: int | None = None, etag: str | None = None
    ) -> AbstractContextManager[downloads.Download]:
        """Open an artifact on storage; see ``downloads.download``."""
        return downloads.download(self._client, connection, url, left=left, etag=etag)
