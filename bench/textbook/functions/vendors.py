"""What the textbook poller knows of the three vendors: requests as their guides show them, with urllib3."""

import json
import os
import uuid

import boto3
import urllib3

URLS = json.loads(os.environ["URLS"])
KEYS = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["KEYS"])["SecretString"])
http = urllib3.PoolManager()


def call(vendor, method, path, **rest):
    """Send a request with the vendor's key and return the answer's JSON."""
    headers = {"x-api-key": KEYS[vendor], **rest.pop("headers", {})}
    answer = http.request(method, URLS[vendor] + path, headers=headers, **rest)
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status}")
    return json.loads(answer.data)


def upload(vendor, name, body):
    """Send a document; return the data for the polls."""
    file = (name, body, "application/pdf")
    if vendor == "docustack":
        fields = {"file": file, "schema_id": "sch_xyz789", "organization_id": "org_abc123"}
        return {"document": call(vendor, "POST", "/api/v1/documents/upload", fields=fields)["document_id"]}
    if vendor == "docsumo":
        fields = {"casetype_id": "casetype__d1t5b", "files": file}
        path = "/api/v1/upload-service/agents/casetype/case"
        return {"case": call(vendor, "POST", path, fields=fields)["data"]["case_id"]}
    body = {"external_case_id": str(uuid.uuid4()), "ombudsman": "your_tenant_id"}
    headers = {"content-type": "application/json"}
    case = call(vendor, "POST", "/api/partner/v1/cases", body=json.dumps(body), headers=headers)["case_id"]
    document = call(vendor, "POST", f"/api/partner/v1/cases/{case}/evidence", fields={"file": file})["document_id"]
    return {"case": case, "document": document}


def poll(vendor, job):
    """Poll once; return the changes of the job."""
    if vendor == "docustack":
        status = call(vendor, "GET", f"/api/v1/documents/{job['document']}/status")["status"]
        return {"done": status in ("completed", "failed")}
    if vendor == "docsumo":
        found = call(vendor, "GET", "/api/v1/external/agents/casetype__d1t5b/cases?limit=100")["data"]["cases"]
        return {"done": any(each["case_id"] == job["case"] and each["status"] == "processed" for each in found)}
    case = f"/api/partner/v1/cases/{job['case']}"
    if job.get("assessed"):
        return {"done": call(vendor, "GET", case)["status"] in ("processed", "error")}
    if call(vendor, "GET", f"{case}/evidence/{job['document']}")["status"] == "processing_complete":
        call(vendor, "POST", f"{case}/process")
        return {"assessed": True, "seconds": job["then"]}
    return {}


def download(vendor, job):
    """Return the files of a finished job, by name."""
    if vendor == "docustack":
        found = call(vendor, "GET", f"/api/v1/documents/{job['document']}")
        return {"document.json": json.dumps(found).encode()}
    if vendor == "ombudsman":
        found = call(vendor, "GET", f"/api/partner/v1/cases/{job['case']}")
        return {"case.json": json.dumps(found).encode()}
    files, case = {}, f"/api/v1/chatot/cases/{job['case']}"
    for each in call(vendor, "GET", f"{case}/files?q="):
        link = call(vendor, "GET", f"{case}/chat/artifacts/{each['id']}/url?download=true")["data"]["url"]
        files[each["filename"]] = http.request("GET", link).data
    return files
