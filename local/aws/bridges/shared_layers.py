"""A layer is unpacked once, and each execution environment uses it there.

On AWS a layer is part of a function's image, and starting an environment copies nothing. MiniStack unpacks each layer
again for each environment: with Dossier's third-party packages, that is 25 MB and half of a cold start, and Python
compiles the files each time. The bridge unpacks a layer with Python packages into a folder named by its content, and
gives MiniStack an archive that holds only the path of that folder; the worker (``local/aws/worker.py``) follows it. A
layer that equals the one in ``DOSSIER_COMPILED_LAYER``, file by file, is used from there, already compiled.
"""

import hashlib
import io
import os
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.aws import worker
from local.aws.pinned import lambda_runtime, lambda_service, replace

_unpacking = threading.Lock()
# The folder of each layer that was looked at, by the hash of its content.
_folders: dict[str, Path | None] = {}
# Whether this thread starts a Python environment: other callers measure the layer.
_starting = threading.local()


def install() -> None:
    """Install the bridge."""
    replace(lambda_service, "_resolve_layer_zip", "attachment", _resolve)
    replace(lambda_runtime.Worker, "_spawn", "self", _spawn)


def _spawn(original: Callable[[Any], None], self: Any) -> None:
    _starting.python = str(self.config.get("Runtime", "")).startswith("python")
    try:
        original(self)
    finally:
        _starting.python = False


def _resolve(original: Callable[[Any], bytes | None], attachment: Any) -> bytes | None:
    content = original(attachment)
    if not content or not getattr(_starting, "python", False):
        return content
    try:
        folder = _unpacked(content)
    except zipfile.BadZipFile:
        return content  # MiniStack reports that error
    return _pointer(folder) if folder else content


def _unpacked(content: bytes) -> Path | None:
    """Return the folder that holds a layer; None for one without Python packages."""
    name = hashlib.sha256(content).hexdigest()[:32]
    with _unpacking:
        if name not in _folders:
            _folders[name] = _found(content, Path(tempfile.gettempdir()) / "layers" / name)
        return _folders[name]


def _found(content: bytes, folder: Path) -> Path | None:
    """Return the folder that already holds a layer, or the given one, to which it is unpacked; None as above."""
    if folder.is_dir():
        return folder
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if not any(name.startswith("python/") for name in archive.namelist()):
            return None
        if compiled := _compiled(archive):
            return compiled
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = tempfile.mkdtemp(dir=folder.parent)
        archive.extractall(draft)
    os.rename(draft, folder)  # noqa: PTH104 - as a whole or not at all
    return folder


def _compiled(archive: zipfile.ZipFile) -> Path | None:
    """Return the folder of the compiled layer if the archive has nothing else in it."""
    folder = Path(os.environ.get("DOSSIER_COMPILED_LAYER") or os.devnull)
    files = [member for member in archive.infolist() if not member.is_dir()]
    try:
        same = all(zlib.crc32((folder / member.filename).read_bytes()) == member.CRC for member in files)
    except OSError:
        return None
    return folder if same else None


def _pointer(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(worker.LAYER_POINTER, str(folder))
    return packed.getvalue()
