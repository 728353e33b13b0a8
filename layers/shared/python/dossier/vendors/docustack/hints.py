"""Reading a delivery (guide, "Webhooks", "Events"): which document or job it is about, nothing more."""

from __future__ import annotations

from dossier.deliveries import Delivery
from dossier.ports import Hint


def read_hint(body: bytes) -> Hint | None:
    """Return the ids in a delivery, whatever its event; None if it names none.

    ``document_completed`` names its document and job, ``job_completed`` and ``job_failed`` only their job: which
    documents belong to a job is the caller's to know. ``job_failed`` says why in ``error_message``.
    """
    delivery = Delivery(body)
    documents, jobs = delivery.ids("document"), delivery.ids("job")
    if not documents and not jobs:
        return None
    return Hint(
        event=delivery.event("unnamed"), document_ids=documents, job_ids=jobs, says=delivery.text("error_message")
    )
