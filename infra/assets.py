"""Folders of Lambda code, and folders that are generated for them under ``build/``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_

from dossier.errors import ConfigurationError

NOT_PACKAGED = ("__pycache__", "*.pyc", "*.egg-info")
"""Patterns to leave out, as in a ``.gitignore``."""


def code_of(folder: Path) -> lambda_.Code:
    """Return a folder as code. Its hash depends only on paths and contents.

    Raises:
        ConfigurationError: there is no such folder.

    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder.name}: there is no such folder to deploy")
    return lambda_.Code.from_asset(str(folder), exclude=list(NOT_PACKAGED), ignore_mode=cdk.IgnoreMode.GIT)


def generated(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return ``folder``; create it with ``fill`` if it does not exist yet.

    The folder appears atomically: of two processes at once, the first one moves its folder into place.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(draft)
        draft.chmod(0o755)
        os.rename(draft, folder)  # noqa: PTH104  # Path.rename may replace; this must fail on a folder with content
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
