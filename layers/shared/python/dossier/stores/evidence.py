"""Deliveries as received: stored in S3 before anything parses them, so that each can be verified and applied again."""

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
from dossier.layout import DELIVERIES, DELIVERIES_REFUSED, DELIVERIES_SEEN
from dossier.redactions import ERASED, without

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3.client import S3Client

NO_CONNECTION = "-"
"""Stands for the connection of a delivery that names an unknown one."""
REFUSED_PER_MINUTE = 30
"""Rejected deliveries of a connection that are stored per minute, across all instances of the function."""
REFUSED_BYTES = 16 << 10
"""Bytes of a rejected body that are stored. Most deliveries are smaller, so they can be verified later."""
WINDOW = timedelta(hours=2)
"""For how long a repeated delivery is recognized. DocuStack stops retrying after 36 minutes."""
ABANDONED = timedelta(seconds=25)
"""Age after which the function that began a delivery without queuing it has died: it runs for at most 20 seconds."""
_LOOKS = (0.2, 0.4, 0.6)
"""Seconds between checks of a delivery that another function is working on."""
_LONGEST_HEADER, _LONGEST_HEADERS = 1024, 8192
"""Characters of one header, and of all headers, that are stored of a rejected delivery."""
_SLOTS_TRIED = 10
"""Names tried for one rejected delivery. It is certainly stored while a third of the minute's names is unused."""
_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T\d{12}-[0-9a-f]{16}")
_REFUSED_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d{4})-(\d\d)")
_TIME, _MINUTE = "%Y%m%dT%H%M%S%f", "%Y%m%dT%H%M"
_MINUTE_LENGTH = len("20260131T1200")
_OF_THE_BODY = frozenset({"content-encoding", "content-length", "content-md5", "digest", "transfer-encoding"})
"""Headers that are no longer true once a body was redacted."""
_OPTIONAL = ("cause", "detail", "size", "digest", "asked", "sha256", "redacted_at")
_CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_UNSEEN = {"404", "NoSuchKey", "NotFound", "403", "AccessDenied", "Forbidden"}
"""S3's error codes for a missing object; the last three for a caller that may not list the bucket."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One delivery: exact ``body``, ``headers`` as received, ``verdict`` and ``received_at`` (ISO 8601).

    A rejected one has its ``cause`` (``dossier.refusals``), the full ``size`` in bytes and the ``sha256`` of the whole
    body; ``asked`` is the unknown connection name in its URL. ``redacted_at`` is when the data of an erased case was
    removed.
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
    sha256: str = ""
    redacted_at: str = ""

    @property
    def content(self) -> bytes:
        """The body, decompressed."""
        return content(self.body, self.headers)

    @property
    def whole(self) -> bool:
        """Whether the whole body is stored."""
        return self.size <= len(self.body)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this function stores under ``key`` and queues; if ``known``, an earlier one already did."""

    connection: str
    digest: str
    key: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The note of a delivery: its key, when it arrived, whether it was queued, how often it was repeated."""

    key: str
    at: datetime
    queued: bool
    repeats: int
    etag: str


class EvidenceStore:
    """Stores accepted and rejected deliveries in the artifact bucket.

    Accepted ones are in ``webhooks/<connection>/<yyyy>/<mm>/<dd>/<id>.json``, rejected ones in ``webhooks-refused/…``.

    With ``lock_days`` an accepted delivery cannot be deleted or replaced for that many days (S3 Object Lock in
    governance mode; no function has ``s3:BypassGovernanceRetention``).

    Anybody can cause rejected ones: they are cut, expire, and are never locked. Each minute has
    ``REFUSED_PER_MINUTE`` names for them, and S3 allows each name to be written once, so all instances together store
    no more.

    ``webhooks-seen/<connection>/<digest>`` notes a delivery that was stored and queued, so that a repetition is
    recognized. The note is first written as begun, which S3 lets one function do, and last as queued. If the function
    dies in between, the next try takes over the note.
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
        """Store a delivery and return its key, by default a new one. Ids sort by time."""
        at = at or datetime.now(UTC)
        key = key or _key(connection, at, secrets.token_hex(8))
        lock: dict[str, Any] = {}
        if self._lock_days:
            # S3 takes a lock only together with a checksum of the object.
            until = at + timedelta(days=self._lock_days)
            lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ChecksumAlgorithm": "CRC32"}
        data = {
            "connection": connection,
            "received_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "verdict": verdict,
            "headers": dict(headers),
            "body_base64": base64.b64encode(body).decode(),
            **({"digest": digest} if digest else {}),
        }
        text = json.dumps(data, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text, ContentType="application/json", **lock)
        return key

    def claim(self, connection: str, digest: str, *, at: datetime | None = None) -> Claim:
        """Claim a delivery; the claim has the key to store it under, or says that it is known already."""
        at = at or datetime.now(UTC)
        claim = Claim(connection, digest, _key(connection, at, digest[:16]))
        if self._note(claim, at, IfNoneMatch="*"):
            return claim
        for pause in _LOOKS:
            seen = self.seen(connection, digest)
            if seen is None:  # the note is gone or unreadable; applying a delivery twice is harmless
                return claim
            if seen.queued and at - seen.at < WINDOW:
                return Claim(connection, digest, seen.key, known=True)
            again = claim if seen.queued else Claim(connection, digest, seen.key)
            if (seen.queued or at - seen.at >= ABANDONED) and self._note(again, at, IfMatch=seen.etag):
                return again
            self._pause(pause)
        return Claim(connection, digest, seen.key) if seen and not seen.queued else claim

    def finish(self, claim: Claim, *, at: datetime | None = None) -> None:
        """Note that a claimed delivery is stored and queued: from now on it is known."""
        self._note(claim, at or datetime.now(UTC), queued=True)

    def seen(self, connection: str, digest: str) -> Seen | None:
        """Return a delivery's note, or None."""
        try:
            found = self._s3.head_object(Bucket=self._bucket, Key=seen_key(connection, digest))
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
        """Count a repetition of a known delivery; one of several at the same moment may go uncounted."""
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
        # The random part gives each version of a note its own ETag.
        text = json.dumps([noted, secrets.token_hex(8)]).encode()
        key = seen_key(claim.connection, claim.digest)
        return self._held(Key=key, Body=text, Metadata=noted, **when)

    # Rejected deliveries

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
        """Store a rejected delivery, cut, and return its key; None if this minute's names are used up."""
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
            key = f"{DELIVERIES_REFUSED}{folder}/{at:%Y/%m/%d}/{at.strftime(_MINUTE)}-{slot:02}.json"
            if self._held(Key=key, Body=text, ContentType="application/json", IfNoneMatch="*"):
                return key
        return None

    def _free(self, connection: str, minute: str) -> Iterator[int]:
        """Yield names of this minute that this instance has not tried yet, in random order."""
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

    # Reading

    def adopt(self, evidence: Evidence, digest: str) -> str:
        """Store a rejected delivery that was verified later as accepted; return its key. Idempotent."""
        at = datetime.fromisoformat(evidence.received_at)
        key = _key(evidence.connection, at, digest[:16])
        return self.keep(
            evidence.connection, "accepted", evidence.body, evidence.headers, key=key, digest=digest, at=at
        )

    def read(self, key: str, *, version_id: str | None = None) -> Evidence:
        """Return a stored delivery, or a version of it."""
        version: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        data = json.loads(self._s3.get_object(Bucket=self._bucket, Key=key, **version)["Body"].read())
        return Evidence(
            connection=data["connection"],
            verdict=data["verdict"],
            body=base64.b64decode(data["body_base64"]),
            headers=data["headers"],
            received_at=data["received_at"],
            **{name: data[name] for name in _OPTIONAL if name in data},
        )

    def redact(self, key: str, evidence: Evidence, named: re.Pattern[str]) -> None:
        """Store a delivery anew without the parts that ``named`` finds; its signature no longer matches.

        The former versions stay until they are erased.
        """
        headers = {name: named.sub(ERASED, value) for name, value in evidence.headers.items()}
        body = without(evidence.content, named)
        data = {
            "connection": evidence.connection,
            "received_at": evidence.received_at,
            "verdict": evidence.verdict,
            "cause": evidence.cause,
            "detail": named.sub(ERASED, evidence.detail),
            "asked": evidence.asked,
            "size": evidence.size,
            "redacted_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "headers": {name: value for name, value in headers.items() if name.lower() not in _OF_THE_BODY},
            "body_base64": base64.b64encode(body).decode(),
        }
        text = json.dumps(data, indent=1).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text, ContentType="application/json")

    def forget_refused(self, key: str) -> None:
        """Delete a rejected delivery that Dossier sent itself.

        Raises:
            ValueError: the key is not that of a rejected delivery.

        """
        if not key.startswith(DELIVERIES_REFUSED):
            raise ValueError(f"{key} is not a rejected delivery")
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def find(self, key: str) -> Evidence | None:
        """Return a stored delivery, or None."""
        try:
            return self.read(key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return None

    def list(self, connection: str, *, since: datetime | None = None, refused_only: bool = False) -> Iterator[str]:
        """Yield the keys of a connection's deliveries, accepted and rejected, latest first, back to ``since``."""
        prefixes = (DELIVERIES_REFUSED,) if refused_only else (DELIVERIES, DELIVERIES_REFUSED)
        found = (self._below(f"{prefix}{connection}/", since) for prefix in prefixes)
        yield from heapq.merge(*found, key=id_of, reverse=True)

    def accepted_after(self, connection: str, since: datetime) -> Iterator[str]:
        """Yield the keys of a connection's verified deliveries that came after ``since``, in the order of arrival."""
        folder, at = f"{DELIVERIES}{connection}/", since.astimezone(UTC)
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=folder, StartAfter=f"{folder}{at:%Y/%m/%d}/{at.strftime(_TIME)}"
        )
        yield from (each["Key"] for page in pages for each in page.get("Contents", []))

    def _below(self, prefix: str, since: datetime | None) -> Iterator[str]:
        earliest = since.astimezone(UTC).strftime(_TIME) if since else ""
        for year in self._folders(prefix):
            for month in self._folders(year):
                for day in self._folders(month):
                    pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=day)
                    keys = (each["Key"] for page in pages for each in page.get("Contents", []))
                    for key in sorted(keys, reverse=True):
                        own = id_of(key)
                        if own[:_MINUTE_LENGTH] < earliest[:_MINUTE_LENGTH] or (_ID.fullmatch(own) and own < earliest):
                            return
                        yield key

    def _folders(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        yield from sorted((each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])), reverse=True)


def id_of(key: str) -> str:
    """Return a delivery's id: ``<time>-<digest, random part or slot>``, so that ids sort by time."""
    return key.rpartition("/")[2].removesuffix(".json")


def minute_of(key: str) -> str:
    """Return the minute of a delivery's arrival, as text that sorts."""
    return id_of(key)[:_MINUTE_LENGTH]


def key_of(connection: str, id: str) -> str | None:  # noqa: A002 -- the operator's word
    """Return the key of a delivery by its id; None if the id is malformed."""
    prefix, found = DELIVERIES, _ID.fullmatch(id)
    if found is None:
        prefix, found = DELIVERIES_REFUSED, _REFUSED_ID.fullmatch(id)
    return f"{prefix}{connection}/{found[1]}/{found[2]}/{found[3]}/{id}.json" if found else None


def _key(connection: str, at: datetime, suffix: str) -> str:
    return f"{DELIVERIES}{connection}/{at:%Y/%m/%d}/{at.strftime(_TIME)}-{suffix}.json"


def seen_key(connection: str, digest: str) -> str:
    """Return the key of the note by which a repeated delivery is recognized."""
    return f"{DELIVERIES_SEEN}{connection}/{digest}"


def _cut(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers cut to the limits; those that carry signatures come first."""
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
