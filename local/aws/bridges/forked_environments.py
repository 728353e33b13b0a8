"""An execution environment starts with the packages that it shares with others already imported.

On AWS an environment starts on its own machine; a hundred cold starts take as long as one. MiniStack starts each as a
new process, and on one machine they share its cores: with Dossier's packages each import takes most of a second of CPU,
so that a burst of cases waits for minutes. The bridge forks environments from a template (``local/aws/template.py``)
that has imported those packages from the functions' interpreter and the functions' layers: one template for each
set of layers that bring any. Function code, the module that reads a function's variables, and clients start anew in
each environment.

It needs descriptors of processes (Linux 5.3 or newer); elsewhere each environment is a new process, as before.
"""

import json
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from local.aws import template, worker
from local.aws.pinned import lambda_runtime, require

PACKAGES = (
    "asyncio",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.parser",
    "boto3.dynamodb.conditions",
    "boto3.dynamodb.table",
    "httpx",
    "pydantic.json_schema",
    "pydantic.main",
    "pydantic.networks",
    "pydantic.type_adapter",
    "s3transfer.manager",
    "zoneinfo",
)
"""What a template imports: what takes long, and most functions use. ``pydantic`` imports its parts on first use."""
SHARED = "dossier"
"""The package of the functions' shared layer: a template imports all its modules but these."""
OWN = ("dossier.observe",)
"""What reads its function's variables when it is imported."""
_MOST = 4
"""Templates at a time: those of the layers that are deployed, and of those that a deployment replaces."""
_templates: dict[tuple[str, ...], "Template"] = {}
_choosing = threading.Lock()


class GoneError(RuntimeError):
    """A template has ended; another one is started for the next environment."""


def install() -> None:
    """Install the bridge."""
    if not hasattr(os, "pidfd_open"):
        return
    source = Path(lambda_runtime.__file__).read_text(encoding="utf-8")
    require("self._proc = subprocess.Popen(\n            [binary, worker_path],\n" in source, "how a worker is started")
    lambda_runtime.subprocess = _Subprocess()


class _Subprocess:
    """The module ``subprocess`` as MiniStack's Lambda sees it: environments of Python functions are forked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    @staticmethod
    def Popen(command: Sequence[str], **options: Any) -> Any:  # noqa: N802 -- subprocess's name
        """Start a process."""
        if command[0] != os.environ["DOSSIER_FUNCTIONS_PYTHON"]:
            return subprocess.Popen(command, **options)
        key = (command[0], *_layers(options["env"]))
        with _choosing:
            found = _templates.pop(key, None)
            if found is None or not found.alive:
                found = Template(key[0], key[1:])
            _templates[key] = found  # the last one: the first was used longest ago
            if len(_templates) > _MOST:
                _templates.pop(next(iter(_templates))).end()
        try:
            return found.fork(command[1], options["cwd"], options["env"])
        except (GoneError, OSError):
            return subprocess.Popen(command, **options)


def _layers(environment: Mapping[str, str]) -> list[str]:
    """Return the folders of packages, of a function's layers, that have any of those that a template imports."""
    named = environment.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)
    folders = [worker.layer(Path(each)) for each in named if each]
    tops = {SHARED, *(package.partition(".")[0] for package in PACKAGES)}
    return [each for each in reversed(folders) if any((Path(each) / top).exists() for top in tops)]


class Template:
    """A process that has imported packages, and forks environments.

    Args:
        python: the functions' interpreter.
        folders: where layers have packages.

    """

    def __init__(self, python: str, folders: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking = threading.Lock()
        with theirs:
            arguments = [str(theirs.fileno()), json.dumps([folders, PACKAGES, SHARED, OWN])]
            self._process = subprocess.Popen(
                [python, template.__file__, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process; its environments stay."""
        with self._asking:
            self._socket.close()
        self._process.wait()

    def fork(self, script: str, folder: str, environment: Mapping[str, str]) -> "Environment":
        """Start an environment.

        Raises:
            GoneError: the template has ended.
            OSError: the system does not start a process.

        """
        request = template.Request(script=script, folder=folder, environment=dict(environment))
        pipes = [os.pipe() for _ in range(3)]
        (stdin, write), (read, stdout), (errors, stderr) = pipes
        ours, theirs = [write, read, errors], [stdin, stdout, stderr]
        try:
            with self._asking:
                socket.send_fds(self._socket, [json.dumps(request).encode()], theirs)
                answer, processes, _, _ = socket.recv_fds(self._socket, 64, 1)
        except OSError:
            for each in ours:
                os.close(each)
            raise
        finally:
            for each in theirs:
                os.close(each)
        if not answer:
            for each in ours:
                os.close(each)
            raise GoneError
        return Environment(int(answer), processes[0], ours)


class Environment:
    """The process of an environment, as ``subprocess.Popen`` would show it: what MiniStack uses of that."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]

    def __init__(self, pid: int, descriptor: int, streams: Sequence[int]) -> None:
        self.pid, self.returncode = pid, None
        self._descriptor = descriptor
        self.stdin = os.fdopen(streams[0], "w", buffering=1)
        self.stdout, self.stderr = os.fdopen(streams[1]), os.fdopen(streams[2])

    def __del__(self) -> None:
        os.close(self._descriptor)

    def poll(self) -> int | None:
        """Return whether the process has ended: None while it runs, else a number that says no more than that."""
        return -1 if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: if it does not end in so many seconds.

        """
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired(f"environment {self.pid}", timeout or 0)
        return -1

    def terminate(self) -> None:
        """Ask the process to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self._send(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> bool:
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))

    def _send(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return
