"""Download: streams one artifact into S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain

from dossier import media, replies
from dossier.errors import ConfigurationError
from dossier.http import Flow, Refusal, Request
from dossier.ports import Artifact
from dossier.steps.work import Desk, Job
from dossier.stores.cases import ArtifactRecord
from dossier.stores.objects import folder


def download(connection: str, reference: str, index: int, *, desk: Desk) -> None:
    """Fetch one artifact, unless it is there; done again it overwrites itself.

    Raises:
        LinkExpiredError: the signed link was refused (the next try asks for a new one).
        TruncatedDownloadError: the bytes did not arrive whole.
        ConfigurationError: the artifact is larger than ``limits`` allow, or all of the case's together are.

    """
    job = desk.load_artifact(connection, reference, index)
    (artifact,) = job.case.artifacts
    if artifact.key:
        return
    key = f"{folder(connection, reference)}artifacts/{artifact.name}"
    with job.lease(f"artifact-{index}"), job.telling():
        size, sha256 = _fetch(job, artifact, key)
    done = artifact.model_copy(update={"key": key, "size": size, "sha256": sha256})
    desk.cases.put_artifact(connection, reference, done)
    limits = job.connection.limits
    if size * limits.artifacts <= limits.case_bytes:
        return  # so many of these are no more than a case may have: publish counts them
    if desk.cases.add_bytes(connection, reference, size) > limits.case_bytes:
        room(desk.load(connection, reference))  # others came at the same time: the last of them sees all


def room(job: Job) -> int:
    """Return how many bytes the artifacts of a case, which is loaded with all of them, may still have.

    Raises:
        ConfigurationError: those that are stored have more than ``limits.case_bytes``.

    """
    most, stored = job.connection.limits.case_bytes, sum(each.size for each in job.case.artifacts if each.key)
    if stored > most:
        raise ConfigurationError(
            f"the artifacts of the case have {stored} bytes together, more than {most}: "
            "raise limits.case_bytes if it is right"
        )
    return most - stored


def _left(job: Job) -> int:
    """Return how many bytes the case's artifacts may still have; all of them are only read where it may matter."""
    record, limits = job.case.record, job.connection.limits
    left = limits.case_bytes - record.artifact_bytes
    if left >= limits.artifact_bytes:
        return left
    return room(job.desk.load(record.connection, record.reference))


def _fetch(job: Job, artifact: ArtifactRecord, key: str) -> tuple[int, str]:
    left = _left(job)
    wanted = Artifact(artifact.name, artifact.source, artifact.content_type)
    where = job.run(job.vendor.locate(job.view, wanted))
    if where.path is not None:
        body = job.run(_answer(where.path, where.keep, job.vendor.refusal))
        job.desk.objects.write(key, body, artifact.content_type or "application/json")
        return len(body), hashlib.sha256(body).hexdigest()
    with job.desk.transport.download(job.connection, where.url or "", left=left) as incoming:
        head, chunks = _begun(incoming.chunks)
        kind = media.shown(head, artifact.name, artifact.content_type or incoming.content_type)
        return job.desk.objects.stream(key, chunks, kind)


def _begun(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, enough to tell what it is, and all chunks with these."""
    head = b""
    while len(head) < media.HEAD and (chunk := next(chunks, b"")):
        head += chunk
    return head, chain([head], chunks)


def _answer(path: str, keep: str | None, refusal: Refusal) -> Flow[bytes]:
    """Fetch an answer of the API as it is, once it is known to be JSON."""
    request = Request("GET", path, keep=keep, refusal=refusal)
    reply = yield request
    replies.read(request, reply)
    return reply.body
