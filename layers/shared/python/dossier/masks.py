r"""Secrets that a vendor repeats, taken out of what it says, however it spells them.

A vendor that answers ``invalid key: …`` has the key in JSON, in a URL, in HTML or in a header that was put together by
its framework; each spells some characters in a way of its own (``\/``, ``\u0026``, ``%2F``, ``&amp;``), or encodes
the whole (base64, hexadecimal).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

MASK = b"(hidden)"
SHORTEST = 8
"""Shortest secret, in characters, that is looked for: a shorter one is found in any text."""
_NAMES = dict(
    each.split(" ")
    for each in (
        '! excl', '" quot|QUOT', "# num", "$ dollar", "% percnt", "& amp|AMP", "' apos", "( lpar", ") rpar",
        "* ast|midast", "+ plus", ", comma", ". period", "/ sol", ": colon", "; semi", "< lt|LT", "= equals",
        "> gt|GT", "? quest", "@ commat", "[ lsqb|lbrack", "\\ bsol", "] rsqb|rbrack", "^ Hat", "_ lowbar|UnderBar",
        "` grave|DiacriticalGrave", "{ lcub|lbrace", "| verbar|vert|VerticalLine", "} rcub|rbrace",
    )
)  # fmt: skip
"""What HTML calls printable characters: https://html.spec.whatwg.org/multipage/named-characters.html."""


def masked(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body without the secrets; the same object if it has none of them."""
    for secret in secrets:
        if len(secret) < SHORTEST:
            continue
        spelled, encoded = _looked_for(secret)
        for each in encoded:
            data = data.replace(each, MASK)
        data = spelled.sub(MASK, data)
    return data


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets."""
    return masked(text.encode("utf-8", "surrogatepass"), secrets).decode("utf-8", "surrogatepass")


@lru_cache(maxsize=16)
def _looked_for(secret: str) -> tuple[re.Pattern[bytes], tuple[bytes, ...]]:
    """Return what finds a secret however its characters are spelled, and what it is when encoded as a whole."""
    between = rb"\x00{0,3}"  # UTF-16 and UTF-32
    return re.compile(between.join(_spelled(each) for each in secret.encode())), tuple(_encoded(secret.encode()))


def _spelled(code: int) -> bytes:
    """Return a pattern for one character: as it is, or as JSON, a program, a URL, HTML or an e-mail spells it."""
    plain, octal = re.escape(bytes([code])), b"%03o" % code
    digits = "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in f"{code:02x}").encode()
    name = b"|" + _NAMES[chr(code)].encode() if chr(code) in _NAMES else b""
    entity = rb"(?:amp;){0,2}(?:#0{0,7}(?:%d|[xX]0{0,7}%b)%b);?" % (code, digits, name)
    return rb"(?:%b|\\\\{0,3}(?:%b|u00%b|x%b|%b|u0026%b)|%%(?:25){0,3}%b|&%b|=%b)" % (
        *(plain, plain, digits, digits, octal, entity, digits, entity, digits),
    )


def _encoded(secret: bytes) -> Iterator[bytes]:
    """Yield a secret in hexadecimal and in base64, wherever in the encoded text it begins."""
    yield from {secret.hex().encode(), secret.hex().upper().encode()}
    found: set[bytes] = set()
    for before in range(3):
        bits = 8 * (before + len(secret))
        whole = base64.b64encode(bytes(before) + secret)[-(-8 * before // 6) : bits // 6]
        urls = whole.replace(b"+", b"-").replace(b"/", b"_")
        found |= {whole, urls, whole.replace(b"/", rb"\/")}
        found.add(whole.replace(b"+", b"%2B").replace(b"/", b"%2F"))
        found.add(whole.replace(b"+", b"%2b").replace(b"/", b"%2f"))
    yield from sorted(found)
