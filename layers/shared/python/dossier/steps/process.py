"""Process: trigger the vendor's assessment, if the vendor has one."""

from __future__ import annotations

from dataclasses import replace

from dossier.errors import VendorRejectedError
from dossier.models import CaseId, CaseStatus
from dossier.steps.context import Context
from dossier.steps.sources import together


def process(case: CaseId, *, context: Context) -> None:
    """Trigger the assessment unless it is under way.

    The status is stored before the first request. So a try that finds it may be a retry, and the adapter reads the
    vendor's case first. The first try in a case that Dossier opened has nothing to look for: its documents' states were
    polled a moment ago.

    Raises:
        VendorRejectedError: the vendor rejected the request; failed documents are named first, as the probable cause.

    """
    loaded = context.load(case)
    record = loaded.case.record
    first = record.status is not CaseStatus.PROCESSING and record.attempt == 1
    view = replace(loaded.view, tried=not (first and record.appends_to is None and not loaded.case.named))
    if record.trouble is None or record.status is not CaseStatus.PROCESSING:
        context.cases.change(case, status=CaseStatus.PROCESSING, note="the assessment is triggered")
    try:
        with loaded.telling():
            loaded.run(loaded.vendor.process(view))
    except VendorRejectedError as error:
        failed = [
            f"{each.name}: {each.error or 'the vendor could not read it'}"
            for each in loaded.case.documents
            if each.failed
        ]
        if not failed:
            raise
        raise VendorRejectedError(f"{together(failed)}; after that, {error}", status=error.status) from error
