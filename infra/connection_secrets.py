"""The connections' secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

import aws_cdk as cdk
from aws_cdk import SecretValue
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from dossier.settings import Connection
from infra.encryption import customer_key
from infra.findings import acknowledge
from infra.settings import Settings

# CloudFormation writes a secret's value when it creates the secret, and again only if this text changes. So never
# change it: the next deployment would overwrite the value that the operator set (`dossier secrets set`).
_FIRST_VALUE = json.dumps({"api_key": "", "webhook_secrets": []}, separators=(",", ":"))


class ConnectionSecrets(Construct):
    """One secret ``<prefix>/<connection>`` for each connection, empty until the operator fills it in.

    A secret outlives its connection and its stack, because a vendor shows an API key only once. So the secret may exist
    when a connection is deployed again. CloudFormation would fail to create it, and cannot import it (a secret's
    identifier is its ARN, which only AWS knows): secrets outside the stack are used as they are
    (``infra.existing_secrets``).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        existing: Collection[str] = (),
    ) -> None:
        super().__init__(scope, id)
        self._key = customer_key(self, settings)
        self._connections = settings.connections
        self.arns = {
            name: self._found(settings, name) if name in existing else self._secret(settings, name).secret_arn
            for name in settings.connections
        }
        """The secrets' ARNs by connection; for an existing secret, the pattern of its ARN."""

    def of(self, kind: Callable[[Connection], bool]) -> list[str]:
        """Return the ARNs of the secrets of the connections that ``kind`` selects."""
        return [arn for name, arn in self.arns.items() if kind(self._connections[name])]

    def _secret(self, settings: Settings, name: str) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            name,
            secret_name=f"{settings.prefix}/{name}",
            description=f"Dossier ({settings.stage}): API key and webhook secrets of the connection {name}",
            encryption_key=self._key,
            secret_string_value=SecretValue.unsafe_plain_text(_FIRST_VALUE),  # holds no secret
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        acknowledge(
            secret,
            "AwsSolutions-SMG4",
            reason="The vendor issues the key: an operator replaces it there and here; old webhook secrets stay valid.",
        )
        return secret

    def _found(self, settings: Settings, name: str) -> str:
        # Secrets Manager adds a hyphen and six characters to the name
        # (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html).
        return cdk.Stack.of(self).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{settings.prefix}/{name}-??????",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
