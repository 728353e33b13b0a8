"""Step Functions' ``aws-sdk:s3:putObject`` and ``getObject`` tasks.

AWS has both; MiniStack ends the execution with ``States.Runtime``. The bridge passes them to MiniStack's own S3.
"""

import json
from typing import Any

from local.aws.pinned import require, s3, stepfunctions

_PREFIX = "arn:aws:states:::aws-sdk:s3:"


def install() -> None:
    """Install the bridge."""
    require(hasattr(s3, "_put_object") and hasattr(s3, "_get_object"), "s3._put_object or s3._get_object is gone")
    stepfunctions._SERVICE_DISPATCH[_PREFIX + "putObject"] = _put
    stepfunctions._SERVICE_DISPATCH[_PREFIX + "getObject"] = _get


def put_text(bucket: str, key: str, text: str, content_type: str = "application/octet-stream") -> str:
    """Store an object and return its ETag.

    Raises:
        _ExecutionError: named as Step Functions names S3's errors.

    """
    status, headers, body = s3._put_object(bucket, key, text.encode(), {"content-type": content_type})[:3]
    _check(status, body, "S3.NoSuchBucketException")
    return str(headers.get("ETag", ""))


def _put(_resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
    body = arguments.get("Body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    content_type = arguments.get("ContentType", "application/octet-stream")
    return {"ETag": put_text(arguments["Bucket"], arguments["Key"], text, content_type)}


def _get(_resource: str, arguments: dict[str, Any]) -> dict[str, Any]:
    status, headers, body = s3._get_object(arguments["Bucket"], arguments["Key"], {}, {})[:3]
    _check(status, body, "S3.NoSuchKeyException")
    content = body if isinstance(body, bytes) else str(body).encode()
    return {"Body": content.decode(), "ContentLength": len(content), "ETag": headers.get("ETag", "")}


def _check(status: int, body: Any, missing: str) -> None:
    if status >= 300:
        cause = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        raise stepfunctions._ExecutionError(missing if status == 404 else "S3.S3Exception", cause)
