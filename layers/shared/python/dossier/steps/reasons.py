"""Reasons: read a Step Functions cause."""

from __future__ import annotations

import json

from dossier.texts import line

LONGEST = 1000
"""Longest reason, in characters."""


def reason_of(cause: str) -> str:
    """Return a Step Functions cause as one printable line; that of a Lambda function has an ``errorMessage``.

    It may repeat foreign text: the URI of an input, or the words of the person who stopped the execution.
    """
    try:
        value = json.loads(cause)
    except (ValueError, RecursionError):
        return line(cause, LONGEST)
    message = value.get("errorMessage") if isinstance(value, dict) else None
    return line(str(message if message is not None else cause), LONGEST)
