"""Vendors that answer as a later version of their API may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from dossier.transport import Transport
from tests.machine import World


class Later(httpx.BaseTransport):
    """The sandbox's vendors, some versions later."""

    def __init__(self, world: World, change: Callable[[Any], Any]) -> None:
        self._sandbox, self._change = world.sandbox, change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, and change the answer if it is JSON."""
        answer = self._sandbox.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        is_api = answer.headers["content-type"] == "application/json" and "/storage/" not in str(request.url)
        body = json.dumps(self._change(answer.json())).encode() if is_api else answer.content
        return httpx.Response(
            answer.status_code, headers={"content-type": answer.headers["content-type"]}, content=body
        )


def later(world: World, change: Callable[[Any], Any]) -> None:
    """Let the vendors of a world answer like a later version."""
    client = httpx.Client(transport=Later(world, change), base_url=world.sandbox.base_url)
    app = world.cloud.app
    transport = Transport(client, keys=world.keys, turns=app.limiter, open_file=app.objects.open, patience=5)
    world.context = world.context.replacing(transport=transport)
