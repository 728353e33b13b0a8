"""The leftovers of all other tests, at the vendors and in AWS."""

from __future__ import annotations

from collections import Counter
from functools import partial

from tests.e2e.world import World, until


def test_every_request_follows_the_vendors_guide(world: World, calm: None) -> None:
    """No request to a vendor differed from its guide, and storage never got a key."""
    assert world.vendors.complaints == []
    assert world.vendors.fetched


def test_no_document_arrived_twice(world: World, calm: None) -> None:
    """Over all cases, no account was ever given the same bytes twice."""
    for account in world.vendors.accounts:
        arrived = Counter(each["sha256"] for each in world.vendors.effects("document_uploaded", account))
        assert set(arrived.values()) <= {1}, account


def is_idle(world: World, queue: str) -> bool:
    """Whether no message of a queue is ready or being worked on; one that is delayed may be stale by then."""
    found = world.messages(queue)
    return found["ready"] == found["worked_on"] == 0


def test_no_waits_or_messages_remain(world: World, calm: None) -> None:
    """No wait, question, message or dead letter is left, and no doubt except about a case that was given up."""
    keys = world.keys_of_items()
    assert [each for each in keys if each[1].partition("#")[0] in {"WAIT", "ASK"}] == []
    in_doubt = [(pk.partition("#")[2], sk.partition("#")[0]) for pk, sk in keys if pk.startswith("INTENTS#")]
    assert [world.status(*names)["error"] for names in in_doubt] == ["GivenUpError"] * len(in_doubt)
    queues = ["wake", "drop", *(f"poll-{name}" for name in world.vendors.accounts)]
    for queue in queues:
        until(partial(is_idle, world, queue), what=f"{queue} is busy")
        assert sum(world.messages(f"{queue}-dlq").values()) == 0, queue
