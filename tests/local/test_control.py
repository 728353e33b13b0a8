import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.outputs import Outputs
from local import control
from local.home import Home, LocalError, LocalState
from local.processes import Process, start

OUTPUTS = Outputs(
    webhook_urls={},
    api_url="http://a",
    bucket="b",
    table="t",
    state_machine_arn="arn",
    event_bus="dossier",
    stage="dev",
    region="us-east-1",
    endpoint_url="http://e",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Point the environment at a folder of the test's own."""
    monkeypatch.setenv("DOSSIER_HOME", str(tmp_path))
    return Home.from_environment()


def _state(process: Process) -> LocalState:
    return LocalState(local_aws=process, endpoint_url="http://e", sandbox_url="http://s", outputs=OUTPUTS)


def _sleeper(home: Home) -> Process:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return start(command, log=home.log("aws"), environment=os.environ, folder=home.folder)


def test_nothing_runs_in_an_empty_home(home: Home) -> None:
    """There is no state, the outputs say how to get some, and down has nothing to do."""
    text: list[str] = []

    control.down(report=text.append)

    assert control.current() is None
    with pytest.raises(LocalError, match="dossier up"):
        control.outputs()
    assert text == []


def test_running_processes_are_found_and_stopped(home: Home) -> None:
    """The state counts as long as its process lives; down ends that, says so once, and removes unpacked code."""
    text: list[str] = []
    process = _sleeper(home)
    home.unpacked.mkdir()
    home.save(_state(process))
    assert control.current() == _state(process)
    assert control.outputs() == OUTPUTS

    control.down(report=text.append)
    control.down(report=text.append)

    assert text == ["stopped the local AWS"]
    assert not process.alive
    assert not home.unpacked.exists()
    assert control.current() is None


def test_a_state_file_of_a_dead_process_is_ignored(home: Home) -> None:
    """After a restart of the machine another process may have the id; it is neither trusted nor stopped."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        home.save(_state(Process(pid=stranger.pid, started="before")))

        assert control.current() is None
        control.down(report=lambda _: None)

        assert stranger.poll() is None
        stranger.kill()


def test_a_missing_connections_file_is_found_before_anything_starts(home: Home) -> None:
    """The error is one line that names the file."""
    with pytest.raises(LocalError, match=r"there is no connections file .*absent\.toml$"):
        control.up(connections=home.folder / "absent.toml", reset=False, report=lambda _: None)
    assert not home.state_file.exists()
