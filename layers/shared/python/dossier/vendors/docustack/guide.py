"""The fields that DocuStack's guide documents, by the name under which an answer is stored (``dossier.drift``).

The guide does not document the answer to a batch.
"""

from __future__ import annotations

from collections.abc import Mapping

from dossier.http import Refusal

_FIELD = ("field_key", "field_name", "value", "confidence", "was_inferred", "manually_edited")

DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "document-": ("id", "name", "status", "error_message?", *(f"field_values[].{each}" for each in _FIELD)),
}
"""``error_message`` comes from the guide's events; a failed document has it too."""

REFUSAL: Refusal = (frozenset({"detail"}),)
"""The keys of a rejection (guide, "Error responses")."""
