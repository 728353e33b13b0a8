"""Takes grants away from the deployed functions while they are called, until each call has missed all that it needs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.deployment import Deployment
from tests.grants.roles import Denial, Denials, Grant, Grantee, Role

PREFIX = "dossier-dev-"
MACHINE = "the state machine"
BATCHES = "the state machine of batches"


class CaseBrokenError(AssertionError):
    """A case's outcome differs from that with every grant."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a try of a case: the failure, if any, and the calls that the role was denied meanwhile."""

    failure: str | None
    denials: list[Denial]


@dataclass
class Bench:
    """The deployed functions with their roles, and the grants of each role that a case has missed so far."""

    deployment: Deployment
    home: Path
    connections: tuple[str, ...] = field(init=False)
    functions: tuple[str, ...] = field(init=False)
    roles: dict[str, Role] = field(init=False)
    """By verb, and the state machines'."""
    missed: dict[str, set[Grant]] = field(init=False)
    denials: Denials = field(init=False)

    def __post_init__(self) -> None:
        """Read the roles as they were deployed."""
        self._clients: dict[str, Any] = {}
        iam, functions = self.client("iam"), self.client("lambda").list_functions()["Functions"]
        roles = {each["FunctionName"].removeprefix(PREFIX): each["Role"] for each in functions}
        self.functions = tuple(sorted(roles))
        self.connections = tuple(self.deployment.outputs["connections"])
        machine = self.deployment.outputs["state_machine_arn"]
        for name, arn in ((MACHINE, machine), (BATCHES, f"{machine}-batch")):
            roles[name] = self.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["roleArn"]
        self.roles = {name: Role(iam, arn, self.connections) for name, arn in roles.items()}
        self.missed = {name: set() for name in self.roles}
        self.denials = Denials(self.home / "logs" / "aws.log")

    def client(self, service: str) -> Any:
        """Return the client of a service of the deployment's AWS."""
        if service not in self._clients:
            self._clients[service] = self.deployment.client(service)
        return self._clients[service]

    def switch(self, *, on: bool) -> None:
        """Switch the mappings on or off, the queues emptied before; and the rules off for good: nobody else calls."""
        functions, events, sqs = self.client("lambda"), self.client("events"), self.client("sqs")
        for url in sqs.list_queues(QueueNamePrefix=PREFIX)["QueueUrls"]:
            sqs.purge_queue(QueueUrl=url)
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)
        for rule in events.list_rules()["Rules"]:
            events.disable_rule(Name=rule["Name"])

    def call(self, verb: str, event: Mapping[str, Any]) -> Any:
        """Call a function as its caller does; return its answer.

        Raises:
            CaseBrokenError: it failed, or a message of its batch did; with its error.

        """
        answer = self.client("lambda").invoke(FunctionName=PREFIX + verb, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read() or "null")
        if "FunctionError" in answer or (isinstance(payload, dict) and payload.get("batchItemFailures")):
            raise CaseBrokenError(json.dumps(payload)[:2000])
        return payload

    def prove(self, verb: str, case: Callable[[], object]) -> None:
        """Try a case with grants of the role missing, until it has missed every grant that it needs."""
        self._trial(verb).prove(case)

    def miss(self, verb: str, grant: Grant, case: Callable[[], object]) -> None:
        """Take one grant away, all others in place, and see a case fail because of it.

        Raises:
            AssertionError: nothing noticed, or something else went wrong.

        """
        self._trial(verb).miss(grant, case)

    def _trial(self, verb: str) -> Trial:
        return Trial(verb, self.roles[verb], self.denials, self.missed[verb])


@dataclass(frozen=True, slots=True)
class Trial:
    """Takes grants away from one who has them, and sees cases fail for the want of them."""

    name: str
    grantee: Grantee
    denials: Denials
    missed: set[Grant]
    unasked: Callable[[Grant], bool] = lambda each: each.action.startswith(("logs:", "xray:"))
    """Grants that are never taken away, because no case can miss them."""
    heard: Callable[[Grant, str], object] = lambda grant, words: None
    """Receives the message of a case that misses a grant."""

    def prove(self, case: Callable[[], object]) -> None:
        """Try a case with grants missing, until it has missed every grant that it needs.

        Every grant that no case has missed yet is taken away at once. A denial then names the first grant that this
        case needs. If it is the only one that was denied, the others made no difference, and the case must have failed
        because of it; otherwise it is taken away alone, and the case must fail. Then the next, until the case succeeds
        without all grants that it does not need.
        """
        try:
            while True:
                unknown = {each for each in self.grantee.grants - self.missed if not self.unasked(each)}
                outcome = self._try(unknown, case)
                if not outcome.denials:
                    assert outcome.failure is None, f"{self.name}, nothing denied: {outcome.failure}"
                    return
                denied = {self.grantee.granting(each) for each in outcome.denials}
                if len(denied) == 1:
                    self._note(denied.pop(), outcome)
                else:
                    self.miss(self.grantee.granting(outcome.denials[0]), case)
        finally:
            self.grantee.restore()

    def miss(self, grant: Grant, case: Callable[[], object]) -> None:
        """Take one grant away, all others in place, and see a case fail because of it.

        Raises:
            AssertionError: nothing noticed, or something else went wrong.

        """
        outcome = self._try({grant}, case)
        assert outcome.denials, f"{self.name} without {grant}: nothing is denied"
        assert self.grantee.granting(outcome.denials[0]) == grant, f"{self.name} without {grant}: {outcome.denials[0]}"
        self._note(grant, outcome)

    def _note(self, grant: Grant, outcome: Outcome) -> None:
        assert outcome.failure is not None, f"{self.name} without {grant}: denied, and the case succeeds all the same"
        self.heard(grant, outcome.failure)
        self.missed.add(grant)

    def _try(self, without: Collection[Grant], case: Callable[[], object]) -> Outcome:
        self.grantee.take(without)
        mark, failure = self.denials.mark(), None
        try:
            case()
        except CaseBrokenError as error:
            failure = str(error)
        return Outcome(failure, self.denials.since(mark, self.grantee))


def batch(queue: str, *messages: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event by which a queue's messages come."""
    records = [
        {
            "messageId": str(uuid.uuid4()),
            "receiptHandle": "handle",
            "body": json.dumps(message),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{PREFIX}{queue}",
            "awsRegion": "us-east-1",
        }
        for message in messages
    ]
    return {"Records": records}
