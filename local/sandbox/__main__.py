"""Runs the sandbox on the loopback: ``python -m local.sandbox --port 4780 [--state FOLDER]``."""

import argparse
import ipaddress
import sys
from pathlib import Path

import uvicorn

from local.sandbox import app, context
from local.sandbox.wire import CuttableProtocol


def server(*, host: str, port: int, state: Path | None) -> uvicorn.Server:
    """Build the server; start it with ``run`` or ``serve``."""
    config = uvicorn.Config(
        app.create(context.build(state)),
        host=host,
        port=port,
        http=CuttableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _loopback(text: str) -> str:
    if not ipaddress.ip_address(text).is_loopback:
        raise argparse.ArgumentTypeError("use a loopback address: the sandbox serves only this machine")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=4780)
    parser.add_argument("--host", type=_loopback, default="127.0.0.1")
    parser.add_argument("--state", type=Path, metavar="FOLDER", help="store everything here, across restarts")
    given = parser.parse_args(arguments)
    sys.stdout.write(f"The sandbox runs on http://{given.host}:{given.port}\n")
    sys.stdout.flush()
    server(host=given.host, port=given.port, state=given.state).run()


if __name__ == "__main__":
    main()
