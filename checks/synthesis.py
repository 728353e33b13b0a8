"""The stack for one, three and thirty connections, synthesized once for each state of the source files."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app import ROOT, use_own_node
from checks.places import ACCOUNT, PLACES, Filled

COUNTS = (1, 3, 30)
"""The numbers of connections; the last is the most that a stage may have."""
LONGEST_NAME = 32
"""The most characters of a connection's name."""
_LONGEST = {
    "stage": "s" * 16,
    "kms_key_arn": f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/0f3c8f4e-0000-4000-8000-000000000000",
    "document_buckets": ",".join(f"{'b' * 62}{number}" for number in range(3)),
    "evidence_lock_days": "3650",
}
"""Settings with the longest values, for the stack with the most connections."""
_INPUTS = ("app.py", "cdk.json", "requirements/dev.txt", "layers/requirements.txt")
_FOLDERS = ("infra", "checks", "functions", "layers/shared")
_VENDORS = {
    "docustack": ('base_url = "https://api.docustack.com"', 'schema_id = "sch_1"', 'organization_id = "org_1"'),
    "docsumo": ('base_url = "https://app.docsumo.com"', 'casetype_id = "casetype__1"'),
    "ombudsman": ('base_url = "https://partner.example.com"', 'tenant = "tenant_1"'),
}


def templates() -> dict[int, dict[str, Any]]:
    """Return the template for each number of connections, from ``build`` if the source files are unchanged."""
    folder = ROOT / "build" / "checks" / fingerprint()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of processes at the same time one synthesizes
            if not folder.is_dir():
                _fill(folder)
    return {count: json.loads((folder / f"{count}.json").read_text(encoding="utf-8")) for count in COUNTS}


def _fill(folder: Path) -> None:
    """Synthesize the templates, and remove those of other source files."""
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    for count in COUNTS:
        (draft / f"{count}.json").write_text(json.dumps(_synthesize(count)), encoding="utf-8")
    for old in folder.parent.iterdir():
        if old.is_dir() and old != draft:
            shutil.rmtree(old, ignore_errors=True)
    draft.rename(folder)


def stack_name(count: int) -> str:
    """Return the stack's name, which is longest for the largest stack."""
    return f"dossier-{_settings(count).get('stage', 'dev')}"


def definition(template: dict[str, Any]) -> dict[str, Any]:
    """Return the definition of the state machine of cases, with the ARNs of one Region."""
    return definitions(template)[0]


def definitions(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the definition of each state machine, that of cases first, with the ARNs of one Region."""
    machines = Filled(template, stack_name(COUNTS[0]), PLACES[0]).machines()
    return [json.loads(each["DefinitionString"]) for each in machines]


def fingerprint() -> str:
    """Return a hash of the source files of a template."""
    digest = hashlib.sha256()
    for file in _files():
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def connections(count: int) -> str:
    """Return a connections file with ``count`` connections of every vendor, with the longest names."""
    lines = []
    for number in range(count):
        vendor = list(_VENDORS)[number % len(_VENDORS)]
        name = f"{vendor}-{number:02d}-".ljust(LONGEST_NAME, "x")
        lines += [f"[{name}]", f'vendor = "{vendor}"', *_VENDORS[vendor], ""]
        if vendor != "ombudsman":
            lines.insert(-1, 'webhook = { scheme = "shared-secret", header = "X-Webhook-Token" }')
    return "\n".join(lines)


def _settings(count: int) -> dict[str, str]:
    return _LONGEST if count == COUNTS[-1] else {}


def _files() -> Iterator[Path]:
    yield from (ROOT / name for name in _INPUTS)
    for folder in _FOLDERS:
        found = (each for each in (ROOT / folder).rglob("*") if each.is_file() and "__pycache__" not in each.parts)
        yield from sorted(found)


def _synthesize(count: int) -> dict[str, Any]:
    use_own_node()
    import aws_cdk as cdk  # noqa: PLC0415 -- starts Node

    from infra.settings import Settings  # noqa: PLC0415
    from infra.stack import DossierStack  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "layer" / "python").mkdir(parents=True)
        (folder / "connections.toml").write_text(connections(count), encoding="utf-8")
        flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
        context = {"connections": str(folder / "connections.toml"), "dependency_layer": str(folder / "layer")}
        given = {**flags, **context, **_settings(count)}
        app = cdk.App(outdir=str(folder / "out"), analytics_reporting=False, context=given)
        stack = DossierStack(app, settings=Settings.load(app.node.try_get_context, root=ROOT, environment={}))
        app.synth()
        template: dict[str, Any] = json.loads((folder / "out" / f"{stack.stack_name}.template.json").read_text("utf-8"))
    return template
