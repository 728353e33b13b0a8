"""Process: triggers the vendor's assessment, where there is one."""

from __future__ import annotations

from dossier.models import CaseStatus
from dossier.steps.work import Desk


def process(connection: str, reference: str, *, desk: Desk) -> None:
    """Trigger the assessment unless it is under way; the adapter looks before it does, so a retry is safe."""
    job = desk.load(connection, reference)
    if job.case.record.trouble is None or job.case.record.status is not CaseStatus.PROCESSING:
        desk.cases.change(connection, reference, status=CaseStatus.PROCESSING, note="the assessment is triggered")
    with job.telling():
        job.run(job.vendor.process(job.view))
