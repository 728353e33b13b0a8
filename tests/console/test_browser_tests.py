"""No page and no action of the console is without a test in a browser."""

from __future__ import annotations

import re

from console.app import PAGES
from tests.browser.actions import marked, wanted
from tests.browser.scene import NOT_SHOWN, SCREENS
from tests.machine import ROOT


def test_every_action_is_done_in_a_browser() -> None:
    """A new action, or a new choice of one, needs a test that sends it; a mark of what is gone goes too."""
    assert set(marked(ROOT / "tests" / "browser")) == wanted()


def test_every_page_is_looked_at_in_a_browser() -> None:
    """There axe looks at each screen, and each page is a screen; files and parts of pages are none."""
    shown = {page_of(screen.path.partition("?")[0]) for screen in SCREENS.values()}
    assert shown - {None} == set(PAGES) - set(NOT_SHOWN)


def page_of(path: str) -> str | None:
    """Return the route that answers a path: the first that fits."""
    return next((page for page in PAGES if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", page), path)), None)
