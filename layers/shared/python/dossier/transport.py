"""HTTP to vendors and storage, over httpx. It never retries; it maps each failure to an error of the tree.

The meaning of a failure depends on its time: before the request was sent, it was not performed; after that, a request
that changes something may have been performed (``OutcomeUnknownError``).

No answer is trusted: answers and artifacts have limits of size and time, compressed ones are decompressed piece by
piece, URLs are only followed to allowed hosts at public addresses (``dossier.network``), and a key is never in what is
returned or raised.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Protocol, TypeVar, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpx

from dossier import replies
from dossier.checksums import Checks
from dossier.errors import (
    ConfigurationError,
    LinkExpiredError,
    MalformedAnswerError,
    OutcomeUnknownError,
    RetryableError,
    ThrottledError,
    TruncatedDownloadError,
    UntrustedUrlError,
    VendorUnavailableError,
)
from dossier.headers import codings, content_range, kept, length, media_type
from dossier.http import Effect, Flow, Reply, Request
from dossier.masks import masked, masked_text
from dossier.network import PUBLIC_ONLY, within
from dossier.ports import Vendor
from dossier.settings import Connection

_T = TypeVar("_T")
ANSWER_LIMIT = 16 << 20
"""Largest answer of an API, decompressed, in bytes; artifacts are streamed and have their own limit."""
ANSWER_TIME = 90.0
"""Longest time, in seconds, from a request's first byte to the answer's last one; within a function's time."""
UPLOAD_TIME = 780.0
"""The same for a request with files."""
DOWNLOAD_TIME = 780.0
"""The same for an artifact: within the 15 minutes of a function, with time left to report a failure."""
SLOWEST, PATIENT = 1024, 60.0
"""Least average bytes per second of an artifact, after so many seconds."""
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
"""The first bytes of gzip (RFC 1952, section 2.3.1)."""
OCTETS = "application/octet-stream"
HOPS = 5
LONGEST_URL = 16_384
"""Longest URL of an artifact, in characters: a signed one has some thousands at most."""
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Failures before any byte of the request is sent."""
REFUSED_LINK = frozenset({400, 401, 403, 404, 410})
"""Statuses of storage for an expired link: S3 and Azure answer 403, Google 400 (``ExpiredToken``).
https://cloud.google.com/storage/docs/xml-api/reference-status"""
PORTS = {"https": 443, "http": 80}


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


class UnusableError(Exception):
    """The answer is unusable, and would be unusable again."""


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact that is being downloaded: read ``chunks`` once, inside the context.

    ``etag`` is storage's ETag of these bytes; ``unchanged`` is True if it is still the given one.
    """

    chunks: Iterator[bytes]
    content_type: str
    etag: str | None = None
    unchanged: bool = False


class Transport:
    """Drives the flows of vendors over HTTP, for all connections.

    ``patience`` is the longest time, in seconds, that a request waits for its turn before ``ThrottledError`` is raised.
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
            flow: the flow of a vendor adapter's method.
            vendor: the adapter, for the headers.
            connection: the account.
            keep: stores the raw body of each successful reply whose request has a ``keep`` name.

        Raises:
            DossierError: see ``dossier.errors``; an error of sending ends the flow.

        """
        try:
            request = next(flow)
            while True:
                reply = self._send(request, vendor, connection)
                if keep and request.keep and 200 <= reply.status < 300:
                    kept = request.cut(reply.body) if request.cut else reply.body
                    if kept is not None:
                        keep(request.keep, kept)
                request = self._read(flow, reply, connection)
        except StopIteration as stop:
            return cast("_T", stop.value)

    def _read(self, flow: Flow[_T], reply: Reply, connection: Connection) -> Request:
        try:
            return flow.send(reply)
        except ThrottledError as error:  # only the body may say so; pause the other callers too
            self._turns.pause(connection.name, error.retry_after)
            raise

    def _send(self, request: Request, vendor: Vendor, connection: Connection) -> Reply:
        key = self._keys.api_key(connection.name)
        try:
            reply = self._authorized(request, vendor, connection, key)
        except ConfigurationError:  # a key of the wrong kind: nothing was sent
            fresh = self._keys.api_key(connection.name, fresh=True)
            if fresh == key:
                raise
            reply = self._authorized(request, vendor, connection, fresh, key)
        else:
            # A 401 may mean a rotated key; the request was not performed.
            if reply.status == 401 and (fresh := self._keys.api_key(connection.name, fresh=True)) != key:
                reply = self._authorized(request, vendor, connection, fresh, key)
        return reply

    def _authorized(self, request: Request, vendor: Vendor, connection: Connection, key: str, *replaced: str) -> Reply:
        """Send a request with a key, and redact this key and the replaced ones from the reply."""
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ConfigurationError(
                f"the API key of [{connection.name}] has blanks or characters that a header cannot contain: "
                f"run `dossier secrets set {connection.name}`"
            )
        reply = self._once(request, vendor.headers(connection, key), connection)
        secrets = (key, *replaced)
        shown = {name: masked_text(value, secrets) for name, value in reply.headers.items()}
        return Reply(reply.status, masked(reply.body, secrets), shown)

    def _once(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
        try:
            reply = self._exchange(request, headers, connection)
        except ThrottledError:  # nothing was sent
            raise
        except RetryableError as error:
            self._turns.failed(connection.name, getattr(error, "unreachable", None))
            raise
        if (pause := replies.asked_pause(reply)) is not None:  # first, because other callers continue until then
            self._turns.pause(connection.name, pause)
        if reply.status >= 500:
            self._turns.failed(connection.name)
        else:
            self._turns.succeeded(connection.name)
        return reply

    def _exchange(self, request: Request, headers: Mapping[str, str], connection: Connection) -> Reply:
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
                data=_grouped(request.fields) if request.fields else None,
                files=files or None,
            )
            self._turns.take(connection, patience=self._patience)  # last, because a pause may begin at any time
            stack.enter_context(within(UPLOAD_TIME if request.files else ANSWER_TIME))
            with failures(request.effect, replies.what(request)):
                answer = self._client.send(built, stream=True, follow_redirects=False)
                stack.callback(answer.close)
                body = _bounded(answer)
        return Reply(answer.status_code, body, kept(answer.headers))

    @contextmanager
    def download(
        self, connection: Connection, url: str, *, left: int | None = None, etag: str | None = None
    ) -> Iterator[Download]:
        """Open an artifact on storage. No key is sent, the URL is used byte for byte, and each redirect is checked.

        Args:
            connection: the artifact's connection.
            url: the vendor's URL.
            left: how many bytes its case may still have (``limits.case_bytes``); None: no limit.
            etag: only download the bytes if storage has another ETag now.

        Raises:
            UntrustedUrlError: the connection does not allow the URL, a redirect, or the address it leads to.
            LinkExpiredError: storage rejected the link (400, 401, 403, 404, 410).
            VendorUnavailableError: storage cannot be reached, or does not return the whole artifact.
            MalformedAnswerError: it has a content coding that was not requested.
            ConfigurationError: it is larger than ``limits.artifact_bytes`` or ``left`` (also while reading).
            TruncatedDownloadError: (while reading) the bytes end early, come too slowly or do not match the announced
                checksum.

        """
        with ExitStack() as stack:
            stack.enter_context(within(DOWNLOAD_TIME))
            answer = self._follow(connection, url, stack, etag)
            status = answer.status_code
            if status == 304 and etag is not None:
                yield Download(iter(()), "", etag, unchanged=True)
                return
            if status in REFUSED_LINK:
                raise LinkExpiredError(f"storage refused the artifact's link ({status}{_code(answer)})")
            if (problem := _not_whole(answer)) is not None:
                raise VendorUnavailableError(f"storage answered {problem} instead of the artifact")
            try:
                packed = _is_packed(answer)
            except UnusableError as error:
                raise MalformedAnswerError(f"the artifact cannot be read: it {error}") from None
            chunks = _checked(answer, packed, _Limit.of(connection, left))
            kind = media_type(answer.headers.get("content-type", "")) or OCTETS
            given = answer.headers.get("etag", "")
            strong = re.fullmatch(r'"[!#-~]{1,256}"', given)  # a weak ETag may be of other bytes (RFC 9110, 8.8.1)
            yield Download(chunks, kind, given if strong else None)

    def _follow(self, connection: Connection, url: str, stack: ExitStack, etag: str | None = None) -> httpx.Response:
        for _ in range(HOPS):
            allow(connection, url)
            with failures(Effect.SAFE, "download"):
                answer = self._client.send(self._request(connection, url, etag), stream=True, follow_redirects=False)
            if not answer.has_redirect_location:
                stack.callback(answer.close)
                return answer
            answer.close()
            url = _next_url(url, answer.headers["location"])
        raise UntrustedUrlError(f"storage redirected more than {HOPS} times")

    def _request(self, connection: Connection, url: str, etag: str | None) -> httpx.Request:
        unless = {} if etag is None else {"if-none-match": etag}
        try:
            request = self._client.build_request(
                "GET",
                url,
                headers={"accept": "*/*", "accept-encoding": "identity", **unless},
                extensions={"target": target(url), PUBLIC_ONLY: not connection.allow_insecure},
            )
        except httpx.InvalidURL as error:
            raise UntrustedUrlError("an artifact URL is malformed: it is not opened") from error
        if request.url.raw_host.decode("ascii") != urlsplit(url).hostname:  # only one of them was checked
            raise UntrustedUrlError("an artifact URL is ambiguous: it is not opened")
        return request


def allow(connection: Connection, url: str) -> None:
    """Reject a URL from a vendor that points where the connection does not allow.

    Raises:
        UntrustedUrlError: wrong scheme, host or port, or a malformed URL.

    """
    parts = _split(url)
    schemes = {"https", "http"} if connection.allow_insecure else {"https"}
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise UntrustedUrlError(f"an artifact URL is not {' or '.join(sorted(schemes))}://host/…: it is not opened")
    place = parts.hostname.lower(), parts.port or PORTS[parts.scheme]
    home = urlsplit(connection.base_url)
    allowed = {((home.hostname or "").lower(), home.port or PORTS[home.scheme])}
    for host in connection.storage_hosts:  # a host without a port only allows the default port
        other = urlsplit(f"{parts.scheme}://{host}")
        allowed.add(((other.hostname or "").lower(), other.port or PORTS[parts.scheme]))
    if place not in allowed:
        shown = place[0][:100] + (f":{parts.port}" if parts.port not in {None, PORTS[parts.scheme]} else "")
        raise UntrustedUrlError(
            f"an artifact URL points to {shown}: add it to storage_hosts of [{connection.name}] if that is correct"
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if parsers may read it differently, or if it has a user name."""
    if len(url) > LONGEST_URL or url != url.strip() or not all(each.isprintable() for each in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or "\\" in parts.netloc else parts


def _next_url(url: str, location: str) -> str:
    """Return the target of a redirect: an absolute URL byte for byte (it is signed), else resolved against ``url``."""
    if location[:8].lower().startswith(("https://", "http://")) or len(location) > LONGEST_URL:
        return location
    try:
        return urljoin(url, location)
    except ValueError:
        raise UntrustedUrlError("storage redirected to a malformed URL: it is not opened") from None


@contextmanager
def failures(effect: Effect, what: str) -> Iterator[None]:
    """Map every failure of httpx to the tree of errors, by its meaning for a request with ``effect``.

    The text and cause of the httpx error are left out: they may contain the key or a signed URL.
    """
    try:
        yield
    except NOT_SENT as error:
        name = type(error).__name__
        raise VendorUnavailableError(f"{what}: no connection to the vendor ({name})", unreachable=name) from None
    except httpx.DecodingError as error:
        lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
        raise lost(f"{what}: the answer cannot be decoded ({error})") from None
    except UnusableError as error:
        text = f"{what}: the answer cannot be decoded: it {error}"
        raise (OutcomeUnknownError if effect is Effect.UNSAFE else MalformedAnswerError)(text) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
        lost = OutcomeUnknownError if effect is Effect.UNSAFE else VendorUnavailableError
        raise lost(f"{what}: the answer was lost ({type(error).__name__})") from None


def _grouped(fields: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return grouped


def _bounded(answer: httpx.Response) -> bytes:
    raw, body = cast("httpx.SyncByteStream", answer.stream), bytearray()
    for piece in _gunzipped(raw) if _is_packed(answer) else raw:
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise UnusableError(f"is larger than {ANSWER_LIMIT} bytes, the most that a function can hold")
    return bytes(body)


def _is_packed(answer: httpx.Response) -> bool:
    """Return whether a body is compressed with gzip; httpx itself would decompress any coding, and all at once.

    Raises:
        UnusableError: it has another coding, or several: none was requested.

    """
    found = codings(answer.headers.get("content-encoding", ""))
    if found in ([], ["gzip"]):
        return bool(found)
    raise UnusableError(
        f"is compressed as {', '.join(found)[:100]}, which was not requested: ask the vendor for plain bytes or gzip"
    )


def _not_whole(answer: httpx.Response) -> str | None:
    """Return what storage answered if it is not a whole artifact, else None.

    The request has no range, so only a 200 is whole, or a 206 with all bytes.
    """
    status, said = answer.status_code, answer.headers.get("content-range", "")
    found, kind = content_range(said), media_type(answer.headers.get("content-type", ""))
    if status not in {200, 206}:
        return f"{status}"
    if kind == "multipart/byteranges":
        return f"{status} with parts"
    if found is None:  # on a 200 the header has no meaning, unless a proxy has cut the body
        return None if status == 200 and "*/" not in said else f"{status} without a range of bytes"
    whole = found.first == 0 and found.total is not None and found.last == found.total - 1
    return None if whole else f"{status} with a part (bytes {found.first}-{found.last})"


def _code(answer: httpx.Response) -> str:
    """Return an object store's error code, such as ``: ExpiredToken``; nothing else of its answer is used."""
    body = b""
    try:
        for part in cast("httpx.SyncByteStream", answer.stream):
            body += part
            if len(body) >= 4096:
                break
    except httpx.HTTPError:
        pass
    found = re.search(rb"<Code>([A-Za-z0-9]{1,60})</Code>", body[:4096])
    return f": {found[1].decode()}" if found else ""


def _gunzipped(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952: one member or several), in pieces of at most ``CHUNK`` bytes."""
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
        raise httpx.DecodingError("truncated gzip")


def _gunzipped_if(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip; yield anything else unchanged, whatever its header says.

    Storage repeats the header of the uploader, and a proxy may have decompressed the bytes.
    """
    head = b""
    while len(head) < len(GZIP) and (part := next(raw, b"")):
        head += part
    whole = chain([head], raw)
    yield from _gunzipped(whole) if head.startswith(GZIP) else whole


@dataclass(frozen=True, slots=True)
class _Limit:
    """The most bytes that an artifact may have, and the error for more."""

    size: int
    problem: str
    of_what: str

    @classmethod
    def of(cls, connection: Connection, left: int | None) -> _Limit:
        """Return the smaller limit: the artifact's own, or what its case has left."""
        limits = connection.limits
        if left is not None and left < limits.artifact_bytes:
            return cls(left, f"an artifact does not fit into the rest of the case's {limits.case_bytes} bytes", "case")
        size = limits.artifact_bytes
        return cls(size, f"an artifact is larger than {size} bytes", "artifact")

    def check(self, size: int) -> None:
        """Raise ConfigurationError for more bytes."""
        if size > self.size:
            raise ConfigurationError(f"{self.problem}: raise limits.{self.of_what}_bytes if that is correct")


def _checked(answer: httpx.Response, packed: bool, limit: _Limit) -> Iterator[bytes]:
    """Yield the artifact, decompressed, at most ``limit`` bytes; raise the errors of ``Transport.download``."""
    wanted, came, size, began = _announced_length(answer), 0, 0, time.monotonic()
    checks = Checks(answer.headers, packed=packed)
    if not packed:
        limit.check(wanted or 0)

    def arriving() -> Iterator[bytes]:
        nonlocal came
        for part in cast("httpx.SyncByteStream", answer.stream):
            came += len(part)
            checks.came(part)
            yield part

    try:
        for chunk in _gunzipped_if(arriving()) if packed else arriving():
            checks.unpacked(chunk)
            size += len(chunk)
            limit.check(size)
            seconds = time.monotonic() - began
            if seconds > PATIENT and size < SLOWEST * seconds:  # else it would occupy the function until its end
                raise TruncatedDownloadError(f"the download is too slow: {size} bytes in {seconds:.0f} s")
            yield chunk
    except httpx.HTTPError as error:
        raise TruncatedDownloadError(f"the download ended after {size} bytes ({type(error).__name__})") from None
    if wanted is not None and wanted != came:
        raise TruncatedDownloadError(f"the download ended after {came} of {wanted} bytes")
    if (header := checks.differs()) is not None:
        raise TruncatedDownloadError(f"the download of {size} bytes does not match its checksum ({header})")


def _announced_length(answer: httpx.Response) -> int | None:
    """Return the announced number of bytes, as transferred; None if unknown."""
    given, found = answer.headers, content_range(answer.headers.get("content-range", ""))
    stored = given.get("x-goog-stored-content-encoding", "").strip().lower()
    as_stored = stored == "identity" or (stored == "gzip" and codings(given.get("content-encoding", "")))
    lengths = [length(given.get("content-length", "")), found.total if found else None]
    lengths += [length(given.get("x-goog-stored-content-length", ""))] if as_stored else []
    return next((each for each in lengths if each is not None), None)


def target(url: str) -> bytes:
    """Return path and query of a URL byte for byte, where httpx would resolve ``..`` and the like.

    Only characters that HTTP does not allow (blanks, control characters, non-ASCII) are percent-encoded.
    """
    parts = urlsplit(url)
    rest = url.partition("//")[2][len(parts.netloc) :].partition("#")[0]
    return quote(rest if rest.startswith("/") else f"/{rest}", safe=_PRINTABLE).encode("ascii")
