"""One deployment, and every grant of its roles taken away: the tests compare the effects."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.chaos.deployment import deployed
from tests.grants.bench import Bench
from tests.grants.cases import Cases
from tests.grants.services import Services


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield the bench after everything was played on it."""
    home = tmp_path_factory.mktemp("grants") / "home"
    with deployed(home) as deployment:
        at_once = {"stepfunctions._SFN_WAIT_SCALE": 0}  # what a state tries again, it tries again at once
        httpx.post(f"{deployment.outputs['endpoint_url']}/_ministack/config", json=at_once).raise_for_status()
        bench = Bench(deployment, home)
        bench.switch(on=False)
        cases = Cases(bench)
        cases.all()
        Services(bench, cases).all()
        yield bench
