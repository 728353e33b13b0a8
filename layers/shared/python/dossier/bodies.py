"""The forms of a delivery's bytes: as received, decompressed, and in another charset.

A vendor signs the body before or after its compression, and a gateway passes text on as UTF-8, whatever its charset
was. The matching signature shows which form it was. Only the standard library is imported.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping

MOST_UNPACKED = 4_000_000
"""Largest decompressed body, in bytes; a larger one stays compressed. No connection accepts more."""
_CHARSETS = re.compile(
    r"ascii|utf-(8|16|32)(-[bl]e)?|utf-8-sig|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|"
    r"big5(hkscs)?|gb2312|gbk|gb18030|hz|euc_\w+|shift_jis\w*|iso2022_\w+|johab"
)
"""Python's names of text charsets. Strangers name the charset, and some other codecs (``punycode``, ``idna``) take time
that grows with the square of the text's length."""
_PACKED = b"\x1f\x8b"
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def content(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a delivery's body, decompressed if its header or its first bytes say that it is compressed."""
    encoding = headers.get("content-encoding", "").strip().lower()
    packed = body.startswith(_PACKED) or encoding in {"gzip", "x-gzip", "deflate"}
    plain = _unpacked(body) if packed else None
    return body if plain is None else plain


def others(body: bytes, headers: Mapping[str, str], text: str | None = None) -> list[bytes]:
    """Return other forms of the body that the vendor may have signed.

    Args:
        body: the body as received, as UTF-8 if the gateway passed on text.
        headers: the delivery's, with lower-case names.
        text: the text that the gateway passed on; None if it passed on bytes.

    """
    found = [content(body, headers)]
    charset = headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    if text is not None and charset:
        found.append(_encoded(text, charset))
    return [each for each in dict.fromkeys(found) if each != body]


def _unpacked(body: bytes) -> bytes | None:
    """Decompress a body; None if it is not compressed, damaged, or larger than ``MOST_UNPACKED``."""
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
    except (LookupError, ValueError):  # an unknown codec, or it lacks a character
        pass
    return text.encode("utf-8", "surrogatepass")
