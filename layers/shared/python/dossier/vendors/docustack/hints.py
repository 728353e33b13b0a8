"""Read the document and job ids from a delivery (guide, "Webhooks", "Events")."""

from __future__ import annotations

from dossier.deliveries import Delivery
from dossier.ports import Hint


def read_hint(body: bytes) -> Hint | None:
    """Return the ids in a delivery of any event, or None.

    ``document_completed`` names its document and job; ``job_completed`` and ``job_failed`` only their job. The caller
    knows which documents belong to a job. ``job_failed`` gives its reason in ``error_message``.
    """
    delivery = Delivery(body)
    documents, jobs = delivery.ids("document"), delivery.ids("job")
    if not documents and not jobs:
        return None
    return Hint(
        event=delivery.event("unnamed"), document_ids=documents, job_ids=jobs, says=delivery.text("error_message")
    )
