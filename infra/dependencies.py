"""The third-party packages as a Lambda layer's folder, built by pip for Lambda's platform, without Docker."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from dossier.errors import ConfigurationError
from infra.assets import generated
from infra.settings import Architecture

PYTHON = "3.13"
_MACHINES: dict[Architecture, str] = {"arm64": "aarch64", "x86_64": "x86_64"}
_RECIPE = "1"
"""Change this when the build changes, so that older folders are not reused."""
_NOT_NEEDED = ("bin", "**/__pycache__", "**/tests", "*.dist-info/RECORD", "*.dist-info/direct_url.json")
"""Scripts contain the path of this machine's Python, and RECORD has their hashes: with either, the layer would differ
between machines."""


def dependency_folder(root: Path, architecture: Architecture) -> Path:
    """Return the layer's folder (with ``python/`` in it); build it unless the same requirements were built before.

    Raises:
        ConfigurationError: pip failed; with the last line of its errors.

    """
    requirements = root / "layers" / "requirements.txt"
    platforms = [f"manylinux2014_{_MACHINES[architecture]}", f"manylinux_2_28_{_MACHINES[architecture]}"]
    recipe = "\n".join((_RECIPE, PYTHON, *platforms, *_NOT_NEEDED)).encode()
    key = hashlib.sha256(requirements.read_bytes() + recipe).hexdigest()[:16]

    def fill(folder: Path) -> None:
        target = folder / "python"
        _pip_install(requirements, platforms, target)
        for pattern in _NOT_NEEDED:
            for path in list(target.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return generated(root / "build" / "layers" / key, fill)


def _pip_install(requirements: Path, platforms: list[str], target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--implementation", "cp"]
    command += ["--python-version", PYTHON, *(f"--platform={each}" for each in platforms)]
    command += ["--target", str(target), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if done.returncode:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR")]
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {done.returncode}"
        raise ConfigurationError(f"layers/requirements.txt cannot be installed for Lambda: {reason}")
