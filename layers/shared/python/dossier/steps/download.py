"""Download: stream artifacts into S3."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING

from dossier import media, replies
from dossier.errors import (
    CaseFailedError,
    ConfigurationError,
    LinkExpiredError,
    RetryableError,
    StrayAnswerError,
    ThrottledError,
    TruncatedDownloadError,
    UnauthorizedError,
    VendorUnavailableError,
)
from dossier.http import Flow, Refusal, Request
from dossier.layout import artifact_key
from dossier.models import CaseId
from dossier.ports import Artifact, Location
from dossier.revisions import answer_digest
from dossier.steps.context import Context, LoadedCase
from dossier.stores.cases import ArtifactRecord

if TYPE_CHECKING:
    from dossier.transport.downloads import Download
from dossier.stores.objects import Objects, Streamed

LINKS = 6
"""Tries for an artifact whose link storage rejects, or that the vendor says is missing, before it counts as failed."""
SAME_LINK, SOON = 4, 60.0
"""Tries of a download with the same link, while they take no longer than these seconds. Storage fails on its own more
often than the vendor does, and another link would be another request at the vendor, which limits them."""


def download_all(case: CaseId, indices: Sequence[int], collection: str = "", *, context: Context) -> None:
    """Download artifacts one after the other; an error of one does not stop the others.

    Raises:
        RetryableError: at least one has to be retried.

    """
    trouble: RetryableError | None = None
    for index in indices:
        try:
            download(case, index, collection, context=context)
        except ThrottledError:
            raise
        except RetryableError as error:
            trouble = error
    if trouble is not None:
        raise trouble


def download(case: CaseId, index: int, collection: str = "", *, context: Context) -> None:
    """Download one artifact, unless it is stored. A repetition overwrites it.

    A permanent error is stored as the artifact's failure.

    Raises:
        LinkExpiredError: storage rejected the signed link (the next try requests a new one).
        TruncatedDownloadError: the bytes did not arrive whole.
        ConfigurationError: the artifact, or all of the case's together, exceed ``limits``.
        UnauthorizedError: the vendor rejected the API key, which is not the artifact's failure.

    """
    loaded = context.load_artifact(case, index, collection)
    artifact = next(iter(loaded.case.collected(collection)), None)
    if artifact is not None and not artifact.settled:  # else another collection has replaced this one, or it is stored
        settle(loaded, artifact)


def settle(loaded: LoadedCase, artifact: ArtifactRecord, *, leased: bool = False) -> None:
    """Download one artifact of a case and store its record, as ``download`` does.

    ``leased`` says that the caller holds a slot of the connection's for it.
    """
    context, collection = loaded.context, loaded.collection
    case = loaded.case.record.id
    try:
        with loaded.telling():
            done = _fetch(loaded, artifact, leased=leased)
    except UnauthorizedError:
        raise
    except CaseFailedError as error:
        done = artifact.model_copy(update={"error": str(error)})
    except (LinkExpiredError, StrayAnswerError) as error:
        if isinstance(error, StrayAnswerError) and not error.worded:
            raise
        done = artifact.model_copy(update={"links": artifact.links + 1})
        if done.links < LINKS:
            context.cases.put_artifact(case, done, collection=collection)
            raise
        done = done.model_copy(update={"error": str(error)})
    context.cases.put_artifact(case, done, collection=collection)
    if done.error:
        return
    size, limits = done.size, loaded.connection.limits
    if size * limits.artifacts <= limits.case_bytes:
        return  # the most artifacts of this size fit into the case; publish counts them
    if context.cases.add_bytes(case, size) > limits.case_bytes:
        room(context.load(case, collection))  # of several simultaneous downloads, the last one sees all


def room(loaded: LoadedCase) -> int:
    """Return how many bytes a case's artifacts may still have; ``loaded`` has all artifacts.

    Raises:
        ConfigurationError: the stored ones have more than ``limits.case_bytes``.

    """
    most = loaded.connection.limits.case_bytes
    stored = sum(each.size for each in loaded.case.collected(loaded.collection) if each.key)
    if stored > most:
        raise ConfigurationError(
            f"the artifacts of the case have {stored} bytes together, more than {most}: "
            "raise limits.case_bytes if that is correct"
        )
    return most - stored


def _left(loaded: LoadedCase) -> int:
    """Return how many bytes the case's artifacts may still have; all of them are only read if the limit is near."""
    record, limits = loaded.case.record, loaded.connection.limits
    left = limits.case_bytes - record.artifact_bytes
    if left >= limits.artifact_bytes:
        return left
    return room(loaded.context.load(record.id, loaded.collection))


def give_up(case: CaseId, indices: Sequence[int], reason: str, collection: str = "", *, context: Context) -> None:
    """Record that artifacts failed after all retries; stored ones stay."""
    stored = context.cases.get(case)
    for artifact in stored.collected(collection):
        if artifact.index in indices and not artifact.settled:
            failed = artifact.model_copy(update={"error": reason})
            context.cases.put_artifact(case, failed, collection=collection)


def _fetch(loaded: LoadedCase, artifact: ArtifactRecord, *, leased: bool) -> ArtifactRecord:
    """Download and store an artifact; return it, or the current revision's if the content is the same."""
    record = loaded.case.record
    key = artifact_key(record.id, artifact.name, loaded.collection)
    former = artifact.former if artifact.former and artifact.former.name == artifact.name else None
    left = _left(loaded)
    wanted = Artifact(artifact.name, artifact.source, artifact.content_type)
    where = loaded.run(loaded.vendor.locate(loaded.view, wanted))
    if where.path is not None:  # an API answer needs no slot: its size and rate are limited
        body = loaded.run(_answer(where, where.path, loaded.vendor.refusal))
        content, digest = answer_digest(body), hashlib.sha256(body).hexdigest()
        if former is not None and former.sha256 == digest:
            return former.model_copy(update={"index": artifact.index, "content": content})
        same = former is not None and _says(former, content, loaded)
        version = loaded.context.objects.write(key, body, artifact.content_type or "application/json")
        stored = {
            "former": former.model_copy(update={"content": content}) if former is not None and same else None,
            "key": key,
            "version_id": version,
            "size": len(body),
            "sha256": digest,
            "content": content,
        }
        return artifact.model_copy(update=stored)
    with nullcontext() if leased else loaded.lease(f"artifact-{artifact.index}"):
        began, tries = time.monotonic(), 0
        while True:
            try:
                return _from_storage(loaded, artifact, former, key, where.url or "", left)
            except (TruncatedDownloadError, VendorUnavailableError):
                tries += 1
                if tries >= SAME_LINK or time.monotonic() - began > SOON:
                    raise


def _from_storage(
    loaded: LoadedCase, artifact: ArtifactRecord, former: ArtifactRecord | None, key: str, url: str, left: int
) -> ArtifactRecord:
    """Download and store an artifact from its link; return it, or the current revision's if the content is the same."""
    etag = former.etag if former is not None and former.listed == artifact.listed else None
    with loaded.context.transport.download(loaded.connection, url, left=left, etag=etag) as incoming:
        if incoming.unchanged and former is not None:
            return former.model_copy(update={"index": artifact.index})
        stored = store(incoming, key, artifact.name, artifact.content_type, objects=loaded.context.objects)
    seen = {"listed": artifact.listed, "etag": incoming.etag, "former": None}
    if former is not None and (former.size, former.sha256) == (stored.size, stored.sha256):
        return former.model_copy(update={"index": artifact.index, **seen})
    done = {"key": key, "version_id": stored.version_id, "size": stored.size, "sha256": stored.sha256}
    return artifact.model_copy(update={**done, **seen})


def store(incoming: Download, key: str, name: str, content_type: str | None, *, objects: Objects) -> Streamed:
    """Write an artifact that is being downloaded to S3.

    Its first bytes, its ``name`` and the given or announced type say which type S3 shows it as.
    """
    head, chunks = _begun(incoming.chunks)
    return objects.stream(key, chunks, media.shown(head, name, content_type or incoming.content_type))


def _says(former: ArtifactRecord, content: str, loaded: LoadedCase) -> bool:
    """Whether the current revision's answer has the same content.

    Former versions of Dossier stored another digest, or none. The latest version of the object is read, which is the
    current revision's until it is replaced: the role may read no other (s3:GetObjectVersion).
    """
    return former.content == content or answer_digest(loaded.context.objects.read(former.key or "") or b"") == content


def _begun(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, enough to detect the type, and all chunks including these."""
    head = b""
    while len(head) < media.HEAD and (chunk := next(chunks, b"")):
        head += chunk
    return head, chain([head], chunks)


def _answer(where: Location, path: str, refusal: Refusal) -> Flow[bytes]:
    """Request an answer of the API and return it byte for byte, once it is known to be JSON about the right thing."""
    request = Request("GET", path, keep=where.keep, refusal=refusal, about=where.about)
    reply = yield request
    replies.read(request, reply)
    return reply.body
