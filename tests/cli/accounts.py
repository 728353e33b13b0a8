"""A deployment whose connections are the sandbox's accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Dossier
from tests.local.sandbox.sandboxes import ACCOUNTS, LiveSandbox


@pytest.fixture(scope="module")
def live() -> Iterator[LiveSandbox]:
    """A running sandbox."""
    with LiveSandbox() as live:
        yield live


@pytest.fixture
def sandbox(live: LiveSandbox) -> LiveSandbox:
    """The sandbox as it starts, but quick."""
    live.plain.post("/_sandbox/reset")
    live.set(seconds=0, rate_limits={"docsumo": None, "docustack": None})
    return live


@pytest.fixture
def asking(dossier: Dossier, sandbox: LiveSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dossier:
    """A deployment whose connections are the sandbox's accounts."""
    keys = {"invoices": ACCOUNTS.docustack, "claims": ACCOUNTS.docsumo, "disputes": ACCOUNTS.ombudsman}
    for name, account in keys.items():
        assert dossier("secrets", "set", name, "--api-key", account.api_key).exit_code == 0
    common = "allow_insecure = true\nlimits = { requests_per_second = 1000 }\n"
    file = tmp_path / "connections.toml"
    file.write_text(
        f"""
        [invoices]
        vendor = "docustack"
        base_url = "{sandbox.url}/docustack"
        mode = "test"
        schema_id = "sch_xyz789"
        organization_id = "org_abc123"
        {common}
        [claims]
        vendor = "docsumo"
        base_url = "{sandbox.url}/docsumo"
        casetype_id = "casetype__d1t5b"
        {common}
        [disputes]
        vendor = "ombudsman"
        base_url = "{sandbox.url}/ombudsman"
        tenant = "your_tenant_id"
        {common}
        """
    )
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(file))
    return dossier
