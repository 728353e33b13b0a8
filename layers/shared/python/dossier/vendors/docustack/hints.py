"""Reading a delivery (guide, "Webhooks", "Events"): which document or job it is about, nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dossier.ports import Hint
from dossier.replies import delivered, identifier

LONGEST_REASON = 300
"""Most characters of what a delivery says went wrong."""


def read_hint(body: bytes) -> Hint | None:
    """Return the ids in a delivery, whatever its event; None if it names none.

    ``document_completed`` names its document and job, ``job_completed`` and ``job_failed`` only their job: which
    documents belong to a job is the caller's to know.
    """
    event, parts = delivered(body)
    documents = tuple(dict.fromkeys(each for part in parts for each in _ids(part, "document")))
    jobs = tuple(dict.fromkeys(each for part in parts for each in _ids(part, "job")))
    if not documents and not jobs:
        return None
    said = next((each for part in parts if isinstance(each := part.get("error_message"), str) and each.strip()), None)
    return Hint(event=event, document_ids=documents, job_ids=jobs, says=_line(said))


def _line(said: str | None) -> str | None:
    line = " ".join("".join(each if each.isprintable() else " " for each in said or "").split())[:LONGEST_REASON]
    return line or None


def _ids(part: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield the ids under ``<kind>_id``, ``<kind>``, ``<kind>_ids`` and ``<kind>s``, as text or in an object."""
    entries = [part.get(f"{kind}_id"), part.get(kind)]
    for key in (f"{kind}_ids", f"{kind}s"):
        listed = part.get(key)
        entries += listed if isinstance(listed, list) else []
    for entry in entries:
        value = entry.get(f"{kind}_id", entry.get("id")) if isinstance(entry, dict) else entry
        if (found := identifier(value)) is not None:
            yield found
