"""The version of the code of functions and layers: what a stage runs, compared with a checkout (``dossier doctor``).

It imports no CDK, because the CLI computes it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

CODE = ("functions", "layers/shared/python")
"""The folders of code that is deployed as it is."""
PINNED = "layers/requirements.txt"


def code_version(root: Path) -> str:
    """Return the first 12 digits of a hash over paths and contents of the functions' code.

    Raises:
        FileNotFoundError: this is not a checkout of Dossier.

    """
    digest = hashlib.sha256((root / PINNED).read_bytes())
    for path in _files(root):
        digest.update(f"\0{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files(root: Path) -> Iterator[Path]:
    for folder in CODE:
        found = (each for each in (root / folder).rglob("*") if each.suffix in {".py", ".toml", ".json"})
        yield from sorted(each for each in found if not any(part.endswith(".egg-info") for part in each.parts))
