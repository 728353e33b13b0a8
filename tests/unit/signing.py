"""Deliveries as vendors sign them."""

from __future__ import annotations

import base64
import hashlib
import hmac

from dossier.signatures import Delivery, Rule

NOW = 1_700_000_000

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

BODY = b'{"case_id": "case__1", "title": "M\xc3\xbcller \xe2\x80\x93 \xf0\x9f\x99\x82"}'


def digest(secret: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA256."""
    return hmac.new(secret, message, hashlib.sha256).digest()


def signed(rule: Rule, secret: str, body: bytes = BODY, *, at: int = NOW) -> Delivery:
    """Return a delivery as a vendor with this scheme makes it."""
    match rule.scheme:
        case "hmac-sha256-hex":
            return Delivery(body, {rule.header.lower(): rule.prefix + digest(secret.encode(), body).hex()})
        case "standard-webhooks":
            key = base64.b64decode(secret.removeprefix("whsec_"))
            signature = base64.b64encode(digest(key, b"msg_1.%d." % at + body)).decode()
            headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}
            return Delivery(body, headers)
        case "timestamped-hmac":
            signature = digest(secret.encode(), b"%d." % at + body).hex()
            return Delivery(body, {"stripe-signature": f"t={at},v1={signature}"})
        case "shared-secret":
            return Delivery(body, {rule.header.lower(): rule.prefix + secret})
        case _:
            return Delivery(body, {}, secret)
