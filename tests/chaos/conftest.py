"""One deployment for the suites of cases: each has references of its own, and reads the journal from where it began."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.chaos.cases import CASES
from tests.chaos.deployment import ROOT, Deployment, deployed

MANY = 100
"""Cases from which on a function may have 24 processes, not three: most wait for their connection's turn, as in the
cloud. Few cases are done before so many have started."""


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Yield a deployment of the shipped connections, which wait for two hours: their vendors are not in order."""
    shipped = (ROOT / "connections.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:4780", "SANDBOX")
    patient = re.sub(r"deadline = \d+", "deadline = 7200", shipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSSIER_LOCAL_WORKERS", "3" if CASES < MANY else "24")
        with deployed(tmp_path_factory.mktemp("cases") / "home", patient) as up:
            yield up
