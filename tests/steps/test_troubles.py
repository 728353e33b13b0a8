"""The trouble of a case is shown while it lasts, stored once, and removed when the case continues."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from dossier.errors import LinkExpiredError, RetryableError
from dossier.models import CaseId
from dossier.settings import Poll
from dossier.steps.context import SOON
from dossier.steps.upload import upload
from dossier.stores.limiter import LONGEST_COOL_DOWN, SLOW, TRIP, Limiter
from dossier.stores.table import Table
from dossier.stores.waits import MOST_EXTENDED
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.room import CASE, Room
from tests.steps.lost import Lost

NEXT = r"\. Next attempt \d\d:\d\d:\d\d UTC"


def throttled(_: str) -> httpx.Response:
    """Ask for a pause."""
    return httpx.Response(429, headers={"retry-after": "90"}, json={"detail": "slow down"})


def unreachable(_: str) -> Exception:
    """Reject the connection."""
    return httpx.ConnectError("no route")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (throttled, r"DocuStack asks for a pause until 10:0[13]:\d\d UTC \(429\)"),
        (unreachable, r"No connection to the vendor since 10:00 UTC \(ConnectError\)"),
        (lambda _: httpx.Response(503), r"Since 10:00 UTC: GET .*: the vendor answered 503"),
        (
            lambda _: httpx.Response(404, json={"detail": "Not there"}),
            r"Since 10:00 UTC: GET .*404: Not there\)( \(2 times\))?",
        ),
        (lambda _: httpx.Response(302, html="<h1>moved</h1>"), r"Since 10:00 UTC: GET .* 302.* gateway's.*"),
        (
            lambda _: httpx.Response(401, json={"detail": "Invalid key"}),
            r"GET .*refused the API key.*until 10:10 UTC.*",
        ),
    ],
)
def test_waiting_case_shows_its_trouble(cloud: Cloud, clock: Clock, answer: Callable[[str], Any], said: str) -> None:
    """One plain line: the trouble, since or until when, and the time of the next request.

    Removed with the next answer.
    """
    room = Room(cloud, clock)
    room.answer = answer
    for _ in range(2):
        room.serve()
        note = room.case.record.note or ""
        assert re.fullmatch(said + NEXT, note), note
    listed = [cloud.app.cases.troubled(each) for each in cloud.app.cases.newest(CASE[0])]
    assert [each.note for each in listed] == [room.case.record.note]
    room.answer = room.status
    clock.sleep(100)
    room.serve()
    assert not re.search(NEXT, room.case.record.note or "")
    assert room.wait is not None
    assert room.wait.trouble is None


def test_a_trouble_of_a_poll_costs_no_extra_write(cloud: Cloud, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of the wait, which each poll moves anyway."""
    room, written = Room(cloud, clock), list[str]()
    whole = Table._update

    def counted(self: Table, pk: str, sk: str, *rest: Any, **more: Any) -> Any:
        written.append(sk)
        return whole(self, pk, sk, *rest, **more)

    monkeypatch.setattr(Table, "_update", counted)
    room.answer = unreachable
    for _ in range(5):
        room.serve()
    assert "CASE" not in written
    assert written.count("WAIT") == 5


def test_an_open_breaker_is_named_with_its_time(cloud: Cloud, clock: Clock) -> None:
    """Since when there is no connection, and when the next request is made; the deadline waits too, within bounds."""
    room = Room(cloud, clock, poll=Poll(first=0, every=5, max=60, deadline=300))
    room.answer = unreachable
    limiter = room.world.context.limiter
    while not room.tokens.answers:
        for _ in range(TRIP):  # by those who wait beside it
            limiter.failed(CASE[0], "ConnectError")
        room.serve()
        wait = room.wait
        if wait is not None:
            note = room.case.record.note or ""
            assert re.fullmatch(r"No connection to the vendor since 10:00 UTC \(ConnectError\)" + NEXT, note), note
            assert wait.deadline - wait.started_at == timedelta(seconds=300 + wait.extended)
            assert wait.extended <= min(300, MOST_EXTENDED)
    lasted = clock.at - room.polls[0]
    assert timedelta(seconds=590) < lasted <= timedelta(seconds=2 * 300 + 60)
    reason = room.case.record.late or ""
    assert "did not finish within 300 s (poll.deadline)" in reason
    assert re.search(r"the next request is made at \d\d:\d\d:\d\d UTC", reason), reason
    assert not room.asked


def test_a_pause_of_the_vendors_does_not_use_up_the_deadline(cloud: Cloud, clock: Clock) -> None:
    """A case that could not poll for 200 of its 300 seconds gets 200 more."""
    room = Room(cloud, clock, poll=Poll(first=0, every=5, max=60, deadline=300))
    room.world.context.limiter.pause(CASE[0], 200)
    while clock.at - room.polls[0] < timedelta(seconds=450) if room.polls else True:
        room.serve()
    assert not room.tokens.answers
    room.statuses["d0"] = "completed"
    room.serve()
    assert room.tokens.answers == {"t1": {"phase": "documents"}}


def test_a_vendor_that_is_back_is_asked_within_seconds(cloud: Cloud, clock: Clock) -> None:
    """After an outage of an hour as after one of a minute: the probe has a short cap, and its success closes all."""
    room = Room(cloud, clock)
    room.answer = unreachable
    while clock.at - room.wait.started_at < timedelta(hours=1):  # type: ignore[union-attr]
        room.serve()
    back, room.answer = clock.at, room.status
    before = len(room.asked)
    while len(room.asked) == before:
        room.serve()
    assert clock.at - back <= timedelta(seconds=LONGEST_COOL_DOWN + 1)
    assert room.world.context.limiter.block(CASE[0]) is None


def test_one_of_many_comes_first(cloud: Cloud, clock: Clock) -> None:
    """While a breaker is open one wait is to come back as soon as it may probe, the others a moment later."""
    limiter = Room(cloud, clock).world.context.limiter
    for _ in range(TRIP):
        limiter.failed(CASE[0], "ConnectError")
    blocks = [limiter.block(CASE[0]) for _ in range(5)]
    assert [each.first for each in blocks if each] == [True, False, False, False, False]
    assert {each.failure for each in blocks if each} == {"ConnectError"}
    limiter.succeeded(CASE[0])
    assert limiter.block(CASE[0]) is None


def test_a_slow_success_closes_a_breaker_that_others_opened(cloud: Cloud, clock: Clock) -> None:
    """A request that began before the first failure, in a function that saw none, proves that the vendor is back."""
    room = Room(cloud, clock)
    connection = room.world.connections[CASE[0]]
    one, other = (Limiter(cloud.app.table, clock=clock.seconds, sleep=clock.sleep) for _ in range(2))
    one.take(connection, patience=1)
    other.take(connection, patience=1)
    for _ in range(TRIP):
        other.failed(connection, "ConnectError")
    assert other.block(connection) is not None
    clock.sleep(SLOW + 0.5)
    one.succeeded(connection)
    assert other.block(connection) is None
    other.take(connection, patience=0)


def test_step_shows_what_delays_it(cloud: Cloud) -> None:
    """An upload at a vendor that answers 503: stored at the first try, not at each, and removed after the last."""
    lost = Lost(cloud, "invoices")
    fault = {"name": "error_before", "rate": 1, "operation": "upload", "times": 3, "status": 503}
    lost.world.sandbox.post("/_sandbox/settings", json={"faults": [fault]})
    notes, writes, changed = [], [], lost.world.context.cases.change

    def change(case: CaseId, **changes: Any) -> bool:
        writes.append(changes)
        return changed(case, **changes)

    lost.world.context.cases.change = change  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(RetryableError):
            upload(lost.names, 0, context=lost.world.context)
        notes.append(lost.world.context.cases.get(lost.names).record.note)
    assert len(set(notes)) == 1
    assert re.fullmatch(rf"Since \d\d:\d\d UTC: POST .*: the vendor answered 503.*\. {SOON}", notes[0] or "")
    assert sum("trouble" in each and each["trouble"] is not None for each in writes) == 1
    upload(lost.names, 0, context=lost.world.context)
    assert lost.world.context.cases.get(lost.names).record.note is None


def test_broken_link_is_shown_during_the_download(cloud: Cloud) -> None:
    """A file that arrives cut short is fetched again, and `dossier status` says so meanwhile."""
    world = World(cloud)
    notes: list[str | None] = []
    whole, left = world.transport.download, [2]

    def download(*arguments: Any, **options: Any) -> Any:
        notes.append(world.context.cases.get(CaseId("claims", "R-1")).record.note)
        if left[0]:
            left[0] -= 1
            raise LinkExpiredError("storage refused the artifact's link (403)")
        return whole(*arguments, **options)

    world.transport.download = download  # type: ignore[method-assign]
    result = world.submit("claims", "R-1", samples("invoice.pdf"))
    assert result["status"] == "completed"
    assert notes[0] is None
    assert "storage refused the artifact's link (403)" in (notes[1] or "")
    assert notes[-1] is None
    assert world.context.cases.get(CaseId("claims", "R-1")).record.note is None


def test_trouble_stored_by_the_previous_version_is_read(cloud: Cloud, clock: Clock) -> None:
    """A wait without the newer attributes is polled like any other."""
    room = Room(cloud, clock, documents=2)
    item = cloud.app.table.get(f"CASE#{CASE[0]}#{CASE[1]}", "WAIT")
    assert item is not None
    old = {"pk", "sk", "gsi_pk", "gsi_sk", "connection", "reference", "phase", "token", "seq", "attempts", "troubles"}
    old |= {"next_at", "deadline", "started_at"}
    cloud.app.table.put({name: value for name, value in item.items() if name in old})
    assert room.serve() == ["d0", "d1"]
