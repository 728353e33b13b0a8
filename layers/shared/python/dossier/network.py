"""The HTTP client for ``transport``: its connections to vendors and storage.

An artifact's host is resolved once, its addresses are checked, and the connection goes to a checked address, so that
DNS rebinding has no effect. TLS still verifies the name, and Host is the name. ``within`` limits the total time of a
request, so that a server cannot occupy a function with a byte a minute.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from socket import SOCK_STREAM, getaddrinfo
from typing import Any

import httpcore
import httpx

from dossier.addresses import is_public
from dossier.errors import UntrustedUrlError

TIMEOUT = httpx.Timeout(60, connect=10)
"""Timeouts of a single read, write or connect, in seconds."""
PUBLIC_ONLY = "dossier.public_only"
"""Extension of a request: if True, it is only sent to public addresses."""
READ = 256 << 10
"""Bytes that are read at once, at most: httpcore asks for a quarter of that, and each read costs as much work."""
MOST_ADDRESSES = 4
"""Most addresses of one name that are tried."""
_ends: ContextVar[float | None] = ContextVar("ends", default=None)

Resolve = Callable[[str, int], Iterable[str]]
"""Returns the addresses of a name."""


def client() -> httpx.Client:
    """Return a client for vendors and storage without the environment's proxies and settings, cookies or retries.

    Cookies would link the connections of a vendor to each other.
    """
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    return httpx.Client(transport=Network(), timeout=TIMEOUT, trust_env=False, cookies=no_cookies)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the total time of all reads and writes inside to ``seconds``; then raise a timeout."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


class Network(httpx.BaseTransport):
    """Two separate pools of connections: to any address, and to public ones (``PUBLIC_ONLY``)."""

    def __init__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        sockets: httpcore.NetworkBackend | None = None,
    ) -> None:
        """Create the pools; tests replace the arguments."""
        context = context or httpx.create_ssl_context(trust_env=False)
        sockets = sockets or httpcore.SyncBackend()
        self._any = _Pool(context, Backend(sockets))
        self._public = _Pool(context, PublicBackend(sockets, resolve or addresses))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the pool that it asks for."""
        pool = self._public if request.extensions.get(PUBLIC_ONLY) else self._any
        return pool.handle_request(request)

    def close(self) -> None:
        """Close both pools."""
        self._any.close()
        self._public.close()


class _Pool(httpx.HTTPTransport):
    """httpx's transport with our network backend, which httpx does not accept as an argument."""

    def __init__(self, context: ssl.SSLContext, network: httpcore.NetworkBackend) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=network,
        )


class Backend(httpcore.NetworkBackend):
    """TCP connections that respect ``within``."""

    def __init__(self, sockets: httpcore.NetworkBackend) -> None:
        self._sockets = sockets

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host."""
        limit = _left(timeout, httpcore.ConnectTimeout)
        try:
            stream = self._sockets.connect_tcp(host, port, limit, local_address, socket_options)
        except UnicodeError as error:  # the name is invalid in DNS
            raise httpcore.ConnectError(str(error)) from error
        return _Timed(stream)


class PublicBackend(Backend):
    """TCP connections to public addresses only."""

    def __init__(self, sockets: httpcore.NetworkBackend, resolve: Resolve) -> None:
        super().__init__(sockets)
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve the host once, check its addresses, and connect to one of them.

        Raises:
            UntrustedUrlError: at least one address is not public. No honest host has a mixture.

        """
        found = list(dict.fromkeys(self._resolve(host, port)))
        refused = next((each for each in found if not is_public(each)), None)
        if refused is not None:
            raise UntrustedUrlError(
                f"an artifact URL leads to {host[:100]} at {refused}, which is not a public address: it is not opened"
            )
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in found[:MOST_ADDRESSES]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name; raise httpcore's ``ConnectError`` if it has none."""
    try:
        return [str(each[4][0]) for each in getaddrinfo(host, port, type=SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error


class _Timed(httpcore.NetworkStream):
    """A stream whose operations end with the time of ``within``."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max(max_bytes, READ), _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, over: type[httpcore.TimeoutException]) -> float | None:
    """Return the seconds that an operation may take."""
    ends = _ends.get()
    if ends is None:
        return timeout
    left = ends - time.monotonic()
    if left <= 0:
        raise over("the time for the whole request is over")
    return left if timeout is None else min(timeout, left)
