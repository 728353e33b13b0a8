"""What a Docsumo delivery is about: its payload is documented by words alone, so the ids are looked for."""

from __future__ import annotations

from dossier.deliveries import DEEPEST as DEEPEST  # noqa: PLC0414 -- how far a delivery is looked through
from dossier.deliveries import MOST_IDS as MOST_IDS  # noqa: PLC0414
from dossier.deliveries import Delivery
from dossier.ports import Hint

_SCOPES = ("casetype_id", "case_type_id", "caseTypeId")


def read_hint(body: bytes) -> Hint | None:
    """Return the case (and document) ids that a delivery names; None if it names none. Never raises.

    The case ids of the level nearest to the top count: ``case_id`` itself, before one under ``data`` or ``case``,
    before one deeper down. Source: guide 3, "JSON payload containing the updated metadata, case ID, state changes, and
    related documents".
    """
    delivery = Delivery(body)
    cases, documents = delivery.ids("case", nearest=True), delivery.ids("doc", "document")
    if not cases and not documents:
        return None
    event, scopes = delivery.event("case changed"), delivery.under(*_SCOPES)
    return Hint(event=event, case_ids=cases, document_ids=documents, scopes=scopes)
