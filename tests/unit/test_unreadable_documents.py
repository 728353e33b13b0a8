"""An unreadable document: the error names the missing permission, and who must grant it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dossier.errors import InvalidCaseError
from dossier.stores.objects import Facts, Objects

URI = "s3://scans/2026/letter.pdf"
ROLE = "arn:aws:sts::123456789012:assumed-role/dossier-dev-accept/dossier-dev-accept"
KEY = "arn:aws:kms:eu-central-1:210987654321:key/0f3c8f4e-0000-4000-8000-000000000001"
NO_IDENTITY = "because no identity-based policy allows the {} action"
NO_RESOURCE = "because no resource-based policy allows the {} action"


class Refusing:
    """S3 as it answers a caller that may not read: https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        self._answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def get_object(self, **_: Any) -> None:
        """Refuse."""
        raise ClientError(self._answer, "GetObject")  # type: ignore[arg-type]

    def copy_object(self, **_: Any) -> None:
        """Refuse."""
        raise ClientError(self._answer, "CopyObject")  # type: ignore[arg-type]


def refusals(code: str, message: str, status: int = 0) -> Iterator[str]:
    """Read a document and copy it; yield the error of each, which is one line."""
    objects = Objects(Refusing(code, message, status), "artifacts")  # type: ignore[arg-type]
    for read in (
        lambda: objects.inspect(URI),
        lambda: objects.copy(URI, "cases/x", Facts(1, "", b"", "etag"), "application/pdf"),
    ):
        with pytest.raises(InvalidCaseError) as error:
            read()
        assert "\n" not in str(error.value)
        yield str(error.value)


def denied(action: str, resource: str, why: str) -> str:
    """Return S3's message."""
    return f"User: {ROLE} is not authorized to perform: {action} on resource: {resource} {why.format(action)}"


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (
            "AccessDenied",
            denied("kms:Decrypt", KEY, NO_IDENTITY),
            f"kms:Decrypt on its key {KEY} is missing: deploy with -c document_kms_keys={KEY}",
        ),
        (
            "AccessDenied",
            denied("kms:Decrypt", KEY, NO_RESOURCE),
            f"the policy of its key {KEY} has to allow kms:Decrypt to {ROLE}",
        ),
        (
            "AccessDenied",
            f"User: {ROLE} is not authorized to perform: kms:Decrypt on this resource because the resource does not "
            "exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
            "denies access",
            f"the policy of its key has to allow kms:Decrypt to {ROLE}",
        ),
        (
            "AccessDenied",
            denied("s3:GetObject", '"arn:aws:s3:::scans/2026/letter.pdf"', NO_IDENTITY),
            "s3:GetObject on the bucket scans is missing: deploy with -c document_buckets=scans",
        ),
        (
            "AccessDenied",
            denied("s3:GetObject", '"arn:aws:s3:::scans/2026/letter.pdf"', NO_RESOURCE),
            f"the policy of the bucket scans has to allow s3:GetObject to {ROLE}",
        ),
        (
            "AccessDenied",
            denied("kms:Decrypt", KEY, "with an explicit deny in a service control policy"),
            f"kms:Decrypt on its key {KEY} is denied with an explicit deny in a service control policy",
        ),
        ("AccessDenied", "Access Denied", "deploy with -c document_buckets=scans, and with -c document_kms_keys"),
        ("403", "Forbidden", "deploy with -c document_buckets=scans, and with -c document_kms_keys"),
    ],
)
def test_an_unreadable_document_names_the_missing_permission(code: str, message: str, advice: str) -> None:
    """The error about a bucket with its own key does not name ``document_buckets``: Dossier sets no foreign policy."""
    for line in refusals(code, message):
        assert line.startswith(f"document {URI} may not be read: ")
        assert advice in line


def test_a_document_whose_key_is_disabled_says_so() -> None:
    """S3 gives KMS's own error on: trying again for minutes would not help."""
    message = f"{KEY} is disabled."
    objects = Objects(Refusing("KMS.DisabledException", message), "artifacts")  # type: ignore[arg-type]
    with pytest.raises(InvalidCaseError, match=r"cannot be decrypted \(DisabledException\): enable its key"):
        objects.inspect(URI)


@pytest.mark.parametrize(
    ("code", "status", "advice"),
    [
        ("NoSuchKey", 404, "does not exist: upload it first"),
        ("NoSuchVersion", 404, "does not exist: upload it first"),
        ("NoSuchBucket", 404, "does not exist, because its bucket does not exist"),
        ("MethodNotAllowed", 405, "it is deleted: upload it again"),
        ("InvalidObjectState", 403, "it is archived: restore it"),
        ("PermanentRedirect", 301, "another Region: copy it"),
        ("IllegalLocationConstraintException", 400, "another Region: copy it"),
        ("AuthorizationHeaderMalformed", 400, "another Region: copy it"),
        ("AllAccessDisabled", 403, "that account's owner has to ask AWS Support"),
        ("AccountProblem", 403, "that account's owner has to ask AWS Support"),
        ("NotSignedUp", 403, "that account's owner has to ask AWS Support"),
        ("KeyTooLongError", 400, "upload it under a shorter one"),
        ("KMS.DisabledException", 400, "(DisabledException): enable its key"),
        ("KMS.KMSInvalidStateException", 400, "cancel the deletion of its key"),
        ("KMS.NotFoundException", 400, "its key is gone"),
        ("KMS.InvalidKeyUsageException", 400, "encrypt it with another one"),
        ("KMS.SomethingNew", 400, "(SomethingNew): enable its key, or encrypt it with another one"),
        ("KMS.AccessDeniedException", 400, "may not be read: "),
        ("SomethingNew", 403, "S3 refuses it (SomethingNew)"),
    ],
)
def test_a_permanent_error_of_s3_is_one_line_at_once(code: str, status: int, advice: str) -> None:
    """A permanent error of S3 is a rejection that says what to do."""
    for line in refusals(code, "It is so.", status):
        assert line.startswith(f"document {URI} ")
        assert advice in line


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503), ("InternalError", 500), ("ServiceUnavailable", 503), ("503", 503), ("RequestTimeout", 400),
        ("RequestTimeTooSkewed", 403), ("ExpiredToken", 400), ("InvalidToken", 400), ("InvalidAccessKeyId", 403),
        ("SignatureDoesNotMatch", 403), ("TokenRefreshRequired", 400), ("OperationAborted", 409),
        ("ConditionalRequestConflict", 409), ("TemporaryRedirect", 307), ("BadDigest", 400), ("429", 429),
        ("KMS.ThrottlingException", 400), ("KMS.KMSInternalException", 400), ("KMS.DependencyTimeoutException", 400),
        ("KMS.KeyUnavailableException", 400), ("KMS.LimitExceededException", 400),
    ],
)  # fmt: skip
def test_a_temporary_error_of_s3_is_retried(code: str, status: int) -> None:
    """A slow service, renewed credentials or a broken connection reject no case."""
    objects = Objects(Refusing(code, "Please try again.", status), "artifacts")  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        objects.inspect(URI)
