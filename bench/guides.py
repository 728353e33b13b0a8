"""The guides' own loops, as the vendors' integration guides write them, with the result written to S3 at the end.

The guides use ``requests`` and curl; these use ``httpx``, whose calls look the same. Each request opens a connection of
its own, as ``requests.get`` does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

Put = Callable[[str, bytes], None]
"""Writes an object to S3."""
INTERVALS = {"docustack": (2.0,), "docsumo": (5.0,), "ombudsman": (5.0, 10.0)}
"""Seconds between two polls: DocuStack's and the Ombudsman's guide (documents, then the assessment) have them in their
loops. Docsumo's shows no loop; five seconds is the Ombudsman's for documents."""


def docustack(base_url: str, key: str, name: str, body: bytes, put: Put) -> None:
    """Run the loop of DocuStack's guide (Quickstart, steps 2 to 4; "Python SDK example")."""
    headers = {"X-API-Key": key}
    uploaded = httpx.post(
        f"{base_url}/api/v1/documents/upload",
        headers=headers,
        files={"file": (name, body, "application/pdf")},
        data={"schema_id": "sch_xyz789", "organization_id": "org_abc123"},
    ).json()
    document = f"{base_url}/api/v1/documents/{uploaded['document_id']}"
    while True:
        status = httpx.get(f"{document}/status", headers=headers).json()
        if status["status"] in ("completed", "failed"):
            break
        time.sleep(2)
    put(f"{name}/document.json", httpx.get(document, headers=headers).content)


def docsumo(base_url: str, key: str, name: str, body: bytes, put: Put) -> None:
    """Create a case (1.A), list cases until it is processed (1.B), and fetch its files in the three steps of part 2."""
    headers = {"x-api-key": key}
    created = httpx.post(
        f"{base_url}/api/v1/upload-service/agents/casetype/case",
        headers=headers,
        files={"files": (name, body, "application/pdf")},
        data={"casetype_id": "casetype__d1t5b"},
    ).json()
    case_id = created["data"]["case_id"]
    while True:
        listed = httpx.get(f"{base_url}/api/v1/external/agents/casetype__d1t5b/cases", headers=headers).json()
        statuses = {each["case_id"]: each["status"] for each in listed["data"]["cases"]}
        if statuses.get(case_id) == "processed":
            break
        time.sleep(INTERVALS["docsumo"][0])
    case = f"{base_url}/api/v1/chatot/cases/{case_id}"
    for file in httpx.get(f"{case}/files", params={"q": ""}, headers=headers).json():
        link = httpx.get(f"{case}/chat/artifacts/{file['id']}/url?download=true", headers=headers).json()
        put(f"{name}/{file['filename']}", httpx.get(link["data"]["url"]).content)


def ombudsman(base_url: str, key: str, name: str, body: bytes, put: Put) -> None:
    """Run the guide's "Complete Integration Example" with one document."""
    base, headers = f"{base_url}/api/partner/v1", {"X-API-Key": key}
    case_response = httpx.post(
        f"{base}/cases",
        headers=headers,
        json={"external_case_id": name, "ombudsman": "your_tenant_id", "case_title": "Customer dispute"},
    )
    case_id = case_response.json()["case_id"]
    response = httpx.post(f"{base}/cases/{case_id}/evidence", headers=headers, files={"file": (name, body)})
    document_ids = [response.json()["document_id"]]
    while True:
        all_complete = True
        for doc_id in document_ids:
            response = httpx.get(f"{base}/cases/{case_id}/evidence/{doc_id}", headers=headers)
            if response.json()["status"] != "processing_complete":
                all_complete = False
                break
        if all_complete:
            break
        time.sleep(5)
    httpx.post(f"{base}/cases/{case_id}/process", headers=headers)
    while True:
        status = httpx.get(f"{base}/cases/{case_id}", headers=headers).json()["status"]
        if status in ["processed", "error"]:
            break
        time.sleep(10)
    result: dict[str, Any] = httpx.get(f"{base}/cases/{case_id}", headers=headers).json()
    put(f"{name}/case.json", json.dumps(result).encode())


LOOPS: dict[str, Callable[[str, str, str, bytes, Put], None]] = {
    "docustack": docustack,
    "docsumo": docsumo,
    "ombudsman": ombudsman,
}
