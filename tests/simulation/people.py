"""People: who submits cases, answers questions, edits at the vendor, asks for cases to be collected again."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.output import Output
from cli.resolve import resolve
from dossier.errors import UnauthorizedError
from dossier.models import CaseId, CaseInput, Priority
from dossier.names import safe_name
from dossier.settings import Connection
from dossier.steps.identity import execution_name, fingerprint
from dossier.steps.redrive import resume
from dossier.steps.refresh import ask as ask_again
from dossier.steps.resolve import Answer
from dossier.stores.dead_letters import DeadLetters
from tests.simulation.clock import CLOCK
from tests.simulation.handlers import ROOT
from tests.simulation.vendors import BASE, Exchange
from tests.simulation.world import BUCKET, World

LOOK_EVERY = 240.0
"""Seconds between two looks of the operator at the open questions and the failed cases."""
MOST_REDRIVEN = 4
"""How often the operator redrives a case."""
ABORTED = 0.15
"""The share of the cases whose execution is stopped once, where that happens at all."""
APART = (-60.0, 90.0)
"""How many seconds after a vendor's new key counts the operator stores it."""


@cache
def _sample() -> bytes:
    return (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()


@dataclass(frozen=True)
class Submission:
    """A case as somebody submits it."""

    number: int
    connection: str
    reference: str
    at: float
    way: str
    """``execution``, ``file`` (a drop) or ``folder`` (a drop with its ``case.json``)."""
    names: tuple[str, ...]
    again: float | None = None
    """When it is submitted once more, if it is."""
    edits: tuple[float, ...] = ()
    """When the vendor's users edit it, in seconds after its submission."""
    priority: Priority = "normal"

    def shrunk(self, *, plain: bool, documents: int | None) -> Submission:
        """Return the case with fewer documents, or submitted in the plainest way."""
        case = replace(self, names=self.names[:documents])
        return replace(case, way="execution", again=None, edits=()) if plain else case

    def content(self, name: str) -> bytes:
        """Return a document's bytes, which no other document has."""
        return _sample() + f"\n% {self.reference} {name}".encode()

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a document."""
        return hashlib.sha256(self.content(name)).hexdigest()

    @cached_property
    def digests(self) -> frozenset[str]:
        """The SHA-256 of each document."""
        return frozenset(self.sha256(name) for name in self.names)


def submissions(
    seed: str, count: int, settings: Mapping[str, Connection], *, over: float, kinds: Mapping[str, float]
) -> list[Submission]:
    """Draw the cases of a seed; each case by its own dice, so that leaving out one does not change the others."""
    found = []
    for number in range(count):
        dice = random.Random(f"{seed}/case/{number}")
        connection = dice.choice(sorted(settings))
        way = dice.choices(["execution", "file", "folder"], [8, 1, 1])[0]
        documents = 1 if way == "file" else dice.choices([1, 2, 3, 7], [6, 3, 2, 1])[0]
        reference = f"C-{number:04}"
        names = tuple(f"{reference}-{each}.pdf" for each in range(documents))
        reference = names[0] if way == "file" else reference
        at = dice.uniform(0, over)
        again = at + dice.uniform(0, 900) if dice.random() < 0.3 and "submitted_twice" in kinds else None
        edits = tuple(dice.uniform(60, 2400) for _ in range(dice.randrange(4))) if "edits" in kinds else ()
        found.append(Submission(number, connection, reference, at, way, names, again, edits))
    return found


@dataclass
class People:
    """Those who work with one deployment."""

    world: World
    submitted: dict[tuple[str, str], Submission] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    """Documents (by SHA-256) and references that an operator had sent again."""
    answers: int = 0
    edits: int = 0
    busy: set[tuple[str, str, str]] = field(default_factory=set)
    moved: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    """The case at Docsumo that was moved to its last stage, and when."""
    redriven: Counter[tuple[str, str]] = field(default_factory=Counter)

    def plan(self, submissions: Sequence[Submission]) -> None:
        """Plan every submission."""
        for each in submissions:
            self.world.scheduler.later(each.at, lambda each=each: self.submit(each))  # type: ignore[misc]
            if each.again is not None:
                self.world.scheduler.later(each.again, lambda each=each: self.submit(each))  # type: ignore[misc]
            for at in each.edits if self.world.settings[each.connection].vendor == "docsumo" else ():
                self.world.scheduler.later(each.at + at, lambda each=each: self.edit(each))  # type: ignore[misc]
        self.world.scheduler.later(LOOK_EVERY, self._look)
        faults = self.world.faults
        for case in submissions if faults.has("aborts") else ():
            dice = random.Random(f"{faults.seed}/abort/{case.number}")
            if dice.random() < ABORTED:
                self.world.scheduler.later(case.at + dice.uniform(0.5, 120), partial(self.abort, case))
        for name in sorted(self.world.settings) if faults.has("rotated") else ():
            at = faults.between("rotated", 100, 2000)
            self.world.scheduler.later(at, partial(self._new_key, name))
            self.world.scheduler.later(at + faults.between("rotated", *APART), partial(self._store_key, name))

    def submit(self, case: Submission) -> None:
        """Submit a case, as the CLI does, or as somebody who drops files."""
        world, reference = self.world, case.reference
        self.submitted[case.connection, reference] = case
        world.trace("submit", connection=case.connection, reference=reference, way=case.way, documents=len(case.names))
        if case.way == "execution":
            documents = [
                {"uri": self._put(f"staging/{case.connection}/{reference}/{name}", case.content(name)), "name": name}
                for name in case.names
            ]
            given = {"connection": case.connection, "reference": reference, "documents": documents}
            given |= {"priority": case.priority} if case.priority != "normal" else {}
            contents = [(safe_name(name), case.sha256(name)) for name in case.names]
            digest = fingerprint(CaseInput.parse(given), contents)
            name = execution_name(CaseId(case.connection, reference), digest)
            world.perform("submit", lambda: world.app().executions.start(name, given))
            return
        folder = f"inbox/{case.connection}/" + (f"{reference}/" if case.way == "folder" else "")
        if case.way == "folder":
            listed = {"documents": [{"name": name} for name in case.names]}
            self._put(f"{folder}case.json", json.dumps(listed).encode())
        for name in case.names:
            self._put(folder + name, case.content(name))

    def _put(self, key: str, body: bytes) -> str:
        self.world.bucket.put(key, body, metadata={}, content_type="application/pdf")
        return f"s3://{BUCKET}/{key}"

    def abort(self, case: Submission) -> None:
        """Stop a case's execution, as somebody does in AWS's console.

        One that has not begun to upload is left alone: stopped, it is a rejected case, which is submitted again instead
        of being redriven.
        """
        record = self.world.dynamo.find(f"CASE#{case.connection}#{case.reference}", "CASE")
        if not self.world.faults.on or record is None or record["status"] == "accepted":
            return
        execution = self.world.machine.running.get(str(record.get("execution_arn")).rpartition(":")[2])
        if execution is not None:
            self.world.trace("stopped in the console", reference=case.reference, execution=execution.name)
            self.world.machine.stop(execution, "Stopped", "somebody stopped the execution")

    # Keys

    def _new_key(self, connection: str) -> None:
        """Let a vendor take a new key, and no longer the old one."""
        context, vendor = self.world.vendors.context, self.world.settings[connection].vendor
        account = getattr(context.accounts, vendor)
        changed = account.model_copy(update={"api_key": _next_key(account.api_key)})
        context.accounts = context.accounts.model_copy(update={vendor: changed})
        self.world.trace("the vendor's key changes", connection=connection)

    def _store_key(self, connection: str) -> None:
        """Store the new key with ``dossier secrets rotate``."""
        secret = self.world.secrets.values[f"dossier/{connection}"]
        secret["api_key"] = _next_key(secret["api_key"])
        self.world.trace("the new key is stored", connection=connection)

    # The vendor's users

    def edit(self, case: Submission) -> None:
        """Edit a case at Docsumo: assign it, correct a field, move it, add a file."""
        made = self._docsumo_case(case)
        if made is None:
            return
        dice = self.world.faults.dice("edits")
        self.edits += 1
        number = self.edits
        path, body = dice.choice(
            [
                ("edit", {"assigned_to": f"user-{number}"}),
                ("edit", {"fields": {"total": f"{number}.00"}}),
                ("stage", {"stage_id": dice.choice(self.world.vendors.context.accounts.docsumo.stages)}),
                ("files", {"filename": f"note-{number}.txt", "text": f"note {number}"}),
            ]
        )
        self.world.trace("edit", reference=case.reference, what=path)
        self._tell(f"/_sandbox/docsumo/cases/{made}/{path}", body)

    def move(self, case: Submission) -> None:
        """Move a case at Docsumo to another stage, which sends a delivery."""
        made = self._docsumo_case(case) if self.world.settings[case.connection].vendor == "docsumo" else None
        if made is not None:
            self.moved[case.connection, case.reference] = (made, CLOCK.at)
            stages = self.world.vendors.context.accounts.docsumo.stages
            self.world.trace("edit", reference=case.reference, what="the last stage")
            self._tell(
                f"/_sandbox/docsumo/cases/{made}/stage", {"stage_id": stages[-1], "assigned_to": "the last user"}
            )

    def unheard(self) -> set[tuple[str, str]]:
        """Return the moved cases whose delivery was refused: throttled, say. Docsumo sends none again."""
        delivered = self.world.vendors.delivered
        return {names for names, (made, at) in self.moved.items() if delivered.get(made, -1.0) < at}

    def _tell(self, path: str, body: Mapping[str, Any]) -> None:
        exchange = Exchange("POST", BASE + path, [(b"content-type", b"application/json")], json.dumps(body).encode())
        self.world.vendors.ask(exchange, lambda _: None)

    def _docsumo_case(self, case: Submission) -> str | None:
        uploaded = self.world.vendors.uploaded
        found = next((uploaded[each] for each in sorted(case.digests) if each in uploaded), None)
        return None if found is None else str(found["case_id"])

    # The operator

    def _look(self) -> None:
        """Answer the open questions, as somebody does who looks at the vendor; look again later."""
        for item in self.world.dynamo.of("ASK"):
            _, connection, reference = item["pk"].split("#", 2)
            self.answer(connection, reference, item["sk"].removeprefix("ASK#"))
        for names in self.failed():
            self._redrive(*names)
        self.world.scheduler.later(LOOK_EVERY, self._look)

    def failed(self) -> list[tuple[str, str]]:
        """Return the cases to redrive: a state used up its tries, the execution was stopped, or the key was old."""
        found = []
        for record in self.world.dynamo.of("CASE"):
            names = (record["connection"], record["reference"])
            if record.get("status") == "failed" and self.redriven[names] < MOST_REDRIVEN:
                last = self.world.machine.executions.get(str(record["execution_arn"]).rpartition(":")[2])
                keyless = record.get("error") == UnauthorizedError.__name__ and self.world.faults.has("rotated")
                if keyless or (last is not None and (last.exhausted or last.status == "ABORTED")):
                    found.append(names)
        return found

    def _redrive(self, connection: str, reference: str) -> None:
        """Send a failed case back to work with ``dossier redrive``."""
        self.redriven[connection, reference] += 1
        self.world.trace("redrive", connection=connection, reference=reference)
        app = self.world.app()

        def done(_: Any, error: BaseException | None) -> None:
            if error is not None:
                self.world.trace("operator fails", reference=reference, error=str(error)[:150])

        work = partial(resume, CaseId(connection, reference), context=app)
        self.world.perform("operator", work, done)

    def answer(self, connection: str, reference: str, what: str) -> None:
        """Answer one question with ``dossier resolve``."""
        key = (connection, reference, what)
        if key in self.busy:
            return
        self.busy.add(key)
        case = self.submitted[connection, reference]
        made = self._made(case, what)
        answer = Answer("use", made) if made else Answer("retry")
        self.world.trace("operator", reference=reference, what=what, answer=answer.kind, id=answer.id)
        if not made:
            self.retried |= self._of(case, what)
        self.answers += 1
        app = self.world.app()
        where = Where(app, self.world.settings, self.world.connections_file)

        def work() -> None:
            resolve(Quiet(as_json=True), where, reference, answer, connection=connection, what=what)  # type: ignore[arg-type]

        def done(_: Any, error: BaseException | None) -> None:
            self.busy.discard(key)
            if error is not None:
                self.world.trace("operator fails", reference=reference, error=str(error)[:150])
                if not isinstance(error, CommandError | Exception):
                    raise error

        self.world.perform("operator", work, done)

    def _of(self, case: Submission, what: str) -> set[str]:
        """Return a question's subject: the documents of a batch by their SHA-256, or the case's reference."""
        if what == "open":
            return {case.reference}
        if self.world.settings[case.connection].vendor != "ombudsman" and len(case.names) == 1:
            return case.digests
        docsumo = self.world.settings[case.connection].vendor == "docsumo"
        names = case.names if docsumo else case.names[int(what.removeprefix("upload-")) :][:1]
        return {case.sha256(name) for name in names}

    def _made(self, case: Submission, what: str) -> str | None:
        """Return the id that a vendor's request created: its case, or its document."""
        vendors = self.world.vendors
        if what == "open":
            return vendors.opened.get(case.reference)
        batch = int(what.removeprefix("upload-"))
        docsumo = self.world.settings[case.connection].vendor == "docsumo"
        name, key = (case.names[0], "case_id") if docsumo else (case.names[batch], "document_id")
        wanted = case.sha256(name)
        return vendors.uploaded[wanted][key] if wanted in vendors.uploaded else None

    def refresh(self, connection: str, reference: str) -> None:
        """Have a case collected again with ``dossier refresh``."""
        app = self.world.app()
        self.world.perform("operator", lambda: ask_again(CaseId(connection, reference), context=app, insist=True))

    def send_back(self) -> None:
        """Send every dead letter back to its queue (``dossier redrive``)."""
        for queue in sorted(self.world.queues.values(), key=lambda each: each.name):
            if queue.dead is not None and queue.dead.ready:
                letters, queue.dead.ready = queue.dead.ready, []
                self.world.trace("dead letters", queue=queue.name, count=len(letters))
                for each in letters:
                    queue.send(each.body)


def _next_key(key: str) -> str:
    return f"{key}-next"


@dataclass
class Where:
    """What ``dossier resolve`` has to know of a deployment."""

    app: Any
    settings: Mapping[str, Connection]
    connections_file: Path
    stage: str = "dev"

    def with_cases(self, connection: str | None) -> list[str]:
        """Return the connections to look at."""
        return [connection] if connection else sorted(self.settings)


class Quiet(Output):
    """Prints nothing."""

    def progress(self, line: str) -> None:
        """Print nothing."""

    def json(self, value: Any) -> None:
        """Print nothing."""


__all__ = ["CLOCK", "DeadLetters", "People", "Submission", "submissions"]
