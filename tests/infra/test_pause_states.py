"""The states in which a step waits for the end of an operator's pause, walked over the real definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dossier.models import CaseId
from tests.conftest import Cloud
from tests.infra.cases import VENDORS, case
from tests.infra.synthesis import Synthesized
from tests.machine import World
from tests.walk import Handlers, Walk

PAUSED_AT = {
    "open": "Await Resume",
    "upload": "Await Resume Of Upload",
    "process": "Await Resume",
    "collect": "Await Resume",
    "download": "Await Resume Of Download",
    "publish": "Await Resume",
}


class Pausing:
    """Handlers, of which one runs into a pause that began just before its first call."""

    def __init__(self, verb: str, world: World) -> None:
        self._verb: str | None = verb
        self._world, self._handlers = world, Handlers(world)
        self.asked: list[int] = []
        """Requests that reached the vendors: when the pause began, and when the operator ended it."""

    def __call__(self, verb: str, payload: Mapping[str, Any]) -> Any:
        """Call a verb's function."""
        if verb == self._verb:
            self._verb = None
            self._world.cloud.app.limiter.hold(payload["connection"], by="ada", reason="why")
            self.asked.append(len(self._world.journal()))
        if "held" in payload:
            self.asked.append(len(self._world.journal()))
        return self._handlers(verb, payload)


@pytest.mark.parametrize("like", VENDORS)
@pytest.mark.parametrize("verb", PAUSED_AT)
def test_step_of_paused_connection_waits_for_resume(stack: Synthesized, cloud: Cloud, like: str, verb: str) -> None:
    """A step that would call its vendor waits as a task token, and is repeated after the pause."""
    world = World(cloud)
    pausing = Pausing(verb, world)
    walk = Walk(stack.definition, pausing)
    walk.run(case(cloud, (like, "INV-1"), documents=2))
    assert walk.outcome == "SUCCEEDED", walk.output
    assert walk.output["status"] == "completed"
    assert len(world.effects("document_uploaded")) == 2
    if PAUSED_AT[verb] in walk.entered:  # not every vendor is called in every step
        assert pausing.asked[0] == pausing.asked[1]
    assert verb != "upload" or PAUSED_AT[verb] in walk.entered
    assert not list(cloud.app.waits.steps_of(CaseId(like, "INV-1")))
