"""Remove the parts about one case from a text that is also about others."""

from __future__ import annotations

import json
import re
from typing import Any

ERASED = "erased"
"""Replaces a removed part."""


def without(body: bytes, named: re.Pattern[str]) -> bytes:
    """Return a text without the parts that ``named`` finds.

    In JSON an object below the top level with a matching value is removed as a whole, because its other values are
    about the same thing; otherwise only the matching value, or the matching part of a longer text. In any other text
    only the matches are removed.
    """
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return named.sub(ERASED, text).encode()
    return json.dumps(_without(value, named, top=True), ensure_ascii=False).encode()


def _without(value: Any, named: re.Pattern[str], *, top: bool = False) -> Any:
    if isinstance(value, dict):
        if not top and any(_is_named(each, named) for each in value.values()):
            return {ERASED: True}
        return {named.sub(ERASED, key): _without(each, named) for key, each in value.items()}
    if isinstance(value, list):
        return [_without(each, named) for each in value]
    if isinstance(value, str):
        return named.sub(ERASED, value)
    return ERASED if _is_named(value, named) else value


def _is_named(value: Any, named: re.Pattern[str]) -> bool:
    """Whether the whole value matches."""
    return isinstance(value, str | int) and not isinstance(value, bool) and named.fullmatch(str(value)) is not None
