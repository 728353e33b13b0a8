"""Process: trigger the vendor's assessment, if the vendor has one."""

from __future__ import annotations

from dossier.errors import VendorRejectedError
from dossier.models import CaseStatus
from dossier.steps.sources import together
from dossier.steps.work import Desk


def process(connection: str, reference: str, *, desk: Desk) -> None:
    """Trigger the assessment unless it is under way. The adapter checks that first, so a retry is safe.

    Raises:
        VendorRejectedError: the vendor rejected the request; failed documents are named first, as the probable cause.

    """
    job = desk.load(connection, reference)
    if job.case.record.trouble is None or job.case.record.status is not CaseStatus.PROCESSING:
        desk.cases.change(connection, reference, status=CaseStatus.PROCESSING, note="the assessment is triggered")
    try:
        with job.telling():
            job.run(job.vendor.process(job.view))
    except VendorRejectedError as error:
        failed = [
            f"{each.name}: {each.error or 'the vendor could not read it'}" for each in job.case.documents if each.failed
        ]
        if not failed:
            raise
        raise VendorRejectedError(f"{together(failed)}; after that, {error}", status=error.status) from error
