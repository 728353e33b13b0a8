"""Read the ids from a delivery. The guide has no webhooks: this serves a relay that names a case or document."""

from __future__ import annotations

from dossier.deliveries import Delivery
from dossier.ports import Hint


def read_hint(body: bytes) -> Hint | None:
    """Return the case and document ids in a delivery, or None."""
    delivery = Delivery(body)
    cases, documents = delivery.ids("case", nearest=True), delivery.ids("document")
    if not cases and not documents:
        return None
    return Hint(event=delivery.event("unnamed"), case_ids=cases, document_ids=documents)
