"""The local AWS answers as AWS documents, as the simulation's models do (``tests/simulation/test_models.py``)."""

from __future__ import annotations

import boto3
import pytest

from tests.local.aws import Aws
from tests.simulation.statements import DIFFERENT, STATEMENTS, Account


@pytest.mark.parametrize("what", STATEMENTS)
def test_local_aws_answers_as_aws_documents(aws: Aws, what: str) -> None:
    """So the tests on the local AWS and the simulation test the same."""
    statement, expected = STATEMENTS[what]
    bucket, name = aws.name("bucket"), aws.name("table")
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = ("pk", "sk", "gsi_pk", "gsi_sk")
    aws.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in keys],
        GlobalSecondaryIndexes=[
            {"IndexName": "by-connection", "KeySchema": _keys(*keys[2:]), "Projection": {"ProjectionType": "ALL"}}
        ],
    )
    session = boto3.Session("test", "test", region_name="us-east-1")
    account = Account(
        table=session.resource("dynamodb", endpoint_url=aws.url).Table(name),
        s3=aws.s3,
        sqs=aws.sqs,
        stepfunctions=aws.stepfunctions,
        bucket=bucket,
        queue=aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"],
        machine="arn:aws:states:us-east-1:000000000000:stateMachine:none",
    )
    assert statement(account) == DIFFERENT.get(("local", what), expected)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
