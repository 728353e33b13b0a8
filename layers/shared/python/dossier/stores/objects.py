"""The artifact bucket: documents, artifacts, raw answers, results. Large objects are streamed in constant memory."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, cycle
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from dossier.errors import InvalidCaseError
from dossier.layout import TAG, kind_of
from dossier.media import HEAD, TAIL
from dossier.pages import PageCounter

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

CHUNK = 1 << 20
PART = 8 << 20
"""Bytes of a part of a large object; S3 takes 10,000 parts
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""
LARGEST_COPY = 5 << 30
"""Largest object that one request copies, in bytes (S3: CopyObject)."""
COPIED = 256 << 20
"""Bytes of a part that is copied."""
_BUCKET = re.compile(r"[A-Za-z0-9._:-]{1,255}(/[A-Za-z0-9-]{1,64})?")
_DENIAL = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w:*]+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+)\"?)?(?P<why>.*)",
    re.DOTALL,
)
_ARN_ERRORS: tuple[type[BotoCoreError], ...] = (
    exceptions.EndpointProviderError,
    exceptions.ParamValidationError,
    exceptions.UnsupportedS3ArnError,
    exceptions.UnsupportedS3AccesspointConfigurationError,
    exceptions.UnsupportedS3ConfigurationError,
)
"""Errors that botocore raises for an invalid bucket name or a foreign access point, without a request."""
_NO_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
_THERE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
"""Errors of a conditional write: the object exists, or another writer is creating it."""
_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound", "NoSuchVersion"}


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts from one read of an object; ``head`` are its first bytes (at most 4 KiB).

    An object over the size limit is not read: it has no ``sha256`` and no ``head``.
    """

    size: int
    sha256: str
    head: bytes
    etag: str
    version_id: str | None = None
    tail: bytes = b""
    """Its last bytes, at most ``dossier.media.TAIL``."""
    pages: int | None = None
    """Its number of pages; None if that is unknown."""


@dataclass(frozen=True, slots=True)
class Stat:
    """S3's metadata of an object. Listings leave out the version."""

    key: str
    size: int
    etag: str
    modified: datetime
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Small:
    """A small object, read whole."""

    body: bytes
    version_id: str | None


class Streamed(NamedTuple):
    """What was written from a stream: its size in bytes, its sha256 in hex, and its version, if S3 says it."""

    size: int
    sha256: str
    version_id: str | None


class Objects:
    """The artifact bucket, and reads from callers' buckets."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def inspect(self, uri: str, *, version_id: str | None = None, most: int | None = None) -> Facts:
        """Read the object at ``s3://bucket/key``, or a version of it, once; not if it has more than ``most`` bytes.

        Raises:
            InvalidCaseError: there is no such object, or Dossier may not read it; says how to fix it.

        """
        bucket, key = split_uri(uri)
        digest, size, head, tail, pages = hashlib.sha256(), 0, b"", b"", PageCounter()
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key, **_version(version_id))
        except ClientError as error:
            raise _unreadable(uri, error, self.bucket) from error
        except _ARN_ERRORS as error:
            raise InvalidCaseError(f"document {uri} cannot be read: {' '.join(str(error).split())[:300]}") from error
        etag, version_id = answer["ETag"], answer.get("VersionId")
        if most is not None and answer["ContentLength"] > most:
            answer["Body"].close()
            return Facts(size=answer["ContentLength"], sha256="", head=b"", etag=etag, version_id=version_id)
        for chunk in answer["Body"].iter_chunks(CHUNK):
            head = (head + chunk[:HEAD])[:HEAD] if len(head) < HEAD else head
            tail = (tail + chunk[-TAIL:])[-TAIL:]
            digest.update(chunk)
            pages.feed(chunk)
            size += len(chunk)
        return Facts(size, digest.hexdigest(), head, etag, version_id, tail, pages.pages)

    def copy(self, uri: str, key: str, facts: Facts, content_type: str, *, version_id: str | None = None) -> str | None:
        """Copy the inspected object, or a version of it, to ``key`` in the artifact bucket, inside S3.

        Returns:
            the copy's version, or None if the bucket has no versions.

        Raises:
            InvalidCaseError: the object has changed since it was inspected, or cannot be read.

        """
        bucket, source = split_uri(uri)
        if (bucket, source) == (self.bucket, key):
            return facts.version_id
        inspected: Any = {"Bucket": bucket, "Key": source, **_version(version_id)}
        try:
            answer = self._s3.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource=inspected,
                CopySourceIfMatch=facts.etag,
                ContentType=content_type,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",  # Dossier may not read the source's tags
                **_tagged(key),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in {"PreconditionFailed", "412"}:
                raise InvalidCaseError(f"document {uri} changed while it was accepted: submit it again") from error
            raise _unreadable(uri, error, self.bucket) from error
        return answer.get("VersionId")

    def adopt(self, source: str, key: str) -> Stat:
        """Copy an object to another key of the bucket, inside S3, unless the same bytes are there; return the target.

        Raises:
            FileNotFoundError: neither of them exists.

        """
        new, old = self.stat(source), self.stat(key)
        if new is None or (old is not None and (old.etag, old.size) == (new.etag, new.size)):
            if old is None:
                raise FileNotFoundError(f"s3://{self.bucket}/{source} is gone")
            return old
        origin: Any = {"Bucket": self.bucket, "Key": source}
        if new.size <= LARGEST_COPY:
            answer = self._s3.copy_object(
                Bucket=self.bucket, Key=key, CopySource=origin, TaggingDirective="REPLACE", **_tagged(key)
            )
            return replace(new, key=key, version_id=answer.get("VersionId"))
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 -- few functions copy, and few objects are so large

        in_parts = TransferConfig(multipart_chunksize=COPIED, use_threads=False)
        self._s3.copy(origin, self.bucket, key, ExtraArgs=_tagged(key), Config=in_parts)
        return self.stat(key) or new

    def delete(self, key: str) -> None:
        """Delete an object; a bucket with versions keeps them behind a delete marker."""
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def open(self, key: str, size: int, *, version_id: str | None = None) -> IO[bytes]:
        """Open an object of the artifact bucket, or a version of it, as a file."""
        return cast("IO[bytes]", S3File(self._s3, self.bucket, key, size, version_id))

    def link(self, key: str, seconds: int) -> str:
        """Return a presigned URL for an object. It expires after ``seconds``, or earlier with the credentials."""
        place = {"Bucket": self.bucket, "Key": key}
        return self._s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)

    def upload_link(self, key: str, seconds: int) -> str:
        """Return a presigned URL to which an object is uploaded with ``PUT``; it expires as ``link`` does."""
        place = {"Bucket": self.bucket, "Key": key}
        return self._s3.generate_presigned_url("put_object", Params=place, ExpiresIn=seconds)

    def read(self, key: str, *, version_id: str | None = None, dropped: bool = False) -> bytes | None:
        """Return a small object's bytes, or None if the object or version does not exist.

        Raises:
            InvalidCaseError: with ``dropped``, if S3 permanently refuses to read it; says what to do.

        """
        found = self.get(key, version_id=version_id, dropped=dropped)
        return None if found is None else found.body

    def get(self, key: str, *, version_id: str | None = None, dropped: bool = False) -> Small | None:
        """Return a small object as ``read`` does, with its version."""
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=key, **_version(version_id))
            return Small(answer["Body"].read(), answer.get("VersionId"))
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            if dropped:
                raise _unreadable(f"s3://{self.bucket}/{key}", error, self.bucket) from error
            raise

    def write(
        self, key: str, data: bytes, content_type: str = "application/json", *, kind: str | None = None
    ) -> str | None:
        """Write a small object; return its version, or None if the bucket has no versions.

        ``kind`` replaces the kind that its key gives an object of a case.
        """
        tags = _tagged(key, kind)
        answer = self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, **tags)
        return answer.get("VersionId")

    def write_new(self, key: str, data: bytes, content_type: str = "application/json") -> bool:
        """Write a small object, unless one of that key exists; return whether it was written."""
        try:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in _THERE:
                return False
            raise
        return True

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object, without their ends; none if it does not exist."""
        try:
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return
            raise
        yield from body.iter_lines(CHUNK)

    def write_json(self, key: str, value: Any) -> str | None:
        """Write a value as indented JSON; return its version, or None if the bucket has no versions."""
        return self.write(key, as_json(value))

    def stream(self, key: str, chunks: Iterator[bytes], content_type: str) -> Streamed:
        """Write chunks as one object, in parts if it is large.

        If ``chunks`` raises, no object is written. A part is sent and hashed while the next one is read, so any stream
        takes the memory of two parts; ``chunks`` is read in the caller's thread.
        """
        source = _Parts(chunks)
        extra = {"ContentType": content_type, **_tagged(key)}
        first = source.read()
        version: str | None
        if len(first) < PART:
            source.digest.update(first)
            version = self._s3.put_object(Bucket=self.bucket, Key=key, Body=bytes(first), **extra).get("VersionId")
        else:
            version = self._stream_parts(key, first, source, extra)
        return Streamed(source.size, source.digest.hexdigest(), version)

    def _stream_parts(self, key: str, part: memoryview, source: _Parts, extra: Mapping[str, Any]) -> str | None:
        """Write a first part and what follows it as one object; return its version, if S3 says it."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- few functions see a large object

        begun = self._s3.create_multipart_upload(Bucket=self.bucket, Key=key, ChecksumAlgorithm="CRC32", **extra)
        place: Any = {"Bucket": self.bucket, "Key": key, "UploadId": begun["UploadId"]}

        def send(number: int, part: memoryview) -> Any:
            sent = self._s3.upload_part(
                **place, PartNumber=number, Body=cast("IO[bytes]", _Body(part)), ChecksumAlgorithm="CRC32"
            )
            checksum = {name: sent[name] for name in ("ChecksumCRC32",) if name in sent}
            return {"PartNumber": number, "ETag": sent["ETag"], **checksum}

        try:
            with ThreadPoolExecutor(2) as pool:
                parts: list[Any] = []
                for number in count(1):
                    sending, hashing = pool.submit(send, number, part), pool.submit(source.digest.update, part)
                    part = source.read()
                    hashing.result()
                    parts.append(sending.result())
                    if not part:
                        break
            done = self._s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # the bucket deletes unfinished uploads after a day
                self._s3.abort_multipart_upload(**place)
            raise
        return done.get("VersionId")

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size of every object under a prefix."""
        for each in self.stats(prefix):
            yield each.key, each.size

    def stats(self, prefix: str) -> Iterator[Stat]:
        """Yield the listing of every object under a prefix, in the order of keys."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield Stat(item["Key"], item["Size"], item["ETag"], item["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders under a prefix, without their ``/``, in the order of keys."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            for each in page.get("CommonPrefixes", []):
                yield each["Prefix"].removeprefix(prefix).removesuffix("/")

    def stat(self, key: str, *, version_id: str | None = None, dropped: bool = False) -> Stat | None:
        """Return the metadata of an object, or of a version of it; None if it does not exist.

        Raises:
            InvalidCaseError: with ``dropped``, if S3 permanently refuses; says what to do.

        """
        try:
            found = self._s3.head_object(Bucket=self.bucket, Key=key, **_version(version_id))
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            # A missing permission on Dossier's own bucket is not the caller's mistake.
            if dropped and error.response["Error"]["Code"] not in _FORBIDDEN:
                raise _unreadable(f"s3://{self.bucket}/{key}", error, self.bucket) from error
            raise
        return Stat(key, found["ContentLength"], found["ETag"], found["LastModified"], found.get("VersionId"))

    def version_of(self, key: str) -> str | None:
        """Return an object's version, or None."""
        found = self.stat(key)
        return None if found is None else found.version_id

    def facts_of(self, key: str) -> Facts:
        """Read an object of the artifact bucket once."""
        return self.inspect(f"s3://{self.bucket}/{key}")


class S3File(io.RawIOBase):
    """An object as a seekable file of known size, as httpx needs it to stream a multipart upload."""

    def __init__(self, s3: S3Client, bucket: str, key: str, size: int, version_id: str | None = None) -> None:
        super().__init__()
        self._s3, self._bucket, self._key, self._size = s3, bucket, key, size
        self._version = _version(version_id)
        self._position = 0
        self._body: Any = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: httpx seeks to the end to learn the size, and back."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; the next read opens the object again from there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset != self._position:
            self._close_body()
            self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes."""
        if self._position >= self._size:
            return b""
        if self._body is None:
            span = f"bytes={self._position}-"
            place = {"Bucket": self._bucket, "Key": self._key, **self._version}
            self._body = self._s3.get_object(**place, Range=span)["Body"]
        data: bytes = self._body.read(size if size >= 0 else None)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the connection to S3."""
        self._close_body()
        super().close()

    def _close_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


class _Parts:
    """Chunks, joined into parts of ``PART`` bytes, which are counted; who sends them hashes them into ``digest``."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._buffers = cycle([bytearray(), bytearray()])  # the memory of any number of parts; each grows once
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self) -> memoryview:
        """Return the next part, which is valid until the next but one is read.

        Only the last one is shorter, and none is left after an empty one.
        """
        buffer, filled = next(self._buffers), 0
        while filled < PART:
            self._rest = self._rest or memoryview(next(self._chunks, b""))
            if not self._rest:
                break
            taken = self._rest[: PART - filled]
            buffer[filled : filled + len(taken)] = taken  # grows a buffer that is shorter
            self._rest = self._rest[len(taken) :]
            filled += len(taken)
        self.size += filled
        return memoryview(buffer)[:filled]


class _Body(io.RawIOBase):
    """A part as a file, as botocore sends it without a copy."""

    def __init__(self, part: memoryview) -> None:
        super().__init__()
        self._part, self._position = part, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._part)}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._part) if size < 0 else self._position + size
        data = bytes(self._part[self._position : end])
        self._position += len(data)
        return data


def as_json(value: Any) -> bytes:
    """Return a value as indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``.

    Raises:
        InvalidCaseError: it is not such a URI.

    """
    bucket, _, key = uri[5:].partition("/")
    if bucket.startswith("arn:") and ":accesspoint" in bucket:  # its ARN has a "/" before the access point's name
        name, _, key = key.removeprefix("object/").partition("/") if bucket.endswith(":accesspoint") else ("", "", key)
        bucket, key = (f"{bucket}/{name}" if name else bucket), key.removeprefix("object/")
    if uri[:5].lower() != "s3://" or not _BUCKET.fullmatch(bucket) or not key:
        shown = uri.partition("?")[0]  # a signature must not get into logs
        raise InvalidCaseError(f"document {shown}: the uri must be s3://bucket/key")
    return bucket, key


def secrets_of(url: str) -> list[str]:
    """Return the secrets in a presigned URL: its signature and any session token, percent-encoded and decoded."""
    written = dict(each.partition("=")[::2] for each in urlsplit(url).query.split("&"))
    found = [written[name] for name in ("X-Amz-Signature", "X-Amz-Security-Token") if written.get(name)]
    return [*found, *(decoded for each in found if (decoded := unquote(each)) != each)]


def _tagged(key: str, kind: str | None = None) -> Any:
    own = kind_of(key)
    return {"Tagging": f"{TAG}={kind or own}"} if own else {}


_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "MovedPermanently", "AuthorizationHeaderMalformed",
     "IllegalLocationConstraintException"}
)  # fmt: skip
_PERMANENT = (
    ({"InvalidObjectState"}, "it is archived: restore it (aws s3api restore-object), then submit it again"),
    (_ELSEWHERE, "its bucket is in another Region: copy it to a bucket in Dossier's own Region"),
    (
        {"AllAccessDisabled", "AccountProblem", "NotSignedUp", "InvalidPayer"},
        "S3 has disabled the account or bucket that it is in: that account's owner has to ask AWS Support why",
    ),
    ({"MethodNotAllowed", "405"}, "it is deleted: upload it again"),
    ({"KeyTooLongError"}, "its key has more than 1,024 bytes: upload it under a shorter one"),
    ({"InvalidURI"}, "its key cannot be part of a URL: upload it under a plain one"),
)
"""Permanent errors of S3, and what to do about each."""
_CUSTOMER_KEY = (
    "it is encrypted with a key that only its owner has (SSE-C): copy it to Dossier's bucket without SSE-C, "
    "then submit the copy"
)
_FORBIDDEN = frozenset({"403", "AccessDenied", "Forbidden"})
_PASSING = frozenset(
    {"RequestTimeout", "RequestTimeTooSkewed", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests",
     "TooManyRequestsException", "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired",
     "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestExpired", "RequestLimitExceeded", "RequestThrottled",
     "RequestThrottledException", "BandwidthLimitExceeded", "PriorRequestNotComplete", "OperationAborted",
     "ConditionalRequestConflict", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "TemporaryRedirect",
     "Redirect", "307", "408", "409", "425", "429"}
)  # fmt: skip
"""S3's errors about the moment, our own credentials or the network, which say nothing about the document."""
_PASSING_KMS = frozenset(
    {"ThrottlingException", "LimitExceededException", "KMSInternalException", "DependencyTimeoutException",
     "KeyUnavailableException", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable"}
)  # fmt: skip
_KEY_ADVICE = {
    "DisabledException": "enable its key",
    "KMSInvalidStateException": "cancel the deletion of its key, or import its material again, and enable it",
    "NotFoundException": "its key is gone, or in another Region: encrypt it with another one",
    "InvalidKeyUsageException": "its key is not for encryption: encrypt it with another one",
    "IncorrectKeyException": "its key is another one than it was encrypted with: encrypt it again",
    "InvalidArnException": "its key is gone, or in another Region: encrypt it with another one",
}


def _version(version_id: str | None) -> Any:
    return {} if version_id is None else {"VersionId": version_id}


def _unreadable(uri: str, error: ClientError, own: str) -> Exception:
    """Return the error that fails a case if S3's error is permanent; else the S3 error, which is retried."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NO_BUCKET:
        return InvalidCaseError(
            f"document {uri} does not exist, because its bucket does not exist: check the bucket's name; Dossier's own "
            f"is {own}, any other needs a deployment with -c document_buckets"
        )
    if code in {*_ABSENT, "InvalidArgument"}:  # the latter for a malformed version_id
        return InvalidCaseError(f"document {uri} does not exist: upload it first")
    if code in _FORBIDDEN or code == "KMS.AccessDeniedException":
        return InvalidCaseError(f"document {uri} may not be read: {_denied(message, split_uri(uri)[0])}")
    if code.startswith("KMS."):
        return _undecipherable(uri, code.removeprefix("KMS."), error)
    known = next((what for codes, what in _PERMANENT if code in codes), None)
    if known is None and code in {"400", "InvalidRequest"}:
        known = _CUSTOMER_KEY if code == "400" or "Server Side Encryption" in message else None
    if known is None and (code in _PASSING or not 300 <= status < 500):
        return error
    return InvalidCaseError(f"document {uri} cannot be read: {known or f'S3 refuses it ({code})'}")


def _undecipherable(uri: str, code: str, error: ClientError) -> Exception:
    """Return the error that fails a case if a document's KMS key cannot be used; the S3 error itself if it may pass."""
    if code in _PASSING_KMS:
        return error
    advice = _KEY_ADVICE.get(code, "enable its key, or encrypt it with another one")
    return InvalidCaseError(f"document {uri} cannot be decrypted ({code}): {advice}")


def _denied(message: str, bucket: str) -> str:
    """Return the missing permission and where to add it, as far as S3 names it.

    S3 names action, resource and kind of policy to callers of the bucket's account or organization; others only get
    "Access Denied" (https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html).
    """
    found = _DENIAL.search(message)
    if found is None:
        return (
            f"put it into Dossier's bucket, or deploy with -c document_buckets={bucket}, and with -c document_kms_keys "
            "if it has its own KMS key; policies of a bucket or key in another account have to allow it"
        )
    action, why = found["action"], " ".join(found["why"].split())
    of_key = action.startswith("kms:")
    what = f"its key {found['resource'] or ''}".rstrip() if of_key else f"the bucket {bucket}"
    if "explicit deny" in why:
        return f"{action} on {what} is denied {why}"
    if "identity-based" not in why:
        return f"the policy of {what} has to allow {action} to {found['who']}"
    setting = f"document_kms_keys={found['resource'] or '<its key>'}" if of_key else f"document_buckets={bucket}"
    return f"{action} on {what} is missing: deploy with -c {setting}"
