"""Revisions: decide whether a case has changed, by its content and never by URLs or times of reading."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from dossier.http import Number, decode
from dossier.replies import instant
from dossier.result import Result

MOST = 20
"""Most names of each kind in a list of changes: an event holds 256 KiB."""
LONGEST = 200
"""Longest name or text in a list of changes, in characters."""
LONGEST_URL = 16_384
"""Longest URL, in characters, of which the query is left out."""
_OWN = {"schema_version", "revision", "collected_at", "submitted_at", "completed_at", "connection", "reference"}
"""Attributes of a result that are about the collection, not the case."""
_SINCE_2 = {"vendor_status", "stage_id", "assigned_to", "warnings", "failed_artifacts"}
"""Attributes that results of version 1 do not have."""
_PLAIN = ("status", "vendor_status", "stage_id", "assigned_to", "title", "review")
_NAMED = ("reason", "summary", "timeline", "warnings", "failed_artifacts")
"""Stands for a value that is too long for a list of changes, which then only says that it differs."""
_NUMBER = re.compile(r"-?\d{1,14}(\.\d{1,14})?([eE][+-]?\d{1,3})?")
_EXACT = 2**53
"""Up to this size, a whole number as a float equals the integer."""
_URL = re.compile(r"https?://", re.IGNORECASE)


def content(result: Result, *, version: int = 2) -> dict[str, Any]:
    """Return the content by which results of a case are compared; for ``version`` 1 only that version's attributes.

    The order of fields, documents and events does not count, nor does the notation of a plain number.
    """
    left_out = _OWN if version > 1 else _OWN | _SINCE_2
    normalized = _normalized(result.model_dump(mode="json", exclude=left_out), numbers=True)
    artifacts = [(each["name"], each["size"], each["sha256"]) for each in normalized["artifacts"]]
    return {**normalized, "artifacts": sorted(artifacts), "warnings": sorted(normalized.get("warnings", ()))}


def answer_digest(body: bytes) -> str:
    """Return a digest of an API answer's content: its JSON in a normal form, without URLs' queries and instants.

    A URL is signed again each time it is read, and an instant may be the time of reading. The result contains what
    matters of both, and is compared separately.
    """
    try:
        value = decode(body)
    except (ValueError, RecursionError):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha256(json.dumps(_normalized(_without_moments(value)), sort_keys=True).encode()).hexdigest()


def _normalized(value: Any, *, numbers: bool = False) -> Any:
    """Return a JSON value in one form: lists of objects in one order, 1.0 as 1.

    With ``numbers`` only the number counts of a field whose value is a plain number.
    """
    if isinstance(value, dict):
        normalized = {key: _normalized(each, numbers=numbers) for key, each in value.items()}
        return _by_number(normalized) if numbers else normalized
    if isinstance(value, list):
        listed = [_normalized(each, numbers=numbers) for each in value]
        alike = all(isinstance(each, dict) for each in listed)
        return sorted(listed, key=lambda each: json.dumps(each, sort_keys=True)) if alike else listed
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _by_number(field: dict[str, Any]) -> dict[str, Any]:
    value = field.get("value")
    if field.get("type") != "number" or not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return field
    number = str(Decimal(value).normalize() + 0)
    return {**field, "value": number, "typed": number}


def _without_moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_moments(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_moments(each) for each in value]
    if isinstance(value, Number):
        return _told_apart(value)
    if not isinstance(value, str):
        return value
    if _URL.match(value):
        return _place(value)
    return "" if instant(value) is not None else value


def _told_apart(number: Number) -> float | str:
    """Return a number, as its text where a float cannot tell it from others."""
    try:
        same = Decimal(float.__repr__(number)) == Decimal(number.text)
    except InvalidOperation:  # the exponent is out of range
        same = False
    return float(number) if same else number.text


def _place(url: str) -> str:
    if len(url) > LONGEST_URL:  # parsing takes quadratic time
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.netloc}{parts.path}"


def changes(before: Result | None, after: Result) -> dict[str, Any]:
    """Return a summary of what a revision changes.

    ``{"from", "to"}`` for status, vendor_status, stage_id, assigned_to, title and review; ``fields``: keys of those
    added, changed or removed; ``documents``: names; ``artifacts``: ``{"added", "changed", "removed"}``, each names;
    ``other``: other keys of the result that differ. A list that is cut says so in ``more``.
    """
    before = before or Result(status="failed")
    found: dict[str, Any] = {
        name: {"from": _short(getattr(before, name)), "to": _short(getattr(after, name))}
        for name in _PLAIN
        if getattr(before, name) != getattr(after, name)
    }
    documents = _differing(_documents(before), _documents(after))
    files = _files(before), _files(after)
    lists = {
        "fields": _differing(_fields(before), _fields(after)),
        "documents": list(dict.fromkeys(name for _, name in documents)),
        "added": [name for name in files[1] if name not in files[0]],
        "changed": [name for name, sha256 in files[1].items() if files[0].get(name, sha256) != sha256],
        "removed": [name for name in files[0] if name not in files[1]],
    }
    short = {name: [each[:LONGEST] for each in names[:MOST]] for name, names in lists.items() if names}
    found |= {name: short[name] for name in ("fields", "documents") if name in short}
    one, two = content(before), content(after)
    other = [name for name in _NAMED if one.get(name) != two.get(name)]
    found |= {"other": other} if other else {}
    artifacts = {name: short[name] for name in ("added", "changed", "removed") if name in short}
    if artifacts:
        found["artifacts"] = artifacts
    more = sum(max(0, len(names) - MOST) for names in lists.values())
    return {**found, "more": more} if more else found


def _short(value: Any) -> Any:
    """Return a value, truncated if it is a long text, such as a title from the former version."""
    return value[:LONGEST] if isinstance(value, str) else value


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[Any]:
    return [key for key in dict.fromkeys([*after, *before]) if before.get(key) != after.get(key)]


def _fields(result: Result) -> dict[str, Any]:
    """Return the values of all fields, of the case and its documents, by key."""
    found: dict[str, list[Any]] = {}
    for fields in (result.fields, *(document.fields for document in result.documents)):
        for each in fields:
            found.setdefault(each.key, []).append(_normalized(each.model_dump(mode="json"), numbers=True))
    return {key: _normalized(values) for key, values in found.items()}


def _documents(result: Result) -> dict[tuple[str, str], Any]:
    return {
        (each.document_id or f"#{number}", each.name or each.document_id or "?"): each.model_dump(
            mode="json", exclude={"fields"}
        )
        for number, each in enumerate(result.documents)
    }


def _files(result: Result) -> dict[str, str]:
    return {each.name: each.sha256 for each in result.artifacts}


def listing_digest(entry: Sequence[Any] | Mapping[str, Any]) -> str:
    """Return a digest of a file's entry in a vendor's list, without URLs' queries but with instants."""
    plain = _without_queries(entry)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _without_queries(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_queries(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_queries(each) for each in value]
    return _place(value) if isinstance(value, str) and _URL.match(value) else value
