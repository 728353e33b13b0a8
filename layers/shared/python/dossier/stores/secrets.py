"""The connections' secrets from Secrets Manager, cached, and read again if they seem to be out of date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import ValidationError

from dossier.errors import ConfigurationError
from dossier.settings import Secret

MAX_AGE = 300
"""How long, in seconds, a secret is used before it is read again."""


@dataclass(frozen=True, slots=True)
class SecretState:
    """Facts about a secret that do not reveal it: its age, and its parts."""

    set_at: datetime | None
    api_key: bool
    webhook_secrets: int


class Secrets:
    """Secrets ``<prefix>/<connection>``."""

    def __init__(self, provider: SecretsProvider, prefix: str) -> None:
        self._provider = provider
        self._prefix = prefix

    def get(self, connection: str, *, fresh: bool = False) -> Secret:
        """Return a connection's secret. It is read again, whatever its age, with ``fresh`` or if it is unusable.

        Raises:
            ConfigurationError: there is none, or it is not the JSON that the contract describes.

        """
        name = f"{self._prefix}/{connection}"
        fix = f"run `dossier secrets set {connection}`"
        try:
            text = str(self._provider.get(name, max_age=MAX_AGE, force_fetch=fresh) or "{}")
        except GetParameterError as error:
            if "ResourceNotFound" in str(error):
                raise ConfigurationError(f"secret {name} does not exist: {fix}") from error
            raise
        try:
            return Secret.model_validate_json(text)
        except ValidationError:
            pass
        if not fresh:
            return self.get(connection, fresh=True)
        raise ConfigurationError(f"secret {name} is not the expected JSON: {fix}")

    def state(self, connection: str) -> SecretState:
        """Return the facts about a connection's secret; its age is that of its current version.

        Raises:
            ConfigurationError: there is none, or it is not the JSON that the contract describes.

        """
        secret = self.get(connection, fresh=True)
        found = self._provider.client.get_secret_value(SecretId=f"{self._prefix}/{connection}")
        return SecretState(found.get("CreatedDate"), bool(secret.api_key), len(secret.webhook_secrets))

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return a connection's API key.

        Raises:
            ConfigurationError: it is not set.

        """
        key = self.get(connection, fresh=fresh).api_key or self.get(connection, fresh=True).api_key
        if not key:
            raise ConfigurationError(
                f"secret {self._prefix}/{connection} has no api_key: run `dossier secrets set {connection}`"
            )
        return key
