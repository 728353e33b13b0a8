"""Redrive: failed cases, grouped by what they failed of, and sent back to work where they stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dossier.errors import GivenUpError, InvalidCaseError, ReferenceConflictError, VendorRejectedError
from dossier.models import CaseStatus, Document, execution_name
from dossier.stores.cases import Case, CaseRecord, Cases
from dossier.stores.executions import Executions

NAMES = 50
"""Execution names that are tried: one that Accept refused without taking the case over keeps its name for 90 days."""
UNKNOWN = "unknown"
LONGEST_CAUSE = 500
"""Longest part of a reason, in characters, that tells causes apart."""
_WORD = re.compile(r"[^\s\"'(),;:/]+")
_DIGIT = re.compile(r"\d")
_TELLING = re.compile(r"[45]\d\d\.?|v\d")
"""An HTTP status, or the version in an API's path."""


_IN_VAIN = {error.__name__ for error in (InvalidCaseError, ReferenceConflictError, GivenUpError)}
_FOR_GOOD = {*_IN_VAIN, VendorRejectedError.__name__}
_UNUSABLE = re.compile(r"\((?:413|415)\b|^every document failed\b")
"""Reasons that lie in the documents, which a case that goes back to work has unchanged: too large, of a type that the
vendor does not take, read and given up on."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failed cases with one cause. Those that were ``refused`` were never sent anywhere: nothing is there to resume.

    Those that were rejected ``for_good`` are sent back only if somebody asks for them.
    """

    cause: str
    refused: bool
    for_good: bool
    cases: tuple[CaseRecord, ...]


def failed(connections: Iterable[str], *, cases: Cases) -> list[CaseRecord]:
    """Return the failed cases of these connections, dismissed ones too, the latest submitted of each first."""
    return [record for name in connections for record in cases.newest(name) if record.status is CaseStatus.FAILED]


def in_vain(record: CaseRecord) -> bool:
    """Return whether a failed case would meet the same again if it went back to work as it is."""
    return record.refused or record.error in _IN_VAIN or bool(_UNUSABLE.search(record.reason or ""))


def for_good(record: CaseRecord) -> bool:
    """Return whether a failed case was rejected: what it asks for was understood, and is not done."""
    return in_vain(record) or record.error in _FOR_GOOD


def by_cause(records: Iterable[CaseRecord]) -> list[Group]:
    """Return cases grouped by cause, the most frequent first."""
    groups: dict[tuple[str, bool, bool], list[CaseRecord]] = {}
    for record in records:
        groups.setdefault((cause_of(record), record.refused, for_good(record)), []).append(record)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Group(*key, tuple(members)) for key, members in ordered]


def cause_of(record: CaseRecord) -> str:
    """Return the error's class and the reason, without what is only this case's: its names, ids and numbers.

    An HTTP status stays: it tells causes apart.
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
    """Return the execution input that a stored case came from, its documents being those that Accept kept."""
    case: dict[str, Any] = {
        "connection": record.connection,
        "reference": record.reference,
        "documents": [{"uri": each.ref or f"s3://{bucket}/{each.key}", "name": each.name} for each in documents],
        "options": record.options,
    }
    case |= {"deadline": record.deadline} if record.deadline else {}
    return {**case, "case_id": record.appends_to} if record.appends_to else case


def resume(connection: str, reference: str, *, cases: Cases, executions: Executions, bucket: str) -> str:
    """Start an execution that goes on where a failed case stopped; return its ARN.

    Accept takes the case over, every step skips what is done. Called again before that, it finds the same execution.

    Raises:
        InvalidCaseError: the case has not failed (any more), or was never sent anywhere.

    """
    case = cases.get(connection, reference)
    record = case.record
    if record.status is not CaseStatus.FAILED:
        raise InvalidCaseError(f"case {reference} is {record.status.value}: only a failed case is sent back to work")
    if record.refused:
        raise InvalidCaseError(
            f"case {reference} was refused before anything was sent to the vendor: there is nothing to resume, mend "
            "it and submit it again"
        )
    if record.committed is not None:
        raise InvalidCaseError(
            f"a revision of case {reference} is being published: send it back to work once `dossier status` shows it"
        )
    return _start(case, {**case_input(record, case.documents, bucket), "resume": True}, executions)


def _start(case: Case, data: dict[str, Any], executions: Executions) -> str:
    record = case.record
    for attempt in range(record.attempt + 1, record.attempt + 1 + NAMES):
        name = execution_name(record.connection, record.reference, record.fingerprint, attempt=attempt)
        if executions.status(executions.arn_of(name)) in {None, "RUNNING"}:
            return executions.start(name, data)
    raise InvalidCaseError(f"case {record.reference} was sent back to work {NAMES} times in vain: submit it anew")
