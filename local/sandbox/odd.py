"""Malformed variants of correct answers: parts, compressed bodies, odd headers and texts."""

import base64
import gzip
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

LARGEST = 64 * 1024**2
"""The largest answer, in bytes, that is changed, because it is held in memory."""
PARTS = (206, 204, 200)
"""Statuses of ``partial_content``: a part, nothing, and a part that only ``Content-Range`` marks."""
ENCODINGS = ("aws-chunked", "utf-8", "binary", "none", "gzip, identity")
"""Values of ``odd_encoding``: what uploaders store by mistake, and gzip in a list."""
HOSTILE = (
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 99 Foo 2026 99:99:99 +99999999999",
    "31 Dec 9999 23:59:59 -2359",
    "-1",
    "1e400",
    "9" * 5000,
    "soon",
)
"""Invalid values of ``Retry-After``."""
LONG = "\x1b[2J\u202eall is fine [y/N] " + "x" * 500_000
"""500 KB of text, with characters that clear a terminal and reverse its direction."""
_Made = tuple[int, dict[str, str], bytes]


class Changed(Response):
    """Changes a whole answer before it leaves."""

    def __init__(self, whole: Response, change: Callable[[dict[str, str], bytes], _Made], status: int) -> None:
        super().__init__(status_code=status)
        self._whole, self._change = whole, change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Collect the answer, change it and send it."""
        if int(self._whole.headers.get("content-length", "0")) > LARGEST:
            await self._whole(scope, receive, send)
            return
        headers: dict[str, str] = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers.update(
                    (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"]
                )
            else:
                body.extend(message.get("body", b""))

        await self._whole(scope, receive, collect)
        status, made, content = self._change(headers, bytes(body))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in made.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


def part_of(whole: Response, status: int) -> Response:
    """Return the first half of a file, or an empty body, as a success."""

    def change(headers: dict[str, str], body: bytes) -> _Made:
        half = body[: len(body) // 2] if status != 204 else b""
        kept = {name: value for name, value in headers.items() if name in {"content-type", "etag", "last-modified"}}
        if half:
            kept["content-range"] = f"bytes 0-{len(half) - 1}/{len(body)}"
        return status, kept | ({"content-length": str(len(half))} if status != 204 else {}), half

    return Changed(whole, change, status) if whole.status_code == 200 else whole


def stored_packed(whole: Response, form: str) -> Response:
    """Return a file as Google's storage serves an object that it stores compressed, with the stored checksums.

    Without ``Accept-Encoding: gzip`` Google decompresses the file on the way ("unpacked": without a length), unless the
    object's ``Cache-Control`` has ``no-transform`` ("packed").
    https://cloud.google.com/storage/docs/transcoding
    """

    def change(headers: dict[str, str], body: bytes) -> _Made:
        packed = gzip.compress(body, mtime=0)
        made = {name: value for name, value in headers.items() if name != "content-length"} | goog_headers(
            packed, "gzip"
        )
        if form == "unpacked":
            return 200, {**made, "transfer-encoding": "chunked", "warning": "214 UploadServer gunzipped"}, body
        served = {"content-encoding": "gzip", "content-length": str(len(packed)), "cache-control": "no-transform"}
        return 200, {**made, **served}, packed

    return Changed(whole, change, 200) if whole.status_code == 200 else whole


def goog_headers(stored: bytes, encoding: str) -> dict[str, str]:
    """Return the headers that Google's storage sends with a stored object."""
    md5 = base64.b64encode(hashlib.md5(stored, usedforsecurity=False).digest()).decode()
    crc = base64.b64encode(crc32c(stored).to_bytes(4, "big")).decode()
    return {
        "x-goog-hash": f"crc32c={crc},md5={md5}",
        "x-goog-stored-content-encoding": encoding,
        "x-goog-stored-content-length": str(len(stored)),
    }


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _remainder(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_remainder(value) for value in range(256)]


def encoded(whole: Response, encoding: str) -> Response:
    """Return an answer with another ``Content-Encoding``, which is only correct for gzip."""

    def change(headers: dict[str, str], body: bytes) -> _Made:
        content = gzip.compress(body, mtime=0) if "gzip" in encoding else body
        return (
            whole.status_code,
            {**headers, "content-encoding": encoding, "content-length": str(len(content))},
            content,
        )

    return Changed(whole, change, whole.status_code)


def long_status(whole: Response) -> Response:
    """Return an answer whose first status, and an error text beside it, have 500 KB each."""

    def change(headers: dict[str, str], body: bytes) -> _Made:
        value = json.loads(body)
        found = _first_with_status(value)
        if found is not None:
            found |= {"status": LONG, "error": LONG, "error_message": LONG}
        content = json.dumps(value).encode()
        return whole.status_code, {**headers, "content-length": str(len(content))}, content

    return Changed(whole, change, whole.status_code) if whole.status_code == 200 else whole


def _first_with_status(value: Any) -> dict[str, Any] | None:
    """Return the first object with a status and an id, which excludes the envelope."""
    if isinstance(value, dict) and "status" in value and {"case_id", "document_id", "id"} & value.keys():
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for each in inner if (found := _first_with_status(each)) is not None), None)


def long_refusal(status: int) -> Response:
    """Return a rejection with a text of 500 KB, in every vendor's form."""
    return JSONResponse({"message": LONG, "detail": LONG, "error": LONG, "status_code": status}, status_code=status)


def expired() -> Response:
    """Return Google's answer to an expired link."""
    error = "<Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message></Error>"
    body = f"<?xml version='1.0' encoding='UTF-8'?>{error}"
    return Response(body, status_code=400, media_type="application/xml")


def unavailable(dice: random.Random) -> Response:
    """Return a 503 with an invalid ``Retry-After``."""
    return JSONResponse({"message": "try later"}, status_code=503, headers={"retry-after": dice.choice(HOSTILE)})
