"""The state machine's path, walked in process: the same steps in the same order, over AWS in memory and the sandbox.

It stands in for Step Functions alone (retries by class name, task tokens); what is deployed is tested in ``tests/e2e``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
from botocore.handlers import BUILTIN_HANDLERS

from dossier.connections import load_toml
from dossier.errors import CaseFailedError, DossierError, InvalidCaseError, NeedsAttentionError, PausedError
from dossier.models import CaseId, Phase
from dossier.ports import Uploaded
from dossier.settings import Connection, Limits, Poll
from dossier.steps.accept import accept
from dossier.steps.ask import ask
from dossier.steps.collect import collect
from dossier.steps.context import Context
from dossier.steps.download import download_all
from dossier.steps.poll import poll
from dossier.steps.process import process
from dossier.steps.publish import fail, publish
from dossier.steps.refresh import ask as ask_again
from dossier.steps.upload import open_case, upload
from dossier.steps.wait import wait
from dossier.stores.clients import Clients
from dossier.transport import Transport
from local.sandbox import accounts
from local.sandbox.app import create
from local.sandbox.context import build
from tests.conftest import Cloud
from tests.inprocess import client

ROOT = Path(__file__).parents[1]
LONGEST = 60.0
"""Seconds after which a wait that polls do not end hangs; some tests let a deadline of a second or two pass."""
STRIDE = int(os.environ.get("DOSSIER_CRASH_STRIDE", "61"))
"""Every how many-th call the crash walks kill at: all of them in ``make chaos``."""
TRIES = 20
T = TypeVar("T")


@cache
def shipped() -> Mapping[str, Connection]:
    """Return the connections of the repository's own file."""
    return load_toml(ROOT / "connections.toml")


class Killed(BaseException):
    """The function was killed: nothing of our own may catch it."""


@dataclass
class Tokens:
    """Task tokens, answered: what ``stores.executions`` does, without Step Functions."""

    answers: dict[str, Any] = field(default_factory=dict)
    started: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def succeed(self, token: str, output: dict[str, Any]) -> bool:
        """Answer a token with success."""
        return self.answers.setdefault(token, output) is output

    def fail(self, token: str, error: Exception) -> bool:
        """Answer a token with failure."""
        return self.answers.setdefault(token, error) is error

    def start(self, name: str, case: dict[str, Any], *, trace: str | None = None) -> str:
        """Note that an execution was started."""
        self.started.append((name, case))
        return f"arn:{name}"


class Keys:
    """The sandbox's own keys."""

    def __init__(self) -> None:
        self.known = accounts.load()
        self.named = {"invoices": "docustack", "claims": "docsumo", "disputes": "ombudsman"}
        """The vendor of each connection."""
        self.wrong = False
        """Whether the keys are not the vendors'."""
        self.asked = 0
        """How often a key was asked for."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return the key of a connection's account."""
        del fresh
        self.asked += 1
        return str(getattr(self.known, self.named[connection]).api_key) + ("x" if self.wrong else "")


@dataclass
class Killer:
    """Kills the function at one of its external calls: before the request, or after the answer has come."""

    at: int | None = None
    seen: int = 0
    inside: bool = False
    """Whether a function runs: only then can it be killed."""
    forever: bool = False
    """Whether it dies at every call from the chosen one on."""
    at_work: ClassVar[Killer | None] = None
    """That of the newest world, which AWS's clients ask."""

    def strike(self, *_: Any, **__: Any) -> None:
        """Count a call's beginning or end; at the chosen one the function dies."""
        if not self.inside:
            return
        self.seen += 1
        number = self.seen - 1
        if self.at is not None and (number == self.at or (self.forever and number > self.at)):
            raise Killed


def _strike(**_: Any) -> None:
    """Ask the killer at a call to AWS."""
    if Killer.at_work is not None:
        Killer.at_work.strike()


BUILTIN_HANDLERS += [("before-call", _strike), ("after-call", _strike)]


class World:
    """Dossier, AWS in memory and the sandbox, in one process."""

    def __init__(self, cloud: Cloud, *, client: Callable[..., httpx.Client] = client, **sandbox: Any) -> None:
        """Start a sandbox; starlette's ``TestClient``, in a ``with``, lets it work between requests."""
        self.cloud = cloud
        self.ahead = 0.0
        """Seconds by which the vendors are ahead of the clock: what takes them an hour is done in no time."""
        vendors_now = build(now=lambda: time.time() + self.ahead)
        self.sandbox = client(create(vendors_now), base_url="http://127.0.0.1:4780")
        unlimited = {"docsumo": None, "docustack": None}
        settings = {"seconds": 0, "webhooks": False, "rate_limits": unlimited, **sandbox}
        self.sandbox.post("/_sandbox/settings", json=settings)
        known = shipped()
        poll = Poll(first=0, every=0.001, max=0.001, deadline=600)
        fast = {"poll": poll, "settling": 0, "limits": Limits(requests_per_second=1000, concurrency=5)}
        self.connections = {name: each.model_copy(update=fast) for name, each in known.items()}
        self.tokens = Tokens()
        self.ran: set[str] = set()
        """Executions that were walked: of one name there is one."""
        self.retried: list[str] = []
        self.before_collect: Callable[[], object] | None = None
        """Happens when the vendor is done, and nothing collected."""
        self.before_publish: Callable[[], object] | None = None
        """Happens when everything is downloaded, and nothing published."""
        self.on_kill: Callable[[], object] | None = None
        """Looks at what a killed function has left."""
        self.last_arn = ""
        self.asked: list[str] = []
        self.killer = Killer()

        def say_when(response: httpx.Response) -> None:
            """Add what every server says, and one in process does not."""
            response.headers.setdefault("date", formatdate(vendors_now.now(), usegmt=True))

        self.sandbox.event_hooks = {"request": [self.killer.strike], "response": [say_when, self.killer.strike]}
        Killer.at_work = self.killer
        app = cloud.app = Context(cloud.app.environment, Clients(cloud.session))
        self.sent_events: list[tuple[str, dict[str, Any]]] = []
        """The events on the bus, in order: detail-type and detail."""
        put = app.events.put

        def tell(kind: Any, detail: dict[str, Any]) -> None:
            put(kind, detail)
            self.sent_events.append((kind, detail))

        app.events.put = tell  # type: ignore[assignment,method-assign]
        self.keys = Keys()
        self.transport = Transport(
            self.sandbox, keys=self.keys, turns=app.limiter, open_file=app.objects.open, patience=5
        )
        for part in ("cases", "intents", "limiter", "refreshes", "waits", "evidence", "verdicts"):
            getattr(app, part)  # what is made is shared
        self.context = app.replacing(
            transport=self.transport, connection_of=self.connection, executions=self.tokens, rivalry=timedelta(0)
        )

    def connection(self, name: str) -> Connection:
        """Return a connection, as the settings layer would."""
        if name not in self.connections:
            raise InvalidCaseError(f'unknown connection "{name}"')
        return self.connections[name]

    def submit(self, connection: str, reference: str, files: Mapping[str, bytes], **rest: Any) -> dict[str, Any]:
        """Put files into the bucket and walk the case to its end; return its result."""
        documents = [
            {"uri": self.cloud.put(f"staging/{connection}/{reference}/{index}", body), "name": name}
            for index, (name, body) in enumerate(files.items())
        ]
        case = {"connection": connection, "reference": reference, "documents": documents, **rest}
        return self.execute(case, f"arn:{connection}-{reference}")

    def execute(self, case: dict[str, Any], arn: str) -> dict[str, Any]:
        """Walk one execution to its end; return result.json."""
        self.last_arn = arn
        self.ran.add(arn)
        try:
            self._walk(case, arn)
        except DossierError as error:
            self.fail(case, arn, type(error).__name__, str(error))
        body = self.cloud.app.objects.read(f"cases/{case['connection']}/{case['reference']}/result.json")
        return dict(json.loads(body)) if body else {}

    def fail(self, case: dict[str, Any], arn: str, error: str, message: str) -> None:
        """Record that an execution failed, as the state machine and the event of its end do."""
        cause = json.dumps({"errorMessage": message})
        self._try(lambda: fail(case, arn, error, cause, context=self.context))

    def run_started(self) -> list[str]:
        """Walk the executions that were started meanwhile, each once, and those that they start; return their names."""
        walked: list[str] = []
        while self.tokens.started:
            name, case = self.tokens.started.pop(0)
            if f"arn:{name}" not in self.ran:
                self.execute(case, f"arn:{name}")
                walked.append(name)
        return walked

    def refresh(self, connection: str, reference: str) -> list[str]:
        """Ask for a case to be collected again, and walk what that starts; return the executions' names."""
        ask_again(CaseId(connection, reference), context=self.context, insist=True)
        return self.run_started()

    def refresh_until_committed(self, connection: str, reference: str) -> None:
        """Walk a refresh until its revision is committed; then its execution is gone."""

        class Gone(BaseException):
            pass

        cases = self.context.cases

        class Watched:
            def __getattr__(self, name: str) -> Any:
                return getattr(cases, name)

            def commit(self, *args: Any, **more: Any) -> bool:
                assert cases.commit(*args, **more)
                raise Gone

        whole, self.context = self.context, self.context.replacing(cases=Watched())
        try:
            self.refresh(connection, reference)
        except Gone:
            pass
        finally:
            self.context = whole

    def _walk(self, case: dict[str, Any], arn: str) -> None:
        context = self.context
        accepted = self._try(lambda: accept(case, arn, context=context))
        if accepted.outcome == "duplicate":
            return None
        names, collection = CaseId(accepted.connection, accepted.reference), accepted.collection
        if accepted.outcome == "refresh":
            return self._collect(names, collection)
        if accepted.outcome == "publish":
            return self._publish(names, collection)
        if accepted.asks:
            self._try(lambda: ask(names, "budget", "budget", "", context=context))
            self.asked.append("budget")
            self._answer("budget", names)
        if accepted.opens:
            self._asking("open", names, lambda: open_case(names, context=context))
        for batch in accepted.uploads:
            self._asking(f"upload-{batch}", names, lambda batch=batch: upload(names, batch, context=context))  # type: ignore[misc]
        late = self._poll(names, accepted.phases[0])
        if len(accepted.phases) > 1 and not late:
            self._try(lambda: process(names, context=context))
            self._poll(names, accepted.phases[1])
        return self._collect(names, collection)

    def _collect(self, names: CaseId, collection: str) -> None:
        if self.before_collect:
            self.before_collect()
        collected = self._try(lambda: collect(names, collection, context=self.context))
        for chunk in collected.artifacts:
            self._try(lambda chunk=chunk: download_all(names, chunk, collection, context=self.context))  # type: ignore[misc]
        self._publish(names, collection)

    def _publish(self, names: CaseId, collection: str) -> None:
        if self.before_publish:
            self.before_publish()
        self._try(lambda: publish(names, collection, context=self.context))

    def _asking(self, what: str, names: CaseId, step: Callable[[], None]) -> None:
        while True:
            try:
                return self._try(step)
            except NeedsAttentionError as error:
                cause = json.dumps({"errorMessage": str(error)})
                self._try(lambda: ask(names, what, what, cause, context=self.context))  # noqa: B023
                self.asked.append(what)
                self._answer(what, names)

    def _answer(self, what: str, names: CaseId) -> None:
        """Answer as an operator does who looked at the vendor: what is there is used, else it is done again."""
        created = self.effects("case_created")
        if what == "open" and created:
            self._try(lambda: self.context.intents.answer(names, what, Uploaded(case_id=created[-1]["case_id"])))
        else:
            self._try(lambda: self.context.intents.end(names, what))
        self._try(lambda: self.context.cases.answered(names, what))

    def _poll(self, names: CaseId, phase: Phase) -> bool:
        """Wait until the vendor is done; return whether the deadline has passed before."""
        token = f"token-{len(self.tokens.answers)}-{phase}-{names[1]}"
        app = self.cloud.app
        self._try(lambda: wait(names, phase, token, context=self.context))
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            current = app.waits.find(names)
            if token in self.tokens.answers or current is None:
                break
            seq = current.seq
            self._try(lambda seq=seq: poll(names, seq, context=self.context))  # type: ignore[misc]
        answer = self.tokens.answers[token]
        if isinstance(answer, Exception):
            raise answer
        return bool(answer.get("late"))

    def _try(self, step: Callable[[], T]) -> T:
        """Retry as the state machine does: errors below CaseFailedError never, everything else again."""
        last = ""
        for _ in range(TRIES):
            self.killer.inside = True
            try:
                return step()
            except (CaseFailedError, NeedsAttentionError, PausedError):
                raise
            except (Exception, Killed) as error:  # noqa: BLE001 -- whatever ends a function is tried again
                self.retried.append(type(error).__name__)
                last = str(error)
                if self.on_kill and isinstance(error, Killed):
                    self.killer.inside = False
                    self.on_kill()
            finally:
                self.killer.inside = False
        raise AssertionError(f"gave up after {self.retried}: {last}")

    def journal(self) -> list[dict[str, Any]]:
        """Return the vendors' own journal: every request that reached them."""
        return list(self.sandbox.get("/_sandbox/journal").json()["entries"])

    def effects(self, name: str) -> list[dict[str, Any]]:
        """Return everything of one kind that took effect at a vendor (``document_uploaded``, ``case_created``)."""
        return [effect for entry in self.journal() for effect in entry["effects"] if effect["effect"] == name]


def samples(*names: str) -> dict[str, bytes]:
    """Return sample documents by name."""
    return {name: (ROOT / "events" / "documents" / name).read_bytes() for name in names}
