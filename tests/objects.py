"""S3's commonest requests, in memory: moto's own buckets and objects, without HTTP between.

A handler of botocore's event ``before-call`` answers what moto would (see ``tests/dynamodb.py``), for requests with no
other parameters than those in ``ANSWERED``. Whatever else is asked, or cannot be answered with success, goes to moto.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote

from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.response import StreamingBody
from botocore.utils import parse_timestamp
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.s3.utils import metadata_from_headers

from tests.shortcuts import is_answered_here

Asked = Mapping[str, Any]
Answer = tuple[dict[str, str], bytes]
"""Headers and body."""
MOST_KEYS = 1000


@dataclass
class Http:
    """What botocore, and those who hook into it, want of a response of the network."""

    status_code: int
    headers: HeadersDict
    content: bytes = b""
    raw: BytesIO = field(default_factory=BytesIO)


def _get(bucket: Any, asked: Asked, params: Mapping[str, Any]) -> Answer | None:
    key = _backend().get_object(bucket.name, asked["Key"], version_id=asked.get("VersionId"))
    return None if key is None else (_headers(key, params), key.value)


def _head(bucket: Any, asked: Asked, params: Mapping[str, Any]) -> Answer | None:
    found = _get(bucket, asked, params)
    return None if found is None else (found[0], b"")


def _headers(key: Any, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of an object's answer, as moto's ``get_object`` makes them."""
    headers = dict(key.response_dict)
    if params["headers"].get("x-amz-checksum-mode") == "ENABLED" and key.checksum_algorithm:
        headers[f"x-amz-checksum-{key.checksum_algorithm.lower()}"] = key.checksum_value
    return {**headers, **key.metadata, "Accept-Ranges": "bytes"}


def _put(bucket: Any, asked: Asked, params: Mapping[str, Any]) -> Answer | None:
    if not isinstance(asked["Body"], BytesIO):  # what botocore makes of bytes; files are read as they are sent
        return None
    body = asked["Body"].getvalue()
    checksum = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    key = _backend().put_object(bucket.name, asked["Key"], body, storage="STANDARD", checksum_value=checksum)
    key.set_metadata(metadata_from_headers(params["headers"]))
    key.set_acl(bucket.acl)
    key.checksum_algorithm = "CRC32"
    tags = dict(parse_qsl(asked.get("Tagging", ""), keep_blank_values=True))
    _backend().put_object_tagging(key, tags)
    headers = {"x-amz-checksum-crc32": checksum, **key.response_dict}
    return {name: text for name, text in headers.items() if name != "content-length"}, b""


def _list(bucket: Any, asked: Asked, _params: Mapping[str, Any]) -> dict[str, Any] | None:
    keys, is_truncated, _ = _backend().list_objects_v2(bucket, asked["Prefix"], None, None, None, MOST_KEYS)
    if is_truncated or not all(hasattr(each, "etag") for each in keys):
        return None
    contents = [
        {
            "Key": quote(each.name),
            "LastModified": parse_timestamp(each.last_modified_ISO8601),
            "ETag": each.etag,
            **({"ChecksumAlgorithm": [each.checksum_algorithm]} if each.checksum_algorithm else {}),
            "Size": each.size,
            "StorageClass": each.storage_class,
        }
        for each in keys
    ]
    found = {"Contents": contents} if contents else {}
    known = {"Name": bucket.name, "Prefix": quote(asked["Prefix"]), "MaxKeys": MOST_KEYS, "EncodingType": "url"}
    return {"IsTruncated": False, **found, **known, "KeyCount": len(contents)}


ANSWERED: dict[str, tuple[Callable[..., Any], set[str], set[str]]] = {
    "GetObject": (_get, {"Bucket", "Key"}, {"VersionId"}),
    "HeadObject": (_head, {"Bucket", "Key"}, {"VersionId"}),
    "PutObject": (_put, {"Bucket", "Key", "Body"}, {"ContentType", "Tagging"}),
    "ListObjectsV2": (_list, {"Bucket", "Prefix"}, set()),
}
"""What is answered here: with which parameters at least, and with which others at most."""


def answer(model: Any, params: Any, context: Any, **_: Any) -> tuple[Http, dict[str, Any]] | None:
    """Answer a request to S3, if AWS is in memory; None leaves it to moto."""
    if model.service_model.service_name != "s3" or model.name not in ANSWERED or not is_answered_here(params):
        return None
    act, needed, more = ANSWERED[model.name]
    asked = context["s3_redirect"]["params"]
    names = asked.keys() - {"EncodingType", "ChecksumMode", "ChecksumAlgorithm"}  # botocore adds these
    bucket = _backend().buckets.get(asked.get("Bucket"))
    if not needed <= names <= needed | more or bucket is None or not _plain(bucket):
        return None
    found = act(bucket, asked, params)
    if found is None:
        return None
    if isinstance(found, dict):
        http, parsed = Http(200, HeadersDict()), found
    else:
        headers, body = found
        http = Http(200, HeadersDict(headers), body, BytesIO(body))
        read = StreamingBody(http.raw, len(body)) if model.has_streaming_output else body
        parsed = _parser().parse({"status_code": 200, "headers": http.headers, "body": read}, model.output_shape)
    parsed["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": dict(http.headers), "RetryAttempts": 0}
    return http, parsed


def _plain(bucket: Any) -> bool:
    """Return whether a bucket has nothing that its answers, or who may have them, depend on."""
    return not (bucket.policy or bucket.encryption or bucket.object_lock_enabled)


def _backend() -> Any:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


@cache
def _parser() -> Any:
    return create_parser("rest-xml")
