"""Forgeries: near misses of a proof, for each scheme, which must not be accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import time
from collections.abc import Callable, Iterator, Mapping

from tests.chaos.deliveries import ACCOUNTS, REFUSED, TOLERANCE, Account, Proof, prove

LONG_AGO, NOT_YET = -2 * TOLERANCE, 2 * TOLERANCE
ARABIC_DIGITS = "".join(chr(0x660 + int(digit)) for digit in "1768226467").encode()
NO_SUCH_PATH = REFUSED | {404}
"""A URL of another form never reaches the function."""

Forgery = tuple[str, Proof, frozenset[int]]


def forgeries(account: Account, body: bytes) -> list[Forgery]:
    """Return every forgery of a delivery: its name, the proof, and the valid answers."""
    text = [*_of_any(account, body), *_BY_SCHEME[account.scheme](account, body)]
    return [(what, proof, NO_SUCH_PATH if account.scheme == "path-token" else REFUSED) for what, proof in text]


def forge(account: Account, body: bytes, dice: random.Random) -> Forgery:
    """Return one of the forgeries."""
    return dice.choice(forgeries(account, body))


def _value(account: Account, proof: Proof) -> str:
    """Return the proof's text: the header's, or the path's token."""
    return proof.token or str(proof.headers.get(account.header, ""))


def _with(account: Account, proof: Proof, value: str | bytes) -> Proof:
    """Return a proof with another text."""
    if account.scheme == "path-token":
        return Proof(token=value if isinstance(value, str) else "s%C3%AFgnature")
    return Proof({**proof.headers, account.header: value})


def _of_any(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    right = prove(account, body)
    value = _value(account, right)
    wrong = "whsec_d3Jvbmcta2V5" if account.scheme == "standard-webhooks" else "wrong-key"
    yield "another key", prove(account, body, secret=wrong)
    yield "nothing", Proof()
    yield "empty", _with(account, right, "")
    yield "cut short", _with(account, right, value[:-1])
    yield "one more letter", _with(account, right, value + "0")
    yield "half of it", _with(account, right, value[: len(value) // 2])
    yield "not ASCII", _with(account, right, "sïgnature".encode("latin-1"))
    yield "two bytes that are no text", _with(account, right, b"\xff\xfe")
    for word in ("undefined", "null", "true", "0", "[object Object]"):
        yield "a word", _with(account, right, word.replace(" ", "%20") if account.scheme == "path-token" else word)
    for other in ACCOUNTS:
        if other is not account:
            theirs = prove(other, body)
            yield "another connection's", _with(account, right, _value(other, theirs))
            yield "another connection's, as it sends it", theirs


def _hmac_sha256_hex(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    key, right = account.secret.encode(), prove(account, body)
    yield "the right key over other bytes", prove(account, body + b" ")
    yield "the right key over nothing", prove(account, b"")
    yield "no key", _with(account, right, hashlib.sha256(body).hexdigest())
    yield "an empty key", _with(account, right, hmac.new(b"", body, hashlib.sha256).hexdigest())
    yield "key and body swapped", _with(account, right, hmac.new(body, key, hashlib.sha256).hexdigest())
    for name in ("md5", "sha1", "sha384", "sha512"):
        yield "another algorithm", _with(account, right, hmac.new(key, body, name).hexdigest())
    digest = hmac.new(key, body, hashlib.sha256).digest()
    yield "another encoding", _with(account, right, base64.b64encode(digest).decode())
    yield "another scheme's prefix", _with(account, right, f"sha256={digest.hex()}")
    yield "another scheme's form", _with(account, right, f"t={int(time.time())},v1={digest.hex()}")
    yield "two wrong ones", _with(account, right, f"{'0' * 64},{digest.hex()[:-1]}")


def _standard_webhooks(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    right = prove(account, body)
    signature, now = str(right.headers[account.header]), int(time.time())
    yield "the right key over other bytes", prove(account, body + b" ")
    yield "too old", prove(account, body, at=now + LONG_AGO)
    yield "of the future", prove(account, body, at=now + NOT_YET)
    yield "another time than the signed one", Proof({**right.headers, "webhook-timestamp": str(now - 5)})
    for stamp in ("", "-1", f"{now}.0", ARABIC_DIGITS, "9" * 400):
        yield "no time at all", Proof({**right.headers, "webhook-timestamp": stamp})
    yield "another id than the signed one", Proof({**right.headers, "webhook-id": "msg_other"})
    yield "no id", Proof({name: value for name, value in right.headers.items() if name != "webhook-id"})
    for form in (signature.removeprefix("v1,"), "v1a" + signature[2:], "v2" + signature[2:], signature.upper()):
        yield "another version", _with(account, right, form)
    raw = base64.b64encode(hmac.new(account.secret.encode(), body, hashlib.sha256).digest()).decode()
    yield "the secret taken for the key", _with(account, right, f"v1,{raw}")


def _timestamped_hmac(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    now, right = int(time.time()), prove(account, body)
    stamp, _, signature = _value(account, right).partition(",")
    yield "the right key over other bytes", prove(account, body + b" ")
    yield "too old", prove(account, body, at=now + LONG_AGO)
    yield "of the future", prove(account, body, at=now + NOT_YET)
    yield "another time than the signed one", _with(account, right, f"t={now - 5},{signature}")
    yield (
        "an old one with a new time before it",
        _with(account, right, f"t={now},{_value(account, prove(account, body, at=now + LONG_AGO))}"),
    )
    yield "no time at all", _with(account, right, signature)
    yield "no signature", _with(account, right, stamp)
    yield "another version", _with(account, right, f"{stamp},v0={signature.removeprefix('v1=')}")
    bare = hmac.new(account.secret.encode(), body, hashlib.sha256).hexdigest()
    yield "the time left unsigned", _with(account, right, f"{stamp},v1={bare}")
    yield (
        "another algorithm",
        _with(account, right, f"{stamp},v1={hmac.new(account.secret.encode(), body, 'sha1').hexdigest()}"),
    )


def _shared_secret(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    right = prove(account, body)
    yield "in capitals", _with(account, right, account.secret.upper())
    yield "in another header", Proof({"Authorization": f"Bearer {account.secret}"})
    yield "with a prefix", _with(account, right, f"Bearer {account.secret}")
    yield "as a signature", _with(account, right, hmac.new(account.secret.encode(), body, hashlib.sha256).hexdigest())
    yield "twice half of it", _with(account, right, f"{account.secret[:-1]},{account.secret[1:]}")


def _path_token(account: Account, body: bytes) -> Iterator[tuple[str, Proof]]:
    yield "in capitals", Proof(token=account.secret.upper())
    yield "in a header", Proof({"X-Webhook-Token": account.secret})
    yield "in the query", Proof(token=f"?token={account.secret}")
    yield "with a slash", Proof(token=f"{account.secret}/")
    yield "by a detour", Proof(token=f"x/../{account.secret}x")
    yield "as a signature", Proof(token=hmac.new(account.secret.encode(), body, hashlib.sha256).hexdigest())


_BY_SCHEME: Mapping[str, Callable[[Account, bytes], Iterator[tuple[str, Proof]]]] = {
    "hmac-sha256-hex": _hmac_sha256_hex,
    "standard-webhooks": _standard_webhooks,
    "timestamped-hmac": _timestamped_hmac,
    "shared-secret": _shared_secret,
    "path-token": _path_token,
}
