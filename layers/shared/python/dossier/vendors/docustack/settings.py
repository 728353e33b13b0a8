"""Settings of a DocuStack account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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


def schemes(connection: Connection) -> tuple[str, ...]:
    """Return the schemes of references that DocuStack may read; plain http only for a sandbox."""
    return ("https://", "s3://", "http://") if connection.allow_insecure else ("https://", "s3://")
