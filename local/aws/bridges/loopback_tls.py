"""Requests over this machine's loopback count as made over TLS.

On AWS the policies of CDK's bootstrap bucket and Dossier's own deny plain HTTP (``aws:SecureTransport``). MiniStack
serves plain HTTP and honours those policies, so nothing could be deployed. The bridge treats the connection as secure;
it never leaves the machine.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import app, replace


def install() -> None:
    """Install the bridge."""
    replace(app, "pin_request_origin", "source_ip, secure_transport", _pin)


def _pin(original: Callable[..., Any], source_ip: str, _secure_transport: bool) -> None:
    original(source_ip, True)
