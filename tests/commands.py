"""``dossier`` commands for the tests of a deployment, without a start of Python for each.

A process that has imported what the command imports is forked for each of them, with the arguments, folder and
environment that it is given; so it says, writes and exits as the command of a shell does. What the start itself is
like is tested in ``tests/cli``.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["tests.preloaded"])
_CODE = "code"
"""The file in which a command notes its exit code."""
LONGEST = 900.0
"""Seconds after which a command hangs."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


def run(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Done:
    """Run ``dossier`` with these arguments in a folder; return how it ended.

    Raises TimeoutError when it does not end.
    """
    with tempfile.TemporaryDirectory() as text:
        out, err = Path(text) / "stdout", Path(text) / "stderr"
        process = _FORKED.Process(target=_command, args=(list(arguments), dict(environment), str(folder), out, err))
        process.start()
        process.join(LONGEST)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"dossier {' '.join(arguments)} has not ended after {LONGEST:g} s: {err.read_text()}")
        return Done(_code(out, process.exitcode), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _code(out: Path, code: int) -> int:
    """Return the code that a command has noted, else its process's.

    ``multiprocessing`` takes a process for one that ended with 255 if two threads look at it at once: each start of a
    process looks at all others.
    """
    noted = out.with_name(_CODE)
    return int(noted.read_text(encoding="utf-8")) if noted.exists() else code


@contextmanager
def running(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Iterator[Done]:
    """Run a command that serves until it is ended; yield what it has printed first, and its code if it ended instead.

    Raises TimeoutError when it prints nothing.
    """
    with tempfile.TemporaryDirectory() as text:
        out, err = Path(text) / "stdout", Path(text) / "stderr"
        process = _FORKED.Process(target=_command, args=(list(arguments), dict(environment), str(folder), out, err))
        process.start()
        try:
            until = time.monotonic() + LONGEST
            while process.exitcode is None and not (out.exists() and "\n" in out.read_text(encoding="utf-8")):
                if time.monotonic() > until:
                    raise TimeoutError(f"dossier {' '.join(arguments)} prints nothing: {err.read_text()}")
                time.sleep(0.05)
            code = _code(out, process.exitcode) if process.exitcode else 0
            yield Done(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
        finally:
            process.terminate()
            process.join(LONGEST)


def _command(arguments: list[str], environment: dict[str, str], folder: str, out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode, encoding="utf-8") for number, mode in enumerate("rww"))  # noqa: PTH123, SIM115
    sys.argv = ["dossier", *arguments]
    _resolve_localhost()
    from cli.main import main  # noqa: PLC0415 -- in the command's process, not in pytest's

    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
        raise
    except BaseException:
        code = 1
        raise
    finally:
        out.with_name(_CODE).write_text(str(code if isinstance(code, int) else int(code is not None)), encoding="utf-8")


def _resolve_localhost() -> None:
    """Find names below ``localhost`` here, as browsers do (RFC 6761, 6.3): the local AWS gives such to its APIs."""
    resolve = socket.getaddrinfo

    def here(host: Any, *args: Any, **rest: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **rest)

    socket.getaddrinfo = here
