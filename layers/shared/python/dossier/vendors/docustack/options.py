"""The options of a DocuStack case."""

from __future__ import annotations

from dossier.models import AS_S3, BY_REFERENCE, PRESIGNED
from dossier.options import Option
from dossier.vendors.docustack.settings import DocuStackConnection


def options(connection: DocuStackConnection) -> tuple[Option, ...]:
    """Return the options that a connection's cases may have."""
    return (
        Option("case_title", "the result's title; DocuStack has no cases"),
        Option(BY_REFERENCE, "lets DocuStack read the ``s3://`` documents itself", choices=(AS_S3, PRESIGNED)),
        Option("schema_id", "the schema of the fields to extract, one of the connection's", choices=connection.schemas),
    )
