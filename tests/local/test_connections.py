from pathlib import Path

import pytest

from local.connections import choose, for_this_sandbox, read
from local.home import Home, LocalError

FILE = """
[invoices]
vendor = "docustack"
base_url = "http://127.0.0.1:4780/docustack"
webhook = { scheme = "hmac-sha256-hex", header = "X-DocuStack-Signature" }

[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
"""


def _home(folder: Path, sandbox_port: int = 4780) -> Home:
    return Home(folder=folder, local_port=4566, sandbox_port=sandbox_port)


def test_a_connection_uses_the_sandbox_by_its_address(tmp_path: Path) -> None:
    """Host and port of base_url decide whether a connection's vendor is the sandbox."""
    file = tmp_path / "connections.toml"
    file.write_text(FILE)

    found = {connection.name: connection.at(_home(tmp_path)) for connection in read(file)}

    assert found == {"invoices": True, "claims": False}
    assert [connection.webhook_scheme for connection in read(file)] == ["hmac-sha256-hex", None]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """What is no TOML, or not there, is one clear error."""
    file = tmp_path / "connections.toml"
    file.write_text("[invoices")

    with pytest.raises(LocalError, match=r"connections\.toml"):
        read(file)
    with pytest.raises(LocalError, match="there is no connections file"):
        choose(tmp_path / "absent.toml")


def test_a_file_of_the_users_own_is_deployed_as_it_is(tmp_path: Path) -> None:
    """Only the repository's own file follows the sandbox to another port."""
    file = tmp_path / "connections.toml"
    file.write_text(FILE)

    assert for_this_sandbox(file, _home(tmp_path, sandbox_port=5000)) == file
