"""Targets that read answers of a vendor, or of anything that answers in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dossier import vendors
from dossier.errors import DossierError
from dossier.http import Flow, Reply
from dossier.models import Document
from dossier.names import unique_names
from dossier.ports import Artifact, CaseView, Intent, Vendor
from fuzz.promises import check, check_vendors_error

AT = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = (200, 200, 200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)
END = b"\n--\n"
"""The separator of two answers."""
REQUESTS = 40
"""The most requests of a flow: a list may be long."""
SETTINGS: dict[str, dict[str, Any]] = {
    "docsumo": {"casetype_id": "c", "done": {"status": ["processed"], "stage_id": ["stage__review"]}},
    "docustack": {"schema_id": "s", "organization_id": "o"},
    "ombudsman": {"tenant": "t", "on_failed_document": "stop"},
}
KEPT = ("case", "files", "upload-0", "after", "document-d1", "evidence-d1", "d1")
"""Names of stored raw answers."""


def _view(vendor: str) -> CaseView:
    given = {"name": "x", "vendor": vendor, "base_url": "https://x.test", **SETTINGS[vendor]}
    connection = vendors.connection_model(vendor).model_validate(given)
    documents = tuple(
        Document(index=index, name=f"{id_}.pdf", key="k", size=9, content_type="application/pdf", document_id=id_)
        for index, id_ in enumerate(("d1", "d2"))
    )
    return CaseView(connection, "R-1", {}, None if vendor == "docustack" else "c1", documents, AT)


VIEWS = {name: _view(name) for name in SETTINGS}
OPERATIONS: dict[str, Callable[[Vendor, CaseView], Flow[Any]]] = {
    "open": lambda vendor, view: vendor.open(view),
    "before_upload": lambda vendor, view: vendor.before_upload(view, [0]),
    "upload": lambda vendor, view: vendor.upload(view, [0]),
    "find_uploaded": lambda vendor, view: vendor.find_uploaded(view, [0], Intent(AT)),
    "poll_documents": lambda vendor, view: vendor.poll_documents(view, ["d1", "d2"]),
    "poll_results": lambda vendor, view: vendor.poll_results([view]),
    "process": lambda vendor, view: vendor.process(view),
    "artifacts": lambda vendor, view: vendor.artifacts(view),
    "locate": lambda vendor, view: vendor.locate(view, Artifact("a.pdf", "/api/partner/v1/cases/c1")),
    "finish": lambda vendor, view: vendor.finish(view),
    "check": lambda vendor, _: vendor.check(),
}
FLOWS = [(vendor, operation) for vendor in SETTINGS for operation in OPERATIONS]


def replies(data: bytes) -> None:
    """Read a vendor's answers: they give a value, or an error of ``dossier.errors`` in one line.

    The first byte picks the operation; each answer is a byte for its status, then its body.
    """
    if not data:
        return
    vendor, operation = FLOWS[data[0] % len(FLOWS)]
    answers = [Reply(STATUSES[each[0] % len(STATUSES)], each[1:]) for each in data[1:].split(END) if each]
    try:
        value = _drive(OPERATIONS[operation](vendors.vendor(VIEWS[vendor].connection), VIEWS[vendor]), answers)
    except DossierError as error:
        check_vendors_error(error)
        return
    if operation == "artifacts" and value is not None:
        unique_names(each.name for each in value)
    if operation == "locate" and value is not None:
        check(value.url or value.path, "an artifact without an address")


def _drive(flow: Flow[Any], answers: list[Reply]) -> Any:
    """Run a flow over the answers, repeating the last one; return None if it sends more than ``REQUESTS``."""
    try:
        next(flow)
        for number in range(REQUESTS):
            flow.send(answers[min(number, len(answers) - 1)] if answers else Reply(200))
    except StopIteration as end:
        return end.value
    flow.close()
    return None


def results(data: bytes) -> None:
    """Read a result from stored answers of a vendor, and a hint from a delivery: never an error.

    The first byte picks the vendor.
    """
    if not data:
        return
    name = list(SETTINGS)[data[0] % len(SETTINGS)]
    view = VIEWS[name]
    vendor = vendors.vendor(view.connection)
    kept = dict(zip(KEPT, data[1:].split(END), strict=False))
    result = vendor.read_result(view, kept)
    json.dumps(result.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()
    hint = vendor.read_hint(data[1:])
    if hint is not None:
        ids = (*hint.case_ids, *hint.document_ids, *hint.job_ids)
        check(all(isinstance(each, str) and each for each in ids), f"invalid ids: {ids}")
        json.dumps([hint.event, *ids], ensure_ascii=False).encode()
