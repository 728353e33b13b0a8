"""Read the ids from a Docsumo delivery. The guide has no sample of its payload, so ids are searched for."""

from __future__ import annotations

import re

from dossier.deliveries import DEEPEST as DEEPEST  # noqa: PLC0414 -- how far a delivery is looked through
from dossier.deliveries import LONGEST_TEXT, Delivery
from dossier.deliveries import MOST_IDS as MOST_IDS  # noqa: PLC0414
from dossier.ports import Hint

_SCOPES = ("casetype_id", "case_type_id", "caseTypeId")
_ANYWHERE = re.compile(rb"(?<![0-9A-Za-z])case__[0-9a-f]{16,64}(?![0-9A-Za-z])")
"""A case's id as the guide's samples have it: no other text looks like it."""


def read_hint(body: bytes) -> Hint | None:
    """Return the case and document ids that a delivery names, or None. Never raises.

    The case ids of the level nearest to the top count: ``case_id`` itself, before one under ``data`` or ``case``,
    before one deeper down. If there is none under a name, any text in the form of the guide's ids counts as one.
    Source: guide 3, "JSON payload containing the updated metadata, case ID, state changes, and related documents".
    """
    delivery = Delivery(body)
    cases, documents = delivery.ids("case", nearest=True), delivery.ids("doc", "document")
    if not cases and not documents:
        found = dict.fromkeys(each.decode() for each in _ANYWHERE.findall(body[:LONGEST_TEXT]))
        cases = tuple(found)[:MOST_IDS]
    if not cases and not documents:
        return None
    event, scopes = delivery.event("case changed"), delivery.under(*_SCOPES)
    return Hint(event=event, case_ids=cases, document_ids=documents, scopes=scopes)
