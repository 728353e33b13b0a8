"""``make rehearse``: what former versions have stored is read by this one, and gives the same result.

A recording (``events/stored/<name>.json``) has the items and objects of completed cases as a version of Dossier stored
them: records, the vendor's raw answers, artifacts, ``result.json``. This version reads each case anew, as it would for
a refresh at which the vendor has changed nothing. A difference is a revision that an upgrade would publish by itself.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from dossier import vendors
from dossier.connections import load_toml
from dossier.layout import result_key
from dossier.models import CaseId
from dossier.ports import Vendor
from dossier.result import read_stored
from dossier.revisions import content
from dossier.settings import Connection
from dossier.steps.publish import read_again
from dossier.stores.table import case_key
from tests.conftest import BUCKET, REGION, Cloud, in_memory
from tests.machine import ROOT, World, samples

STORED = ROOT / "events" / "stored"
CASES = {
    "claims": ({"R-1": ("invoice.pdf",), "R-2": ("invoice.pdf", "scan.tiff")}),
    "disputes": ({"R-1": ("invoice.pdf",), "R-2": ("invoice.pdf", "receipt.png")}),
    "invoices": ({"R-1": ("invoice.pdf",), "R-2": ("invoice.pdf", "scan.tiff")}),
}
"""What is recorded: the documents of each case, by connection and reference."""


def recordings(name: str = "") -> list[Path]:
    """Return the recordings, or the one of that name.

    Raises:
        FileNotFoundError: there is none.

    """
    found = sorted(STORED.glob(f"{name or '*'}.json"))
    if not found:
        raise FileNotFoundError(f"there is no recording {name}: choose from {', '.join(names())}")
    return found


def names() -> list[str]:
    """Return the names of all recordings."""
    return sorted(each.stem for each in STORED.glob("*.json"))


def rehearse(
    file: Path, cloud: Cloud, *, vendor_of: Callable[[Connection], Vendor] = vendors.vendor
) -> dict[CaseId, list[str]]:
    """Read the cases of a recording; return the places in which each result differs from the stored one."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    s3, read = cloud.session.client("s3"), TypeDeserializer().deserialize
    for item in stored["items"]:
        cloud.app.table.put({name: read(value) for name, value in item.items()})
    for key, body in stored["objects"].items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=base64.b64decode(body))
    known = _connections(stored.get("connections"))
    context = cloud.app.replacing(connection_of=known.__getitem__, vendor_of=vendor_of)
    found = {}
    for item in stored["items"]:
        if item["sk"]["S"] == "CASE":
            case = CaseId(read(item["connection"]), read(item["reference"]))
            former = read_stored(cloud.app.objects.read(result_key(case)) or b"")
            version = 2 if former.revision else 1
            by_now = read_again(case, context=context)
            found[case] = sorted(differences(content(former, version=version), content(by_now, version=version)))
    return found


def differences(former: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield where two JSON values differ, with both."""
    if isinstance(former, dict) and isinstance(now, dict):
        for key in former.keys() | now.keys():
            yield from differences(former.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif isinstance(former, list) and isinstance(now, list) and len(former) == len(now):
        for number, (one, other) in enumerate(zip(former, now, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif former != now:
        yield f"{path}: {json.dumps(former, default=str)[:200]} became {json.dumps(now, default=str)[:200]}"


def record(file: Path, cloud: Cloud) -> int:
    """Record what this version stores of completed cases at each vendor; return how many cases that is."""
    world, write, count = World(cloud), TypeSerializer().serialize, 0
    for connection, cases in CASES.items():
        for reference, documents in cases.items():
            result = world.submit(connection, reference, samples(*documents))
            assert result["status"] == "completed", result
            count += 1
    world.run_started()
    items = [
        {name: write(value) for name, value in item.items()}
        for connection, cases in CASES.items()
        for reference in cases
        for item in cloud.app.table.query(case_key(CaseId(connection, reference)))
    ]
    objects = {
        each.key: base64.b64encode(cloud.app.objects.read(each.key) or b"").decode()
        for each in cloud.app.objects.stats("cases/")
        if "/documents/" not in each.key
    }
    known = {name: world.connections[name].model_dump(mode="json", exclude_unset=True) for name in CASES}
    written = {"connections": known, "items": items, "objects": objects}
    file.write_text(json.dumps(written, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return count


def _connections(recorded: dict[str, Any] | None) -> dict[str, Connection]:
    """Return the connections of a recording; of one that has none, those that ship."""
    if recorded is None:
        return load_toml(ROOT / "connections.toml")
    return {name: vendors.connection_model(each["vendor"]).model_validate(each) for name, each in recorded.items()}


def main(environment: dict[str, str]) -> int:
    """Rehearse the recordings that ``FROM`` names (all by default), or record this version as ``RECORD``."""
    names_of = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    os.environ.update(names_of)
    if name := environment.get("RECORD"):
        with in_memory() as cloud:
            count = record(STORED / f"{name}.json", cloud)
        print(f"{count} cases are recorded in events/stored/{name}.json")
        return 0
    changed = 0
    try:
        files = recordings(environment.get("FROM", ""))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    for file in files:
        with in_memory() as cloud:
            for case, found in rehearse(file, cloud).items():
                print(f"{file.stem}: {case.connection} {case.reference}: {'differs' if found else 'the same result'}")
                for line in found:
                    print(f"  {line}")
                changed += bool(found)
    print(f"{changed} cases differ: an upgrade would publish a revision of each" if changed else "nothing differs")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(dict(os.environ)))
