from pathlib import Path

import pytest

from local.connections import at_sandbox, choose, for_this_sandbox, read
from local.home import Home, LocalError

FILE = """
[invoices]
vendor = "docustack"
base_url = "http://127.0.0.1:4780/docustack"
allow_insecure = true
schema_id = "sch_xyz789"
organization_id = "org_abc123"

[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
casetype_id = "casetype__d1t5b"
done = { status = ["processed"] }
"""


def _home(folder: Path, sandbox_port: int = 4780) -> Home:
    return Home(folder=folder, local_port=4566, sandbox_port=sandbox_port)


def test_a_connection_uses_the_sandbox_by_its_address(tmp_path: Path) -> None:
    """Host and port of base_url decide whether a connection's vendor is the sandbox."""
    file = tmp_path / "connections.toml"
    file.write_text(FILE)

    found = {connection.name: at_sandbox(connection, _home(tmp_path)) for connection in read(file)}

    assert found == {"invoices": True, "claims": False}


def test_the_vendors_default_scheme_needs_no_setting(tmp_path: Path) -> None:
    """A connection has its vendor's webhooks without a word in the file: the sandbox has to send them."""
    file = tmp_path / "connections.toml"
    file.write_text(FILE)

    schemes = [connection.webhook.scheme for connection in read(file) if connection.webhook]
    assert schemes == ["hmac-sha256-hex", "shared-secret"]


def test_an_invalid_file_is_named(tmp_path: Path) -> None:
    """An invalid or missing file is one clear error."""
    file = tmp_path / "connections.toml"
    file.write_text("[invoices")

    with pytest.raises(LocalError, match=r"connections\.toml"):
        read(file)
    with pytest.raises(LocalError, match="there is no connections file"):
        choose(tmp_path / "absent.toml")


def test_a_users_file_is_deployed_unchanged(tmp_path: Path) -> None:
    """Only the repository's own file follows the sandbox to another port."""
    file = tmp_path / "connections.toml"
    file.write_text(FILE)

    assert for_this_sandbox(file, _home(tmp_path, sandbox_port=5000)) == file
