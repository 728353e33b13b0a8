"""Files that a command creates: nothing that is there is written through, whoever put it there.

Each new file gets a name of its own that did not exist (``O_EXCL``), no link is followed (``O_NOFOLLOW``), and every
folder below the one that the user named is opened as a folder, from the one above it: a link that is swapped in
between cannot lead anywhere else.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cli.errors import CommandError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BY_FOLDER = {os.open, os.mkdir, os.rename, os.link, os.unlink} <= os.supports_dir_fd
"""Whether this system opens names from a folder that is open already (all but Windows do)."""


@contextmanager
def created(folder: Path, parts: Sequence[str], *, replaces: bool) -> Iterator[IO[bytes]]:
    """Yield a new file that becomes ``folder/parts`` once all of it is written, and is gone if that fails.

    Folders in between are made. The folder itself is the user's word: a link there is followed.

    Args:
        folder: where the user wants files.
        parts: folders and name below it; each is one name.
        replaces: whether a file of that name is replaced (a link is: by the file, its target stays as it is).

    Raises:
        CommandError: a link is in a folder's place; or, unless ``replaces``, something of that name is there.

    """
    *between, name = parts
    with _opened(folder, between) as inside:
        part = f".{secrets.token_hex(8)}.part"
        file = os.fdopen(os.open(inside.at(part), _NEW, 0o666, dir_fd=inside.fd), "wb")
        try:
            with file:
                yield file
            _name(inside, part, name, replaces=replaces)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(inside.at(part), dir_fd=inside.fd)


class _Inside:
    """A folder, held open where the system can do that."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self.fd = fd

    def at(self, name: str) -> str:
        """Return how a name in it is called to the system."""
        return name if self.fd is not None else str(self.path / name)


@contextmanager
def _opened(folder: Path, between: Sequence[str]) -> Iterator[_Inside]:
    """Yield the innermost folder; each is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path, fd = folder, os.open(folder, _FOLDER) if _BY_FOLDER else None
    try:
        for name in between:
            inside = _Inside(path, fd)
            with suppress(FileExistsError):
                os.mkdir(inside.at(name), dir_fd=fd)
            path = path / name
            if path.is_symlink():
                raise CommandError(f"{path} is a link, which leads out of {folder}: remove it")
            if fd is not None:
                outer, fd = fd, _entered(path, name, fd, folder)
                os.close(outer)
        yield _Inside(path, fd)
    finally:
        if fd is not None:
            os.close(fd)


def _entered(path: Path, name: str, fd: int, folder: Path) -> int:
    try:
        return os.open(name, _FOLDER | _NO_LINK, dir_fd=fd)
    except OSError as error:
        raise CommandError(f"{path} is no folder of {folder} ({error.strerror}): remove it") from None


def _name(inside: _Inside, part: str, name: str, *, replaces: bool) -> None:
    """Give a finished file its name."""
    target = inside.at(name)
    if replaces:
        os.rename(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
        return
    try:
        os.link(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
    except FileExistsError:
        raise CommandError(f"{inside.path / name} is there already: say how the file is to be called") from None
    except OSError:  # a file system without hard links: the name is taken first, and then replaced
        os.close(os.open(target, _NEW, 0o666, dir_fd=inside.fd))
        os.rename(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
