import os
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from local import toolchain
from local.home import HOST, ROOT
from local.processes import start, stop, wait_until_healthy
from tests.local.aws import COMPILED_LAYER, Aws


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody serves at the moment."""
    return _free_port()


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Start a local AWS of the tests' own, in which ``Wait`` and ``Retry`` take a fifth of their time."""
    folder, port = tmp_path_factory.mktemp("local-aws"), _free_port()
    compiled = folder / COMPILED_LAYER
    (compiled / "python").mkdir(parents=True)
    (compiled / "python" / "shared.py").write_text("WORD = 'compiled'")
    report = partial(print, file=sys.stderr)
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder / "tmp"),
        "DOSSIER_FUNCTIONS_PYTHON": str(toolchain.functions_python(report)),
        "DOSSIER_COMPILED_LAYER": str(compiled),
        "SFN_WAIT_SCALE": "0.2",
        "LOG_LEVEL": "WARNING",
    }
    log = folder / "aws.log"
    python: Path = toolchain.local_aws_python(report)
    process = start([python, "-m", "local.aws"], log=log, environment=environment, folder=ROOT)
    try:
        url = f"http://{HOST}:{port}"
        wait_until_healthy(process, f"{url}/_ministack/ready", log=log, seconds=60)
        yield Aws(url)
    finally:
        stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
