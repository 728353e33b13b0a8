"""Process: trigger the vendor's assessment, if the vendor has one."""

from __future__ import annotations

from dossier.errors import VendorRejectedError
from dossier.models import CaseId, CaseStatus
from dossier.steps.context import Context
from dossier.steps.sources import together


def process(case: CaseId, *, context: Context) -> None:
    """Trigger the assessment unless it is under way. The adapter checks that first, so a retry is safe.

    Raises:
        VendorRejectedError: the vendor rejected the request; failed documents are named first, as the probable cause.

    """
    loaded = context.load(case)
    if loaded.case.record.trouble is None or loaded.case.record.status is not CaseStatus.PROCESSING:
        context.cases.change(case, status=CaseStatus.PROCESSING, note="the assessment is triggered")
    try:
        with loaded.telling():
            loaded.run(loaded.vendor.process(loaded.view))
    except VendorRejectedError as error:
        failed = [
            f"{each.name}: {each.error or 'the vendor could not read it'}"
            for each in loaded.case.documents
            if each.failed
        ]
        if not failed:
            raise
        raise VendorRejectedError(f"{together(failed)}; after that, {error}", status=error.status) from error
