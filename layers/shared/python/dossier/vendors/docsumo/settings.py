"""What ``connections.toml`` may say about a Docsumo account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from dossier.errors import ConfigurationError
from dossier.models import LONGEST_DEADLINE
from dossier.settings import Connection, Poll, Settings, Webhook

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


class Fields(Settings):
    """Where the extracted values are: in JSON files of the case, since the API itself gives none."""

    artifact: str = Field(default="*.json", min_length=1, max_length=512)
    """Glob on the file's name."""
    path: str = Field(min_length=1, max_length=2048)
    """JMESPath in the file to an object of values (``documents[0].fields``) or to a list of fields; https://jmespath.org."""
    key: str = "key"
    name: str = "name"
    value: str = "value"
    confidence: str = "confidence"
    """What a field in a list calls these."""

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        import jmespath  # type: ignore[import-untyped]  # noqa: PLC0415 -- only where a connection has it
        from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            jmespath.compile(value)
        except JMESPathError as error:
            raise ValueError(f"no JMESPath: {' '.join(str(error).split())[:200]}") from None
        return value


class After(Settings):
    """What is set on a case once its results are collected; what is left out stays as it is."""

    stage_id: Id | None = None
    assigned_to: Id | None = None
    case_name: Id | None = None
    """``{reference}`` in it stands for the case's reference."""


class PatientPoll(Poll):
    """People review Docsumo's cases: they are waited for days."""

    deadline: float = Field(default=5 * 86400, gt=0, le=LONGEST_DEADLINE)


class DocsumoConnection(Connection):
    """One Docsumo account and case type."""

    vendor: Literal["docsumo"]
    casetype_id: Id
    casetype_ids: tuple[Id, ...] = ()
    """Other case types that a case may choose by its option ``casetype_id``."""
    poll: PatientPoll = PatientPoll()
    trigger_workflow: bool = True
    """Whether the workflow runs once the last document of a case is uploaded; a case's option overrides it."""
    done: Done = Done(status=("processed",))
    artifacts: Artifacts = Artifacts()
    after: After = After()
    fields: Fields | None = None
    array_parameters: Literal["repeat", "comma", "brackets"] = "repeat"
    """How a list is sent in a query: ``a=1&a=2``, ``a=1,2`` or ``a[]=1&a[]=2``; the guide says "Array" alone."""
    key_header: Literal["x-api-key", "apikey"] = "x-api-key"
    """``apikey`` for older versions of the API (guide, "Authentication & Headers")."""
    storage_hosts: tuple[str, ...] = ("storage.googleapis.com",)
    webhook: Webhook | None = Webhook(scheme="shared-secret", header="X-Webhook-Token")

    @property
    def casetypes(self) -> tuple[str, ...]:
        """Every case type that a case may have."""
        return tuple(dict.fromkeys((self.casetype_id, *self.casetype_ids)))

    def gives_confidences(self) -> bool:
        """Return whether the connection says where fields are: the API gives none."""
        return self.fields is not None


def own(connection: Connection) -> DocsumoConnection:
    """Return ``connection`` as what it is.

    Raises:
        ConfigurationError: it belongs to another vendor.

    """
    if not isinstance(connection, DocsumoConnection):
        raise ConfigurationError(f'connection "{connection.name}" is not a Docsumo connection')
    return connection
