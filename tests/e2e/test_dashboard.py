"""The dashboard on the deployed stage, and its queries against the logs that the functions have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.e2e.world import World
from tests.queries import Query, queries, value_of

STACK = "dossier-dev"
RARE = {"overview.delivery_to_result_ms"}
"""Only there if a case ended within the hour after a delivery: ``tests/steps/test_reconcile.py``."""


def test_every_query_finds_its_fields(world: World) -> None:
    """Each field that a query reads is in the lines that it picks, with a number where it adds up."""
    world.complete("intake", world.name("shown"), world.file("shown.pdf"))
    world.client("lambda").invoke(FunctionName=f"{STACK}-reconcile")
    body = world.client("cloudwatch").get_dashboard(DashboardName=STACK)["DashboardBody"]
    found = list(queries(body))
    assert len(found) > 10
    lines = {group: list(logged(world, group)) for group in {each for one in found for each in one.groups}}
    for each in found:
        missing = unseen(each, [line for group in each.groups for line in lines[group] if each.picks(line)])
        assert not missing - RARE, each.title


def logged(world: World, group: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of JSON in a log group."""
    pages = world.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    for message in (event["message"] for page in pages for event in page["events"]):
        try:
            line = json.loads(message)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def unseen(query: Query, lines: list[dict[str, Any]]) -> set[str]:
    """Return the query's fields that are in none of the lines that it picks, if it picks any."""
    quiet = query.wanted.get("connection") is not None or "webhook" in query.title.lower()
    if quiet and not lines:  # nothing was sent to that account yet
        return set()
    return {name for name in query.fields if all(value_of(line, name) is None for line in lines)}
