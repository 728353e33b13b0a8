"""One deployment and one browser for all tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.scene import CHROMIUM, MISSING, Scene, opened

expect.set_options(timeout=60_000)  # how slow a machine is proves nothing


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Yield the deployment with its console and a browser."""
    if not CHROMIUM:
        pytest.skip(MISSING)
    with opened(tmp_path_factory.mktemp("browser") / "home") as scene:
        yield scene


@pytest.fixture
def page(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a page of a browser that has opened the console.

    By the end, nothing of others has run in it, and it has sent the actions with which its test is marked.
    """
    scene.acted.clear()
    context = scene.context(viewport={"width": 1280, "height": 900})
    try:
        yield context.new_page()
    finally:
        context.close()
    assert scene.dialogs == []
    assert {each for mark in request.node.iter_markers("acts") for each in mark.args} <= scene.acted
