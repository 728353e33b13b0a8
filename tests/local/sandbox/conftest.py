"""One running sandbox for all tests of this folder, reset before each of them."""

from collections.abc import Callable, Iterator

import pytest

from tests.local.sandbox.sandboxes import LiveSandbox, Receiver


@pytest.fixture(scope="session")
def _live() -> Iterator[LiveSandbox]:
    with LiveSandbox() as live:
        yield live


@pytest.fixture
def sandbox(_live: LiveSandbox) -> LiveSandbox:
    """Return the sandbox as it starts, but quick: documents are ready at once and nothing is limited."""
    _live.start_over()
    return _live


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    """Return a maker of webhook endpoints that answer with the given statuses, then with 200."""
    receivers: list[Receiver] = []

    def make(*statuses: int) -> Receiver:
        receivers.append(Receiver(*statuses))
        return receivers[-1]

    yield make
    for each in receivers:
        each.close()
