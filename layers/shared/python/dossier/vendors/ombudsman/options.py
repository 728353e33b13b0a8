"""The options of a case at the Ombudsman partner API (guide, "Request Fields")."""

from __future__ import annotations

from dossier.options import Option
from dossier.vendors.ombudsman.settings import OmbudsmanConnection


def options(connection: OmbudsmanConnection) -> tuple[Option, ...]:
    """Return the options that a connection's cases may have."""
    types = connection.case_types
    chosen = (Option("case_type_id", "the case type, one of the connection's", choices=types),) if types else ()
    return (
        Option("case_title", "the case's title, until the vendor's AI writes its own"),
        Option("case_initiated_date", "when the case was initiated", "date"),
        Option("external_case_id", "your id of the case at the vendor; by default the reference"),
        *chosen,
    )
