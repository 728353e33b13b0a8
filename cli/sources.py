"""The documents of a submission: files of this machine, objects in S3, URLs that the vendor reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event

from cli.errors import BadUsageError, denied
from cli.target import Target
from dossier import media
from dossier.errors import InvalidCaseError
from dossier.models import AS_S3, BY_REFERENCE, OptionValue
from dossier.pages import PageCounter
from dossier.steps.accept import name_of
from dossier.stores.objects import Facts, split_uri

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file to submit: its name for the vendor, its size in bytes and sha256 in hex."""

    path: Path
    name: str
    size: int
    sha256: str
    uri: str = ""
    """Its address if it is not on this machine: ``https://`` or ``s3://``."""
    facts: Facts | None = None
    """Size, hash and first bytes; without a hash if it is too large; None if it was not read."""
    problem: str = ""
    """The reason why it cannot be read."""

    @property
    def content(self) -> str:
        """Its digest, or its address if it was not read: equal for equal content."""
        return self.sha256 or self.uri or str(self.path)


def referred(
    where: Target, uri: str, options: Mapping[str, OptionValue], most: int | None, *, version_id: str | None = None
) -> Source:
    """Return a document by its URI; read the content of an S3 object that Dossier will copy."""
    scheme, _, rest = uri.partition("://")
    uri = f"{scheme.lower()}://{rest}"
    if scheme.lower() != "s3":
        return Source(Path(), name_of(uri), 0, "", uri)
    try:
        name = PurePosixPath(split_uri(uri)[1]).name
    except InvalidCaseError as error:
        raise BadUsageError(str(error)) from None
    if options.get(BY_REFERENCE) == AS_S3:
        return Source(Path(), name, 0, "", uri)
    try:
        facts = where.app.objects.inspect(uri, version_id=version_id, most=most)
    except InvalidCaseError as error:
        missing = denied(error)  # the user's own permission, which no setting of the deployment grants
        problem = f"document {uri} cannot be read: {missing.line}" if missing else str(error)
        return Source(Path(), name, 0, "", uri, problem=problem)
    return Source(Path(), name, facts.size, facts.sha256, uri, facts)


def read_file(path: Path, most: int | None) -> Source:
    """Read a file once, unless it is larger than its vendor accepts."""
    name = path.name.encode("utf-8", "replace").decode()  # a name may hold bytes that are not text
    size = path.stat().st_size
    if most is not None and size > most:
        return Source(path=path, name=name, size=size, sha256="", facts=Facts(size, "", b"", ""))
    digest, size, head, tail, pages = hashlib.sha256(), 0, b"", b"", PageCounter()
    for chunk in chunks(path):
        digest.update(chunk)
        pages.feed(chunk)
        size += len(chunk)
        head = (head + chunk)[: media.HEAD] if len(head) < media.HEAD else head
        tail = (tail + chunk)[-media.TAIL :]
    facts = Facts(size, digest.hexdigest(), head, "", tail=tail, pages=pages.pages)
    return Source(path=path, name=name, size=size, sha256=facts.sha256, facts=facts)


def chunks(path: Path, stop: Event | None = None) -> Iterator[bytes]:
    """Yield the content of a file, until ``stop`` is set."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            yield chunk
