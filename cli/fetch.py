"""``dossier fetch``: downloads a case's results to a folder, and checks each file against the manifest."""

from __future__ import annotations

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import BadUsageError, CommandError
from cli.files import created
from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.text import clean
from dossier.layout import DOCUMENTS, folder, kind_of, manifest_key
from dossier.names import safe_name, unique_names
from dossier.stores.cases import CaseRecord
from dossier.texts import counted

CHUNK = 1 << 20
MOST_NAMED = 3
"""Files that an error names."""
TRIES, PAUSE = 3, 1.0
"""Reads of a manifest that is being replaced, and seconds between them."""
_DAMAGED = "s3://{bucket}/{key} is not the file in the case's manifest: its sha256 differs"


def fetch(
    out: Output,
    where: Target,
    reference: str,
    directory: Path,
    *,
    connection: str | None,
    documents: bool,
    revision: int | None = None,
) -> None:
    """Download a case's results: everything in its folder with the latest revision, or an earlier revision.

    Raises:
        CommandError: there are no results yet, or no such revision, or a file is missing or damaged.
        BadUsageError: the directory is a file.

    """
    if directory.exists() and not directory.is_dir():
        raise BadUsageError(f"{directory} is not a folder")
    record = find(where, reference, connection).record
    _require_no_other_case(directory, record)
    prefix = folder(record.id)
    if not record.status.final and not record.revision:
        raise CommandError(f"case {reference} has no results yet: it is {record.status.value}")
    named = _manifest(where, record, prefix, revision)
    if revision is None:
        named = _undisturbed(where, record, prefix, named, documents=documents)
    listed = _listed(where, prefix, named) if revision is None else {each.key: each.size for each in named.values()}
    wanted = [key for key in listed if documents or kind_of(key) != DOCUMENTS]
    lost = [key for key in named if key not in listed and (documents or kind_of(key) != DOCUMENTS)]
    if revision is not None:
        _check_kept(where, [named[key] for key in wanted], record, revision)
    if lost:
        raise CommandError(f"s3://{where.bucket}/{lost[0]} is in the case's manifest, but no longer in the bucket")
    files = []
    places = _places([_shown(key, prefix) for key in wanted], prefix)
    for key in wanted:
        parts = places[_shown(key, prefix)]
        digest = _download(where, key, listed[key], directory, parts, named.get(key))
        path = str(directory.joinpath(*parts))
        files.append({"path": path, "key": key, "size": listed[key], "sha256": digest, "verified": key in named})
    number = revision or record.standing or None
    names = {"connection": record.connection, "reference": reference, "revision": number, "directory": str(directory)}
    out.document({**names, "files": files})
    for file in files:
        out.line(str(file["path"]))
    which = f" (revision {revision})" if revision else f" ({record.status.value})"
    out.progress(f"fetched {counted(len(files), 'file')} of case {reference}{which}")


def _require_no_other_case(directory: Path, record: CaseRecord) -> None:
    """Check that the folder holds no other case: its result would be replaced, and its artifacts would stay.

    Raises:
        BadUsageError: the folder has the result of another case.

    """
    try:
        found = json.loads((directory / "result.json").read_bytes())
        there = (found["connection"], found["reference"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if there != record.id:
        other = clean(" / ".join(str(each) for each in there))
        raise BadUsageError(f"{directory} has the results of another case ({other})", fix="give another folder")


@dataclass(frozen=True, slots=True)
class Named:
    """A file of a manifest; manifests of version 1 name no versions."""

    key: str
    size: int
    sha256: str
    version_id: str | None = None


def _manifest(where: Target, record: CaseRecord, prefix: str, revision: int | None) -> Mapping[str, Named]:
    """Return the files of a revision by key; of the latest one if ``revision`` is None."""
    key = manifest_key(record.id, revision)
    body = where.app.objects.read(key)
    if body is None and revision is not None and revision == record.standing:
        body = where.app.objects.read(manifest_key(record.id))  # stored before there were revisions
    if body is None and revision is not None and revision <= record.standing:
        raise CommandError(f"the bucket no longer has revision {revision} of case {record.reference}")
    if body is None and revision is not None:
        raise CommandError(f"case {record.reference} has no revision {revision}: the latest is {record.standing}")
    if body is None:
        raise CommandError(f"there is no s3://{where.bucket}/{prefix}manifest.json: the case's results were removed")
    files: list[dict[str, Any]] = json.loads(body)["files"]
    found = [Named(each["key"], each["size"], each["sha256"], each.get("version_id")) for each in files]
    return {each.key: each for each in found}


def _check_kept(where: Target, files: Sequence[Named], record: CaseRecord, revision: int) -> None:
    """Check that every file of an earlier revision is still there, before any is downloaded.

    Raises:
        CommandError: names those that are not.

    """
    gone = [each for each in files if where.app.objects.stat(each.key, version_id=each.version_id) is None]
    if gone:
        names = ", ".join(clean(PurePosixPath(each.key).name) for each in gone[:MOST_NAMED])
        more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
        raise CommandError(
            f"the bucket no longer has all files of revision {revision} of case {record.reference}: {names}{more} "
            f"{'is' if len(gone) == 1 else 'are'} gone; the latest revision is {record.standing}"
        )


def _undisturbed(
    where: Target, record: CaseRecord, prefix: str, named: Mapping[str, Named], *, documents: bool
) -> Mapping[str, Named]:
    """Return the latest manifest once its files are in place: a new revision may be being published.

    Raises:
        CommandError: a file still differs from the manifest after the last try.

    """
    for left in range(TRIES - 1, -1, -1):
        wanted = [each for each in named.values() if documents or kind_of(each.key) != DOCUMENTS]
        found = ((each, where.app.objects.stat(each.key)) for each in wanted if each.version_id)
        other = next((each for each, stat in found if stat and stat.version_id != each.version_id), None)
        if other is None:
            break
        if not left:
            raise CommandError(_DAMAGED.format(bucket=where.bucket, key=other.key))
        time.sleep(PAUSE)
        named = _manifest(where, record, prefix, None)
    return named


def _listed(where: Target, prefix: str, named: Mapping[str, Named]) -> dict[str, int]:
    """Return the size of each file in the case's folder without earlier revisions; the manifest's sizes go first."""
    found = {key: size for key, size in where.app.objects.list(prefix) if not key.startswith(f"{prefix}revisions/")}
    return {key: named[key].size if key in named else size for key, size in found.items()}


def _shown(key: str, prefix: str) -> str:
    """Return the key that a file of an earlier revision had while that revision was the latest."""
    return re.sub(rf"^{re.escape(prefix)}revisions/\d+/", prefix, key)


def _places(keys: Sequence[str], prefix: str) -> dict[str, tuple[str, ...]]:
    """Return each file's path below the directory, by its key, unique on every file system.

    Names are made safe as Dossier's own are: a file that somebody else put into the case's folder cannot lead out of
    the directory, be a Windows device, or replace another file on a case-insensitive file system.
    """
    names = {key: [safe_name(part) for part in _parts(key.removeprefix(prefix))] for key in keys}
    folders = {key: tuple(parts[:-1]) for key, parts in names.items()}
    taken: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        taken.setdefault(_folded(folders[key]), []).append(key)
    places: dict[str, tuple[str, ...]] = {}
    for beside in taken.values():
        last = unique_names(names[key][-1] for key in beside)
        places |= {key: (*folders[key], name) for key, name in zip(beside, last, strict=True)}
    return {key: places[key] for key in keys}


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or {"..", "/"} & set(parts) or "\\" in name or "\0" in name:
        raise CommandError(f'"{clean(name)}" is not a safe file name: rename or delete the object')
    return parts


def _folded(folder: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part.casefold()) for part in folder)


def _download(where: Target, key: str, size: int, directory: Path, parts: Sequence[str], named: Named | None) -> str:
    digest, version = hashlib.sha256(), named.version_id if named else None
    source = where.app.objects.open(key, size, version_id=version)
    with source, created(directory, parts, replaces=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
        if named is not None and digest.hexdigest() != named.sha256:
            raise CommandError(_DAMAGED.format(bucket=where.bucket, key=key))
    return digest.hexdigest()
