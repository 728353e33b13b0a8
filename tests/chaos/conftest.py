"""One deployment for the suites of cases: each has its own references, and reads the journal from its own beginning."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.chaos.cases import ACCOUNTS, CASES, named
from tests.chaos.deployment import ROOT, VENDORS, Deployment, connect, deployed, further_sandboxes

MANY = 100
"""Cases from which on a function may have 24 processes, not three: most wait for their connection's turn, as in the
cloud. Few cases are done before so many have started."""


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Yield a deployment of the shipped connections, which wait for two hours: their vendors are not in order."""
    shipped = (ROOT / "connections.toml").read_text(encoding="utf-8")
    patient = re.sub(r"deadline = \d+", "deadline = 7200", shipped)
    folder = tmp_path_factory.mktemp("cases")
    with pytest.MonkeyPatch.context() as patch, further_sandboxes(folder, ACCOUNTS - 1) as more:
        patch.setenv("DOSSIER_LOCAL_WORKERS", "3" if CASES < MANY else "24")
        texts = [_at(patient, number, "SANDBOX" if number == 0 else more[number - 1]) for number in range(ACCOUNTS)]
        with deployed(folder / "home", "\n".join(texts)) as up:
            up.more = more
            connect(up)
            yield up


def _at(text: str, account: int, sandbox: str | httpx.Client) -> str:
    """Return the connections at another sandbox, under their own names."""
    address = sandbox if isinstance(sandbox, str) else str(sandbox.base_url).rstrip("/")
    for kind in VENDORS:
        text = text.replace(f"[{kind}]", f"[{named(kind, account)}]")
    return text.replace("http://127.0.0.1:4780", address)
