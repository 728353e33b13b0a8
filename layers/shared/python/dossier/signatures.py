"""Whether a delivery is from whom it says: five schemes, chosen by the connection's settings, never guessed.

Everything that is not proven is refused: a missing header, an empty secret, an unknown scheme, a time out of range.
Comparisons take constant time. Standard library only: the webhook function pays for imports at every cold start.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

DEFAULT_TOLERANCE = 300
ANY_TIME = 10**13
"""A tolerance, in seconds, that no time exceeds."""
SAYS_THE_SECRET = frozenset({"shared-secret", "path-token"})
"""Schemes by which a delivery carries the secret itself."""
KEPT_TOKEN = ":path-token"  # noqa: S105  # a name
"""The header under which the path's token is kept, hidden; no header that is sent can have a colon in its name."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it came: ``headers`` with lower-case names, ``token`` from the URL's path."""

    body: bytes
    headers: Mapping[str, str]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a connection's deliveries are verified; see ``dossier.settings.Webhook``."""

    scheme: str
    header: str = ""
    prefix: str = ""
    tolerance: int = DEFAULT_TOLERANCE


def verify(rule: Rule, delivery: Delivery, secrets: Iterable[str], *, now: float | None = None) -> bool:
    """Return whether one of the active secrets proves the delivery.

    Schemes and their sources:

    - ``hmac-sha256-hex``: hex HMAC-SHA256 of the raw body (DocuStack's guide; GitHub with ``prefix = "sha256="``).
    - ``standard-webhooks``: https://github.com/standard-webhooks/standard-webhooks, symmetric ``v1`` signatures.
    - ``timestamped-hmac``: https://docs.stripe.com/webhooks, ``t=…,v1=…`` over ``t.body``.
    - ``shared-secret``: a header that equals the secret.
    - ``path-token``: the last part of the URL's path that equals the secret.

    ``now`` (seconds since the epoch) stands in for the clock in tests.
    """
    check = _SCHEMES.get(rule.scheme)
    active = [secret for secret in secrets if secret]
    if check is None or not active:
        return False
    moment = time.time() if now is None else now
    # every secret is tried, so that the time taken does not tell which one fits
    verdicts = [check(rule, delivery, secret, moment) for secret in active]
    return any(verdicts)


def proof(value: str, body: bytes) -> str:
    """Return what is kept in place of a secret that a delivery says in clear: it fits that secret alone.

    The HMAC-SHA256 of the body, keyed with the header's whole value (or the path's token). Who holds the secret can
    compute it again; it is good for no other body.
    """
    return f"hidden; hmac-sha256={_sha256(value.encode('utf-8', 'surrogatepass'), body).hex()}"


def proves(rule: Rule, delivery: Delivery, secrets: Iterable[str]) -> bool:
    """Return whether one of the active secrets proves a delivery as it was kept, however long ago it came.

    Where the scheme says the secret in clear, its :func:`proof` stands in its place (``KEPT_TOKEN`` for the path's
    token); any other is verified as on arrival, but for the time.
    """
    active = [secret for secret in secrets if secret]
    if rule.scheme not in SAYS_THE_SECRET:
        return verify(replace(rule, tolerance=ANY_TIME), delivery, active)
    name, prefix = (KEPT_TOKEN, "") if rule.scheme == "path-token" else (rule.header.lower(), rule.prefix)
    given = delivery.headers.get(name, "")
    verdicts = [_same(given, proof(prefix + secret, delivery.body)) for secret in active]
    return any(verdicts)


def _hmac_sha256_hex(rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    given = delivery.headers.get(rule.header.lower(), "")
    if not given.startswith(rule.prefix) or not rule.header:
        return False
    return _same(given.removeprefix(rule.prefix), _sha256(secret.encode(), delivery.body).hex())


def _standard_webhooks(rule: Rule, delivery: Delivery, secret: str, now: float) -> bool:
    message_id = delivery.headers.get("webhook-id", "")
    stamp = delivery.headers.get("webhook-timestamp", "")
    if not message_id or not _timely(stamp, now, rule.tolerance):
        return False
    try:
        text = secret.removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # some write secrets without padding
    except (binascii.Error, ValueError):
        return False
    if not key:
        return False
    signed = message_id.encode("utf-8", "replace") + b"." + stamp.encode() + b"." + delivery.body
    expected = base64.b64encode(_sha256(key, signed)).decode()
    given = delivery.headers.get(rule.header.lower() or "webhook-signature", "").split(" ")
    return any(_same(each.removeprefix("v1,"), expected) for each in given if each.startswith("v1,"))


def _timestamped_hmac(rule: Rule, delivery: Delivery, secret: str, now: float) -> bool:
    pairs = [
        part.partition("=") for part in delivery.headers.get(rule.header.lower() or "stripe-signature", "").split(",")
    ]
    stamps = [value for name, _, value in pairs if name == "t"]
    if len(stamps) != 1 or not _timely(stamps[0], now, rule.tolerance):
        return False
    expected = _sha256(secret.encode(), stamps[0].encode() + b"." + delivery.body).hex()
    return any(_same(value, expected) for name, _, value in pairs if name == "v1")


def _shared_secret(rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    given = delivery.headers.get(rule.header.lower(), "")
    return bool(rule.header) and given.startswith(rule.prefix) and _same(given.removeprefix(rule.prefix), secret)


def _path_token(_rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    return _same(delivery.token, secret)


def _sha256(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _same(given: str, expected: str) -> bool:
    """Compare in constant time; as bytes, since text beyond ASCII makes ``compare_digest`` raise."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def _timely(stamp: str, now: float, tolerance: int) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    return abs(now - int(stamp)) <= tolerance


_SCHEMES: Mapping[str, Callable[[Rule, Delivery, str, float], bool]] = {
    "hmac-sha256-hex": _hmac_sha256_hex,
    "standard-webhooks": _standard_webhooks,
    "timestamped-hmac": _timestamped_hmac,
    "shared-secret": _shared_secret,
    "path-token": _path_token,
}
