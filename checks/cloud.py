"""``make cloud-check``: runs an account's own validators on the stack, before it is deployed.

It costs nothing and leaves nothing behind. It never executes the change set, and deletes it with its template, and with
the empty stack that CloudFormation makes for a first change set. States are tested with mocked answers, and policies
are simulated as texts: no function is called, no role is used.

The calls need the permissions of a deployer, and ``states:ValidateStateMachineDefinition``, ``states:TestState``,
``iam:SimulateCustomPolicy``. ``make cloud-check ARGS="-c stage=prod"`` passes its arguments to ``cdk synth``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from app import ROOT, use_own_node
from checks.machine import CALLS, STEPS
from checks.places import Filled, Place

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
"""The parameter that ``cdk bootstrap`` creates."""
_PAUSE, _PATIENCE = 2.0, 300.0
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_MOST_RESOURCES = 20
"""The most resources of one simulation, which combines each with each action."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it passed, and AWS's answer."""

    name: str
    ok: bool
    answer: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.name}: {self.answer}"


class Account:
    """An account's validators.

    Args:
        client: makes a client of a service.
        place: Region, partition and suffix.
        account: the account's number.
        sleep: waits, in seconds.

    """

    def __init__(
        self,
        client: Callable[[str], Any],
        place: Place,
        account: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._place = place
        self._account = account
        self._sleep = sleep

    def checks(self, template: dict[str, Any], stack: str) -> Iterator[Check]:
        """Yield every check of a stack's template."""
        filled = Filled(template, stack, self._place, account=self._account)
        machine, *others = filled.machines()
        definition = str(machine["DefinitionString"])
        yield self._tried("change set", partial(self._change_set, template, stack))
        yield self._tried("state machine", partial(self._definition, definition))
        for each in others:
            name = f"state machine {each['StateMachineName']}"
            yield self._tried(name, partial(self._definition, str(each["DefinitionString"]), name))
        for step in json.loads(STEPS.read_text(encoding="utf-8")):
            yield self._tried(f"state {step['state']}", partial(self._state, definition, step))
        calls = json.loads(CALLS.read_text(encoding="utf-8"))
        for verb, policies in roles(filled, stack).items():
            role = partial(self._role, verb, policies, calls.get(verb, []), filled)
            yield self._tried(f"role of {verb}", role)

    @staticmethod
    def _tried(name: str, check: Callable[[], Check]) -> Check:
        try:
            return check()
        except ClientError as error:
            answer = error.response["Error"]
            return Check(name, False, f"{answer['Code']}: {answer['Message']}")
        except BotoCoreError as error:
            return Check(name, False, str(error))

    def _change_set(self, template: dict[str, Any], stack: str) -> Check:
        """Let CloudFormation compare the template with the deployed stack, and clean up."""
        formation, s3 = self._client("cloudformation"), self._client("s3")
        self._client("ssm").get_parameter(Name=BOOTSTRAP)  # fails without a bucket for the template
        bucket = f"cdk-hnb659fds-assets-{self._account}-{self._place.region}"
        name = f"cloud-check-{uuid4().hex[:12]}"
        key = f"cloud-check/{name}.json"
        new = not self._exists(formation, stack)
        body = json.dumps(template, separators=(",", ":")).encode()
        version = s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")
        try:
            formation.create_change_set(
                StackName=stack,
                ChangeSetName=name,
                ChangeSetType="CREATE" if new else "UPDATE",
                TemplateURL=f"https://{bucket}.s3.{self._place.region}.{self._place.suffix}/{key}",
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            )
            return self._described(formation, stack, name)
        finally:
            try:
                formation.delete_change_set(StackName=stack, ChangeSetName=name)
                if new and self._is_empty(formation, stack):
                    formation.delete_stack(StackName=stack)
            finally:
                s3.delete_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))

    def _described(self, formation: Any, stack: str, name: str) -> Check:
        waited = 0.0
        while True:
            found = formation.describe_change_set(StackName=stack, ChangeSetName=name)
            if found["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"} or waited >= _PATIENCE:
                break
            self._sleep(_PAUSE)
            waited += _PAUSE
        changes, reason = found.get("Changes", []), str(found.get("StatusReason", ""))
        if found["Status"] == "CREATE_COMPLETE":
            replaced = [
                each["ResourceChange"]["LogicalResourceId"]
                for each in changes
                if each["ResourceChange"].get("Replacement") == "True"
            ]
            more = " and more" if found.get("NextToken") else ""
            loses = f"; it replaces {', '.join(replaced)}" if replaced else ""
            return Check("change set", True, f"{len(changes)} changes{more}, not executed{loses}")
        if any(each in reason for each in _NO_CHANGES):
            return Check("change set", True, "nothing would change")
        return Check("change set", False, reason or found["Status"])

    @staticmethod
    def _exists(formation: Any, stack: str) -> bool:
        try:
            found = formation.describe_stacks(StackName=stack)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return False
            raise
        return bool(found["Stacks"][0]["StackStatus"] != "REVIEW_IN_PROGRESS")

    @staticmethod
    def _is_empty(formation: Any, stack: str) -> bool:
        """Return whether a stack only has change sets that were never executed."""
        found = formation.describe_stacks(StackName=stack)
        return bool(found["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS")

    def _definition(self, definition: str, name: str = "state machine") -> Check:
        answer = self._client("stepfunctions").validate_state_machine_definition(definition=definition, type="STANDARD")
        problems = [f"{each['code']} {each.get('location', '')}: {each['message']}" for each in answer["diagnostics"]]
        return Check(name, answer["result"] == "OK", "; ".join(problems) or "valid")

    def _state(self, definition: str, step: dict[str, Any]) -> Check:
        """Run one state on its recorded input, with its task's answer mocked."""
        mock = {"mock": step["mock"]} if step["mock"] else {}
        answer = self._client("stepfunctions").test_state(
            definition=definition,
            stateName=step["state"],
            input=json.dumps(step["input"]),
            variables=json.dumps(step["variables"]),
            context=json.dumps(step["context"]),
            **mock,
        )
        ended, name = (answer["status"], answer.get("nextState")), f"state {step['state']}"
        wanted = (step["status"], step["next"])
        if ended == wanted:
            return Check(name, True, f"{ended[0]}, then {ended[1] or 'the end'}")
        why = f" ({answer['error']}: {answer.get('cause', '')})" if answer.get("error") else ""
        return Check(name, False, f"{ended[0]}, then {ended[1]}{why}; locally it was {wanted[0]}, then {wanted[1]}")

    def _role(self, verb: str, policies: list[str], calls: Sequence[Sequence[str]], filled: Filled) -> Check:
        """Simulate each recorded call of the function against its role's policies."""
        by_action: dict[str, list[str]] = {}
        for action, resource in calls:
            by_action.setdefault(action, []).append(arn(resource, filled))
        denied, iam = [], self._client("iam")
        for action, resources in sorted(by_action.items()):
            answer = iam.simulate_custom_policy(
                PolicyInputList=policies, ActionNames=[action], ResourceArns=sorted(set(resources))[:_MOST_RESOURCES]
            )
            denied += [
                f"{each['EvalActionName']} on {each.get('EvalResourceName', '*')}: {each['EvalDecision']}"
                for each in answer["EvaluationResults"]
                if each["EvalDecision"] != "allowed"
            ]
        if not by_action:
            return Check(f"role of {verb}", True, "it has no recorded call")
        return Check(f"role of {verb}", not denied, "; ".join(denied) or f"{len(by_action)} kinds of calls are allowed")


def roles(filled: Filled, stack: str) -> dict[str, list[str]]:
    """Return the policies of each function's role, as texts, by verb."""
    named = {filled.name_of(name): role for name, role in filled.of_type("AWS::IAM::Role").items()}
    found = {}
    for each in filled.of_type("AWS::Lambda::Function").values():
        role = named[str(each["Role"]).rpartition("/")[2]]
        verb = str(each["FunctionName"]).removeprefix(f"{stack}-")
        found[verb] = [json.dumps(policy["PolicyDocument"]) for policy in role.get("Policies", [])]
    return dict(sorted(found.items()))


def arn(resource: str, filled: Filled) -> str:
    """Return the ARN of a recorded resource: ``table``, ``index``, ``bus``, ``bucket``, ``queue:…``, ``object:…``."""
    kind, _, rest = resource.partition(":")
    by_type = {
        "table": "AWS::DynamoDB::Table",
        "index": "AWS::DynamoDB::Table",
        "bus": "AWS::Events::EventBus",
        "bucket": "AWS::S3::Bucket",
        "object": "AWS::S3::Bucket",
        "queue": "AWS::SQS::Queue",
    }[kind]
    for name, each in filled.of_type(by_type).items():
        if kind == "queue" and not str(each["QueueName"]).endswith(f"-{rest}"):
            continue
        found = filled.arn_of(name)
        return found + {"index": "/index/by-connection", "object": f"/{rest}"}.get(kind, "")
    raise ValueError(f"the template has no {resource}: run make record")


def synthesize(words: Sequence[str], *, folder: Path) -> tuple[dict[str, Any], str]:
    """Let the CDK synthesize the stack as for a deployment; return the template and the stack's name.

    Raises:
        RuntimeError: the synthesis failed; says why.

    """
    use_own_node()
    cdk = ROOT / "node_modules" / ".bin" / "cdk"
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
    }
    command = [str(cdk), "synth", "--quiet", "--output", str(folder), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"cdk synth failed:\n{done.stderr.strip()[-2000:]}")
    [file] = folder.glob("*.template.json")
    template: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return template, file.name.removesuffix(".template.json")


def here(session: boto3.Session) -> tuple[Place, str]:
    """Return the Region of a session and its account.

    Raises:
        RuntimeError: there are no credentials, or no Region; says what to do.

    """
    try:
        identity = session.client("sts").get_caller_identity()
    except NoCredentialsError:
        raise RuntimeError("no AWS credentials: log in (aws sso login, AWS_PROFILE) and run it again") from None
    except NoRegionError:
        raise RuntimeError("no AWS Region: set AWS_REGION, or the profile's region") from None
    except (BotoCoreError, ClientError) as error:
        raise RuntimeError(f"AWS rejects the credentials: {error}") from None
    region = str(session.region_name or "")
    if not region:
        raise RuntimeError("no AWS Region: set AWS_REGION, or the profile's region")
    partition = session.get_partition_for_region(region)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return Place(region, partition, suffix), str(identity["Account"])


def main(words: Sequence[str] | None = None) -> int:
    """Print a line for each check; return the exit code: 1 if one fails, 2 if nothing could be checked."""
    session = boto3.Session()
    try:
        place, account = here(session)
        folder = ROOT / "build" / "cloud-check"
        for old in folder.glob("*.template.json"):
            old.unlink()
        template, stack = synthesize(sys.argv[1:] if words is None else words, folder=folder)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{stack} in {account}, {place.region}: nothing is deployed")
    failed = 0
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            clients[service] = session.client(service)  # type: ignore[call-overload]
        return clients[service]

    for check in Account(client, place, account).checks(template, stack):
        print(check)
        failed += not check.ok
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
