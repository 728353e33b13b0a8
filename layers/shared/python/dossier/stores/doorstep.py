"""What the webhook function needs of AWS, with as little to import as possible; each client on its first use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from dossier.stores import s3
from dossier.stores.evidence import EvidenceStore
from dossier.stores.queues import WAKE, Queues

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

    from dossier.stores.secrets import Secrets


class Doorstep:
    """The webhook function's collaborators."""

    def __init__(self, sqs: SQSClient, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.enqueue = partial(Queues(sqs, environment["DOSSIER_WAKE_QUEUE_URL"]).send, WAKE)

    @cached_property
    def _evidence(self) -> EvidenceStore:
        days = int(self._environment.get("DOSSIER_EVIDENCE_LOCK_DAYS") or 0)
        return EvidenceStore(s3.client(), self._environment["DOSSIER_BUCKET"], lock_days=days)

    def evidence(self) -> EvidenceStore:
        """Return where deliveries are kept."""
        return self._evidence

    @cached_property
    def _secrets(self) -> Secrets:
        from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415 -- cold start

        from dossier.stores.secrets import Secrets  # noqa: PLC0415

        return Secrets(SecretsProvider(), self._environment["DOSSIER_PREFIX"])

    def webhook_secrets(self, connection: str, fresh: bool) -> list[str]:
        """Return the active webhook secrets of a connection, read again if ``fresh``."""
        return list(self._secrets.get(connection, fresh=fresh).webhook_secrets)
