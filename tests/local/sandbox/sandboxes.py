"""A sandbox in this process, on its own port, for tests that need real connections."""

import http.server
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from local.sandbox import accounts, samples
from local.sandbox.__main__ import server

ACCOUNTS = accounts.load()
SAMPLES = samples.all_samples()
PDF = SAMPLES["invoice.pdf"]


class LiveSandbox:
    """A running sandbox: ``docsumo``, ``docustack`` and ``ombudsman`` are clients with the right key."""

    def __init__(self, state: Path | None = None) -> None:
        self._server = server(host="127.0.0.1", port=0, state=state)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.plain = self._client("")
        self.docsumo = self._client("/docsumo", **{"x-api-key": ACCOUNTS.docsumo.api_key})
        self.docustack = self._client("/docustack", **{"X-API-Key": ACCOUNTS.docustack.api_key})
        self.ombudsman = self._client("/ombudsman/api/partner/v1", **{"X-API-Key": ACCOUNTS.ombudsman.api_key})
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for client in (self.plain, self.docsumo, self.docustack, self.ombudsman):
            client.close()
        self._server.should_exit = True
        self._thread.join(10)

    def _client(self, prefix: str, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=f"{self.url}{prefix}", headers=headers, trust_env=False, timeout=10)

    def set(self, **settings: Any) -> None:
        """Change the sandbox's settings."""
        answer = self.plain.post("/_sandbox/settings", json=settings)
        assert answer.status_code == 200, answer.text

    def start_over(self) -> None:
        """Forget everything; documents are ready at once, and no vendor limits its requests."""
        self.plain.post("/_sandbox/reset")
        self.plain.delete("/_sandbox/webhooks")
        self.set(seconds=0, rate_limits={"docsumo": None, "docustack": None})

    def journal(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the journal's entries."""
        entries: list[dict[str, Any]] = self.plain.get("/_sandbox/journal", params=filters).json()["entries"]
        return entries

    def effects(self, name: str) -> list[dict[str, Any]]:
        """Return all effects of one name."""
        return [done for entry in self.journal(effect=name) for done in entry["effects"] if done["effect"] == name]

    def docsumo_upload(self, *names: str, content: bytes = PDF, **fields: Any) -> httpx.Response:
        """Upload files to Docsumo."""
        return self.docsumo.post(
            "/api/v1/upload-service/agents/casetype/case",
            data={"casetype_id": "casetype__d1t5b", **fields},
            files=[("files", (name, content)) for name in names or ("invoice.pdf",)],
        )

    def docustack_upload(self, name: str = "invoice.pdf", content: bytes = PDF, **fields: Any) -> httpx.Response:
        """Upload a file to DocuStack."""
        data = {"schema_id": "sch_xyz789", "organization_id": "org_abc123", **fields}
        return self.docustack.post("/api/v1/documents/upload", data=data, files={"file": (name, content)})

    def ombudsman_case(self, **fields: Any) -> httpx.Response:
        """Open a case at the Ombudsman."""
        return self.ombudsman.post(
            "/cases", json={"external_case_id": "REF-1", "ombudsman": "your_tenant_id", **fields}
        )

    def evidence(self, case_id: str, name: str = "invoice.pdf", content: bytes = PDF, **fields: Any) -> httpx.Response:
        """Upload evidence to a case at the Ombudsman."""
        return self.ombudsman.post(f"/cases/{case_id}/evidence", data=fields, files={"file": (name, content)})


class Receiver:
    """A webhook endpoint: remembers each delivery as (headers, body) and answers with the statuses given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        remaining = list(statuses)
        deliveries = self.deliveries

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers}
                deliveries.append((headers, body))
                self.send_response(remaining.pop(0) if remaining else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                found = SAMPLES.get(self.path.lstrip("/"))
                self.send_response(200 if found else 404)
                self.send_header("content-length", str(len(found or b"")))
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds, or fail."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)
