"""What the roles may do."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.infra.service_actions import SERVICE_ACTIONS, TRACES
from tests.infra.synthesis import Synthesized

EXECUTIONS = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:dossier-dev:*"
DOCUMENTS = "<Bucket>/cases/*/*/documents/*"
VENDOR = "<Bucket>/cases/*/*/vendor/*"
ARTIFACTS = "<Bucket>/cases/*/*/artifacts/*"
COLLECTING = "<Bucket>/collecting/*"
OUTCOME = {"<Bucket>/cases/*/*/result.json", "<Bucket>/cases/*/*/manifest.json"}
SUBMISSIONS = {f"<Bucket>/{folder}/*" for folder in ("uploads", "staging", "inbox", "cases")}
PATTERNS = {
    "accept": {DOCUMENTS, *SUBMISSIONS},
    "api": {*SUBMISSIONS, "<Bucket>/staging/*", *OUTCOME, EXECUTIONS},
    "ask": set(),
    "collect": {VENDOR, ARTIFACTS, COLLECTING},
    "compare": set(),
    "download": {VENDOR, ARTIFACTS, COLLECTING},
    "drop": {"<Bucket>/inbox/*", "<Bucket>/inbox-waiting/*", EXECUTIONS},
    "fail": {"<Bucket>/inbox-refused/*", VENDOR, *OUTCOME},
    "open": set(),
    "poll": set(),
    "process": set(),
    "publish": {VENDOR, DOCUMENTS, ARTIFACTS, COLLECTING, *OUTCOME},
    "reconcile": {VENDOR, *OUTCOME, EXECUTIONS},  # an execution's name is its case's
    "summarize": {"<Bucket>/batches/*"},
    "sweep": set(),
    "upload": {VENDOR, DOCUMENTS},
    "wait": set(),
    "wake": {"<Bucket>/webhooks/*"},
    "webhook": {f"<Bucket>/{folder}/*" for folder in ("webhooks", "webhooks-refused", "webhooks-seen")},
}
"""The patterns that a role names: the folders of every case, of every day; besides X-Ray, which takes no resource."""


@pytest.mark.rule(
    "security: read documents of other cases and connections, deliveries, other people's drops",
    "security: get the permissions of all functions",
)
@pytest.mark.parametrize("verb", PATTERNS)
def test_a_role_names_its_resources(stack: Synthesized, verb: str) -> None:
    """A function's role names only the resources that it works on."""
    patterns = set()
    for statement in stack.statements(verb):
        if set(statement["Action"]) == TRACES:
            assert statement["Resource"] == ["*"]
            continue
        patterns |= {each for each in statement["Resource"] if "*" in each}
    assert patterns == PATTERNS[verb]


@pytest.mark.rule("security: get the permissions of all functions")
@pytest.mark.parametrize("verb", PATTERNS)
def test_a_role_names_its_actions(stack: Synthesized, verb: str) -> None:
    """No action is a pattern or granted twice for a resource, and each role writes only its own log."""
    grants = [
        (action, resource)
        for statement in stack.statements(verb)
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert not [action for action, _ in grants if "*" in action]
    assert len(grants) == len(set(grants))
    assert {resource for action, resource in grants if action.startswith("logs:")} == {
        f"</aws/lambda/dossier-dev-{verb}>"
    }


@pytest.mark.rule("security: get the permissions of all functions")
def test_every_function_has_its_own_role(stack: Synthesized) -> None:
    """No two functions share a role, and no function has a permission in another way than those tested here."""
    roles = [each["Role"]["Fn::GetAtt"][0] for each in stack.functions.values()]
    assert len(roles) == len(set(roles))
    assert not stack.of_type("AWS::IAM::Policy")
    assert not stack.of_type("AWS::IAM::ManagedPolicy")
    assert len(stack.of_type("AWS::IAM::Role")) == len(roles) + 2


@pytest.mark.rule("security: use a permission that nothing needs")
def test_the_state_machine_may_only_call_its_functions(stack: Synthesized) -> None:
    """The machine's role names the functions of its states; its other actions have no resources in IAM."""
    role = stack.machine["RoleArn"]["Fn::GetAtt"][0]
    calls, services = stack.role_statements(role)
    assert calls["Action"] == ["lambda:InvokeFunction"]
    assert {each.strip("{}") for each in calls["Resource"]} == {
        "accept", "ask", "collect", "download", "fail", "open", "process", "publish", "upload", "wait",
    }  # fmt: skip
    assert set(services["Action"]) == SERVICE_ACTIONS


@pytest.mark.rule("security: delete results")
@pytest.mark.parametrize(
    ("action", "verbs"),
    [
        ("secretsmanager:GetSecretValue", "open upload process collect download publish webhook wake poll compare"),
        ("events:PutEvents", "ask publish fail reconcile api"),
        ("states:StartExecution", "wake drop publish fail reconcile compare api"),
        ("states:SendTask*", "poll reconcile api"),
        ("states:DescribeExecution", "reconcile drop api"),
        ("sqs:ReceiveMessage", "wake poll drop"),
        ("sqs:SendMessage", "wait webhook wake poll sweep drop"),
        ("s3:DeleteObject", "publish drop"),
        ("s3:DeleteObjectVersion", ""),
        ("dynamodb:DeleteItem", "open upload collect download publish fail poll reconcile api"),
        ("dynamodb:Scan", ""),
    ],
)
def test_sensitive_actions_are_granted_to_few_functions(stack: Synthesized, action: str, verbs: str) -> None:
    """The most sensitive actions are granted only to the functions that need them."""
    may = {
        verb
        for verb in stack.functions
        for statement in stack.statements(verb)
        if any(fnmatchcase(each, action) for each in statement["Action"])
    }
    assert may == set(verbs.split())


@pytest.mark.rule("security: reach cases through the function")
def test_the_webhook_can_neither_read_cases_nor_poll(stack: Synthesized) -> None:
    """The function that strangers reach has no access to the table and the poll queues."""
    actions = {each for statement in stack.statements("webhook") for each in statement["Action"]}
    assert not [each for each in actions if each.startswith(("dynamodb:", "states:"))]
    [reads] = [each for each in stack.statements("webhook") if "s3:GetObject" in each["Action"]]
    assert reads["Resource"] == ["<Bucket>/webhooks-seen/*"]
    sends = next(each for each in stack.statements("webhook") if each["Action"] == ["sqs:SendMessage"])
    assert sends["Resource"] == ["<dossier-dev-wake>"]


@pytest.mark.rule("security: read the keys of connections that the function does not work for")
@pytest.mark.parametrize(
    ("verb", "secrets"),
    [
        ("collect", {"invoices", "claims", "disputes"}),
        ("open", {"disputes"}),  # the only vendor whose cases are opened and assessed by a request
        ("process", {"disputes"}),
        ("compare", {"invoices", "claims"}),  # the vendors that list what an account has
        ("webhook", {"invoices", "claims"}),  # the only ones with a webhook
    ],
)
def test_a_role_reads_the_secrets_of_the_connections_it_works_for(
    stack: Synthesized, verb: str, secrets: set[str]
) -> None:
    """A step of some vendors reads their connections' secrets; the webhook reads those of connections with webhooks."""
    [reads] = [each for each in stack.statements(verb) if each["Action"] == ["secretsmanager:GetSecretValue"]]
    assert {each.strip("<>").partition("/")[2] for each in reads["Resource"]} == secrets


@pytest.mark.rule("security: read documents of other buckets")
def test_accept_reads_the_buckets_that_the_settings_name(stack: Synthesized, other_stack: Synthesized) -> None:
    """Documents lie in the bucket's folders for them; in other buckets if the operator says so, and in no other.

    Deliveries, refused drops and batches are nothing that a case can name: the role cannot read them at all.
    """
    for synthesized, buckets in ((stack, []), (other_stack, ["scans", "mail-room"])):
        statements = synthesized.statements("accept")
        [reads] = [each["Resource"] for each in statements if each["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]]
        [lists] = [each["Resource"] for each in statements if each["Action"] == ["s3:ListBucket"]]
        arns = ["<Bucket>", *(f"arn:<AWS::Partition>:s3:::{name}" for name in buckets)]
        assert set(lists) == set(arns)
        assert set(reads) == {*SUBMISSIONS, *(f"{arn}/*" for arn in arns[1:])}


@pytest.mark.rule("security: call functions from outside")
def test_only_aws_services_may_call_functions(stack: Synthesized) -> None:
    """Only this account's API and rules may call their own functions."""
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    callers = {(each["Principal"], stack.text(each["FunctionName"])) for each in permissions}
    assert callers == {
        ("apigateway.amazonaws.com", "{api}"),
        ("apigateway.amazonaws.com", "{webhook}"),
        ("events.amazonaws.com", "{compare}"),
        ("events.amazonaws.com", "{fail}"),
        ("events.amazonaws.com", "{reconcile}"),
        ("events.amazonaws.com", "{sweep}"),
    }
    assert all("SourceArn" in each for each in permissions)


def test_the_batch_machine_may_start_cases_and_not_stop_them(stack: Synthesized) -> None:
    """A run that is stopped leaves the cases alone that are under way: the vendor has them, and bills them."""
    machine = stack.machine_named("dossier-dev-batch")
    statements = stack.role_statements(machine["RoleArn"]["Fn::GetAtt"][0])
    may = {(action, each) for found in statements for action in found["Action"] for each in found["Resource"]}
    own = EXECUTIONS.replace("dossier-dev:*", "dossier-dev-batch:*")
    assert {each for action, each in may if action == "states:StopExecution"} == {own}
    assert {each for action, each in may if action == "states:DescribeExecution"} == {own, EXECUTIONS}
    started = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:dossier-dev"
    assert {each for action, each in may if action == "states:StartExecution"} == {started, f"{started}-batch"}
    assert {each for action, each in may if action.startswith("s3:")} == {"<Bucket>/batches/*"}
    assert {each for action, each in may if action == "lambda:InvokeFunction"} == {"{summarize}"}
