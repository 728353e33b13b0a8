"""What a case is made of: its input, its documents, and how it stands.

Ids that vendors give are opaque strings. Times are UTC, in ISO 8601 with a ``Z``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from dossier.errors import InvalidCaseError
from dossier.suggestions import closest
from dossier.texts import LONGEST_ID, LONGEST_ID_BYTES, identifier, line

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A caller's own reference (``docs/DESIGN`` contract): 1 to 100 letters, digits, ``.``, ``_``, ``-``."""

RESERVED = re.compile(r"case-[0-9a-f]{32}")
"""References that name a vendor's case which nobody submitted: each is for one vendor case, and for nothing else."""

Reference = Annotated[str, StringConstraints(pattern=rf"^{REFERENCE.pattern}$")]
"""In pydantic's regex ``$`` is the very end, with no newline after it."""
OptionValue = str | int | float | bool | None


def _id(value: str) -> str:
    if identifier(value) is None:
        raise PydanticCustomError(
            "vendor_id",
            "no vendor's id: use at most {characters} printable characters ({bytes} bytes), and no '.' or '..'",
            {"characters": LONGEST_ID, "bytes": LONGEST_ID_BYTES},
        )
    return value


VendorId = Annotated[str, AfterValidator(_id)]
"""An id as a vendor gives it (``texts.identifier``)."""


_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
INBOX = "inbox/"
"""Where files are dropped: ``inbox/<connection>/…`` in the artifact bucket."""
WAITING_DROPS = "inbox-waiting/"
"""Where what a folder waits for is written while it waits: beside the inbox, as well."""
REFUSED_DROPS = "inbox-refused/"
"""Where the reason lies why a drop was refused: beside the inbox, so that writing it is no drop."""

BY_REFERENCE, AS_S3, PRESIGNED = "by_reference", "s3", "presigned"
"""The option by which a case's ``s3://`` documents are read by the vendor itself: as they are, or by presigned URL."""


LONGEST_DEADLINE = 90 * 86400
"""Longest that a case may be given, in seconds: a Standard execution lives for a year."""


class Frozen(BaseModel):
    """Base of values that are never changed and have no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DocumentInput(Frozen):
    """A document as submitted: ``uri`` is ``s3://bucket/key`` (or ``https://…`` where the vendor reads it itself).

    ``version_id`` names one version of an object in a versioned bucket; without it, it is the current one.
    """

    uri: Annotated[str, AfterValidator(lambda uri: _SCHEME.sub(lambda found: found[0].lower(), uri))] = Field(
        min_length=1, max_length=4096
    )
    """Its scheme may be written in any case."""
    name: str | None = Field(default=None, max_length=1024)
    version_id: str | None = Field(default=None, min_length=1, max_length=1024)


class Drop(Frozen):
    """Where a case was dropped: the key of its file or ``case.json``; ``refused`` says why that is no case."""

    key: str = Field(pattern=rf"^{INBOX}", max_length=1024)
    refused: str | None = Field(default=None, min_length=1, max_length=1000)


class CaseInput(Frozen):
    """An execution's input: what the console, the API, a batch line and the CLI send.

    With ``case_id`` and documents it appends to that vendor case; with ``case_id`` or ``document_ids`` alone it only
    collects. ``resume`` is set by ``dossier redrive`` alone: it sends a failed case back to work. ``drop`` is set by
    the inbox alone, which leaves it to Accept to refuse what was dropped, as it refuses whatever else is submitted.
    ``refresh`` is set by Dossier alone: the number of the refresh that collects an ended case again.
    """

    connection: str = Field(min_length=1, max_length=64)
    reference: Reference
    documents: tuple[DocumentInput, ...] = Field(default=(), max_length=1000)
    options: dict[str, OptionValue] = Field(default_factory=dict)
    case_id: VendorId | None = None
    document_ids: tuple[VendorId, ...] = Field(default=(), max_length=1000)
    """For a vendor without cases: its documents that are only collected."""
    resume: bool = False
    drop: Drop | None = None
    deadline: int | None = Field(default=None, ge=1, le=LONGEST_DEADLINE)
    """Seconds until what can be collected is collected, in place of the connection's ``poll.deadline``."""
    refresh: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _deadline(cls, data: Any) -> Any:
        """Take the deadline as seconds or as ``90s``, ``45m``, ``12h``, ``3d``; from the options as well."""
        if not isinstance(data, dict):
            return data
        options = data.get("options")
        if isinstance(options, dict) and "deadline" in options:
            rest = {key: value for key, value in options.items() if key != "deadline"}
            beside = data.get("deadline")
            data = {**data, "deadline": options["deadline"] if beside is None else beside, "options": rest}
        if isinstance(data.get("deadline"), str | float | bool):
            data = {**data, "deadline": seconds_of(data["deadline"])}
        return data

    @classmethod
    def parse(cls, data: object) -> CaseInput:
        """Validate an execution's input.

        Raises:
            InvalidCaseError: with one line that names the wrong field and what to mend.

        """
        try:
            case = cls.model_validate(data)
        except ValidationError as error:
            raise InvalidCaseError(f"the execution input is wrong: {problems(error)}") from error
        refused = case.drop is not None and case.drop.refused is not None
        nothing = not case.documents and case.case_id is None and not case.document_ids
        if nothing and not refused and case.refresh is None:
            raise InvalidCaseError("the execution input is wrong: it has no documents, and no case_id to collect")
        if case.document_ids and (case.documents or case.case_id is not None):
            raise InvalidCaseError("the execution input is wrong: document_ids are only collected, and stand alone")
        return case

    @classmethod
    def named(cls, data: object) -> CaseInput | None:
        """Return what names a case in an input that is wrong otherwise: connection, reference, where it was dropped.

        None if the input has no good names.
        """
        if not isinstance(data, dict):
            return None
        for keys in (("connection", "reference", "drop", "refresh"), ("connection", "reference")):
            try:
                return cls.model_validate({key: data[key] for key in keys if key in data})
            except ValidationError:
                continue
        return None


def seconds_of(deadline: str | float) -> int:
    """Return a deadline in whole seconds.

    Raises:
        ValueError: it is none.

    """
    given = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)", str(deadline).strip())
    if given is None:
        raise ValueError(f'deadline "{str(deadline)[:40]}": use seconds, or a number with s, m, h or d, such as 3d')
    return math.ceil(float(given[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[given[2]])


MOST_GUESSED = 50
"""Most unknown keys of one input for which a known one is looked for."""
MOST_PROBLEMS = 5
"""Most problems of one input that its error names."""
LONGEST_KEY = 100
"""Characters of an unknown key that are compared with the known ones."""
_OWN_KEYS = frozenset({"resume", "drop", "refresh"})
"""Keys of an input that Dossier sets itself: no suggestion names them."""


def problems(error: ValidationError) -> str:
    """Return the problems of an execution input as one line: each with its key, without values.

    A key that is unknown is named with the one that was probably meant, which is then not reported as missing.
    """
    found = error.errors(include_url=False, include_input=False)
    unknown = [each["loc"] for each in found if each["type"] == "extra_forbidden"][:MOST_GUESSED]
    meant = {(*place[:-1], _near(place)) for place in unknown}
    left = [each for each in found if not (each["type"] == "missing" and each["loc"] in meant)]
    more = [f"and {len(left) - MOST_PROBLEMS} more"] if len(left) > MOST_PROBLEMS else []
    return "; ".join([*map(_problem, left[:MOST_PROBLEMS]), *more])


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a pydantic error as one line: ``key.sub: what is wrong``, without the value."""
    return _problem(error.errors(include_url=False, include_input=False)[0])


def _problem(problem: ErrorDetails) -> str:
    where = line(".".join(str(part) for part in problem["loc"])) or "input"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key{_hint(problem['loc'])}"
    if where.endswith("reference") and problem["type"] == "string_pattern_mismatch":
        return f"{where}: use 1 to 100 letters, digits, '.', '_', '-', beginning with a letter or digit"
    return f"{where}: {problem['msg']}"


def _hint(place: tuple[int | str, ...]) -> str:
    """Return what an unknown key may have been meant to be."""
    near = _near(place)
    if near:
        return f'; did you mean "{near}"?'
    known = _known(place)
    options = "; an option of the vendor stands in options" if len(place) == 1 else ""
    return f"; known are {', '.join(known)}{options}" if known else ""


def _near(place: tuple[int | str, ...]) -> str | None:
    return closest(str(place[-1])[:LONGEST_KEY], _known(place))


def _known(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand where an unknown one does."""
    if len(place) == 1:
        return [name for name in CaseInput.model_fields if name not in _OWN_KEYS]
    return [*DocumentInput.model_fields] if place[0] == "documents" else []


class CaseStatus(StrEnum):
    """Where a case stands (``dossier status``)."""

    ACCEPTED = "accepted"
    UPLOADING = "uploading"
    WAITING = "waiting"
    PROCESSING = "processing"
    DOWNLOADING = "downloading"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    FAILED = "failed"
    UPLOADED = "uploaded"
    CANCELLED = "cancelled"
    NEEDS_ATTENTION = "needs_attention"
    WAITING_FOR_FILES = "waiting for files"
    """Of what was dropped, and is no case yet: no case has it."""

    @property
    def final(self) -> bool:
        """Whether the case has ended."""
        return self in _FINAL


_FINAL = {
    CaseStatus.COMPLETED,
    CaseStatus.COMPLETED_WITH_FAILURES,
    CaseStatus.FAILED,
    CaseStatus.UPLOADED,
    CaseStatus.CANCELLED,
}

Phase = Literal["documents", "results"]
"""What a wait waits for: that the documents are read, or that the vendor's assessment is there."""


class Document(Frozen):
    """A document of a case, as stored: what was accepted, and what the vendor knows it by."""

    index: int
    name: str
    """The caller's name for it, as sent to the vendor."""
    key: str
    """S3 key of the accepted copy in the artifact bucket; empty for a document that the vendor reads itself."""
    version_id: str | None = None
    """The version of that copy, where it is known."""
    size: int = 0
    sha256: str = ""
    content_type: str = ""
    ref: str | None = None
    """The ``https://`` or ``s3://`` reference that the vendor reads itself (DocuStack's batch)."""
    document_id: str | None = None
    job_id: str | None = None
    status: str | None = None
    """The vendor's own word for its state, as last seen."""
    progress: int | None = None
    """How far the vendor has got with it, in percent, where it tells."""
    fields_extracted: int | None = None
    """How many fields the vendor has read, where it tells."""
    finished: bool = False
    """The vendor will not change it any more, or never took it."""
    failed: bool = False
    error: str | None = None
    warning: str | None = None
    """What may keep the vendor from reading it, seen before it was sent."""


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Format a moment as ``2026-01-31T12:00:00.000Z``: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def moment(text: str) -> datetime:
    """Parse what :func:`iso` wrote."""
    return datetime.fromisoformat(text)


def fingerprint(case: CaseInput, contents: list[tuple[str, str]]) -> str:
    """Return the hex digest of what makes a case that case: connection, reference, case id, options and contents.

    Args:
        case: the input.
        contents: ``(name, sha256)`` of each document, in order; for a document that the vendor reads itself, its
            reference in place of the digest.

    """
    parts = [case.connection, case.reference, case.case_id, sorted(case.options.items()), contents]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def execution_name(connection: str, reference: str, digest: str, *, attempt: int = 1) -> str:
    """Return the execution's name: at most 80 characters, the same for the same (connection, reference, content).

    Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html (name: 1 to 80
    characters, no blanks, brackets, wildcards or special characters).
    """
    suffix = "" if attempt == 1 else f"-r{attempt}"
    return f"{connection[:23]}-{reference[:36]}-{digest[:12]}{suffix}"


def refresh_name(connection: str, reference: str, number: int) -> str:
    """Return the name of the execution that collects an ended case again: the same for all who ask meanwhile."""
    digest = hashlib.sha256(json.dumps([connection, reference]).encode()).hexdigest()
    return f"{connection[:23]}-{reference[:30]}-{digest[:12]}-u{number}"


def stranger_reference(case_id: str) -> str:
    """Return the reference of a vendor's case that was not submitted here: no other case may have it."""
    return f"case-{hashlib.sha256(case_id.encode()).hexdigest()[:32]}"


def check_reserved(case: CaseInput) -> None:
    """Refuse a reference that is reserved for a vendor's case, unless that case is all that is to be collected.

    Raises:
        InvalidCaseError: says what to do.

    """
    if not RESERVED.fullmatch(case.reference):
        return
    if case.case_id is None or case.documents or case.options or case.reference != stranger_reference(case.case_id):
        raise InvalidCaseError(
            f"reference {case.reference} is kept for a case that the vendor has by itself: use another reference"
        )
