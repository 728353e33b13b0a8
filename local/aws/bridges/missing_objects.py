"""A caller without permission to list a bucket gets 403 for a missing object.

"If you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403 (Access Denied)"
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). MiniStack answers 404 to every caller. The bridge
checks the permission when a caller reads a missing object.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from local.aws.pinned import app, iam_actions, iam_evaluator, replace_entry, responses, router, s3

_ACTION = "s3:ListBucket"


def install() -> None:
    """Install the bridge."""
    replace_entry(app.SERVICE_HANDLERS, "s3", _handle)


async def _handle(
    original: Callable[..., Awaitable[Any]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: dict[str, Any],
) -> Any:
    answer = await original(method, path, headers, body, query)
    bucket, key = s3._parse_bucket_key(path, headers)
    if answer[0] != 404 or method not in {"GET", "HEAD"} or not key or bucket not in s3._buckets:
        return answer
    arn, caller = f"arn:aws:s3:::{bucket}", router.extract_access_key_id(headers, query)
    denied = iam_evaluator.enforce(caller, _ACTION, "s3", responses.get_region(), resource_arn=arn)
    if not isinstance(denied, iam_evaluator.EvalResult):
        return answer
    return iam_actions.access_denied_response(
        "s3", _ACTION, denied.principal_arn, responses.new_uuid(), headers=headers, resource_arn=arn
    )
