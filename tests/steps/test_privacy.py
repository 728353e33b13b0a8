"""Only the case's own data is stored, although the vendor lists other people's cases with it."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.conftest import Cloud
from tests.machine import World, samples


@pytest.mark.rule("docsumo notes, the list of the list only the case's own entry is stored")
def test_nothing_of_other_cases_is_kept(cloud: Cloud) -> None:
    """Docsumo lists cases by the page: of that, only the case's own entry is stored, unchanged."""
    world = World(cloud)
    other = world.submit("claims", "R-1", samples("receipt.png"), options={"case_title": "Somebody Else"})
    pages: list[bytes] = []

    def see(reply: httpx.Response) -> None:
        if reply.request.url.path.endswith("/cases"):
            pages.append(reply.read())
            reply.stream, reply.is_stream_consumed, reply.is_closed = httpx.ByteStream(reply.content), False, False

    world.sandbox.event_hooks["response"].append(see)
    own = world.submit("claims", "R-2", samples("invoice.pdf"))
    kept = cloud.app.objects.read("cases/claims/R-2/vendor/case.json")
    assert kept is not None
    assert json.loads(kept)["case_id"] == own["case_id"]
    assert any(kept in page for page in pages)
    for key, _ in cloud.app.objects.list("cases/claims/R-2/"):
        body = cloud.app.objects.read(key) or b""
        assert b"Somebody Else" not in body, key
        assert other["case_id"].encode() not in body, key
    assert own["title"] == "invoice.pdf"
