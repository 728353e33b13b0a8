"""Drop: a file in ``inbox/<connection>/`` becomes a case; a folder does once its ``case.json`` is there.

A drop always becomes an execution, and Accept rejects it like any other submission if it is no valid case. The same
submission always gets the same execution name, so a repeated message or drop starts nothing new. Nothing is written to
the inbox, so no drop causes another. While a drop waits, the table and an object beside the inbox say so.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_plus

from dossier.errors import CaseFailedError, InvalidCaseError
from dossier.layout import CASE_FILE, INBOX, INBOX_WAITING
from dossier.models import REFERENCE, CaseInput, DocumentInput, Drop, execution_name, iso, now
from dossier.steps.accept import examine
from dossier.steps.work import Desk
from dossier.stores.cases import WaitingDrop
from dossier.stores.executions import INPUT_LIMIT, Executions
from dossier.stores.objects import Facts, Stat
from dossier.stores.queues import DROP, Queues

LARGEST_CASE_FILE = INPUT_LIMIT
SETTLED = timedelta(seconds=2)
"""Age after which no more objects arrive with the same second as their time, with a margin for clock differences."""
QUIET = timedelta(seconds=5)
"""A folder whose ``case.json`` names no documents is complete if nothing has arrived for this long."""
EMPTY = timedelta(minutes=1)
"""How long an empty file may be about to be written."""
LATE = timedelta(minutes=15)
"""How long a document that ``case.json`` names may land after the last file that did, before its absence is refused."""
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
"""How the names of temporary and lock files of Office, and of hidden files, begin."""
_MISNAMED = re.compile(
    r"(?:copy of |_)?case(?:\.json)?(?:\s*\(\d{1,3}\)|\s*-\s*copy(?:\s*\(\d{1,3}\))?|\s+copy(?:\s*\d{1,3})?|\s)?"
    r"\s*\.json[c5]?(?:\.txt|\.json|\.bak|\.old|\.rtf|\.doc)?|case\.(?:json|jsn|ya?ml|toml)(?:\.txt)?|case\.json\s*\(\d{1,3}\)"
)
"""What systems that hide endings, number a second file or copy one, and people, make of ``case.json``."""
NAMES = 50
"""Execution names that are tried: each rejection uses one for 90 days."""
NO_TIME = datetime.min.replace(tzinfo=UTC)
"""Stands for the time of an object in a place where nothing can be dropped; such an object is not read."""
_NO_CONNECTION = "-"
"""Stands for the connection if the key names none."""
_OWN_KEYS = ("resume", "drop")
"""Keys of an execution input that only Dossier sets."""
_LONGEST_LINE = 1000
_LONGEST_KEY = 1024
"""Longest key in S3, in bytes."""
_WITHOUT = f"waits for its {CASE_FILE}"
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

    @property
    def prefix(self) -> str:
        """The folder's prefix, ending in ``/``."""
        return f"{INBOX}{self.connection}/{self.folder}/"

    @property
    def what(self) -> str:
        """The drop: the folder, else the file."""
        return self.folder or self.name


@dataclass(frozen=True, slots=True)
class Draft:
    """A case to start, and its objects."""

    case: CaseInput
    parts: tuple[Stat, ...]

    @property
    def dropped_at(self) -> datetime:
        """When the last of its objects arrived."""
        return max(each.modified for each in self.parts)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A drop that is not complete: ``why`` it has to wait, and for how long."""

    why: str
    wait: timedelta = timedelta(0)
    """Zero if the message of another object continues with the drop."""
    lacks: bool = False
    """A file is missing."""
    landed: datetime | None = None
    """When the latest object arrived that this is based on; None: the message's object."""


def landed(message: Mapping[str, Any], bucket: str) -> Iterator[Landed]:
    """Yield the created objects in a message: an event notification of this bucket, or a message of Dossier's.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (keys are
    URL-encoded as in forms). S3's test message, sent when notifications are set up, has none.
    """
    if "key" in message:
        yield Landed(message["key"], message["version_id"])
        return
    if message.get("Event") == "s3:TestEvent":
        return
    for record in message["Records"]:
        found = record["s3"]
        if found["bucket"]["name"] == bucket and record["eventName"].startswith("ObjectCreated"):
            yield Landed(unquote_plus(found["object"]["key"]), found["object"].get("versionId"))


def told(message: Mapping[str, Any], bucket: str) -> Iterator[Landed]:
    """Yield the created and the removed objects in a message; ``s3:ObjectRemoved:*`` has the same form."""
    yield from landed(message, bucket)
    for record in message.get("Records", ()):
        found = record["s3"]
        if found["bucket"]["name"] == bucket and record["eventName"].startswith("ObjectRemoved"):
            yield Landed(unquote_plus(found["object"]["key"]), removed=True)


def drop(what: Landed, *, desk: Desk, executions: Executions, queues: Queues, at: datetime | None = None) -> str:
    """Start the case that an object completes; return the outcome for the log.

    Args:
        what: the object.
        desk: cases and objects.
        executions: starts the case.
        queues: sends a delayed message for a drop that is not complete.
        at: stands in for the clock in tests.

    """
    if what.key.endswith("/") or not what.key.startswith(INBOX):
        return "is not a file in the inbox"
    if left_out(what.key):
        return "is ignored: it is not a document"
    if is_unfinished(what.key):
        return "is an upload in progress"
    place = place_of(what.key)
    if what.removed:
        return _removed(place, desk)
    draft = _draft(place, what, desk, at or now())
    if isinstance(draft, Unfinished):
        if draft.wait:
            message = {"key": what.key, "version_id": what.version_id}
            queues.send(DROP, message, after=draft.wait.total_seconds())
        if draft.lacks:
            _note(place, what, draft, desk)
        return draft.why
    outcome = "is gone"
    if draft is not None:
        outcome = _start(draft, desk, executions)
        misplaced = draft.dropped_at == NO_TIME
        if not misplaced and (place.folder or desk.cases.waiting_drop(place.connection, place.what) is not None):
            _forget(place, draft.dropped_at, desk)
    return outcome


def _draft(place: Place, what: Landed, desk: Desk, at: datetime) -> Draft | Unfinished | None:
    """Return the case that an object completes, or why it is not complete; None if the object is gone."""
    if place.problem:
        return _misplaced(place, what)
    try:
        return _folder(place, what, desk, at) if place.folder else _file(place, what, desk, at)
    except InvalidCaseError as error:
        return _misplaced(replace(place, problem=str(error)), what)


def _note(place: Place, what: Landed, unfinished: Unfinished, desk: Desk) -> None:
    """Record that a drop waits: in the table, for ``dossier list``, and beside the inbox.

    Messages may arrive out of order. A drop that was started meanwhile has a later time and is not recorded again.
    """
    cases, why = desk.cases, f"{INBOX}{place.connection}/{place.what} {unfinished.why}"[:_LONGEST_LINE]
    before = cases.waiting_drop(place.connection, place.what)
    if before is not None and before.why == why:
        return
    own = None if unfinished.landed else desk.objects.stat(what.key, version_id=what.version_id, dropped=True)
    at = unfinished.landed or (own.modified if own else None)
    if at is None:
        return
    drop = WaitingDrop(reference=reference_of(place.what), why=why, since=before.since if before else iso(now()))
    if cases.drop_waits(place.connection, place.what, drop, at):
        desk.objects.write(note_key(place), f"{drop.since} {why}\n".encode(), "text/plain; charset=utf-8")
        if cases.waiting_drop(place.connection, place.what) is None:
            desk.objects.delete(note_key(place))


def _forget(place: Place, landed: datetime, desk: Desk) -> None:
    """Remove the record of a waiting drop."""
    before = desk.cases.waiting_drop(place.connection, place.what)
    desk.cases.drop_ends(place.connection, place.what, landed)
    if before is not None:
        desk.objects.delete(note_key(place))


def _removed(place: Place, desk: Desk) -> str:
    """Update a waiting drop after one of its objects was removed."""
    if place.problem or desk.cases.waiting_drop(place.connection, place.what) is None:
        return "is removed"
    if not place.folder:
        left = desk.objects.stat(f"{INBOX}{place.connection}/{place.name}", dropped=True)
    else:
        left = next((each for each in desk.objects.stats(place.prefix) if not each.key.endswith("/")), None)
    if left is None:
        _forget(place, now(), desk)
        return "is removed: the drop is empty"
    if place.folder and desk.objects.stat(place.prefix + CASE_FILE, dropped=True) is None:
        _note(place, Landed(left.key), Unfinished(_WITHOUT, lacks=True, landed=now()), desk)
    return "is removed"


def note_key(place: Place) -> str:
    """Return the key of the note that says what a drop waits for."""
    key = f"{INBOX_WAITING}{place.connection}/{place.what}.txt"
    longest = len(key.encode()) > _LONGEST_KEY
    return f"{INBOX_WAITING}{hashlib.sha256(key.encode()).hexdigest()}.txt" if longest else key


def left_out(key: str) -> bool:
    """Return whether a key belongs to a file that file managers and tools create: it is ignored."""
    parts = key.split("/")
    return (
        parts[-1].lower() in _LITTER
        or parts[-1].startswith("._")
        or parts[-1].endswith("_$folder$")
        or any(each.lower() in _LITTER_FOLDERS or each.lower().startswith(".trash-") for each in parts[:-1])
        or any(each.startswith(".") and each.strip(".") for each in parts[3:-1])  # hidden below what was dropped
    )


def is_unfinished(key: str) -> bool:
    """Return whether a key belongs to a file that a program is still writing, or to a lock file."""
    name = key.rpartition("/")[2].lower()
    saved = name.startswith("#") and name.endswith("#")
    return saved or name.startswith(_OPENED) or _ON_THEIR_WAY.search(name) is not None


def place_of(key: str) -> Place:
    """Return the parts of a key in the inbox."""
    connection, *rest = key.removeprefix(INBOX).split("/")
    if not rest:
        problem = f"it is in no connection's folder: drop it into {INBOX}<connection>/"
        return Place(_NO_CONNECTION, "", connection, problem)
    folder, name = (rest[0], "/".join(rest[1:])) if len(rest) > 1 else ("", rest[0])
    problem = ""
    if any(part in {"", ".", ".."} for part in (connection, *rest)):
        problem = 'a part of its path is empty, "." or "..": drop it under a plain name'
    elif name != CASE_FILE and _MISNAMED.fullmatch(name.strip().casefold()):
        problem = f'"{name}" is not read: name it {CASE_FILE}, in lower case and without another ending'
    elif name == CASE_FILE and not folder:
        problem = f"{CASE_FILE} describes a folder: drop both as {INBOX}{connection}/<folder>/"
    return Place(connection or _NO_CONNECTION, folder, name, problem)


def reference_of(name: str) -> str:
    """Return the reference of a drop: its name, if that is a valid reference.

    In any other name, characters that are not allowed in a reference are replaced, and an eight-digit hash is appended
    so that no two names get the same reference.
    """
    name = unicodedata.normalize("NFC", name)
    if REFERENCE.fullmatch(name):
        return name
    ending = PurePosixPath(name).suffix
    ending = ending if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", ending) else ""
    plain = unicodedata.normalize("NFKD", name.removesuffix(ending)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)[:80].strip("._-") or "drop"
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}{ending}"


def _misplaced(place: Place, what: Landed) -> Draft:
    """Return the draft of a drop in the wrong place; it is identified by its key alone."""
    stat = Stat(what.key, 0, what.version_id or "", NO_TIME)
    return Draft(_refused(place, what.key, place.problem), (stat,))


def _refused(place: Place, key: str, problem: str, *, reference: str | None = None) -> CaseInput:
    """Return an input that Accept rejects with this one line, under the given reference or that of the name."""
    line = "".join(each if each.isprintable() else " " for each in problem)  # it may quote case.json
    return CaseInput(
        connection=place.connection[:_LONGEST_CONNECTION],
        reference=reference or reference_of(place.folder or place.name),
        drop=Drop(key=key, refused=" ".join(line.split())[:_LONGEST_LINE]),
    )


def _file(place: Place, what: Landed, desk: Desk, at: datetime) -> Draft | Unfinished | None:
    """Return the case of a single file, or None if it is gone.

    Some programs create an empty file before they write it, so an empty one has a minute to get its content.
    """
    stat = desk.objects.stat(what.key, version_id=what.version_id, dropped=True)
    if stat is None:
        return None
    if stat.size == 0:
        latest = desk.objects.stat(what.key, dropped=True)
        if latest is not None and latest.size > 0:
            return Unfinished("was empty, but a later version is not")
        if (wait := EMPTY - (at - stat.modified)) > timedelta(0):
            return Unfinished("is empty: it may still be written", wait, lacks=True, landed=stat.modified)
    case = CaseInput(
        connection=place.connection[:_LONGEST_CONNECTION],  # Accept rejects the unknown name
        reference=reference_of(place.name),
        documents=(DocumentInput(uri=_uri(what.key, desk), name=place.name, version_id=stat.version_id),),
        drop=Drop(key=what.key),
    )
    return Draft(case, (stat,))


def _folder(place: Place, what: Landed, desk: Desk, at: datetime) -> Draft | Unfinished | None:
    """Return the case of the object's folder, or why it is not complete.

    The ``case.json`` may arrive before the other files; the message of each later file checks the folder again.
    """
    key, is_case_file = place.prefix + CASE_FILE, place.name == CASE_FILE
    case_file = desk.objects.stat(key, version_id=what.version_id if is_case_file else None, dropped=True)
    if case_file is None:
        if not is_case_file and PurePosixPath(place.name).name == CASE_FILE:
            problem = f"{CASE_FILE} is in a subfolder: drop it as {INBOX}{place.connection}/<folder>/{CASE_FILE}"
            return _misplaced(replace(place, problem=problem), what)
        return None if is_case_file else Unfinished(_WITHOUT, lacks=True)
    files = {
        unicodedata.normalize("NFC", each.key.removeprefix(place.prefix)): each
        for each in desk.objects.stats(place.prefix)
        if each.key != key and not each.key.endswith("/") and not left_out(each.key)
    }
    others = _Others(case_file, files.values(), what.key)
    if others.later:
        return Unfinished(f"leaves it to {others.last.key}")
    return _assembled(place, case_file, files, others, desk, at)


def _assembled(
    place: Place, case_file: Stat, files: Mapping[str, Stat], others: _Others, desk: Desk, at: datetime
) -> Draft | Unfinished:
    """Return the case of a folder with a ``case.json``, or why it is not complete."""
    try:
        if case_file.size == 0 and (wait := EMPTY - (at - case_file.modified)) > timedelta(0):
            why = f"{CASE_FILE} is empty: it may still be written"
            return Unfinished(why, wait, lacks=True, landed=others.last.modified)
        coming = [name for name in files if is_unfinished(name)]
        files = {name: each for name, each in files.items() if name not in coming}
        data, named = _read(place, case_file, files, desk)
        missing = sorted(set(named or ()) - set(files)) if named is not None else coming
        age = at - others.last.modified
        settles = (QUIET if named is None else SETTLED) - age
        wait = settles if settles > timedelta(0) else LATE - age if missing else timedelta(0)
        used = files if named is None else [name for name in named if name in files]
        empty = [name for name in used if files[name].size == 0 and at - files[name].modified < EMPTY]
        if wait <= timedelta(0) and empty:
            wait, missing = EMPTY - min(at - files[name].modified for name in empty), empty
        if wait > timedelta(0):
            why = f"waits for {', '.join(missing) or 'what else may land'}"
            return Unfinished(why, wait, lacks=bool(missing), landed=others.last.modified)
        if others.tied:
            return Unfinished(f"leaves it to {others.last.key}")
        parts = [files[name] for name in (files if named is None else named) if name in files]
        submitted = CaseInput.parse({**data, "drop": {"key": case_file.key}}, wrong=f"{CASE_FILE} is wrong: ")
        return Draft(submitted, (case_file, *parts))
    except InvalidCaseError as error:
        return Draft(
            _refused(place, case_file.key, str(error), reference=_own_reference(case_file, desk)), (case_file,)
        )


class _Others:
    """The other objects in a folder, besides the object of a message.

    Each object has a message, and the message of the last object starts the case. S3's times have whole seconds, so
    several objects may be the last. A ``case.json`` counts as the last of its second, because the messages of files
    that arrived before it have left the folder to it.
    """

    def __init__(self, case_file: Stat, files: Iterable[Stat], own_key: str) -> None:
        there = {each.key: each for each in (*files, case_file)}
        own = there.get(own_key)

        def landed_at(each: Stat) -> tuple[datetime, bool]:
            return each.modified, each is case_file

        self.last = max(there.values(), key=lambda each: (*landed_at(each), each.key))
        self.later = own is not None and landed_at(own) < landed_at(self.last)
        """Whether another object arrived later; False if the own object was removed meanwhile."""
        self.tied = own is not None and own is not self.last


def _read(
    place: Place, case_file: Stat, files: Mapping[str, Stat], desk: Desk
) -> tuple[dict[str, Any], list[str] | None]:
    """Return the execution input in a ``case.json``, with defaults filled in, and the files that it names.

    None in place of the names means every file of the folder.

    Raises:
        InvalidCaseError: says what to fix.

    """
    data = _object(case_file, desk)
    for own in _OWN_KEYS:
        if own in data:
            raise InvalidCaseError(f"{CASE_FILE} is wrong: {own}: unknown key")
    if data.setdefault("connection", place.connection) != place.connection:
        raise InvalidCaseError(
            f"{CASE_FILE} is wrong: connection: it is in {INBOX}{place.connection}/: leave out the connection, or drop "
            "the folder into that connection's folder"
        )
    data.setdefault("reference", reference_of(place.folder))
    if "documents" not in data:
        uris = {name: _uri(each.key, desk) for name, each in files.items()}
        return {**data, "documents": [{"uri": uri, "name": name} for name, uri in uris.items()]}, None
    named = []
    documents = data["documents"] if isinstance(data["documents"], list) else []
    for each in documents:
        if isinstance(each, dict) and "uri" not in each and isinstance(each.get("name"), str):
            if len(each["name"]) > _LONGEST_KEY:
                raise InvalidCaseError(f"{CASE_FILE} is wrong: documents: a name has at most {_LONGEST_KEY} characters")
            name = unicodedata.normalize("NFC", each["name"])
            if any(part in {"", ".", ".."} for part in name.split("/")):
                raise InvalidCaseError(f"{CASE_FILE} is wrong: documents: a name must be that of a file in its folder")
            each["uri"] = _uri(files[name].key if name in files else place.prefix + name, desk)
            named.append(name)
    return data, named


def _object(case_file: Stat, desk: Desk) -> dict[str, Any]:
    """Return the JSON object in a ``case.json``."""
    if case_file.size > LARGEST_CASE_FILE:
        raise InvalidCaseError(f"{CASE_FILE} has {case_file.size:,} bytes: the limit is {LARGEST_CASE_FILE:,}")
    body = desk.objects.read(case_file.key, version_id=case_file.version_id, dropped=True) or b""
    try:
        data = json.loads(body.decode("utf-8-sig"))
        json.dumps(data, allow_nan=False)
    except UnicodeDecodeError as error:
        raise InvalidCaseError(f"{CASE_FILE} is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InvalidCaseError(
            f"{CASE_FILE} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (ValueError, RecursionError):  # NaN, a number of thousands of digits, or too deep nesting
        raise InvalidCaseError(
            f"{CASE_FILE} is not valid JSON: it has an invalid number or is nested too deeply"
        ) from None
    if not isinstance(data, dict):
        raise InvalidCaseError(f'{CASE_FILE} is wrong: it must be an object, such as {{"reference": "INV-1"}}')
    return data


def _own_reference(case_file: Stat, desk: Desk) -> str | None:
    """Return the valid reference in a ``case.json`` that is otherwise wrong, or None."""
    try:
        reference = _object(case_file, desk).get("reference")
    except InvalidCaseError:
        return None
    return reference if isinstance(reference, str) and REFERENCE.fullmatch(reference) else None


def _start(draft: Draft, desk: Desk, executions: Executions) -> str:
    """Start the draft's case once: an execution of its name that ended after the drop has already judged it.

    If the execution ended before the drop, its reason may be fixed by now (a setting, a permission, a conflict), so
    dropping the same content again is another attempt. A case that was accepted stays as it is.
    """
    case, digest = _identified(draft, desk)
    found = desk.cases.find(case.connection, case.reference)
    if found is not None and not found.record.refused and found.record.fingerprint == digest:
        return f"is already case {case.reference}"
    for attempt in range(1, NAMES + 1):
        name = execution_name(reference_of(case.connection), case.reference, digest, attempt=attempt)
        execution = executions.describe(executions.arn_of(name))
        if execution is None:
            return f"is started as {executions.start(name, _input(case))}"
        if execution.stopped_at is None or execution.stopped_at >= draft.dropped_at:
            return f"is already execution {name}"
    return f"was rejected {NAMES} times"


def _identified(draft: Draft, desk: Desk) -> tuple[CaseInput, str]:
    """Return the case, with the versions of its documents that were read, and its digest.

    The digest is the fingerprint that Accept computes too. A case that Accept will reject has none and is identified by
    its objects.
    """
    case = draft.case
    try:
        if case.drop and case.drop.refused:
            raise InvalidCaseError(case.drop.refused)
        connection = desk.connection_of(case.connection)
        found = examine(case, objects=desk.objects, connection=connection, vendor=desk.vendor_of(connection))
    except CaseFailedError:
        return case, _by_parts(draft)
    other = _landed_before(draft, found.facts, desk)
    if other is not None:
        problem = f"it has the same content as {other}, dropped within a minute of it: that file is the case for both"
        case = case.model_copy(update={"drop": Drop(key=draft.parts[0].key, refused=problem)})
        return case, _by_parts(draft)
    inbox = _uri(INBOX, desk)
    documents = [
        each.model_copy(update={"version_id": fact.version_id}) if fact and each.uri.startswith(inbox) else each
        for each, fact in zip(case.documents, found.facts, strict=True)
    ]
    return case.model_copy(update={"documents": tuple(documents)}), found.fingerprint


def _by_parts(draft: Draft) -> str:
    """Return the digest of a drop that is no valid case, from its objects."""
    return hashlib.sha256(json.dumps([[each.key, each.etag] for each in draft.parts]).encode()).hexdigest()


def _landed_before(draft: Draft, facts: Sequence[Facts | None], desk: Desk) -> str | None:
    """Return the other file with a single file's content that was dropped within a minute, or None."""
    alone = len(draft.parts) == 1 and len(facts) == 1
    if not alone or facts[0] is None:
        return None
    part = draft.parts[0]
    return desk.cases.first_drop(draft.case.connection, facts[0].sha256, part.key, iso(part.modified))


def _input(case: CaseInput) -> dict[str, Any]:
    """Return the execution's input."""
    data: dict[str, Any] = case.model_dump(mode="json", exclude_defaults=True)
    if len(json.dumps(data, ensure_ascii=False).encode()) <= INPUT_LIMIT:
        return data
    refused = f"{len(case.documents)} documents are too many for one case: drop them as several cases"
    return {**data, "documents": [], "options": {}, "drop": {**data["drop"], "refused": refused}}


def _uri(key: str, desk: Desk) -> str:
    return f"s3://{desk.objects.bucket}/{key}"
