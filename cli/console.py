"""``dossier console``: the operator's page, on this machine's loopback."""

from __future__ import annotations

import socket
import webbrowser
from threading import Thread

import uvicorn

from cli.errors import CommandError
from cli.output import Output
from cli.target import Target
from console.app import create
from console.cases import warm
from console.security import Session

HOST = "127.0.0.1"
DEFAULT_PORT = 4790
PATIENCE = 3
"""Seconds that requests in progress have after Ctrl-C."""


def console(out: Output, where: Target, *, port: int | None, no_open: bool) -> None:
    """Serve the page until Ctrl-C, and print its URL first.

    Raises:
        CommandError: the port is taken.

    """
    listening = _listen(port)
    session = Session(listening.getsockname()[1])
    app = create(where, session, who=where.caller)
    first_page = Thread(target=warm, args=(app.state.desk,), daemon=True)
    first_page.start()
    out.at_once({"url": session.url}, session.url)
    out.progress("anybody with this URL can use the console with your AWS credentials; Ctrl-C ends it")
    if not no_open and not out.as_json:
        webbrowser.open(session.url)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=PATIENCE,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        out.progress("the console has ended")
    first_page.join(PATIENCE)


def _listen(port: int | None) -> socket.socket:
    """Return a socket on loopback: on the named port, else on the default one, or a free one if that is taken."""
    for number in (port,) if port is not None else (DEFAULT_PORT, 0):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen()
        except OSError:
            listening.close()
            continue
        return listening
    raise CommandError(f"port {port} is taken", fix="name another one with --port, or none")
