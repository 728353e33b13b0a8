"""Roles, tiny functions, state machines and executions on a local AWS, for the tests of the bridges."""

import io
import itertools
import json
import textwrap
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"
COMPILED_LAYER = "compiled-layer"
"""Name of the folder with a layer that the server finds compiled: ``shared.py`` with the word "compiled"."""
LOGS = (("logs:CreateLogStream", "*"), ("logs:PutLogEvents", "*"))
"""What a function's role needs for the function to leave a log."""
_END = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class Aws:
    """One local AWS, as its tests use it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count(1)
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        """Return a client, by the service's name with ``_`` for ``-``; calls are never repeated."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            make: Any = boto3.client  # typed for names that are literals
            self._clients[service] = make(
                service.replace("_", "-").removesuffix("-"),
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=120),
            )
        return self._clients[service]

    def name(self, what: str) -> str:
        """Return a name that nothing has yet."""
        return f"{what}-{next(self._numbers)}"

    def role(self, *statements: tuple[str, str]) -> str:
        """Make a role that may do each action on its resource; return its ARN."""
        name = self.name("role")
        trust = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
                 "Action": "sts:AssumeRole"}  # fmt: skip
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))
        allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
        if allowed:
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_policy(allowed))
        return str(role["Role"]["Arn"])

    def layer(self, files: Mapping[str, str]) -> str:
        """Publish a layer with these files; return its version's ARN."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name), text)  # without a time: the same files are the same layer
        content = {"ZipFile": packed.getvalue()}
        published = self.lambda_.publish_layer_version(LayerName=self.name("layer"), Content=content)
        return str(published["LayerVersionArn"])

    def function(
        self,
        source: str,
        *,
        handler: str = "code.handle",
        role: str | None = None,
        memory: int = 128,
        timeout: int = 20,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Make a function of one module named ``code``; return its ARN."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{handler.partition('.')[0]}.py", textwrap.dedent(source))
        made = self.lambda_.create_function(
            FunctionName=self.name("function"),
            Runtime="python3.13",
            Handler=handler,
            Role=role or self.role(*LOGS),
            Code={"ZipFile": packed.getvalue()},
            MemorySize=memory,
            Timeout=timeout,
            Environment={"Variables": dict(variables or {})},
        )
        return str(made["FunctionArn"])

    def invoke(self, function: str, event: Any = None) -> Any:
        """Return a function's answer: a result or an error."""
        answer = self.lambda_.invoke(FunctionName=function, Payload=json.dumps(event or {}))
        return json.loads(answer["Payload"].read())

    def machine(self, states: Mapping[str, Any], *, role: str | None = None, **fields: Any) -> str:
        """Make a JSONata state machine that starts at the first state; by default it may do everything."""
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **fields}
        made = self.stepfunctions.create_state_machine(
            name=self.name("machine"), definition=json.dumps(definition), roleArn=role or self.role(("*", "*"))
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, given: Any = None, *, name: str | None = None) -> str:
        """Start an execution; return its ARN."""
        options = {"name": name} if name else {}
        started = self.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(given or {}), **options)
        return str(started["executionArn"])

    def end(self, execution: str, *, seconds: float = 30) -> dict[str, Any]:
        """Wait until an execution ends; return its description, the output parsed."""
        described = self.until(
            lambda: self.stepfunctions.describe_execution(executionArn=execution),
            lambda found: found["status"] in _END,
            seconds=seconds,
        )
        if described["status"] == "SUCCEEDED":
            described["output"] = json.loads(described["output"])
        return dict(described)

    def run(self, machine: str, given: Any = None) -> dict[str, Any]:
        """Start an execution and wait for its end."""
        return self.end(self.start(machine, given))

    def until(self, ask: Callable[[], Any], holds: Callable[[Any], Any], *, seconds: float = 10) -> Any:
        """Ask until the answer is as expected; return the last answer, whatever it is by then."""
        deadline = time.monotonic() + seconds
        while True:
            answer = ask()
            if holds(answer) or time.monotonic() > deadline:
                return answer
            time.sleep(0.05)

    def stack(self, resources: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Create a stack; return its description once it is created or has failed, outputs by name."""
        template = {
            "Resources": resources,
            "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()},
        }
        name = self.name("stack")
        body = json.dumps(template)
        self.cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        described = self.until(
            lambda: self.cloudformation.describe_stacks(StackName=name)["Stacks"][0],
            lambda found: not found["StackStatus"].endswith("IN_PROGRESS"),
            seconds=30,
        )
        values = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
        return {**described, "Outputs": values}


def invoke_task(function: str, **fields: Any) -> dict[str, Any]:
    """Return a state that invokes a function with its own input."""
    arguments = {"FunctionName": function, "Payload": "{% $states.input %}"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "End": True, **fields}


def token_task(function: str, **fields: Any) -> dict[str, Any]:
    """Return a state that gives a function a task token and waits for the answer."""
    arguments = {"FunctionName": function, "Payload": {"token": "{% $states.context.Task.Token %}"}}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True, **fields}


def _policy(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
