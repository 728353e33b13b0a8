"""Checks the lines of a batch as Accept will check the cases, before anything is uploaded or started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from cli.batch_file import BatchFile, Line
from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.files import is_uri, require
from cli.sources import Source, read_file, referred
from cli.target import Target
from dossier import vendors
from dossier.errors import ConfigurationError, InvalidCaseError
from dossier.models import REFERENCE, CaseId, CaseInput, OptionValue
from dossier.names import safe_name
from dossier.options import parse
from dossier.ports import CaseView
from dossier.settings import Connection
from dossier.steps.accept import Takes, judge
from dossier.steps.identity import fingerprint, reference_of_files
from dossier.steps.sources import check_sources, together

AT_ONCE = 8
"""Lines that are checked at once, each by reading its documents."""
_PAGE = 64
"""Lines that are read ahead, so that the checks of a large file need memory only for the checked cases."""
_OWN_KEYS = ("resume", "drop", "refresh")
_PLACE = "s3://{bucket}/staging/{connection}/{index}"
"""Stands for the address of a file that is uploaded later; Accept allows it where it allows that one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file: the index of its document in the case, and its content's facts."""

    index: int
    path: Path
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A line that is a case: its input without the addresses of files that are still to be uploaded."""

    line: int
    connection: str
    reference: str
    fingerprint: str
    input: dict[str, Any]
    uploads: tuple[Upload, ...]
    documents: int
    size: int
    pages: int
    """Pages of the documents whose number is known."""
    uncounted: int
    """Documents whose number of pages is not known."""
    requests: int
    """Requests to the vendor that the case takes at least; 0 if the connection's settings are not known."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad line, and the reason."""

    line: int
    reason: str
    connection: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the line's number and the reason."""
        return {"line": self.line, "reason": self.reason}


class Checks:
    """Checks lines for one deployment."""

    def __init__(self, where: Target, file: BatchFile, *, connection: str | None) -> None:
        self._where = where
        self._file = file
        self._default = connection

    @cached_property
    def settings(self) -> Mapping[str, Connection]:
        """The connections' settings by name; empty if no connections file is known."""
        return settings_of(self._where)

    def run(self) -> Iterator[Checked | Bad]:
        """Yield every line, checked, in the order of the file; a case that is in the file twice is bad the second time.

        Raises:
            BadUsageError: the file's first line names no columns of a case.

        """
        first: dict[CaseId, int] = {}
        for each in self._checked(self._file.lines()):
            names = CaseId(each.connection, each.reference) if isinstance(each, Checked) else None
            if names is None or isinstance(each, Bad):
                yield each
            elif names in first:
                yield Bad(
                    each.line, f"reference {each.reference} is already used in line {first[names]}", each.connection
                )
            else:
                first[names] = each.line
                yield each

    def _checked(self, lines: Iterable[Line]) -> Iterator[Checked | Bad]:
        """Yield the lines in order; a page of them is checked at once."""
        _ = self.settings  # once, and not in every thread
        left = iter(lines)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while page := list(islice(left, _PAGE)):
                yield from pool.map(self._check, page)

    def _check(self, line: Line) -> Checked | Bad:
        if line.problem:
            return Bad(line.number, line.problem)
        connection = line.data.get("connection", self._default)
        named = connection if isinstance(connection, str) and connection in self._where.connections else ""
        try:
            return self._case(line, connection)
        except (InvalidCaseError, BadUsageError, ConfigurationError) as error:
            reason = error.line if isinstance(error, BadUsageError) else str(error)
            return Bad(line.number, reason.removeprefix("the execution input is wrong: "), named)
        except OSError as error:
            return Bad(line.number, f"{error.filename or 'a document'}: {error.strerror or error}", named)

    def _case(self, line: Line, connection: object) -> Checked:
        name = self._connection(connection)
        settings = self.settings.get(name)
        data = {**line.data, "connection": name}
        if own := next((key for key in _OWN_KEYS if key in data), None):
            raise InvalidCaseError(f"{own}: only Dossier sets this key")
        if line.texts and "options" in data:
            data["options"] = _typed(data["options"], settings)
        sources = [*self._sources(data, settings)]
        derived = "reference" not in data
        if derived:
            data["reference"] = "derived"
        elif isinstance(data["reference"], str) and not REFERENCE.fullmatch(data["reference"]):
            raise InvalidCaseError(
                f'reference "{data["reference"][:120]}": use 1 to 100 letters, digits, ".", "_", "-", beginning with a '
                "letter or digit"
            )
        place = {"bucket": self._where.bucket, "connection": name}
        if "documents" in data:
            data["documents"] = [
                {"name": source.name, **given, "uri": source.uri or _PLACE.format(index=index, **place)}
                for index, (given, source) in enumerate(sources)
            ]
        case = CaseInput.parse(data)
        contents = [(safe_name(each.name), each.content) for _, each in sources]
        if derived:
            case = case.model_copy(update={"reference": reference_of_files(case, contents)})
        if "priority" not in case.model_fields_set:
            case = case.model_copy(update={"priority": "low"})  # a case that is submitted by hand overtakes the batch
        digest, requests = self._judged(case, [each for _, each in sources], contents, settings)
        return Checked(
            line=line.number,
            connection=name,
            reference=case.reference,
            fingerprint=digest,
            input=case.model_dump(mode="json", exclude_defaults=True) | {"connection": name},
            uploads=tuple(
                Upload(index, each.path, each.name, each.size, each.sha256)
                for index, (_, each) in enumerate(sources)
                if not each.uri
            ),
            documents=len(sources),
            size=sum(each.size for _, each in sources),
            pages=sum(each.facts.pages or 0 for _, each in sources if each.facts),
            uncounted=sum(each.facts is None or each.facts.pages is None for _, each in sources),
            requests=requests,
        )

    def _connection(self, name: object) -> str:
        if name is None:
            raise InvalidCaseError("connection: name the connection, or give --connection")
        known = ", ".join(self._where.connections) or "none is deployed"
        if not isinstance(name, str) or name not in self._where.connections:
            shown = name[:64] if isinstance(name, str) else type(name).__name__
            raise InvalidCaseError(f'unknown connection "{shown}": use one of {known}')
        return name

    def _sources(self, data: Mapping[str, Any], settings: Connection | None) -> Iterator[tuple[dict[str, Any], Source]]:
        """Yield each document as given, and what it is; a file's path is relative to the batch's file."""
        documents = data.get("documents", ())
        documents = [documents] if isinstance(documents, str) else documents
        if not isinstance(documents, list | tuple):
            raise InvalidCaseError("documents: write a list of paths or addresses")
        options = data.get("options") if isinstance(data.get("options"), dict) else {}
        most = Takes.by(vendors.vendor(settings), settings).most if settings else None
        for number, each in enumerate(documents):
            given = {"uri": each} if isinstance(each, str) else dict(each) if isinstance(each, dict) else {}
            if {"uri", "path"} <= given.keys():
                raise InvalidCaseError(f"documents.{number}: give uri or path, not both")
            uri = given.pop("uri", given.pop("path", None))
            if not isinstance(uri, str) or not uri or ("://" in uri and not is_uri(uri)):
                raise InvalidCaseError(f"documents.{number}: write a path, s3://bucket/key, https://…, or an object")
            version = given.get("version_id")
            if version is not None and not uri.lower().startswith("s3://"):
                raise InvalidCaseError(f"documents.{number}.version_id: only an object in S3 has versions")
            found = self._source(uri, options or {}, most, version if isinstance(version, str) else None)
            if isinstance(given.get("name"), str):
                found = Source(
                    found.path, given["name"], found.size, found.sha256, found.uri, found.facts, found.problem
                )
            yield given, found

    def _source(self, uri: str, options: Mapping[str, OptionValue], most: int | None, version_id: str | None) -> Source:
        if is_uri(uri):
            return referred(self._where, uri, options, most, version_id=version_id)
        path = self._file.folder / uri
        require(path)
        return read_file(path, most)

    def _judged(
        self,
        case: CaseInput,
        sources: list[Source],
        contents: list[tuple[str, str]],
        settings: Connection | None,
    ) -> tuple[str, int]:
        """Check a case as Accept will; return its fingerprint, and how many requests it takes."""
        problems = [each.problem for each in sources if each.problem]
        if settings is None:
            if problems:
                raise InvalidCaseError(together(problems))
            return fingerprint(case, contents), 0
        check_sources(case, bucket=self._where.bucket, connection=settings)
        vendor = vendors.vendor(settings)
        found = judge(case, [each.facts for each in sources], connection=settings, vendor=vendor, problems=problems)
        return found.fingerprint, _requests(found.view, settings)


def _typed(options: Mapping[str, str], settings: Connection | None) -> dict[str, OptionValue]:
    """Return a CSV file's options with the types that the vendor declares."""
    declared = vendors.vendor(settings).options() if settings else ()
    return {name: parse(declared, name, text) for name, text in options.items()}


def _requests(view: CaseView, settings: Connection) -> int:
    """Return the requests that a case takes at least: open it, upload, one poll of each document, process, collect."""
    vendor = vendors.vendor(settings)
    uploads = len(vendor.batches(view)) if view.documents else 0
    opens = vendor.opens_case and view.case_id is None
    polls = len(view.documents) if vendor.phases[0] == "documents" else 1
    results = 2 if len(vendor.phases) > 1 else 0
    return uploads + opens + polls + results + 1
