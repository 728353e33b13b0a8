"""Settings of an account at the Ombudsman partner API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dossier.settings import Connection


class OmbudsmanConnection(Connection):
    """One tenant's account. The vendor sends no webhooks; without a relay Dossier polls for every result."""

    vendor: Literal["ombudsman"] = "ombudsman"
    tenant: str = Field(min_length=1, max_length=256)
    """The tenant id given during onboarding (``ombudsman`` in the guide's "Create a Case")."""
    case_type_id: str | None = Field(default=None, min_length=1, max_length=256)
    """The case type, which decides what is extracted; optional, but the guide recommends to set it."""
    case_type_ids: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()
    """Other case types that a case may choose by its option ``case_type_id``."""
    on_failed_document: Literal["proceed", "stop"] = "proceed"
    """Whether a case is assessed although the vendor could not process some of its documents."""
    on_unknown_outcome: Literal["ask", "retry"] = "ask"
    """If the answer to a create is lost: ask an operator, or create the case again. There is no look-up."""

    @property
    def case_types(self) -> tuple[str, ...]:
        """Every case type that a case may have."""
        default = () if self.case_type_id is None else (self.case_type_id,)
        return tuple(dict.fromkeys((*default, *self.case_type_ids)))

    def gives_confidences(self) -> bool:
        """Return False: the vendor gives no confidences."""
        return False
