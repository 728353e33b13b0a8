"""``dossier drift``: compares a vendor's answers with its guide, and records differences for the contract suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.deliveries import moment_of
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from dossier import vendors
from dossier.models import Document, now
from dossier.ports import CaseView, Vendor
from dossier.settings import Connection
from dossier.steps.drifting import Drifting, drifting, kinds, recording
from dossier.texts import counted

SETTINGS = ("done", "fields", "trigger_workflow", "on_failed_document")
"""Settings that change how an answer is read, and that reveal nothing about the account but stages."""
SUITE = "suite.json"


def drift(out: Output, where: Target, connection: str, *, since: str | None, limit: int, record: Path | None) -> None:
    """Print new and missing fields of a connection's latest answers; with ``record``, write a recording there.

    Raises:
        BadUsageError: an unknown connection, or ``record`` is not the folder of recordings.
        CommandError: the connection's settings are not known.

    """
    name = where.require(connection)
    settings = settings_of(where).get(name)
    if settings is None:
        raise CommandError(f"[{name}] is not in {settings_file(where)}", fix="name its file in DOSSIER_CONNECTIONS")
    vendor = vendors.vendor(settings)
    folder = None if record is None else record / vendor.name
    if folder is not None and not (folder / SUITE).is_file():
        raise BadUsageError(
            f"{record} has no {vendor.name}/{SUITE}", fix="name events/vendors of a checkout of Dossier"
        )
    begin = None if since is None else moment_of(since)
    found = drifting(name, vendor, since=begin, limit=limit, context=where.app)
    written = None if folder is None else _record(found, settings, vendor, where, folder)
    out.document(
        {
            "connection": name,
            "vendor": vendor.name,
            "cases": found.cases,
            "answers": found.answers,
            "fields": [
                {
                    "answer": each.answer,
                    "field": each.path,
                    "kind": each.kind,
                    "count": each.count,
                    "answers": each.answers,
                    "reference": each.reference,
                    "example": each.example,
                }
                for each in found.fields
            ],
            "recording": written,
        }
    )
    rows = [
        (each.answer, each.path, each.kind, f"{each.count} of {each.answers}", each.reference, _shown(each.example))
        for each in found.fields
    ]
    if rows:
        out.table(
            ("ANSWER", "FIELD", "KIND", "IN", "FIRST CASE", "EXAMPLE (REDACTED)"), rows, long={"EXAMPLE (REDACTED)"}
        )
    new, missing = kinds(found.fields)
    out.progress(
        f"{counted(found.answers, 'answer')} of {counted(found.cases, 'case')} at {name}: "
        f"{counted(new, 'new field')}, {counted(missing, 'missing field')}"
    )
    if found.cases and not found.answers:
        out.progress("no documented answer is stored (keep_raw, retention.raw_days)")
    if written:
        out.progress(f"recorded as exchange {written} in {folder}: check it, then run `pytest tests/contract`")
    elif folder is not None:
        out.progress("nothing differs, so there is nothing to record")


def _record(found: Drifting, settings: Connection, vendor: Vendor, where: Target, folder: Path) -> str | None:
    """Write the answers of the case that differs most, in disguise, and their exchange; return its name."""
    if found.worst is None:
        return None
    suite = folder / SUITE
    text = suite.read_text(encoding="utf-8")
    name, number = f"seen-{now():%Y-%m-%d}", 1
    while f'"name": "{name}-{number}"' in text:
        number += 1
    name = f"{name}-{number}"
    files, exchange = recording(found.worst, vendor, where.app, name=name)
    own = settings.model_dump(mode="json", exclude_unset=True, include=set(SETTINGS))
    if own:
        exchange["connection"] = own
    as_suite = {"name": "contract", "vendor": vendor.name, **json.loads(text)["connection"], **own}
    exchange["gives"] = _gives(vendors.connection_model(vendor.name).model_validate(as_suite), exchange, files)
    for file, body in files.items():
        (folder / file).write_bytes(body)
    head, _, tail = text.rpartition("\n  ]")
    written = json.dumps(exchange, indent=2, ensure_ascii=False).replace("\n", "\n    ")
    suite.write_text(f"{head},\n    {written}\n  ]{tail}", encoding="utf-8")
    return name


def _gives(settings: Connection, exchange: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the values that this version of Dossier reads in the recording: states, and the fields present."""
    case = exchange["case"]
    documents = tuple(Document(index=index, key="k", **each) for index, each in enumerate(case["documents"]))
    view = CaseView(connection=settings, reference="R-1", documents=documents, case_id=case.get("case_id"))
    result = vendors.vendor(settings).read_result(view, {what: files[file] for what, file in exchange["raw"].items()})
    return {
        "status": result.status,
        "documents": [{"document_id": each.document_id, "status": each.status} for each in result.documents],
        "fields": [{"key": each.key} for each in result.fields],
    }


def _shown(example: object) -> str:
    text = "" if example is None else json.dumps(example, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
