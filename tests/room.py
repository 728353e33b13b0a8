"""A case that waits at DocuStack, over AWS in memory and a vendor of a few lines, on a clock that tests move."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from dossier.models import CaseId, Document, iso
from dossier.settings import Poll
from dossier.steps import poll as poll_step
from dossier.steps import wake as wake_step
from dossier.stores import limiter as limiter_store
from dossier.stores.cases import Case
from dossier.stores.limiter import Limiter
from dossier.stores.waits import Wait
from dossier.transport import Transport
from tests.clock import Clock
from tests.conftest import Cloud
from tests.machine import Tokens, World
from tests.records import record

CASE = CaseId("invoices", "R-1")
Answer = Callable[[str], httpx.Response | Exception]


@dataclass
class Room:
    """The waiting room with one case in it. ``answer`` is the vendor: from a document's id to its answer."""

    cloud: Cloud
    clock: Clock
    documents: int = 1
    poll: Poll = field(default_factory=lambda: Poll(first=0, every=10, max=60, deadline=36_000))
    latency: float = 0.3
    rate: float = 1000.0
    asked: list[str] = field(default_factory=list)
    """The document of each request, in order."""
    polls: list[datetime] = field(default_factory=list)
    """When each poll began."""

    def __post_init__(self) -> None:
        """Store a case whose documents are with the vendor, and its wait."""
        self.world = World(self.cloud)
        settings = self.world.connections[CASE[0]]
        limits = settings.limits.model_copy(update={"requests_per_second": self.rate})
        self.world.connections[CASE[0]] = settings.model_copy(update={"poll": self.poll, "limits": limits})
        self.statuses = {f"d{index}": "processing" for index in range(self.documents)}
        self.answer: Answer = self.status
        app = self.cloud.app
        limiter = Limiter(app.table, clock=self.clock.seconds, sleep=self.clock.sleep)
        client = httpx.Client(transport=httpx.MockTransport(self._serve))
        transport = Transport(client, keys=self.world.keys, turns=limiter, open_file=app.objects.open, patience=1)
        self.world.context = self.world.context.replacing(transport=transport, limiter=limiter)
        self.tokens: Tokens = self.world.tokens
        app.cases.claim(record(reference=CASE[1], connection=CASE[0], vendor="docustack", status="waiting"))
        documents = [
            Document(index=index, name=f"{index}.pdf", key="k", document_id=f"d{index}", job_id=f"j{index}")
            for index in range(self.documents)
        ]
        app.cases.put_documents(CASE, documents, fresh=True)
        app.waits.start(CASE, phase="documents", token="t1", first=0, deadline=self.poll.deadline)

    def status(self, document_id: str) -> httpx.Response | Exception:
        """Answer as DocuStack does."""
        return httpx.Response(200, json={"document_id": document_id, "status": self.statuses[document_id]})

    def _serve(self, request: httpx.Request) -> httpx.Response:
        found = re.search(r"/documents/([^/]+)/status", request.url.path)
        assert found is not None, request.url
        self.asked.append(found[1])
        self.clock.sleep(self.latency)
        answer = self.answer(found[1])
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def wait(self) -> Wait | None:
        """The case's wait."""
        return self.cloud.app.waits.find(CASE)

    @property
    def case(self) -> Case:
        """The case as it is stored, and shown."""
        return self.cloud.app.cases.get(CASE)

    def serve(self) -> list[str]:
        """Let the next poll come at its time; return the documents that it asked for."""
        wait, before = self.wait, len(self.asked)
        assert wait is not None
        self.clock.at = max(self.clock.at, wait.next_at)
        self.polls.append(self.clock.at)
        poll_step.poll(CASE, wait.seq, context=self.world.context)
        return self.asked[before:]

    def delivery(self, **body: Any) -> None:
        """Let a delivery about a document (or job) come."""
        wake_step.nudge(CASE, list(body.values()), context=self.world.context)

    def left(self) -> float:
        """Return how long it is until the next poll, in seconds."""
        wait = self.wait
        assert wait is not None
        return (wait.next_at - self.clock.at).total_seconds()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of a test."""
    return Clock(monkeypatch)


__all__ = ["CASE", "Room", "clock", "iso", "limiter_store"]
