"""Alarms on the deployed stage: the test creates the state behind each finding, and its alarm's state changes.

What would take minutes or hours is written into the stored records. The local AWS publishes no metrics of its services,
so alarms on these are not raised here; ``tests/infra/test_alarms.py`` compares them with the functions, queues and
machines that they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from dossier.models import iso, now
from dossier.steps.explain import TURNS, UNATTENDED
from dossier.steps.reconcile import FAILING, FORGOTTEN
from dossier.stores.limiter import TRIP
from tests.e2e.otherservers import NEVER
from tests.e2e.world import World, until

CONNECTION = "aside"


def test_each_finding_raises_its_alarm(world: World, calm: None) -> None:
    """One after the other: the metric has a value, and the alarm, or the one that combines it, is raised."""
    reference, done = world.name("kept-waiting"), world.name("done")
    world.vendors.plan(reference, seconds=NEVER)
    world.complete(CONNECTION, done, world.file(f"{done}.pdf"))
    world.submit(CONNECTION, reference, world.file(f"{reference}.pdf"))
    until(lambda: world.waits(CONNECTION, reference) or None, what=f"{reference} does not wait")
    case, limit = f"CASE#{CONNECTION}#{reference}", f"LIMIT#{CONNECTION}"

    raised(world, "LongestWaitPercent", lambda: late(world, case))
    assert state(world, "LongWaits") == "ALARM"
    failing = {"failures": {"N": str(TRIP)}, "failing_since": {"N": millis(now() - 2 * FAILING)}}
    raised(world, "VendorsFailing", lambda: change(world, limit, "LIMIT", failing))
    assert state(world, "LongWaits") == "OK"  # the vendor that fails explains it
    raised(world, "KeysRefused", lambda: change(world, case, "WAIT", {"refused_at": text(now())}))
    with without(world, case, "WAIT"):
        since = {"updated_at": text(now() - 3 * UNATTENDED), "unattended_at": text(now() - 2 * UNATTENDED)}
        raised(world, "CasesUnattended", lambda: change(world, case, "CASE", since))
        lost = {"status": {"S": "downloading"}, "updated_at": text(now() - 2 * TURNS)}
        raised(world, "CasesUnexplained", lambda: change(world, case, "CASE", lost))
        change(world, case, "CASE", {"status": {"S": "waiting"}, "updated_at": text(now())})
    with hidden(world, f"cases/{CONNECTION}/{done}/artifacts/"):
        raised(world, "ArtifactsMissing", lambda: None)
    world.dossier("pause", CONNECTION, "--reason", "a test")
    raised(
        world,
        "ConnectionsPaused",
        lambda: change(world, limit, "LIMIT", {"held_since": text(now() - 2 * FORGOTTEN)}),
    )
    world.dossier("resume", CONNECTION)
    world.dossier("cancel", reference)


def raised(world: World, metric: str, happens: Callable[[], None]) -> None:
    """Let something happen, run the check, and wait for the alarm; a poll may undo it before the check runs."""

    def look() -> bool | None:
        happens()
        world.client("lambda").invoke(FunctionName="dossier-dev-reconcile")
        return state(world, metric) == "ALARM" or None

    assert state(world, metric) != "ALARM", f"{metric} is raised already"
    until(look, what=f"{metric} is not raised")


def state(world: World, name: str) -> str:
    """Return an alarm's state, by its metric or by its id."""
    pages = world.client("cloudwatch").get_paginator("describe_alarms")
    for page in pages.paginate(AlarmTypes=["CompositeAlarm", "MetricAlarm"]):
        for each in (*page["MetricAlarms"], *page["CompositeAlarms"]):
            if each.get("MetricName") == name or (name in each["AlarmName"] and "AlarmRule" in each):
                return str(each["StateValue"])
    raise AssertionError(f"there is no alarm {name}")


def late(world: World, case: str) -> None:
    """Let a case have waited for nearly all of its deadline."""
    times = {"started_at": text(now() - timedelta(hours=2)), "deadline": text(now() + timedelta(minutes=5))}
    change(world, case, "WAIT", times)


def change(world: World, pk: str, sk: str, values: dict[str, dict[str, str]]) -> None:
    """Set attributes of an item."""
    names = {f"#{number}": name for number, name in enumerate(values)}
    world.client("dynamodb").update_item(
        TableName=world.outputs["table"],
        Key={"pk": {"S": pk}, "sk": {"S": sk}},
        UpdateExpression="SET " + ", ".join(f"{place} = :{place[1:]}" for place in names),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={f":{number}": value for number, value in enumerate(values.values())},
    )


@contextmanager
def without(world: World, pk: str, sk: str) -> Iterator[None]:
    """Take an item out of the table for a while."""
    item = world.items(pk)[sk]
    table: Any = {"TableName": world.outputs["table"]}
    world.client("dynamodb").delete_item(**table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    try:
        yield
    finally:
        world.client("dynamodb").put_item(**table, Item=item)


@contextmanager
def hidden(world: World, prefix: str) -> Iterator[None]:
    """Delete an object for a while: the bucket is versioned, so that it comes back without its delete marker."""
    s3, bucket, key = world.client("s3"), world.outputs["bucket"], world.keys(prefix)[0]
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    try:
        yield
    finally:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)


def text(moment: datetime) -> dict[str, str]:
    """Return a time as the table has it."""
    return {"S": iso(moment)}


def millis(moment: datetime) -> str:
    """Return a time in milliseconds, as the limiter has it."""
    return str(int(1000 * moment.timestamp()))
