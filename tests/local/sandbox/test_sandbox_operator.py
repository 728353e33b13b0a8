"""The sandbox can be watched, reset and restarted."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from local.sandbox import strictly
from local.sandbox.__main__ import main
from tests.local.sandbox.sandboxes import ACCOUNTS, PDF, SAMPLES, LiveSandbox, until

ROOT = Path(__file__).parents[3]


def test_index_lists_what_an_operator_can_do(sandbox: LiveSandbox) -> None:
    """The operator's API describes itself."""
    listed = sandbox.plain.get("/_sandbox/").json()
    assert listed["GET /_sandbox/health"]
    assert all(listed.values())
    assert sandbox.plain.get("/_sandbox/health").json()["status"] == "ok"


def test_journal_records_each_request_and_its_effects(sandbox: LiveSandbox) -> None:
    """An upload is noted with its path, status, the document's name, SHA-256, ids and end; filters and paging work."""
    ids = sandbox.docustack_upload("a.pdf").json()
    sandbox.docsumo_upload("b.pdf")
    (entry,) = sandbox.journal(vendor="docustack", effect="document_uploaded")
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/docustack/api/v1/documents/upload", 200)
    assert entry["at"] <= entry["effects"][0].pop("ready") < entry["at"] + 60
    assert entry["effects"] == [
        {
            "effect": "document_uploaded",
            **ids,
            "name": "a.pdf",
            "sha256": hashlib.sha256(PDF).hexdigest(),
            "size": len(PDF),
        }
    ]
    everything = sandbox.journal()
    assert sandbox.journal(after=everything[0]["id"], limit=1) == everything[1:2]
    assert sandbox.plain.get("/_sandbox/journal?colour=blue").status_code == 400


def test_journal_records_a_caller_that_disconnected(sandbox: LiveSandbox) -> None:
    """An upload that its caller breaks off does nothing and is noted."""
    head = f"POST /docustack/api/v1/documents/upload HTTP/1.1\r\nHost: x\r\nX-API-Key: {ACCOUNTS.docustack.api_key}\r\n"
    rest = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000\r\n\r\n--x\r\n"
    url = httpx.URL(sandbox.url)
    with socket.create_connection((url.host, url.port or 0)) as caller:
        caller.sendall((head + rest).encode())
    until(lambda: sandbox.journal(fault="client_gone"))
    (entry,) = sandbox.journal(fault="client_gone")
    assert (entry["status"], entry["effects"]) == (None, [])


def test_reset_forgets_all_but_webhook_urls(sandbox: LiveSandbox) -> None:
    """A reset leaves no cases, no journal and the first settings, and keeps the registered URLs."""
    hook = {"vendor": "docustack", "url": "http://127.0.0.1:9/"}
    sandbox.plain.post("/_sandbox/webhooks", json=hook)
    sandbox.docsumo_upload()
    assert sandbox.plain.post("/_sandbox/reset").status_code == 204
    assert sandbox.journal() == []
    assert sandbox.plain.get("/_sandbox/artifacts").json() == {"artifacts": []}
    assert sandbox.plain.get("/_sandbox/settings").json()["seconds"] == 2.0
    assert sandbox.plain.get("/_sandbox/webhooks").json() == [hook]


def test_serves_this_machine_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A host other than loopback is rejected."""
    with pytest.raises(SystemExit) as ended:
        main(["--host", "0.0.0.0"])
    assert ended.value.code == 2
    assert "serves only this machine" in capsys.readouterr().err


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "local.sandbox", "--port", str(port), "--state", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            return httpx.get(f"{url}/_sandbox/health", trust_env=False).status_code == 200
        except httpx.ConnectError:
            return False

    until(up, seconds=15)
    return process, url


def test_state_survives_a_kill(tmp_path: Path) -> None:
    """With --state, documents, cases, settings, webhooks and journal are there after the process was killed."""
    process, url = _start(tmp_path)
    with httpx.Client(trust_env=False, headers={"x-api-key": ACCOUNTS.docsumo.api_key}) as client:
        try:
            client.post(f"{url}/_sandbox/settings", json={"seconds": 0})
            hook = {"vendor": "docsumo", "url": "http://127.0.0.1:9/"}
            client.post(f"{url}/_sandbox/webhooks", json=hook)
            path = "/docsumo/api/v1/upload-service/agents/casetype/case"
            files = {"files": ("invoice.pdf", PDF)}
            answer = client.post(f"{url}{path}", data={"casetype_id": "casetype__d1t5b"}, files=files)
            case_id = answer.json()["data"]["case_id"]
            before = client.get(f"{url}/docsumo/api/v1/chatot/cases/{case_id}/files").json()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        process, url = _start(tmp_path)
        try:
            assert client.get(f"{url}/docsumo/api/v1/chatot/cases/{case_id}/files").json() == before
            signed = f"{url}/docsumo/api/v1/chatot/cases/{case_id}/chat/artifacts/{before[0]['id']}/url"
            link = client.get(signed).json()["data"]["url"]
            assert httpx.get(link, trust_env=False).content == PDF
            assert client.get(f"{url}/_sandbox/settings").json()["seconds"] == 0
            assert client.get(f"{url}/_sandbox/webhooks").json() == [hook]
            uploads = client.get(f"{url}/_sandbox/journal?effect=document_uploaded").json()["entries"]
            assert len(uploads) == 1
        finally:
            process.terminate()
            assert process.wait(10) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_samples_match_their_descriptions() -> None:
    """The sample documents committed under events/ are the generated ones, each of its kind and whole."""
    kinds = {
        "invoice.pdf": "pdf",
        "complaint.docx": "docx",
        "receipt.png": "png",
        "scan.tiff": "tiff",
        "photo.jpg": "jpeg",
    }
    assert {name: strictly.kind_of(content) for name, content in SAMPLES.items()} == kinds
    for name, content in SAMPLES.items():
        assert (ROOT / "events" / "documents" / name).read_bytes() == content
    assert zipfile.ZipFile(BytesIO(SAMPLES["complaint.docx"])).testzip() is None
    png = SAMPLES["receipt.png"]
    start = png.index(b"IDAT") + 4
    assert len(zlib.decompress(png[start : png.index(b"IEND") - 8])) == 272 * (1 + 304 // 8)
    offset = int(PDF[PDF.rindex(b"startxref") :].split()[1])
    assert PDF[offset:].startswith(b"xref")
    assert os.linesep.encode() + b"%%EOF" in PDF
