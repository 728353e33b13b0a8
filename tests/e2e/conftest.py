"""The end-to-end suite: one deployment, and all of its tests at once.

A case spends nearly all of its time waiting, so the tests do not wait for each other: from the first of them on the
test functions that take ``world`` alone run in threads, some at once, and pytest's turn for one is to wait for its end.
A test that also takes ``calm`` measures, or looks at what all the others left: it runs by itself, after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World

RUNNING = pytest.StashKey[dict[str, "Future[None]"]]()
AT_ONCE = 24
"""Tests at once: enough to keep two cores busy, and so few that each gets on."""
LONGEST = 1500.0
"""Seconds after which a test hangs, the wait for its turn and the deployment included."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the first of the tests wait for the deployment, and others for their turn."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture(scope="package")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the deployment, with every test that needs nothing else under way."""
    world = World(tmp_path_factory.mktemp("e2e"))
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        world.up()
        running = request.session.stash[RUNNING] = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and _is_concurrent(item):
                given: dict[str, Any] = dict(item.callspec.params) if hasattr(item, "callspec") else {}
                running[item.nodeid] = pool.submit(item.obj, world=world, **given)
        yield world
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if request.session.testsfailed:
            world.keep_logs()
        world.down()


@pytest.fixture
def calm(request: pytest.FixtureRequest, world: World) -> None:
    """Wait until no other test is under way."""
    for future in request.session.stash[RUNNING].values():
        future.exception(timeout=LONGEST)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a test that is under way; call any other as usual."""
    future = pyfuncitem.session.stash.get(RUNNING, {}).get(pyfuncitem.nodeid)
    if future is None:
        return None
    future.result(timeout=LONGEST)
    return True


def _is_concurrent(item: pytest.Function) -> bool:
    return "calm" not in item.fixturenames and "world" in item.fixturenames
