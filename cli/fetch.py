"""``dossier fetch``: brings a case's results to a folder, each file checked against the manifest."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import BadUsageError, CommandError
from cli.files import created
from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.text import clean, counted
from dossier.names import safe_name, unique_names
from dossier.stores.objects import folder

CHUNK = 1 << 20


def fetch(
    out: Output, where: Target, reference: str, directory: Path, *, connection: str | None, documents: bool
) -> None:
    """Download everything in a case's S3 folder, the submitted documents only if wanted.

    Raises:
        CommandError: there are no results yet, or a file is missing or damaged.
        BadUsageError: the directory cannot be one.

    """
    if directory.exists() and not directory.is_dir():
        raise BadUsageError(f"{directory} is not a folder")
    record = find(where, reference, connection).record
    prefix = folder(record.connection, record.reference)
    if not record.status.final:
        raise CommandError(f"case {reference} has no results yet: it is {record.status.value}")
    sums = _manifest(where, prefix)
    listed = dict(where.app.objects.list(prefix))
    wanted = [key for key in listed if documents or not key.startswith(f"{prefix}documents/")]
    lost = [key for key in sums if key not in listed and (documents or not key.startswith(f"{prefix}documents/"))]
    if lost:
        raise CommandError(f"s3://{where.bucket}/{lost[0]} is in the case's manifest, but not in the bucket any more")
    files = []
    for key, parts in _places(wanted, prefix).items():
        digest = _download(where, key, listed[key], directory, parts, sums.get(key))
        path = str(directory.joinpath(*parts))
        files.append({"path": path, "key": key, "size": listed[key], "sha256": digest, "verified": key in sums})
    out.document({"connection": record.connection, "reference": reference, "directory": str(directory), "files": files})
    for file in files:
        out.line(str(file["path"]))
    out.progress(f"fetched {counted(len(files), 'file')} of case {reference} ({record.status.value})")


def _manifest(where: Target, prefix: str) -> dict[str, str]:
    """Return the sha256 of each file, by key."""
    body = where.app.objects.read(f"{prefix}manifest.json")
    if body is None:
        raise CommandError(f"there is no s3://{where.bucket}/{prefix}manifest.json: the case's results were removed")
    files: list[dict[str, Any]] = json.loads(body)["files"]
    return {file["key"]: file["sha256"] for file in files}


def _places(keys: Sequence[str], prefix: str) -> dict[str, tuple[str, ...]]:
    """Return where each file goes below the directory, by its key: one place for each on every file system.

    A name is made safe as those are that Dossier stores: what somebody else put into the case's folder cannot lead out
    of the directory, be a device of Windows, or take another file's place where letters' case makes no difference.
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
        raise CommandError(f'"{clean(name)}" is no file name: it is not fetched')
    return parts


def _folded(folder: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part.casefold()) for part in folder)


def _download(where: Target, key: str, size: int, directory: Path, parts: Sequence[str], sha256: str | None) -> str:
    digest = hashlib.sha256()
    with where.app.objects.open(key, size) as source, created(directory, parts, replaces=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise CommandError(f"s3://{where.bucket}/{key} is not what the case's manifest says: its sha256 differs")
    return digest.hexdigest()
