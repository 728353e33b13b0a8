"""The options of a Docsumo case."""

from __future__ import annotations

from dossier.options import Option
from dossier.vendors.docsumo.settings import DocsumoConnection


def options(connection: DocsumoConnection) -> tuple[Option, ...]:
    """Return the options that a connection's cases may have."""
    return (
        Option("case_title", "the case's name, set once its results are collected (``after.case_name`` for one case)"),
        Option("after_stage_id", "the stage to move the case to once its results are collected"),
        Option("after_assigned_to", "the user to assign the case to once its results are collected"),
        Option("trigger_workflow", "whether the case's workflow runs after its last upload", "boolean"),
        Option("casetype_id", "the case type, one of the connection's", choices=connection.casetypes),
    )
