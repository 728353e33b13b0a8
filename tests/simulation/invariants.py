"""What always holds, checked as things happen, at every step of half a minute, and at the end."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from dossier.models import CaseStatus, moment
from local.sandbox.journal import Entry
from tests.simulation.clock import BEGIN, CLOCK
from tests.simulation.people import People
from tests.simulation.scheduler import Task
from tests.simulation.vendors import Exchange
from tests.simulation.world import STAGE, World

FINAL = {"completed", "completed_with_failures", "failed", "cancelled", "uploaded"}
ONCE = ("assessment_started", "case_created")
OLDEST = 3 * 3600.0
"""How late a wait's poll may be, in seconds, whatever happened to its message (``dossier.steps.sweep.LOST``)."""
MOST_EVENTS, MOST_ITEMS, MOST_VERSIONS = 5_000, 200, 60
SPARE_MESSAGES = 25
MOST_LEARNT = 4
"""Polls that may learn the same of a document, one after the other, though each of them ended well."""
WINDOW = 600.0
"""Seconds in which what a sweep sends is counted."""


class ViolatedError(Exception):
    """Something that always holds does not. ``name`` is the invariant's."""

    def __init__(self, name: str, about: str) -> None:
        super().__init__(f"{name}: {about}")
        self.name, self.about = name, about


class Invariants:
    """Watches one deployment."""

    def __init__(self, world: World, people: People) -> None:
        self._world, self._people = world, people
        self._uploads: Counter[str] = Counter()
        self._effects: Counter[tuple[str, str]] = Counter()
        self._sent: dict[str, list[float]] = {}
        self._answered = 0
        self._transfers: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """The highest numbers that were seen."""
        world.vendors.heard = self._hear
        world.network.sent = self._leaves
        world.network.ended = self._is_back
        world.network.answered = self._learns
        self._swept: dict[str, list[float]] = {}
        self._learnt: dict[str, list[Task]] = {}
        for name in world.settings:
            queue = world.queues[f"{STAGE}-poll-{name}"]
            queue.send = self._watched(name, queue.send)  # type: ignore[method-assign]

    # As it happens

    def _hear(self, entry: Entry) -> None:
        if entry.leak:
            raise ViolatedError("no key leaves to another host", f"{entry.method} {entry.path}")
        if entry.violation:
            raise ViolatedError(
                "no call in a pause", f"{entry.vendor} {entry.operation} {entry.since_pause} s after the 429"
            )
        for effect in entry.effects:
            self._happened(entry, effect)

    def _happened(self, entry: Entry, effect: dict[str, Any]) -> None:
        retried = self._people.retried
        if effect["effect"] == "document_uploaded" and "sha256" in effect:
            self._uploads[effect["sha256"]] += 1
            if self._uploads[effect["sha256"]] > 1 and effect["sha256"] not in retried:
                raise ViolatedError("no document is at the vendor twice", f"{entry.vendor}: {effect['name']}")
        elif effect["effect"] in ONCE and entry.vendor == "ombudsman":
            key = (effect["effect"], effect.get("external_case_id") or effect["case_id"])
            self._effects[key] += 1
            if self._effects[key] > 1 and key[1] not in retried:
                raise ViolatedError("nothing is done at the vendor twice", f"{key[0]} of {key[1]}")

    def _leaves(self, vendor: str, request: httpx.Request) -> None:
        """Check the account's rate: in any two seconds, what two seconds allow and the burst."""
        name = next((each for each, it in self._world.settings.items() if it.vendor == vendor), None)
        if name is None:
            return
        limits = self._world.settings[name].limits
        sent = self._sent.setdefault(vendor, [])
        sent.append(CLOCK.at)
        while sent[0] < CLOCK.at - 2:
            sent.pop(0)
        if len(sent) > 3 * limits.requests_per_second + 3:
            raise ViolatedError("the account's rate is kept", f"{name}: {len(sent)} requests in two seconds")
        if self._is_transfer(request):
            self._transfers[vendor] += 1
            self.most[f"transfers {vendor}"] = max(self.most[f"transfers {vendor}"], self._transfers[vendor])
            if self._transfers[vendor] > limits.concurrency:
                raise ViolatedError("the account's transfers at once are kept", f"{name}: {self._transfers[vendor]}")

    def _is_back(self, vendor: str, request: httpx.Request) -> None:
        if self._is_transfer(request) and self._transfers[vendor]:
            self._transfers[vendor] -= 1

    def _is_transfer(self, request: httpx.Request) -> bool:
        return request.method == "POST" and "multipart" in request.headers.get("content-type", "")

    def _watched(self, name: str, send: Callable[..., None]) -> Callable[..., None]:
        """Note which messages a sweep sends."""

        def sending(body: str, *, after: float = 0) -> None:
            current = self._world.scheduler.current
            if current is not None and current.name == "sweep":
                self._swept.setdefault(name, []).append(CLOCK.at)
            send(body, after=after)

        return sending

    def _learns(self, vendor: str, request: httpx.Request, exchange: Exchange) -> None:
        """Check that no poll asks again and again for a document that polls know to be finished."""
        path, task = request.url.path, self._world.scheduler.current
        if not path.endswith("/status") or vendor != "docustack" or task is None or task.name != "poll":
            return
        try:
            said = json.loads(bytes(exchange.body))
        except ValueError:
            return
        if exchange.status != 200 or exchange.cut.closed or not isinstance(said, dict):
            return
        if said.get("status") not in {"completed", "failed"} or len(dict(exchange.headers)) > 4:
            return
        before = self._learnt.setdefault(path, [])
        knew = [each for each in before if each.ended and each not in self._world.machine.spoiled]
        if sum(task.began > each.left for each in knew) >= MOST_LEARNT:
            raise ViolatedError("what a poll has learnt is kept", f"{path} was finished in {len(knew)} polls")
        before.append(task)

    # Every half a minute

    def check(self) -> None:
        """Check what holds at any time."""
        world = self._world
        if len(world.machine.answered_twice) > self._answered:
            raise ViolatedError("every token is answered once", world.machine.answered_twice[-1])
        waits = Counter[str]()
        for item in world.dynamo.items():
            if item["sk"] == "WAIT":
                waits[item["connection"]] += 1
                late = CLOCK.at + BEGIN - moment(item["next_at"]).timestamp()
                if late > OLDEST:
                    raise ViolatedError("every wait is polled", f"{item['pk']} is {late:.0f} s late")
        twice = 1 + 2 * world.faults.rates.get("message_twice", 0.0)
        for name in world.settings:
            depth = world.queues[f"{STAGE}-poll-{name}"].depth
            self.most[f"messages {name}"] = max(self.most[f"messages {name}"], depth)
            most = max(waits[name], self.most[f"waits {name}"])
            self.most[f"waits {name}"] = most
            if depth > 2.2 * twice * most + SPARE_MESSAGES:
                raise ViolatedError("the queue of polls is bounded", f"{name}: {depth} messages for {most} waits")
        for name, times in self._swept.items():
            lately = [each for each in times if each > CLOCK.at - WINDOW]
            self._swept[name] = lately
            killed = world.lambda_.killed.total() + world.faults.struck.get("aws_fails", 0)
            if len(lately) > 2 * self.most[f"waits {name}"] + killed + 10:
                raise ViolatedError(
                    "a sweep sends what is missing", f"{name}: {len(lately)} messages in {WINDOW:.0f} s"
                )
        for name, poller in world.pollers.items():
            if poller.running > poller.at_once:
                raise ViolatedError("functions at once are bounded", f"{name}: {poller.running}")
        self._check_executions()
        self._check_cases()

    def _check_executions(self) -> None:
        world = self._world
        for execution in world.machine.executions.values():
            if execution.events > MOST_EVENTS:
                raise ViolatedError("histories are bounded", f"{execution.name}: {execution.events} events")
            if execution.status == "RUNNING" and not +execution.waiting and CLOCK.at - execution.started > 60:
                raise ViolatedError("every execution waits for something", execution.name)

    def _check_cases(self) -> None:
        for partition, items in self._world.dynamo.partitions.items():
            if partition.startswith("CASE#") and len(items) > MOST_ITEMS:
                raise ViolatedError("a case's items are bounded", f"{partition}: {len(items)}")

    # At the end

    def unfinished(self) -> list[str]:
        """Return what is not at rest yet."""
        world = self._world
        found = [f"execution {each.name}" for each in world.machine.executions.values() if each.status == "RUNNING"]
        records = {(i["connection"], i["reference"]): i for i in world.dynamo.items() if i["sk"] == "CASE"}
        for names in self._people.submitted:
            if names not in records:
                found.append(f"case {names} has no record")
            elif records[names]["status"] not in FINAL:
                found.append(f"case {names} is {records[names]['status']}")
        found += [f"queue {name}" for name, depth in world.depths().items() if depth and not name.endswith("-dlq")]
        found += [f"function {verb}" for verb, _ in world.lambda_.running.values()]
        return found

    def check_end(self) -> None:
        """Check what holds once everything is at rest."""
        world = self._world
        left = self.unfinished()
        if left:
            raise ViolatedError("every case ends", "; ".join(left[:5]))
        for item in world.dynamo.items():
            if item["sk"] == "WAIT" or item["sk"].startswith("ASK#"):
                raise ViolatedError("nothing waits once its case has ended", f"{item['pk']} {item['sk']}")
            if item["pk"].startswith("INTENTS#"):
                raise ViolatedError("no intent is left", f"{item['pk']} {item['sk']}")
        for connection, reference in sorted(self._people.submitted):
            self._check_result(connection, reference)
        for key, versions in world.bucket.objects.items():
            if key.startswith("cases/") and len(versions) > MOST_VERSIONS:
                raise ViolatedError("an object's versions are bounded", f"{key}: {len(versions)}")
        self._check_evidence()

    def _check_result(self, connection: str, reference: str) -> None:
        world, place = self._world, f"cases/{connection}/{reference}/"
        record = world.dynamo.find(f"CASE#{connection}#{reference}", "CASE") or {}
        found = world.bucket.current(f"{place}result.json")
        if found is None:
            raise ViolatedError("every case has a result", f"{connection} {reference}")
        result = json.loads(found.body or b"")
        if result["status"] != record["status"]:
            raise ViolatedError(
                "the result is the case's", f"{reference}: {result['status']}, but the case is {record['status']}"
            )
        if result["status"] == CaseStatus.FAILED:
            reason = str(record.get("reason"))
            raise ViolatedError("no case fails without a reason of its vendor's", f"{connection} {reference}: {reason}")
        for what, theirs, ours in self._compared(connection, reference, record, result):
            if theirs != ours:
                raise ViolatedError(
                    "the result is the vendor's",
                    f"{connection} {reference} {what}: {ours!r}, the vendor has {theirs!r}",
                )
        self._check_files(place, f"{connection} {reference}")
        names = (connection, reference)
        told = Counter(kind for kind, it in world.events.put if (it["connection"], it["reference"]) == names)
        if not told["Case Completed"]:
            raise ViolatedError("every case is announced", f"{connection} {reference}: {dict(told)}")

    def _compared(
        self, connection: str, reference: str, record: dict[str, Any], result: dict[str, Any]
    ) -> Iterator[tuple[str, Any, Any]]:
        """Yield what the vendor has, and what the result says."""
        del record
        submission = self._people.submitted[connection, reference]
        wanted = submission.digests
        there: dict[str, str] = {}
        for entry in self._world.vendors.entries:
            for effect in entry.effects:
                if effect["effect"] == "document_uploaded" and effect.get("sha256") in wanted:
                    there[effect["sha256"]] = effect["document_id"]
        yield "documents", len(wanted), len(result["documents"])
        ids = {each["document_id"] for each in result["documents"]}
        docsumo = self._world.settings[connection].vendor == "docsumo"
        if not wanted & self._people.retried and not docsumo:  # Docsumo's look-up knows a file by another id
            yield "ids", sorted(there.values()), sorted(each for each in ids if each)
        yield "statuses", [], [each["error"] for each in result["documents"] if each["error"]]
        if docsumo:
            case = next(
                (
                    each
                    for each in self._world.docsumo_cases()
                    if any(document.sha256 in wanted for document in each.documents)
                ),
                None,
            )
            if case is not None and not wanted & self._people.retried:
                yield "stage", case.stage_id(CLOCK.time()), result["stage_id"]
                yield "assigned to", case.assigned_to, result["assigned_to"]

    def _check_files(self, place: str, who: str) -> None:
        bucket = self._world.bucket
        found = bucket.current(f"{place}manifest.json")
        if found is None:
            raise ViolatedError("every case has a manifest", who)
        for each in json.loads(found.body or b"")["files"]:
            versions = {version.id: version for version in bucket.objects.get(each["key"], [])}
            version = versions.get(each["version_id"])
            if version is None or version.body is None:
                raise ViolatedError("every file of a manifest is there", f"{who}: {each['key']}")
            if hashlib.sha256(version.body).hexdigest() != each["sha256"]:
                raise ViolatedError("every file is what its manifest says", f"{who}: {each['key']}")

    def _check_evidence(self) -> None:
        kept = Counter(
            json.loads(versions[-1].body or b"{}")["body_base64"]
            for key, versions in self._world.bucket.objects.items()
            if key.startswith("webhooks/")
        )
        for connection, body in self._world.gateway.accepted:
            if not kept[base64.b64encode(body).decode()]:
                raise ViolatedError("every delivery is kept", f"{connection}: {body[:100]!r}")
