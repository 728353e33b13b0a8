"""An operator's pause: no request goes to the vendor, nothing is lost, and everything continues where it was."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dossier.errors import PausedError, ThrottledError
from dossier.models import iso, now
from dossier.settings import Limits
from dossier.steps.cancel import cancel
from dossier.steps.compare import compare
from dossier.steps.hold import hold, resume
from dossier.steps.poll import resume as resume_step
from dossier.steps.poll import serve as serve_poll
from dossier.steps.sweep import sweep
from dossier.steps.wake import serve as serve_wake
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import World
from tests.room import CASE, Room, clock

WHY = {"by": "ada", "reason": "the contract is being renewed"}
BODY = json.dumps({"event": "case_updated", "case_id": "not-known-here"}).encode()
__all__ = ["clock"]


def test_poll_of_paused_connection_sends_no_request(cloud: Cloud, clock: Clock) -> None:
    """The wait stays, its deadline moves by the length of the pause, and the poll after it comes at once."""
    room = Room(cloud, clock)
    context = room.world.context
    room.serve()
    assert room.wait
    deadline, asked = room.wait.deadline, len(room.asked)
    context.limiter.hold(CASE[0], **WHY)
    room.clock.sleep(7200)
    for _ in range(10):
        assert room.serve() == []
    assert room.case.record.note == (
        "invoices is paused since 10:00 UTC by ada: the contract is being renewed (`dossier resume invoices`)"
    )
    began = context.limiter.held(CASE[0]).since  # type: ignore[union-attr]
    done = resume(CASE[0], context=context)
    paused = (room.clock.at - began).total_seconds()
    assert (done.steps, done.waits) == (0, 1)
    assert done.hold
    assert done.hold.reason == WHY["reason"]
    assert room.left() <= 1
    assert room.serve() == ["d0"]
    assert len(room.asked) == asked + 1
    moved = (room.wait.deadline - deadline).total_seconds()
    assert moved == pytest.approx(paused, abs=1)
    assert room.case.record.note is None


def test_pause_does_not_end_a_wait_at_its_old_deadline(cloud: Cloud, clock: Clock) -> None:
    """A pause that is longer than the deadline leaves the vendor the time that was left."""
    room = Room(cloud, clock)
    room.serve()
    room.world.context.limiter.hold(CASE[0], **WHY)
    room.clock.sleep(100_000)
    room.serve()
    resume(CASE[0], context=room.world.context)
    room.serve()
    assert room.wait
    assert not room.tokens.answers
    room.statuses["d0"] = "completed"
    room.serve()
    assert room.tokens.answers == {"t1": {"phase": "documents"}}


def test_delivery_during_a_pause_waits_for_its_end(cloud: Cloud, clock: Clock) -> None:
    """A delivery moves the poll, which sends no request; after the pause the case is polled."""
    room = Room(cloud, clock)
    room.serve()
    room.world.context.limiter.hold(CASE[0], **WHY)
    room.delivery(document_id="d0")
    assert room.serve() == []
    resume(CASE[0], context=room.world.context)
    assert room.serve() == ["d0"]


def test_wait_whose_state_times_out_in_a_pause_continues(cloud: Cloud, clock: Clock) -> None:
    """The state of a wait times out in a long pause: after it the wait continues, with the time that was left."""
    room = Room(cloud, clock)
    app, context = cloud.app, room.world.context
    app.waits.end(room.wait)  # type: ignore[arg-type]
    app.waits.start(CASE, phase="documents", token="t1", first=0, deadline=36_000, attempt=1)
    room.serve()
    room.world.context.limiter.hold(CASE[0], **WHY)
    room.clock.sleep(100_000)
    room.serve()
    hold(CASE, "Poll", "t2", context=context)
    [step] = app.waits.steps_of(CASE)
    resume_step(CASE, step.name, context=context)
    assert room.tokens.answers == {}
    resume(CASE[0], context=context)
    resume_step(CASE, step.name, context=context)
    assert room.tokens.answers == {"t2": {"to": "Poll"}}
    app.waits.start(CASE, phase="documents", token="t3", first=0, deadline=36_000, attempt=1)
    assert room.wait
    left = (room.wait.deadline - room.clock.at).total_seconds()
    assert 35_000 < left <= 36_000


def test_held_step_is_released_by_the_sweep(cloud: Cloud) -> None:
    """A crash between the end of the pause and the messages costs a minute."""
    world = World(cloud)
    app, names = cloud.app, ["invoices"]
    app.limiter.hold("invoices", **WHY)
    hold(CASE, "upload-0", "t1", context=world.context)
    sweep(names, context=world.context)
    assert cloud.messages("poll-invoices") == []
    app.limiter.release("invoices")
    sweep(names, context=world.context)
    [message] = [json.loads(body) for body in cloud.messages("poll-invoices")]
    serve_poll(message, context=world.context)
    assert world.tokens.answers == {"t1": {"to": "upload-0"}}
    assert not list(app.waits.steps_of(CASE))


def test_case_that_is_cancelled_in_a_pause_leaves_no_step(cloud: Cloud, clock: Clock) -> None:
    """The end of the pause finds nothing to continue with, and no view of the connection counts it."""
    context = Room(cloud, clock).world.context
    context.limiter.hold(CASE[0], **WHY)
    hold(CASE, "Collect", "t2", context=context)
    cancel(CASE, context=context.replacing(executions=SimpleNamespace(stop=lambda *_: None)))
    assert not list(cloud.app.waits.steps_of(CASE))
    assert resume(CASE[0], context=context).steps == 0


def test_step_held_after_the_end_of_the_pause_continues(cloud: Cloud) -> None:
    """An operator who resumes before the token is stored leaves no step behind."""
    world = World(cloud)
    hold(CASE, "upload-0", "t1", context=world.context)
    [message] = [json.loads(body) for body in cloud.messages("poll-invoices")]
    assert message["held"].startswith("upload-0#")


def test_pause_is_of_one_connection(cloud: Cloud) -> None:
    """Connections that share an account share its limits, not an operator's pause."""
    world, limiter = World(cloud), cloud.app.limiter
    limits = Limits(requests_per_second=1000)
    one, other = (
        world.connections["invoices"].model_copy(update={"name": name, "account": "shared", "limits": limits})
        for name in ("one", "other")
    )
    limiter.hold("one", **WHY)
    with pytest.raises(PausedError, match=r"one is paused since .* by ada: the contract is being renewed"):
        limiter.take(one, patience=0)
    limiter.take(other, patience=0)
    assert set(limiter.paused()) == {"one"}
    limiter.release("one")
    limiter.take(one, patience=0)
    assert limiter.release("one") is None


def test_pause_that_is_repeated_keeps_its_beginning(cloud: Cloud) -> None:
    """A second pause changes who and why; the time counts from the first."""
    first = cloud.app.limiter.hold("invoices", **WHY)
    second = cloud.app.limiter.hold("invoices", by="bob", reason="and the budget is spent")
    assert (second.since, second.by, second.reason) == (first.since, "bob", "and the budget is spent")


def test_delivery_about_an_unknown_case_waits_for_the_end_of_a_pause(cloud: Cloud) -> None:
    """It needs a look-up at the vendor: it comes back until the pause ends, and does not become a dead letter."""
    world, app = World(cloud), cloud.app
    app.limiter.hold("claims", **WHY)
    delivery = SimpleNamespace(headers={}, content=BODY, received_at=iso(now()))
    evidence = SimpleNamespace(read=lambda _: delivery)
    queue: list[tuple[str, Any, float]] = []
    queues = SimpleNamespace(send=lambda name, message, after: queue.append((name, message, after)))
    context = world.context.replacing(evidence=evidence, queues=queues)
    message = {"connection": "claims", "delivery": "key", "again": "6"}
    for _ in range(3):
        serve_wake(queue[-1][1] if queue else message, context=context)
    assert queue == [("wake", message, 900.0)] * 3
    assert world.journal() == []


def test_paused_account_is_not_compared(cloud: Cloud) -> None:
    """The hourly comparison sends a paused connection's vendor no request, and reports why."""
    world = World(cloud)
    cloud.app.limiter.hold("claims", **WHY)
    before = len(world.journal())
    found = compare(["claims"], context=world.context, at=now() + timedelta(hours=2))
    assert "is paused since" in found.unread["claims"]
    assert len(world.journal()) == before


def test_paused_error_is_not_a_failure_of_the_vendor() -> None:
    """The breaker counts no request that was not sent."""
    assert issubclass(PausedError, ThrottledError)
    assert PausedError("x").why == "paused"
