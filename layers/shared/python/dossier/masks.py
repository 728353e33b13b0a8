r"""Redact secrets from a vendor's answers in every spelling.

A vendor that answers ``invalid key: …`` may repeat the key in JSON, in a URL, in HTML or in a header. Each of these
escapes some characters in its own way (``\/``, ``\u0026``, ``%2F``, ``&amp;``), or encodes the whole (base64,
hexadecimal).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

HIDDEN = "(hidden)"
"""Stands for what was redacted."""
SHORTEST = 8
"""Shortest secret, in characters, that is redacted: a shorter one matches ordinary text."""
_NAMES = dict(
    each.split(" ")
    for each in (
        '! excl', '" quot|QUOT', "# num", "$ dollar", "% percnt", "& amp|AMP", "' apos", "( lpar", ") rpar",
        "* ast|midast", "+ plus", ", comma", ". period", "/ sol", ": colon", "; semi", "< lt|LT", "= equals",
        "> gt|GT", "? quest", "@ commat", "[ lsqb|lbrack", "\\ bsol", "] rsqb|rbrack", "^ Hat", "_ lowbar|UnderBar",
        "` grave|DiacriticalGrave", "{ lcub|lbrace", "| verbar|vert|VerticalLine", "} rcub|rbrace",
    )
)  # fmt: skip
"""HTML's names of printable characters: https://html.spec.whatwg.org/multipage/named-characters.html."""
_SIGNS = {
    ord("+"): rb"(?:[+-]|\\{1,2}u002[bB]|%(?:25)?2[bB]|&#43;)",
    ord("/"): rb"(?:\\{0,2}/|_|\\{1,2}u002[fF]|%(?:25)?2[fF]|&#47;)",
}
"""Spellings of base64's last two characters, in its two alphabets (RFC 4648, sections 4 and 5)."""
_BREAKS = rb"(?:\\{1,2}[rn]|[\r\n]|%0[aAdD]){0,4}"
"""Separators of lines of base64 (RFC 2045, section 6.8)."""


def masked(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body without the secrets; the same object if it contains none."""
    for secret in secrets:
        if len(secret) < SHORTEST:
            continue
        for pattern in _looked_for(secret):
            data = pattern.sub(HIDDEN.encode(), data)
    return data


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets."""
    return masked(text.encode("utf-8", "surrogatepass"), secrets).decode("utf-8", "surrogatepass")


def repeats(text: str, secret: str) -> bool:
    """Whether a header's value contains a secret: plain, percent-encoded, in hexadecimal or in base64.

    It is cheaper than :func:`masked`, which compiles patterns first; every delivery's headers are checked.
    """
    given, plain = secret.encode("utf-8", "surrogatepass"), unquote(unquote(text))
    signs = plain.replace("-", "+").replace("_", "/").encode("utf-8", "surrogatepass")
    return (
        secret.lower() in text.lower()
        or secret.lower() in plain.lower()
        or given.hex() in plain.lower()
        or any(each in signs for each in _base64(given))
    )


@lru_cache(maxsize=16)
def _looked_for(secret: str) -> tuple[re.Pattern[bytes], ...]:
    """Return patterns for all spellings of a secret's characters, and for its encoded forms."""
    between = rb"\x00{0,3}"  # UTF-16 and UTF-32
    patterns = [between.join(_spelled(each) for each in secret.encode()), *_encoded(secret.encode())]
    return tuple(re.compile(each) for each in patterns)


def _spelled(code: int) -> bytes:
    """Return a pattern for one character: plain, or as JSON, a program, a URL, HTML or an e-mail escapes it."""
    plain, octal = re.escape(bytes([code])), b"%03o" % code
    if chr(code).isalpha() and code < 0x80:  # some write all of an error in capitals
        plain = f"[{chr(code).lower()}{chr(code).upper()}]".encode()
    digits = _digits(code)
    name = b"|" + _NAMES[chr(code)].encode() if chr(code) in _NAMES else b""
    entity = rb"(?:amp;){0,2}(?:#0{0,7}(?:%d|[xX]0{0,7}%b)%b);?" % (code, digits, name)
    return rb"(?:%b|\\\\{0,3}(?:%b|u00%b|x%b|%b|u0026%b)|%%(?:25){0,3}%b|&%b|=%b)" % (
        *(plain, plain, digits, digits, octal, entity, digits, entity, digits),
    )


def _encoded(secret: bytes) -> Iterator[bytes]:
    """Yield patterns for a secret in hexadecimal, in either case, and in base64 at every offset."""
    yield rb"(?:[ :-]|\\{1,2}x|0x|, ?0x){0,1}".join(_digits(code) for code in secret)
    for each in _base64(secret):
        yield _BREAKS.join(_SIGNS.get(code, re.escape(bytes([code]))) for code in each)


def _base64(secret: bytes) -> list[bytes]:
    """Return a secret's base64 inside other bytes, for each of its three possible offsets."""
    places = ((before, 8 * (before + len(secret)) // 6) for before in range(3))
    return [base64.b64encode(bytes(before) + secret)[-(-8 * before // 6) : end] for before, end in places]


def _digits(code: int) -> bytes:
    """Return a pattern for the two hexadecimal digits of a character."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in f"{code:02x}").encode()
