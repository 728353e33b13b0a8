"""The target of headers in answers of an API and of storage."""

from __future__ import annotations

import gzip
import zlib
from types import SimpleNamespace
from typing import Any, cast

import httpx

from dossier import replies
from dossier.errors import DossierError
from dossier.headers import codings
from dossier.http import Effect, Flow, Request
from dossier.ports import Vendor
from dossier.transport import Transport
from fuzz.answers import END
from fuzz.promises import check, check_vendors_error
from fuzz.texts import STORAGE, Unused

NAMES = (
    *("retry-after", "date", "content-type", "content-length", "content-range", "content-encoding", "location", "etag"),
    *("x-goog-hash", "x-goog-stored-content-encoding", "x-goog-stored-content-length", "content-md5", "digest"),
    *("repr-digest", "x-amz-checksum-sha256", "x-amz-checksum-type", "server", "x-amz-server-side-encryption"),
)
ANSWERED = (200, 206, 302, 400, 413, 429, 502, 503)
KEY = "key-of-the-fuzzer"
VENDOR = cast("Vendor", SimpleNamespace(connection=STORAGE, headers=lambda key: {"x-api-key": key}))


class Turns:
    """Allows every call, and checks the pauses that vendors ask for."""

    def take(self, connection: object, *, patience: float) -> None:
        """Take a turn."""

    def pause(self, connection: str, seconds: float) -> None:
        """Check a pause."""
        del connection
        check(0 <= seconds <= replies.LONGEST_PAUSE, f"a pause of {seconds} s")

    def failed(self, connection: str, failure: str | None = None) -> None:
        """Record nothing."""

    def succeeded(self, connection: str) -> None:
        """Record nothing."""

    def behind(self) -> Turns:
        """Return itself."""
        return self


class Keys:
    """One key."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return it."""
        del connection, fresh
        return KEY


def headers(data: bytes) -> None:
    """Read an answer's headers, of an API and of storage: they give a value, or an error in one line.

    The first byte picks the status, the second whether the request changes something; a line for each of ``NAMES``
    follows, then the body.
    """
    status, unsafe = ANSWERED[data[0] % len(ANSWERED)] if data else 200, bool(data[1:2] and data[1] % 2)
    head, _, body = data[2:].partition(END)
    lines = head.split(b"\n")
    given = [(name.encode(), line) for name, line in zip(NAMES, lines, strict=False) if line]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=given, stream=httpx.ByteStream(body))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    transport = Transport(client, keys=Keys(), turns=Turns(), open_file=Unused(), patience=0)
    _api(transport, unsafe)
    _storage(transport, status, dict(given), body)


def _api(transport: Transport, unsafe: bool) -> None:
    request = Request("POST", "/x", effect=Effect.UNSAFE) if unsafe else Request("GET", "/x")

    def flow() -> Flow[Any]:
        reply = yield request
        check(len(str(reply.headers)) < 2000, "headers without an end")
        return replies.read(request, reply)

    try:
        transport.run(flow(), vendor=VENDOR)
    except DossierError as error:
        check_vendors_error(error)


def _storage(transport: Transport, status: int, given: dict[bytes, bytes], body: bytes) -> None:
    try:
        with transport.download(STORAGE, "https://storage.test/a") as incoming:
            content = b"".join(incoming.chunks)
    except DossierError as error:
        check_vendors_error(error)
        return
    check(status in {200, 206}, f"{status} is a file")
    check(status == 200 or given.get(b"content-range"), "a part is a file")
    packed = codings(given.get(b"content-encoding", b"").decode("latin-1"))
    check(content in (body, _unpacked(body)) if packed else content == body, "not what came")


def _unpacked(body: bytes) -> bytes | None:
    try:
        return gzip.decompress(body)
    except (EOFError, OSError, zlib.error):
        return None
