"""The sandbox's accounts, read from ``accounts.toml``: one per vendor, with its key and its resources."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ACCOUNTS_FILE = Path(__file__).with_name("accounts.toml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DocsumoAccount(_Strict):
    """A Docsumo account: its case types, the stages of their workflow, and its bucket in storage."""

    api_key: str
    webhook_secret: str
    casetypes: list[str]
    stages: list[str]
    bucket: str


class DocuStackAccount(_Strict):
    """A DocuStack account: the schemas and organizations that its key may use."""

    api_key: str
    webhook_secret: str
    schemas: list[str]
    organizations: list[str]


class OmbudsmanAccount(_Strict):
    """An Ombudsman partner account: its tenant, and its case types by id."""

    api_key: str
    webhook_secret: str
    tenant: str
    case_types: dict[str, str]


class Accounts(_Strict):
    """All accounts of the sandbox."""

    docsumo: DocsumoAccount
    docustack: DocuStackAccount
    ombudsman: OmbudsmanAccount

    def keys(self) -> dict[str, str]:
        """Return the API key of each vendor."""
        return {
            "docsumo": self.docsumo.api_key,
            "docustack": self.docustack.api_key,
            "ombudsman": self.ombudsman.api_key,
        }


def load(path: Path = ACCOUNTS_FILE) -> Accounts:
    """Read the accounts from a TOML file."""
    return Accounts.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
