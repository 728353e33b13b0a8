"""A server in this process, for a client that is not asynchronous.

Starlette's own ``TestClient`` starts a thread with an event loop for each request, which takes longer than the request.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from local.sandbox import wire

CLIENT = ("testclient", 50000)


class Connection(asyncio.Transport):
    """A connection that the application breaks: its client sees what it would see of a real one."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a socket that takes any option."""
        return self

    def setsockopt(self, *_: Any) -> None:
        """Do nothing: there is no socket."""

    def abort(self) -> None:
        """Reset the connection."""
        raise httpx.ReadError("[Errno 104] Connection reset by peer")

    def close(self) -> None:
        """Close the connection within an answer."""
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class InProcess(httpx.BaseTransport):
    """Sends requests to an ASGI application, and returns whole responses.

    Each request has a loop to itself while it lasts: requests may come from several threads, and a request may cause
    another one. Tasks that it leaves behind are cancelled.
    """

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app, client=CLIENT)
        self._idle: list[asyncio.AbstractEventLoop] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the application's response; what it raises is raised here."""
        request.read()
        wire.transports[((request.url.host, request.url.port), CLIENT)] = Connection()
        loop = self._idle.pop() if self._idle else asyncio.new_event_loop()
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(None)  # a request that is made while another one is answered
        try:
            return loop.run_until_complete(self._exchange(request))
        finally:
            asyncio._set_running_loop(before)
            self._idle.append(loop)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        answer = await self._app.handle_async_request(request)
        body = b"".join([part async for part in answer.aiter_raw()])
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body))

    def close(self) -> None:
        """Close the loops."""
        while self._idle:
            self._idle.pop().close()


def client(app: Any, base_url: str) -> httpx.Client:
    """Return a client of an application in this process."""
    return httpx.Client(transport=InProcess(app), base_url=base_url, follow_redirects=True, trust_env=False)
