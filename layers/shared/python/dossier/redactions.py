"""Take what is about one case out of a text that is about others as well."""

from __future__ import annotations

import json
import re
from typing import Any

ERASED = "erased"
"""Stands where something was taken out."""


def without(body: bytes, named: re.Pattern[str]) -> bytes:
    """Return a text without what ``named`` finds.

    In JSON an object below the top that has a found value of its own is taken out whole, since its other values are
    about the same thing; so is a found value alone, or the found part of a longer text. In any other text only what was
    found goes.
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
    """Whether a value is just what was looked for."""
    return isinstance(value, str | int) and not isinstance(value, bool) and named.fullmatch(str(value)) is not None
