"""Servers on loopback that say exactly what a test wants: for what only a real connection shows."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Speak = Callable[[socket.socket], None]
"""Answers a request whose head has been read; the connection is closed after it."""


@dataclass
class Server:
    """A running server: every request's head as it came, in order."""

    port: int
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """The request targets, byte for byte."""
        return [head.split(b" ")[1].decode("latin-1") for head in self.heads]


def answer(body: bytes = b"", *, status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer's bytes; ``content_length="12"`` is the header Content-Length."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"connection": "close", **given}.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def saying(*answers: bytes) -> Speak:
    """Return what sends the answers, one for each request, the last one for ever."""
    left = list(answers)

    def speak(connection: socket.socket) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return speak


@contextmanager
def serving(speak: Speak, *, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server for as long as the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, server, speak, context), daemon=True).start()
        yield server
        with suppress(OSError):  # wakes accept, which close alone does not
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: Server, speak: Speak, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, server, speak, context), daemon=True).start()


def _serve(connection: socket.socket, server: Server, speak: Speak, context: ssl.SSLContext | None) -> None:
    with suppress(OSError), connection:
        connection.settimeout(10)
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := stream.recv(65536)):
                return
            head += part
        server.heads.append(head)
        speak(stream)
        with suppress(OSError):
            stream.shutdown(socket.SHUT_WR)
            while stream.recv(65536):  # a reset would take away what was sent
                pass
