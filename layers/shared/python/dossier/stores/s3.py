"""Create the S3 client. Every request and presigned URL names the bucket's Region."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def client(session: boto3.Session | None = None) -> S3Client:
    """Return an S3 client that addresses a bucket by its Region (``<bucket>.s3.<region>.<partition's suffix>``).

    By default botocore presigns for S3's global endpoint. That answers 400 for buckets in Regions newer than 2019 and
    redirects other requests to a host that the signature does not cover:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html

    Bodies have a checksum, and are not part of the signature, which would hash them once more. That is botocore's
    default over HTTPS; over plain HTTP, on the loopback, it is not.

    An endpoint from the environment has one host for all buckets, so it uses path-style addresses.

    Args:
        session: the session with credentials and Region; by default boto3's.

    """
    own_endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    addresses: Any = {  # the stubs lack "use_dualstack_endpoint", which overrides the profile
        "addressing_style": "path" if own_endpoint else "virtual",
        "us_east_1_regional_endpoint": "regional",
        "use_accelerate_endpoint": False,
        "payload_signing_enabled": False,
        "use_dualstack_endpoint": False,
    }
    config = Config(signature_version="s3v4", retries={"mode": "standard"}, s3=addresses)
    return session.client("s3", config=config) if session else boto3.client("s3", config=config)
