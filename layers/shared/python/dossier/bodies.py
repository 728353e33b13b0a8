"""The bytes of a delivery: as they came, unpacked, and as another charset wrote them. Standard library only.

A vendor signs either what it sends or what it packs; a gateway hands text on as UTF-8, whatever charset it came in.
Which one it was is said by the signature that fits, never guessed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

MOST_UNPACKED = 4_000_000
"""Bytes of a packed body after which it is left as it is: as many as a connection takes at most."""
_PACKED = b"\x1f\x8b"
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def content(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return what a delivery says: its body, unpacked if it is packed (by its header, or its first bytes)."""
    encoding = headers.get("content-encoding", "").strip().lower()
    packed = body.startswith(_PACKED) or encoding in {"gzip", "x-gzip", "deflate"}
    plain = _unpacked(body) if packed else None
    return body if plain is None else plain


def others(body: bytes, headers: Mapping[str, str], text: str | None = None) -> list[bytes]:
    """Return what else the vendor may have signed.

    Args:
        body: what came, as UTF-8 where the gateway handed on a text.
        headers: the delivery's, with lower-case names.
        text: the text that the gateway handed on; None where it handed on bytes.

    """
    found = [content(body, headers)]
    charset = headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    if text is not None and charset:
        found.append(_encoded(text, charset))
    return [each for each in dict.fromkeys(found) if each != body]


def _unpacked(body: bytes) -> bytes | None:
    """Return a body unpacked, or None if it is not packed, broken, or larger than it should be."""
    reader = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = reader.decompress(body, MOST_UNPACKED)
    except zlib.error:
        return None
    return plain if reader.eof else None


def _encoded(text: str, charset: str) -> bytes:
    try:
        return text.encode(charset)
    except (LookupError, ValueError):  # no charset of text, or one that lacks a letter
        return text.encode("utf-8", "surrogatepass")
