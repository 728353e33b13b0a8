"""S3 in memory answers here as moto does."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from dossier.stores.objects import PART
from tests import objects
from tests.conftest import BUCKET, REGION, Cloud

NAMES = ("k/a b+é%.txt", "k/b", "k/c/d")


def outcome(call: Callable[[], Any]) -> Any:
    """Return an answer without the parts that always differ, or an error."""
    try:
        answer = dict(call())
    except ClientError as error:
        return error.response["Error"]
    headers = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    if "Body" in answer:
        answer["Body"] = answer["Body"].read()
    for each in (answer, *answer.get("Contents", [])):
        each.pop("VersionId", None)
        if when := each.pop("LastModified", None):
            assert isinstance(when, datetime) and when.tzinfo
    return headers, answer


def story(s3: Any) -> list[Any]:
    """Write, read and list objects; return the answers."""
    put, answer = s3.put_object, []
    answer.append(
        outcome(lambda: put(Bucket=BUCKET, Key=NAMES[0], Body=b"abc", ContentType="a/b", Tagging="a=b&c=d%20"))
    )
    answer += [outcome(lambda name=name: put(Bucket=BUCKET, Key=name, Body=b"")) for name in NAMES[1:]]
    first = put(Bucket=BUCKET, Key=NAMES[1], Body=b"x")["VersionId"]
    put(Bucket=BUCKET, Key=NAMES[1], Body=b"y", Metadata={"of": "ours"})
    s3.delete_object(Bucket=BUCKET, Key=NAMES[2])
    for read in (s3.get_object, s3.head_object):
        for name in (*NAMES, "k/none"):
            answer.append(outcome(lambda name=name, read=read: read(Bucket=BUCKET, Key=name)))
        for version in (first, "0", "null"):
            answer.append(outcome(lambda v=version, read=read: read(Bucket=BUCKET, Key=NAMES[1], VersionId=v)))
    answer.append(outcome(lambda: s3.get_object(Bucket=BUCKET, Key=NAMES[0], Range="bytes=1-1")))
    answer.append(outcome(lambda: s3.get_object_tagging(Bucket=BUCKET, Key=NAMES[0])))
    for prefix in ("k/", "k/b", "nö ne/", ""):
        answer.append(outcome(lambda prefix=prefix: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)))
    answer.append(outcome(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="k/", MaxKeys=1))[1]["Contents"])
    answer.append(outcome(lambda: s3.get_object(Bucket="none-such", Key="k")))
    return answer


def test_it_answers_as_moto_does(cloud: Cloud) -> None:
    """Objects with and without tags, versions, deleted ones, none at all, and every kind of name."""
    ours = story(cloud.session.client("s3"))
    session = boto3.Session(region_name=REGION)
    session.events.unregister("before-call", objects.answer)  # type: ignore[arg-type]
    assert ours == story(session.client("s3"))


@pytest.mark.parametrize("operation", objects.ANSWERED)
def test_moto_is_not_asked(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """The quick way is taken for every operation that has one."""
    s3 = cloud.session.client("s3")
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"abc")
    monkeypatch.setattr("moto.core.botocore_stubber.BotocoreStubber.process_request", None)
    given = {"PutObject": {"Key": "k", "Body": b"abc"}, "ListObjectsV2": {"Prefix": "k"}}
    name = {"ListObjectsV2": "list_objects_v2"}.get(operation, operation.removesuffix("Object").lower() + "_object")
    assert getattr(s3, name)(Bucket=BUCKET, **given.get(operation, {"Key": "k"}))


def test_a_policy_is_left_to_moto(cloud: Cloud) -> None:
    """A bucket that denies is not read past its policy."""
    s3 = cloud.session.client("s3")
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"abc")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [deny]}))
    with pytest.raises(ClientError):
        s3.get_object(Bucket=BUCKET, Key="k")


def chunked(body: bytes, size: int) -> Iterator[bytes]:
    """Yield a body in pieces, as it comes from a socket."""
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 12345])
def test_a_stream_becomes_one_object(cloud: Cloud, size: int) -> None:
    """Of any size, and whatever pieces it comes in; a small one is one request."""
    asked: list[str] = []
    cloud.app.objects._s3.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
    body = os.urandom(size)
    written = cloud.app.objects.stream("k", chunked(body, 999_983), "text/plain")
    assert (written.size, written.sha256) == (size, hashlib.sha256(body).hexdigest())
    assert written.version_id == cloud.app.objects.version_of("k")
    assert asked.pop() == "HeadObject"
    parts = -(-size // PART)
    several = ["CreateMultipartUpload", *["UploadPart"] * parts, "CompleteMultipartUpload"]
    assert asked == (["PutObject"] if size < PART else several)
    found = cloud.session.client("s3").get_object(Bucket=BUCKET, Key="k")
    assert found["ContentType"] == "text/plain"
    assert found["Body"].read() == body


def test_part_that_S3_refuses_once_is_sent_again_whole(cloud: Cloud) -> None:  # noqa: N802 -- its name
    """Botocore repeats a request from the beginning of its body."""
    failed: list[int] = []

    def fail(**_: Any) -> Any:
        if failed:
            return None
        failed.append(1)
        return AWSResponse("http://s3", 503, {}, _Raw())

    cloud.app.objects._s3.meta.events.register_first("before-send.s3.UploadPart", fail)
    body = os.urandom(PART + 7)
    cloud.app.objects.stream("k", chunked(body, 65_536), "text/plain")
    assert failed
    assert cloud.app.objects.read("k") == body


class _Raw(io.BytesIO):
    """An empty answer, as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())


def test_nothing_is_left_of_a_stream_that_breaks_off(cloud: Cloud) -> None:
    """Neither an object nor parts, which would be paid for."""

    def breaking() -> Iterator[bytes]:
        yield bytes(PART)
        yield bytes(100)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        cloud.app.objects.stream("k", breaking(), "text/plain")
    assert cloud.app.objects.read("k") is None
    assert "Uploads" not in cloud.session.client("s3").list_multipart_uploads(Bucket=BUCKET)
