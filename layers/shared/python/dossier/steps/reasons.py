"""Reasons: what a Step Functions cause says, in one line."""

from __future__ import annotations

import json

from dossier.texts import line

LONGEST = 1000
"""Longest reason, in characters."""


def reason_of(cause: str) -> str:
    """Return the one printable line in a Step Functions cause, which for a Lambda function has an ``errorMessage``.

    It may repeat what others wrote: the URI of an input, or what a person said who stopped the execution.
    """
    try:
        value = json.loads(cause)
    except (ValueError, RecursionError):
        return line(cause, LONGEST)
    message = value.get("errorMessage") if isinstance(value, dict) else None
    return line(str(message if message is not None else cause), LONGEST)
