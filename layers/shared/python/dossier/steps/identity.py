"""What identifies a submission: its reference, its fingerprint, and the name of its execution."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from dossier.errors import InvalidCaseError
from dossier.models import REFERENCE, CaseId, CaseInput
from dossier.stores.executions import Execution, Executions

NAMES = 50
"""Execution names that are tried: AWS reserves a name for 90 days, that of a rejected submission too."""
RESERVED = re.compile(r"case-[0-9a-f]{32}")
"""References that are reserved for vendor cases which were not submitted here (``stranger_reference``)."""
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}")


def fingerprint(case: CaseInput, contents: Sequence[tuple[str, str]]) -> str:
    """Return the hex digest that identifies a case by connection, reference, case id, options and contents.

    Args:
        case: the input.
        contents: ``(name, sha256)`` of each document, in order; for a document that the vendor reads itself, its
            URI in place of the digest.

    """
    parts = [case.connection, case.reference, case.case_id, sorted(case.options.items()), list(contents)]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def execution_name(case: CaseId, digest: str, *, attempt: int = 1) -> str:
    """Return the execution's name: at most 80 characters, the same for the same (connection, reference, content).

    Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html (name: 1 to 80
    characters, no blanks, brackets, wildcards or special characters).
    """
    suffix = "" if attempt == 1 else f"-r{attempt}"
    return f"{case.connection[:23]}-{case.reference[:36]}-{digest[:12]}{suffix}"


def refresh_name(case: CaseId, number: int) -> str:
    """Return the name of the execution of a refresh, which is the same for every request of that refresh."""
    digest = hashlib.sha256(json.dumps([case.connection, case.reference]).encode()).hexdigest()
    return f"{case.connection[:23]}-{case.reference[:30]}-{digest[:12]}-u{number}"


def next_execution(
    case: CaseId, digest: str, *, executions: Executions, decides: Callable[[Execution], bool], first: int = 1
) -> tuple[str, Execution | None] | None:
    """Return the name of the execution that decides about a submission, and that execution; None if it is not started.

    An execution's name is reserved for 90 days, so a submission whose execution decides no longer gets the next name.

    Args:
        case: its name.
        digest: its fingerprint.
        executions: the state machine.
        decides: whether an existing execution's decision still counts.
        first: the first attempt to try.

    Returns:
        None if all names are used.

    """
    for attempt in range(first, first + NAMES):
        name = execution_name(case, digest, attempt=attempt)
        execution = executions.describe(executions.arn_of(name))
        if execution is None or decides(execution):
            return name, execution
    return None


def reference_of_drop(name: str) -> str:
    """Return the reference of a drop: its name, if that is a valid reference.

    In any other name, characters that are not allowed in a reference are replaced, and an eight-digit hash is appended
    so that no two names get the same reference.
    """
    name = unicodedata.normalize("NFC", name)
    if REFERENCE.fullmatch(name):
        return name
    ending = PurePosixPath(name).suffix
    ending = ending if _ENDING.fullmatch(ending) else ""
    stem = _plain(name.removesuffix(ending), 80) or "drop"
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}{ending}"


def reference_of_files(case: CaseInput, contents: Sequence[tuple[str, str]]) -> str:
    """Return a readable, stable reference for a case: its first file's name, and eight digits of a hash."""
    if not contents and case.case_id is not None:  # the reference that a delivery about this case would use
        return f"case-{fingerprint(case, contents)[:8]}" if case.options else stranger_reference(case.case_id)
    stem = _plain(PurePosixPath(contents[0][0]).stem, 40) or "case"
    return f"{stem}-{fingerprint(case, contents)[:8]}"


def reference_of_id(id_: str) -> str:
    """Return the reference of a case that is only collected: the vendor's id, if that is a valid reference."""
    return id_ if REFERENCE.fullmatch(id_) else stranger_reference(id_)


def stranger_reference(case_id: str) -> str:
    """Return the reserved reference of a vendor case that was not submitted here."""
    return f"case-{hashlib.sha256(case_id.encode()).hexdigest()[:32]}"


def check_reserved(case: CaseInput) -> None:
    """Reject a reference that is reserved for a vendor case, unless the input only collects that case.

    Raises:
        InvalidCaseError: says what to do.

    """
    if not RESERVED.fullmatch(case.reference):
        return
    if case.case_id is None or case.documents or case.options or case.reference != stranger_reference(case.case_id):
        raise InvalidCaseError(
            f"reference {case.reference} is reserved for a case that exists only at the vendor: use another reference"
        )


def _plain(name: str, most: int) -> str:
    """Return at most so many characters of a name, without those that are not allowed in a reference."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_name)[:most].strip("._-")
