"""The process from which execution environments of Python functions are forked.

The server starts this file as a script with the functions' interpreter (see ``bridges/forked_environments.py``), so it
imports only the standard library. It imports the packages that most functions use and the modules of the layer that
they share, reads boto3's descriptions of the services that they call, then waits. For each request it forks: the child
has those already, and runs the environment's script as if it had been started with it.

A request is one message on a Unix socket: a JSON document (``Request``) and three file descriptors (stdin, stdout and
stderr). The answer is the child's process id, with a descriptor of that process. The template ends with its server.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
from typing import Any, TypedDict

LONGEST = 1 << 20
"""The most bytes of a request: an environment's variables are limited to 4 KB, the server's by the operating system."""


SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions")
"""What most functions call. Reading the descriptions takes longer than all else that an environment starts with."""


class Request(TypedDict):
    """What a child is to run."""

    script: str
    folder: str
    environment: dict[str, str]


def main(descriptor: int, folders: list[str], packages: list[str], shared: str, own: list[str]) -> None:
    """Import packages from the folders, and fork until the server closes the socket.

    Args:
        descriptor: of the socket.
        folders: where layers have packages.
        packages: what to import.
        shared: a package of which to import every module, but for ``own``, which depend on an environment's variables.
        own: those modules.

    """
    paths = list(sys.path)
    sys.path[0:1] = folders
    for name in packages:
        _import(name)
    if package := _import(shared):
        for module in pkgutil.walk_packages(package.__path__, f"{shared}."):
            if module.name not in own:
                _import(module.name)
        _complete_models(shared)
    sys.path[:] = paths
    if "boto3" in sys.modules:
        _read_descriptions()
    gc.freeze()  # no environment looks through them for garbage, which would also copy their memory
    server = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        message, streams, _, _ = socket.recv_fds(server, LONGEST, 3)
        if not message:
            return
        # A child is reaped after it has a descriptor: its process id cannot be another's by then.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        child = os.fork()
        if child == 0:
            server.close()
            _run(json.loads(message), streams)
            return
        process = os.pidfd_open(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        socket.send_fds(server, [str(child).encode()], [process])
        for each in (process, *streams):
            os.close(each)


def _import(name: str) -> Any:
    """Return a module; None if it is missing, or needs one that is: functions without it do not need it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _complete_models(package: str) -> None:
    """Have pydantic build what it otherwise builds with the first use of each model of a package."""
    kinds = [importlib.import_module("pydantic").BaseModel] if "pydantic" in sys.modules else []
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.__module__.startswith(f"{package}."):
            kind.model_rebuild(raise_errors=False)


def _read_descriptions() -> None:
    """Have every session find what is read here; clients do not change it."""
    session: Any = importlib.import_module("botocore.session")
    loader = session.create_loader()
    for service in SERVICES:
        loader.load_service_model(service, "service-2")
        loader.load_service_model(service, "endpoint-rule-set-1")
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    session.create_loader = lambda *_: loader


def _reap(*_: object) -> None:
    """Collect the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _run(request: Request, streams: list[int]) -> None:
    """Become the environment's process: with its streams, folder and variables, and nothing of the template's."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    script = request["script"]
    sys.argv = [script]
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 -- pathlib is not imported before the function's own code
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), *json.loads(sys.argv[2]))
