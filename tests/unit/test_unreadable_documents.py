"""A document that may not be read: the error names the permission that is missing, and who has to give it."""

from __future__ import annotations

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

    def __init__(self, code: str, message: str) -> None:
        self._answer = {"Error": {"Code": code, "Message": message}}

    def get_object(self, **_: Any) -> None:
        """Refuse."""
        raise ClientError(self._answer, "GetObject")  # type: ignore[arg-type]

    def copy_object(self, **_: Any) -> None:
        """Refuse."""
        raise ClientError(self._answer, "CopyObject")  # type: ignore[arg-type]


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
def test_a_refused_document_names_the_missing_permission(code: str, message: str, advice: str) -> None:
    """A bucket with a key of its own is not said to need ``document_buckets``; a foreign policy is not ours to set."""
    objects = Objects(Refusing(code, message), "artifacts")  # type: ignore[arg-type]
    for read in (
        lambda: objects.inspect(URI),
        lambda: objects.copy(URI, "cases/x", Facts(1, "", b"", "etag"), "application/pdf"),
    ):
        with pytest.raises(InvalidCaseError) as error:
            read()
        assert str(error.value).startswith(f"document {URI} may not be read: ")
        assert advice in str(error.value)
        assert "\n" not in str(error.value)


def test_a_document_whose_key_is_disabled_says_so() -> None:
    """S3 gives KMS's own error on: trying again for minutes would not help."""
    message = f"{KEY} is disabled."
    objects = Objects(Refusing("KMS.DisabledException", message), "artifacts")  # type: ignore[arg-type]
    with pytest.raises(InvalidCaseError, match=r"cannot be decrypted \(DisabledException\): enable its key"):
        objects.inspect(URI)
