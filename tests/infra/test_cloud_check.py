"""``make cloud-check``: its calls, tested against stubs that check every parameter as AWS's own models have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from checks import cloud, machine
from checks.cloud import Account, Check
from checks.places import ACCOUNT, PLACES, Filled
from tests.infra.synthesis import Synthesized

PLACE = PLACES[1]
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{PLACE.region}"
EMPTY = {"StackName": "dossier-dev", "CreationTime": "2026-01-31T12:00:00Z", "StackStatus": "REVIEW_IN_PROGRESS"}


class Stubs:
    """Clients that accept only the expected calls, in order."""

    def __init__(self) -> None:
        session = boto3.Session("testing", "testing", region_name=PLACE.region)
        names = ("cloudformation", "iam", "s3", "ssm", "stepfunctions", "sts")
        self.clients = {name: session.client(name) for name in names}  # type: ignore[call-overload]
        self.stubs = {name: Stubber(each) for name, each in self.clients.items()}
        for each in self.stubs.values():
            each.activate()

    def account(self) -> Account:
        """Return an account with these validators."""
        return Account(self.clients.__getitem__, PLACE, ACCOUNT, sleep=lambda _: None)

    def expect(self, service: str, method: str, answer: dict[str, Any], **params: Any) -> None:
        """Expect a call; without ``params`` any parameters match."""
        self.stubs[service].add_response(method, answer, params or None)

    def refuse(self, service: str, method: str, code: str, message: str) -> None:
        """Expect a call, and reject it."""
        self.stubs[service].add_client_error(method, code, message)

    def done(self) -> None:
        """Check that every expected call was made."""
        for each in self.stubs.values():
            each.assert_no_pending_responses()


@pytest.fixture
def stubs() -> Iterator[Stubs]:
    """Yield stubs, and check that every expected call was made."""
    made = Stubs()
    yield made
    made.done()


def change_set(
    stubs: Stubs, *described: dict[str, Any], exists: bool = False, left: str = "REVIEW_IN_PROGRESS"
) -> Check:
    """Return the check of a change set, and expect all calls that belong to it."""
    stubs.expect("ssm", "get_parameter", {"Parameter": {"Value": "21"}}, Name=cloud.BOOTSTRAP)
    if exists:
        stubs.expect("cloudformation", "describe_stacks", {"Stacks": [{**EMPTY, "StackStatus": "UPDATE_COMPLETE"}]})
    else:
        stubs.refuse("cloudformation", "describe_stacks", "ValidationError", "Stack with id dossier-dev does not exist")
    stubs.expect("s3", "put_object", {"VersionId": "v1"}, Bucket=BUCKET, Key=ANY, Body=ANY)
    stubs.expect(
        "cloudformation",
        "create_change_set",
        {},
        StackName="dossier-dev",
        ChangeSetName=ANY,
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateURL=ANY,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    for each in described:
        stubs.expect("cloudformation", "describe_change_set", each, StackName="dossier-dev", ChangeSetName=ANY)
    stubs.expect("cloudformation", "delete_change_set", {}, StackName="dossier-dev", ChangeSetName=ANY)
    if not exists:
        stubs.expect("cloudformation", "describe_stacks", {"Stacks": [{**EMPTY, "StackStatus": left}]})
        if left == "REVIEW_IN_PROGRESS":
            stubs.expect("cloudformation", "delete_stack", {}, StackName="dossier-dev")
    stubs.expect("s3", "delete_object", {}, Bucket=BUCKET, Key=ANY, VersionId="v1")
    return stubs.account()._change_set({"Resources": {}}, "dossier-dev")


def test_a_change_set_is_made_and_everything_of_it_deleted(stubs: Stubs) -> None:
    """Change set, template and the empty stack of a first deployment are deleted; nothing is executed."""
    changes = [{"ResourceChange": {"Action": "Add", "LogicalResourceId": "Bucket"}}]
    check = change_set(stubs, {"Status": "CREATE_IN_PROGRESS"}, {"Status": "CREATE_COMPLETE", "Changes": changes})
    assert check == Check("change set", True, "1 changes, not executed")


def test_a_stack_that_somebody_deploys_meanwhile_stays(stubs: Stubs) -> None:
    """Only a stack that was never deployed is deleted."""
    assert change_set(stubs, {"Status": "CREATE_COMPLETE", "Changes": []}, left="CREATE_IN_PROGRESS").ok


def test_a_replacement_is_named(stubs: Stubs) -> None:
    """A resource of a deployed stack that would be replaced is reported, because its content would be lost."""
    changes = [{"ResourceChange": {"Action": "Modify", "LogicalResourceId": "Cases", "Replacement": "True"}}]
    check = change_set(stubs, {"Status": "CREATE_COMPLETE", "Changes": changes}, exists=True)
    assert check.answer == "1 changes, not executed; it replaces Cases"


@pytest.mark.parametrize(
    ("reason", "ok"),
    [
        (
            "The submitted information didn't contain changes. Submit different information to create a change set.",
            True,
        ),
        ("Template error: resource Bucket does not exist", False),
    ],
)
def test_a_change_set_that_fails_says_why(stubs: Stubs, reason: str, ok: bool) -> None:
    """An empty change set is fine; any other rejection by CloudFormation is a failure."""
    check = change_set(stubs, {"Status": "FAILED", "StatusReason": reason}, exists=True)
    assert check == Check("change set", ok, "nothing would change" if ok else reason)


def test_the_template_is_deleted_if_the_change_set_is_rejected(stubs: Stubs, stack: Synthesized) -> None:
    """After any error the upload is deleted, and the other checks continue."""
    stubs.expect("ssm", "get_parameter", {"Parameter": {"Value": "21"}})
    stubs.expect("cloudformation", "describe_stacks", {"Stacks": [{**EMPTY, "StackStatus": "UPDATE_COMPLETE"}]})
    stubs.expect("s3", "put_object", {})
    stubs.refuse("cloudformation", "create_change_set", "AccessDenied", "not authorized")
    stubs.expect("cloudformation", "delete_change_set", {})
    stubs.expect("s3", "delete_object", {}, Bucket=BUCKET, Key=ANY)
    stubs.refuse("stepfunctions", "validate_state_machine_definition", "AccessDenied", "not authorized")
    checks = stubs.account().checks(stack.template, stack.name)
    assert [str(next(checks)) for _ in range(2)] == [
        "FAIL  change set: AccessDenied: not authorized",
        "FAIL  state machine: AccessDenied: not authorized",
    ]


def test_an_account_without_bootstrap_is_reported(stubs: Stubs, stack: Synthesized) -> None:
    """Without a bootstrap bucket nothing is uploaded or created."""
    stubs.refuse("ssm", "get_parameter", "ParameterNotFound", "run cdk bootstrap")
    assert not next(stubs.account().checks(stack.template, stack.name)).ok


def test_a_definition_is_validated(stubs: Stubs) -> None:
    """The line has Step Functions' diagnostics."""
    problem = {
        "severity": "ERROR",
        "code": "MISSING_TRANSITION_TARGET",
        "message": "no such state",
        "location": "/States/A",
    }
    stubs.expect(
        "stepfunctions", "validate_state_machine_definition", {"result": "OK", "diagnostics": []},
        definition="{}", type="STANDARD",
    )  # fmt: skip
    stubs.expect("stepfunctions", "validate_state_machine_definition", {"result": "FAIL", "diagnostics": [problem]})
    account = stubs.account()
    assert account._definition("{}") == Check("state machine", True, "valid")
    assert account._definition("{}").answer == "MISSING_TRANSITION_TARGET /States/A: no such state"


@pytest.mark.parametrize("step", json.loads(machine.STEPS.read_text(encoding="utf-8")), ids=lambda each: each["state"])
def test_every_state_is_tested_with_recorded_inputs(stubs: Stubs, stack: Synthesized, step: dict[str, Any]) -> None:
    """A recorded state has input, variables, context and mocked answer, and must end as it did here."""
    definition = json.dumps(stack.definition)
    answer = {"status": step["status"], **({"nextState": step["next"]} if step["next"] else {})}
    stubs.expect(
        "stepfunctions",
        "test_state",
        answer,
        definition=definition,
        stateName=step["state"],
        input=json.dumps(step["input"]),
        variables=json.dumps(step["variables"]),
        context=json.dumps(step["context"]),
        **({"mock": step["mock"]} if step["mock"] else {}),
    )
    stubs.expect("stepfunctions", "test_state", {"status": "FAILED", "error": "States.QueryEvaluationError"})
    account = stubs.account()
    assert account._state(definition, step).ok
    failed = account._state(definition, step)
    assert failed.ok is (step["status"] == "FAILED")


def test_every_state_of_the_machine_is_recorded(stack: Synthesized) -> None:
    """``cloud-check`` tests every state."""
    recorded = {each["state"] for each in json.loads(machine.STEPS.read_text(encoding="utf-8"))}
    assert recorded == {name for name, _, _ in stack.states()}


def test_roles_are_simulated_with_the_calls_of_their_functions(stubs: Stubs, stack: Synthesized) -> None:
    """Each recorded kind of call of a function is simulated against the policies of its role."""
    filled = Filled(stack.template, stack.name, PLACE)
    policies = cloud.roles(filled, stack.name)["publish"]
    calls = [["s3:PutObject", "object:cases/invoices/R-1/result.json"], ["events:PutEvents", "bus"]]
    bus = f"arn:aws:events:{PLACE.region}:{ACCOUNT}:event-bus/dossier"
    for action, arn, decision in (("events:PutEvents", bus, "allowed"), ("s3:PutObject", ANY, "implicitDeny")):
        result = {"EvalActionName": action, "EvalResourceName": "it", "EvalDecision": decision}
        stubs.expect(
            "iam", "simulate_custom_policy", {"EvaluationResults": [result]},
            PolicyInputList=policies, ActionNames=[action], ResourceArns=[arn] if arn is not ANY else ANY,
        )  # fmt: skip
    check = stubs.account()._role("publish", policies, calls, filled)
    assert check == Check("role of publish", False, "s3:PutObject on it: implicitDeny")


def test_every_recorded_call_is_one_that_its_role_allows(stack: Synthesized) -> None:
    """A function's role allows each recorded call, according to its policies; IAM itself checks that in the cloud."""
    filled = Filled(stack.template, stack.name, PLACE)
    for verb, calls in json.loads(machine.CALLS.read_text(encoding="utf-8")).items():
        policies = [json.loads(text) for text in cloud.roles(filled, stack.name)[verb]]
        actions = {
            action
            for policy in policies
            for statement in policy["Statement"]
            for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        }
        for action, resource in calls:
            assert action in actions, (verb, action)
            assert cloud.arn(resource, filled).startswith("arn:aws:"), (verb, resource)


def test_nothing_is_checked_without_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what to do; the exit code is 2."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert cloud.main([]) == 2
    out = capsys.readouterr()
    assert out.err == "no AWS credentials: log in (aws sso login, AWS_PROFILE) and run it again\n"
    assert out.out == ""
