"""Collect downloads a case's few artifacts itself; what it leaves, the map downloads with its retries."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from dossier.errors import ConfigurationError, PausedError, VendorUnavailableError
from dossier.models import CaseId
from dossier.steps import collect as collect_step
from dossier.steps.accept import accept
from dossier.steps.collect import HERE, collect
from dossier.steps.download import download_all
from dossier.steps.upload import upload
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.steps.updates import resumed


def uploaded(cloud: Cloud, connection: str, count: int = 1) -> tuple[World, CaseId]:
    """Return a world with a case whose documents the vendor has finished, and that is to be collected."""
    world, case = World(cloud), CaseId(connection, "R-1")
    body = samples("invoice.pdf")["invoice.pdf"]
    uris = [cloud.put(f"staging/{connection}/{each}.pdf", body + bytes(each)) for each in range(count)]
    accepted = accept({**case._asdict(), "documents": [{"uri": uri} for uri in uris]}, "arn:1", context=world.context)
    for batch in accepted.uploads:
        upload(case, batch, context=world.context)
    return world, case


@pytest.mark.parametrize("connection", ["invoices", "claims"])
def test_few_artifacts_need_no_map(cloud: Cloud, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in S3, with their records, when Collect has ended; another try downloads nothing again."""
    monkeypatch.setattr(collect_step, "EARLY", 600.0)  # however busy the machine is
    world, case = uploaded(cloud, connection)
    assert collect(case, context=world.context).artifacts == []
    stored = world.context.cases.get(case).artifacts
    assert stored
    assert all(each.key and cloud.app.objects.read(each.key) for each in stored)
    asked = Counter(str(each["operation"]) for each in world.journal())
    assert collect(case, context=world.context).artifacts == []
    again = Counter(str(each["operation"]) for each in world.journal()) - asked
    assert set(again) <= {"list", "files"}
    assert world.context.cases.get(case).artifacts == stored


def test_many_artifacts_are_left_to_the_map(cloud: Cloud) -> None:
    """They are downloaded side by side."""
    world, case = uploaded(cloud, "invoices", HERE + 1)
    assert collect(case, context=world.context).artifacts == [[0, 1], [2, 3]]
    assert not any(each.settled for each in world.context.cases.get(case).artifacts)


def test_slow_artifacts_are_left_to_the_map(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may be a large file: what is left is not downloaded one after the other."""
    monkeypatch.setattr(collect_step, "EARLY", -1.0)
    world, case = uploaded(cloud, "claims")
    parts = collect(case, context=world.context).artifacts
    assert [index for part in parts for index in part] == [0, 1, 2]


def test_nothing_is_downloaded_here_after_a_slow_list(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file after it would not end within the function's time, in none of its tries."""
    world, case = uploaded(cloud, "claims")
    at = [0.0]
    monkeypatch.setattr(collect_step, "time", SimpleNamespace(monotonic=lambda: at[0]))
    world.sandbox.event_hooks["response"].append(lambda _: at.__setitem__(0, at[0] + 60))
    parts = collect(case, context=world.context).artifacts
    assert [index for part in parts for index in part] == [0, 1, 2]


@pytest.mark.parametrize("connection", ["invoices", "claims", "disputes"])
def test_a_redriven_case_is_collected_anew(cloud: Cloud, connection: str) -> None:
    """Its first attempt had downloaded everything, and published nothing: by now the vendor may have other results."""
    world, case = World(cloud), CaseId(connection, "R-1")

    def broken() -> None:
        raise ConfigurationError("a setting is wrong")

    world.before_publish = broken
    assert world.submit(*case, samples("invoice.pdf"))["status"] == "failed"
    before = world.context.cases.get(case).artifacts
    assert all(each.key for each in before)
    fetched = {"document", "download", "evidence"}
    first = Counter(each["operation"] for each in world.journal() if each["operation"] in fetched)
    world.before_publish = None
    assert resumed(world, *case)["status"] == "completed"
    again = Counter(each["operation"] for each in world.journal() if each["operation"] in fetched) - first
    assert again["document" if connection == "invoices" else "download" if connection == "claims" else "evidence"]
    after = world.context.cases.get(case).artifacts
    assert {each.name for each in after} == {each.name for each in before}
    assert all(each.version_id != old.version_id for each, old in zip(after, before, strict=True))


def test_a_redriven_collection_that_dies_at_its_beginning_keeps_nothing_of_the_first(cloud: Cloud) -> None:
    """Files that the vendor no longer lists are not in the result of the next attempt either."""
    world, case = uploaded(cloud, "claims")
    collect(case, context=world.context)
    assert world.context.cases.get(case).artifacts
    cloud.app.table.update(f"CASE#{case.connection}#{case.reference}", "CASE", {"attempt": 2})
    fault = {"name": "error_before", "rate": 1, "operation": "list"}
    world.sandbox.post("/_sandbox/settings", json={"faults": [fault]}).raise_for_status()
    with pytest.raises(VendorUnavailableError):
        collect(case, context=world.context)
    assert world.context.cases.get(case).artifacts == ()


@pytest.mark.parametrize("connection", ["invoices", "claims"])
def test_what_fails_is_left_to_the_map_with_all_its_retries(cloud: Cloud, connection: str) -> None:
    """Trouble of the vendor or its storage neither fails Collect nor the artifact."""
    world, case = uploaded(cloud, connection)
    operation = {"invoices": "document", "claims": "artifact_url"}[connection]
    fault = {"name": "error_before", "rate": 1, "operation": operation}
    world.sandbox.post("/_sandbox/settings", json={"faults": [fault]}).raise_for_status()
    parts = collect(case, context=world.context).artifacts
    assert parts
    assert not any(each.settled for each in world.context.cases.get(case).artifacts)
    world.sandbox.post("/_sandbox/settings", json={"faults": []}).raise_for_status()
    for part in parts:
        download_all(case, part, context=world.context)
    assert all(each.key for each in world.context.cases.get(case).artifacts)
    assert world.context.cases.record(case).trouble is None


def test_a_pause_stops_the_map_and_not_collect(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that waits for its end is the one that still has something to ask."""
    world, case = uploaded(cloud, "invoices")

    def paused(*_: object, **__: object) -> None:
        raise PausedError("an operator has paused the connection")

    monkeypatch.setattr(collect_step, "settle", paused)
    assert collect(case, context=world.context).artifacts == [[0]]


def test_an_interrupted_listing_of_an_earlier_attempt_is_not_continued(cloud: Cloud) -> None:
    """What an attempt has read before it failed is older than what the next one has to collect."""
    world, case = uploaded(cloud, "claims")
    fault = {"name": "error_before", "rate": 1, "operation": "files"}
    world.sandbox.post("/_sandbox/settings", json={"faults": [fault]}).raise_for_status()
    for attempt, listed in ((1, 1), (1, 0), (2, 1)):
        cloud.app.table.update(f"CASE#{case.connection}#{case.reference}", "CASE", {"attempt": attempt})
        before = len(world.journal())
        with pytest.raises(VendorUnavailableError):
            collect(case, context=world.context)
        operations = Counter(str(each["operation"]) for each in world.journal()[before:])
        assert (operations["list"], operations["files"]) == (listed, 1)
