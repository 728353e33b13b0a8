"""Targets of foreign names, URLs, texts and settings."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

import httpx

from dossier import connections, vendors
from dossier.errors import ConfigurationError, UntrustedUrlError
from dossier.names import LONGEST, safe_name, unique_names
from dossier.settings import Connection
from dossier.texts import NAME
from dossier.transport import Transport
from dossier.vendors.ombudsman.markdown import read, read_bullets
from fuzz.promises import check, check_one_line


def names(data: bytes) -> None:
    """Make file names safe, and unique on every file system; each line has one."""
    given = data.decode("utf-8", "surrogateescape").split("\n")
    made = unique_names(given)
    check(len(made) == len(given), "a name was lost")
    check(len({each.casefold() for each in made}) == len(made), f"not unique: {made}")
    for each in made:
        check(0 < len(each.encode()) <= LONGEST, f"length of {each!r}")
        check(PurePosixPath(each).name == PureWindowsPath(each).name == each, f"a path: {each!r}")
        check(each.isprintable() and each.strip(" .") == each, f"blanks, or invisible characters: {each!r}")
        check(not PureWindowsPath(each).is_reserved(), f"reserved: {each!r}")
        check(safe_name(each) == each, f"not safe yet: {each!r}")


def settings(data: bytes) -> None:
    """Load a ``connections.toml``: connections that survive the settings layer, or a line for each problem."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            known = connections.load_toml(Path(file.name))
        except ConfigurationError as error:
            lines = str(error).split("\n")
            named = all(line.startswith(f"{Path(file.name).name}: ") and "\r" not in line for line in lines)
            check(named, f"a line that is no problem of the file: {error!r}")
            return
    for name, table in json.loads(connections.dump(known)).items():
        check(vendors.connection_model(table["vendor"]).model_validate(table) == known[name], f"changed: {name}")


def markdown(data: bytes) -> None:
    """Read fields and bullet points from the text of a vendor's AI: each name is a short line."""
    text = data.decode("utf-8", "replace")
    found = read(text)
    for each in found.fields:
        check(each.name.isprintable() and 0 < len(each.name) <= NAME, f"no name: {each.name!r}")
        check(each.value is None or len(str(each.value)) <= 4 * len(text), "a value longer than the text")
    check(all(each.isprintable() and len(each) < 1000 for each in found.warnings), "a warning that is no line")
    check(sum(map(len, read_bullets(text))) <= 4 * len(text), "points longer than the text")


class Unused:
    """Stands for collaborators that opening a URL does not use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")

    def __call__(self, key: str, size: int) -> IO[bytes]:
        """Open a file."""
        raise AssertionError(f"{key} of {size} bytes was opened")


OTHER_PORT = "files.test:8443"
STORAGE = Connection(
    name="x", vendor="docsumo", base_url="https://api.test", storage_hosts=("storage.test", OTHER_PORT)
)
ALLOWED = frozenset({"api.test", "storage.test", OTHER_PORT.partition(":")[0]})
_sent: list[httpx.Request] = []


def _answer(request: httpx.Request) -> httpx.Response:
    _sent.append(request)
    return httpx.Response(200, content=b"bytes")


_transport = Transport(
    httpx.Client(transport=httpx.MockTransport(_answer)), keys=Unused(), turns=Unused(), open_file=Unused(), patience=0
)


def urls(data: bytes) -> None:
    """Open a vendor's URL: one request by TLS to an allowed host, or an error in one line."""
    url = data.decode("utf-8", "replace")
    _sent.clear()
    try:
        with _transport.download(STORAGE, url) as incoming:
            content = b"".join(incoming.chunks)
    except UntrustedUrlError as error:
        check_one_line(error)
        check(not _sent, f"refused, but sent: {url!r}")
        return
    (request,) = _sent
    check(content == b"bytes", "not the bytes of the answer")
    check(request.url.scheme == "https", f"not by TLS: {url!r}")
    check(request.url.host in ALLOWED, f"to {request.url.host!r}: {url!r}")
    check(request.headers["host"].partition(":")[0] == request.url.host, f"for {request.headers['host']!r}: {url!r}")
    check("authorization" not in request.headers, f"with a name and password: {url!r}")
