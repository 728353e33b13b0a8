"""A part of a JSON text as it stands there, byte for byte: what of an answer is a case's own, and may be kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_BLANKS = " \t\n\r"


def item_of(body: bytes, path: Sequence[str], fits: Callable[[Any], bool]) -> bytes | None:
    """Return the bytes of the first item that fits in the list at ``path``, a key of each object on the way.

    None if there is no such list or item, or the body is no JSON. Numbers reach ``fits`` as texts. Of a key that an
    object has twice, the last one counts, as it does for ``json``.
    """
    try:
        text = body.decode("utf-8-sig")
        at = _skip(text, 0)
        for key in path:
            at = _value_of(text, at, key)
        return _item(text, at, fits)
    except (ValueError, IndexError, RecursionError):
        return None


def _value_of(text: str, at: int, wanted: str) -> int:
    """Return where the value of an object's key begins.

    Raises:
        ValueError: there is no object, or it has no such key.

    """
    if text[at] != "{":
        raise ValueError("no object")
    found, at = -1, _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError("no value")
        at = _skip(text, at + 1)
        found = at if key == wanted else found
        at = _next(text, _DECODER.raw_decode(text, at)[1])
    if found < 0:
        raise ValueError("no such key")
    return found


def _item(text: str, at: int, fits: Callable[[Any], bool]) -> bytes | None:
    if text[at] != "[":
        raise ValueError("no list")
    at = _skip(text, at + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        if fits(value):
            return text[at:end].encode()
        at = _next(text, end)
    return None


def _next(text: str, at: int) -> int:
    """Return where the next key or item begins, or the end of what has them."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
