"""Part ``webhook``: Dossier's webhook function beside a bare handler, in one process, and through the local API."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.report import reached, table
from local.deploy import Deployment as Deploying
from local.sandbox import accounts
from tests.chaos.deployment import Deployment, deployed

ROOT = Path(__file__).parents[1]
SENDERS = (1, 8, 32)
SECONDS = 4.0
"""How long each number of senders sends."""
CALLS = 400
"""Calls of each handler in one process."""
DOSSIER, BARE = "Dossier", "bare"


def body_of(number: int) -> bytes:
    """Return a delivery's body that no other has."""
    return json.dumps({"event": "document_completed", "document_id": f"c{number:019d}"}).encode()


def signed(body: bytes) -> str:
    """Return the signature of a body with the sandbox's secret."""
    return hmac.new(accounts.load().docustack.webhook_secret.encode(), body, hashlib.sha256).hexdigest()


def in_process(calls: int = CALLS) -> dict[str, Any]:
    """Call both handlers in one separate process, with the same stub in place of the network."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        paths = (ROOT, ROOT / "layers" / "shared" / "python", folder)
        environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        done = subprocess.run(
            [sys.executable, "-m", "bench.handlers", folder, str(calls)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return dict(json.loads(done.stdout))


class Storm:
    """Senders that each send one delivery after the other, over a connection that stays open."""

    def __init__(self, url: str) -> None:
        """Send to a URL."""
        self._url = urlsplit(url)
        self._numbers = iter(range(time.time_ns() % 10**15, 10**18))
        self._lock = threading.Lock()

    def blow(self, senders: int, seconds: float) -> dict[str, Any]:
        """Send for some seconds; return deliveries a second, and the median and 95 % of their times."""
        ends, times, refused = time.monotonic() + seconds, list[float](), list[object]()

        def send() -> None:
            try:
                send_all()
            except OSError as error:
                refused.append(error)

        def send_all() -> None:
            link = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
            while time.monotonic() < ends:
                with self._lock:
                    body = body_of(next(self._numbers))
                headers = {"Content-Type": "application/json", "X-DocuStack-Signature": signed(body)}
                began = time.monotonic()
                link.request("POST", self._url.path, body, headers)
                answer = link.getresponse()
                answer.read()
                times.append(time.monotonic() - began)
                if answer.status != 200:
                    refused.append(answer.status)
            link.close()

        threads = [threading.Thread(target=send) for _ in range(senders)]
        began = time.monotonic()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if refused:
            raise ConnectionError(f"of {len(times)} deliveries {len(refused)} were refused: {refused[0]}")
        ordered = sorted(times)
        return {
            "per_second": len(times) / (time.monotonic() - began),
            "median": statistics.median(times),
            "most": ordered[int(0.95 * (len(ordered) - 1))],
        }


def through_api(seconds: float = SECONDS) -> dict[str, Any]:
    """Send to Dossier's webhook and to the bare one, deployed beside it on a local AWS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with deployed(folder / "home") as deployment:
            _hold_back(deployment)
            urls = {DOSSIER: deployment.outputs["webhook_urls"]["invoices"], BARE: _bare(deployment, folder)}
            found: dict[str, Any] = {}
            for who, url in urls.items():
                storm = Storm(url)
                storm.blow(max(SENDERS), 1.0)  # the environments start
                found[who] = {str(senders): storm.blow(senders, seconds) for senders in SENDERS}
            return found


def _hold_back(deployment: Deployment) -> None:
    """Keep the functions that act on deliveries from running: here they would use the senders' cores."""
    functions = deployment.client("lambda")
    for each in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=each["UUID"], Enabled=False)


def _bare(deployment: Deployment, folder: Path) -> str:
    (folder / "bare").mkdir()
    endpoint = deployment.outputs["endpoint_url"]
    deploying = Deploying(
        endpoint_url=endpoint,
        folder=folder / "bare",
        context={"secret": accounts.load().docustack.webhook_secret},
        app=ROOT / "bench" / "bare",
    )
    return f"{endpoint}/_aws/execute-api/{deploying.deploy('bare')['ApiId']}/$default/webhook"


def run() -> dict[str, Any]:
    """Measure both ways."""
    return {"in_process": in_process(), "api": through_api()}


def section(found: Mapping[str, Any]) -> list[str]:
    """Return the page's section."""
    calls = found["in_process"]
    ratio = calls[DOSSIER]["cpu_ms"] / calls[BARE]["cpu_ms"]
    per_request = (calls[DOSSIER]["cpu_ms"] / calls[DOSSIER]["requests"]) / (
        calls[BARE]["cpu_ms"] / calls[BARE]["requests"]
    )
    targets = [
        ["At most 1.5 times the CPU of a bare handler, a delivery", f"{ratio:.2f}", reached(ratio <= 1.5)],
        ["The same for each request to AWS that a delivery makes", f"{per_request:.2f}", reached(per_request <= 1.5)],
    ]
    rows = [
        [who, f"{calls[who]['cpu_ms']:.3f}", f"{calls[who]['requests']:g}", f"{calls[who]['own_ms']:.3f}"]
        for who in (DOSSIER, BARE)
    ]
    lines = [
        *table(("target", "figure", "reached"), targets),
        "",
        *table(("in one process, a delivery", "CPU, ms", "requests to AWS", "CPU outside of AWS's client, ms"), rows),
    ]
    if "api" in found:
        api = found["api"]
        lines += ["", *table(
            ("through the local API", "Dossier, deliveries/s", "bare, deliveries/s", "ratio", "Dossier, median, ms",
             "Dossier, 95 %, ms", "bare, median, ms", "bare, 95 %, ms"),
            [_senders(senders, api[DOSSIER][str(senders)], api[BARE][str(senders)]) for senders in SENDERS],
        )]  # fmt: skip
    return lines


def _senders(senders: int, own: Mapping[str, float], bare: Mapping[str, float]) -> list[str]:
    return [
        f"{senders} sender{'s' * (senders > 1)}",
        f"{own['per_second']:.0f}",
        f"{bare['per_second']:.0f}",
        f"{own['per_second'] / bare['per_second']:.2f}",
        *(f"{1000 * each[what]:.0f}" for each in (own, bare) for what in ("median", "most")),
    ]
