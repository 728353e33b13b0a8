"""The functions' environment variables, as a validated model."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict


class Environment(BaseModel):
    """The variables that a deployment sets; those that a function does not use may be missing."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    stage: str = ""
    prefix: str = ""
    table: str = ""
    bucket: str = ""
    event_bus: str = ""
    wake_queue_url: str = ""
    state_machine_arn: str = ""
    records_days: int = 0
    """Days for which an ended case stays in the table; 0 means forever."""

    @classmethod
    def from_os(cls) -> Environment:
        """Read ``DOSSIER_TABLE``, ``DOSSIER_BUCKET`` and so on."""
        values = {name: os.environ.get(f"DOSSIER_{name.upper()}", "") for name in cls.model_fields}
        values["records_days"] = values["records_days"] or "0"
        return cls.model_validate(values)
