"""The end-to-end suite: one deployment, and all of its tests at once.

A case spends nearly all of its time waiting, so the tests do not wait for each other: at the first of them every test
function that takes ``world`` alone begins in a thread of its own, and pytest's turn for it is to wait for its end. A
test that also takes ``calm`` measures, or looks at what all the others left: it runs by itself, after them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from tests.e2e.world import World

RUNNING = pytest.StashKey[dict[str, "Future[None]"]]()


@pytest.fixture(scope="package")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the deployment, with every test that needs nothing else under way."""
    world = World(tmp_path_factory.mktemp("e2e"))
    try:
        world.up()
        running = request.session.stash[RUNNING] = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and _is_concurrent(item):
                running[item.nodeid] = _begin(item, world)
        yield world
    finally:
        if request.session.testsfailed:
            world.keep_logs()
        world.down()


@pytest.fixture
def calm(request: pytest.FixtureRequest, world: World) -> None:
    """Wait until no other test is under way."""
    for future in request.session.stash[RUNNING].values():
        future.exception(timeout=240)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a test that is under way; call any other as usual."""
    future = pyfuncitem.session.stash.get(RUNNING, {}).get(pyfuncitem.nodeid)
    if future is None:
        return None
    future.result(timeout=280)
    return True


def _is_concurrent(item: pytest.Function) -> bool:
    return "calm" not in item.fixturenames and "world" in item.fixturenames


def _begin(item: pytest.Function, world: World) -> Future[None]:
    future: Future[None] = Future()
    given: dict[str, Any] = dict(item.callspec.params) if hasattr(item, "callspec") else {}

    def run() -> None:
        try:
            item.obj(world=world, **given)
        except BaseException as error:  # noqa: BLE001 -- pytest shows it when it is this test's turn
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name=item.name, daemon=True).start()
    return future
