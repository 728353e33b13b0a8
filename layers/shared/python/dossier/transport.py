"""HTTP to vendors and storage: the only module that knows httpx. It never retries; it maps each failure to the tree.

What a failure means depends on when it struck: before the request was on its way it was not performed; after that, a
request that changes something may have been performed (``OutcomeUnknownError``).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx

from dossier import replies
from dossier.errors import (
    LinkExpiredError,
    OutcomeUnknownError,
    RetryableError,
    TruncatedDownloadError,
    UntrustedUrlError,
    VendorUnavailableError,
)
from dossier.http import Effect, FilePart, Flow, Reply, Request
from dossier.ports import Vendor
from dossier.settings import Connection

_T = TypeVar("_T")
ANSWER_LIMIT = 32 << 20
"""Largest answer of an API, in bytes; artifacts are streamed and have a limit of their own."""
CHUNK = 1 << 20
HOPS = 5
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
TIMEOUT = httpx.Timeout(60, connect=10)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Failures that strike before any byte of the request is sent."""


class Keys(Protocol):
    """Where API keys come from."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return a connection's API key; ``fresh`` reads it again."""


class Turns(Protocol):
    """Whose turn it is (``stores.limiter``)."""

    def take(self, connection: Connection, *, patience: float) -> None:
        """Wait for a turn."""

    def pause(self, connection: str, seconds: float) -> None:
        """Stop every worker of the connection."""

    def failed(self, connection: str) -> None:
        """Note that a request got no usable answer."""

    def succeeded(self, connection: str) -> None:
        """Note that the vendor answers."""


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact on its way: read ``chunks`` once, inside the context."""

    chunks: Iterator[bytes]
    content_type: str


class Transport:
    """Drives the flows of vendors over HTTP, for all connections.

    ``patience`` is how long, in seconds, a request may wait for its turn before ``ThrottledError`` is raised.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        keys: Keys,
        turns: Turns,
        open_file: Callable[[str, int], IO[bytes]],
        patience: float,
    ) -> None:
        self._client = client
        self._keys = keys
        self._turns = turns
        self._open_file = open_file
        self._patience = patience

    def run(
        self,
        flow: Flow[_T],
        *,
        vendor: Vendor,
        connection: Connection,
        keep: Callable[[str, bytes], None] | None = None,
    ) -> _T:
        """Drive a flow to its end and return its answer.

        Args:
            flow: what a vendor adapter's method returned.
            vendor: the adapter, for the headers.
            connection: whose account it is.
            keep: stores the raw body of each successful reply whose request wants that.

        Raises:
            DossierError: see ``dossier.errors``; an error of sending ends the flow.

        """
        try:
            request = next(flow)
            while True:
                reply = self._send(request, vendor, connection)
                if keep and request.keep and 200 <= reply.status < 300:
                    keep(request.keep, reply.body)
                request = flow.send(reply)
        except StopIteration as stop:
            return cast("_T", stop.value)

    def _send(self, request: Request, vendor: Vendor, connection: Connection) -> Reply:
        key = self._keys.api_key(connection.name)
        reply = self._once(request, vendor.headers(connection, key), connection)
        if reply.status == 401:  # a rotated key: the 401 says that nothing was performed
            fresh = self._keys.api_key(connection.name, fresh=True)
            if fresh != key:
                reply = self._once(request, vendor.headers(connection, fresh), connection)
        if reply.status == 429:
            self._turns.pause(connection.name, replies.retry_after(reply))
        return reply

    def _once(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        self._turns.take(connection, patience=self._patience)
        try:
            reply = self._exchange(request, headers, connection)
        except RetryableError:
            self._turns.failed(connection.name)
            raise
        if reply.status >= 500:
            self._turns.failed(connection.name)
        else:
            self._turns.succeeded(connection.name)
        return reply

    def _exchange(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        with ExitStack() as stack:
            built = self._client.build_request(
                request.method,
                connection.base_url + request.path,
                params=httpx.QueryParams(list(request.query)) if request.query else None,
                headers={"accept": "application/json", **headers},
                json=request.json,
                data=_grouped(request.fields) if request.fields else None,
                files=[(part.field, self._part(part, stack)) for part in request.files] or None,
            )
            with failures(request.effect, f"{request.method} {request.path}"):
                answer = self._client.send(built, stream=True, follow_redirects=False)
                stack.callback(answer.close)
                body = _bounded(answer)
        return Reply(answer.status_code, body, {name.lower(): value for name, value in answer.headers.items()})

    def _part(self, part: FilePart, stack: ExitStack) -> tuple[str, IO[bytes], str]:
        return part.filename, stack.enter_context(self._open_file(part.key, part.size)), part.content_type

    @contextmanager
    def download(self, connection: Connection, url: str) -> Iterator[Download]:
        """Open an artifact on storage: no key is sent, the URL is used byte for byte, redirects are checked.

        Raises:
            UntrustedUrlError: the URL, or a redirect, leaves what the connection allows.
            LinkExpiredError: storage refuses the link (401, 403, 404, 410).
            VendorUnavailableError: storage cannot be reached or answers anything else but 2xx.
            TruncatedDownloadError: (while reading) the bytes end early or do not match the announced checksum.

        """
        with ExitStack() as stack:
            answer = self._follow(connection, url, stack)
            status = answer.status_code
            if status in {401, 403, 404, 410}:
                raise LinkExpiredError(f"storage refused the artifact's link ({status})")
            if not 200 <= status < 300:
                raise VendorUnavailableError(f"storage answered {status} instead of the artifact")
            yield Download(_checked(answer), answer.headers.get("content-type", "application/octet-stream"))

    def _follow(self, connection: Connection, url: str, stack: ExitStack) -> httpx.Response:
        for _ in range(HOPS):
            allow(connection, url)
            with failures(Effect.SAFE, "download"):
                request = self._client.build_request(
                    "GET",
                    url,
                    headers={"accept": "*/*", "accept-encoding": "identity"},
                    extensions={"target": target(url)},
                )
                answer = self._client.send(request, stream=True, follow_redirects=False)
            if answer.next_request is None:
                stack.callback(answer.close)
                return answer
            answer.close()
            url = str(answer.next_request.url)
        raise UntrustedUrlError(f"storage redirected more than {HOPS} times")


def allow(connection: Connection, url: str) -> None:
    """Refuse a URL from a vendor that points where the connection does not allow.

    Raises:
        UntrustedUrlError: wrong scheme or host.

    """
    parts = urlsplit(url)
    home = urlsplit(connection.base_url)
    schemes = {"https", "http"} if connection.allow_insecure else {"https"}
    if parts.scheme not in schemes or not parts.hostname:
        raise UntrustedUrlError(f"an artifact URL is not {' or '.join(sorted(schemes))}://host/…: it is not opened")
    hosts = {host.lower() for host in connection.storage_hosts} | {home.netloc.lower()}
    if not {parts.hostname.lower(), parts.netloc.lower()} & hosts:
        raise UntrustedUrlError(
            f"an artifact URL points to {parts.hostname}: add it to storage_hosts of [{connection.name}] if it is right"
        )


@contextmanager
def failures(effect: Effect, what: str) -> Iterator[None]:
    """Map every failure of httpx to the tree of errors, by what it means for a request with ``effect``."""
    try:
        yield
    except NOT_SENT as error:
        raise VendorUnavailableError(f"{what}: no connection to the vendor ({type(error).__name__})") from error
    except httpx.DecodingError as error:
        lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
        raise lost(f"{what}: the answer cannot be decoded ({error})") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
        if effect is Effect.UNSAFE:
            raise OutcomeUnknownError(f"{what}: the answer was lost ({type(error).__name__})") from error
        raise VendorUnavailableError(f"{what}: the answer was lost ({type(error).__name__})") from error


def _grouped(fields: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped


def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes(CHUNK):
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise httpx.DecodingError(f"larger than {ANSWER_LIMIT} bytes")
    return bytes(body)


def _checked(answer: httpx.Response) -> Iterator[bytes]:
    """Yield the body; raise if it ends early or does not match Content-Length, Content-MD5 or Google's x-goog-hash."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        for chunk in answer.iter_bytes(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    except httpx.HTTPError as error:
        raise TruncatedDownloadError(f"the download ended after {size} bytes ({type(error).__name__})") from error
    length = answer.headers.get("content-length", "")
    encoded = answer.headers.get("content-encoding", "identity") != "identity"
    if not encoded and length.isdigit() and int(length) != size:
        raise TruncatedDownloadError(f"the download ended after {size} of {length} bytes")
    announced = [answer.headers.get("content-md5", "")]
    for part in answer.headers.get("x-goog-hash", "").split(","):
        announced += [part.strip().removeprefix("md5=")] if part.strip().startswith("md5=") else []
    wanted = [each for each in announced if each]
    if wanted and not encoded and base64.b64encode(digest.digest()).decode() not in wanted:
        raise TruncatedDownloadError(f"the download of {size} bytes does not match its checksum")


def target(url: str) -> bytes:
    """Return path and query of a URL as they are sent: byte for byte, where httpx would resolve ``..`` and the like.

    Only what HTTP cannot carry (blanks, control characters, characters beyond ASCII) is percent-encoded.
    """
    parts = urlsplit(url)
    rest = url.partition("//")[2][len(parts.netloc) :].partition("#")[0]
    return quote(rest if rest.startswith("/") else f"/{rest}", safe=_PRINTABLE).encode("ascii")
