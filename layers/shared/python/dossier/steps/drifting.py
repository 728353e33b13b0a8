"""Drifting: how the stored answers of a connection's latest cases differ from what its vendor's guide documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from dossier.disguise import Disguise
from dossier.drift import documented_for, drift_of
from dossier.http import decode
from dossier.ports import Vendor
from dossier.steps.context import Context
from dossier.steps.kept import Kept
from dossier.steps.publication import RawAnswers
from dossier.stores.cases import Case


@dataclass(slots=True)
class Field:
    """A field in which answers of one kind differ; ``kind`` is ``new`` or ``missing``.

    ``count`` of ``answers`` answers differ so; ``example`` is a new field's content in disguise.
    """

    answer: str
    path: str
    kind: str
    count: int = 0
    answers: int = 0
    reference: str = ""
    example: Any = None


@dataclass(slots=True)
class Drifting:
    """The result: the fields, the answers that were read, and the case whose answers differ most."""

    fields: list[Field] = field(default_factory=list)
    cases: int = 0
    answers: int = 0
    worst: Case | None = None


def drifting(connection: str, vendor: Vendor, *, since: datetime | None, limit: int, context: Context) -> Drifting:
    """Compare the answers of a connection's latest cases, at most ``limit``."""
    found, fields, most = Drifting(), dict[tuple[str, str, str], Field](), 0
    read: dict[str, int] = {}
    disguise = Disguise()
    for record in islice(context.cases.newest(connection, since=since), limit):
        case = context.cases.find(record.id)
        if case is None:
            continue
        found.cases += 1
        differing = 0
        for what, body in answers_of(case, vendor, context):
            documented = documented_for(what, vendor.documented)
            if not documented:
                continue
            kind_of_answer = max((each for each in vendor.documented if what.startswith(each)), key=len)
            found.answers += 1
            read[kind_of_answer] = read.get(kind_of_answer, 0) + 1
            drift = drift_of(body, documented)
            differing += len(drift.new) + len(drift.missing)
            for kind, paths in (("new", drift.new), ("missing", drift.missing)):
                for path in paths:
                    seen = fields.setdefault((kind_of_answer, path, kind), Field(kind_of_answer, path, kind))
                    seen.count += 1
                    seen.reference = seen.reference or record.reference
                    if kind == "new" and seen.example is None:
                        name = path.rpartition(".")[2]
                        seen.example = disguise.value(next(at(decode(body), path), None), name)
        if differing > most:
            most, found.worst = differing, case
    for each in fields.values():
        each.answers = read[each.answer]
    found.fields = sorted(fields.values(), key=lambda each: (each.answer, each.kind, each.path))
    return found


def answers_of(case: Case, vendor: Vendor, context: Context) -> Iterator[tuple[str, bytes]]:
    """Yield a case's answers by name; an artifact that is an answer stands in for one that is not kept."""
    raw = RawAnswers(context.objects, case.record.id)
    named = {name: each for each in case.artifacts if (name := vendor.answer_of(each.source)) is not None}
    kept = Kept(raw, (), context.objects, instead=named)
    for what in sorted(kept):
        yield what, kept[what]


def at(value: Any, path: str) -> Iterator[Any]:
    """Yield the values at a drift's path in a decoded answer."""
    head, _, rest = path.partition(".")
    key, items = head.removesuffix("[]"), head.endswith("[]")
    inner = value if key == "" else value.get(key) if isinstance(value, dict) and key in value else None
    if key and not (isinstance(value, dict) and key in value):
        return
    for each in inner if items and isinstance(inner, list) else [inner]:
        if rest:
            yield from at(each, rest)
        else:
            yield each


def recording(case: Case, vendor: Vendor, context: Context, *, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return a case's answers in disguise, by file, and the exchange that describes them for the contract suite."""
    disguise, record = Disguise(), case.record
    documents = [
        {
            "name": disguise.text(each.name),
            **({"document_id": disguise.text(each.document_id)} if each.document_id else {}),
            **({"failed": True} if each.failed else {}),
        }
        for each in case.documents
    ]
    ids = {each.document_id: disguise.text(each.document_id) for each in case.documents if each.document_id}
    files: dict[str, bytes] = {}
    raw: dict[str, str] = {}
    for number, (what, body) in enumerate(answers_of(case, vendor, context)):
        try:
            shown = disguise.value(decode(body))
        except (ValueError, RecursionError):
            continue
        files[f"{name}-{number}.json"] = as_text(shown)
        raw[renamed(what, ids)] = f"{name}-{number}.json"
    given: dict[str, Any] = {"documents": documents}
    if record.case_id:
        given["case_id"] = disguise.text(record.case_id)
    return files, {"name": name, "call": "read_result", "case": given, "raw": raw}


def renamed(what: str, ids: Mapping[str, str]) -> str:
    """Return an answer's name with the ids in disguise."""
    for known, other in ids.items():
        what = what.replace(known, other)
    return what


def as_text(value: Any) -> bytes:
    """Return a value as a file of the recordings."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def kinds(fields: Iterable[Field]) -> tuple[int, int]:
    """Return how many fields are new, and how many are missing."""
    listed = list(fields)
    new = sum(each.kind == "new" for each in listed)
    return new, len(listed) - new
