"""Keys and secrets that replace others."""

from __future__ import annotations

ROTATED = ("turnstile", "carousel", "windmill")

CALLED = ("turnstile", "carousel")


def new_key(connection: str) -> str:
    """Return the key that follows."""
    return "ds_live_turned" if connection == "turnstile" else f"next-key-of-{connection}"


def new_secret(connection: str) -> str:
    """Return the webhook secret that follows."""
    return f"next-secret-of-{connection}"
