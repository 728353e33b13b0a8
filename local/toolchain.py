"""The toolchain of the local AWS: two virtual environments and the functions' dependency layer.

Each is built from a requirements file with hashes and holds a stamp of it, so that it is rebuilt only when the file or
the interpreter changes. All three use the running interpreter, so that the layer fits the functions' environment.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from local.alive import run
from local.home import ROOT, LocalError, lock

_STAMP = ".requirements"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
_INSTALL = ("install", "--no-deps", "--require-hashes", "--no-warn-script-location", "--root-user-action=ignore")

Report = Callable[[str], None]


def local_aws_python(report: Report) -> Path:
    """Return the interpreter of the environment that has only MiniStack; build it if needed.

    Raises:
        LocalError: if it cannot be built; the message has pip's last lines.

    """
    return _environment(ROOT / ".venv-local", ROOT / "requirements" / "local.txt", report)


def functions_python(report: Report) -> Path:
    """Return the interpreter of the environment that has only boto3, as Lambda's runtime; build it if needed.

    Raises:
        LocalError: if it cannot be built; the message has pip's last lines.

    """
    return _environment(ROOT / ".venv-functions", ROOT / "requirements" / "functions.txt", report)


def dependency_layer(report: Report) -> Path:
    """Return the folder of a layer with the functions' third-party packages for this machine; build it if needed.

    Raises:
        LocalError: if it cannot be built; the message has pip's last lines.

    """
    folder, requirements = ROOT / "build" / "layers" / "local", ROOT / "layers" / "requirements.txt"

    def make() -> None:
        target = folder / "python"
        pip = [sys.executable, *_PIP, *_INSTALL, "--no-compile", "--target", str(target), "-r", str(requirements)]
        _run(pip, requirements, report)
        shutil.rmtree(target / "bin", ignore_errors=True)
        # Compiled with hashes that Python does not check, so that no cold start compiles again.
        compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), str(target)]
        _run([sys.executable, *compiling], requirements, report)

    _once(folder, requirements, make, report)
    return folder


def _environment(folder: Path, requirements: Path, report: Report) -> Path:
    python = folder / "bin" / "python"

    def make() -> None:
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], requirements, report)
        _run([sys.executable, *_PIP, "--python", str(python), *_INSTALL, "-r", str(requirements)], requirements, report)

    _once(folder, requirements, make, report)
    return python


def _once(folder: Path, requirements: Path, make: Callable[[], None], report: Report) -> None:
    """Build a folder from a requirements file unless it was built from the same file."""
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode() + str(folder).encode()).hexdigest()
    stamp = folder / _STAMP
    with lock(ROOT / "build" / f"{folder.name.lstrip('.')}.lock"):
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return
        report(f"installing {requirements.relative_to(ROOT)}")
        shutil.rmtree(folder, ignore_errors=True)
        make()
        stamp.write_text(digest, encoding="utf-8")


def _run(command: list[str], requirements: Path, report: Report) -> None:
    done = run(command, report, f"installing {requirements.relative_to(ROOT)}", quiet=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip() and "WARNING" not in line]
        raise LocalError(
            "could not install: " + "\n  ".join(lines[-5:] or [f"{command[2]} answered {done.returncode}"])
        )
