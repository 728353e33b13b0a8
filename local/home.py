"""The home of the local AWS: its folder, its ports, and its state file."""

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel

from infra.outputs import Outputs
from local.processes import Process

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""
HOST = "127.0.0.1"
DEFAULT_LOCAL_PORT = 4566
DEFAULT_SANDBOX_PORT = 4780


class LocalError(Exception):
    """The local AWS failed; the message's first line is for a person."""


class LocalState(BaseModel):
    """The running processes and the deployment, as ``local.json`` stores them.

    Attributes:
        local_aws: the process of the local AWS.
        sandbox: the process of the sandbox, if one was started.
        endpoint_url: the address of the local AWS.
        sandbox_url: the address of the sandbox.
        connections: the deployed connections file.
        stage: the deployed stage.
        outputs: the deployment's outputs, once there is one.

    """

    local_aws: Process
    sandbox: Process | None = None
    endpoint_url: str
    sandbox_url: str
    connections: Path | None = None
    stage: str = "dev"
    outputs: Outputs | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """The folder and the two ports of a local Dossier.

    Attributes:
        folder: ``DOSSIER_HOME``, or ``.dossier`` in the repository.
        local_port: ``DOSSIER_LOCAL_PORT``, or 4566.
        sandbox_port: ``DOSSIER_SANDBOX_PORT``, or 4780.

    """

    folder: Path
    local_port: int
    sandbox_port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the three variables.

        Raises:
            LocalError: if a port is invalid.

        """
        return cls(
            folder=Path(environment.get("DOSSIER_HOME") or ROOT / ".dossier").expanduser().resolve(),
            local_port=_port(environment, "DOSSIER_LOCAL_PORT", DEFAULT_LOCAL_PORT),
            sandbox_port=_port(environment, "DOSSIER_SANDBOX_PORT", DEFAULT_SANDBOX_PORT),
        )

    @property
    def endpoint_url(self) -> str:
        """Return the local AWS's address."""
        return f"http://{HOST}:{self.local_port}"

    @property
    def sandbox_url(self) -> str:
        """Return the sandbox's address."""
        return f"http://{HOST}:{self.sandbox_port}"

    @property
    def state_file(self) -> Path:
        """Return the path of ``local.json``."""
        return self.folder / "local.json"

    @property
    def unpacked(self) -> Path:
        """Return the folder that the local AWS unpacks functions in; ``down`` removes it."""
        return self.folder / "tmp"

    @property
    def sandbox_folder(self) -> Path:
        """Return the folder of the sandbox's own state."""
        return self.folder / "sandbox"

    @property
    def data(self) -> Path:
        """Return the folder of the local AWS's data, which outlives it; ``up --reset`` removes it."""
        return self.folder / "aws"

    @property
    def bootstrapped(self) -> Path:
        """Return the path of a file that exists once ``cdk bootstrap`` has run."""
        return self.data / "bootstrapped"

    def log(self, name: str) -> Path:
        """Return the path of a log file."""
        return self.folder / "logs" / f"{name}.log"

    def load(self) -> LocalState | None:
        """Return the saved state; None if there is none that this version understands."""
        try:
            return LocalState.model_validate_json(self.state_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def save(self, state: LocalState) -> None:
        """Save the state atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.state_file.with_suffix(".new")
        draft.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(self.state_file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one ``up`` or ``down`` at a time; a second one waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.folder / "lock"):
            yield


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the system releases it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_free_port(port: int, variable: str) -> None:
    """Check that a port on the loopback is free.

    Raises:
        LocalError: if the port is in use; names the variable that sets another one.

    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port that was just closed counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            message = f"port {port} is in use by another program; set another one with {variable}=<port>"
            raise LocalError(message) from None


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise LocalError(f"{variable}={text} is not a port (1 to 65535)")
    return int(text)
