"""Deliveries as they came: kept in S3 before anything parses them, so that each can be verified and applied again."""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from dossier.bodies import content

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3.client import S3Client

ACCEPTED, REFUSED, SEEN = "webhooks/", "webhooks-refused/", "webhooks-seen/"
NO_CONNECTION = "-"
"""In place of a connection where a delivery named none that there is."""
REFUSED_PER_MINUTE = 30
"""Refused deliveries of a connection that are kept a minute, however many instances of the function there are."""
REFUSED_BYTES = 16 << 10
"""Bytes of a refused body that are kept: those of most deliveries are less, and can be verified later."""
WINDOW = timedelta(hours=2)
"""How long the same delivery is known when it comes again. DocuStack gives up after 36 minutes."""
ABANDONED = timedelta(seconds=25)
"""Age of a delivery that was begun and never queued after which its function is gone: it runs for 20 seconds."""
_LOOKS = (0.2, 0.4, 0.6)
"""Seconds between looks at a delivery that another function is at work on."""
_LONGEST_HEADER, _LONGEST_HEADERS = 1024, 8192
"""Characters of one header, and of all, that are kept of a refused delivery."""
_SLOTS_TRIED = 10
"""Names tried for one refused delivery: it is kept for sure while less than a third of a minute's names are used."""
_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T\d{12}-[0-9a-f]{16}")
_REFUSED_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d{4})-(\d\d)")
_TIME, _MINUTE = "%Y%m%dT%H%M%S%f", "%Y%m%dT%H%M"
_MINUTE_LENGTH = len("20260131T1200")
_CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_UNSEEN = {"404", "NoSuchKey", "NotFound", "403", "AccessDenied", "Forbidden"}
"""How S3 answers for what is not there; the second half to who may not list the bucket."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One delivery: exact ``body``, ``headers`` as received, ``verdict`` and when it came (ISO 8601).

    A refused one has its ``cause`` (``dossier.refusals``), and ``size`` where more came than was kept; ``asked`` is the
    connection's name in a URL that names none.
    """

    connection: str
    verdict: str
    body: bytes
    headers: Mapping[str, str]
    received_at: str
    cause: str = ""
    detail: str = ""
    size: int = 0
    digest: str = ""
    asked: str = ""

    @property
    def content(self) -> bytes:
        """What the delivery says: its body, unpacked."""
        return content(self.body, self.headers)

    @property
    def whole(self) -> bool:
        """Whether all of it was kept."""
        return self.size <= len(self.body)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is this function's to keep and to queue, under ``key``; or one that was, if it is ``known``."""

    connection: str
    digest: str
    key: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is noted of a delivery: its key, when it came, whether it was queued, how often it came again."""

    key: str
    at: datetime
    queued: bool
    repeats: int
    etag: str


class EvidenceStore:
    """Keeps deliveries in the artifact bucket, the accepted and the refused ones.

    Accepted ones lie in ``webhooks/<connection>/<yyyy>/<mm>/<dd>/<id>.json``, refused ones in ``webhooks-refused/…``.

    For ``lock_days`` after it came nobody can delete or replace an accepted delivery, if that is not 0 (S3 Object Lock
    in governance mode: only somebody with ``s3:BypassGovernanceRetention`` could, and no function has that).

    Refused ones are what strangers send: they are cut, expire, and are never locked. A minute has
    ``REFUSED_PER_MINUTE`` names for them, each of which S3 lets be written once, so all instances keep no more.

    ``webhooks-seen/<connection>/<digest>`` notes a delivery that was kept and queued, so that it is known when it comes
    again. It is written first as begun, which S3 lets one function do, and last as queued: one that dies in between
    leaves a note that the next try takes over.
    """

    def __init__(
        self, s3: S3Client, bucket: str, *, lock_days: int = 0, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._lock_days = lock_days
        self._pause = pause
        self._slots: dict[str, tuple[str, list[int]]] = {}

    # Accepted deliveries

    def keep(
        self,
        connection: str,
        verdict: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        key: str = "",
        digest: str = "",
        at: datetime | None = None,
    ) -> str:
        """Store a delivery and return its key; by default one of its own. Ids sort by time."""
        at = at or datetime.now(UTC)
        key = key or _key(connection, at, secrets.token_hex(8))
        data = {
            "connection": connection,
            "received_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "verdict": verdict,
            "headers": dict(headers),
            "body_base64": base64.b64encode(body).decode(),
            **({"digest": digest} if digest else {}),
        }
        self._put(key, data, **self._lock(at))
        return key

    def claim(self, connection: str, digest: str, *, at: datetime | None = None) -> Claim:
        """Take a delivery: what is returned says under which key it is to be kept, or that it is known already."""
        at = at or datetime.now(UTC)
        claim = Claim(connection, digest, _key(connection, at, digest[:16]))
        if self._note(claim, at, IfNoneMatch="*"):
            return claim
        for pause in _LOOKS:
            seen = self.seen(connection, digest)
            if seen is None:  # it went meanwhile, or cannot be read: to apply a delivery again does no harm
                return claim
            if seen.queued and at - seen.at < WINDOW:
                return Claim(connection, digest, seen.key, known=True)
            again = claim if seen.queued else Claim(connection, digest, seen.key)
            if (seen.queued or at - seen.at >= ABANDONED) and self._note(again, at, IfMatch=seen.etag):
                return again
            self._pause(pause)
        return Claim(connection, digest, seen.key) if seen and not seen.queued else claim

    def finish(self, claim: Claim, *, at: datetime | None = None) -> None:
        """Note that a claimed delivery is kept and queued: from now on it is known."""
        self._note(claim, at or datetime.now(UTC), queued=True)

    def seen(self, connection: str, digest: str) -> Seen | None:
        """Return what is noted of a delivery; None if nothing is."""
        try:
            found = self._s3.head_object(Bucket=self._bucket, Key=_note_key(connection, digest))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNSEEN:
                raise
            return None
        noted = found["Metadata"]
        try:
            at = datetime.fromtimestamp(float(noted["at"]), UTC)
            return Seen(noted["key"], at, noted["queued"] == "yes", int(noted["repeats"]), found["ETag"])
        except (KeyError, ValueError, OverflowError):
            return None

    def repeated(self, claim: Claim) -> None:
        """Count a known delivery that came again; of several at the same moment one may go uncounted."""
        seen = self.seen(claim.connection, claim.digest)
        if seen is not None:
            self._note(claim, seen.at, queued=True, repeats=seen.repeats + 1, IfMatch=seen.etag)

    def _note(self, claim: Claim, at: datetime, *, queued: bool = False, repeats: int = 0, **when: str) -> bool:
        """Write a delivery's note; return False if ``when`` did not hold."""
        noted = {
            "key": claim.key,
            "at": str(at.timestamp()),
            "queued": "yes" if queued else "no",
            "repeats": str(repeats),
        }
        # Each note is an object of its own content, so that no two have one ETag.
        text = json.dumps([noted, secrets.token_hex(8)]).encode()
        key = _note_key(claim.connection, claim.digest)
        return self._held(Key=key, Body=text, Metadata=noted, **when)

    # Refused deliveries

    def refuse(
        self,
        connection: str | None,
        cause: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        detail: str = "",
        asked: str = "",
        at: datetime | None = None,
    ) -> str | None:
        """Store what is left of a refused delivery and return its key; None if this minute's share is used up."""
        at, folder = at or datetime.now(UTC), connection or NO_CONNECTION
        data = {
            "connection": folder,
            "received_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "verdict": "refused",
            "cause": cause,
            "detail": detail,
            "asked": asked,
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "headers": _cut(headers),
            "body_base64": base64.b64encode(body[:REFUSED_BYTES]).decode(),
        }
        text = json.dumps(data, indent=1).encode()
        for slot in self._free(folder, at.strftime(_MINUTE)):
            key = _refused_key(folder, at, slot)
            if self._held(Key=key, Body=text, ContentType="application/json", IfNoneMatch="*"):
                return key
        return None

    def _free(self, connection: str, minute: str) -> Iterator[int]:
        """Yield names of this minute that this instance has not tried yet, in an order that no other instance has."""
        for _ in range(_SLOTS_TRIED):
            last, left = self._slots.get(connection, ("", []))
            if last != minute:
                left = secrets.SystemRandom().sample(range(REFUSED_PER_MINUTE), REFUSED_PER_MINUTE)
                self._slots[connection] = (minute, left)
            if not left:
                return
            yield left.pop()

    def _held(self, **put: Any) -> bool:
        try:
            self._s3.put_object(Bucket=self._bucket, **put)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CONFLICT:
                raise
            return False
        return True

    def _put(self, key: str, data: Mapping[str, Any], **more: Any) -> None:
        text = json.dumps(data, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text, ContentType="application/json", **more)

    def _lock(self, at: datetime) -> dict[str, Any]:
        if not self._lock_days:
            return {}
        until = at + timedelta(days=self._lock_days)
        # S3 takes a lock only together with a checksum of the object.
        return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ChecksumAlgorithm": "CRC32"}

    # Reading

    def adopt(self, evidence: Evidence, digest: str) -> str:
        """Keep a refused delivery that was proven later as accepted; return its key, the same however often."""
        at = datetime.fromisoformat(evidence.received_at)
        key = _key(evidence.connection, at, digest[:16])
        return self.keep(
            evidence.connection, "accepted", evidence.body, evidence.headers, key=key, digest=digest, at=at
        )

    def read(self, key: str) -> Evidence:
        """Return a delivery that was kept."""
        data = json.loads(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        return Evidence(
            connection=data["connection"],
            verdict=data["verdict"],
            body=base64.b64decode(data["body_base64"]),
            headers=data["headers"],
            received_at=data["received_at"],
            **{name: data[name] for name in ("cause", "detail", "size", "digest", "asked") if name in data},
        )

    def forget_refused(self, key: str) -> None:
        """Delete a refused delivery: one that Dossier has sent itself.

        Raises:
            ValueError: it is no refused one.

        """
        if not key.startswith(REFUSED):
            raise ValueError(f"{key} is no refused delivery")
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def find(self, key: str) -> Evidence | None:
        """Return a delivery that was kept, or None."""
        try:
            return self.read(key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return None

    def list(self, connection: str, *, since: datetime | None = None, refused_only: bool = False) -> Iterator[str]:
        """Yield the keys of a connection's deliveries, accepted and refused, the latest first, back to ``since``."""
        prefixes = (REFUSED,) if refused_only else (ACCEPTED, REFUSED)
        found = (self._below(f"{prefix}{connection}/", since) for prefix in prefixes)
        yield from heapq.merge(*found, key=id_of, reverse=True)

    def _below(self, prefix: str, since: datetime | None) -> Iterator[str]:
        earliest = since.astimezone(UTC).strftime(_TIME) if since else ""
        for year in self._folders(prefix):
            for month in self._folders(year):
                for day in self._folders(month):
                    for key in self._keys(day):
                        own = id_of(key)
                        if own[:_MINUTE_LENGTH] < earliest[:_MINUTE_LENGTH] or (_ID.fullmatch(own) and own < earliest):
                            return
                        yield key

    def _folders(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        yield from sorted((each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])), reverse=True)

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        yield from sorted((each["Key"] for page in pages for each in page.get("Contents", [])), reverse=True)


def id_of(key: str) -> str:
    """Return a delivery's id: ``<when it came>-<what tells it apart>``, so that ids sort by time."""
    return key.rpartition("/")[2].removesuffix(".json")


def minute_of(key: str) -> str:
    """Return the minute that a delivery came in, as text that sorts."""
    return id_of(key)[:_MINUTE_LENGTH]


def key_of(connection: str, id: str) -> str | None:  # noqa: A002 -- the operator's word
    """Return the key of a delivery by its id; None if that is no id."""
    prefix, found = ACCEPTED, _ID.fullmatch(id)
    if found is None:
        prefix, found = REFUSED, _REFUSED_ID.fullmatch(id)
    return f"{prefix}{connection}/{found[1]}/{found[2]}/{found[3]}/{id}.json" if found else None


def _key(connection: str, at: datetime, suffix: str) -> str:
    return f"{ACCEPTED}{connection}/{at:%Y/%m/%d}/{at.strftime(_TIME)}-{suffix}.json"


def _refused_key(connection: str, at: datetime, slot: int) -> str:
    return f"{REFUSED}{connection}/{at:%Y/%m/%d}/{at.strftime(_MINUTE)}-{slot:02}.json"


def _note_key(connection: str, digest: str) -> str:
    return f"{SEEN}{connection}/{digest}"


def _cut(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without what is too much of them; those that deliveries are proven by come first."""
    kept: dict[str, str] = {}
    left = _LONGEST_HEADERS
    for name, value in sorted(
        headers.items(), key=lambda each: "signature" not in each[0] and "webhook" not in each[0]
    ):
        short = value[:_LONGEST_HEADER]
        left -= len(name) + len(short)
        if left < 0:
            break
        kept[name[:_LONGEST_HEADER]] = short
    return kept
