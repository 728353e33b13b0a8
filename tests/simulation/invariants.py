"""What always holds, checked as things happen, at every step of half a minute, and at the end."""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import httpx

from dossier.models import CaseStatus, iso
from dossier.replies import PAUSED
from local.sandbox.journal import Entry
from tests.simulation.clock import CLOCK
from tests.simulation.people import People
from tests.simulation.scheduler import Task
from tests.simulation.vendors import Exchange
from tests.simulation.world import STAGE, World

FINAL = {"completed", "completed_with_failures", "failed", "cancelled", "uploaded"}
RESULTS = {"Case Completed", "Case Updated", "Case Failed"}
"""Events that tell a result."""
ONCE = ("assessment_started", "case_created")
OLDEST = 3 * 3600.0
"""How late a wait's poll may be, in seconds, whatever happened to its message (``dossier.steps.sweep.LOST``)."""
MOST_EVENTS, MOST_ITEMS, MOST_VERSIONS = 5_000, 200, 60
SPARE_MESSAGES = 25
UNDER_WAY = 1.0
"""Seconds after a pause was read in which requests that were under way may still arrive."""
MOST_PAUSES = 200
"""Answers that ask for a pause, of which the latest are kept for each vendor."""
MOST_LEARNT = 4
"""Polls that may learn the same of a document, one after the other, though each of them ended well."""
WINDOW = 600.0
"""Seconds over which a sweep's messages are counted."""


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
        self._sent: dict[str, deque[float]] = {}
        self._late = world.faults.lateness
        """Seconds by which a request may leave after its turn."""
        self._span = 20.0 if self._late > 1 else 2.0
        self._accounts = {it.vendor: name for name, it in world.settings.items()}
        self._pauses: dict[str, deque[tuple[float, Task]]] = {}
        """When functions, and which, read the answers in which each vendor asked for a pause."""
        self._answered = 0
        self._transfers: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """The highest numbers that were seen."""
        world.vendors.heard = self._hear
        world.network.sent = self._leaves
        world.network.ended = self._is_back
        world.network.answered = self._is_answered
        world.wire.denied = lambda verb, action, resource: self._violated(
            "every call is granted", f"{verb}: {action} on {resource}"
        )
        self._swept: dict[str, list[float]] = {}
        self._woken: dict[str, set[str]] = {}
        """Messages that deliveries have sent to a connection's queue of polls."""
        self._learnt: dict[str, list[Task]] = {}
        for name in world.settings:
            queue = world.queues[f"{STAGE}-poll-{name}"]
            queue.send = self._watched(name, queue.send)  # type: ignore[method-assign]

    # As it happens

    def _violated(self, name: str, about: str) -> None:
        """Stop the history: what happens inside of a function or a vendor is caught there."""
        self._world.scheduler.fail(ViolatedError(name, about))

    def _hear(self, entry: Entry) -> None:
        if entry.leak:
            self._violated("no key leaves to another host", f"{entry.method} {entry.path}")
        if entry.violation and (since := self._knew_of_pause(entry)) is not None:
            self._violated("no call in a pause", f"{entry.vendor} {entry.operation} {since:.3f} s after a 429 was read")
        for effect in entry.effects:
            self._happened(entry, effect)

    def _knew_of_pause(self, entry: Entry) -> float | None:
        """Return how many seconds ago a function stored the pause in which a request came; None if none could.

        A call in a pause is Dossier's fault only then. An answer that never arrived asks for nothing, and a function
        that was killed, or whose calls AWS refused, while it stored the pause cannot store it. A slow call of AWS may
        hold up that, and another one the request that had its turn before (``Faults.lateness``, ``UNDER_WAY``).
        """
        asked, late = CLOCK.at - (entry.since_pause or 0.0) - 0.001, UNDER_WAY + self._late
        for at, task in self._pauses.get(entry.vendor, ()):
            struck = [*self._world.faults.stricken.get(task, []), *([task.left or CLOCK.at] if task.dead else [])]
            if at >= asked and CLOCK.at - at > late and not any(at <= each <= at + late for each in struck):
                return CLOCK.at - at
        return None

    def _is_answered(self, vendor: str, request: httpx.Request, exchange: Exchange) -> None:
        """Note who reads of a pause, and of a document's end."""
        task, headers = self._world.scheduler.current, {name.lower() for name, _ in exchange.headers}
        pause = exchange.status == 429 or (exchange.status in PAUSED and b"retry-after" in headers)
        if pause and task is not None and not exchange.cut.closed:
            self._pauses.setdefault(vendor, deque(maxlen=MOST_PAUSES)).append((CLOCK.at, task))
        self._learns(vendor, request, exchange)

    def _happened(self, entry: Entry, effect: dict[str, Any]) -> None:
        retried = self._people.retried
        if effect["effect"] == "document_uploaded" and "sha256" in effect:
            self._uploads[effect["sha256"]] += 1
            if self._uploads[effect["sha256"]] > 1 and effect["sha256"] not in retried:
                self._violated("no document is at the vendor twice", f"{entry.vendor}: {effect['name']}")
        elif effect["effect"] == "case_created" and entry.status == 500:
            pass  # its guide says to repeat the request, and an empty case is not billed (docs/decisions.md)
        elif effect["effect"] in ONCE and entry.vendor == "ombudsman":
            key = (effect["effect"], effect.get("external_case_id") or effect["case_id"])
            self._effects[key] += 1
            if self._effects[key] > 1 and key[1] not in retried:
                self._violated("nothing is done at the vendor twice", f"{key[0]} of {key[1]}")

    def _leaves(self, vendor: str, request: httpx.Request) -> None:
        """Check the account's rate: in any span, what the span allows, the burst, and what slow calls hold up."""
        name = self._accounts.get(vendor)
        if name is None:
            return
        limits = self._world.settings[name].limits
        sent = self._sent.setdefault(vendor, deque())
        sent.append(CLOCK.at)
        while sent[0] < CLOCK.at - self._span:
            sent.popleft()
        if len(sent) > (self._span + self._late + 1) * limits.requests_per_second + 3:
            self._violated("the account's rate is kept", f"{name}: {len(sent)} requests in {self._span:.0f} s")
        if self._is_transfer(request):
            self._transfers[vendor] += 1
            self.most[f"transfers {vendor}"] = max(self.most[f"transfers {vendor}"], self._transfers[vendor])
            if self._transfers[vendor] > limits.concurrency:
                self._violated("the account's transfers at once are kept", f"{name}: {self._transfers[vendor]}")

    def _is_back(self, vendor: str, request: httpx.Request) -> None:
        if self._is_transfer(request) and self._transfers[vendor]:
            self._transfers[vendor] -= 1

    def _is_transfer(self, request: httpx.Request) -> bool:
        return request.method == "POST" and "multipart" in request.headers.get("content-type", "")

    def _watched(self, name: str, send: Callable[..., None]) -> Callable[..., None]:
        """Note which messages a sweep sends."""

        def sending(body: str, **how: Any) -> None:
            current = self._world.scheduler.current
            if current is not None and current.name == "sweep":
                self._swept.setdefault(name, []).append(CLOCK.at)
            if current is not None and current.name == "wake":
                self._woken.setdefault(name, set()).add(body)
            send(body, **how)

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
            self._violated("what a poll has learnt is kept", f"{path} was finished in {len(knew)} polls")
        before.append(task)

    # Every half a minute

    def check(self) -> None:
        """Check what holds at any time."""
        world = self._world
        if len(world.machine.answered_twice) > self._answered:
            raise ViolatedError("every token is answered once", world.machine.answered_twice[-1])
        waits, oldest = Counter[str](), iso(CLOCK.now() - timedelta(seconds=OLDEST))
        for item in world.dynamo.kinds["WAIT"].values():
            waits[item["connection"]] += 1
            if item["next_at"] < oldest:
                raise ViolatedError("every wait is polled", f"{item['pk']} is due since {item['next_at']}")
        twice = 1 + 2 * world.faults.rates.get("message_twice", 0.0)
        for name in world.settings:
            queue = world.queues[f"{STAGE}-poll-{name}"]
            # A killed poll's messages stay hidden for some minutes; meanwhile a sweep replaces them, as it should. They
            # are counted once they are visible again. Each delivery sends one, even if no poll finds a free function.
            delivered = {each.body for each in queue.ready} & self._woken.get(name, set())
            depth = queue.depth - queue.held - len(delivered)
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

    def _check_executions(self) -> None:
        world = self._world
        for execution in world.machine.running.values():
            if execution.events > MOST_EVENTS:
                raise ViolatedError("histories are bounded", f"{execution.name}: {execution.events} events")
            if not execution.waits and CLOCK.at - execution.started > 60:
                raise ViolatedError("every execution waits for something", execution.name)

    def _check_cases(self) -> None:
        for partition, items in self._world.dynamo.partitions.items():
            if partition.startswith("CASE#") and len(items) > MOST_ITEMS:
                raise ViolatedError("a case's items are bounded", f"{partition}: {len(items)}")

    # At the end

    def at_rest(self) -> bool:
        """Return whether everything has ended."""
        return next(self._unfinished(), None) is None

    def _unfinished(self) -> Iterator[str]:
        """Yield the parts that are not at rest yet, quick checks first."""
        world = self._world
        yield from (f"execution {each}" for each in world.machine.running)
        yield from (f"queue {name}" for name, depth in world.depths().items() if depth and not name.endswith("-dlq"))
        yield from (f"function {verb}" for verb, _ in world.lambda_.running.values())
        for names in self._people.submitted:
            record = world.dynamo.find(f"CASE#{names[0]}#{names[1]}", "CASE")
            if record is None:
                yield f"case {names} has no record"
            elif record["status"] not in FINAL:
                yield f"case {names} is {record['status']}"
        yield from (f"case {names} is to be redriven" for names in self._people.failed())

    def check_end(self, *, stale: Collection[tuple[str, str]] = ()) -> None:
        """Check what holds once everything is at rest.

        Args:
            stale: the cases of which the result need not be the vendor's yet.

        """
        world = self._world
        left = list(islice(self._unfinished(), 5))
        if left:
            raise ViolatedError("every case ends", "; ".join(left))
        self._check_cases()
        for item in [*world.dynamo.of("WAIT"), *world.dynamo.of("ASK")]:
            raise ViolatedError("nothing waits once its case has ended", f"{item['pk']} {item['sk']}")
        for connection, reference in sorted(self._people.submitted):
            self._check_result(connection, reference, stale=(connection, reference) in stale)
        for item in world.dynamo.of("INTENTS"):
            raise ViolatedError("no intent is left", f"{item['pk']} {item['sk']}")
        for key, versions in world.bucket.objects.items():
            if key.startswith("cases/") and len(versions) > MOST_VERSIONS:
                raise ViolatedError("an object's versions are bounded", f"{key}: {len(versions)}")
        self._check_evidence()

    def _check_result(self, connection: str, reference: str, *, stale: bool) -> None:
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
            if theirs != ours and not (stale and what in {"stage", "assigned to"}):
                raise ViolatedError(
                    "the result is the vendor's",
                    f"{connection} {reference} {what}: {ours!r}, the vendor has {theirs!r}",
                )
        self._check_files(place, f"{connection} {reference}")
        told = self._told(connection, reference)
        if (told.get("status"), told.get("revision")) != (result["status"], result["revision"]):
            what = f"{told.get('status')}, revision {told.get('revision')}" if told else "nothing"
            wanted = f"{result['status']}, revision {result['revision']}"
            raise ViolatedError("every result is announced", f"{connection} {reference}: {what}, not {wanted}")

    def _told(self, connection: str, reference: str) -> dict[str, Any]:
        """Return the last event about a case with a result; empty without one."""
        events = (it for kind, it in reversed(self._world.events.put) if kind in RESULTS)
        return next((it for it in events if (it["connection"], it["reference"]) == (connection, reference)), {})

    def _compared(
        self, connection: str, reference: str, record: dict[str, Any], result: dict[str, Any]
    ) -> Iterator[tuple[str, Any, Any]]:
        """Yield the vendor's values beside the result's."""
        del record
        submission = self._people.submitted[connection, reference]
        wanted, uploaded = submission.digests, self._world.vendors.latest
        there = {each: uploaded[each]["document_id"] for each in wanted if each in uploaded}
        yield "documents", len(wanted), len(result["documents"])
        ids = {each["document_id"] for each in result["documents"]}
        docsumo = self._world.settings[connection].vendor == "docsumo"
        if not wanted & self._people.retried and not docsumo:  # Docsumo's look-up knows a file by another id
            yield "ids", sorted(there.values()), sorted(each for each in ids if each)
        yield "statuses", [], [each["error"] for each in result["documents"] if each["error"]]
        if docsumo:
            made = next((uploaded[each]["case_id"] for each in sorted(wanted) if each in uploaded), None)
            case = None if made is None else self._world.docsumo_case(made)
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
            if version.sha256 != each["sha256"]:
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
