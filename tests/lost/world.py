"""Uploads whose answers are lost, one after the other: the real step and stores over the sandbox, in simulated time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from dossier.connections import load_toml
from dossier.environment import Environment
from dossier.errors import NeedsAttentionError, RetryableError
from dossier.models import CaseId, Document
from dossier.settings import Connection, Limits
from dossier.steps import context as context_step
from dossier.steps import upload as upload_step
from dossier.stores import cases as cases_store
from dossier.stores import intents as intents_store
from dossier.stores import lookups as lookups_store
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.clients import Clients
from dossier.stores.limiter import Limiter
from dossier.transport import Transport
from dossier.vendors.docsumo import flows as docsumo_flows
from dossier.vendors.docustack import adapter as docustack_adapter
from local.sandbox import accounts
from local.sandbox.app import create
from local.sandbox.context import build
from tests.inprocess import client
from tests.machine import ROOT
from tests.waiting.models import Clock, MemoryTable

CONNECTIONS = {"invoices": "docustack", "claims": "docsumo", "disputes": "ombudsman"}
SETTLING = 30.0
CONTENT = b"%PDF-1.7 of "
TRIES = 60
"""Tries of a step, some seconds apart, for twenty minutes, like those of the state machine."""


class LostWorld:
    """One connection, its vendor in the sandbox, and a clock that only the test moves."""

    def __init__(self, connection: str, **sandbox: Any) -> None:
        self.clock, self.name, self.vendor = Clock(), connection, CONNECTIONS[connection]
        self.sandbox = client(create(build(now=self.clock.seconds)), "http://127.0.0.1:4780")
        self.settings: dict[str, Any] = {
            "seconds": 0,
            "webhooks": False,
            "rate_limits": {"docsumo": None, "docustack": None},
            **sandbox,
        }
        self.faults: list[dict[str, Any]] = self.settings.pop("faults", [])
        self.table, self.key = MemoryTable(), accounts.load().keys()[self.vendor]
        known = load_toml(ROOT / "connections.toml")[connection]
        limits = Limits(requests_per_second=1000, concurrency=5)
        self.connection: Connection = known.model_copy(update={"settling": SETTLING, "limits": limits})
        limiter = Limiter(self.table, clock=self.clock.seconds, sleep=self.clock.sleep)  # type: ignore[arg-type]
        self.kept: dict[str, bytes] = {}
        transport = Transport(
            self.sandbox,
            keys=SimpleNamespace(api_key=lambda *_, **__: self.key),  # type: ignore[arg-type]
            turns=limiter,
            open_file=lambda key, _size: io.BytesIO(CONTENT + key.encode()),
            patience=1,
        )
        self.context = context_step.Context(Environment(), cast("Clients", None)).replacing(
            table=self.table,
            objects=SimpleNamespace(write=lambda key, data, **_: self.kept.update({key: data})),
            limiter=limiter,
            transport=transport,
            connection_of=lambda _: self.connection,
        )
        self.meanwhile: list[Callable[[], None]] = []
        """Actions of others right after an upload has reached the vendor, before its answer is missed."""
        self.sandbox.event_hooks = {"response": [self._others]}
        self.numbers = 0
        self.asked: dict[str, str] = {}
        """The questions, by reference."""
        self.lose()

    def _others(self, response: Any) -> None:
        """Run the actions of others once an upload has reached the vendor."""
        if self.meanwhile and response.request.method == "POST" and "/_sandbox/" not in response.request.url.path:
            waiting, self.meanwhile = self.meanwhile, []
            for each in waiting:
                each()

    def lose(self, *fates: str) -> None:
        """Have the next uploads lose their answers: ``before`` or ``after`` the work; later ones succeed."""
        rules = [
            {
                "name": f"error_{fate}",
                "vendor": self.vendor,
                "operation": "upload",
                "rate": 1,
                "times": 1,
                "status": 502,
            }
            for fate in fates
        ]
        answer = self.sandbox.post("/_sandbox/settings", json={**self.settings, "faults": [*rules, *self.faults]})
        assert answer.status_code == 200, answer.text

    def case(self, *names: str, into: str | None = None) -> str:
        """Store a case that is about to upload documents of these names; return its reference."""
        self.numbers += 1
        reference, at = f"R-{self.numbers}", self.clock.now()
        record = CaseRecord(
            connection=self.name,
            reference=reference,
            vendor=self.vendor,
            status="accepted",
            submitted_at=at,
            updated_at=at,
            case_id=into,
            appends_to=into,
        )
        self.context.cases.claim(record)
        documents = [
            Document(
                index=index, name=name, key=f"{reference}/{index}", size=len(CONTENT) + len(f"{reference}/{index}"),
                content_type="application/pdf",
            )
            for index, name in enumerate(names)
        ]  # fmt: skip
        self.context.cases.put_documents(CaseId(self.name, reference), documents, fresh=True)
        return reference

    def upload(self, reference: str) -> bool:
        """Try as the state machine does until the documents are uploaded; False if an operator is asked."""
        case = CaseId(self.name, reference)
        loaded = self.context.load(case)
        vendor, view = loaded.vendor, loaded.view
        steps = [lambda: upload_step.open_case(case, context=self.context)] if vendor.opens_case else []
        steps += [
            lambda batch=batch: upload_step.upload(case, batch, context=self.context)  # type: ignore[misc]
            for batch in range(len(vendor.batches(view)))
        ]
        try:
            for step in steps:
                self._try(step)
        except NeedsAttentionError as error:
            self.asked[reference] = str(error)
            return False
        return True

    def _try(self, step: Any) -> None:
        for _ in range(TRIES):
            self.clock.sleep(1)
            try:
                return step()
            except RetryableError:
                self.clock.sleep(10)
        raise AssertionError("gave up")

    def stranger(self, *names: str) -> None:
        """Upload files as another user of the account does, into no case of Dossier's."""
        headers, files = {"x-api-key": self.key}, [(name, CONTENT + b"a stranger's " + name.encode()) for name in names]
        if self.vendor == "docustack":
            data = {"schema_id": "sch_xyz789", "organization_id": "org_abc123"}
            for each in files:
                self.sandbox.post(
                    "/docustack/api/v1/documents/upload", data=data, files={"file": each}, headers=headers
                )
        elif self.vendor == "docsumo":
            self.sandbox.post(
                "/docsumo/api/v1/upload-service/agents/casetype/case",
                data={"casetype_id": "casetype__d1t5b"},
                files=[("files", each) for each in files],
                headers=headers,
            )

    def found(self, reference: str) -> Case:
        """Return the stored case."""
        return self.context.cases.get(CaseId(self.name, reference))

    def requests(self, operation: str) -> int:
        """Return how often an operation was requested."""
        return sum(each["operation"] == operation for each in self.journal())

    def journal(self) -> list[dict[str, Any]]:
        """Return the vendor's own journal."""
        return list(self.sandbox.get("/_sandbox/journal").json()["entries"])

    def uploads(self, reference: str) -> list[dict[str, Any]]:
        """Return a case's documents that reached the vendor."""
        sums = {hashlib.sha256(CONTENT + each.key.encode()).hexdigest() for each in self.found(reference).documents}
        effects = [each for entry in self.journal() for each in entry["effects"]]
        return [each for each in effects if each["effect"] == "document_uploaded" and each["sha256"] in sums]


@contextmanager
def time_of(clock: Clock) -> Iterator[None]:
    """Make all code use this clock."""
    modules: list[Any] = [upload_step, context_step, cases_store, intents_store, docsumo_flows, docustack_adapter]
    own = [(module, module.now) for module in modules if hasattr(module, "now")]
    times = lookups_store.time
    for module, _ in own:
        module.now = clock.now
    lookups_store.time = SimpleNamespace(time=clock.seconds)  # type: ignore[assignment]
    try:
        yield
    finally:
        lookups_store.time = times
        for module, now in own:
            module.now = now
