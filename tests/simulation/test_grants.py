"""The simulation denies a call that the deployed role does not grant, and reports it as a violation."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from dossier.connections import load_toml
from tests.simulation.faults import Faults
from tests.simulation.handlers import ROOT
from tests.simulation.models.iam import Grants
from tests.simulation.models.s3 import S3, Bucket
from tests.simulation.models.wire import Wire
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace
from tests.simulation.world import deployed_functions, deployed_roles

ALLOWED = [
    ("sweep", "dynamodb.UpdateItem", ""),
    ("sweep", "dynamodb.Query", "index"),
    ("sweep", "sqs.SendMessage", "dossier-dev-poll-claims"),
    ("webhook", "secretsmanager.GetSecretValue", "dossier/claims"),
    ("webhook", "s3.GetObject", "webhooks-seen/claims/1"),
    ("drop", "s3:GetObjectVersion", "inbox/claims/invoice.pdf"),
    ("drop", "s3.ListObjectsV2", "inbox/"),
    ("publish", "events.PutEvents", "dossier"),
    ("poll", "stepfunctions.SendTaskSuccess", ""),
]
DENIED = [
    ("sweep", "dynamodb.GetItem", ""),
    ("sweep", "dynamodb.Query", ""),
    ("sweep", "sqs.SendMessage", "dossier-dev-wake"),
    ("webhook", "secretsmanager.GetSecretValue", "dossier/disputes"),
    ("webhook", "s3.GetObject", "webhooks/claims/1"),
    ("drop", "s3.HeadObject", "cases/claims/C-1/result.json"),
    ("upload", "s3.ListObjectsV2", "cases/"),
    ("poll", "stepfunctions.StartExecution", ""),
]


@pytest.fixture(scope="module")
def grants() -> Grants:
    """Return the grants of the synthesized roles, for the connections of the examples."""
    return Grants(deployed_functions(), deployed_roles(), load_toml(ROOT / "connections.toml"))


@pytest.mark.parametrize("call", ALLOWED)
def test_granted_call_is_allowed(grants: Grants, call: tuple[str, str, str]) -> None:
    """The deployed role grants it."""
    assert grants.allow(*call)


@pytest.mark.parametrize("call", DENIED)
def test_call_that_is_not_granted_is_denied(grants: Grants, call: tuple[str, str, str]) -> None:
    """The deployed role grants something similar at most."""
    assert not grants.allow(*call)


def performed(grants: Grants, verb: str, act: Any) -> tuple[Any, list[tuple[str, str, str]]]:
    """Let a function call S3; return the code of its error, and the calls that were reported as denied."""
    scheduler, faults, denied = Scheduler(), Faults("0"), list[tuple[str, str, str]]()
    wire = Wire(scheduler, faults, Trace())
    wire.allows, wire.denied = grants.allow, lambda *call: denied.append(call)
    bucket, codes = Bucket("artifacts"), []
    bucket.put("webhooks-seen/claims/1", b"1", metadata={}, content_type="text/plain")

    def work() -> None:
        try:
            act(S3(bucket, wire))
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    scheduler.spawn(verb, work, lambda *_: None).mortal = True
    scheduler.run()
    return codes, denied


def test_denied_call_has_no_effect_and_is_reported(grants: Grants) -> None:
    """The function reads AWS's error; whatever it makes of it, the history has failed."""
    put = {"Bucket": "artifacts", "Key": "cases/claims/C-1/result.json", "Body": b"{}"}
    codes, denied = performed(grants, "webhook", lambda s3: s3.put_object(**put))
    assert codes == ["AccessDenied"]
    assert denied == [("webhook", "s3:PutObject", put["Key"])]


@pytest.mark.parametrize(
    ("verb", "key", "code"), [("webhook", "webhooks-seen/x/2", "AccessDenied"), ("drop", "inbox/x", "NoSuchKey")]
)
def test_missing_object_is_forbidden_to_who_may_not_list(grants: Grants, verb: str, key: str, code: str) -> None:
    """That is no violation: Dossier knows what S3 answers then."""
    codes, denied = performed(grants, verb, lambda s3: s3.get_object(Bucket="artifacts", Key=key))
    assert codes == [code]
    assert denied == []
