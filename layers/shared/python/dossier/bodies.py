"""The bytes of a delivery: as they came, unpacked, and as another charset wrote them. Standard library only.

A vendor signs either what it sends or what it packs; a gateway hands text on as UTF-8, whatever charset it came in.
Which one it was is said by the signature that fits, never guessed.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping

MOST_UNPACKED = 4_000_000
"""Bytes of a packed body after which it is left as it is: as many as a connection takes at most."""
_CHARSETS = re.compile(
    r"ascii|utf-(8|16|32)(-[bl]e)?|utf-8-sig|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|"
    r"big5(hkscs)?|gb2312|gbk|gb18030|hz|euc_\w+|shift_jis\w*|iso2022_\w+|johab"
)
"""Python's names of the charsets of texts. What else it calls a codec is none, and some (``punycode``, ``idna``) take a
time that grows with the square of the text's length: strangers name the charset."""
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
        if _CHARSETS.fullmatch(codecs.lookup(charset).name):
            return text.encode(charset)
    except (LookupError, ValueError):  # no codec of that name, or one that lacks a letter
        pass
    return text.encode("utf-8", "surrogatepass")
