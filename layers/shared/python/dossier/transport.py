"""HTTP to vendors and storage, over httpx. It never retries; it maps each failure to the tree.

What a failure means depends on when it struck: before the request was on its way it was not performed; after that, a
request that changes something may have been performed (``OutcomeUnknownError``).

Nothing that comes back is trusted: answers and artifacts end at a size and a time, compressed ones are unpacked piece
by piece, URLs are followed to allowed hosts at public addresses (``dossier.network``), and a key is never in what is
returned or raised.
"""

from __future__ import annotations

import base64
import hashlib
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpx

from dossier import replies
from dossier.errors import (
    ConfigurationError,
    LinkExpiredError,
    OutcomeUnknownError,
    RetryableError,
    ThrottledError,
    TruncatedDownloadError,
    UntrustedUrlError,
    VendorUnavailableError,
)
from dossier.http import Effect, FilePart, Flow, Reply, Request
from dossier.network import PUBLIC_ONLY, within
from dossier.ports import Vendor
from dossier.settings import Connection

_T = TypeVar("_T")
ANSWER_LIMIT = 32 << 20
"""Largest answer of an API, unpacked, in bytes; artifacts are streamed and have a limit of their own."""
ANSWER_TIME = 90.0
"""Longest that a request may take from its first byte to the answer's last, in seconds: within a function's time."""
UPLOAD_TIME = 780.0
"""The same for a request with files."""
DOWNLOAD_TIME = 780.0
"""The same for an artifact: within the 15 minutes of a function, with time to say so."""
SLOWEST, PATIENT = 1024, 60.0
"""Fewest bytes a second, on average, of an artifact that has been coming for this long, in seconds."""
CHUNK = 1 << 20
HOPS = 5
MASK = b"(hidden)"
_MASKED_FROM = 8
"""Shortest key, in characters, that is looked for in answers: a shorter one is found in any text."""
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
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
        try:
            reply = self._authorized(request, vendor, connection, key)
        except ConfigurationError:  # a key of the wrong kind: nothing was sent
            fresh = self._keys.api_key(connection.name, fresh=True)
            if fresh == key:
                raise
            reply = self._authorized(request, vendor, connection, fresh)
        else:
            # a 401 may mean a rotated key, and says that nothing was performed
            if reply.status == 401 and (fresh := self._keys.api_key(connection.name, fresh=True)) != key:
                reply = self._authorized(request, vendor, connection, fresh)
        return reply

    def _authorized(self, request: Request, vendor: Vendor, connection: Connection, key: str) -> Reply:
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ConfigurationError(
                f"the API key of [{connection.name}] has blanks or characters that no header can carry: "
                f"run `dossier secrets set {connection.name}`"
            )
        reply = self._once(request, vendor.headers(connection, key), connection)
        secret = key.encode()
        if len(key) < _MASKED_FROM or secret not in reply.body:
            return reply
        return Reply(reply.status, reply.body.replace(secret, MASK), reply.headers)  # "invalid key: …" is stored, shown

    def _once(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        try:
            reply = self._exchange(request, headers, connection)
        except ThrottledError:  # not its turn: nothing was sent
            raise
        except RetryableError:
            self._turns.failed(connection.name)
            raise
        if reply.status == 429:  # before anything else: until it is written down, the others go on calling
            self._turns.pause(connection.name, replies.retry_after(reply))
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
                headers={"accept": "application/json", "accept-encoding": "gzip", **headers},
                json=request.json,
                data=_grouped(request.fields) if request.fields else None,
                files=[(part.field, self._part(part, stack)) for part in request.files] or None,
            )
            self._turns.take(connection, patience=self._patience)  # as late as can be: a pause may begin at any time
            stack.enter_context(within(UPLOAD_TIME if request.files else ANSWER_TIME))
            with failures(request.effect, f"{request.method} {request.path}"):
                answer = self._client.send(built, stream=True, follow_redirects=False)
                stack.callback(answer.close)
                body = _bounded(answer)
        return Reply(answer.status_code, body, {name.lower(): value for name, value in answer.headers.items()})

    def _part(self, part: FilePart, stack: ExitStack) -> tuple[str, IO[bytes], str]:
        return part.filename, stack.enter_context(self._open_file(part.key, part.size)), part.content_type

    @contextmanager
    def download(self, connection: Connection, url: str) -> Iterator[Download]:
        """Open an artifact on storage: no key is sent, the URL is used byte for byte, each redirect is checked.

        Raises:
            UntrustedUrlError: the URL, a redirect or the address it leads to is not what the connection allows.
            LinkExpiredError: storage refuses the link (401, 403, 404, 410).
            VendorUnavailableError: storage cannot be reached or answers anything else but 2xx.
            ConfigurationError: it is larger than ``limits.artifact_bytes`` (while reading, too).
            TruncatedDownloadError: (while reading) the bytes end early, come too slowly or do not match the announced
                checksum.

        """
        with ExitStack() as stack:
            stack.enter_context(within(DOWNLOAD_TIME))
            answer = self._follow(connection, url, stack)
            status = answer.status_code
            if status in {401, 403, 404, 410}:
                raise LinkExpiredError(f"storage refused the artifact's link ({status})")
            if not 200 <= status < 300:
                raise VendorUnavailableError(f"storage answered {status} instead of the artifact")
            chunks = _checked(answer, connection.limits.artifact_bytes)
            yield Download(chunks, answer.headers.get("content-type", "application/octet-stream"))

    def _follow(self, connection: Connection, url: str, stack: ExitStack) -> httpx.Response:
        for _ in range(HOPS):
            allow(connection, url)
            with failures(Effect.SAFE, "download"):
                answer = self._client.send(self._request(connection, url), stream=True, follow_redirects=False)
            if not answer.has_redirect_location:
                stack.callback(answer.close)
                return answer
            answer.close()
            url = _next_url(url, answer.headers["location"])
        raise UntrustedUrlError(f"storage redirected more than {HOPS} times")

    def _request(self, connection: Connection, url: str) -> httpx.Request:
        try:
            request = self._client.build_request(
                "GET",
                url,
                headers={"accept": "*/*", "accept-encoding": "identity"},
                extensions={"target": target(url), PUBLIC_ONLY: not connection.allow_insecure},
            )
        except httpx.InvalidURL as error:
            raise UntrustedUrlError("an artifact URL is not one: it is not opened") from error
        if request.url.raw_host.decode("ascii") != urlsplit(url).hostname:  # which of the two was allowed?
            raise UntrustedUrlError("an artifact URL can be read in two ways: it is not opened")
        return request


def allow(connection: Connection, url: str) -> None:
    """Refuse a URL from a vendor that points where the connection does not allow.

    Raises:
        UntrustedUrlError: wrong scheme or host, or no proper URL.

    """
    parts, home = _split(url), urlsplit(connection.base_url)
    schemes = {"https", "http"} if connection.allow_insecure else {"https"}
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise UntrustedUrlError(f"an artifact URL is not {' or '.join(sorted(schemes))}://host/…: it is not opened")
    hosts = {host.lower() for host in connection.storage_hosts} | {home.netloc.lower()}
    if not {parts.hostname.lower(), parts.netloc.lower()} & hosts:
        raise UntrustedUrlError(
            f"an artifact URL points to {parts.hostname[:100]}: "
            f"add it to storage_hosts of [{connection.name}] if it is right"
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None for what parsers read differently, and for one with a user name in it."""
    if url != url.strip() or not all(each.isprintable() for each in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or "\\" in parts.netloc else parts


def _next_url(url: str, location: str) -> str:
    """Return where a redirect leads: an absolute URL byte for byte (it is signed), else relative to ``url``."""
    if location.lower().startswith(("https://", "http://")):
        return location
    try:
        return urljoin(url, location)
    except ValueError:
        raise UntrustedUrlError("storage redirected to what is no URL: it is not opened") from None


@contextmanager
def failures(effect: Effect, what: str) -> Iterator[None]:
    """Map every failure of httpx to the tree of errors, by what it means for a request with ``effect``.

    Its own text is left out, as its cause would be in a log: it may hold a header (the key) or a URL (signed).
    """
    try:
        yield
    except NOT_SENT as error:
        raise VendorUnavailableError(f"{what}: no connection to the vendor ({type(error).__name__})") from None
    except httpx.DecodingError as error:
        lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
        raise lost(f"{what}: the answer cannot be decoded ({error})") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
        lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
        raise lost(f"{what}: the answer was lost ({type(error).__name__})") from None


def _grouped(fields: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped


def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    for piece in _unpacked(answer):
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise httpx.DecodingError(f"larger than {ANSWER_LIMIT} bytes")
    return bytes(body)


def _unpacked(answer: httpx.Response) -> Iterator[bytes]:
    """Yield the body without its content encoding, in pieces of ``CHUNK`` bytes at most.

    httpx unpacks all that it has read at once, and as often as the header says: 64 KiB become 64 MiB, or 64 GiB.
    """
    raw = cast("httpx.SyncByteStream", answer.stream)
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        yield from raw
    elif encoding in {"gzip", "x-gzip"}:
        yield from _gunzipped(raw)
    else:
        raise httpx.DecodingError("packed in a way that was not asked for")


def _gunzipped(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip packed (RFC 1952: one member or several), in pieces of ``CHUNK`` bytes at most."""
    unpack, begun = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    try:
        for part in raw:
            rest = part
            while rest:
                begun = True
                if piece := unpack.decompress(rest, CHUNK):
                    yield piece
                rest = unpack.unconsumed_tail
                if unpack.eof:
                    rest, unpack, begun = unpack.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 16), False
        if piece := unpack.flush():
            yield piece
    except zlib.error as error:
        raise httpx.DecodingError("not gzip, as its header says") from error
    if begun:
        raise httpx.DecodingError("gzip that ends early")


def _checked(answer: httpx.Response, limit: int) -> Iterator[bytes]:
    """Yield the body, at most ``limit`` bytes of it; raise where ``Transport.download`` says so.

    What is announced is Content-Length, Content-MD5 (RFC 1864) or Google's x-goog-hash
    (https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash).
    """
    digest, size, began = hashlib.md5(usedforsecurity=False), 0, time.monotonic()
    _fits(int(announced) if (announced := answer.headers.get("content-length", "")).isdecimal() else 0, limit)
    try:
        for chunk in _unpacked(answer):
            digest.update(chunk)
            size += len(chunk)
            _fits(size, limit)
            _flows(size, time.monotonic() - began)
            yield chunk
    except httpx.HTTPError as error:
        raise TruncatedDownloadError(f"the download ended after {size} bytes ({type(error).__name__})") from None
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


def _fits(size: int, limit: int) -> None:
    if size > limit:
        raise ConfigurationError(
            f"an artifact is larger than {limit} bytes: raise limits.artifact_bytes if it is right"
        )


def _flows(size: int, seconds: float) -> None:
    """Refuse bytes that only drip: they would hold the function, and its turn, until its time is over."""
    if seconds > PATIENT and size < SLOWEST * seconds:
        raise TruncatedDownloadError(f"the download is too slow: {size} bytes in {seconds:.0f} s")


def target(url: str) -> bytes:
    """Return path and query of a URL as they are sent: byte for byte, where httpx would resolve ``..`` and the like.

    Only what HTTP cannot carry (blanks, control characters, characters beyond ASCII) is percent-encoded.
    """
    parts = urlsplit(url)
    rest = url.partition("//")[2][len(parts.netloc) :].partition("#")[0]
    return quote(rest if rest.startswith("/") else f"/{rest}", safe=_PRINTABLE).encode("ascii")
