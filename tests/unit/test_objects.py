"""S3 in memory answers here as moto does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import objects
from tests.conftest import BUCKET, REGION, Cloud

NAMES = ("k/a b+é%.txt", "k/b", "k/c/d")


def outcome(call: Callable[[], Any]) -> Any:
    """Return an answer without what differs between any two, or an error."""
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
    put, told = s3.put_object, []
    told.append(outcome(lambda: put(Bucket=BUCKET, Key=NAMES[0], Body=b"abc", ContentType="a/b", Tagging="a=b&c=d%20")))
    told += [outcome(lambda name=name: put(Bucket=BUCKET, Key=name, Body=b"")) for name in NAMES[1:]]
    first = put(Bucket=BUCKET, Key=NAMES[1], Body=b"x")["VersionId"]
    put(Bucket=BUCKET, Key=NAMES[1], Body=b"y", Metadata={"of": "ours"})
    s3.delete_object(Bucket=BUCKET, Key=NAMES[2])
    for read in (s3.get_object, s3.head_object):
        for name in (*NAMES, "k/none"):
            told.append(outcome(lambda name=name, read=read: read(Bucket=BUCKET, Key=name)))
        for version in (first, "0", "null"):
            told.append(outcome(lambda v=version, read=read: read(Bucket=BUCKET, Key=NAMES[1], VersionId=v)))
    told.append(outcome(lambda: s3.get_object(Bucket=BUCKET, Key=NAMES[0], Range="bytes=1-1")))
    told.append(outcome(lambda: s3.get_object_tagging(Bucket=BUCKET, Key=NAMES[0])))
    for prefix in ("k/", "k/b", "nö ne/", ""):
        told.append(outcome(lambda prefix=prefix: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)))
    told.append(outcome(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="k/", MaxKeys=1))[1]["Contents"])
    told.append(outcome(lambda: s3.get_object(Bucket="none-such", Key="k")))
    return told


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
