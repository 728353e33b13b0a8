"""A look-up of several requests that is interrupted continues from where it was, however often that happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dossier.errors import VendorUnavailableError
from dossier.http import Effect, Flow, Reply, Request
from dossier.models import CaseId
from dossier.senders import drive
from dossier.stores import lookups
from dossier.stores.lookups import Lookup
from tests.conftest import Cloud
from tests.machine import World, samples

PAGES = [Request("GET", f"/page/{number}") for number in range(4)]


def _pages() -> Flow[list[bytes]]:
    """Read four pages."""
    read = []
    for request in PAGES:
        reply = yield request
        read.append(reply.body)
    return read


def _drive(lookup: Lookup, flow: Flow[list[bytes]], answers: Iterator[bytes]) -> tuple[list[str], list[bytes] | None]:
    """Answer a flow's requests until the answers end; return the requests, and the flow's own answer if it ended."""
    asked: list[str] = []

    def send(request: Request) -> Reply:
        asked.append(request.path)
        body = next(answers, None)
        if body is None:
            raise VendorUnavailableError("the answers end here")
        return Reply(200, body, {"content-type": "text/plain"})

    try:
        read = drive(flow, lookup.remembering(send))
    except VendorUnavailableError:
        lookup.interrupt()
        return asked, None
    lookup.forget()
    return asked, read


def test_each_page_is_asked_for_until_it_is_read(cloud: Cloud) -> None:
    """A try does not request again what an earlier one has read; after the end nothing is left."""

    def lookup() -> Lookup:
        return Lookup(cloud.app.table, CaseId("claims", "R-1"), "upload-0")

    assert _drive(lookup(), _pages(), iter([])) == (["/page/0"], None)
    # the answer to the second page came, but whether the flow can use it shows with the request after it
    assert _drive(lookup(), _pages(), iter([b"a", b"b"])) == (["/page/0", "/page/1", "/page/2"], None)
    assert _drive(lookup(), _pages(), iter([b"c"])) == (["/page/2", "/page/3"], None)
    assert _drive(lookup(), _pages(), iter([b"d"])) == (["/page/3"], [b"a", b"b", b"c", b"d"])
    assert _drive(lookup(), _pages(), iter([b"e"])) == (["/page/0", "/page/1"], None)


def test_stored_answers_expire(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old answer is requested again; another look-up's is not used at all."""
    _drive(Lookup(cloud.app.table, CaseId("claims", "R-1"), "upload-0"), _pages(), iter([b"a", b"b"]))
    assert _drive(Lookup(cloud.app.table, CaseId("claims", "R-1"), "artifacts"), _pages(), iter([]))[0] == ["/page/0"]
    later = lookups.time.time() + lookups.FRESH + 1
    monkeypatch.setattr(lookups.time, "time", lambda: later)
    assert _drive(Lookup(cloud.app.table, CaseId("claims", "R-1"), "upload-0"), _pages(), iter([]))[0] == ["/page/0"]


def test_flow_with_a_write_is_not_remembered(cloud: Cloud) -> None:
    """Its answers would be replayed instead of requested."""

    def create() -> Flow[None]:
        yield Request("POST", "/cases", effect=Effect.UNSAFE)

    with pytest.raises(ValueError, match="POST /cases changes something"):
        drive(create(), Lookup(cloud.app.table, CaseId("claims", "R-1"), "open").remembering(lambda _: Reply(200)))


def test_a_lost_upload_is_found_among_many_at_a_vendor_that_fails_often(cloud: Cloud) -> None:
    """Eight cases may be the lost one: nine answers, where every second fails; tries that began anew would not end."""
    world = World(cloud)
    receipt = samples("receipt.png")["receipt.png"]
    for number in range(8):
        world.submit("claims", f"other-{number}", {f"other-{number}.png": receipt})
    for item in list(cloud.app.table.index("IDS#claims")):
        cloud.app.table.delete(item["pk"], item["sk"])  # as if somebody else had made them
    cloud.app.table.delete("SEEN#claims", "LATEST")
    lost = {"name": "error_after", "rate": 1, "operation": "upload", "times": 1, "status": 502}
    failing = [{"name": "error_before", "rate": 0.5, "operation": name} for name in ("list", "files")]
    world.sandbox.post("/_sandbox/settings", json={"seed": 5, "faults": [lost, *failing]})
    before = len(world.journal())
    assert world.submit("claims", "mine", samples("invoice.pdf"))["status"] == "completed"
    faults = [entry["fault"] for entry in world.journal()[before:]]
    assert faults.count("error_after") == 1
    assert faults.count("error_before") > 4
    assert sum(each["name"] == "invoice.pdf" for each in world.effects("document_uploaded")) == 1


def test_a_look_up_of_a_few_requests_stores_nothing(cloud: Cloud) -> None:
    """Unless it is interrupted, by whatever: then what it has used is there for the next try."""
    rows = [f"READ#{each}" for each in ("claims#R-1", "claims")]

    def stored() -> int:
        return sum(len(list(cloud.app.table.query(pk))) for pk in rows)

    world, seen = World(cloud), list[int]()
    world.submit("claims", "R-1", samples("invoice.pdf"))
    loaded = world.context.load(CaseId("claims", "R-1"))
    assert stored() == 0
    loaded.look_up("artifacts", loaded.vendor.artifacts(loaded.view), note=lambda _: seen.append(stored()))
    assert (seen, stored()) == ([0, 0], 0)
    fault = {"name": "error_before", "rate": 1, "operation": "files"}
    world.sandbox.post("/_sandbox/settings", json={"faults": [fault]}).raise_for_status()
    with pytest.raises(VendorUnavailableError):
        loaded.look_up("artifacts", loaded.vendor.artifacts(loaded.view))
    assert stored() == 1
