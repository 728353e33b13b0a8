"""Errors as botocore raises them."""

from __future__ import annotations

from functools import cache

from botocore.exceptions import ClientError

STATUS = {
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"), 404),
    **dict.fromkeys(("InternalError", "InternalServerError", "InternalException", "InternalServiceError"), 500),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable"), 503),
    "PreconditionFailed": 412,
    **dict.fromkeys(("AccessDenied", "403"), 403),
    "405": 405,
    "MethodNotAllowed": 405,
}
"""The HTTP status of each error; 400 for any other."""


NAMED = {
    "InternalServerError",
    "InternalServiceError",
    "InternalException",
    "ProvisionedThroughputExceededException",
    "RequestThrottled",
    "NoSuchKey",
}
"""Codes for which botocore has a separate class; a state machine retries by the class's name."""


@cache
def _class(code: str) -> type[ClientError]:
    return type(code, (ClientError,), {}) if code in NAMED else ClientError


def refused(code: str, operation: str, message: str = "") -> ClientError:
    """Return the error of a call that AWS refuses."""
    said = {"Code": code, "Message": message or code}
    return _class(code)({"Error": said, "ResponseMetadata": {"HTTPStatusCode": STATUS.get(code, 400)}}, operation)  # type: ignore[arg-type,typeddict-item]
