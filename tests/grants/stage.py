"""The table, the bucket and the vendors around the functions that are tried, and the calls of a case."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from dossier.models import iso, now
from local.sandbox import accounts
from tests.e2e.world import until
from tests.grants.bench import Bench, CaseBrokenError
from tests.machine import samples

LONG_AGO = "2020-01-01T00:00:00.000Z"
PDF = samples("invoice.pdf")["invoice.pdf"]
_as_item = TypeSerializer().serialize
Event = dict[str, Any]
Before = Callable[[], object] | None
"""Puts things as they are to be found, before each try of a call."""


class Stage:
    """Sets the scene for cases on a bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._outputs = bench.deployment.outputs
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count(1)
        self._sandbox("settings", seconds=0, webhooks=False, rate_limits={"docsumo": None, "docustack": None})
        self._token = self._dead_token()

    # How a case is set up

    def submission(self, connection: str, *, folder: str = "", **rest: Any) -> dict[str, Any]:
        """Put a document into the bucket; return an execution's input."""
        reference = f"grants-{self._run}-{next(self._numbers)}"
        key = f"{folder or f'staging/{connection}'}/{reference}.pdf"
        body = PDF + reference.encode()
        self._bench.client("s3").put_object(Bucket=self._outputs["bucket"], Key=key, Body=body)
        documents = [{"uri": f"s3://{self._outputs['bucket']}/{key}", "name": f"{reference}.pdf"}]
        return {"connection": connection, "reference": reference, "documents": documents, **rest}

    def accepted(self, connection: str, **rest: Any) -> dict[str, str]:
        """Return the names of a case that was accepted."""
        case = self.submission(connection, **rest)
        self.call("accept", execution(case))
        return {"connection": connection, "reference": case["reference"]}

    def uploaded(self, connection: str) -> dict[str, str]:
        """Return the names of a case whose document is at the vendor."""
        names = self.accepted(connection)
        if connection == "disputes":
            self.call("open", names)
        self.call("upload", {**names, "batch": 0})
        return names

    def _dead_token(self) -> str:
        """Return a task token of the state machine's own, whose execution was stopped: answering it moves nothing."""
        case = {"connection": "claims", "reference": f"stopped-{self._run}", "case_id": "of-nobody"}
        machine, step_functions = self._outputs["state_machine_arn"], self._bench.client("stepfunctions")
        arn = step_functions.start_execution(stateMachineArn=machine, input=json.dumps(case))["executionArn"]
        wait = until(lambda: self.item(pk_of(case), "WAIT"), 60, "the case does not wait")
        step_functions.stop_execution(executionArn=arn)
        self.delete(pk_of(case), "WAIT")
        return str(wait["token"]["S"])

    def delivery(self, body: bytes) -> str:
        """Deliver something; return the key of the stored delivery."""
        self.call("webhook", self._delivery(body))
        return self.newest()

    def _delivery(self, body: bytes) -> Event:
        headers = {"x-webhook-token": accounts.load().docsumo.webhook_secret, "content-type": "application/json"}
        return {"pathParameters": {"connection": "claims"}, "headers": headers, "body": body.decode()}

    def _drop(self, name: str, body: bytes) -> str:
        """Drop an object into the inbox; return its version."""
        key, bucket = f"inbox/claims/{name}", self._outputs["bucket"]
        return str(self._bench.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["VersionId"])

    def _stop(self) -> None:
        """Stop the executions that a function has started: no test here needs them."""
        machine, step_functions = self._outputs["state_machine_arn"], self._bench.client("stepfunctions")
        found = step_functions.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        for each in found:
            with suppress(step_functions.exceptions.ValidationException):  # it has ended by itself meanwhile
                step_functions.stop_execution(executionArn=each["executionArn"])

    # Calls

    def prove(self, verb: str, event: Event | Callable[[], Event], *, ends: str = "", before: Before = None) -> Any:
        """Play one call until it has missed its grants; return its answer."""
        answers: list[Any] = []

        def case() -> None:
            if before:
                before()
            answers.append(self.call(verb, event() if callable(event) else event, ends=ends))

        self._bench.prove(verb, case)
        return answers[-1]

    def call(self, verb: str, event: Event, *, ends: str = "") -> Any:
        """Call a function; with ``ends`` it fails with these words, and nothing else will do."""
        if not ends:
            return self._bench.call(verb, event)
        try:
            self._bench.call(verb, event)
        except CaseBrokenError as error:
            if ends in str(error):
                return None
            raise
        raise CaseBrokenError(f"{verb} did not end with {ends}")

    # The table, the bucket, the sandbox

    def settle(self, names: dict[str, str], what: str) -> None:
        """Delete an intent without an answer, as ``dossier resolve --retry`` does.

        A request that was about to be made when a grant was missed leaves one: the next try would have to find out
        what became of it.
        """
        pk, sk = intent_of(names, what)
        if "answer" not in self.item(pk, sk):
            self.delete(pk, sk)

    def lose(self, names: dict[str, str], what: str) -> None:
        """Put an intent as a request leaves it whose answer was lost half a minute ago."""
        pk, sk = intent_of(names, what)
        if "answer" not in self.item(pk, sk):
            files = json.dumps([f"{names['reference']}.pdf"])
            then = iso(now() - timedelta(seconds=30))
            listed = self._bench.deployment.sandbox.get("/_sandbox/artifacts").json()["artifacts"]
            known = json.dumps(sorted({each["case_id"] for each in listed}))  # the account had these before
            self.put(pk, sk, at=then, lost_at=then, names=files, known=known)

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        """Return an item as DynamoDB writes it; empty if there is none."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found = self._bench.client("dynamodb").get_item(TableName=self._outputs["table"], Key=key)
        return dict(found.get("Item", {}))

    def status(self, names: Event) -> str:
        """Return the state of a case."""
        return str(self.item(pk_of(names), "CASE").get("status", {}).get("S", "unknown"))

    def put(self, pk: str, sk: str, **values: str) -> None:
        """Write an item of texts, as something that died has left it."""
        item = {name: _as_item(value) for name, value in {"pk": pk, "sk": sk, **values}.items()}
        self._bench.client("dynamodb").put_item(TableName=self._outputs["table"], Item=item)

    def change(self, pk: str, sk: str, **values: str) -> None:
        """Change an item's texts, as time does."""
        item = self.item(pk, sk) | {name: _as_item(value) for name, value in values.items()}
        self._bench.client("dynamodb").put_item(TableName=self._outputs["table"], Item=item)

    def ask_again(self, names: dict[str, str]) -> None:
        """Count that somebody wants a case collected again."""
        self._bench.client("dynamodb").update_item(
            TableName=self._outputs["table"],
            Key={"pk": {"S": pk_of(names)}, "sk": {"S": "REFRESH"}},
            UpdateExpression="ADD asked :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def forget(self, names: dict[str, str], sk: str, attribute: str) -> None:
        """Take an attribute from an item, as if it had been written before there was any."""
        key = {"pk": {"S": pk_of(names)}, "sk": {"S": sk}}
        self._bench.client("dynamodb").update_item(
            TableName=self._outputs["table"],
            Key=key,
            UpdateExpression="REMOVE #it",
            ExpressionAttributeNames={"#it": attribute},
        )

    def forget_version(self, names: dict[str, str]) -> None:
        """Take the version from a case's first document."""
        data = json.loads(self.item(pk_of(names), "DOC#00000")["data"]["S"])
        del data["version_id"]
        self.change(pk_of(names), "DOC#00000", data=json.dumps(data))

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        self._bench.client("dynamodb").delete_item(TableName=self._outputs["table"], Key=key)

    def newest(self) -> str:
        """Return the key of the delivery that was kept last."""
        bucket = self._outputs["bucket"]
        found = self._bench.client("s3").list_objects_v2(Bucket=bucket, Prefix="webhooks/claims/")["Contents"]
        return str(max(each["Key"] for each in found))

    def _sandbox(self, path: str, **body: Any) -> Any:
        answer = self._bench.deployment.sandbox.post(f"/_sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


def execution(case: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Return the event of Accept, for its own execution or one of another name."""
    return {"input": case, "execution": {"arn": _arn(name or case["reference"])}}


def failure(case: dict[str, Any], error: str = "States.Timeout", *, name: str = "") -> dict[str, Any]:
    """Return the event of Record Failure, for its own execution or one of another name."""
    return {"input": case, "execution_arn": _arn(name or case["reference"]), "error": error, "cause": "so it is"}


def _arn(name: str) -> str:
    return f"arn:aws:states:us-east-1:000000000000:execution:dossier-dev:{name}"


def pk_of(names: dict[str, Any]) -> str:
    """Return the partition of a case."""
    return f"CASE#{names['connection']}#{names['reference']}"


def intent_of(names: dict[str, str], what: str) -> tuple[str, str]:
    """Return the key of a case's intent."""
    return f"INTENTS#{names['connection']}", f"{names['reference']}#{what}"
