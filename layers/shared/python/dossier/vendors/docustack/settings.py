"""Settings of a DocuStack account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dossier.errors import ConfigurationError
from dossier.settings import Connection, Webhook

SIGNATURE = Webhook(scheme="hmac-sha256-hex", header="X-DocuStack-Signature")
"""The signature scheme of DocuStack's deliveries (guide, "Verify the signature")."""


class DocuStackConnection(Connection):
    """One organization's account at DocuStack."""

    vendor: Literal["docustack"] = "docustack"
    mode: Literal["live", "test"] = "live"
    """Kind of key: ``ds_live_…`` (billed) or ``ds_test_…`` (isolated)."""
    schema_id: str = Field(min_length=1, max_length=256)
    """The schema that names the fields to extract; every upload carries it."""
    organization_id: str = Field(min_length=1, max_length=256)
    schema_ids: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()
    """Other schemas that a case may choose by its option ``schema_id``."""
    webhook: Webhook | None = SIGNATURE

    @property
    def schemas(self) -> tuple[str, ...]:
        """Every schema that a case may have."""
        return tuple(dict.fromkeys((self.schema_id, *self.schema_ids)))


def own(connection: Connection) -> DocuStackConnection:
    """Return ``connection`` typed as DocuStack's.

    Raises:
        ConfigurationError: it belongs to another vendor.

    """
    if not isinstance(connection, DocuStackConnection):
        raise ConfigurationError(f'connection "{connection.name}" is not a DocuStack connection')
    return connection


def schemes(connection: Connection) -> tuple[str, ...]:
    """Return the schemes of references that DocuStack may read; plain http only for a sandbox."""
    return ("https://", "s3://", "http://") if connection.allow_insecure else ("https://", "s3://")


def key_header(connection: DocuStackConnection, api_key: str) -> dict[str, str]:
    """Return the header that carries the key (guide, "Authentication").

    Raises:
        ConfigurationError: there is no key, or it is of the other mode. A test key must not process real cases, and a
            live key must not bill for tests.

    """
    fix = f"run `dossier secrets set {connection.name}`"
    if not api_key:
        raise ConfigurationError(f'connection "{connection.name}" has no API key: {fix}')
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ConfigurationError(
            f'the API key of connection "{connection.name}" has blanks or characters that are not printable ASCII: '
            f"{fix}"
        )
    other = "test" if connection.mode == "live" else "live"
    if api_key.startswith(f"ds_{other}_"):
        raise ConfigurationError(
            f'connection "{connection.name}" has mode = "{connection.mode}", but its API key is a {other} key '
            f'(ds_{other}_…): {fix} with a ds_{connection.mode}_… key, or set mode = "{other}"'
        )
    return {"X-API-Key": api_key}
