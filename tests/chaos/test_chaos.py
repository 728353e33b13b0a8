"""Never lost, never twice: many cases at once, with every kind of fault at once, judged by the vendors' own journal."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deployment import ROOT, Deployment, deployed, killing

CASES = int(os.environ.get("DOSSIER_CHAOS_CASES", "9"))
RATE = float(os.environ.get("DOSSIER_CHAOS_RATE", "0.06"))
"""How often each fault strikes: gently in ``make test``, 20 % in ``make chaos``."""
LONGEST = float(os.environ.get("DOSSIER_CHAOS_SECONDS", "240"))
SCORECARD = os.environ.get("DOSSIER_SCORECARD")
FAULTS: dict[str, Any] = {
    "throttle": {"rate": RATE / 4, "seconds": 1},
    "error_before": {"rate": RATE, "status": 503},
    "lost_before": {"rate": RATE},
    "lost_after": {"rate": RATE},
    "slow": {"rate": RATE, "seconds": 1},
    "truncated": {"rate": RATE},
    "html": {"rate": RATE, "status": 502, "when": "before"},
    "webhook_lost": {"rate": RATE},
    "webhook_doubled": {"rate": RATE},
    "webhook_reordered": {"rate": RATE},
    "webhook_forged": {"rate": RATE},
}
FILES = {
    "invoices": ("invoice.pdf", "scan.tiff"),
    "claims": ("invoice.pdf", "receipt.png"),
    "disputes": ("complaint.docx", "receipt.png"),
}
FINAL = {"completed", "completed_with_failures", "failed", "needs_attention"}


def contents(connection: str, number: int) -> dict[str, bytes]:
    """Return documents of a case: real files, each of its own name and bytes."""
    files = {}
    for name in FILES[connection]:
        body = (ROOT / "events" / "documents" / name).read_bytes()
        stem, _, ending = name.rpartition(".")
        trailer = f"\n% case {number}".encode() if ending != "docx" else b""
        files[f"{stem}-{connection}-{number}.{ending}"] = body + trailer
    return files


def wait_for_all(deployment: Deployment, count: int) -> list[dict[str, Any]]:
    """Wait until every case has come to rest."""
    give_up = time.monotonic() + LONGEST
    while True:
        cases = deployment.cases()
        if len(cases) >= count and all(case["status"] in FINAL for case in cases):
            return cases
        assert time.monotonic() < give_up, Counter(case["status"] for case in cases)
        time.sleep(1)


@pytest.mark.timeout(LONGEST + 120)
def test_every_case_ends_once_and_whole_under_every_fault(tmp_path: Path) -> None:
    """No case is lost, no document uploaded twice, no call made in a pause, and every artifact is the vendor's."""
    home = tmp_path / "home"
    with deployed(home) as deployment:
        deployment.sandbox.post("/_sandbox/settings", json={"seconds": 1, "seed": 7, "faults": FAULTS})
        began = time.monotonic()
        jobs = [(connection, number) for number in range(CASES // len(FILES)) for connection in FILES]
        with killing(home, every=3.0, seed=7) as killed, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda job: deployment.submit(job[0], f"chaos-{job[1]}", contents(*job)), jobs))
            cases = wait_for_all(deployment, len(jobs))
        seconds = time.monotonic() - began
        score = judge(deployment, cases, contents)
        score |= {"cases": len(cases), "seconds": round(seconds), "functions killed": len(killed)}
        if SCORECARD:
            write_scorecard(Path(SCORECARD), score)
        assert len(cases) == len(jobs)
        assert score["documents uploaded twice"] == 0
        assert score["calls during a pause"] == 0
        assert score["keys sent to storage"] == 0
        assert score["artifacts that differ"] == 0
        assert score["failed for no true reason"] == []
        assert score["statuses"].get("completed", 0) >= len(jobs) // 2


def judge(deployment: Deployment, cases: list[dict[str, Any]], of: Any) -> dict[str, Any]:
    """Compare what Dossier says with what the vendors saw."""
    journal = deployment.journal()
    effects = [effect for entry in journal for effect in entry["effects"]]
    uploads = Counter(effect["sha256"] for effect in effects if effect["effect"] == "document_uploaded")
    # each document's bytes are its own, but for DOCX, whose bytes are shared: those are told apart by name
    names = Counter(effect["name"] for effect in effects if effect["effect"] == "document_uploaded")
    del of
    differ, artifacts = 0, 0
    s3 = deployment.client("s3")
    served = {each["sha256"] for each in deployment.sandbox.get("/_sandbox/artifacts").json()["artifacts"]}
    for case in cases:
        if case["status"] != "completed":
            continue
        prefix = f"cases/{case['connection']}/{case['reference']}/"
        result = json.loads(
            s3.get_object(Bucket=deployment.outputs["bucket"], Key=f"{prefix}result.json")["Body"].read()
        )
        for artifact in result["artifacts"]:
            body = s3.get_object(Bucket=deployment.outputs["bucket"], Key=artifact["key"])["Body"].read()
            digest = hashlib.sha256(body).hexdigest()
            artifacts += 1
            foreign = case["connection"] == "claims" and digest not in served
            differ += digest != artifact["sha256"] or foreign
    failed = [case for case in cases if case["status"] == "failed"]
    return {
        "statuses": dict(Counter(case["status"] for case in cases)),
        "requests": len(journal),
        "faults": dict(Counter(entry["fault"] for entry in journal if entry["fault"])),
        "documents uploaded": sum(uploads.values()),
        "documents uploaded twice": sum(count - 1 for count in names.values()),
        "calls during a pause": sum(entry["violation"] for entry in journal),
        "keys sent to storage": sum(entry["leak"] for entry in journal),
        "artifacts": artifacts,
        "artifacts that differ": differ,
        "failed for no true reason": [case["reason"] for case in failed if not true_reason(case)],
        "reasons": dict(Counter(case["reason"] for case in cases if case["reason"])),
    }


def true_reason(case: dict[str, Any]) -> bool:
    """Whether a case failed for something that the vendor really did: it never answered within the retries."""
    reason = str(case["reason"])
    return "did not finish within" in reason


def write_scorecard(file: Path, score: dict[str, Any]) -> None:
    """Write the scorecard as a page."""
    lines = [
        "# Reliability, measured",
        "",
        "`make chaos` writes this page: cases over three vendors on the deployed local AWS, IAM enforced, with each",
        f"fault of `tests/chaos/test_chaos.py` at {RATE:.0%} and function processes killed at random, judged by the",
        "sandbox's own journal.",
        "",
        "| what | measured |",
        "| --- | --- |",
    ]
    for name, value in score.items():
        text = ", ".join(f"{key}: {of}" for key, of in value.items()) if isinstance(value, dict) else value
        lines.append(f"| {name} | {text if text not in ([], '') else 'none'} |")
    file.write_text("\n".join(lines) + "\n")
