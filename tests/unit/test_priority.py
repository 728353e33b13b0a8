"""Cases of low priority leave turns and slots to the others, and are not starved."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from dossier.errors import ThrottledError
from dossier.settings import Connection, Limits
from dossier.stores.limiter import SHARE, SLOT_EVERY, Limiter
from tests.conftest import Cloud


class Clock:
    """A clock that sleeping moves, and the test."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds

    def refuse(self, seconds: float) -> None:
        """Do not wait.

        Raises:
            ThrottledError: always.

        """
        raise ThrottledError("not now", retry_after=seconds, why="turn")


def account(**limits: float) -> Connection:
    """Return a connection whose account allows so much."""
    return Connection(
        name="invoices", vendor="docustack", base_url="https://x.test", limits=Limits.model_validate(limits)
    )


def taken(limiter: Limiter, connection: Connection, *, low: bool) -> bool:
    """Return whether a request gets its turn at once."""
    try:
        if low:
            limiter.behind().take(connection, patience=0)
        else:
            limiter.take(connection, patience=0)
    except ThrottledError as error:
        assert error.why == "turn"
        return False
    return True


def test_half_of_the_burst_is_left_to_others(cloud: Cloud) -> None:
    """However many low requests there were just now, the next other one does not wait."""
    clock, connection = Clock(), account(requests_per_second=10)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.refuse)
    low = [taken(limiter, connection, low=True) for _ in range(20)]
    assert 5 <= sum(low) <= 7  # half of ten, and its share
    assert [taken(limiter, connection, low=False) for _ in range(3)] == [True] * 3


def test_low_requests_alone_use_the_whole_rate(cloud: Cloud) -> None:
    """A batch by itself is as fast as the account allows."""
    clock, connection = Clock(), account(requests_per_second=10)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    done, began = 0, clock.now
    while clock.now - began < 20:
        if taken(limiter, connection, low=True):
            done += 1
        else:
            clock.sleep(0.05)
    assert done == pytest.approx(200, rel=0.06)


def test_low_requests_get_their_share_beside_any_number_of_others(cloud: Cloud) -> None:
    """A connection that others keep busy lets one low request in ten pass."""
    clock, connection = Clock(), account(requests_per_second=10)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    low, others, began = 0, 0, clock.now
    while clock.now - began < 60:
        limiter.take(connection, patience=1)  # as many as the rate allows
        others += 1
        low += taken(limiter, connection, low=True)
    assert low / (low + others) == pytest.approx(1 / SHARE, abs=0.03)


@pytest.mark.parametrize("rate", [0.2, 1, 3, 1000])
def test_any_rate_leaves_low_requests_their_turns(cloud: Cloud, rate: float) -> None:
    """A slow account without any burst serves them when nobody else wants a turn."""
    clock, connection = Clock(), account(requests_per_second=rate)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    limiter.take(connection, patience=0)
    done, steps = 0, 0
    while done < 5:
        done += taken(limiter, connection, low=True)
        clock.sleep(0.5 / rate)
        steps += 1
    assert steps < 30


def test_the_last_slot_is_left_to_others(cloud: Cloud) -> None:
    """A low transfer takes it only if none of them has for a while; its own slot it always gets back."""
    clock, connection = Clock(), account(concurrency=3)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    with ExitStack() as held:

        def slot(name: str, *, low: bool) -> bool:
            try:
                held.enter_context((limiter.behind() if low else limiter).lease(connection, name, patience=0))
            except ThrottledError as error:
                assert error.why == "slot"
                return False
            return True

        assert [slot(f"low-{number}", low=True) for number in range(4)] == [True, True, True, False]
        assert slot("low-0", low=True)
        clock.sleep(SLOT_EVERY / 2)
        limiter._table.delete("LIMIT#invoices", "LEASE#000")
        assert not slot("low-4", low=True)
        assert slot("by-hand", low=False)
        limiter._table.delete("LIMIT#invoices", "LEASE#000")
        clock.sleep(SLOT_EVERY)
        assert slot("low-5", low=True)


def test_one_slot_is_everybodys(cloud: Cloud) -> None:
    """An account with one slot has none to leave free."""
    clock, connection = Clock(), account(concurrency=1)
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    for number in range(3):
        with limiter.behind().lease(connection, f"low-{number}", patience=0):
            pass


@pytest.mark.parametrize(
    ("message", "group", "expected"),
    [
        ({"connection": "invoices"}, None, "invoices"),
        ({"key": "inbox/claims/a.pdf"}, "claims", "claims"),
        ({"key": "inbox/Straße/a.pdf"}, "Straße", None),
        ({"key": "inbox/x/a.pdf"}, "x" * 129, None),
        ({}, None, None),
    ],
)
def test_a_shared_queue_is_fair_to_each_connection(
    cloud: Cloud, message: dict[str, str], group: str | None, expected: str | None
) -> None:
    """A message names its connection as its group; a name that SQS rejects is left out, and the message is sent."""
    cloud.app.queues.send("wake", message, group=group)
    url = cloud.app.queues.url("wake")
    received = cloud.session.client("sqs").receive_message(QueueUrl=url, AttributeNames=["All"])
    [found] = received["Messages"]
    assert found.get("Attributes", {}).get("MessageGroupId") == expected
