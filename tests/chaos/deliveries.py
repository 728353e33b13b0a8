"""Deliveries for the webhook: five connections of three vendors, each proven by its own scheme."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TOLERANCE = 3600
"""How old a signed time may be, in seconds: the longest there is, so that the suite may take its time."""
ACCEPTED, REFUSED, TOO_LARGE = frozenset({200}), frozenset({401}), frozenset({413})
AS_TEXT = ("text/", "application/json", "application/xml", "application/javascript")
"""Content types whose bodies API Gateway hands on as text, in which bytes that are not UTF-8 are replaced."""


@dataclass(frozen=True, slots=True)
class Account:
    """A connection as its vendor knows it: how deliveries are proven; ``most`` is its limit in bytes."""

    connection: str
    vendor: str
    scheme: str
    header: str
    secret: str
    most: int = 1_048_576

    @property
    def webhook(self) -> str:
        """The connection's ``webhook`` setting."""
        header = f'header = "{self.header}", ' if self.header else ""
        return f'{{ scheme = "{self.scheme}", {header}tolerance = {TOLERANCE}, max_bytes = {self.most} }}'


ACCOUNTS = (
    Account("invoices", "docustack", "hmac-sha256-hex", "X-DocuStack-Signature", "invoices-hook-5d1e"),
    Account("scans", "docustack", "standard-webhooks", "webhook-signature", "whsec_c2NhbnMtaG9vay03NzRi", 4_000_000),
    Account("claims", "docsumo", "shared-secret", "X-Webhook-Token", "claims-hook-91c0"),
    Account("letters", "docsumo", "path-token", "", "letters-hook-2fa8"),
    Account("disputes", "ombudsman", "timestamped-hmac", "X-Relay-Signature", "disputes-hook-c3d7"),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of a delivery: headers, and for ``path-token`` the end of the URL's path."""

    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    token: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a connection's webhook URL, and the valid statuses of its answer.

    ``mark`` is an unknown id in the body that no other delivery has: once the delivery is applied,
    the table has a note for it. So the table shows each one that is lost, or applied although it is forged.
    """

    kind: str
    what: str
    connection: str
    body: bytes
    proof: Proof
    answers: frozenset[int] = ACCEPTED
    mark: str = ""
    content_type: str | None = "application/json"
    chunked: bool = False

    @property
    def kept(self) -> str:
        """SHA-256 of the bytes that reach Dossier, and that it has to store."""
        text = (self.content_type or "").lower().startswith(AS_TEXT)
        return hashlib.sha256(self.body.decode(errors="replace").encode() if text else self.body).hexdigest()


def prove(account: Account, body: bytes, *, secret: str | None = None, at: float | None = None) -> Proof:
    """Prove a delivery as the vendor does; optionally with another ``secret`` or time."""
    key, stamp = account.secret if secret is None else secret, str(int(time.time() if at is None else at))
    return _PROOFS[account.scheme](account, body, key, stamp)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _hmac_sha256_hex(account: Account, body: bytes, key: str, _stamp: str) -> Proof:
    return Proof({account.header: _hmac(key.encode(), body).hex()})


def _standard_webhooks(account: Account, body: bytes, key: str, stamp: str) -> Proof:
    name = f"msg_{hashlib.sha256(body).hexdigest()[:16]}"
    secret = base64.b64decode(key.removeprefix("whsec_"))
    signature = base64.b64encode(_hmac(secret, f"{name}.{stamp}.".encode() + body)).decode()
    return Proof({"webhook-id": name, "webhook-timestamp": stamp, account.header: f"v1,{signature}"})


def _timestamped_hmac(account: Account, body: bytes, key: str, stamp: str) -> Proof:
    return Proof({account.header: f"t={stamp},v1={_hmac(key.encode(), f'{stamp}.'.encode() + body).hex()}"})


def _shared_secret(account: Account, _body: bytes, key: str, _stamp: str) -> Proof:
    return Proof({account.header: key})


def _path_token(_account: Account, _body: bytes, key: str, _stamp: str) -> Proof:
    return Proof(token=key)


_PROOFS: Mapping[str, Callable[[Account, bytes, str, str], Proof]] = {
    "hmac-sha256-hex": _hmac_sha256_hex,
    "standard-webhooks": _standard_webhooks,
    "timestamped-hmac": _timestamped_hmac,
    "shared-secret": _shared_secret,
    "path-token": _path_token,
}


@dataclass(frozen=True, slots=True)
class Target:
    """The subject of a delivery: a case, by its vendor's ids."""

    connection: str
    reference: str
    document_id: str
    job_id: str = ""
    case_id: str = ""


def words(account: Account, mark: str, target: Target | None, event: str, *, padding: int = 0) -> bytes:
    """Build a delivery in the vendor's form, about a case or an unknown id, with a mark and that many more bytes."""
    if account.vendor == "docustack":
        about = {"document_id": target.document_id, "job_id": target.job_id} if target else {}
        data = {"event": event, **about, "data": {"document_id": mark}}
    elif account.vendor == "docsumo":
        about = {"case_id": target.case_id} if target else {}
        data = {"event": event, "data": {**about, "doc_id": mark}}
    else:
        about = {"case_id": target.case_id} if target else {}
        data = {"event": event, **about, "data": {"document_id": mark}}
    text = json.dumps(data)
    return (text[:-1] + ', "note": "' + "x" * padding + '"}\r\n' if padding else text).encode()
