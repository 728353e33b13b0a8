"""No grant is idle: without it, and with all the others, a case fails for the want of it."""

from __future__ import annotations

import json

import pytest

from tests.grants.bench import BATCHES, MACHINE, Bench
from tests.grants.cases import Cases
from tests.grants.roles import Grant, Role
from tests.infra.service_actions import SERVICE_ACTIONS, TRACES
from tests.machine import ROOT

pytestmark = pytest.mark.timeout(1500)  # the first test waits until everything was played
VERBS = sorted(folder.parent.name for folder in ROOT.glob("functions/*/handler.py"))
TAGS = {"s3:PutObjectTagging"}
TAGGING = ("accept", "api", "collect", "download", "fail", "publish", "reconcile", "upload")
UNASKED = {
    **{verb: TRACES | (TAGS if verb in TAGGING else set()) for verb in VERBS},
    MACHINE: SERVICE_ACTIONS,
    BATCHES: {
        *SERVICE_ACTIONS,
        *("events:DescribeRule", "events:PutRule", "events:PutTargets"),
        *("states:DescribeExecution", "states:StopExecution"),
        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    },
}
"""What no case can miss here: the local AWS has neither X-Ray nor the delivery of a state machine's logs, and it asks
for no permission of its own where an object is written with tags. It is granted as AWS's pages list it, which
``tests/infra/test_grants.py`` and ``tests/infra/test_retention.py`` compare. What Step Functions itself calls to follow
a nested execution and to write a Map Run's results in parts is not called there either."""


def test_every_function_is_tried(bench: Bench) -> None:
    """Each function that is deployed has a role on the bench, and each state machine has one."""
    assert sorted(bench.functions) == VERBS
    assert set(bench.roles) == {*VERBS, MACHINE, BATCHES}


@pytest.mark.rule("security: use a permission that nothing needs")
@pytest.mark.parametrize("name", [*VERBS, MACHINE, BATCHES])
def test_no_grant_is_idle(bench: Bench, name: str) -> None:
    """Every action on every resource that the deployed role grants was missed by a case once it was taken away."""
    granted = bench.roles[name].grants
    unasked = {each for each in granted if each.action in UNASKED[name]}
    assert {each.action for each in unasked} == UNASKED[name]
    assert sorted(map(str, granted - bench.missed[name] - unasked)) == []


@pytest.mark.rule("security: use a permission that nothing needs")
def test_an_idle_grant_would_be_seen(bench: Bench) -> None:
    """A grant too many is missed by nobody, whatever is played."""
    iam, role = bench.client("iam"), bench.roles["sweep"]
    table = next(each.resource for each in role.grants if each.action == "dynamodb:Query").partition("/index/")[0]
    idle = Grant("dynamodb:Scan", table)
    statement = {"Effect": "Allow", "Action": idle.action, "Resource": idle.resource}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role.name, PolicyName="idle", PolicyDocument=text)
    bench.roles["sweep"] = Role(iam, role.arn, bench.connections)
    bench.missed["sweep"].clear()
    bench.switch(on=False)  # a poll would move the wait before the sweep does

    Cases(bench).swept()

    missed = bench.missed["sweep"]
    assert idle in bench.roles["sweep"].grants
    assert idle not in missed
    actions = {"dynamodb:Query", "dynamodb:UpdateItem", "sqs:GetQueueAttributes", "sqs:SendMessage"}
    assert {each.action for each in missed} == actions
