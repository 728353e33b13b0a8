"""``dossier console``: where it listens, and what it prints first."""

from __future__ import annotations

import json
import socket
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn

from tests.cli.conftest import Dossier
from tests.inprocess import InProcess


@dataclass
class Served:
    """What the command would have served, and which pages it has opened."""

    sockets: list[socket.socket] = field(default_factory=list)
    configs: list[uvicorn.Config] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Take the server's place."""
    found = Served()

    def run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        found.sockets += sockets
        found.configs.append(server.config)

    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr(webbrowser, "open", found.opened.append)
    yield found
    for each in found.sockets:
        each.close()


@pytest.mark.rule("security: open the console without its URL")
def test_it_listens_only_on_loopback(dossier: Dossier, served: Served) -> None:
    """And its URL opens it."""
    result = dossier("console", "--no-open", "--json")
    assert result.exit_code == 0, result.stderr
    url = json.loads(result.stdout.splitlines()[0])["url"]
    host, port = served.sockets[0].getsockname()
    assert host == "127.0.0.1"
    assert url.startswith(f"http://127.0.0.1:{port}/?token=")
    assert served.opened == []
    app = served.configs[0].loaded_app if served.configs[0].loaded else served.configs[0].app
    with httpx.Client(transport=InProcess(app), follow_redirects=True, trust_env=False) as http:
        assert http.get(url).url.path == "/cases"


def test_it_opens_the_browser_for_a_person(dossier: Dossier, served: Served) -> None:
    """Stdout has the URL, stderr its explanation."""
    result = dossier("console")
    assert served.opened == [result.stdout.strip()]
    assert "with your AWS credentials" in result.stderr


def test_a_port_that_is_named_is_taken(dossier: Dossier, served: Served) -> None:
    """Or the command says that it is not free; without a name any free one does."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = dossier("console", "--no-open", "--port", str(port))
        assert (result.exit_code, served.sockets) == (1, [])
        assert f"port {port} is taken" in result.stderr
    assert dossier("console", "--no-open", "--port", str(port)).exit_code == 0
    assert served.sockets[0].getsockname()[1] == port
    assert dossier("console", "--no-open").exit_code == 0
    assert dossier("console", "--no-open").exit_code == 0  # the default port is taken by now
    assert served.sockets[1].getsockname() != served.sockets[2].getsockname()


def test_each_run_has_its_own_secrets(dossier: Dossier, served: Served) -> None:
    """A URL of a former run opens nothing."""
    first, second = (dossier.json("console", "--no-open")["url"] for _ in range(2))
    assert first.partition("token=")[2] != second.partition("token=")[2]
