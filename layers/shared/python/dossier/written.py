"""Read JSON that a person or a program wrote: a batch's line, a request's body, ``case.json``.

Readers of JSON differ in what they make of a key that is given twice, of ``NaN``, and of half a character (a lone
surrogate such as U+D800, which no UTF-8 text can hold: hashes, keys and requests would fail later on). All are
rejected where they enter.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class NotUtf8Error(ValueError):
    """The bytes are not UTF-8; ``position`` is the first wrong one."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not UTF-8 text (byte {position})")
        self.position = position


def read(raw: bytes | str, *, one_line: bool = False) -> Any:
    """Return the value of a JSON text; a byte order mark is skipped.

    Args:
        raw: the text.
        one_line: whether an error leaves the line out, because the text is one.

    Raises:
        NotUtf8Error: it is not UTF-8.
        ValueError: it is not JSON; says where and why.

    """
    try:
        text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise NotUtf8Error(error.start) from None
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
        json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if one_line else f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{where}: {error.msg}") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"\\u{ord(error.object[error.start]):04x} is half a character") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


def is_text(text: str) -> bool:
    """Return whether a text is whole characters, so that UTF-8 can hold it."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)} is given twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number
