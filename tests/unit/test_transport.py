"""HTTP to vendors and storage: the meaning of each failure, secrets that are never sent, and limits."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import html
import io
import json
import math
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import errors, masks, network, replies
from dossier.http import DEEPEST, MOST_VALUES, Effect, FilePart, Flow, Reply, Request, decode, written
from dossier.ports import Vendor
from dossier.senders import keeping
from dossier.settings import Connection, Limits
from dossier.stores.objects import S3File
from dossier.transport import Download, Transport, client, decoding, downloads
from dossier.transport.failures import failures
from dossier.transport.urls import allow, target
from tests.conftest import BUCKET, Cloud
from tests.servers import Server, answer, saying, serving

KEY = "key-4f1e9a7c2b"
SAFE, UNSAFE = Request("GET", "/cases"), Request("POST", "/cases", effect=Effect.UNSAFE)
BODY = b"%PDF-1.7 an artifact" * 100
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Keys:
    """Keys that were rotated: the first is cached, the next is read afresh."""

    known: list[str] = field(default_factory=lambda: [KEY])
    reads: int = 0

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return the key; ``fresh`` gives the rotated one."""
        self.reads += 1
        if fresh and len(self.known) > 1:
            self.known.pop(0)
        return self.known[0]


@dataclass
class Turns:
    """Turns that are always one's own."""

    taken: int = 0
    paused: list[tuple[str, float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def take(self, connection: Connection, *, patience: float) -> None:
        """Count a turn."""
        self.taken += 1

    def pause(self, connection: str, seconds: float) -> None:
        """Note a pause."""
        self.paused.append((connection, seconds))

    def failed(self, connection: str, failure: str | None = None) -> None:
        """Note a failure."""
        self.told.append("failed")
        self.failure = failure

    def succeeded(self, connection: str) -> None:
        """Note a success."""
        self.told.append("succeeded")


@dataclass
class Bench:
    """A transport with its surroundings, over a handler or a real client."""

    handler: Handler | None = None
    keys: Keys = field(default_factory=Keys)
    turns: Turns = field(default_factory=Turns)
    open_file: Callable[[str, int], Any] = lambda _key, _size: io.BytesIO(b"")
    requests: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the client."""
        self.client = httpx.Client(transport=httpx.MockTransport(self._handle)) if self.handler else network.client()
        self.transport = Transport(self.client, keys=self.keys, turns=self.turns, open_file=self.open_file, patience=1)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert self.handler
        return self.handler(request)

    def send(self, request: Request, connection: Connection | None = None, **rest: Any) -> Reply:
        """Send one request and return its reply."""
        return self.transport.run(_once(request), vendor=_vendor(connection or _connection()), **rest)

    @contextmanager
    def download(self, url: str, connection: Connection | None = None) -> Iterator[Download]:
        """Open an artifact."""
        with self.transport.download(connection or _connection(), url) as incoming:
            yield incoming

    def fetch(self, url: str, connection: Connection | None = None) -> bytes:
        """Read an artifact to its end."""
        with self.download(url, connection) as incoming:
            return b"".join(incoming.chunks)


def _once(request: Request) -> Flow[Reply]:
    reply = yield request
    return reply


def _vendor(connection: Connection) -> Vendor:
    """Return as much of a vendor as the transport needs."""
    made = SimpleNamespace(connection=connection, key_header="x-api-key")
    made.headers = partial(Vendor.headers, cast("Vendor", made))
    return cast("Vendor", made)


def _connection(base_url: str = "https://api.test", **rest: Any) -> Connection:
    given: dict[str, Any] = {"storage_hosts": ("storage.test",), **rest}
    return Connection(name="claims", vendor="docsumo", base_url=base_url, **given)


def _sandbox(server: Server, **rest: Any) -> Connection:
    return _connection(server.url, allow_insecure=True, **rest)


def _answering(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(status, stream=httpx.ByteStream(body), headers=given)


def _raising(error: Exception) -> Handler:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    return handler


# --- failures ---------------------------------------------------------------------------------------------------------


def _exceptions() -> list[type[Exception]]:
    public = [getattr(httpx, name) for name in httpx.__all__]
    return [each for each in public if isinstance(each, type) and issubclass(each, Exception)]


def _made(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("said", request=httpx.Request("GET", "https://x.test"), response=httpx.Response(500))
    try:
        return kind("said")
    except TypeError:
        return kind()


NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}


@pytest.mark.rule(
    "security: cause a second upload, and a second bill", "security: read a key in an error of the HTTP library"
)
@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_is_mapped(kind: type[Exception]) -> None:
    """An unsafe request is in doubt after any failure but one before it was sent; a safe one may be repeated."""
    with pytest.raises(errors.VendorUnavailableError), failures(Effect.SAFE, "GET /cases"):
        raise _made(kind)
    wanted = errors.VendorUnavailableError if kind.__name__ in NOT_SENT else errors.OutcomeUnknownError
    with pytest.raises(wanted) as caught, failures(Effect.UNSAFE, "POST /cases"):
        raise _made(kind)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_every_exception_class_of_httpx_is_covered() -> None:
    """No class of the tree in httpx's documentation is left out of the test above."""
    names = {kind.__name__ for kind in _exceptions()}
    assert {"HTTPError", "TransportError", "ReadTimeout", "DecodingError", "InvalidURL", "StreamConsumed"} <= names
    assert len(names) >= 25


def test_our_own_errors_pass_through() -> None:
    """What the network itself refuses keeps its class."""
    with pytest.raises(errors.UntrustedUrlError), failures(Effect.SAFE, "download"):
        raise errors.UntrustedUrlError("private")


@pytest.mark.parametrize(
    ("request_", "error"), [(SAFE, errors.VendorUnavailableError), (UNSAFE, errors.OutcomeUnknownError)]
)
def test_a_lost_answer_ends_the_flow(request_: Request, error: type[Exception]) -> None:
    """A request whose connection broke is sent once: nothing here tries again."""
    bench = Bench(_raising(httpx.ReadError("reset")))
    with pytest.raises(error, match=r"^(GET|POST) /cases: the answer was lost \(ReadError\)$"):
        bench.send(request_)
    assert (len(bench.requests), bench.turns.told) == (1, ["failed"])


def test_an_answer_that_breaks_off_is_lost() -> None:
    """Half an answer to an upload leaves it in doubt; half an answer to a question may be asked again."""
    with serving(saying(answer(b'{"case', content_length="60"))) as server:
        with pytest.raises(errors.OutcomeUnknownError):
            Bench().send(UNSAFE, _sandbox(server))
        with pytest.raises(errors.VendorUnavailableError):
            Bench().send(SAFE, _sandbox(server))


def test_a_refused_connection_means_not_performed() -> None:
    """A refused connection is no doubt at all, even for an upload."""
    with serving(saying(b"")) as server:
        pass
    with pytest.raises(errors.VendorUnavailableError, match="no connection to the vendor"):
        Bench().send(UNSAFE, _sandbox(server))


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("security: continue to use a key or a webhook secret that was replaced")
def test_a_rotated_key_is_read_again_once() -> None:
    """After a 401 the secret is read afresh; the new key is used, and the old one nowhere any more."""
    bench = Bench(lambda request: httpx.Response(200 if request.headers["x-api-key"] == "new-key-1" else 401, json={}))
    bench.keys.known = ["old-key-1", "new-key-1"]
    assert bench.send(UNSAFE).status == 200
    assert [each.headers["x-api-key"] for each in bench.requests] == ["old-key-1", "new-key-1"]
    assert bench.turns.taken == 2


def test_a_corrected_key_is_read_again_at_once() -> None:
    """A cached key that cannot be sent (a newline, the wrong kind) gives way to the one that replaced it."""
    bench = Bench(_answering())
    bench.keys.known = ["broken\n", "new-key-1"]
    assert bench.send(UNSAFE).status == 200
    assert [each.headers["x-api-key"] for each in bench.requests] == ["new-key-1"]


def test_a_wrong_key_is_not_tried_twice() -> None:
    """A 401 with the key that Secrets Manager has is the vendor's last word."""
    bench = Bench(_answering(401))
    assert bench.send(SAFE).status == 401
    assert (len(bench.requests), bench.keys.reads) == (1, 2)
    bench = Bench(_answering(401))
    bench.keys.known = ["old-key-1", "new-key-1"]
    assert bench.send(SAFE).status == 401
    assert len(bench.requests) == 2


@pytest.mark.rule("security: read a key in an error of the HTTP library")
@pytest.mark.parametrize("key", ["key\n", " key", "ke\ry", "clé", "key\x7f"])
def test_a_key_that_no_header_can_carry_is_not_shown(key: str) -> None:
    """The error about a key with a newline says what to fix; the HTTP library's error would print the key."""
    bench = Bench(_answering())
    bench.keys.known = [key]
    with pytest.raises(errors.ConfigurationError, match="dossier secrets set claims") as caught:
        bench.send(SAFE)
    assert key.strip() not in str(caught.value).replace("API key", "").replace("[claims]", "")
    assert bench.requests == []


@pytest.mark.rule("security: read a key that a vendor repeats in its error")
def test_a_key_that_the_vendor_repeats_is_redacted() -> None:
    """A key in an answer reaches neither the flow, nor the stored answer, nor an error's text."""
    kept: dict[str, bytes] = {}
    bench = Bench(_answering(200, b'{"echo": "%s"}' % KEY.encode()))
    reply = bench.send(Request("GET", "/me", keep="me"), around=lambda send: keeping(send, kept.__setitem__))
    assert reply.json() == {"echo": "(hidden)"}
    assert kept == {"me": b'{"echo": "(hidden)"}'}
    bench = Bench(_answering(401, b'{"message": "invalid key %s"}' % KEY.encode()))
    with pytest.raises(errors.UnauthorizedError) as caught:
        replies.read(SAFE, bench.send(SAFE))
    assert KEY not in str(caught.value)


ODD_KEY = "ds_live_4f/1e+9a&7c=2b<'x>\\9"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "capitals": str.upper,
    "small letters": str.lower,
    "JSON": json.dumps,
    "JSON of PHP": lambda key: json.dumps(key).replace("/", r"\/"),
    "JSON of Go": lambda key: json.dumps(key).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003E"),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key).replace("/", r"\/")),
    "every character in JSON": lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    "URL": lambda key: quote(key, safe=""),
    "URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL in lower case": lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "HTML": html.escape,
    "HTML twice": lambda key: html.escape(html.escape(key)),
    "HTML by number": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "HTML by hexadecimal number": lambda key: "".join(f"&#x{ord(each):02X};" for each in key),
    "HTML by name": lambda key: key.replace("&", "&amp;").replace("/", "&sol;").replace("+", "&plus;"),
    "HTML in JSON": lambda key: json.dumps(html.escape(key)).replace("&", r"\u0026"),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 after a name": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "base64 amid a text": lambda key: base64.urlsafe_b64encode(f"{{'k': '{key}'}}".encode()).decode(),
    "base64 in JSON": lambda key: base64.b64encode(key.encode()).decode().replace("/", r"\/").replace("+", r"\u002b"),
    "base64 in a URL": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "base64 in lines": lambda key: "\\r\\n".join(_lines(base64.b64encode(key.encode()).decode(), 8)),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal in capitals": lambda key: key.encode().hex().upper(),
    "hexadecimal in any case": lambda key: "".join(
        each.upper() if at % 3 else each for at, each in enumerate(key.encode().hex())
    ),
    "hexadecimal by bytes": lambda key: key.encode().hex(":"),
    "hexadecimal of a program": lambda key: "".join(f"\\\\x{each:02x}" for each in key.encode()),
}


def _lines(text: str, longest: int) -> list[str]:
    return [text[at : at + longest] for at in range(0, len(text), longest)]


@pytest.mark.rule("security: read a key that a vendor repeats in its error")
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", [KEY, ODD_KEY])
def test_a_key_is_redacted_in_every_spelling(key: str, spelling: str) -> None:
    """However the vendor's framework writes the key, in a body or a header, nothing of it is read, kept or raised."""
    said, kept = SPELLINGS[spelling](key), dict[str, bytes]()
    body = b'{"message": "invalid key '
    bench = Bench(_answering(401, body + said.encode() + b' \\u00e4"}', content_type=f"text/{said}", x_echo=said))
    bench.keys.known = [key]
    reply = bench.send(Request("GET", "/me", keep="me"), around=lambda send: keeping(send, kept.__setitem__))
    assert said not in f"{reply} {kept}"
    assert said.encode() not in reply.body
    assert reply.body.startswith(body)
    assert reply.body.endswith(b' \\u00e4"}')
    with pytest.raises(errors.DossierError) as caught:
        replies.read(SAFE, reply)
    assert key not in str(caught.value)
    assert said.strip('"') not in str(caught.value)


def test_a_replaced_key_is_redacted_too() -> None:
    """The answer to the new key may still speak of the old one."""
    bench = Bench(
        lambda request: httpx.Response(401, json={"message": f"old-key-1 is not {request.headers['x-api-key']}"})
    )
    bench.keys.known = ["old-key-1", "new-key-1"]
    assert bench.send(SAFE).json() == {"message": "(hidden) is not (hidden)"}


def test_an_answer_without_the_key_is_unchanged() -> None:
    """An answer without the key is not copied, and one that nearly has it stays as it is, in little time."""
    for body in (
        b'{"a": "' + KEY[:-1].encode() * 9 + b'"}',
        b"\\" * (1 << 20),
        KEY[:8].encode() * (1 << 17),
        b"&amp;" * (1 << 18),
    ):
        assert masks.masked(body, [KEY, ODD_KEY, "short"]) is body


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
def test_unused_headers_are_dropped() -> None:
    """An answer's headers could fill an item of the table, or a log: three are read, and each of these is short."""
    bench = Bench(
        _answering(200, b"{}", x_junk="j" * 50_000, content_type="application/json;" + "x" * 50_000, date="now")
    )
    reply = bench.send(SAFE)
    assert set(reply.headers) == {"content-type", "date"}
    assert len(str(reply.headers)) < 500


@pytest.mark.rule("docsumo 2 no key goes to storage", "security: get the API key to storage or another host")
def test_no_redirect_of_an_api_is_followed() -> None:
    """The key goes to the configured host and nowhere else."""
    bench = Bench(_answering(307, location="https://elsewhere.test/cases"))
    with pytest.raises(errors.StrayAnswerError):
        replies.read(SAFE, bench.send(SAFE))
    assert [each.url.host for each in bench.requests] == ["api.test"]


@pytest.mark.rule("docsumo 2 no key goes to storage", "security: get the API key to storage or another host")
def test_no_key_goes_to_storage_nor_across_a_redirect() -> None:
    """Artifacts are fetched without any header that could authorize, on every hop."""
    hops = {
        "/a": httpx.Response(302, headers={"location": "https://storage.test/b", "set-cookie": "a=b"}),
        "/b": httpx.Response(307, headers={"location": "/c?X-Signature=s"}),
        "/c": httpx.Response(200, stream=httpx.ByteStream(BODY)),
    }
    bench = Bench(lambda request: hops[request.url.path])
    assert bench.fetch("https://api.test/a") == BODY
    assert [str(each.url) for each in bench.requests] == [
        "https://api.test/a", "https://storage.test/b", "https://storage.test/c?X-Signature=s",
    ]  # fmt: skip
    for request in bench.requests:
        assert not {"x-api-key", "authorization", "apikey"} & set(request.headers)
        assert KEY not in str(request.headers)
        assert request.extensions[network.PUBLIC_ONLY] is True
    assert bench.keys.reads == 0


# --- 429 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        ("date", 1800),
        ("", replies.DEFAULT_PAUSE),
    ],
    ids=["seconds", "date", "none"],
)
def test_a_429_pauses_the_whole_connection(header: str, seconds: float) -> None:
    """Every worker of the connection learns of the pause, in both forms of Retry-After."""
    if header == "date":
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    bench = Bench(_answering(429, retry_after=header))
    assert bench.send(UNSAFE).status == 429
    [(connection, pause)] = bench.turns.paused
    assert connection == "claims"
    assert pause == pytest.approx(seconds, abs=60)


@pytest.mark.rule("security: break the reader with a date, length or range in a header, or pause it without end")
@pytest.mark.parametrize(
    ("status", "header", "paused"),
    [
        (503, "17", [("claims", 17.0)]),
        (503, "0", [("claims", 0.0)]),
        (503, "999999999", [("claims", replies.LONGEST_PAUSE)]),
        (502, "17", [("claims", 17.0)]),
        (413, "17", [("claims", 17.0)]),
        (503, "", []),
        (503, "soon", []),
        (503, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", []),
        (400, "17", []),
        (302, "17", []),
        (200, "17", []),
    ],
)
def test_retry_after_pauses_the_connection(status: int, header: str, paused: list[tuple[str, float]]) -> None:
    """Retry-After counts if the vendor is unavailable or full, as on a 429; an unreadable one is not a pause."""
    bench = Bench(_answering(status, retry_after=header))
    bench.send(UNSAFE)
    assert bench.turns.paused == paused


def test_a_pause_in_the_body_is_shared() -> None:
    """A 429 in the body of a 200 stops the other workers too."""

    def reading() -> Flow[Any]:
        return replies.read(SAFE, (yield SAFE))

    bench = Bench(_answering(200, b'{"status_code": 429}', retry_after="9"))
    with pytest.raises(errors.ThrottledError):
        bench.transport.run(reading(), vendor=_vendor(_connection()))
    assert bench.turns.paused == [("claims", 9.0)]


@pytest.mark.parametrize(("status", "told"), [(200, "succeeded"), (404, "succeeded"), (500, "failed"), (503, "failed")])
def test_the_breaker_counts_failures(status: int, told: str) -> None:
    """A 5xx counts as a failure of the vendor; a refusal is an answer."""
    bench = Bench(_answering(status))
    bench.send(SAFE)
    assert bench.turns.told == [told]


# --- answers ----------------------------------------------------------------------------------------------------------


def _bomb(size: int, times: int = 1) -> bytes:
    """Return gzip of ``size`` zeros, packed several times, made without holding them."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b"".join(pack.compress(bytes(1 << 20)) for _ in range(size >> 20)) + pack.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return packed


@pytest.mark.rule("security: fill the memory: endless answers, decompression bombs")
@pytest.mark.parametrize(("encoding", "times"), [("gzip", 1), ("gzip, gzip", 2)])
def test_a_decompression_bomb_is_stopped(encoding: str, times: int) -> None:
    """A gibibyte in a small answer is unpacked up to the limit and not further, however often it is packed."""
    bomb = _bomb(256 << 20, times)
    bench = Bench(_answering(200, bomb, content_encoding=encoding))
    tracemalloc.start()
    try:
        with pytest.raises(errors.MalformedAnswerError, match=r"cannot be decoded"):
            bench.send(SAFE)
        assert tracemalloc.get_traced_memory()[1] < 4 * decoding.ANSWER_LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.rule("security: fill the memory: endless answers, decompression bombs")
def test_an_answer_has_a_limit() -> None:
    """An endless answer ends at the limit; for an upload the outcome is in doubt."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            connection.sendall(bytes(1 << 20))

    with serving(endless) as server, pytest.raises(errors.OutcomeUnknownError, match="larger than 16777216 bytes"):
        Bench().send(UNSAFE, _sandbox(server))


@pytest.mark.parametrize(
    "parts",
    [[b'{"a": 1}'], [b'{"a"', b": 1}"], [b""]],
    ids=["one member", "two members", "empty"],
)
def test_gzip_is_decompressed(parts: list[bytes]) -> None:
    """Gzip is requested, and decompressed with any number of members."""
    packed = b"".join(gzip.compress(part) for part in parts)
    bench = Bench(_answering(200, packed, content_encoding="gzip"))
    assert bench.send(SAFE).body == b"".join(parts)
    assert bench.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"x"),
        ("zstd", b"x"),
        ("deflate", zlib.compress(b"{}")),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(BODY)[:-9]),
    ],
    ids=["br", "zstd", "deflate", "not gzip", "cut gzip"],
)  # fmt: skip
def test_an_answer_that_cannot_be_decompressed_is_malformed(encoding: str, body: bytes) -> None:
    """An encoding that was not asked for, or that is broken, is as good as a lost answer."""
    bench = Bench(_answering(200, body, content_encoding=encoding))
    with pytest.raises(errors.OutcomeUnknownError, match="cannot be decoded"):
        bench.send(UNSAFE)


@given(parts=st.lists(st.binary(max_size=5000), max_size=5), size=st.integers(1, 600))
def test_decompression_does_not_depend_on_the_chunks(parts: list[bytes], size: int) -> None:
    """Whatever the members and the pieces of the network are, the bytes are the same."""
    packed = b"".join(gzip.compress(part) for part in parts)
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert b"".join(decoding.gunzipped(pieces)) == b"".join(parts)


@pytest.mark.rule("security: break the reader: nesting, huge numbers, millions of values")
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" + b"[]," * (MOST_VALUES // 2) + b"[]]",
        b"9" * 5000,
        b"\xff\xfe",
        b"",
    ],
    ids=["endless", "deep", "deep objects", "many", "digits", "not UTF-8", "empty"],
)
def test_json_bombs_are_not_json(body: bytes) -> None:
    """Nesting, counts and numbers have limits: beyond them an answer is malformed, and nothing else breaks."""
    with pytest.raises(errors.MalformedAnswerError):
        Reply(200, body).json()


def test_json_at_the_limits_is_json() -> None:
    """Plausible answers pass; a number beyond every float is the largest one."""
    assert decode(b"[" * DEEPEST + b"]" * DEEPEST)
    assert json.dumps(decode(b"[1e999, -1e999, NaN, Infinity]"), allow_nan=False).endswith("null, null]")
    assert decode(b"9" * 4000) == int("9" * 4000)


@pytest.mark.parametrize(
    "text", ["4200.00", "12345678901234567.89", "1e400", "-1E-400", "-0", "-0.0", "0.10", "1.0e+2", "9007199254740993"]
)
def test_a_number_keeps_the_vendors_text(text: str) -> None:
    """A number is written again as it came, alone and inside other values, also after half an emoji was replaced."""
    value = decode(f'{{"a": [{text}], "b": "\\ud83d"}}'.encode())
    assert written(value["a"][0]) == text
    assert written(value) == f'{{"a": [{text}], "b": "?"}}'
    assert written(copy.deepcopy(value)) == written(value)
    assert math.isfinite(value["a"][0])


@pytest.mark.rule("security: break the reader: nesting, huge numbers, millions of values")
@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:0123456789eE+-.\\ud NaInfity', max_size=200).map(str.encode))
def test_any_body_is_a_value_or_malformed(body: bytes) -> None:
    """Whatever a vendor sends, reading it ends in a value that can be stored, or in the one error for it."""
    try:
        value = Reply(200, body).json()
    except errors.MalformedAnswerError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.rule("security: hold a function with a byte a minute")
def test_a_slow_answer_ends_with_the_requests_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that drips holds nobody longer than the whole request may take."""
    monkeypatch.setattr(client, "ANSWER_TIME", 0.3)
    with serving(_dripping) as server:
        began = time.monotonic()
        with pytest.raises(errors.OutcomeUnknownError, match="ReadTimeout"):
            Bench().send(UNSAFE, _sandbox(server))
        assert time.monotonic() - began < 20


def _dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(2000):
        connection.sendall(b"x")
        time.sleep(0.02)


# --- downloads --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo 2 step 3: a GET of exactly that URL")
@pytest.mark.parametrize(
    "path",
    [
        "/artifacts//c/p.pdf?X-Goog-Signature=aA%2B%2f0=&X=%7E",
        "/a/../b/./c",
        "/a%2Fb/%2e%2e/c",
        "/a;v=1/b,c/(d)/~e/'f'!$&*+=:@",
        "/?",
        "/a?b?c=/d/../e&f=%",
        "//double//",
        "/brackets[]{}|^`\\",
    ],
)
def test_a_url_is_used_byte_for_byte(path: str) -> None:
    """What a signature covers arrives as it was given: doubled slashes, dots, escapes in either case."""
    with serving(saying(answer(BODY))) as server:
        assert Bench().fetch(f"{server.url}{path}", _sandbox(server)) == BODY
        assert server.targets == [path]


@pytest.mark.rule("docsumo 2 step 3: a GET of exactly that URL")
def test_a_redirects_url_is_used_byte_for_byte() -> None:
    """A signed URL in Location is as fragile as one in an answer."""
    path = "/artifacts//x/../y%2fz?sig=a%2Fb+c"
    with serving(saying(answer(b"", status="302 Found", location=path), answer(BODY))) as server:
        absolute = f"{server.url}/signed{path}"
        bench, connection = Bench(), _sandbox(server)
        assert bench.fetch(f"{server.url}/a", connection) == BODY
        assert server.targets[0] == "/a"
        with serving(saying(answer(b"", status="302 Found", location=absolute))) as first:
            allowed = _sandbox(first, storage_hosts=(f"127.0.0.1:{server.port}",))
            assert bench.fetch(first.url, allowed) == BODY
        assert server.targets[-1] == f"/signed{path}"


def test_characters_that_a_url_cannot_contain_are_escaped() -> None:
    """Blanks and letters beyond ASCII are percent-encoded, a fragment is not sent, an empty path is a slash."""
    assert target("https://h/a b/é%20?q=ü#part") == b"/a%20b/%C3%A9%20?q=%C3%BC"
    assert target("https://h") == b"/"
    assert target("https://h?x") == b"/?x"


@pytest.mark.rule("security: make a function request internal addresses: metadata, a database, loopback")
@pytest.mark.parametrize(
    "url",
    [
        "http://storage.test/a", "ftp://storage.test/a", "file:///etc/passwd", "//storage.test/a", "/a", "",
        "storage.test", "javascript:alert(1)", "gopher://storage.test/", "data:,x", "https:///a", "https://",
        "https://[", "https://[::1", "https://evil.test/a", "https://storage.test.evil.test/",
        "https://evil.test/storage.test", "https://evil.test#storage.test", "https://evil.test?storage.test",
        "https://storage.test@evil.test/", "https://user:pass@storage.test/", "https://evil.test\\@storage.test/",
        "https://storage.test\\.evil.test/", "https://storage.test./a", "https://storage.test:99999/",
        "https://storage.test:x/", "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/",
        "https://stor\nage.test/", " https://storage.test/", "https://storage.test/\r\nx: y", "https://storage.test/\x00",
        "https://\uff53torage.test/", "https://storage.test\u2044@evil.test/", "https://storage\u3002test/",
        "https://xn--storage-.test/",
    ],
)  # fmt: skip
def test_a_url_to_another_host_is_rejected(url: str) -> None:
    """Scheme and host have to be those that the connection allows, whichever way a URL is twisted."""
    bench = Bench(_answering(200, BODY))
    with pytest.raises(errors.UntrustedUrlError, match="artifact URL"):
        bench.fetch(url)
    assert bench.requests == []


@pytest.mark.rule("security: make a function request internal addresses: metadata, a database, loopback")
@given(st.text(max_size=40).map(lambda text: f"https://{text}") | st.text(max_size=40))
def test_any_text_is_an_allowed_url_or_rejected(url: str) -> None:
    """Whatever a vendor calls a URL, it leads to an allowed host or nowhere."""
    bench = Bench(_answering(200, BODY))
    try:
        bench.fetch(url)
    except errors.UntrustedUrlError:
        assert bench.requests == []
    else:
        assert bench.requests[0].url.host in {"api.test", "storage.test"}


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (("storage.test",), "https://storage.test/a"),
        (("Storage.Test",), "HTTPS://STORAGE.TEST/a"),
        (("storage.test:8443",), "https://storage.test:8443/a"),
        (("storage.test",), "https://storage.test:443/a"),
        (("storage.test:443",), "https://storage.test/a"),
        (("[2600::1]:8443",), "https://[2600::1]:8443/a"),
        ((), "https://api.test/a"),
    ],
)
def test_an_allowed_host_is_allowed(hosts: tuple[str, ...], url: str) -> None:
    """The API's host and the storage hosts are allowed, in any case."""
    allow(_connection(storage_hosts=hosts), url)


@pytest.mark.rule("security: make a function request internal addresses: metadata, a database, loopback")
@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (("storage.test",), "https://storage.test:8443/a"),
        (("storage.test",), "https://storage.test:80/a"),
        (("storage.test:8443",), "https://storage.test/a"),
        (("storage.test:8443",), "https://storage.test:8444/a"),
        ((), "https://api.test:22/a"),
        (("[2600::1]",), "https://[2600::1]:8443/a"),
    ],
)
def test_a_host_without_a_port_allows_its_default_port(hosts: tuple[str, ...], url: str) -> None:
    """Other ports of a storage host, and of the API's own, may be anybody's: they are open only if they are named."""
    with pytest.raises(errors.UntrustedUrlError, match="an artifact URL points to"):
        allow(_connection(storage_hosts=hosts), url)


@pytest.mark.rule("security: do the same with a redirect")
@pytest.mark.parametrize(
    "location",
    [
        "http://storage.test/",
        "https://evil.test/",
        "https://a:b@storage.test/",
        "//evil.test",
        "http://[",
        "https://h:x/",
    ],
)
def test_each_redirect_is_checked(location: str) -> None:
    """A download ends at a redirect to plain http or to another host."""
    bench = Bench(_answering(302, location=location))
    with pytest.raises((errors.UntrustedUrlError, errors.VendorUnavailableError)):
        bench.fetch("https://storage.test/a")
    assert len(bench.requests) == 1


@pytest.mark.rule("security: do the same with a redirect")
def test_redirects_end() -> None:
    """Storage that redirects in circles is left."""
    bench = Bench(_answering(302, location="/again"))
    with pytest.raises(errors.UntrustedUrlError, match="redirected more than 5 times"):
        bench.fetch("https://storage.test/a")
    assert len(bench.requests) == 5


def test_an_allowed_host_at_a_private_address_is_rejected() -> None:
    """The composition root's own client checks the address, not only the name; a sandbox's setting may allow it."""
    with serving(saying(answer(BODY))) as server:
        url = f"{server.url}/a"
        secure = _connection("https://api.test", storage_hosts=(f"127.0.0.1:{server.port}",)).model_copy(
            update={"allow_insecure": False}
        )
        with pytest.raises(errors.UntrustedUrlError, match="not https"):
            Bench().fetch(url, secure)
        with pytest.raises(errors.UntrustedUrlError, match="not a public address"):
            Bench().fetch(url.replace("http:", "https:"), secure)
        assert server.heads == []
        assert Bench().fetch(url, _sandbox(server)) == BODY


@pytest.mark.rule("security: do the same with a name that resolves to an internal address")
def test_the_functions_own_transport_is_guarded(cloud: Cloud) -> None:
    """The client that bootstrap creates rejects private addresses; no other client reaches storage."""
    secure = _connection("https://api.test", storage_hosts=("localhost",))
    with pytest.raises(errors.UntrustedUrlError), cloud.app.transport.download(secure, "https://localhost/"):
        pass


@pytest.mark.rule(
    "docsumo 2 after an expired URL",
    "docsumo 2 a non-2xx from storage is an error",
    "security: pass half a file, or another one, as the artifact",
)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, errors.LinkExpiredError),
        (403, errors.LinkExpiredError),
        (404, errors.LinkExpiredError),
        (410, errors.LinkExpiredError),
        (304, errors.VendorUnavailableError),
        (400, errors.LinkExpiredError),
        (429, errors.VendorUnavailableError),
        (500, errors.VendorUnavailableError),
    ],
)
def test_an_error_of_storage_is_not_a_file(status: int, error: type[Exception]) -> None:
    """An expired link is asked for again; any other answer but 2xx is tried again."""
    with pytest.raises(error) as caught:
        Bench(_answering(status, b"<Error/>")).fetch("https://storage.test/a?Signature=planted")
    assert "planted" not in str(caught.value)


def _b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _md5(body: bytes) -> str:
    return _b64(hashlib.md5(body).digest())


def _crc32c(body: bytes) -> str:
    """Return CRC-32C as its definition has it, bit by bit (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in body:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return _b64((value ^ 0xFFFFFFFF).to_bytes(4, "big"))


S3 = {"server": "AmazonS3", "x_amz_server_side_encryption": "AES256"}
"""What makes an ETag an MD5."""
PACKED = gzip.compress(BODY)


def _goog(body: bytes, encoding: str) -> dict[str, str]:
    """Return the headers that Google sends with an object that it stores so."""
    return {
        "x_goog_hash": f"crc32c={_crc32c(body)},md5={_md5(body)}",
        "x_goog_stored_content_encoding": encoding,
        "x_goog_stored_content_length": str(len(body)),
    }


@pytest.mark.rule("security: pass half a file, or another one, as the artifact")
def test_a_checksum_counts_for_the_stored_form() -> None:
    """Google announces the checksum of the packed object: unpacked on the way, there is nothing to compare it with."""
    stored = _goog(PACKED, "gzip")
    assert Bench(_answering(200, BODY, **stored)).fetch("https://storage.test/a") == BODY
    served = {**stored, "content_encoding": "gzip", "content_length": str(len(PACKED))}
    assert Bench(_answering(200, PACKED, **served)).fetch("https://storage.test/a") == BODY
    other = gzip.compress(BODY, mtime=7)
    with pytest.raises(errors.TruncatedDownloadError, match=r"does not match its checksum \(x-goog-hash\)"):
        Bench(_answering(200, other, **served)).fetch("https://storage.test/a")
    with pytest.raises(errors.TruncatedDownloadError, match=f"ended after 100 of {len(BODY)} bytes"):
        Bench(_answering(200, BODY[:100], **_goog(BODY, "identity"))).fetch("https://storage.test/a")


def test_a_file_compressed_in_transit_has_the_checksum_of_its_content() -> None:
    """A proxy that compresses a stored file keeps its checksum, which then matches one of the two forms."""
    headers = {"x_goog_hash": f"md5={_md5(BODY)}", "content_encoding": "gzip"}
    assert Bench(_answering(200, PACKED, **headers)).fetch("https://storage.test/a") == BODY
    with pytest.raises(errors.TruncatedDownloadError, match="checksum"):
        Bench(_answering(200, gzip.compress(BODY + b"!"), **headers)).fetch("https://storage.test/a")


WHOLE = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"


@pytest.mark.rule("security: pass half a file, or another one, as the artifact")
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        *((status, {}) for status in (201, 202, 203, 204, 205, 206, 207, 226, 300, 301, 304, 305, 306, 402, 405, 408)),
        *((status, {}) for status in (409, 412, 416, 425, 429, 451, 500, 502, 503, 504, 599)),
        *(
            (206, {"content_range": text})
            for text in (f"bytes 0-99/{len(BODY)}", "bytes 0-1999/*", "bytes 1-2000/2001")
        ),
        *(
            (206, {"content_range": text})
            for text in ("items 0-1999/2000", "bytes 0-1999/1999", "bytes */2000", "x", "")
        ),
        (206, {"content_range": "bytes 0-99/100, bytes 0-1999/2000"}),
        (206, {"content_range": WHOLE, "content_type": "multipart/byteranges; boundary=x"}),
        (200, {"content_type": "Multipart/ByteRanges"}),
        (200, {"content_range": f"bytes 0-99/{len(BODY)}"}),
        (200, {"content_range": f"bytes */{len(BODY)}"}),
    ],
    ids=str,
)
def test_only_the_whole_file_is_an_artifact(status: int, headers: dict[str, str]) -> None:
    """Storage that answers with a part, with nothing, or with another success has given no file."""
    with pytest.raises(errors.VendorUnavailableError, match=f"^storage answered {status}.* instead of the artifact$"):
        Bench(_answering(status, BODY, **headers)).fetch("https://storage.test/a")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"content_range": WHOLE}),
        (206, {"content_range": WHOLE.replace("b", "B", 1), "content_length": str(len(BODY))}),
        (200, {"content_range": WHOLE}),
        (200, {"content_range": "nonsense"}),
    ],
    ids=str,
)
def test_a_206_with_all_bytes_is_the_file(status: int, headers: dict[str, str]) -> None:
    """A 206 whose Content-Range covers all of it is as good as a 200; then all of it has to come."""
    assert Bench(_answering(status, BODY, **headers)).fetch("https://storage.test/a") == BODY
    if "nonsense" not in str(headers):
        with pytest.raises(errors.TruncatedDownloadError, match=f"ended after 100 of {len(BODY)} bytes"):
            Bench(_answering(status, BODY[:100], **headers)).fetch("https://storage.test/a")


def test_an_empty_file_is_a_file() -> None:
    """Nothing, where nothing was announced; but not where something was."""
    assert Bench(_answering(200, b"", content_length="0")).fetch("https://storage.test/a") == b""
    assert Bench(_answering(200, b"")).fetch("https://storage.test/a") == b""
    for length in ({"content_length": "5"}, _goog(BODY, "identity")):
        with pytest.raises(errors.TruncatedDownloadError, match="ended after 0 of"):
            Bench(_answering(200, b"", **length)).fetch("https://storage.test/a")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<Error><Code>ExpiredToken</Code><Message>Signature=planted</Message></Error>", "(400: ExpiredToken)"),
        (b"<Error><Code>\x1b[31m</Code></Error>", "(400)"),
        (b"<Code>" + b"A" * 10_000_000, "(400)"),
        (b"", "(400)"),
    ],
    ids=["Google", "escape", "endless", "empty"],
)  # fmt: skip
def test_a_rejected_link_has_storages_error_code(body: bytes, said: str) -> None:
    """Google's 400 for a link that has expired asks for a new one, and says why; nothing else of the answer is read."""
    with pytest.raises(errors.LinkExpiredError) as caught:
        Bench(_answering(400, body)).fetch("https://storage.test/a")
    assert str(caught.value) == f"storage refused the artifact's link {said}"


PLAIN_ENCODINGS = (
    "", "identity", "Identity", "aws-chunked", "utf-8", "UTF-8", "binary", "none", "8bit", ",", "identity, identity",
    "aws-chunked,identity", " ", "text/plain", "\xe9", "x" * 9000,
)  # fmt: skip
GZIP_ENCODINGS = ("gzip", "GZIP", " x-gzip ", "gzip, identity", "identity,gzip", "aws-chunked, gzip", "utf-8,gzip,")


@pytest.mark.parametrize("encoding", PLAIN_ENCODINGS)
def test_stored_metadata_is_not_a_content_encoding(encoding: str) -> None:
    """A Content-Encoding that an uploader once set changes nothing about the bytes."""
    answering = _answering_raw([("content-encoding", encoding)], BODY)
    assert Bench(answering).fetch("https://storage.test/a") == BODY
    assert Bench(answering).send(UNSAFE).body == BODY


@pytest.mark.parametrize("encoding", GZIP_ENCODINGS)
def test_gzip_is_recognized_among_stored_metadata(encoding: str) -> None:
    """Upper case, blanks, lists and other values beside it do not hide that a body is compressed."""
    answering = _answering_raw([("content-encoding", encoding)], PACKED)
    assert Bench(answering).fetch("https://storage.test/a") == BODY
    assert Bench(answering).send(UNSAFE).body == BODY
    if "," in encoding:
        repeated = [("content-encoding", each) for each in encoding.split(",")]
        assert Bench(_answering_raw(repeated, PACKED)).fetch("https://storage.test/a") == BODY


def _answering_raw(headers: list[tuple[str, str]], body: bytes) -> Handler:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return lambda _request: httpx.Response(200, stream=httpx.ByteStream(body), headers=raw)


def test_a_file_with_a_wrong_gzip_header_is_stored_as_it_came() -> None:
    """Something between unpacked it and left the header, or the uploader was wrong; a checksum still counts."""
    headers = {"content_encoding": "gzip", "content_length": str(len(BODY)), "x_goog_hash": f"md5={_md5(BODY)}"}
    assert Bench(_answering(200, BODY, **headers)).fetch("https://storage.test/a") == BODY
    assert Bench(_answering(200, b"", content_encoding="gzip")).fetch("https://storage.test/a") == b""
    with pytest.raises(errors.TruncatedDownloadError):
        Bench(_answering(200, BODY[:-1] + b"!", **headers)).fetch("https://storage.test/a")


@pytest.mark.parametrize("encoding", ["br", "Zstd", "deflate", "compress", "gzip, br", "gzip, gzip", "aws-chunked, br"])
def test_an_unrequested_encoding_is_a_permanent_error(encoding: str) -> None:
    """The error says what to do and is not retried; the outcome of an upload stays unknown."""
    bench = Bench(_answering(200, BODY, content_encoding=encoding))
    with pytest.raises(
        errors.MalformedAnswerError, match=r"^the artifact cannot be read: it is compressed as .* ask the vendor"
    ):
        bench.fetch("https://storage.test/a")
    with pytest.raises(
        errors.MalformedAnswerError, match=r"^GET /cases: the answer cannot be decoded: it is compressed as"
    ):
        bench.send(SAFE)
    with pytest.raises(errors.OutcomeUnknownError, match="cannot be decoded"):
        bench.send(UNSAFE)


@pytest.mark.rule("security: pass half a file, or another one, as the artifact")
@pytest.mark.parametrize(
    "headers",
    [
        {"content_md5": _md5(BODY)},
        {"x_goog_hash": f"crc32c={_crc32c(BODY)}, md5={_md5(BODY)}"},
        {"x_goog_hash": f"crc32c={_crc32c(BODY)}"},
        {"x_goog_hash": f"crc32c={_crc32c(BODY)},md5={_md5(BODY)}", "x_goog_stored_content_encoding": "identity"},
        {"x_amz_checksum_sha256": _b64(hashlib.sha256(BODY).digest()), "x_amz_checksum_type": "FULL_OBJECT"},
        {"x_amz_checksum_crc32": _b64(zlib.crc32(BODY).to_bytes(4, "big"))},
        {"x_amz_checksum_crc32c": _crc32c(BODY)},
        {**S3, "etag": f'"{hashlib.md5(BODY).hexdigest()}"'},
        {"x_ms_blob_content_md5": _md5(BODY)},
        {"digest": f"MD5={_md5(BODY)},SHA-256={_b64(hashlib.sha256(BODY).digest())}"},
        {"repr_digest": f"unknown=:AA==:, sha-512=:{_b64(hashlib.sha512(BODY).digest())}:"},
        {"content_digest": f"sha-256=:{_b64(hashlib.sha256(BODY).digest())}:"},
    ],
    ids="+".join,
)  # fmt: skip
def test_a_checksum_is_compared(headers: dict[str, str]) -> None:
    """The bytes must match the checksum that storage announces in any form."""
    assert Bench(_answering(200, BODY, **headers)).fetch("https://storage.test/a") == BODY
    with pytest.raises(errors.TruncatedDownloadError, match="does not match its checksum"):
        Bench(_answering(200, BODY[:-1] + b"!", **headers)).fetch("https://storage.test/a")


@pytest.mark.rule("security: pass half a file, or another one, as the artifact")
@pytest.mark.parametrize(
    "wrong", [f"crc32c={_crc32c(b'x')},md5={_md5(BODY)}", f"crc32c={_crc32c(BODY)},md5={_md5(b'')}"]
)
def test_every_checksum_must_match(wrong: str) -> None:
    """One that fits does not make up for one that does not."""
    with pytest.raises(errors.TruncatedDownloadError, match="does not match its checksum"):
        Bench(_answering(200, BODY, x_goog_hash=wrong)).fetch("https://storage.test/a")


@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_checksum_sha256": _b64(bytes(32)) + "-3"},
        {"x_amz_checksum_sha256": _b64(bytes(32)), "x_amz_checksum_type": "COMPOSITE"},
        {"x_amz_checksum_crc64nvme": _b64(bytes(8))},
        {"etag": f'"{32 * "0"}"'},
        {**S3, "etag": f'W/"{32 * "0"}"'},
        {**S3, "etag": f'"{32 * "0"}-2"'},
        {**S3, "etag": f'"{32 * "0"}"', "x_amz_server_side_encryption": "aws:kms"},
        {**S3, "etag": f'"{32 * "0"}"', "x_amz_storage_class": "EXPRESS_ONEZONE"},
        {"content_md5": "none"},
        {"content_md5": _b64(bytes(9))},
        {"x_goog_hash": "md5=,crc32c=????,=,md5"},
        {"digest": "id-md5=AAAA;q=1,unixsum=30637"},
        {"repr_digest": "sha-256=:" + 5000 * "A"},
    ],
    ids=repr,
)
def test_other_values_are_not_checksums_of_the_file(headers: dict[str, str]) -> None:
    """A checksum of parts, an opaque ETag and an unreadable value say nothing about the bytes."""
    assert Bench(_answering(200, BODY, **headers)).fetch("https://storage.test/a") == BODY


@pytest.mark.rule(
    "docsumo 2 step 3: the file is streamed", "security: pass half a file, or another one, as the artifact"
)
@pytest.mark.parametrize(
    "extra", [{}, {"transfer_encoding": "chunked", "content_length": ""}], ids=["length", "chunked"]
)
def test_an_interrupted_download_is_an_error(extra: dict[str, str]) -> None:
    """A connection that closes early is an error, not a shorter file."""
    body = BODY if not extra else b"800\r\n" + BODY[:100]
    headers = {"content_length": str(len(BODY) + 1), **extra}
    with serving(saying(answer(body, **headers))) as server, pytest.raises(errors.TruncatedDownloadError):
        Bench().fetch(f"{server.url}/a", _sandbox(server))


def test_a_body_with_another_length_is_an_error() -> None:
    """A length that was announced and did not come is seen even if the connection ended well."""
    with pytest.raises(errors.TruncatedDownloadError, match="after 2000 of 2001 bytes"):
        Bench(_answering(200, BODY, content_length="2001")).fetch("https://storage.test/a")


def test_an_artifact_that_is_stored_compressed_is_decompressed() -> None:
    """Some storage answers with unrequested gzip; the file is its content."""
    packed = gzip.compress(BODY)
    bench = Bench(_answering(200, packed, content_encoding="gzip", content_length=str(len(packed))))
    assert bench.fetch("https://storage.test/a") == BODY
    assert bench.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.rule("security: fill the bucket")
@pytest.mark.parametrize("announced", [True, False])
def test_an_artifact_has_a_limit(announced: bool) -> None:
    """A too large artifact is not stored, at once if its length is announced; the error says what to fix."""
    connection = _connection(limits=Limits(artifact_bytes=1000))
    seen = []
    headers = {"content_length": str(len(BODY))} if announced else {}
    with (
        pytest.raises(errors.ConfigurationError, match=r"larger than 1000 bytes: raise limits\.artifact_bytes"),
        Bench(_answering(200, BODY, **headers)).download("https://storage.test/a", connection) as incoming,
    ):
        seen += list(incoming.chunks)
    assert seen == []


@pytest.mark.rule("security: fill the bucket")
def test_a_compressed_artifact_has_the_same_limit() -> None:
    """The limit counts the bytes to store, piece by piece."""
    bomb = _bomb(64 << 20)
    connection = _connection(limits=Limits(artifact_bytes=4 << 20))
    bench = Bench(_answering(200, bomb, content_encoding="gzip", content_length=str(len(bomb))))
    with (
        pytest.raises(errors.ConfigurationError),
        bench.download("https://storage.test/a", connection) as incoming,
    ):
        assert sum(len(chunk) for chunk in incoming.chunks) <= 4 << 20


@pytest.mark.rule("security: hold a function with a byte a minute")
def test_a_too_slow_download_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that come too slowly end the download; so does the time that all of it may take."""
    with serving(_dripping) as server:
        monkeypatch.setattr(downloads, "SLOW_AFTER", 0.2)
        with pytest.raises(errors.TruncatedDownloadError, match="too slow"):
            Bench().fetch(f"{server.url}/a", _sandbox(server))
        monkeypatch.undo()
        monkeypatch.setattr(downloads, "DOWNLOAD_TIME", 0.3)
        with pytest.raises(errors.TruncatedDownloadError, match="ReadTimeout"):
            Bench().fetch(f"{server.url}/a", _sandbox(server))


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_streamed_with_its_length(cloud: Cloud) -> None:
    """A file from S3 goes out in a multipart body whose length is known: no chunked transfer, no copy in memory."""
    body = b"%PDF-1.7" + bytes(300_000)
    cloud.put("cases/claims/R-1/documents/a.pdf", body)
    s3 = cloud.session.client("s3")
    received: list[tuple[Mapping[str, str], bytes]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        received.append((request.headers, request.read()))
        return httpx.Response(200, json={})

    bench = Bench(handler, open_file=lambda key, size: S3File(s3, BUCKET, key, size))
    part = FilePart("files", 'in"voice\r\n.pdf', "application/pdf", "cases/claims/R-1/documents/a.pdf", len(body))
    upload = Request("POST", "/cases", fields=(("a", "1"), ("a", "2")), files=(part,), effect=Effect.UNSAFE)
    bench.keys.known = ["old-key-1", "new-key-1"]
    assert bench.send(upload).status == 200
    [(headers, sent)] = received
    assert int(headers["content-length"]) == len(sent)
    assert "transfer-encoding" not in headers
    assert body in sent
    assert sent.count(b'name="a"') == 2
    assert b'filename="in%22voice%0D%0A.pdf"' in sent


def test_an_upload_after_a_rotated_key_sends_the_file_again(cloud: Cloud) -> None:
    """The second try reads the file from its start."""
    body = b"%PDF-1.7 whole"
    cloud.put("d", body)
    s3, sent = cloud.session.client("s3"), []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        return httpx.Response(200 if request.headers["x-api-key"] == "new-key-1" else 401, json={})

    bench = Bench(handler, open_file=lambda key, size: S3File(s3, BUCKET, key, size))
    bench.keys.known = ["old-key-1", "new-key-1"]
    part = FilePart("file", "a.pdf", "application/pdf", "d", len(body))
    assert bench.send(Request("POST", "/up", files=(part,), effect=Effect.UNSAFE)).status == 200
    assert [body in each for each in sent] == [True, True]
