"""A vendor's storage and API, or S3, on the loopback: ``python -m bench.loopback PORT_FILE``.

It sends as many bytes as a path names, and counts and drops what it receives, so that it is faster than the programs
that are compared. S3's requests are those of a program that moves files: an object put whole or in parts, and read.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BLOCK = 1 << 20
_FILE = memoryview(bytes(range(256)) * (BLOCK // 256))
_CREATED = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    received: dict[str, int]
    """Bytes of files received so far, by path."""

    def do_GET(self) -> None:
        """Send the file at ``/…/<bytes>``, or a range of it; ``/received`` says what came in."""
        path = urlsplit(self.path).path
        if path == "/received":
            self._answer(200, json.dumps(self.received))
            return
        size = int(path.rpartition("/")[2])
        first, _, last = (self.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")
        begin, end = int(first), min(int(last or size - 1), size - 1)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(end - begin + 1))
        self.send_header("ETag", '"e"')
        self.send_header("Content-Type", "application/octet-stream")
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        at = begin
        while at <= end:
            offset = at % BLOCK
            block = _FILE[offset : offset + min(BLOCK - offset, end - at + 1)]
            self.connection.sendall(block)
            at += len(block)

    do_HEAD = do_GET  # noqa: N815 -- http.server's name

    def do_PUT(self) -> None:
        """Take an object, a part of one, or any file."""
        self._take()
        self._answer(200, "", ETag='"e"')

    def do_POST(self) -> None:
        """Begin or complete an object of several parts; take anything else as a file."""
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in asked:
            self._answer(200, _CREATED)
            return
        if "uploadId" in asked:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200, _COMPLETED)
            return
        self._take()
        self._answer(200, "{}")

    def _take(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        size = self._chunked() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._whole()
        size = int(self.headers.get("X-Amz-Decoded-Content-Length", size))
        path = urlsplit(self.path).path
        self.received[path] = self.received.get(path, 0) + size

    def _whole(self) -> int:
        return self._drop(int(self.headers["Content-Length"]))

    def _chunked(self) -> int:
        total = 0
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            total += self._drop(size)
            self.rfile.readline()
        self.rfile.readline()
        return total

    def _drop(self, size: int) -> int:
        buffer, left = memoryview(bytearray(BLOCK)), size
        while left:
            came = self.rfile.readinto(buffer[: min(BLOCK, left)])
            if not came:
                raise ConnectionError(f"{left} bytes are missing")
            left -= came
        return size

    def _answer(self, status: int, body: str, **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def main() -> None:
    """Serve on a free port, which is written into the file, until ended."""
    Handler.received = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Path(sys.argv[1]).write_text(str(server.server_address[1]), encoding="utf-8")
        server.serve_forever()


if __name__ == "__main__":
    main()
