"""Answers with a broken connection: reset before the answer, or closed within it.

ASGI cannot close a connection, so the server is uvicorn with a protocol class that records its transports by the two
ends of the connection, which the ASGI scope has too.
"""

import asyncio
import socket
import struct

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_Ends = tuple[tuple[str, int | None] | None, tuple[str, int] | None]
transports: dict[_Ends, asyncio.Transport] = {}
"""The open connections, by their ends: the server's, then the client's."""


class CuttableProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol, which records the transport of each connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        """Record the transport of a new connection."""
        super().connection_made(transport)
        transports[(self.server, self.client)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the transport of a closed connection."""
        transports.pop((self.server, self.client), None)
        super().connection_lost(exc)


def _transport(scope: Scope) -> asyncio.Transport:
    server, client = scope["server"], scope["client"]
    return transports[(tuple(server), tuple(client))]  # KeyError: not served through CuttableProtocol


async def _until_closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Dropped(Response):
    """No answer at all: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # nothing is sent
        """Reset the connection (RST, as ``SO_LINGER`` with no time does)."""
        transport = _transport(scope)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await _until_closed(receive)


class CutShort(Response):
    """Sends an answer with only the first half of its body."""

    def __init__(self, whole: Response) -> None:
        super().__init__(status_code=whole.status_code)
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, half of the body, and close."""
        left = 0

        async def send_half(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(Headers(raw=message["headers"]).get("content-length", "0")) // 2
                await send(message)
            elif part := message.get("body", b"")[:left]:
                left -= len(part)
                await send({**message, "body": part, "more_body": True})

        transport = _transport(scope)
        await self._whole(scope, receive, send_half)
        transport.close()
        await _until_closed(receive)
