"""Redrive: group failed cases by cause, and send them back to work where they stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dossier.errors import GivenUpError, InvalidCaseError, ReferenceConflictError, VendorRejectedError
from dossier.models import CaseId, CaseStatus, Document
from dossier.steps.context import Context
from dossier.steps.identity import NAMES, next_execution
from dossier.stores.cases import CaseRecord

UNKNOWN = "unknown"
LONGEST_CAUSE = 500
"""Longest part of a reason, in characters, that distinguishes causes."""
_WORD = re.compile(r"[^\s\"'(),;:/]+")
_DIGIT = re.compile(r"\d")
_TELLING = re.compile(r"[45]\d\d\.?|v\d")
"""An HTTP status, or the version in an API's path."""


_IN_VAIN = {error.__name__ for error in (InvalidCaseError, ReferenceConflictError, GivenUpError)}
_FOR_GOOD = {*_IN_VAIN, VendorRejectedError.__name__}
_UNUSABLE = re.compile(r"\((?:413|415)\b|^every document failed\b")
"""Reasons in the documents themselves, which a redriven case sends unchanged: too large, of a type that the vendor does
not accept, unreadable."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failed cases with one cause. ``refused`` ones were never sent to the vendor, so they cannot be resumed.

    Cases that were rejected ``for_good`` are only redriven by reference.
    """

    cause: str
    refused: bool
    for_good: bool
    cases: tuple[CaseRecord, ...]


def failed(connections: Iterable[str], *, context: Context, since: datetime | None = None) -> list[CaseRecord]:
    """Return the failed cases of these connections, dismissed ones included, latest submitted of each first."""
    return [
        record
        for name in connections
        for record in context.cases.newest(name, since=since)
        if record.status is CaseStatus.FAILED
    ]


def in_vain(record: CaseRecord) -> bool:
    """Return whether a redrive of a failed case would fail again for the same reason."""
    return record.refused or record.error in _IN_VAIN or bool(_UNUSABLE.search(record.reason or ""))


def for_good(record: CaseRecord) -> bool:
    """Return whether a failed case was rejected for its content."""
    return in_vain(record) or record.error in _FOR_GOOD


def by_cause(records: Iterable[CaseRecord]) -> list[Group]:
    """Return cases grouped by cause, most frequent first."""
    groups: dict[tuple[str, bool, bool], list[CaseRecord]] = {}
    for record in records:
        groups.setdefault((cause_of(record), record.refused, for_good(record)), []).append(record)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Group(*key, tuple(members)) for key, members in ordered]


def cause_of(record: CaseRecord) -> str:
    """Return the error's class and the reason without the case's names, ids and numbers.

    An HTTP status stays, because it distinguishes causes.
    """
    reason = record.reason or UNKNOWN
    for own in (record.reference, record.case_id):
        reason = reason.replace(own, "…") if own else reason
    reason = _WORD.sub(
        lambda word: "…" if _DIGIT.search(word[0]) and not _TELLING.fullmatch(word[0]) else word[0],
        reason[:LONGEST_CAUSE],
    )
    return f"{record.error}: {reason}" if record.error else reason


def case_input(record: CaseRecord, documents: Sequence[Document], bucket: str) -> dict[str, Any]:
    """Return the execution input of a stored case, with the documents that Accept copied."""
    case: dict[str, Any] = {
        "connection": record.connection,
        "reference": record.reference,
        "documents": [{"uri": each.ref or f"s3://{bucket}/{each.key}", "name": each.name} for each in documents],
        "options": record.options,
    }
    case |= {"deadline": record.deadline} if record.deadline else {}
    case |= {"priority": record.priority} if record.priority != "normal" else {}
    return {**case, "case_id": record.appends_to} if record.appends_to else case


def resume(case: CaseId, *, context: Context) -> str:
    """Start an execution that continues where a failed case stopped; return its ARN.

    Accept takes over the case, and every step skips what is done. Another call before that returns the same execution.

    Raises:
        InvalidCaseError: the case is not failed, or was never sent to the vendor.

    """
    stored = context.cases.get(case)
    record = stored.record
    if record.status is not CaseStatus.FAILED:
        raise InvalidCaseError(f"case {case.reference} is {record.status.value}: only a failed case can be redriven")
    if record.refused:
        raise InvalidCaseError(
            f"case {case.reference} was rejected before anything was sent to the vendor: there is nothing to resume. "
            "Fix it and submit it again"
        )
    if record.committed is not None:
        raise InvalidCaseError(
            f"a revision of case {case.reference} is being published: redrive it once `dossier status` shows the "
            "revision"
        )
    data = {**case_input(record, stored.documents, context.objects.bucket), "resume": True}
    found = next_execution(
        case,
        record.fingerprint,
        executions=context.executions,
        decides=lambda execution: execution.status == "RUNNING",
        first=record.attempt + 1,
    )
    if found is None:
        raise InvalidCaseError(f"case {case.reference} was redriven {NAMES} times without success: submit it again")
    return context.executions.start(found[0], data, trace=record.trace)
