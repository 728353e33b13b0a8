"""Files that a command reads, and files that it creates, without writing through an existing file or link.

Each new file gets a new temporary name (``O_EXCL``), no link is followed (``O_NOFOLLOW``), and every folder below the
user's one is opened from the folder above it, so that a link swapped in meanwhile cannot lead elsewhere.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cli.errors import BadUsageError, CommandError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BY_FOLDER = {os.open, os.mkdir, os.rename, os.link, os.unlink} <= os.supports_dir_fd
"""Whether this system opens names relative to an open folder (all but Windows do)."""


_URI = re.compile(r"(?:https?|s3)://", re.IGNORECASE)


def is_uri(given: str) -> bool:
    """Return whether a word names a document that is not on this machine."""
    return _URI.match(given) is not None


def require(path: Path, what: str = "file", *, regular: bool = True) -> None:
    """Check that a file can be read; ``regular``: more than once, as a pipe cannot.

    Raises:
        BadUsageError: says what to give instead.

    """
    if not path.exists():
        raise BadUsageError(f"there is no {what} {path}")
    if path.is_dir():
        raise BadUsageError(
            f"{path} is not a regular file but a folder",
            fix=f"give its files, such as {shlex.quote(str(path))}/*" if regular else "give a file",
        )
    if regular and not path.is_file():
        raise BadUsageError(f"{path} is not a regular file", fix="copy its content to a file, and give that")
    if not os.access(path, os.R_OK):
        raise BadUsageError(f"{path} cannot be read: permission denied")


@contextmanager
def created(folder: Path, parts: Sequence[str], *, replaces: bool) -> Iterator[IO[bytes]]:
    """Yield a new file that becomes ``folder/parts`` once it is complete, and is deleted if writing fails.

    Missing folders are created. The user chose ``folder`` itself, so it may be a link.

    Args:
        folder: the folder that the user named.
        parts: the folders and the file name below it.
        replaces: whether to replace a file of that name (or a link, but not its target).

    Raises:
        CommandError: a link stands in place of a folder; or the name exists and ``replaces`` is false.

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
    """A folder, kept open where the system supports that."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self.fd = fd

    def at(self, name: str) -> str:
        """Return the path of a name in it, as the system's calls take it."""
        return name if self.fd is not None else str(self.path / name)


@contextmanager
def _opened(folder: Path, between: Sequence[str]) -> Iterator[_Inside]:
    """Yield the innermost folder, creating missing ones."""
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
                outer, fd = fd, _entered(path, name, fd)
                os.close(outer)
        yield _Inside(path, fd)
    finally:
        if fd is not None:
            os.close(fd)


def _entered(path: Path, name: str, fd: int) -> int:
    try:
        return os.open(name, _FOLDER | _NO_LINK, dir_fd=fd)
    except OSError as error:
        raise CommandError(f"{path} is not a folder ({error.strerror}): remove it") from None


def _name(inside: _Inside, part: str, name: str, *, replaces: bool) -> None:
    """Give a complete file its final name."""
    target = inside.at(name)
    if replaces:
        os.rename(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
        return
    try:
        os.link(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
    except FileExistsError:
        raise CommandError(f"{inside.path / name} exists already: give another file name") from None
    except OSError:  # a file system without hard links: claim the name first, then replace it
        os.close(os.open(target, _NEW, 0o666, dir_fd=inside.fd))
        os.rename(inside.at(part), target, src_dir_fd=inside.fd, dst_dir_fd=inside.fd)
