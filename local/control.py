"""Start and stop the local Dossier: the local AWS with the app deployed to it, and the sandbox of the vendors."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.outputs import Outputs
from local import toolchain
from local.connections import DEFAULT, at_sandbox, choose, connect, for_this_sandbox, read
from local.deploy import Deployment, read_outputs
from local.home import ROOT, Home, LocalError, LocalState, require_free_port
from local.processes import Process, ProcessError, healthy, start, stop, wait_until_healthy

Report = Callable[[str], None]

_STAGE = "dev"
_SETTINGS = ROOT / "local" / "settings.toml"
_START_SECONDS = 60.0
_SAVE_SECONDS = 60.0
"""How long the local AWS may take to save its data when it is stopped."""
# The variables that the local AWS gets from the user's environment; others could change how functions run.
_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "DOSSIER_LOCAL_REQUESTS",
    "DOSSIER_LOCAL_SAVE_SECONDS",
    "DOSSIER_LOCAL_WORKERS",
    "SFN_WAIT_SCALE",
)


def up(*, connections: Path | None, reset: bool, report: Report) -> Outputs:
    """Start the local AWS and the sandbox if needed, deploy, and connect them.

    If both run already, this deploys again: after a change of the app, or with other connections. The local AWS loads
    the data that an earlier one of this home has saved.

    Args:
        connections: the connections file; None for ``DOSSIER_CONNECTIONS`` or the repository's own.
        reset: begin with an empty local AWS and an empty sandbox.
        report: called with one line for each step.

    Raises:
        LocalError: if something is missing, in use, or fails; the message says what to do.

    """
    home = Home.from_environment()
    chosen = choose(connections)
    python = toolchain.local_aws_python(report)
    functions = toolchain.functions_python(report)
    layer = toolchain.dependency_layer(report)
    with home.locked():
        file = for_this_sandbox(chosen, home)
        accounts = read(file)
        if reset:
            _stop_all(home, report)
            for folder in (home.data, home.sandbox_folder):
                shutil.rmtree(folder, ignore_errors=True)
        state = _running(home, python, {"DOSSIER_FUNCTIONS_PYTHON": functions, "DOSSIER_COMPILED_LAYER": layer}, report)
        if chosen == DEFAULT or any(at_sandbox(each, home) for each in accounts):
            state = with_sandbox(home, state, report)
        deployment = Deployment(
            endpoint_url=state.endpoint_url,
            folder=home.folder / "cdk",
            context={
                "settings": str(_SETTINGS),
                "connections": str(file),
                "stage": _STAGE,
                "dependency_layer": str(layer),
            },
        )
        if not home.bootstrapped.exists():
            report("bootstrapping the local AWS")
            deployment.bootstrap()
            home.bootstrapped.touch()
        report("deploying")
        found = read_outputs(deployment.deploy(f"dossier-{_STAGE}"), endpoint_url=state.endpoint_url, stage=_STAGE)
        state = _saved(home, state, outputs=found, connections=file, stage=_STAGE)
        connect(home, [each for each in accounts if at_sandbox(each, home)], found)
        report("the local AWS is up")
        return found


def down(*, report: Report) -> None:
    """Stop the local AWS and the sandbox, and remove unpacked code. Cases and files stay in the home."""
    home = Home.from_environment()
    with home.locked():
        _stop_all(home, report)


def current() -> LocalState | None:
    """Return the state of the local AWS and the sandbox; None unless the local AWS runs."""
    state = Home.from_environment().load()
    return state if state is not None and state.local_aws.alive else None


def outputs() -> Outputs:
    """Return the outputs of the deployment.

    Raises:
        LocalError: if the local AWS is not up, or has no deployment.

    """
    state = current()
    if state is None or state.outputs is None:
        raise LocalError("the local AWS is not up; start it with: dossier up")
    return state.outputs


def _saved(home: Home, state: LocalState, **changes: Any) -> LocalState:
    state = state.model_copy(update=changes)
    home.save(state)
    return state


def _running(home: Home, python: Path, tools: Mapping[str, Path], report: Report) -> LocalState:
    """Return the local AWS on the home's port; start it if needed."""
    state = home.load()
    ready = f"{home.endpoint_url}/_ministack/ready"
    if state is not None and state.local_aws.alive and state.endpoint_url == home.endpoint_url and healthy(ready):
        return state
    _stop_all(home, report)
    require_free_port(home.local_port, "DOSSIER_LOCAL_PORT")
    report(f"starting the local AWS on port {home.local_port}")
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {name: str(path) for name, path in tools.items()}
    environment |= {
        "DOSSIER_LOCAL_DATA": str(home.data),
        "GATEWAY_PORT": str(home.local_port),
        "TMPDIR": str(home.unpacked),
        "LOG_LEVEL": "WARNING",
    }
    process = _start("the local AWS", [python, "-m", "local.aws"], home.log("aws"), environment)
    state = LocalState(local_aws=process, endpoint_url=home.endpoint_url, sandbox_url=home.sandbox_url)
    home.save(state)
    _await("the local AWS", process, ready, home.log("aws"))
    return state


def with_sandbox(home: Home, state: LocalState, report: Report) -> LocalState:
    """Return the state with a sandbox that runs; start one on the home's port if it does not.

    Raises:
        LocalError: if the port is in use, or the sandbox does not start.

    """
    if state.sandbox is not None and state.sandbox.alive and state.sandbox_url == home.sandbox_url:
        return state
    if state.sandbox is not None:
        stop(state.sandbox)
    require_free_port(home.sandbox_port, "DOSSIER_SANDBOX_PORT")
    report(f"starting the sandbox on port {home.sandbox_port}")
    home.sandbox_folder.mkdir(parents=True, exist_ok=True)
    options = ("--port", str(home.sandbox_port), "--state", str(home.sandbox_folder))
    command = [sys.executable, "-m", "local.sandbox", *options]
    process = _start("the sandbox", command, home.log("sandbox"), os.environ)
    state = _saved(home, state, sandbox=process, sandbox_url=home.sandbox_url)
    _await("the sandbox", process, f"{home.sandbox_url}/_sandbox/health", home.log("sandbox"))
    return state


def _start(what: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> Process:
    try:
        return start(command, log=log, environment=environment, folder=ROOT)
    except (ProcessError, OSError) as error:
        raise LocalError(f"{what} did not start: {error}") from None


def _await(what: str, process: Process, url: str, log: Path) -> None:
    try:
        wait_until_healthy(process, url, log=log, seconds=_START_SECONDS)
    except ProcessError as error:
        stop(process)
        raise LocalError(f"{what} did not start: {error}") from None


def _stop_all(home: Home, report: Report) -> None:
    state = home.load()
    if state is not None:
        if stop(state.local_aws, grace=_SAVE_SECONDS):
            report("stopped the local AWS")
        if state.sandbox is not None and stop(state.sandbox):
            report("stopped the sandbox")
    shutil.rmtree(home.unpacked, ignore_errors=True)
    home.state_file.unlink(missing_ok=True)
