"""Reasons: what a Step Functions cause says, in one line."""

from __future__ import annotations

import json


def reason_of(cause: str) -> str:
    """Return the one line in a Step Functions cause, which for a Lambda function is JSON with ``errorMessage``."""
    try:
        value = json.loads(cause)
    except ValueError:
        return " ".join(cause.split())[:1000]
    message = value.get("errorMessage") if isinstance(value, dict) else None
    return " ".join(str(message if message is not None else cause).split())[:1000]
