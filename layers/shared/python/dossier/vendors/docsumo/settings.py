"""What ``connections.toml`` may say about a Docsumo account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from dossier.errors import ConfigurationError
from dossier.settings import Connection, Settings, Webhook

Id = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class Done(Settings):
    """What counts as finished: the case's status or its stage, whichever matches first.

    Which of the two a case type uses is a matter of its workflow ("Stage and status are two things").
    """

    status: tuple[Id, ...] = ()
    stage_id: tuple[Id, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Done:
        if not self.status and not self.stage_id:
            raise ValueError("give status, stage_id or both: nothing would ever count as finished")
        return self


class Artifacts(Settings):
    """Which files of a case are fetched."""

    query: str = Field(default="", max_length=512)
    """Sent as the file search's ``q``: a search of the vendor's own, so a narrowing, never an equality."""
    include: tuple[str, ...] = ("*",)
    """Globs on the file name, upper and lower case told apart; a file that matches one of them is fetched."""


class After(Settings):
    """What is set on a case once its results are collected; what is left out stays as it is."""

    stage_id: Id | None = None
    assigned_to: Id | None = None
    case_name: Id | None = None


class DocsumoConnection(Connection):
    """One Docsumo account and case type."""

    vendor: Literal["docsumo"]
    casetype_id: Id
    trigger_workflow: bool = True
    """Whether the workflow runs once the last document of a case is uploaded; a case's option overrides it."""
    done: Done = Done(status=("processed",))
    artifacts: Artifacts = Artifacts()
    after: After = After()
    key_header: Literal["x-api-key", "apikey"] = "x-api-key"
    """``apikey`` for older versions of the API (guide, "Authentication & Headers")."""
    storage_hosts: tuple[str, ...] = ("storage.googleapis.com",)
    webhook: Webhook | None = Webhook(scheme="shared-secret", header="X-Webhook-Token")

    def gives_confidences(self) -> bool:
        """Return False: the API gives no fields, so no confidences."""
        return False


def own(connection: Connection) -> DocsumoConnection:
    """Return ``connection`` as what it is.

    Raises:
        ConfigurationError: it belongs to another vendor.

    """
    if not isinstance(connection, DocsumoConnection):
        raise ConfigurationError(f'connection "{connection.name}" is not a Docsumo connection')
    return connection
