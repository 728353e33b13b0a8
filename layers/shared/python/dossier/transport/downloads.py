"""Download artifacts from storage: no key is sent, and only a whole file within its limits counts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from dossier.checksums import Checks
from dossier.errors import (
    ConfigurationError,
    LinkExpiredError,
    MalformedAnswerError,
    TruncatedDownloadError,
    UntrustedUrlError,
    VendorUnavailableError,
)
from dossier.headers import codings, content_range, length, media_type
from dossier.http import Effect
from dossier.network import PUBLIC_ONLY, within
from dossier.settings import Connection
from dossier.transport.decoding import UnusableError, gunzipped_if, is_packed, stream
from dossier.transport.failures import failures
from dossier.transport.urls import allow, redirected, target

DOWNLOAD_TIME = 780.0
"""Longest time, in seconds, of a whole download: within the 15 minutes of a function, with time left to report a
failure."""
SLOWEST, SLOW_AFTER = 1024, 60.0
"""Least average bytes per second of an artifact, after that many seconds."""
HOPS = 5
OCTETS = "application/octet-stream"
REFUSED_LINK = frozenset({400, 401, 403, 404, 410})
"""Statuses of storage for an expired link: S3 and Azure answer 403, Google 400 (``ExpiredToken``).
https://cloud.google.com/storage/docs/xml-api/reference-status"""


@dataclass(frozen=True, slots=True)
class Download:
    """An artifact that is being downloaded: read ``chunks`` once, inside the context.

    ``etag`` is storage's ETag of these bytes; ``unchanged`` is True if it is still the given one.
    """

    chunks: Iterator[bytes]
    content_type: str
    etag: str | None = None
    unchanged: bool = False


@contextmanager
def download(
    client: httpx.Client, connection: Connection, url: str, *, left: int | None = None, etag: str | None = None
) -> Iterator[Download]:
    """Open an artifact on storage. No key is sent, the URL is used byte for byte, and each redirect is checked.

    Args:
        client: the HTTP client.
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
        answer = _follow(client, connection, url, etag)
        stack.callback(answer.close)
        status = answer.status_code
        if status == 304 and etag is not None:
            yield Download(iter(()), "", etag, unchanged=True)
            return
        if status in REFUSED_LINK:
            raise LinkExpiredError(f"storage refused the artifact's link ({status}{_code(answer)})")
        if (problem := not_whole(answer)) is not None:
            raise VendorUnavailableError(f"storage answered {problem} instead of the artifact")
        try:
            packed = is_packed(answer)
        except UnusableError as error:
            raise MalformedAnswerError(f"the artifact cannot be read: it {error}") from None
        chunks = _checked(answer, packed, _Limit.of(connection, left))
        kind = media_type(answer.headers.get("content-type", "")) or OCTETS
        given = answer.headers.get("etag", "")
        strong = re.fullmatch(r'"[!#-~]{1,256}"', given)  # a weak ETag may be of other bytes (RFC 9110, 8.8.1)
        yield Download(chunks, kind, given if strong else None)


def _follow(client: httpx.Client, connection: Connection, url: str, etag: str | None) -> httpx.Response:
    """Return storage's answer after all redirects, not read yet; the caller closes it."""
    unless = {} if etag is None else {"if-none-match": etag}
    for _ in range(HOPS):
        allow(connection, url)
        try:
            request = client.build_request(
                "GET",
                url,
                headers={"accept": "*/*", "accept-encoding": "identity", **unless},
                extensions={"target": target(url), PUBLIC_ONLY: not connection.allow_insecure},
            )
        except httpx.InvalidURL as error:
            raise UntrustedUrlError("an artifact URL is malformed: it is not opened") from error
        if request.url.raw_host.decode("ascii") != urlsplit(url).hostname:  # only one of them was checked
            raise UntrustedUrlError("an artifact URL is ambiguous: it is not opened")
        with failures(Effect.SAFE, "download"):
            answer = client.send(request, stream=True, follow_redirects=False)
        if not answer.has_redirect_location:
            return answer
        answer.close()
        url = redirected(url, answer.headers["location"])
    raise UntrustedUrlError(f"storage redirected more than {HOPS} times")


def not_whole(answer: httpx.Response) -> str | None:
    """Return storage's answer in words if it is not a whole artifact, else None.

    The request has no range, so only a 200 is whole, or a 206 with all bytes.
    """
    status, header = answer.status_code, answer.headers.get("content-range", "")
    found, kind = content_range(header), media_type(answer.headers.get("content-type", ""))
    if status not in {200, 206}:
        return f"{status}"
    if kind == "multipart/byteranges":
        return f"{status} with parts"
    if found is None:  # on a 200 the header has no meaning, unless a proxy has truncated the body
        return None if status == 200 and "*/" not in header else f"{status} without a range of bytes"
    whole = found.first == 0 and found.total is not None and found.last == found.total - 1
    return None if whole else f"{status} with a part (bytes {found.first}-{found.last})"


def _code(answer: httpx.Response) -> str:
    """Return an object store's error code, such as ``: ExpiredToken``; nothing else of its answer is used."""
    body = b""
    try:
        for part in stream(answer):
            body += part
            if len(body) >= 4096:
                break
    except httpx.HTTPError:
        pass
    found = re.search(rb"<Code>([A-Za-z0-9]{1,60})</Code>", body[:4096])
    return f": {found[1].decode()}" if found else ""


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
    """Yield the artifact, decompressed, at most ``limit`` bytes; raise the errors of ``download``."""
    wanted, came, size, began = _announced_length(answer), 0, 0, time.monotonic()
    checks = Checks(answer.headers, packed=packed)
    if not packed:
        limit.check(wanted or 0)

    def arriving() -> Iterator[bytes]:
        nonlocal came
        for part in stream(answer):
            came += len(part)
            checks.came(part)
            yield part

    try:
        for chunk in gunzipped_if(arriving()) if packed else arriving():
            checks.unpacked(chunk)
            size += len(chunk)
            limit.check(size)
            seconds = time.monotonic() - began
            if seconds > SLOW_AFTER and size < SLOWEST * seconds:  # else it would occupy the function until its end
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
