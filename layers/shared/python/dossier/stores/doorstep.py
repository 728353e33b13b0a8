"""The webhook function's AWS clients. Each is created on its first use, so that little is imported at a cold start."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

import boto3

from dossier.stores import s3
from dossier.stores.evidence import EvidenceStore
from dossier.stores.queues import WAKE, Queues

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient

MAX_AGE = 300
"""How long, in seconds, webhook secrets are used before they are read again."""


class Doorstep:
    """The webhook function's collaborators."""

    def __init__(self, sqs: SQSClient, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._held: dict[str, tuple[float, list[str]]] = {}
        self.enqueue = partial(Queues(sqs, environment["DOSSIER_WAKE_QUEUE_URL"]).send, WAKE)

    @cached_property
    def _evidence(self) -> EvidenceStore:
        days = int(self._environment.get("DOSSIER_EVIDENCE_LOCK_DAYS") or 0)
        return EvidenceStore(s3.client(), self._environment["DOSSIER_BUCKET"], lock_days=days)

    def evidence(self) -> EvidenceStore:
        """Return the store of deliveries."""
        return self._evidence

    def webhook_secrets(self, connection: str, fresh: bool) -> list[str]:
        """Return a connection's active webhook secrets, read again if ``fresh``; an empty list if none can be read.

        A missing or malformed secret is cached for ``MAX_AGE``, like any other.
        """
        at, secrets = self._held.get(connection, (0.0, []))
        if fresh or connection not in self._held or time.monotonic() - at > MAX_AGE:
            secrets = self._read(connection)
            self._held[connection] = (time.monotonic(), secrets)
        return list(secrets)

    @cached_property
    def _manager(self) -> SecretsManagerClient:
        return boto3.client("secretsmanager")

    def _read(self, connection: str) -> list[str]:
        name = f"{self._environment['DOSSIER_PREFIX']}/{connection}"
        try:
            text = self._manager.get_secret_value(SecretId=name).get("SecretString") or "{}"
        except self._manager.exceptions.ResourceNotFoundException:
            return []
        try:
            value = json.loads(text)
        except ValueError:
            return []
        given = value.get("webhook_secrets") if isinstance(value, dict) else None
        return [each for each in given if isinstance(each, str) and each] if isinstance(given, list) else []
