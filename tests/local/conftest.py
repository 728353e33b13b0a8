import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from local import toolchain
from local.home import HOST, ROOT
from local.processes import Process, ProcessError, start, stop, wait_until_healthy
from tests.local.aws import COMPILED_LAYER, Aws


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody serves at the moment."""
    return _free_port()


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Start a local AWS for the tests, in which ``Wait`` and ``Retry`` take a fifth of their time."""
    folder = tmp_path_factory.mktemp("local-aws")
    compiled = folder / COMPILED_LAYER
    (compiled / "python").mkdir(parents=True)
    (compiled / "python" / "shared.py").write_text("WORD = 'compiled'")
    process, aws = _start(folder, DOSSIER_COMPILED_LAYER=str(compiled))
    try:
        yield aws
    finally:
        stop(process)


@pytest.fixture
def start_aws() -> Iterator[Callable[..., tuple[Process, Aws]]]:
    """Return a function that starts a local AWS in a folder, with variables; it is stopped after the test."""
    started: list[Process] = []

    def start_one(folder: Path, **variables: str) -> tuple[Process, Aws]:
        process, aws = _start(folder, **variables)
        started.append(process)
        return process, aws

    yield start_one
    for process in started:
        stop(process)


def _start(folder: Path, **variables: str) -> tuple[Process, Aws]:
    report, port = partial(print, file=sys.stderr), _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder / "tmp"),
        "DOSSIER_FUNCTIONS_PYTHON": str(toolchain.functions_python(report)),
        "SFN_WAIT_SCALE": "0.2",
        "LOG_LEVEL": "WARNING",
        **variables,
    }
    log = folder / "aws.log"
    python: Path = toolchain.local_aws_python(report)
    process = start([python, "-m", "local.aws"], log=log, environment=environment, folder=ROOT)
    url = f"http://{HOST}:{port}"
    try:
        wait_until_healthy(process, f"{url}/_ministack/ready", log=log, seconds=60)
    except ProcessError:
        stop(process)
        raise
    return process, Aws(url)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
