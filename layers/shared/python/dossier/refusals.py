"""Why a delivery was rejected: for the operator, never for the sender. Only imports the standard library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dossier.signatures import ANY_TIME, SAYS_THE_SECRET, Delivery, Rule, verify

NO_SECRET = "no secret"  # noqa: S105 -- a cause, as those below
WRONG_SECRET = "wrong secret"  # noqa: S105
BODY_DIFFERS = "body differs"
TOO_OLD, TOO_NEW = "too old", "too new"
HEADER_MISSING, HEADER_TWICE, HEADER_UNREADABLE = "header missing", "header twice", "undecodable header"
BODY_UNREADABLE = "undecodable body"
TOKEN_MISSING = "token missing"  # noqa: S105
UNKNOWN_CONNECTION = "unknown connection"
TOO_LARGE = "too large"

ADVICE = {
    NO_SECRET: "set the vendor's webhook secret: dossier secrets set {connection}",
    WRONG_SECRET: "no active secret fits: compare it with the vendor's, then run dossier secrets set {connection}",
    BODY_DIFFERS: "a proxy rewrites the body on its way: configure it to pass on the bytes unchanged",
    TOO_OLD: "it took too long to arrive, or was sent again: check the clocks, or raise webhook.tolerance",
    TOO_NEW: "the vendor's clock is ahead: check it, or raise webhook.tolerance",
    HEADER_MISSING: "the vendor does not sign, or uses another header: check its settings, and webhook.header",
    HEADER_TWICE: "the header came more than once, and no value fits: look for a proxy that adds one",
    HEADER_UNREADABLE: "the header is not in this scheme's form: check webhook.scheme and webhook.prefix",
    BODY_UNREADABLE: "the gateway passed on a body that cannot be decoded: send it again",
    TOKEN_MISSING: "register the webhook URL with its token at the end: {url}/<secret>",
    UNKNOWN_CONNECTION: "the URL names no connection with webhooks: compare it with dossier outputs",
    TOO_LARGE: "raise webhook.max_bytes of [{connection}] and deploy",
}
"""What to do about each cause."""
LONGEST_BODY = 1 << 14
"""Largest body, in bytes, that is compared with rewritten forms."""
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_STAMP = re.compile(r"[0-9]{1,12}")


def cause_of(rule: Rule, delivery: Delivery, secrets: Iterable[str], now: float) -> tuple[str, str]:
    """Return why a delivery was rejected, and a detail (a header's name, seconds) or an empty text."""
    active = [each for each in secrets if each]
    if not active:
        return NO_SECRET, ""
    if rule.scheme == "path-token":
        return (WRONG_SECRET if delivery.token else TOKEN_MISSING), ""
    names = _names(rule, delivery)
    missing = [each for each in names if not delivery.headers.get(each, "").strip()]
    if missing:
        return HEADER_MISSING, missing[0]
    return _almost(rule, delivery, active, now) or _malformed(rule, delivery, names) or (WRONG_SECRET, "")


def _almost(rule: Rule, delivery: Delivery, secrets: list[str], now: float) -> tuple[str, str] | None:
    """Return the cause if the secret is right: the time is out of range, or the body was rewritten on its way."""
    if rule.scheme in SAYS_THE_SECRET:
        return None
    timeless = replace(rule, tolerance=ANY_TIME)
    if verify(timeless, delivery, secrets, now=now):
        standard = rule.scheme == "standard-webhooks"
        text = delivery.headers.get(_names(rule, delivery)[1 if standard else 0], "")
        found = _STAMP.search(text if standard else text.partition("t=")[2])
        seconds = int(now - (int(found[0]) if found else 0))
        return (TOO_OLD if seconds > 0 else TOO_NEW), f"{abs(seconds)} s"
    forms = (replace(delivery, body=each) for each in _rewritten(delivery.body))
    return (BODY_DIFFERS, "") if any(verify(timeless, each, secrets, now=now) for each in forms) else None


def _malformed(rule: Rule, delivery: Delivery, names: list[str]) -> tuple[str, str] | None:
    """Return the cause if a header is not in the scheme's form."""
    for name in names:
        if _twice(delivery.headers[name], rule):
            return HEADER_TWICE, name
    for name in names:
        if not _readable(rule, name, delivery.headers[name].strip()):
            return HEADER_UNREADABLE, name
    return None


def _names(rule: Rule, delivery: Delivery) -> list[str]:
    """Return the headers, in lower case, that the scheme needs."""
    own = rule.header.lower()
    if rule.scheme == "standard-webhooks":
        family = "svix" if "svix-id" in delivery.headers and "webhook-id" not in delivery.headers else "webhook"
        signature = f"{family}-signature" if own in {"", "webhook-signature"} else own
        return [f"{family}-id", f"{family}-timestamp", signature]
    return [] if rule.scheme == "path-token" else [own or "stripe-signature"]


def _twice(value: str, rule: Rule) -> bool:
    """Whether a header's value comes from several headers, which a gateway joins with a comma."""
    if rule.scheme == "timestamped-hmac":
        return len(re.findall(r"(?:^|,)\s*t=", value)) > 1
    return "," in re.sub(r"(?<![^\s,])v\d\w*,", "", value) if rule.scheme == "standard-webhooks" else "," in value


def _readable(rule: Rule, name: str, value: str) -> bool:
    """Whether a header is in the scheme's form."""
    if not value.isascii() or not value.isprintable():
        return False
    if rule.scheme == "hmac-sha256-hex":
        prefix, shown = rule.prefix.lower(), value.lower()
        return shown.startswith(prefix) and bool(_HEX.fullmatch(shown.removeprefix(prefix).strip()))
    if rule.scheme == "timestamped-hmac":
        return bool(
            re.search(r"(?:^|,)\s*t=\d{1,12}(?:,|$)", value) and re.search(r"(?:^|,)\s*v1=[0-9A-Fa-f]{64}", value)
        )
    if rule.scheme == "standard-webhooks" and name.endswith("timestamp"):
        return bool(_STAMP.fullmatch(value))
    if rule.scheme == "standard-webhooks" and name.endswith("signature"):
        return bool(re.search(r"(?<![^\s,])v1,\s*[A-Za-z0-9+/_=-]{40,}", value))
    return value.startswith(rule.prefix) if rule.scheme == "shared-secret" else True


def _rewritten(body: bytes) -> Iterator[bytes]:
    """Yield bodies that a proxy may have turned into this one: it serialized the JSON anew, or changed line ends."""
    if len(body) > LONGEST_BODY:
        return
    yield from (body.strip(), body + b"\n", body.replace(b"\r\n", b"\n"), body.replace(b"\n", b"\r\n"))
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for options in _FORMS:
        try:
            text = json.dumps(value, **options).encode("utf-8")  # type: ignore[arg-type]
        except (ValueError, RecursionError):
            return
        yield text
        yield text + b"\n"


_FORMS = [
    {"ensure_ascii": ascii_only, "sort_keys": ordered, **spacing}
    for ascii_only in (False, True)
    for ordered in (False, True)
    for spacing in ({"separators": (",", ":")}, {}, {"indent": 2}, {"indent": 4})
]
"""Usual ways to serialize JSON."""
