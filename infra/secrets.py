"""The connections' secrets."""

from __future__ import annotations

import json
from collections.abc import Callable

from aws_cdk import SecretValue
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from dossier.settings import Connection
from infra.encryption import customer_key
from infra.rules import acknowledge
from infra.settings import Settings

# CloudFormation writes a secret's value when the secret is created, and again only when this text changes. So it must
# never change: the value that the operator set (`dossier secrets set`) would be overwritten by the next deployment.
_FIRST_VALUE = json.dumps({"api_key": "", "webhook_secrets": []}, separators=(",", ":"))


class ConnectionSecrets(Construct):
    """One secret ``<prefix>/<connection>`` for each connection, empty until the operator fills it in."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        self._key = customer_key(self, settings)
        self._connections = settings.connections
        self.arns = {name: self._secret(settings, name).secret_arn for name in settings.connections}
        """The secrets' ARNs by connection."""

    def of(self, kind: Callable[[Connection], bool]) -> list[str]:
        """Return the ARNs of the secrets of a kind of connections."""
        return [arn for name, arn in self.arns.items() if kind(self._connections[name])]

    def _secret(self, settings: Settings, name: str) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            name,
            secret_name=f"{settings.prefix}/{name}",
            description=f"Dossier ({settings.stage}): API key and webhook secrets of the connection {name}",
            encryption_key=self._key,
            secret_string_value=SecretValue.unsafe_plain_text(_FIRST_VALUE),  # holds no secret
        )
        acknowledge(
            secret,
            "AwsSolutions-SMG4",
            reason="The vendor issues the key: an operator replaces it there and here, two webhook secrets at a time.",
        )
        return secret
