"""The fields that DocuStack's guide shows, by the name under which an answer is kept (``dossier.drift``).

The answer to a batch is not here: the guide shows none, so nothing in it is new or missing.
"""

from __future__ import annotations

from collections.abc import Mapping

from dossier.http import Refusal

_FIELD = ("field_key", "field_name", "value", "confidence", "was_inferred", "manually_edited")

DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "document-": ("id", "name", "status", "error_message?", *(f"field_values[].{each}" for each in _FIELD)),
}
"""``error_message`` is what the guide's events call it; a failed document says so too."""

REFUSAL: Refusal = (frozenset({"detail"}),)
"""What a refusal has (guide, "Error responses")."""
