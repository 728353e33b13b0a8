"""Reading a delivery. The guide has no webhooks: this serves a relay that names a case or document, and no more."""

from __future__ import annotations

from dossier.ports import Hint
from dossier.replies import delivered, identifier


def read_hint(body: bytes) -> Hint | None:
    """Return the ``case_id`` and ``document_id`` in a delivery, also under ``data``; None if there is neither."""
    event, parts = delivered(body)
    cases = tuple(dict.fromkeys(found for part in parts if (found := identifier(part.get("case_id")))))
    documents = tuple(dict.fromkeys(found for part in parts if (found := identifier(part.get("document_id")))))
    if not cases and not documents:
        return None
    return Hint(event=event, case_ids=cases, document_ids=documents)
