"""Why a delivery was refused: for the operator who has to mend it, never for who sent it. Standard library only."""

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
    BODY_DIFFERS: "something between the vendor and Dossier rewrites the body: have it hand on the bytes as they come",
    TOO_OLD: "it was on its way for too long, or was sent again: check the clocks, or raise webhook.tolerance",
    TOO_NEW: "the vendor's clock is ahead: check it, or raise webhook.tolerance",
    HEADER_MISSING: "the vendor does not sign, or under another name: check its settings, and webhook.header",
    HEADER_TWICE: "the header came more than once, and no value fits: look for a proxy that adds one",
    HEADER_UNREADABLE: "the header is nothing that this scheme writes: check webhook.scheme and webhook.prefix",
    BODY_UNREADABLE: "the gateway handed on a body that is none: send it again",
    TOKEN_MISSING: "register the webhook URL with its token at the end: {url}/<secret>",
    UNKNOWN_CONNECTION: "the URL names no connection with webhooks: compare it with dossier outputs",
    TOO_LARGE: "raise webhook.max_bytes of [{connection}] and deploy",
}
"""What to do about each cause."""
LONGEST_BODY = 1 << 14
"""Bytes of a body that is looked at for how it was rewritten."""
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_STAMP = re.compile(r"[0-9]{1,12}")


def cause_of(rule: Rule, delivery: Delivery, secrets: Iterable[str], now: float) -> tuple[str, str]:
    """Return why a delivery was refused, and what there is to know besides (a header's name, seconds)."""
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
    """Return the cause where the secret is right: it came at the wrong time, or was rewritten on its way."""
    if rule.scheme in SAYS_THE_SECRET:
        return None
    timeless = replace(rule, tolerance=ANY_TIME)
    if verify(timeless, delivery, secrets, now=now):
        seconds = int(now - _stamp(rule, delivery))
        return (TOO_OLD if seconds > 0 else TOO_NEW), f"{abs(seconds)} s"
    forms = (replace(delivery, body=each) for each in _rewritten(delivery.body))
    return (BODY_DIFFERS, "") if any(verify(timeless, each, secrets, now=now) for each in forms) else None


def _malformed(rule: Rule, delivery: Delivery, names: list[str]) -> tuple[str, str] | None:
    """Return the cause where a header is not what the scheme writes."""
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


def _stamp(rule: Rule, delivery: Delivery) -> int:
    text = delivery.headers.get(_names(rule, delivery)[1 if rule.scheme == "standard-webhooks" else 0], "")
    found = _STAMP.search(text if rule.scheme == "standard-webhooks" else text.partition("t=")[2])
    return int(found[0]) if found else 0


def _twice(value: str, rule: Rule) -> bool:
    """Whether a header's value is that of several headers, which a gateway joins with a comma."""
    if rule.scheme == "timestamped-hmac":
        return len(re.findall(r"(?:^|,)\s*t=", value)) > 1
    return "," in re.sub(r"(?<![^\s,])v\d\w*,", "", value) if rule.scheme == "standard-webhooks" else "," in value


def _readable(rule: Rule, name: str, value: str) -> bool:
    """Whether a header is of the form that the scheme writes."""
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
    """Yield what a body may have been before something read it as JSON and wrote it again, or touched its lines."""
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
"""How JSON is usually written."""
