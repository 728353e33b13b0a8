"""The inbox's content, and plans for it. Nothing here does I/O: ``drop`` reads and acts.

A drop always becomes an execution, and Accept rejects it like any other submission if it is not a valid case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from dossier import written
from dossier.errors import InvalidCaseError
from dossier.layout import CASE_FILE, INBOX
from dossier.models import REFERENCE, CaseInput, DocumentInput, Drop
from dossier.steps.identity import reference_of_drop
from dossier.stores.executions import INPUT_LIMIT
from dossier.stores.objects import Stat

LARGEST_CASE_FILE = INPUT_LIMIT
SETTLED = timedelta(seconds=2)
"""Age after which no more objects arrive with the same second as their time, with a margin for clock differences."""
QUIET = timedelta(seconds=5)
"""A folder whose ``case.json`` names no documents is complete if nothing has arrived for this long."""
EMPTY = timedelta(minutes=1)
"""How long an empty file may wait for its content."""
LATE = timedelta(minutes=15)
"""How long a document that ``case.json`` names may arrive after the last file; then the drop is rejected."""
_LITTER = frozenset(
    {".ds_store", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", ".keep", ".gitkeep",
     ".gitignore", ".gitattributes", ".placeholder", ".localized", ".directory", ".nomedia", ".apdisk", ".dropbox",
     ".dropbox.attr", ".stignore", ".volumeicon.icns", "_success"}
)  # fmt: skip
_LITTER_FOLDERS = frozenset(
    {"__macosx", ".trash", ".trashes", ".spotlight-v100", ".fseventsd", "@eadir", "#recycle", "$recycle.bin",
     "system volume information", "lost+found", "~snapshot"}
)  # fmt: skip
_ON_THEIR_WAY = re.compile(
    r"(?:\.(?:filepart|part\d{0,3}|partial|te?mp(?:[_-]\w{1,16}|\d{1,16})?|crdownload|opdownload|ucdownload|download|swp|swo|swx|aria2"
    r"|!ut|!qb|!bt|bc!|jc!|td|in-?progress|incomplete|uploading|upload|upl|xfer|transfer|writing|copying|lock|lck|wip"
    r"|cyberducksegment|\$\$\$|sb-[0-9a-f]{8}-\w{6})|~)\Z"
)
"""Endings under which programs write a file before they give it its name, or lock it."""
_OPENED = ("~$", "~wr", ".")
"""Prefixes of temporary and lock files of Office, and of hidden files."""
_MISNAMED = re.compile(
    r"(?:copy of |_)?case(?:\.json)?(?:\s*\(\d{1,3}\)|\s*-\s*copy(?:\s*\(\d{1,3}\))?|\s+copy(?:\s*\d{1,3})?|\s)?"
    r"\s*\.json[c5]?(?:\.txt|\.json|\.bak|\.old|\.rtf|\.doc)?|case\.(?:json|jsn|ya?ml|toml)(?:\.txt)?|case\.json\s*\(\d{1,3}\)"
)
"""Names that people, and systems that hide endings or number copies, turn ``case.json`` into."""
NO_TIME = datetime.min.replace(tzinfo=UTC)
"""Stands for the time of an object in a place where nothing can be dropped; such an object is not read."""
_NO_CONNECTION = "-"
"""Stands for the connection if the key names none."""
_OWN_KEYS = ("resume", "drop")
"""Keys of an execution input that only Dossier sets."""
LONGEST_LINE = 1000
LONGEST_KEY = 1024
"""Longest key in S3, in bytes."""
_LONGEST_CONNECTION = 64


@dataclass(frozen=True, slots=True)
class Landed:
    """An object of the inbox that was created or removed, with its version if the bucket has versions."""

    key: str
    version_id: str | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of a key ``inbox/<connection>/<name>`` or ``inbox/<connection>/<folder>/<name>``, however deep."""

    connection: str
    folder: str
    name: str
    problem: str = ""
    """Why nothing can be dropped there, or empty."""
    ignored: str = ""
    """Why the object is not a drop, or empty."""

    @property
    def prefix(self) -> str:
        """The folder's prefix, ending in ``/``."""
        return f"{INBOX}{self.connection}/{self.folder}/"

    @property
    def what(self) -> str:
        """The drop: the folder, else the file."""
        return self.folder or self.name


@dataclass(frozen=True)
class Listing:
    """The content in S3 of the drop that an object belongs to, as a plan needs it."""

    what: Landed
    place: Place
    bucket: str
    file: Stat | None = None
    """A file directly in the connection's folder, in the object's version."""
    latest: Stat | None = None
    """The latest version of such a file, if the object's is empty."""
    case_file: Stat | None = None
    files: Mapping[str, Stat] = field(default_factory=dict)
    """The other files of a folder, by name."""
    body: bytes = b""
    """The content of the ``case.json``, if the object is the last one of its folder."""
    unread: str = ""
    """Why S3 permanently refuses to read that."""
    problem: str = ""
    """Why S3 permanently refuses to list or describe the objects."""
    waits: bool = True
    """Of a removed object: whether its drop is recorded as waiting."""
    left: bool = False
    """Of a removed object: whether anything else of its drop is left."""

    @property
    def own(self) -> Stat | None:
        """The object in its folder; None if it was removed meanwhile."""
        there = (self.case_file, *self.files.values())
        return next((each for each in there if each is not None and each.key == self.what.key), None)

    @cached_property
    def last(self) -> Stat | None:
        """The object of a folder that arrived last. Its message starts the case.

        S3's times have whole seconds, so several objects may be the last. A ``case.json`` counts as the last of its
        second, because the messages of files that arrived before it have left the folder to it.
        """
        there = [each for each in (*self.files.values(), self.case_file) if each is not None]
        return max(there, key=lambda each: (*self._landed(each), each.key), default=None)

    @property
    def overtaken(self) -> bool:
        """Whether another object of the folder arrived later."""
        return self.own is not None and self.last is not None and self._landed(self.own) < self._landed(self.last)

    def _landed(self, each: Stat) -> tuple[datetime, bool]:
        return each.modified, each is self.case_file

    def uri(self, key: str) -> str:
        """Return the URI of an object."""
        return f"s3://{self.bucket}/{key}"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a case: the drop is complete."""

    case: CaseInput
    parts: tuple[Stat, ...]
    """Its objects."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Start an execution that Accept rejects, with the line in its input."""

    case: CaseInput
    parts: tuple[Stat, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait: the drop is not complete."""

    why: str
    after: timedelta = timedelta(0)
    """When to look again; zero if the message of another object continues with the drop."""
    lacks: bool = False
    """Whether a file is missing, which people should see."""
    landed: datetime | None = None
    """When the latest object behind this plan arrived; None: the message's object."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Start nothing: there is no drop, or the message of another object continues with it."""

    why: str
    ended: datetime | None = None
    """As of when the drop no longer waits, if it did."""


def plan(listing: Listing, at: datetime) -> Start | Wait | Leave | Reject:
    """Return the plan for an object of the inbox at a time."""
    what, place = listing.what, listing.place
    if place.ignored:
        return Leave(place.ignored)
    if what.removed:
        return _plan_removed(listing, at)
    if place.problem or listing.problem:
        return _misplaced(listing, place.problem or listing.problem)
    return _plan_folder(listing, at) if place.folder else _plan_file(listing, at)


def _plan_removed(listing: Listing, at: datetime) -> Wait | Leave:
    """Return the plan for a waiting drop after one of its objects was removed."""
    if listing.place.problem or not listing.waits:
        return Leave("is removed")
    if not listing.left:
        return Leave("is removed: the drop is empty", ended=at)
    if listing.place.folder and listing.case_file is None:
        return Wait(f"waits for its {CASE_FILE}", lacks=True, landed=at)
    return Leave("is removed")


def _plan_file(listing: Listing, at: datetime) -> Start | Wait | Leave:
    """Return the plan for a single file.

    Some programs create an empty file before they write it, so an empty one has a minute to get its content.
    """
    place, stat = listing.place, listing.file
    if stat is None:
        return Leave("is gone")
    if stat.size == 0:
        if listing.latest is not None and listing.latest.size > 0:
            return Leave("was empty, but a later version is not")
        if (wait := EMPTY - (at - stat.modified)) > timedelta(0):
            return Wait("is empty: it may still be written", wait, lacks=True, landed=stat.modified)
    case = CaseInput(
        connection=place.connection[:_LONGEST_CONNECTION],  # Accept rejects the unknown name
        reference=reference_of_drop(place.name),
        documents=(DocumentInput(uri=listing.uri(stat.key), name=place.name, version_id=stat.version_id),),
        drop=Drop(key=stat.key),
    )
    return Start(case, (stat,))


def _plan_folder(listing: Listing, at: datetime) -> Start | Wait | Leave | Reject:
    """Return the plan for the object's folder.

    The ``case.json`` may arrive before the other files; the message of each later file checks the folder again.
    """
    place, case_file, last = listing.place, listing.case_file, listing.last
    if case_file is None or last is None:
        if PurePosixPath(place.name).name != CASE_FILE:
            return Wait(f"waits for its {CASE_FILE}", lacks=True)
        if place.name == CASE_FILE:
            return Leave("is gone")
        better = f"drop it as {INBOX}{place.connection}/<folder>/{CASE_FILE}"
        return _misplaced(listing, f"{CASE_FILE} is in a subfolder: {better}")
    if listing.overtaken:
        return Leave(f"leaves it to {last.key}")
    try:
        return _plan_case(listing, case_file, last, at)
    except InvalidCaseError as error:
        return Reject(_refused(place, case_file.key, str(error), reference=_own_reference(listing)), (case_file,))


def _plan_case(listing: Listing, case_file: Stat, last: Stat, at: datetime) -> Start | Wait | Leave:
    """Return the plan for a folder with a ``case.json``.

    Raises:
        InvalidCaseError: the ``case.json`` is wrong.

    """
    if case_file.size == 0 and (wait := EMPTY - (at - case_file.modified)) > timedelta(0):
        return Wait(f"{CASE_FILE} is empty: it may still be written", wait, lacks=True, landed=last.modified)
    coming = [name for name in listing.files if is_unfinished(name)]
    files = {name: each for name, each in listing.files.items() if name not in coming}
    data, named = _read(listing, files)
    missing = sorted(set(named) - set(files)) if named is not None else coming
    age = at - last.modified
    settles = (QUIET if named is None else SETTLED) - age
    wait = settles if settles > timedelta(0) else LATE - age if missing else timedelta(0)
    used = [name for name in (files if named is None else named) if name in files]
    empty = [name for name in used if files[name].size == 0 and at - files[name].modified < EMPTY]
    if wait <= timedelta(0) and empty:
        wait, missing = EMPTY - min(at - files[name].modified for name in empty), empty
    if wait > timedelta(0):
        why = f"waits for {', '.join(missing) or 'what else may land'}"
        return Wait(why, wait, lacks=bool(missing), landed=last.modified)
    if listing.own is not None and listing.own is not last:
        return Leave(f"leaves it to {last.key}")
    case = CaseInput.parse({**data, "drop": {"key": case_file.key}}, wrong=f"{CASE_FILE} is wrong: ")
    return Start(case, (case_file, *(files[name] for name in used)))


def left_out(key: str) -> bool:
    """Return whether a key belongs to a file that file managers and tools create: it is ignored."""
    parts = key.split("/")
    return (
        parts[-1].lower() in _LITTER
        or parts[-1].startswith("._")
        or parts[-1].endswith("_$folder$")
        or any(each.lower() in _LITTER_FOLDERS or each.lower().startswith(".trash-") for each in parts[:-1])
        or any(each.startswith(".") and each.strip(".") for each in parts[3:-1])  # hidden inside the drop
    )


def is_unfinished(key: str) -> bool:
    """Return whether a key belongs to a file that a program is still writing, or to a lock file."""
    name = key.rpartition("/")[2].lower()
    saved = name.startswith("#") and name.endswith("#")
    return saved or name.startswith(_OPENED) or _ON_THEIR_WAY.search(name) is not None


def place_of(key: str) -> Place:
    """Return the parts of a key, with what is wrong with its place in the inbox."""
    connection, *rest = key.removeprefix(INBOX).split("/")
    ignored = ""
    if key.endswith("/") or not key.startswith(INBOX):
        ignored = "is not a file in the inbox"
    elif left_out(key):
        ignored = "is ignored: it is not a document"
    elif is_unfinished(key):
        ignored = "is an upload in progress"
    if not rest:
        problem = f"it is in no connection's folder: drop it into {INBOX}<connection>/"
        return Place(_NO_CONNECTION, "", connection, problem, ignored)
    folder, name = (rest[0], "/".join(rest[1:])) if len(rest) > 1 else ("", rest[0])
    problem = ""
    if any(part in {"", ".", ".."} for part in (connection, *rest)):
        problem = 'a part of its path is empty, "." or "..": drop it under a plain name'
    elif name != CASE_FILE and _MISNAMED.fullmatch(name.strip().casefold()):
        problem = f'"{name}" is not read: name it {CASE_FILE}, in lower case and without another ending'
    elif name == CASE_FILE and not folder:
        problem = f"{CASE_FILE} describes a folder: drop both as {INBOX}{connection}/<folder>/"
    return Place(connection or _NO_CONNECTION, folder, name, problem, ignored)


def _misplaced(listing: Listing, problem: str) -> Reject:
    """Reject a drop in the wrong place, or one that S3 refuses to read; its key alone identifies it."""
    what = listing.what
    stat = Stat(what.key, 0, what.version_id or "", NO_TIME)
    return Reject(_refused(listing.place, what.key, problem), (stat,))


def _refused(place: Place, key: str, problem: str, *, reference: str | None = None) -> CaseInput:
    """Return an input that Accept rejects with this one line, under the given reference or that of the name."""
    line = "".join(each if each.isprintable() else " " for each in problem)  # it may quote case.json
    return CaseInput(
        connection=place.connection[:_LONGEST_CONNECTION],
        reference=reference or reference_of_drop(place.folder or place.name),
        drop=Drop(key=key, refused=" ".join(line.split())[:LONGEST_LINE]),
    )


def _read(listing: Listing, files: Mapping[str, Stat]) -> tuple[dict[str, Any], list[str] | None]:
    """Return the execution input in a ``case.json``, with defaults filled in, and the files that it names.

    None in place of the names means every file of the folder.

    Raises:
        InvalidCaseError: says what to fix.

    """
    place, data = listing.place, _object(listing)
    for own in _OWN_KEYS:
        if own in data:
            raise InvalidCaseError(f"{CASE_FILE} is wrong: {own}: unknown key")
    if data.setdefault("connection", place.connection) != place.connection:
        raise InvalidCaseError(
            f"{CASE_FILE} is wrong: connection: it is in {INBOX}{place.connection}/: leave out the connection, or drop "
            "the folder into that connection's folder"
        )
    data.setdefault("reference", reference_of_drop(place.folder))
    if "documents" not in data:
        uris = {name: listing.uri(each.key) for name, each in files.items()}
        return {**data, "documents": [{"uri": uri, "name": name} for name, uri in uris.items()]}, None
    named = []
    documents = data["documents"] if isinstance(data["documents"], list) else []
    for each in documents:
        if isinstance(each, dict) and "uri" not in each and isinstance(each.get("name"), str):
            if len(each["name"]) > LONGEST_KEY:
                raise InvalidCaseError(f"{CASE_FILE} is wrong: documents: a name has at most {LONGEST_KEY} characters")
            name = unicodedata.normalize("NFC", each["name"])
            if any(part in {"", ".", ".."} for part in name.split("/")):
                raise InvalidCaseError(f"{CASE_FILE} is wrong: documents: a name must be that of a file in its folder")
            each["uri"] = listing.uri(files[name].key if name in files else place.prefix + name)
            named.append(name)
    return data, named


def _object(listing: Listing) -> dict[str, Any]:
    """Return the JSON object in a ``case.json``."""
    size = listing.case_file.size if listing.case_file else 0
    if listing.unread:
        raise InvalidCaseError(listing.unread)
    if size > LARGEST_CASE_FILE:
        raise InvalidCaseError(f"{CASE_FILE} has {size:,} bytes: the limit is {LARGEST_CASE_FILE:,}")
    try:
        data = written.read(listing.body)
    except written.NotUtf8Error as error:
        raise InvalidCaseError(f"{CASE_FILE} is {error}") from None
    except ValueError as error:
        raise InvalidCaseError(f"{CASE_FILE} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidCaseError(f'{CASE_FILE} is wrong: it must be an object, such as {{"reference": "INV-1"}}')
    return data


def _own_reference(listing: Listing) -> str | None:
    """Return the valid reference in a ``case.json`` that is otherwise wrong, or None."""
    try:
        reference = _object(listing).get("reference")
    except InvalidCaseError:
        return None
    return reference if isinstance(reference, str) and REFERENCE.fullmatch(reference) else None
