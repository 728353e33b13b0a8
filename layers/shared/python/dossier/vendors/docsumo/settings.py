"""Settings of a Docsumo account in ``connections.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from dossier.models import LONGEST_DEADLINE
from dossier.settings import Connection, Poll, Settings, Webhook

Id = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class Done(Settings):
    """When a case counts as finished: by its status or its stage, whichever matches first.

    A case type's workflow decides which of the two it uses.
    """

    status: tuple[Id, ...] = ()
    stage_id: tuple[Id, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Done:
        if not self.status and not self.stage_id:
            raise ValueError("give status, stage_id or both: nothing would ever count as finished")
        return self


class Artifacts(Settings):
    """Which files of a case are downloaded."""

    query: str = Field(default="", max_length=512)
    """Sent as the file search's ``q``, which is a full-text search and no exact match."""
    include: tuple[str, ...] = ("*",)
    """Case-sensitive globs on the file name; a file that matches any of them is downloaded."""


class Fields(Settings):
    """Where the extracted values are: in JSON files of the case, since no API answer contains them."""

    artifact: str = Field(default="*.json", min_length=1, max_length=512)
    """Glob on the file name."""
    path: str = Field(min_length=1, max_length=2048)
    """JMESPath in the file to an object of values (``documents[0].fields``) or to a list of fields; https://jmespath.org."""
    key: str = "key"
    name: str = "name"
    value: str = "value"
    confidence: str = "confidence"
    """The keys under which a field in a list has these."""

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        import jmespath  # type: ignore[import-untyped]  # noqa: PLC0415 -- only where a connection has it
        from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            jmespath.compile(value)
        except JMESPathError as error:
            raise ValueError(f"is not a JMESPath expression: {' '.join(str(error).split())[:200]}") from None
        return value


class After(Settings):
    """Changes to a case once its results are collected. Omitted values stay unchanged."""

    stage_id: Id | None = None
    assigned_to: Id | None = None
    case_name: Id | None = None
    """``{reference}`` is replaced by the case's reference."""


class PatientPoll(Poll):
    """Poll settings with a deadline of days: people review Docsumo's cases."""

    deadline: float = Field(default=5 * 86400, gt=0, le=LONGEST_DEADLINE)


class DocsumoConnection(Connection):
    """One Docsumo account and case type."""

    vendor: Literal["docsumo"]
    casetype_id: Id
    casetype_ids: tuple[Id, ...] = ()
    """Other case types that a case may choose by its option ``casetype_id``."""
    poll: PatientPoll = PatientPoll()
    trigger_workflow: bool = True
    """Whether the workflow runs once a case's last document is uploaded; the option of that name overrides it."""
    done: Done = Done(status=("processed",))
    artifacts: Artifacts = Artifacts()
    after: After = After()
    fields: Fields | None = None
    array_parameters: Literal["repeat", "comma", "brackets"] = "repeat"
    """How a list is sent in a query: ``a=1&a=2``, ``a=1,2`` or ``a[]=1&a[]=2``. The guide only says "Array"."""
    key_header: Literal["x-api-key", "apikey"] = "x-api-key"
    """``apikey`` for older versions of the API (guide, "Authentication & Headers")."""
    storage_hosts: tuple[str, ...] = ("storage.googleapis.com",)
    webhook: Webhook | None = Webhook(scheme="shared-secret", header="X-Webhook-Token")

    @property
    def casetypes(self) -> tuple[str, ...]:
        """Every case type that a case may have."""
        return tuple(dict.fromkeys((self.casetype_id, *self.casetype_ids)))

    def gives_confidences(self) -> bool:
        """Return whether ``fields`` is set: no API answer contains values."""
        return self.fields is not None
