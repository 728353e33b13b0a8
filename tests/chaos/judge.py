"""Compares Dossier's results with the vendors' journal and files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dossier.connections import load_toml
from dossier.vendors import vendor as adapter
from local.sandbox import accounts
from tests.chaos.cases import Row, kind
from tests.chaos.deployment import ROOT, Deployment

API = {"invoices": "/api/v1/documents/{}", "disputes": "{}"}
"""Where an artifact that is an API's answer is read, by connection; ``{}`` is its source."""


def judge(deployment: Deployment, rows: Sequence[Row], journal: Sequence[Row]) -> dict[str, Any]:
    """Return the figures of a run: its cases, and the vendors' journal of it. The vendors must answer (no faults)."""
    effects = [effect for entry in journal for effect in entry["effects"]]
    calls = [entry for entry in journal if entry["operation"] != "webhook" and entry["fault"] != "late_work"]
    names = Counter(effect["name"] for effect in effects if effect["effect"] == "document_uploaded")
    checked = [differs for row in rows if row["status"] == "completed" for differs in _compared(deployment, row)]
    sent = [
        (entry["vendor"], effect)
        for entry in journal
        for effect in entry["effects"]
        if effect["effect"].startswith("webhook_")
    ]
    violations = sorted(entry["since_pause"] for entry in journal if entry["violation"])
    return {
        "statuses": dict(Counter(row["status"] for row in rows)),
        "requests": len(calls),
        "faults": dict(Counter(entry["fault"] for entry in journal if entry["fault"])),
        "pauses asked for (429)": sum(entry["fault"] == "throttle" for entry in journal),
        "webhooks": dict(Counter(f"{vendor} {effect['effect'].removeprefix('webhook_')}" for vendor, effect in sent)),
        "forged webhooks": sum(effect["forged"] for _, effect in sent),
        "reordered webhooks": sum(effect["held"] for _, effect in sent if effect["attempt"] == 1),
        "webhooks sent twice": _doubled(effect for _, effect in sent),
        "documents uploaded": sum(names.values()),
        "documents uploaded twice": sum(count - 1 for count in names.values()),
        "calls during a pause": len(violations),
        "seconds into the pause": violations,
        "keys sent to storage": sum(entry["leak"] for entry in journal),
        "artifacts": len(checked),
        "artifacts that differ from the vendor's": sum(checked),
        "failed for no true reason": [row["reason"] for row in rows if row["status"] == "failed" and not _true(row)],
    }


def _doubled(webhooks: Iterable[Row]) -> int:
    """Return how many deliveries repeat another one word for word; not those that are forged, or tried again."""
    firsts = Counter(each["body"] for each in webhooks if each["attempt"] == 1 and not each["forged"])
    return sum(count - 1 for count in firsts.values())


def _true(row: Row) -> bool:
    """Whether a case failed for a true reason: something that the vendor did."""
    return "did not finish within" in str(row["reason"])


def _compared(deployment: Deployment, row: Row) -> Iterator[bool]:
    """Yield for each artifact of a case whether its bytes differ from the vendor's, or from the manifest."""
    bucket, s3 = deployment.outputs["bucket"], deployment.client("s3")
    prefix = f"cases/{row['connection']}/{row['reference']}/"
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=f"{prefix}manifest.json")["Body"].read())
    files = [each for each in manifest["files"] if each["source"].startswith("artifact:")]
    assert files, row
    for each in files:
        body = s3.get_object(Bucket=bucket, Key=each["key"])["Body"].read()
        digest = hashlib.sha256(body).hexdigest()
        theirs = _theirs(deployment, row["connection"], each["source"].removeprefix("artifact:"))
        yield digest != each["sha256"] or digest not in theirs


def _theirs(deployment: Deployment, connection: str, source: str) -> Iterable[str]:
    """Return the checksums that the vendor's own copy may have."""
    sandbox = deployment.sandbox_of(connection)
    if kind(connection) not in API:
        served = sandbox.get("/_sandbox/artifacts").json()["artifacts"]
        return {each["sha256"] for each in served}
    settings = load_toml(ROOT / "connections.toml")[kind(connection)]
    headers = adapter(settings).headers(accounts.load().keys()[settings.vendor])
    path = f"/{settings.vendor}{API[kind(connection)].format(source)}"
    answer = sandbox.get(path, headers=dict(headers))
    assert answer.status_code == 200, (source, answer.text)
    return {hashlib.sha256(answer.content).hexdigest()}
