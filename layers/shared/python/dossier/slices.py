"""Cut an item out of a JSON text byte for byte: the part of an answer that belongs to a case."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_BLANKS = " \t\n\r"


def item_of(body: bytes, path: Sequence[str], fits: Callable[[Any], bool]) -> bytes | None:
    """Return the bytes of the first matching item of the list at ``path`` (keys of nested objects).

    None if there is no such list or item, or the body is not JSON. ``fits`` gets numbers as texts. Of a duplicate key
    the last one counts, as in ``json``.
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
    """Return the offset of the value of an object's key.

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
    """Return the offset of the next key or item, or of the closing bracket."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
