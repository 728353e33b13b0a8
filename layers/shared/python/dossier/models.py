"""The parts of a case: its input, its documents, its status.

Vendor ids are opaque strings. Times are UTC, in ISO 8601 with a ``Z``.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from dossier.errors import InvalidCaseError
from dossier.layout import INBOX
from dossier.suggestions import closest
from dossier.texts import LONGEST_ID, LONGEST_ID_BYTES, identifier, line
from dossier.written import is_text

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The caller's reference: 1 to 100 letters, digits, ``.``, ``_``, ``-``."""

Reference = Annotated[str, StringConstraints(pattern=rf"^{REFERENCE.pattern}$")]
"""In pydantic's regex ``$`` only matches the very end, not before a newline."""
OptionValue = str | int | float | bool | None
Priority = Literal["normal", "low"]
"""A case's priority within its connection: a case of low priority leaves turns and slots to the others."""


class CaseId(NamedTuple):
    """Names a case: its connection, and the caller's reference, which is unique within the connection."""

    connection: str
    reference: str


def _id(value: str) -> str:
    if identifier(value) is None:
        raise PydanticCustomError(
            "vendor_id",
            "not a valid vendor id: use at most {characters} printable characters ({bytes} bytes), and no '.' or '..'",
            {"characters": LONGEST_ID, "bytes": LONGEST_ID_BYTES},
        )
    return value


VendorId = Annotated[str, AfterValidator(_id)]
"""A vendor's id (``texts.identifier``)."""


_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
BY_REFERENCE, AS_S3, PRESIGNED = "by_reference", "s3", "presigned"
"""The option that lets the vendor read a case's ``s3://`` documents itself, as ``s3://`` or as presigned URLs."""


LONGEST_DEADLINE = 90 * 86400
"""Longest deadline of a case, in seconds; a Standard execution may run for a year."""


class Frozen(BaseModel):
    """Base of immutable models without unknown keys."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class DocumentInput(Frozen):
    """A document as submitted: ``uri`` is ``s3://bucket/key`` (or ``https://…`` if the vendor reads it itself).

    ``version_id`` selects a version of the object; by default the current one.
    """

    uri: Annotated[str, AfterValidator(lambda uri: _SCHEME.sub(lambda found: found[0].lower(), uri))] = Field(
        min_length=1, max_length=4096
    )
    """The case of the scheme does not matter."""
    name: str | None = Field(default=None, max_length=1024)
    version_id: str | None = Field(default=None, min_length=1, max_length=1024)


class Drop(Frozen):
    """The drop of a case: the key of its file or ``case.json``; ``refused`` is the reason if it is not a valid case."""

    key: str = Field(pattern=rf"^{INBOX}", max_length=1024)
    refused: str | None = Field(default=None, min_length=1, max_length=1000)


class CaseInput(Frozen):
    """An execution's input, as the console, the API, a batch line and the CLI send it.

    With ``case_id`` and documents it appends to that vendor case; with ``case_id`` or ``document_ids`` alone it only
    collects. Only Dossier sets the rest: ``dossier redrive`` sets ``resume``, which sends a failed case back to work;
    the inbox sets ``drop``; ``refresh`` is the number of the refresh that collects an ended case again.
    """

    connection: str = Field(min_length=1, max_length=64)
    reference: Reference
    documents: tuple[DocumentInput, ...] = Field(default=(), max_length=1000)
    options: dict[str, OptionValue] = Field(default_factory=dict)
    case_id: VendorId | None = None
    document_ids: tuple[VendorId, ...] = Field(default=(), max_length=1000)
    """For a vendor without cases: documents to collect."""
    resume: bool = False
    drop: Drop | None = None
    deadline: int | None = Field(default=None, ge=1, le=LONGEST_DEADLINE)
    """Seconds until the case is collected as it is; overrides the connection's ``poll.deadline``."""
    refresh: int | None = Field(default=None, ge=1)
    priority: Priority = "normal"
    """``low`` lets the connection's other cases go first (``stores.limiter``); it is a batch's default."""
    again: bool = False
    """Submit a reference again whose case was erased (``dossier forget``); the vendor bills it again."""

    @property
    def id(self) -> CaseId:
        """The case's connection and reference."""
        return CaseId(self.connection, self.reference)

    @model_validator(mode="before")
    @classmethod
    def _deadline(cls, data: Any) -> Any:
        """Accept the deadline as seconds or as ``90s``, ``45m``, ``12h``, ``3d``, and also as an option."""
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

    @field_validator("options")
    @classmethod
    def _whole(cls, options: dict[str, OptionValue]) -> dict[str, OptionValue]:
        """Reject half of a surrogate pair, which a fingerprint, a key and a request cannot hold."""
        wrong = next((name for name, value in options.items() if not is_text(f"{name}{value}")), None)
        if wrong is not None:
            raise ValueError(f'option "{line(wrong)}" has half a character: write it as UTF-8')
        return options

    @classmethod
    def parse(cls, data: object, *, wrong: str = "the execution input is wrong: ") -> CaseInput:
        """Validate an execution's input; ``wrong`` begins the text of an error.

        Raises:
            InvalidCaseError: with one line that names the wrong field and what to fix.

        """
        try:
            case = cls.model_validate(data)
        except ValidationError as error:
            raise InvalidCaseError(f"{wrong}{problems(error)}") from error
        refused = case.drop is not None and case.drop.refused is not None
        nothing = not case.documents and case.case_id is None and not case.document_ids
        if nothing and not refused and case.refresh is None:
            raise InvalidCaseError(f"{wrong}it has no documents, and no case_id to collect")
        if case.document_ids and (case.documents or case.case_id is not None):
            raise InvalidCaseError(f"{wrong}document_ids are only collected: leave out documents and case_id")
        return case

    @classmethod
    def named(cls, data: object) -> CaseInput | None:
        """Return connection, reference and drop of an input that is otherwise wrong; None if these are wrong too."""
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
        ValueError: it has another form.

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
"""Keys that only Dossier sets; suggestions leave them out."""


def problems(error: ValidationError) -> str:
    """Return the problems of an execution input as one line: each with its key, without values.

    An unknown key comes with the key that was probably meant, which is then not reported as missing.
    """
    found = error.errors(include_url=False, include_input=False)
    unknown = [each["loc"] for each in found if each["type"] == "extra_forbidden"][:MOST_GUESSED]
    meant = {(*place[:-1], _near(place, CaseInput)) for place in unknown}
    left = [each for each in found if not (each["type"] == "missing" and each["loc"] in meant)]
    more = [f"and {len(left) - MOST_PROBLEMS} more"] if len(left) > MOST_PROBLEMS else []
    return "; ".join([*(_problem(each, CaseInput) for each in left[:MOST_PROBLEMS]), *more])


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem of a model's input as one line: ``key.sub: what is wrong``, without the value."""
    return _problem(error.errors(include_url=False, include_input=False)[0], model)


def _problem(problem: ErrorDetails, model: type[BaseModel]) -> str:
    where = line(".".join(str(part) for part in problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key{_hint(problem['loc'], model)}"
    if where.endswith("reference") and problem["type"] == "string_pattern_mismatch":
        return f"{where}: use 1 to 100 letters, digits, '.', '_', '-', beginning with a letter or digit"
    return ": ".join(filter(None, (where, problem["msg"].removeprefix("Value error, "))))


def _hint(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return a suggestion for an unknown key."""
    near = _near(place, model)
    if near:
        return f'; did you mean "{near}"?'
    known = _known(place, model)
    options = "; the vendor's options go into options" if len(place) == 1 and model is CaseInput else ""
    return f"; known are {', '.join(known)}{options}" if known else ""


def _near(place: tuple[int | str, ...], model: type[BaseModel]) -> str | None:
    return closest(str(place[-1])[:LONGEST_KEY], _known(place, model))


def _known(place: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Return the valid keys in the place of an unknown one."""
    if len(place) == 1:
        return [name for name in model.model_fields if name not in _OWN_KEYS]
    return [*DocumentInput.model_fields] if place[0] == "documents" else []


class CaseStatus(StrEnum):
    """The status of a case (``dossier status``)."""

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
    """The status of a drop that is not a case yet."""

    @property
    def final(self) -> bool:
        """Whether the case has ended."""
        return self in _FINAL

    @property
    def completed(self) -> bool:
        """Whether the case has ended with a result, with failures or without."""
        return self in {CaseStatus.COMPLETED, CaseStatus.COMPLETED_WITH_FAILURES}


_FINAL = {
    CaseStatus.COMPLETED,
    CaseStatus.COMPLETED_WITH_FAILURES,
    CaseStatus.FAILED,
    CaseStatus.UPLOADED,
    CaseStatus.CANCELLED,
}

Phase = Literal["documents", "results"]
"""What a wait is for: the vendor reads the documents, or produces the results."""


class Document(Frozen):
    """A document of a case, as stored: its accepted copy, and its state at the vendor."""

    index: int
    name: str
    """The caller's name for it, as sent to the vendor."""
    key: str
    """S3 key of the accepted copy in the artifact bucket; empty for a document that the vendor reads itself."""
    version_id: str | None = None
    """The version of that copy, if known."""
    size: int = 0
    sha256: str = ""
    content_type: str = ""
    pages: int | None = None
    """Its number of pages, as counted before the upload; None if it is unknown."""
    ref: str | None = None
    """The ``https://`` or ``s3://`` reference that the vendor reads itself (DocuStack's batch)."""
    document_id: str | None = None
    job_id: str | None = None
    status: str | None = None
    """The vendor's last status."""
    progress: int | None = None
    """The vendor's progress in percent, if reported."""
    fields_extracted: int | None = None
    """How many fields the vendor has extracted, if reported."""
    finished: bool = False
    """The vendor has finished or rejected it."""
    failed: bool = False
    error: str | None = None
    warning: str | None = None
    """Why the vendor may be unable to read it, as seen before the upload."""


def now() -> datetime:
    """Return the current time, in UTC, as exact as it is stored."""
    return whole(datetime.now(UTC))


def whole(moment: datetime) -> datetime:
    """Return a moment in whole milliseconds, as :func:`iso` stores it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """Format a moment as ``2026-01-31T12:00:00.000Z``: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def utc(given: datetime) -> datetime:
    """Return a time in UTC; without an offset it counts as UTC.

    Raises:
        OverflowError: in UTC it is before the year 1 or after the year 9999.

    """
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def moment(text: str) -> datetime:
    """Parse what :func:`iso` wrote."""
    return datetime.fromisoformat(text)


Time = Annotated[AwareDatetime, PlainSerializer(iso)]
"""A time in a stored model: a ``datetime`` in the code, the text of :func:`iso` in the table and in JSON."""
