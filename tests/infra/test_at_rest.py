"""How data is kept and sent."""

from __future__ import annotations

import json

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.infra.synthesis import KMS_KEY, Properties, Synthesized

WITH_A_TABLE = {"kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
"""What DynamoDB does with a customer's key on behalf of the role that uses the table
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html)."""


def _secure_transport(policy: Properties) -> bool:
    """Whether a resource's policy denies every request without TLS."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and statement["Principal"] in ({"AWS": "*"}, "*")
        for statement in policy["PolicyDocument"]["Statement"]
        if "Condition" in statement
    )


@pytest.mark.rule("security: read bytes in transit or at rest")
def test_nothing_is_stored_in_clear(stack: Synthesized) -> None:
    """Bucket and queues are encrypted with AWS's own keys; DynamoDB and Secrets Manager always are."""
    [rule] = stack.one("AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert {each["SqsManagedSseEnabled"] for each in stack.of_type("AWS::SQS::Queue").values()} == {True}
    assert "kms" not in json.dumps(stack.template["Resources"]).lower()


@pytest.mark.rule("security: read bytes in transit or at rest")
def test_nothing_is_sent_in_clear(stack: Synthesized) -> None:
    """The bucket and every queue reject requests without TLS."""
    assert _secure_transport(stack.one("AWS::S3::BucketPolicy"))
    policies = stack.of_type("AWS::SQS::QueuePolicy").values()
    assert len(policies) == len(stack.of_type("AWS::SQS::Queue"))
    assert all(_secure_transport(each) for each in policies)


@pytest.mark.rule("security: read bytes in transit or at rest")
def test_a_customers_key_encrypts_everything(other_stack: Synthesized) -> None:
    """With ``-c kms_key_arn=…`` bucket, table, queues and secrets are encrypted with the customer's key."""
    [rule] = other_stack.one("AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KMS_KEY}
    assert rule["BucketKeyEnabled"] is True
    table = other_stack.one("AWS::DynamoDB::Table")["SSESpecification"]
    assert table == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KMS_KEY}
    assert {each["KmsMasterKeyId"] for each in other_stack.of_type("AWS::SQS::Queue").values()} == {KMS_KEY}
    assert {each["KmsKeyId"] for each in other_stack.of_type("AWS::SecretsManager::Secret").values()} == {KMS_KEY}


def test_every_function_may_use_the_customers_key(stack: Synthesized, other_stack: Synthesized) -> None:
    """Functions encrypt and decrypt with only that key, and manage no key."""
    for verb in other_stack.functions:
        grants = [each for each in other_stack.statements(verb) if each["Action"][0].startswith("kms:")]
        uses_table = [each for each in other_stack.statements(verb) if each["Action"][0].startswith("dynamodb:")]
        actions = {"kms:Decrypt", "kms:GenerateDataKey"} | (WITH_A_TABLE if uses_table else set())
        assert [(set(each["Action"]), each["Resource"]) for each in grants if KMS_KEY in each["Resource"]] == [
            (actions, [KMS_KEY])
        ]
        assert not [each for each in stack.statements(verb) if each["Action"][0].startswith("kms:")]


@pytest.mark.rule("security: hide that a delivery arrived")
def test_evidence_is_locked_if_the_operator_says_so(stack: Synthesized, other_stack: Synthesized) -> None:
    """With ``-c evidence_lock_days=…`` only the webhook function may lock what it writes; it may remove no lock."""
    locks = {"s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:BypassGovernanceRetention"}
    for synthesized, days, granted in ((stack, "0", {}), (other_stack, "400", {"webhook": {"s3:PutObjectRetention"}})):
        assert synthesized.one("AWS::S3::Bucket").get("ObjectLockEnabled", False) is bool(granted)
        variables = synthesized.functions["webhook"]["Environment"]["Variables"]
        assert variables["DOSSIER_EVIDENCE_LOCK_DAYS"] == days
        may = {
            verb: locks & {action for statement in synthesized.statements(verb) for action in statement["Action"]}
            for verb in synthesized.functions
        }
        assert {verb: actions for verb, actions in may.items() if actions} == granted
    [grant] = [each for each in other_stack.statements("webhook") if "s3:PutObjectRetention" in each["Action"]]
    assert grant["Resource"] == ["<Bucket>/webhooks/*"]


def test_a_lock_needs_no_new_bucket() -> None:
    """CloudFormation can turn on Object Lock for an existing bucket, because that is not a create-only property."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::S3::Bucket").schema
    assert "/properties/BucketName" in schema["createOnlyProperties"]
    assert "ObjectLockEnabled" in schema["properties"]
    assert not [each for each in schema["createOnlyProperties"] if "ObjectLock" in each]


@pytest.mark.rule("security: pass another bucket's messages as drops")
def test_s3_alone_may_send_to_the_inbox(stack: Synthesized) -> None:
    """Queue policies only allow S3 to send notifications about this account's buckets."""
    [statement] = [
        statement
        for policy in stack.of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (statement["Action"], stack.text(statement["Resource"])) == ("sqs:SendMessage", "<dossier-dev-drop>")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.rule("security: read bytes in transit or at rest")
@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::S3::BucketPolicy"])
def test_no_other_account_has_access(stack: Synthesized, kind: str) -> None:
    """No resource policy allows other accounts anything, and the bucket accepts no access lists."""
    for properties in stack.of_type(kind).values():
        statements = properties.get("PolicyDocument", {}).get("Statement", [])
        assert {each["Effect"] for each in statements} <= {"Deny"}
    ownership = stack.one("AWS::S3::Bucket")["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
