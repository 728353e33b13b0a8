"""HTTP for vendors that are not the sandbox: a plain, strict server that journals every call."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

KEY_HEADERS = ("x-api-key", "apikey", "authorization", "cookie")
_PART = re.compile(rb'form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?')


class Misuse(Exception):  # noqa: N818 -- what a client did, not an error of ours
    """The request is not what the vendor's guide describes."""


class Dropped(Exception):  # noqa: N818
    """The work was done; the connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a multipart request."""

    field: str
    name: str
    body: bytes

    @property
    def sha256(self) -> str:
        """The digest of its bytes, in hex."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(slots=True)
class Call:
    """A received request, and its outcome. ``at`` and ``ended`` are monotonic seconds."""

    at: float
    account: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    operation: str = "?"
    fields: dict[str, str] = field(default_factory=dict)
    files: list[Sent] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    ended: float = 0.0

    @property
    def segments(self) -> list[str]:
        """The path's segments, each decoded by itself: an id may hold anything."""
        return [unquote(each) for each in self.path.strip("/").split("/")]

    def json(self) -> dict[str, Any]:
        """Return a JSON object sent as such."""
        if self.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Misuse(f"JSON sent as {self.headers.get('content-type')}")
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise Misuse("not a JSON object")
        return value

    def parameters(self, *allowed: str) -> dict[str, str]:
        """Return the query; each parameter is allowed and comes once."""
        given = dict(self.query)
        if len(given) != len(self.query) or not given.keys() <= set(allowed):
            raise Misuse(f"query {self.query}")
        return given

    def form(self, *required: str, optional: tuple[str, ...] = (), files: str) -> None:
        """Read a multipart form, byte by byte as RFC 7578 has it, into ``fields`` and ``files``."""
        kind, _, boundary = self.headers.get("content-type", "").partition("; boundary=")
        if kind != "multipart/form-data" or not re.fullmatch(r"[A-Za-z0-9'()+_,./:=?-]{1,70}", boundary):
            raise Misuse(f"multipart sent as {self.headers.get('content-type')}")
        line = b"--" + boundary.encode()
        if not self.body.startswith(line + b"\r\n") or not self.body.endswith(b"\r\n" + line + b"--\r\n"):
            raise Misuse("the boundary of the body is not that of the header")
        for part in (b"\r\n" + self.body[: -len(line) - 6]).split(b"\r\n" + line + b"\r\n")[1:]:
            self._part(part)
        names = {each.field for each in self.files}
        if names != {files} or not set(required) <= self.fields.keys() <= {*required, *optional}:
            raise Misuse(f"form with fields {sorted(self.fields)} and files {sorted(names)}")

    def _part(self, part: bytes) -> None:
        head, blank, content = part.partition(b"\r\n\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (each.partition(b":") for each in head.split(b"\r\n"))
        }
        found = _PART.fullmatch(headers.get(b"content-disposition", b""))
        if not blank or not found:
            raise Misuse(f"part {head!r}")
        name = found[1].decode()
        if found[2] is None:
            if name in self.fields:
                raise Misuse(f"field {name} comes twice")
            self.fields[name] = content.decode()
        else:
            self.files.append(Sent(name, found[2].decode().replace("%22", '"'), content))


Answer = tuple[int, Any, Mapping[str, str]]
"""Status, body (bytes as they are, anything else as JSON), headers."""


class Server:
    """Serves on a free port of the loopback until it is closed."""

    def __init__(self, answer: Callable[[Call], Answer], journal: list[Call]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                """Read, journal and answer one request."""
                at = time.monotonic()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(at, "", self.command, path, parse_qsl(query, keep_blank_values=True), headers, body)
                journal.append(call)
                try:
                    call.status, content, more = answer(call)
                except Dropped:
                    call.ended = time.monotonic()
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
                call.ended = time.monotonic()
                self.send_response(call.status)
                for name, value in {"Content-Type": "application/json; charset=utf-8", **more}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
