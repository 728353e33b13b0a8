"""A vendor with other answers: one request's reply, or each, is replaced."""

from __future__ import annotations

from typing import Any

import httpx

from tests.machine import World


def answering(world: World, path: str, answer: Any) -> None:
    """Replace the vendor's answers to requests whose path contains ``path``: ``answer(request, response)``."""
    send = world.sandbox.send

    def sending(request: httpx.Request, **more: Any) -> httpx.Response:
        response = send(request, **more)
        if path not in str(request.url):
            return response
        body = response.read()
        headers = {name: value for name, value in response.headers.items() if name != "transfer-encoding"}
        whole = httpx.Response(response.status_code, content=body, headers=headers, request=request)
        return answer(request, whole) or whole

    world.sandbox.send = sending  # type: ignore[method-assign]


def json_answer(request: httpx.Request, value: Any, status: int = 200) -> httpx.Response:
    """Return a reply of the vendor's."""
    return httpx.Response(status, json=value, request=request)
