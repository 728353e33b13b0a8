from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import pytest
from botocore.exceptions import ClientError

from local import toolchain
from local.home import ROOT
from tests.local.aws import Aws

COUNTS = """
import collections, functools, json
from ministack.services import dynamodb

counts = collections.Counter()
PARTS = ("_tokenize", "_check_redundant_parens", "_check_reserved_keyword_usage", "_condition_syntax_error")

def counted(name):
    original = getattr(dynamodb, name)

    @functools.wraps(original)
    def count(*arguments, **named):
        counts[name] += 1
        return original(*arguments, **named)

    setattr(dynamodb, name, count)

for name in PARTS:
    counted(name)
from local.aws.bridges import parsed_expressions
parsed_expressions.install()
values, names = {":a": {"S": "x"}, ":b": {"S": "2"}}, {"#a": "a", "#b": "b"}
found = [
    dynamodb._evaluate_condition(
        "#a = :a AND begins_with(#b, :b)", {"a": {"S": "x"}, "b": {"S": str(each)}}, values, names,
        slot="KeyConditionExpression",
    )
    for each in range(100)
]
print(json.dumps({"found": sum(found), "counts": counts}))
"""


def test_an_expression_is_parsed_once() -> None:
    """Not for each of a hundred items, of which it still picks the right ones."""
    python = toolchain.local_aws_python(partial(print, file=sys.stderr))
    done = subprocess.run([python, "-c", COUNTS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["found"] == 11  # 2 and 20 to 29
    assert set(answer["counts"].values()) == {1}


def test_queries_and_errors_stay_the_same(aws: Aws) -> None:
    """Each expression twice: the second time it was parsed before."""
    table = aws.name("table")
    aws.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    for each in ("a1", "a2", "b1"):
        aws.dynamodb.put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"S": each}})
    for value, wanted in (("a", ["a1", "a2"]), ("b", ["b1"])) * 2:
        found = aws.dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
            ExpressionAttributeValues={":p": {"S": "p"}, ":s": {"S": value}},
        )
        assert [each["sk"]["S"] for each in found["Items"]] == wanted
    for _ in range(2):
        for expression, says in (
            ("((pk = :p))", "redundant parentheses"),
            ("pk = :p AND status = :p", "reserved keyword"),
            ("pk = :p AND", "[Ss]yntax error"),
        ):
            with pytest.raises(ClientError, match=says):
                aws.dynamodb.put_item(
                    TableName=table,
                    Item={"pk": {"S": "p"}, "sk": {"S": "c"}},
                    ConditionExpression=expression,
                    ExpressionAttributeValues={":p": {"S": "p"}},
                )
