"""Two invocations of one step at once: Step Functions repeats one whose answer was lost while the first still runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from dossier.errors import OutcomeUnknownError
from dossier.models import CaseId, CaseStatus
from dossier.steps.accept import accept
from dossier.steps.upload import open_case, upload
from tests.conftest import Cloud
from tests.machine import World, samples
from tests.steps.files import FILES
from tests.steps.updates import resumed

MADE = {"open": "case_created", "upload": "document_uploaded"}


def prepared(cloud: Cloud, connection: str, step: str) -> tuple[World, Callable[[], None]]:
    """Return a world with a case that is about to be opened, or uploaded, and the step."""
    world, case = World(cloud), CaseId(connection, "R-1")
    documents = [
        {"uri": cloud.put(f"staging/{connection}/R-1/{index}", body), "name": name}
        for index, (name, body) in enumerate(samples(*FILES[connection][:2]).items())
    ]
    accepted = accept({**case._asdict(), "documents": documents}, "arn:1", context=world.context)
    if accepted.opens and step == "upload":
        open_case(case, context=world.context)
    work = open_case if step == "open" else lambda case, context: upload(case, 0, context=context)
    return world, lambda: work(case, context=world.context)


def made(world: World, step: str) -> int:
    """Return how many cases or documents the vendor has made."""
    entries = world.sandbox.get("/_sandbox/journal").json()["entries"]
    return sum(each["effect"] == MADE[step] for entry in entries for each in entry["effects"])


STEPS = pytest.mark.parametrize(
    ("connection", "step"), [("invoices", "upload"), ("claims", "upload"), ("disputes", "upload"), ("disputes", "open")]
)


@STEPS
@pytest.mark.parametrize("slow", ["find", "begin"])
def test_try_that_was_slow_sends_nothing_again(cloud: Cloud, connection: str, step: str, slow: str) -> None:
    """Another try has done everything after the slow one had read the case, or had found no intent."""
    world, run = prepared(cloud, connection, step)
    intents, ran = world.context.intents, []
    original = getattr(intents, slow)

    def late(*args: Any, **options: Any) -> Any:
        if not ran:
            ran.append(True)
            run()
        return original(*args, **options)

    with patch.object(intents, slow, late):
        run()
    run()
    sent = made(world, step)
    assert intents.find(CaseId(connection, "R-1"), step if step == "open" else "upload-0") is None
    assert sent == _once(cloud, connection, step)


def _once(cloud: Cloud, connection: str, step: str) -> int:
    """Return what one undisturbed try makes."""
    cloud.empty_table()
    world, run = prepared(cloud, connection, step)
    run()
    return made(world, step)


@STEPS
def test_second_of_two_tries_at_once_sends_nothing(cloud: Cloud, connection: str, step: str) -> None:
    """Both have found no intent; only one of them begins."""
    world, run = prepared(cloud, connection, step)
    intents, what = world.context.intents, step if step == "open" else "upload-0"
    original = intents.begin

    def beaten(case: CaseId, what: str, **options: Any) -> bool:
        assert original(case, what, **options)  # the other try's
        return original(case, what, **options)

    before = made(world, step)
    with patch.object(intents, "begin", beaten), pytest.raises(OutcomeUnknownError, match="another try has begun"):
        run()
    assert made(world, step) == before
    assert intents.find(CaseId(connection, "R-1"), what) is not None
    later = intents.find(CaseId(connection, "R-1"), what)
    assert intents.begin(CaseId(connection, "R-1"), what, names=[], known=[], earlier=later)
    assert not intents.begin(CaseId(connection, "R-1"), what, names=[], known=[], earlier=later)


@STEPS
def test_answer_that_comes_after_the_end_is_recorded(cloud: Cloud, connection: str, step: str) -> None:
    """Somebody stops the execution while the function sends: a redrive sends nothing again, and completes."""
    world, run = prepared(cloud, connection, step)
    intents, case = world.context.intents, CaseId(connection, "R-1")
    original, arn = intents.answer, "arn:1"

    def after_the_end(*args: Any) -> None:
        world.fail({**case._asdict()}, arn, "Stopped", "somebody stopped the execution")
        original(*args)

    with patch.object(intents, "answer", after_the_end):
        run()
    stored = world.context.cases.get(case)
    assert stored.record.status is CaseStatus.FAILED
    created = world.effects("case_created")
    assert stored.record.case_id == (created[0]["case_id"] if created else None)
    assert resumed(world, connection, "R-1")["status"] == "completed"
    assert (world.effects("case_created"), len(world.effects("document_uploaded"))) == (created, 2)


def test_write_whose_answer_was_lost_is_the_callers_own(cloud: Cloud) -> None:
    """The AWS client repeats it: the second write finds the caller's own intent."""
    intents = World(cloud).context.intents
    put = intents._table.put

    def twice(*args: Any, **options: Any) -> bool:
        put(*args, **options)
        return put(*args, **options)

    with patch.object(intents._table, "put", twice):
        assert intents.begin(CaseId("claims", "R-1"), "upload-0", names=[], known=[])
