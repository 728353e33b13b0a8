"""A signed test delivery, as a vendor with a connection's webhook settings would send it, marked as a probe."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from secrets import token_hex
from urllib.parse import quote

from dossier.settings import Webhook
from dossier.signatures import Delivery, Rule, standard_key, verify
from dossier.steps.webhook import PROBE, PROBE_KEY


def signed(webhook: Webhook, secret: str, url: str) -> tuple[str, bytes, dict[str, str]]:
    """Return the URL, the body and the headers of a test delivery that a secret proves.

    Raises:
        ValueError: the secret can prove nothing with this scheme.

    """
    rule = Rule(webhook.scheme, webhook.header or "", webhook.prefix, webhook.tolerance)
    body, stamp = json.dumps({PROBE_KEY: token_hex(8)}).encode(), str(int(time.time()))
    headers, token = {"content-type": "application/json", PROBE: token_hex(8)}, ""
    match rule.scheme:
        case "hmac-sha256-hex":
            headers[rule.header.lower()] = rule.prefix + _digest(secret.encode(), body).hex()
        case "standard-webhooks":
            name = rule.header.lower() or "webhook-signature"
            headers |= {"webhook-id": f"msg_{token_hex(8)}", "webhook-timestamp": stamp}
            signed_text = f"{headers['webhook-id']}.{stamp}.".encode() + body
            headers[name] = "v1," + base64.b64encode(_digest(standard_key(secret), signed_text)).decode()
        case "timestamped-hmac":
            proof = _digest(secret.encode(), f"{stamp}.".encode() + body).hex()
            headers[rule.header.lower() or "stripe-signature"] = f"t={stamp},v1={proof}"
        case "shared-secret":
            headers[rule.header.lower()] = rule.prefix + secret
        case "path-token":
            token, url = secret, f"{url}/{quote(secret, safe='')}"
    if not verify(rule, Delivery(body, headers, token), [secret]):
        raise ValueError(f"the webhook secret proves nothing with scheme {rule.scheme}")
    return url, body, headers


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
