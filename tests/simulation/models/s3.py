"""S3: versions, conditional writes, listings, notifications that come late or twice.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
"""

from __future__ import annotations

import bisect
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.clock import CLOCK
from tests.simulation.models.errors import refused
from tests.simulation.models.wire import Wire


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object; a delete marker has no body."""

    id: str
    body: bytes | None
    etag: str
    modified: datetime
    metadata: dict[str, str] = field(default_factory=dict)
    content_type: str = "binary/octet-stream"

    @property
    def sha256(self) -> str:
        """The SHA-256 of its body."""
        return _sha256(self.body or b"")


@lru_cache(maxsize=4096)
def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@lru_cache(maxsize=4096)
def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class Body:
    """The body of an answer."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, amount: int | None = None) -> bytes:
        """Return the next bytes."""
        return self._file.read(-1 if amount is None else amount)

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Yield the rest in chunks."""
        while chunk := self._file.read(size):
            yield chunk

    def close(self) -> None:
        """Close the body."""


class Bucket:
    """The artifact bucket, with versions; ``changed`` hears of each object that is created or removed."""

    def __init__(self, name: str, changed: Callable[[str, str, Version], None] = lambda *_: None) -> None:
        self.name = name
        self.objects: dict[str, list[Version]] = {}
        self._sorted: list[str] = []
        self._changed = changed
        self._number = 0

    def current(self, key: str) -> Version | None:
        """Return the current version of an object, None if there is none."""
        versions = self.objects.get(key)
        return versions[-1] if versions and versions[-1].body is not None else None

    def find(self, key: str, version_id: str | None, operation: str) -> Version:
        """Return an object, or a version of it."""
        if version_id is None:
            found = self.current(key)
            if found is None:
                raise refused("404" if operation == "HeadObject" else "NoSuchKey", operation)
            return found
        every = self.objects.get(key, [])
        match = next((each for each in every if each.id == version_id), None)
        if match is None:
            raise refused("404" if operation == "HeadObject" else "NoSuchVersion", operation)
        if match.body is None:
            raise refused("405" if operation == "HeadObject" else "MethodNotAllowed", operation)
        return match

    def put(self, key: str, body: bytes | None, *, metadata: dict[str, str], content_type: str) -> Version:
        """Write a version."""
        self._number += 1
        etag = _etag(body or b"")
        at = CLOCK.now().replace(microsecond=0)
        version = Version(f"v{self._number:08d}", body, etag, at, metadata, content_type)
        if key not in self.objects:
            self.objects[key] = []
            bisect.insort(self._sorted, key)
        self.objects[key].append(version)
        self._changed(key, "ObjectRemoved:DeleteMarkerCreated" if body is None else "ObjectCreated:Put", version)
        return version

    def keys(self, prefix: str) -> list[str]:
        """Return the keys under a prefix, in order."""
        found = []
        for key in islice(self._sorted, bisect.bisect_left(self._sorted, prefix), None):
            if not key.startswith(prefix):
                break
            if self.current(key):
                found.append(key)
        return found


class S3:
    """What boto3's S3 client does, for one bucket."""

    def __init__(self, bucket: Bucket, wire: Wire) -> None:
        self._bucket, self._wire = bucket, wire

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None, Range: str = "") -> dict[str, Any]:  # noqa: N803
        """Return an object with its body."""

        def act() -> dict[str, Any]:
            found = self._find(Bucket, Key, VersionId, "GetObject")
            content = found.body or b""
            if Range:
                content = content[int(Range.removeprefix("bytes=").partition("-")[0]) :]
            return {**_described(found), "Body": Body(content), "ContentLength": len(content)}

        return self._wire.call("s3", "GetObject", Key, act, needs=_reading(Key, VersionId))

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        """Return an object's metadata."""
        return self._wire.call(
            "s3",
            "HeadObject",
            Key,
            lambda: _described(self._find(Bucket, Key, VersionId, "HeadObject")),
            needs=_reading(Key, VersionId),
        )

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str = "binary/octet-stream",  # noqa: N803
        Metadata: dict[str, str] | None = None,  # noqa: N803
        Tagging: str = "",  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
        IfMatch: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Write an object, if the condition holds."""

        def act() -> dict[str, Any]:
            bucket = self._of(Bucket)
            current = bucket.current(Key)
            if IfNoneMatch and current is not None:
                raise refused("PreconditionFailed", "PutObject")
            if IfMatch and (current is None or current.etag != IfMatch):
                raise refused("PreconditionFailed" if current else "NoSuchKey", "PutObject")
            version = bucket.put(Key, bytes(Body), metadata=dict(Metadata or {}), content_type=ContentType)
            return {"ETag": version.etag, "VersionId": version.id}

        needs = [("s3:PutObject", Key), *([("s3:PutObjectTagging", Key)] if Tagging else [])]
        return self._wire.call("s3", "PutObject", Key, act, needs=needs)

    def copy_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        CopySource: dict[str, str],  # noqa: N803
        CopySourceIfMatch: str = "",  # noqa: N803
        ContentType: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Copy an object inside S3."""

        def act() -> dict[str, Any]:
            source = self._find(CopySource["Bucket"], CopySource["Key"], CopySource.get("VersionId"), "CopyObject")
            if CopySourceIfMatch and source.etag != CopySourceIfMatch:
                raise refused("PreconditionFailed", "CopyObject")
            kind = ContentType or source.content_type
            version = self._of(Bucket).put(Key, source.body, metadata=source.metadata, content_type=kind)
            return {"CopyObjectResult": {"ETag": version.etag}, "VersionId": version.id}

        needs = [*_reading(CopySource["Key"], CopySource.get("VersionId")), ("s3:PutObject", Key)]
        return self._wire.call("s3", "CopyObject", Key, act, needs=needs)

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Write a delete marker."""

        def act() -> dict[str, Any]:
            self._of(Bucket).put(Key, None, metadata={}, content_type="")
            return {"DeleteMarker": True}

        return self._wire.call("s3", "DeleteObject", Key, act, on=Key)

    def generate_presigned_url(self, operation: str, Params: dict[str, str], ExpiresIn: int) -> str:  # noqa: N803
        """Return a URL."""
        return f"https://{Params['Bucket']}.s3.amazonaws.com/{Params['Key']}?{operation}&X-Amz-Expires={ExpiresIn}"

    def get_paginator(self, operation: str) -> _Pages:
        """Return a paginator of objects."""
        if operation != "list_objects_v2":
            raise NotImplementedError(operation)
        return _Pages(self._of, self._wire)

    def _find(self, bucket: str, key: str, version: str | None, operation: str) -> Version:
        """Return a version of an object.

        Without the right to list the bucket, a missing object is forbidden:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        try:
            return self._of(bucket).find(key, version, operation)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"} and not self._wire.may("s3:ListBucket"):
                raise refused("403" if operation == "HeadObject" else "AccessDenied", operation) from error
            raise

    def _of(self, name: str) -> Bucket:
        if name != self._bucket.name:
            raise refused("NoSuchBucket", "GetObject")
        return self._bucket


class _Pages:
    def __init__(self, of: Callable[[str], Bucket], wire: Wire) -> None:
        self._of, self._wire = of, wire

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> Iterator[dict[str, Any]]:  # noqa: N803
        """Yield the listing, a thousand keys at a time."""
        keys = self._wire.call("s3", "ListObjectsV2", Prefix, lambda: self._of(Bucket).keys(Prefix))
        for start in range(0, max(1, len(keys)), 1000):
            page = keys[start : start + 1000]
            if Delimiter:
                rests = [key[len(Prefix) :] for key in page]
                below = {f"{Prefix}{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
                yield {"CommonPrefixes": [{"Prefix": each} for each in sorted(below)]}
                continue
            found = [(key, self._of(Bucket).current(key)) for key in page]
            yield {
                "Contents": [
                    {"Key": key, "Size": len(each.body or b""), "ETag": each.etag, "LastModified": each.modified}
                    for key, each in found
                    if each is not None
                ]
            }


def _reading(key: str, version: str | None) -> list[tuple[str, str]]:
    return [("s3:GetObjectVersion" if version else "s3:GetObject", key)]


def _described(found: Version) -> dict[str, Any]:
    return {
        "ContentLength": len(found.body or b""),
        "ETag": found.etag,
        "VersionId": found.id,
        "LastModified": found.modified,
        "Metadata": dict(found.metadata),
        "ContentType": found.content_type,
    }
