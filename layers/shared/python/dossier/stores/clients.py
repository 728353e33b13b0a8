"""The AWS clients of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from dossier.stores import s3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3.client import S3Client


class Clients:
    """Makes clients with the credentials and the Region of one session; by default boto3's own."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session or boto3.Session()

    @property
    def events(self) -> Any:
        """The events of the session's clients (botocore)."""
        return self._session.events

    def client(self, service: str) -> Any:
        """Return a new client of a service."""
        return self._session.client(service)  # type: ignore[call-overload]

    def s3(self) -> S3Client:
        """Return a new client of S3."""
        return s3.client(self._session)

    def table(self, name: str) -> Table:
        """Return a table of DynamoDB."""
        return self._session.resource("dynamodb").Table(name)
