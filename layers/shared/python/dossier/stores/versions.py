"""Erase objects of the artifact bucket for good: every version and delete marker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

AT_ONCE = 1000
"""Most versions that one request deletes (S3: DeleteObjects)."""
HELD = "until its legal hold ends"
_GONE = {"404", "NoSuchKey", "NoSuchVersion", "NotFound"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker (of no size)."""

    key: str
    version_id: str
    size: int = 0
    marker: bool = False
    latest: bool = False


@dataclass(slots=True)
class Erased:
    """The erased versions, and those that S3 Object Lock protects, with the end of their locks."""

    versions: int = 0
    bytes: int = 0
    locked: dict[str, str] = field(default_factory=dict)
    """By key, when its last lock ends, in ISO 8601, or ``HELD``."""

    def add(self, other: Erased) -> None:
        """Add the result of another call."""
        self.versions += other.versions
        self.bytes += other.bytes
        self.locked.update(other.locked)


class Versions:
    """The versions of the artifact bucket's objects."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def below(self, prefix: str) -> Iterator[Version]:
        """Yield every version and delete marker under a prefix."""
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
            for each in page.get("Versions", []):
                yield Version(each["Key"], each["VersionId"], each["Size"], latest=each["IsLatest"])
            for marker in page.get("DeleteMarkers", []):
                yield Version(marker["Key"], marker["VersionId"], marker=True, latest=marker["IsLatest"])

    def of(self, key: str) -> list[Version]:
        """Return every version and delete marker of one object."""
        return [each for each in self.below(key) if each.key == key]

    def erase(self, prefix: str, *, when: Callable[[Version], bool] = lambda _: True) -> Erased:
        """Erase the versions under a prefix that ``when`` accepts."""
        return self.delete([each for each in self.below(prefix) if when(each)])

    def delete(self, versions: Sequence[Version]) -> Erased:
        """Erase versions; a locked one stays, and is reported.

        Raises:
            ClientError: S3 refuses to delete one that is not locked.

        """
        done = Erased()
        for at in range(0, len(versions), AT_ONCE):
            part = versions[at : at + AT_ONCE]
            named: Any = [{"Key": each.key, "VersionId": each.version_id} for each in part]
            answer = self._s3.delete_objects(Bucket=self.bucket, Delete={"Objects": named, "Quiet": True})
            refused = {(each.get("Key"), each.get("VersionId")) for each in answer.get("Errors", [])}
            for each in part:
                if (each.key, each.version_id) in refused:
                    self._refused(each, done)
                else:
                    done.versions += 1
                    done.bytes += each.size
        return done

    def _refused(self, version: Version, done: Erased) -> None:
        """Report a locked version; delete any other one by itself, whose error says why it cannot be."""
        until = self.locked_until(version)
        if until is None:
            self._s3.delete_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)
            done.versions += 1
            done.bytes += version.size
        else:
            done.locked[version.key] = max(until, done.locked.get(version.key, ""))

    def locked_until(self, version: Version) -> str | None:
        """Return when a version's lock ends; None if it is not locked."""
        try:
            found = self._s3.head_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            return None
        if found.get("ObjectLockLegalHoldStatus") == "ON":
            return HELD
        until = found.get("ObjectLockRetainUntilDate")
        return None if until is None else until.strftime("%Y-%m-%dT%H:%M:%SZ")

    def read(self, version: Version) -> bytes:
        """Return a version's bytes."""
        found = self._s3.get_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)
        return found["Body"].read()

    def digest(self, version: Version) -> str:
        """Return the sha256 of a version's bytes, in hex."""
        digest = hashlib.sha256()
        body = self._s3.get_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)["Body"]
        for chunk in body.iter_chunks(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()
