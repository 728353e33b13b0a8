"""``dossier fetch``: brings a case's results to a folder, each file checked against the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.text import clean, counted
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
    for key in wanted:
        path = _inside(directory, key.removeprefix(prefix))
        digest = _download(where, key, listed[key], path, sums.get(key))
        files.append({"path": str(path), "key": key, "size": listed[key], "sha256": digest, "verified": key in sums})
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


def _inside(directory: Path, name: str) -> Path:
    """Return where a file goes; never outside of the directory, whatever it is called and whatever links lead out."""
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or {"..", "/"} & set(parts) or "\\" in name or "\0" in name:
        raise CommandError(f'"{clean(name)}" is no file name: it is not fetched')
    path = directory.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(directory.resolve()):
        raise CommandError(f"{path} leads out of {directory}: remove the link that is in the way")
    return path


def _download(where: Target, key: str, size: int, path: Path, sha256: str | None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part"[-255:])
    digest = hashlib.sha256()
    try:
        with where.app.objects.open(key, size) as source, part.open("wb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise CommandError(f"s3://{where.bucket}/{key} is not what the case's manifest says: its sha256 differs")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()
