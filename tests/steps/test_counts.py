"""How many of everything: a vendor's lists are bounded by a setting, and the largest case fits into a state."""

from __future__ import annotations

import pytest

from dossier.models import CaseInput
from dossier.settings import MOST_ARTIFACTS, Limits
from dossier.steps.accept import Accepted
from dossier.steps.collect import ITERATIONS, Collected, chunks
from tests.conftest import Cloud
from tests.machine import World, samples

STATE_BYTES = 256 * 1024
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: input or result of a task or execution."""
FILES = {"invoices": ("invoice.pdf", "scan.tiff"), "claims": ("invoice.pdf", "photo.jpg"), "disputes": ("invoice.pdf",)}


@pytest.mark.parametrize("connection", FILES)
def test_a_case_with_more_files_than_allowed_fails_before_the_first(cloud: Cloud, connection: str) -> None:
    """The reason is one line that names the setting; raised, the same case has all of its files."""
    world, files = World(cloud), samples(*FILES[connection])
    allowed = world.connections[connection]
    few = allowed.limits.model_copy(update={"artifacts": 1})
    world.connections[connection] = allowed.model_copy(update={"limits": few})
    result = world.submit(connection, "R-1", files)
    assert result["status"] == "failed"
    assert "files for the case, more than 1: raise limits.artifacts if it is right" in result["reason"]
    assert "\n" not in result["reason"]
    assert result["artifacts"] == []
    assert world.desk.cases.get(connection, "R-1").artifacts == ()
    world.connections[connection] = allowed
    assert len(world.submit(connection, "R-2", files)["artifacts"]) > 1


def test_the_largest_case_fits_into_a_state() -> None:
    """What Accept and Collect hand to the state machine is numbers alone: far below 256 KiB for the largest case."""
    most = next(each.max_length for each in CaseInput.model_fields["documents"].metadata if hasattr(each, "max_length"))
    accepted = Accepted(
        connection="c" * 32,
        reference="r" * 100,
        outcome="new",
        execution_arn="a" * 300,
        opens=True,
        phases=["documents", "results"],
        uploads=list(range(most)),
        at_once=100,
        deadline=30 * 86400,
    )
    collected = Collected(artifacts=chunks(MOST_ARTIFACTS), at_once=100)
    assert len(accepted.model_dump_json()) < STATE_BYTES / 4
    assert len(collected.model_dump_json()) < STATE_BYTES / 4
    assert Limits(artifacts=MOST_ARTIFACTS).artifacts == MOST_ARTIFACTS
    with pytest.raises(ValueError, match="less than or equal to 10000"):
        Limits(artifacts=MOST_ARTIFACTS + 1)


@pytest.mark.parametrize("count", [0, 1, ITERATIONS, ITERATIONS + 1, 3 * ITERATIONS - 1, MOST_ARTIFACTS])
def test_every_artifact_is_in_one_chunk(count: int) -> None:
    """Whatever the number, each is downloaded once, in so few iterations that the execution's history has room."""
    parts = chunks(count)
    assert [index for part in parts for index in part] == list(range(count))
    assert len(parts) <= ITERATIONS
    assert all(parts)
