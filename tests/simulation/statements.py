"""Statements about AWS that the models, moto and the local AWS have to agree on: what each call answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

Statement = Callable[["Account"], Any]


@dataclass(frozen=True)
class Account:
    """Clients of an account with an empty table, an empty bucket with versions, a queue and a state machine."""

    table: Any
    s3: Any
    sqs: Any
    stepfunctions: Any
    bucket: str
    queue: str
    machine: str


def code(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call raises, or ``done``."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def _key(sk: str = "A") -> dict[str, str]:
    return {"pk": "P", "sk": sk}


def _put_if_absent(aws: Account) -> Any:
    def put() -> Any:
        return aws.table.put_item(Item={**_key(), "n": 1}, ConditionExpression=Attr("pk").not_exists())

    return code(put), code(put)


def _shows_what_is_there(aws: Account) -> Any:
    """A write whose condition does not hold answers with the item as it is, in DynamoDB's own form."""
    shown = []
    asked: dict[str, Any] = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    for write in (
        lambda: aws.table.put_item(Item=_key(), ConditionExpression=Attr("a").eq(1), **asked),
        lambda: _update(aws, "SET #a = :a", when=Attr("a").eq(1), values={":a": 3}, **asked),
    ):
        for there in (False, True):
            if there:
                aws.table.put_item(Item={**_key(), "a": 2, "list": ["x"]})
            try:
                write()
            except ClientError as error:
                shown.append(dict(error.response).get("Item"))
        aws.table.delete_item(Key=_key())
    return shown


def _reads_numbers(aws: Account) -> Any:
    aws.table.put_item(Item={**_key(), "n": 1, "list": [1, "a"], "bytes": b"abc", "yes": True})
    item = aws.table.get_item(Key=_key(), ConsistentRead=True)["Item"]
    return item["n"], item["list"], bytes(item["bytes"]), item["yes"]


def _misses(aws: Account) -> Any:
    return "Item" in aws.table.get_item(Key=_key("nothing"), ConsistentRead=True)


def _update(aws: Account, expression: str, *, when: Any, values: dict[str, Any] | None = None, **more: Any) -> Any:
    given: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
    return aws.table.update_item(
        Key=_key(),
        UpdateExpression=expression,
        ExpressionAttributeNames={"#a": "a"},
        ConditionExpression=when,
        **given,
        **more,
    )


def _updates_make_items(aws: Account) -> Any:
    there = Attr("pk").exists()
    refused = code(lambda: _update(aws, "SET #a = :a", when=there, values={":a": 1}))
    _update(aws, "SET #a = :a", when=Attr("a").not_exists(), values={":a": 1})
    return refused, aws.table.get_item(Key=_key())["Item"]["a"]


def _updates_add(aws: Account) -> Any:
    def add() -> Any:
        answer = _update(aws, "ADD #a :a", when=Attr("b").not_exists(), values={":a": 2}, ReturnValues="UPDATED_NEW")
        return answer["Attributes"]["a"]

    return add(), add()


def _updates_return_the_item(aws: Account) -> Any:
    aws.table.put_item(Item={**_key(), "a": 1, "b": 2})
    answer = _update(aws, "SET #a = :a", when=Attr("b").eq(2), values={":a": 3}, ReturnValues="ALL_NEW")
    return sorted((name, each) for name, each in answer["Attributes"].items() if name in {"a", "b"})


def _updates_remove(aws: Account) -> Any:
    aws.table.put_item(Item={**_key(), "a": 1})
    _update(aws, "REMOVE #a", when=Attr("a").eq(1))
    return sorted(aws.table.get_item(Key=_key())["Item"])


def _compares(aws: Account) -> Any:
    aws.table.put_item(Item={**_key(), "a": 5})
    conditions = [Attr("a").lt(5), Attr("a").lte(5), Attr("a").between(1, 5), Attr("a").ne(5), Attr("gone").ne(5)]
    conditions += [Attr("gone").lt(5), Attr("a").lt("x"), ~Attr("a").eq(5), Attr("a").is_in([4, 5])]
    conditions += [Attr("gone").eq(1) | Attr("a").eq(5), Attr("gone").eq(1) & Attr("a").eq(5)]
    return [code(lambda: _update(aws, "SET #a = :a", when=each, values={":a": 5})) == "done" for each in conditions]  # noqa: B023


def _deletes(aws: Account) -> Any:
    aws.table.put_item(Item={**_key(), "a": 1})
    refused = code(lambda: aws.table.delete_item(Key=_key(), ConditionExpression=Attr("a").eq(2)))
    return refused, code(lambda: aws.table.delete_item(Key=_key())), code(lambda: aws.table.delete_item(Key=_key()))


def _queries(aws: Account) -> Any:
    for sk in ("B#2", "A#1", "B#1"):
        aws.table.put_item(Item=_key(sk))
    wanted = Key("pk").eq("P") & Key("sk").begins_with("B#")
    return [each["sk"] for each in aws.table.query(KeyConditionExpression=wanted, ConsistentRead=True)["Items"]]


def _queries_the_index(aws: Account) -> Any:
    for number, at in enumerate(("2026-03", "2026-01", "2026-02")):
        aws.table.put_item(Item={**_key(str(number)), "gsi_pk": "G", "gsi_sk": at})
    aws.table.put_item(Item=_key("unlisted"))
    wanted = Key("gsi_pk").eq("G") & Key("gsi_sk").lte("2026-02")
    found = aws.table.query(IndexName="by-connection", KeyConditionExpression=wanted, ScanIndexForward=False)
    return [each["sk"] for each in found["Items"]]


def _refuses_keys(aws: Account) -> Any:
    return [
        code(lambda: aws.table.put_item(Item={"pk": "", "sk": "A"})),
        code(lambda: aws.table.put_item(Item={**_key(), "gsi_pk": "", "gsi_sk": "A"})),
        code(lambda: aws.table.put_item(Item={**_key(), "a": "x" * 410_000})),
    ]


def _puts_once(aws: Account) -> Any:
    def put() -> Any:
        return aws.s3.put_object(Bucket=aws.bucket, Key="once", Body=b"1", IfNoneMatch="*")

    return code(put), code(put)


def _puts_if_unchanged(aws: Account) -> Any:
    etag = aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"1")["ETag"]
    first = code(lambda: aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"2", IfMatch=etag))
    return first, code(lambda: aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"3", IfMatch=etag))


def _keeps_versions(aws: Account) -> Any:
    first = aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"one")["VersionId"]
    aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"two")
    aws.s3.delete_object(Bucket=aws.bucket, Key="k")
    old = aws.s3.get_object(Bucket=aws.bucket, Key="k", VersionId=first)["Body"].read()
    return old, code(lambda: aws.s3.get_object(Bucket=aws.bucket, Key="k"))


def _heads(aws: Account) -> Any:
    aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"abc", Metadata={"at": "1"}, ContentType="text/plain")
    found = aws.s3.head_object(Bucket=aws.bucket, Key="k")
    missing = code(lambda: aws.s3.head_object(Bucket=aws.bucket, Key="gone"))
    return found["ContentLength"], found["Metadata"], found["ContentType"], found["ETag"], missing


def _copies(aws: Account) -> Any:
    etag = aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"abc")["ETag"]
    source = {"Bucket": aws.bucket, "Key": "k"}
    aws.s3.copy_object(Bucket=aws.bucket, Key="copy", CopySource=source, CopySourceIfMatch=etag)
    other = code(
        lambda: aws.s3.copy_object(Bucket=aws.bucket, Key="copy", CopySource=source, CopySourceIfMatch='"other"')
    )
    return aws.s3.get_object(Bucket=aws.bucket, Key="copy")["Body"].read(), other


def _lists(aws: Account) -> Any:
    for key in ("a/2", "a/1", "b/1"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"abc")
    aws.s3.delete_object(Bucket=aws.bucket, Key="a/2")
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=aws.bucket, Prefix="a/")
    return [(each["Key"], each["Size"]) for page in pages for each in page.get("Contents", [])]


def _ranges(aws: Account) -> Any:
    aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"abcdef")
    return aws.s3.get_object(Bucket=aws.bucket, Key="k", Range="bytes=2-")["Body"].read()


def _delays(aws: Account) -> Any:
    aws.sqs.send_message(QueueUrl=aws.queue, MessageBody="{}", DelaySeconds=900)
    aws.sqs.send_message(QueueUrl=aws.queue, MessageBody="{}")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
    found = aws.sqs.get_queue_attributes(QueueUrl=aws.queue, AttributeNames=names)["Attributes"]
    too_long = code(lambda: aws.sqs.send_message(QueueUrl=aws.queue, MessageBody="{}", DelaySeconds=901))
    return found, too_long


def _knows_no_execution(aws: Account) -> Any:
    arn = aws.machine.replace(":stateMachine:", ":execution:") + ":gone"
    return code(lambda: aws.stepfunctions.describe_execution(executionArn=arn))


STATEMENTS: dict[str, tuple[Statement, Any]] = {
    "a put whose condition does not hold": (_put_if_absent, ("done", "ConditionalCheckFailedException")),
    "what a put item holds": (_reads_numbers, (Decimal(1), [Decimal(1), "a"], b"abc", True)),
    "an item that is not there": (_misses, False),
    "an update of what is not there": (_updates_make_items, ("ConditionalCheckFailedException", Decimal(1))),
    "an update that adds": (_updates_add, (Decimal(2), Decimal(4))),
    "an update that returns the item": (_updates_return_the_item, [("a", Decimal(3)), ("b", Decimal(2))]),
    "an update that removes": (_updates_remove, ["pk", "sk"]),
    "conditions": (
        _compares, [False, True, True, False, True, False, False, False, True, True, False],
    ),
    "what is there when a condition does not hold": (
        _shows_what_is_there,
        [None, {"pk": {"S": "P"}, "sk": {"S": "A"}, "a": {"N": "2"}, "list": {"L": [{"S": "x"}]}}] * 2,
    ),
    "deletes": (_deletes, ("ConditionalCheckFailedException", "done", "done")),
    "a query of a partition": (_queries, ["B#1", "B#2"]),
    "a query of the index, newest first": (_queries_the_index, ["2", "1"]),
    "keys and items that are refused": (_refuses_keys, ["ValidationException"] * 3),
    "an object that is written once": (_puts_once, ("done", "PreconditionFailed")),
    "an object that is replaced if it is unchanged": (_puts_if_unchanged, ("done", "PreconditionFailed")),
    "versions": (_keeps_versions, (b"one", "NoSuchKey")),
    "what is known of an object": (
        _heads, (3, {"at": "1"}, "text/plain", '"900150983cd24fb0d6963f7d28e17f72"', "404"),
    ),
    "copies": (_copies, (b"abc", "PreconditionFailed")),
    "listings": (_lists, [("a/1", 3)]),
    "the rest of an object": (_ranges, b"cdef"),
    "delays": (
        _delays,
        (
            {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "1"},
            "InvalidParameterValue",
        ),
    ),
    "an execution that is not there": (_knows_no_execution, "ExecutionDoesNotExist"),
}  # fmt: skip
"""A statement, and AWS's page about it."""
DIFFERENT: dict[tuple[str, str], Any] = {
    ("moto", "copies"): (b"abc", "done"),
    ("local", "delays"): ({"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "1"}, "done"),
}
"""Where another AWS in memory answers otherwise than AWS documents; the models follow AWS.

- Copies: moto ignores ``CopySourceIfMatch`` (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html).
- Delays: the local AWS takes a delay of more than 900 s
  (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
"""
