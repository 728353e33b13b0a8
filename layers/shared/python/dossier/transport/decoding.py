"""Read and decompress bodies within limits: httpx itself would decompress any coding, and all at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

import httpx

from dossier.headers import codings

ANSWER_LIMIT = 16 << 20
"""Largest answer of an API, decompressed, in bytes; artifacts are streamed and have their own limit."""
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
"""The first bytes of gzip (RFC 1952, section 2.3.1)."""


class UnusableError(Exception):
    """The answer is unusable, and would be unusable again."""


def whole(answer: httpx.Response) -> bytes:
    """Return an answer's body, decompressed.

    Raises:
        UnusableError: it has more than ``ANSWER_LIMIT`` bytes, or a coding that was not requested.

    """
    raw, body = stream(answer), bytearray()
    for piece in gunzipped(raw) if is_packed(answer) else raw:
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise UnusableError(f"is larger than {ANSWER_LIMIT} bytes, the most that a function can hold")
    return bytes(body)


def stream(answer: httpx.Response) -> Iterator[bytes]:
    """Return a body's bytes as they arrive, not decompressed."""
    return iter(cast("httpx.SyncByteStream", answer.stream))


def is_packed(answer: httpx.Response) -> bool:
    """Return whether a body is compressed with gzip.

    Raises:
        UnusableError: it has another coding, or several: none was requested.

    """
    found = codings(answer.headers.get("content-encoding", ""))
    if found in ([], ["gzip"]):
        return bool(found)
    raise UnusableError(
        f"is compressed as {', '.join(found)[:100]}, which was not requested: ask the vendor for plain bytes or gzip"
    )


def gunzipped(raw: Iterable[bytes]) -> Iterator[bytes]:
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


def gunzipped_if(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip; yield anything else unchanged, whatever its header says.

    Storage repeats the header of the uploader, and a proxy may have decompressed the bytes.
    """
    head = b""
    while len(head) < len(GZIP) and (part := next(raw, b"")):
        head += part
    complete = chain([head], raw)
    yield from gunzipped(complete) if head.startswith(GZIP) else complete
