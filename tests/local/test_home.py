import os
import re
import socket
from pathlib import Path

import pytest

from local.home import Home, LocalError, LocalState, require_free_port
from local.processes import Process
from tests.machine import ROOT


def test_the_environment_sets_folder_and_ports(tmp_path: Path) -> None:
    """Three variables decide where the local AWS lives; without them it is the repository's own."""
    chosen = Home.from_environment(
        {"DOSSIER_HOME": str(tmp_path), "DOSSIER_LOCAL_PORT": "5001", "DOSSIER_SANDBOX_PORT": "5002"}
    )
    usual = Home.from_environment({})

    assert (chosen.folder, chosen.endpoint_url, chosen.sandbox_url) == (
        tmp_path.resolve(),
        "http://127.0.0.1:5001",
        "http://127.0.0.1:5002",
    )
    assert (usual.folder.name, usual.local_port, usual.sandbox_port) == (".dossier", 4566, 4780)


def test_the_documentation_names_the_variables_with_their_defaults() -> None:
    """A second local AWS beside the first one needs all three, and no command's help names them."""
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(DOSSIER_\w+)` \| `([^`]+)`", page, re.MULTILINE))
    usual = Home.from_environment({})
    assert rows == {
        "DOSSIER_HOME": usual.folder.name,
        "DOSSIER_LOCAL_PORT": str(usual.local_port),
        "DOSSIER_SANDBOX_PORT": str(usual.sandbox_port),
    }
    assert Home.from_environment(rows | {"DOSSIER_HOME": str(usual.folder)}) == usual


@pytest.mark.parametrize("text", ["none", "0", "70000", "-1"])
def test_an_invalid_port_is_rejected(text: str) -> None:
    """The message names the variable."""
    with pytest.raises(LocalError, match="DOSSIER_LOCAL_PORT"):
        Home.from_environment({"DOSSIER_LOCAL_PORT": text})


def test_a_port_in_use_names_the_variable_that_picks_another() -> None:
    """One line has the problem and its remedy."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(LocalError, match=f"^port {port} is in use .* DOSSIER_LOCAL_PORT=<port>$"):
            require_free_port(port, "DOSSIER_LOCAL_PORT")
    require_free_port(port, "DOSSIER_LOCAL_PORT")


def test_a_saved_state_is_read_back(tmp_path: Path) -> None:
    """A state file that is missing or broken counts as none."""
    home = Home(folder=tmp_path, local_port=1, sandbox_port=2)
    me = Process.find(os.getpid())
    assert me is not None
    state = LocalState(local_aws=me, endpoint_url="http://a", sandbox_url="http://b", connections=tmp_path / "c")

    assert home.load() is None
    home.save(state)
    assert home.load() == state
    home.state_file.write_text("{")
    assert home.load() is None
