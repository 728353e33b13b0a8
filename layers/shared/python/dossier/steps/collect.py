"""Collect: lists what the vendor has to be fetched."""

from __future__ import annotations

from pydantic import BaseModel

from dossier.errors import ConfigurationError
from dossier.models import CaseStatus
from dossier.names import unique_names
from dossier.steps.work import Desk
from dossier.stores.cases import ArtifactRecord

ITERATIONS = 200
"""Iterations of the Download map at most: an execution's history ends at 25,000 events."""
TOGETHER = 2
"""Artifacts of an iteration at least: each iteration is a state transition, which costs more than a download does."""


class Collected(BaseModel):
    """The artifacts to download, in chunks of indices: one for each iteration of the map."""

    artifacts: list[list[int]]
    at_once: int


def collect(connection: str, reference: str, *, desk: Desk) -> Collected:
    """List the case's artifacts and give each a safe, unique name.

    Raises:
        ConfigurationError: there are more than ``limits.artifacts``; nothing is written down.

    """
    job = desk.load(connection, reference)
    if job.case.record.trouble is None or job.case.record.status is not CaseStatus.DOWNLOADING:
        desk.cases.change(connection, reference, status=CaseStatus.DOWNLOADING, note=None)
    with job.telling():
        listed = job.look_up("artifacts", job.vendor.artifacts(job.view))
    most = job.connection.limits.artifacts
    if len(listed) > most:
        raise ConfigurationError(
            f"the vendor lists {len(listed)} files for the case, more than {most}: "
            "raise limits.artifacts if it is right"
        )
    known = {artifact.index: artifact for artifact in job.case.artifacts}
    for index, (artifact, name) in enumerate(zip(listed, unique_names(each.name for each in listed), strict=True)):
        old = known.pop(index, None)
        if old and (old.source, old.name) == (artifact.source, name):
            continue
        record = ArtifactRecord(index=index, name=name, source=artifact.source, content_type=artifact.content_type)
        desk.cases.put_artifact(connection, reference, record)
    desk.cases.drop_artifacts(connection, reference, known)
    return Collected(artifacts=chunks(len(listed)), at_once=job.connection.limits.concurrency)


def chunks(count: int) -> list[list[int]]:
    """Return the numbers of so many artifacts in at most ``ITERATIONS`` lists."""
    step = max(TOGETHER, -(-count // ITERATIONS))
    return [list(range(start, min(start + step, count))) for start in range(0, count, step)]
