"""Verify deliveries: five schemes, chosen by the connection's settings and never guessed.

Everything that is not verified is rejected: a missing header, an empty secret, an unknown scheme, a time out of range.
Comparisons take constant time. Only the standard library is imported, because the webhook function pays for imports at
every cold start.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

DEFAULT_TOLERANCE = 300
ANY_TIME = 10**13
"""A tolerance, in seconds, that accepts every time."""
SAYS_THE_SECRET = frozenset({"shared-secret", "path-token"})
"""Schemes whose deliveries carry the secret in plain text."""
_MOST_VALUES = 10
"""Most values of one header that are compared; more cannot be the vendor's."""
_VERSION_1 = re.compile(r"(?<![^\s,])v1,\s*([^\s,]+)")
KEPT_TOKEN = ":path-token"  # noqa: S105  # a name
"""The header under which the proof of the path's token is stored; no real header has a colon in its name."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as received: ``headers`` with lower-case names, ``token`` from the URL's path."""

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
    """Return whether one of the active secrets verifies the delivery.

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
    # Every secret is tried, so that the time does not show which one fits.
    matches = [check(rule, delivery, secret, moment) for secret in active]
    return any(matches)


def proof(value: str, body: bytes) -> str:
    """Return the HMAC that is stored in place of a plain-text secret.

    It is the HMAC-SHA256 of the body, keyed with the header's whole value (or the path's token). Only the secret
    reproduces it, and only for this body.
    """
    return f"hidden; hmac-sha256={_sha256(value.encode('utf-8', 'surrogatepass'), body).hex()}"


def proves(rule: Rule, delivery: Delivery, secrets: Iterable[str]) -> bool:
    """Return whether one of the active secrets verifies a stored delivery, regardless of its age.

    If the scheme carries the secret in plain text, its :func:`proof` is stored instead (under ``KEPT_TOKEN`` for the
    path's token). Other schemes are verified as on arrival, except for the time.
    """
    active = [secret for secret in secrets if secret]
    if rule.scheme not in SAYS_THE_SECRET:
        return verify(replace(rule, tolerance=ANY_TIME), delivery, active)
    name, prefix = (KEPT_TOKEN, "") if rule.scheme == "path-token" else (rule.header.lower(), rule.prefix)
    given = delivery.headers.get(name, "")
    matches = [_same(given, proof(prefix + secret, delivery.body)) for secret in active]
    return any(matches)


def identity(rule: Rule, delivery: Delivery) -> str:
    """Return the hex digest that identifies a repeated delivery.

    It covers the body, the id of ``standard-webhooks`` (a retry has the same id and a new time), and the time of
    ``timestamped-hmac``.
    """
    signed = b""
    if rule.scheme == "standard-webhooks":
        signed = _single(_standard(delivery, "id")).encode("utf-8", "surrogatepass")
    elif rule.scheme == "timestamped-hmac":
        signed = ",".join(stamp for stamp, _ in _stamped(rule, delivery)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"\0".join((rule.scheme.encode(), signed, delivery.body))).hexdigest()


def said(rule: Rule, delivery: Delivery) -> str:
    """Return the plain-text secret in a delivery's header; once, if the header was sent twice."""
    return _single(delivery.headers.get(rule.header.lower(), ""))


def _hmac_sha256_hex(rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    if not rule.header:
        return False
    expected = _sha256(secret.encode("utf-8", "surrogatepass"), delivery.body).hex()
    prefix = rule.prefix.lower()  # as the digits' letters, which may be capital ones
    values = [each.lower() for each in _values(delivery.headers.get(rule.header.lower(), ""))]
    matches = [_same(each.removeprefix(prefix).strip(), expected) for each in values if each.startswith(prefix)]
    return any(matches)


def _standard_webhooks(rule: Rule, delivery: Delivery, secret: str, now: float) -> bool:
    message_id, stamp = _single(_standard(delivery, "id")), _single(_standard(delivery, "timestamp"))
    if not message_id or not _timely(stamp, now, rule.tolerance):
        return False
    key = standard_key(secret)
    if not key:
        return False
    signed = message_id.encode("utf-8", "replace") + b"." + stamp.encode() + b"." + delivery.body
    expected = base64.b64encode(_sha256(key, signed)).decode()
    name = rule.header.lower()
    text = _standard(delivery, "signature") if name in {"", "webhook-signature"} else delivery.headers.get(name, "")
    matches = [_same(each, expected) for each in _VERSION_1.findall(text)[:_MOST_VALUES]]
    return any(matches)


def standard_key(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks, with or without padding; empty if it is malformed."""
    text = secret.removeprefix("whsec_").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _standard(delivery: Delivery, name: str) -> str:
    """Return one of the standard's headers; Svix, the origin of the standard, calls them ``svix-…``."""
    family = "webhook" if "webhook-id" in delivery.headers else "svix"
    return delivery.headers.get(f"{family}-{name}", "").strip()


def _timestamped_hmac(rule: Rule, delivery: Delivery, secret: str, now: float) -> bool:
    matches = []
    for stamp, signatures in _stamped(rule, delivery):
        if not _timely(stamp, now, rule.tolerance):
            continue
        expected = _sha256(secret.encode("utf-8", "surrogatepass"), stamp.encode() + b"." + delivery.body).hex()
        matches += [_same(each.lower(), expected) for each in signatures[:_MOST_VALUES]]
    return any(matches)


def _stamped(rule: Rule, delivery: Delivery) -> list[tuple[str, list[str]]]:
    """Return each time in the header with the signatures that follow it.

    A header that was sent twice has two times with signatures each. If a time has none, the header is malformed and
    the result is empty.
    """
    text = delivery.headers.get(rule.header.lower() or "stripe-signature", "")
    pairs = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in text.split(","))]
    stamps = [value for name, value in pairs if name == "t"]
    if len(stamps) == 1:
        return [(stamps[0], [value for name, value in pairs if name == "v1"])]
    found: list[tuple[str, list[str]]] = []
    for name, value in pairs:
        if name == "t":
            found.append((value, []))
        elif name == "v1" and found:
            found[-1][1].append(value)
    return found[:_MOST_VALUES] if all(signatures for _, signatures in found) else []


def _shared_secret(rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    if not rule.header:
        return False
    given = [each for each in _values(delivery.headers.get(rule.header.lower(), "")) if each.startswith(rule.prefix)]
    matches = [_same(each.removeprefix(rule.prefix), secret) for each in given]
    return any(matches)


def _path_token(_rule: Rule, delivery: Delivery, secret: str, _now: float) -> bool:
    return _same(delivery.token, secret)


def _values(text: str) -> list[str]:
    """Return a header's whole value and each part of it: a header that is sent twice is joined with a comma."""
    parts = [each.strip() for each in text.split(",", _MOST_VALUES)]
    return list(dict.fromkeys([text, *(each for each in parts if each)])) if len(parts) > 1 else [text]


def _single(text: str) -> str:
    """Return a value once if it was sent twice, else unchanged."""
    parts = {each.strip() for each in text.split(",")}
    return parts.pop() if len(parts) == 1 else text


def _sha256(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _same(given: str, expected: str) -> bool:
    """Compare in constant time, as bytes: ``compare_digest`` raises for non-ASCII text."""
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
