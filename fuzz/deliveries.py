"""The target of deliveries that anybody can send to the webhook."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dossier.refusals import ADVICE
from dossier.steps.webhook import MAX_BYTES, Webhook
from fuzz.promises import check

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
STAMP = str(int(NOW))
KEY = b"secret-of-the-fuzzer"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
LIMIT = 2000
"""The largest body, in bytes, that these connections accept."""
RULES = {
    "github": {"scheme": "hmac-sha256-hex", "header": "X-Hub-Signature-256", "prefix": "sha256="},
    "standard": {"scheme": "standard-webhooks"},
    "stripe": {"scheme": "timestamped-hmac"},
    "shared": {"scheme": "shared-secret", "header": "X-Token"},
    "path": {"scheme": "path-token"},
}
CONNECTIONS = (*RULES, "nobody")
SENDS_THE_SECRET = frozenset({"shared", "path"})
SIGNED, IN_BASE64, WHOLE, PACKED, TWICE = 1, 2, 4, 8, 16
"""The flags in the second byte."""
HEADERS = (
    *("x-hub-signature-256", "webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "x-token"),
)


class Paper:
    """Stores nothing, but serializes everything as for S3."""

    key, digest, known = "key", "digest", False

    def claim(self, connection: str, digest: str, *, at: datetime) -> Paper:
        """Return itself: every delivery is new."""
        json.dumps([connection, digest, at.isoformat()])
        return self

    def keep(  # noqa: D102
        self,
        connection: str,
        verdict: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        key: str,
        digest: str,
        at: datetime,
    ) -> str:
        json.dumps([connection, verdict, dict(headers), body.hex(), key, digest, at.isoformat()]).encode()
        return key

    def finish(self, claim: Paper, *, at: datetime) -> None:
        """Record nothing."""

    def repeated(self, claim: Paper) -> None:
        """Count nothing."""

    def refuse(
        self,
        connection: str | None,
        cause: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        detail: str,
        asked: str,
        at: datetime,
    ) -> str | None:
        """Record a rejected delivery; there is advice for each cause."""
        check(cause in ADVICE, f"no such cause: {cause}")
        check(detail.isprintable() and asked.isprintable(), f"not one line: {detail!r} {asked!r}")
        return self.keep(connection or "", cause, body, headers, key=detail, digest=asked, at=at)


def _settings(name: str) -> dict[str, Any] | None:
    return {"prefix": "", "tolerance": 300, "max_bytes": LIMIT, **RULES[name]} if name in RULES else None


def _enqueue(message: Mapping[str, str]) -> None:
    json.dumps(message).encode()


def webhook(data: bytes) -> None:
    """Answer a delivery: 200 if its secret proves it, otherwise 401 or 413; no other status.

    With ``PACKED`` the vendor compresses the signed body; ``TWICE`` sends each header twice, as a gateway joins them.

    The first byte picks the connection, the second has the flags; then come a line, which is the value of every header,
    and the body. With ``WHOLE`` the rest is API Gateway's event itself, as JSON.
    """
    door = Webhook(
        settings_of=_settings,
        secrets_of=lambda _name, _fresh: [SECRET],
        evidence=Paper,
        enqueue=_enqueue,
        clock=lambda: NOW,
    )
    pick, flags = (*data[:2], 0, 0)[:2]
    if flags & WHOLE:
        status, _ = door.answer(_event(data[2:]))
        check(status in {200, 401, 413}, f"answered {status}")
        return
    name, (line, _, rest) = CONNECTIONS[pick % len(CONNECTIONS)], data[2:].partition(b"\n")
    text, signed, packed = line.decode("latin-1"), bool(flags & SIGNED), bool(flags & PACKED)
    content = rest if flags & IN_BASE64 or packed else rest.decode("utf-8", "replace").encode()
    body = gzip.compress(content, 1, mtime=0) if packed else content
    headers = _signed(name, content) if signed else dict.fromkeys(HEADERS, text)
    event = {
        "pathParameters": {"connection": name, "token": SECRET if signed else text},
        "headers": {key: f"{value},{value}" if flags & TWICE else value for key, value in headers.items()},
        "body": base64.b64encode(body).decode() if flags & IN_BASE64 or packed else body.decode(),
        "isBase64Encoded": bool(flags & IN_BASE64) or packed,
    }
    status, _ = door.answer(event)
    size = len(body) if name in SENDS_THE_SECRET else max(len(body), len(content))
    sent = SECRET in {text, *(each.strip() for each in text.split(","))}
    proven = name in RULES and (signed or (name in SENDS_THE_SECRET and sent))
    expected = 413 if len(body) > MAX_BYTES else 401 if not proven else 413 if size > LIMIT else 200
    check(status == expected, f"{name}: answered {status}, not {expected}")


def _signed(name: str, body: bytes) -> dict[str, str]:
    """Return the headers of the scheme's specification."""
    standard = hmac.new(KEY, b"id." + STAMP.encode() + b"." + body, hashlib.sha256).digest()
    stripe = hmac.new(SECRET.encode(), STAMP.encode() + b"." + body, hashlib.sha256).hexdigest()
    plain = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    signature = f"v1,{base64.b64encode(standard).decode()}"
    return {
        "github": {"x-hub-signature-256": f"sha256={plain}"},
        "standard": {"webhook-id": "id", "webhook-timestamp": STAMP, "webhook-signature": signature},
        "stripe": {"stripe-signature": f"t={STAMP},v1={stripe}"},
        "shared": {"x-token": SECRET},
    }.get(name, {})


def _event(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
