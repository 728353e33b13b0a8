"""The tests' table in memory behaves like moto's, and closer to AWS's documentation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, ConditionBase, Key
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dossier.models import iso
from dossier.stores.table import INDEX, Table
from tests import dynamodb
from tests.conftest import REGION, Cloud

EXAMPLES = int(os.environ.get("DOSSIER_EXAMPLES", "15"))

# values ---------------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "b#1", "c"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([Decimal("1.5"), Decimal("-0.1"), 10**20])
TEXTS = st.sampled_from(["", "a", "ab", "b", "é", "🙂"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    NUMBERS.filter(lambda number: number not in {0, 1}),  # moto takes these for booleans, and the reverse
    TEXTS,
    st.booleans(),
    st.sampled_from([b"a", b"b"]),
    st.sets(st.sampled_from(["a", "b"]), min_size=1),
    st.lists(st.one_of(NUMBERS, TEXTS), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), NUMBERS, max_size=2),
)
ORDERED = {"x": NUMBERS, "y": TEXTS, "pk": KEYS}
"""The type of each attribute whose order is asked for: moto compares no others."""
TIMES = [datetime(2026, 1, 31, 12, 0, second, tzinfo=UTC) for second in range(4)]
MOMENTS = st.sampled_from(TIMES)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "x": NUMBERS | st.none(),
        "y": TEXTS | st.none(),
        "status": VALUES | st.none(),
        "gsi_pk": KEYS | st.none(),
        "gsi_sk": KEYS | MOMENTS.map(iso) | MOMENTS.map(lambda moment: f"{iso(moment)}#1"),
    },
)


def _tests(name: str) -> st.SearchStrategy[ConditionBase]:
    """Conditions that any attribute can have, and those of an order."""
    attribute, values = Attr(name), ORDERED.get(name)
    others = VALUES if values is None else VALUES.filter(lambda value: not isinstance(value, bool))
    found = [
        st.sampled_from([attribute.exists(), attribute.not_exists()]),
        others.map(attribute.eq),
        others.map(attribute.ne),
        st.lists(others, min_size=1, max_size=3).map(attribute.is_in),
    ]
    if values is not None:
        ranges = st.lists(values, min_size=2, max_size=2).map(sorted)  # type: ignore[arg-type]
        found += [values.map(each) for each in (attribute.lt, attribute.lte, attribute.gt, attribute.gte)]
        found += [values.map(attribute.eq), ranges.map(lambda ends: attribute.between(*ends))]
    if name in {"y", "pk"}:
        found += [TEXTS.filter(bool).map(each) for each in (attribute.begins_with, attribute.contains)]
    return st.one_of(found)


CONDITIONS = st.recursive(
    st.one_of(*map(_tests, ("pk", "x", "y", "status"))),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=4,
)
WHEN = st.none() | CONDITIONS

# steps ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A call of the stores' table, or of boto3's."""

    kind: type[Table] | None
    name: str
    said: dict[str, Any]

    def outcome(self, table: Any) -> Any:
        """Return the answer: a list of items, attributes, whether a condition held, or the error's code."""
        try:
            answer = getattr(self.kind(table) if self.kind else table, self.name)(**self.said)
        except ClientError as error:
            return error.response["Error"]["Code"]
        if isinstance(answer, Iterator):
            found = list(answer)  # many keys have no order
            return sorted(found, key=lambda item: (item["pk"], item["sk"])) if self.name == "get_many" else found
        return answer.get("Attributes") if self.kind is None else answer


def _stores(called: str, /, **said: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(said).map(lambda each: Step(Table, called, each))


def _boto3(called: str, /, **said: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(said).map(lambda each: Step(None, called, each))


def _update(value: Any) -> dict[str, Any]:
    """Return an update that names one attribute by a placeholder and another outright."""
    return {
        "UpdateExpression": "SET #x = :x REMOVE y",
        "ExpressionAttributeNames": {"#x": "x"},
        "ExpressionAttributeValues": {":x": value},
    }


KEY_OF = {"pk": KEYS, "sk": KEYS}
A_KEY = st.fixed_dictionaries(KEY_OF)
ITEMS = st.tuples(A_KEY, CHANGES).map(lambda two: two[0] | two[1])
WHOLE_ITEMS = ITEMS.map(lambda item: {name: value for name, value in item.items() if value is not None})
STEPS = st.one_of(
    _stores("put", item=ITEMS, when=WHEN),
    _stores("put_or_get", item=ITEMS, when=CONDITIONS),
    _stores("update", **KEY_OF, changes=CHANGES.filter(bool), when=WHEN),
    _stores("update_or_get", **KEY_OF, changes=CHANGES.filter(bool), when=CONDITIONS),
    _stores("updated", **KEY_OF, changes=CHANGES.filter(bool), when=CONDITIONS),
    _stores("add", **KEY_OF, name=st.just("x"), number=st.integers(1, 3), when=CONDITIONS),
    _stores("delete", **KEY_OF, when=WHEN),
    _stores("get", **KEY_OF),
    _stores("get_many", keys=st.lists(st.tuples(KEYS, KEYS), unique=True, max_size=4)),
    _stores("query", pk=KEYS, prefix=KEYS | st.none()),
    _stores("index", pk=KEYS, since=MOMENTS | st.none(), newest=st.booleans()),
    _stores("index", pk=KEYS, until=MOMENTS | st.none(), newest=st.booleans()),
    _stores("index", pk=KEYS, since=st.just(TIMES[0]), until=MOMENTS, newest=st.booleans()),
    _stores("index", pk=KEYS, page=st.integers(1, 3), newest=st.booleans()),
    _stores("index", pk=KEYS, only=st.sampled_from(["x", "status"])),
    _boto3("put_item", Item=WHOLE_ITEMS, ReturnValues=st.just("ALL_OLD")),
    _boto3("delete_item", Key=A_KEY, ReturnValues=st.just("ALL_OLD")),
    st.tuples(A_KEY, NUMBERS.map(_update), st.sampled_from(["ALL_OLD", "ALL_NEW"])).map(
        lambda three: Step(None, "update_item", {"Key": three[0], **three[1], "ReturnValues": three[2]})
    ),
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=8, max_size=20))
def test_it_answers_as_moto_does(cloud: Cloud, steps: list[Step]) -> None:
    """Any calls, through the stores' table and boto3's own, with any conditions, have the same answers."""
    ours, motos = cloud.session.resource("dynamodb").Table("cases"), _motos()
    cloud.empty_table()
    for step in steps:
        assert step.outcome(ours) == step.outcome(motos)
    assert ours.scan()["Items"] == sorted(motos.scan()["Items"], key=lambda item: (item["pk"], item["sk"]))


def _motos() -> Any:
    """Return the table as moto has it."""
    session = boto3.Session(region_name=REGION)
    session.events.unregister("before-call", dynamodb.answer)  # type: ignore[arg-type]
    return session.resource("dynamodb").Table("cases")


# what moto does otherwise, or nobody does but here --------------------------------------------------------------------


@pytest.fixture
def table(cloud: Cloud) -> Any:
    """Return boto3's table of an empty account."""
    return cloud.session.resource("dynamodb").Table("cases")


@contextmanager
def refused(code: str = "ValidationException", match: str | None = None) -> Iterator[None]:
    """Expect DynamoDB to reject a request."""
    with pytest.raises(ClientError, match=match) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_moto_is_not_asked(cloud: Cloud, table: Any) -> None:
    """A stored item is in neither a new table nor another account."""
    table.put_item(Item={"pk": "a", "sk": "b"})
    assert table.scan()["Items"] == [{"pk": "a", "sk": "b"}]
    assert _motos().scan()["Items"] == []
    cloud.empty_table()
    assert table.scan()["Items"] == []


def test_a_number_is_no_boolean(table: Any) -> None:
    """Values of different types are never equal, as DynamoDB has it: for moto, 1 is true."""
    stored = Table(table)
    stored.put({"pk": "a", "sk": "a", "x": 1})
    assert stored.update("a", "a", {"y": "1"}, when=Attr("x").ne(True))
    assert not stored.update("a", "a", {"y": "2"}, when=Attr("x").eq(True))
    assert not stored.update("a", "a", {"y": "2"}, when=Attr("x").is_in([True]))


def test_a_page_has_a_megabyte(table: Any) -> None:
    """The next page begins where the last one ended, in either direction; the stores' table reads all of them."""
    for number in range(30):
        table.put_item(Item={"pk": "a", "sk": f"{number:02}", "text": "x" * 100_000})
    query = {"KeyConditionExpression": Key("pk").eq("a")}
    first = table.query(**query)
    assert (len(first["Items"]), first["LastEvaluatedKey"]) == (10, {"pk": "a", "sk": "09"})
    second = table.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [each["sk"] for each in second["Items"]] == [f"{number:02}" for number in range(10, 20)]
    backwards = table.query(**query, ScanIndexForward=False, ExclusiveStartKey={"pk": "a", "sk": "05"})
    assert [each["sk"] for each in backwards["Items"]] == ["04", "03", "02", "01", "00"]
    assert len(list(Table(table).query("a"))) == 30


def test_a_limited_page_has_a_cursor_even_at_the_end(table: Any) -> None:
    """DynamoDB does not look whether there is more: the last page may be empty."""
    for sk in "123":
        table.put_item(Item={"pk": "a", "sk": sk})
    query = {"KeyConditionExpression": Key("pk").eq("a"), "Limit": 3}
    page = table.query(**query)
    assert page["LastEvaluatedKey"] == {"pk": "a", "sk": "3"}
    last = table.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert last["Items"] == []
    assert "LastEvaluatedKey" not in last


def test_the_index_has_the_items_with_its_keys(table: Any) -> None:
    """It is ordered by its sort key, then by the table's; an update takes an item out or moves it."""
    for pk, at in (("c", "1"), ("b", "2"), ("a", "2"), ("d", None)):
        table.put_item(Item={"pk": pk, "sk": "s", "gsi_pk": "g", **({"gsi_sk": at} if at else {})})
    index, query = Table(table).index, {"IndexName": INDEX, "KeyConditionExpression": Key("gsi_pk").eq("g")}
    assert [each["pk"] for each in index("g")] == ["c", "a", "b"]
    page = table.query(**query, Limit=2)
    assert page["LastEvaluatedKey"] == {"gsi_pk": "g", "gsi_sk": "2", "pk": "a", "sk": "s"}
    assert [each["pk"] for each in table.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])["Items"]] == ["b"]
    Table(table).update("a", "s", {"gsi_sk": "0"})
    Table(table).update("b", "s", {"gsi_pk": None})
    assert [each["pk"] for each in index("g")] == ["a", "c"]


def test_an_item_has_400_kilobytes_at_most(table: Any) -> None:
    """Its size is that of the documentation: names and values, in UTF-8; an update may not exceed it either."""
    room = dynamodb.LARGEST_ITEM - len("pkask") - len("btext")
    largest = {"pk": "a", "sk": "b", "text": "é" * (room // 2) + "x" * (room % 2)}
    table.put_item(Item=largest)
    with refused(match="exceeded the maximum allowed size"):
        table.put_item(Item={**largest, "more": "x"})
    with refused(match="exceeded the maximum allowed size"):
        Table(table).update("a", "b", {"more": "x"})
    assert table.get_item(Key={"pk": "a", "sk": "b"})["Item"] == largest


def test_changes_to_a_read_item_do_not_reach_the_store(cloud: Cloud, table: Any) -> None:
    """A caller may change a returned item."""
    client: Any = cloud.session.client("dynamodb")
    item: Any = {"pk": {"S": "a"}, "sk": {"S": "b"}, "list": {"L": [{"B": b"1"}, {"M": {"x": {"SS": ["1"]}}}]}}
    client.put_item(TableName="cases", Item=item)
    found = client.get_item(TableName="cases", Key={"pk": {"S": "a"}, "sk": {"S": "b"}})["Item"]
    assert found == item
    found["list"]["L"][1]["M"]["x"]["SS"].append("2")
    found["list"]["L"].append({"S": "more"})
    assert client.scan(TableName="cases")["Items"] == [item]


@pytest.mark.parametrize(
    ("item", "match"),
    [
        ({"pk": "a"}, "Missing the key sk"),
        ({"pk": "a", "sk": ""}, "empty string value. Key: sk"),
        ({"pk": "a", "sk": 1}, "Type mismatch for key sk"),
        ({"pk": "a" * 2049, "sk": "b"}, "maximum size limit of 2048"),
        ({"pk": "a", "sk": "b" * 1025}, "maximum size limit of 1024"),
        ({"pk": "a", "sk": "b", "gsi_pk": ""}, "empty string value.*by-connection"),
        ({"pk": "a", "sk": "b", "gsi_sk": 1}, "Type mismatch for Index Key gsi_sk"),
    ],
)
def test_keys_are_non_empty_texts(table: Any, item: dict[str, Any], match: str) -> None:
    """An item with other keys is rejected, for the table and for the index."""
    with refused(match=match):
        table.put_item(Item=item)
    assert table.scan()["Items"] == []


KEY = {"pk": "a", "sk": "b"}
SET = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": 1}}


@pytest.mark.parametrize(
    ("update", "match"),
    [
        ({"UpdateExpression": "SET pk = :x"}, "part of the key"),
        ({"UpdateExpression": "SET x = :x REMOVE x"}, "overlap"),
        ({"UpdateExpression": "SET status = :x"}, "reserved keyword: status"),
        ({"UpdateExpression": "SET #x = :x"}, "not defined; attribute name: #x"),
        ({"UpdateExpression": "SET x = :y", "ExpressionAttributeValues": {":y": 1, ":x": 1}}, "unused.*:x"),
        ({"ExpressionAttributeNames": {"#n": "y"}}, "unused.*#n"),
        ({"ConditionExpression": "x = :y"}, "not defined; attribute value: :y"),
        ({"ConditionExpression": Attr("x").between(2, 1)}, "upper bound"),
        ({"ConditionExpression": Attr("many").gt([1])}, "operand type: L"),
        ({"UpdateExpression": "ADD many :x"}, "incorrect data type"),
        ({"Key": {"pk": "a"}}, "does not match the schema"),
        ({"Key": {"pk": "", "sk": "b"}}, "empty string"),
    ],
)
def test_an_impossible_update_is_rejected(table: Any, update: dict[str, Any], match: str) -> None:
    """It says why, and changes nothing."""
    table.put_item(Item={**KEY, "many": {"a"}})
    with refused(match=match):
        table.update_item(**{"Key": KEY, **SET, **update})
    assert table.scan()["Items"] == [{**KEY, "many": {"a"}}]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Attr("number").eq(Decimal("1.0")), True),
        (Attr("number").lt(10), True),
        (Attr("number").lt("10"), False),
        (Attr("number").ne("1"), True),
        (Attr("number").between("0", "2"), False),
        (Attr("text").gte(1), False),
        (Attr("text").begins_with("e"), False),
        (Attr("number").begins_with("1"), False),
        (Attr("texts").contains("a"), True),
        (Attr("texts").contains("ab"), False),
        (Attr("list").contains(1), True),
        (Attr("list").contains("1"), False),
        (Attr("text").contains(1), False),
        (Attr("number").contains("1"), False),
        (Attr("missing").ne(1), True),
        (~Attr("missing").eq(1), True),
        (Attr("missing").lt(1), False),
        (Attr("missing").is_in([1]), False),
        (Attr("missing").contains("a"), False),
        (Attr("list").gte(1), False),
        (Attr("number").eq(1) | Attr("number").eq(2) & Attr("number").eq(3), True),
    ],
)
def test_a_condition_is_about_values_of_one_type(table: Any, condition: ConditionBase, holds: bool) -> None:
    """Another type is neither before nor after, and an attribute that is not there differs from any value."""
    item = {**KEY, "number": 1, "text": "é", "texts": {"a", "b"}, "list": [1, "a"]}
    table.put_item(Item=item)
    assert Table(table).put(item, when=condition) == holds


def test_an_update_returns_what_it_wrote(table: Any) -> None:
    """Though nothing changed by it; what was removed does not."""
    table.put_item(Item={**KEY, "x": 1, "y": 2})
    answer = table.update_item(
        Key=KEY, **{**SET, "UpdateExpression": "SET x = :x REMOVE y"}, ReturnValues="UPDATED_NEW"
    )
    assert answer["Attributes"] == {"x": 1}
    assert Table(table).add("a", "b", "x", 0, when=Attr("x").exists()) == 1


def test_a_false_condition_and_a_missing_table_raise_errors(cloud: Cloud, table: Any) -> None:
    """They have their own errors, which clients have classes for."""
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(Item=KEY, ConditionExpression=Attr("pk").exists())
    with refused("ResourceNotFoundException"):
        cloud.session.resource("dynamodb").Table("others").get_item(Key=KEY)


@pytest.mark.parametrize(
    "query",
    [
        {"KeyConditionExpression": Key("sk").eq("b")},
        {"KeyConditionExpression": Key("pk").begins_with("a")},
        {
            "KeyConditionExpression": "pk = :pk OR sk = :sk",
            "ExpressionAttributeValues": {":pk": "a", ":sk": "b"},
        },
        {"KeyConditionExpression": Key("pk").eq("a") & Key("gsi_sk").eq("b")},
        {"KeyConditionExpression": Key("pk").eq("a"), "IndexName": "other"},
        {"KeyConditionExpression": Key("gsi_pk").eq("a"), "IndexName": INDEX, "ConsistentRead": True},
    ],
)
def test_a_query_is_about_one_partition(table: Any, query: dict[str, Any]) -> None:
    """Of the table or of the index, which is never read consistently."""
    with refused():
        table.query(**query)


@pytest.mark.parametrize(
    "call",
    [
        lambda table: table.scan(FilterExpression=Attr("x").exists()),
        lambda table: table.get_item(Key=KEY, ProjectionExpression="x"),
        lambda table: table.put_item(Item=KEY, ConditionExpression="size(x) = :x", ExpressionAttributeValues={":x": 1}),
        lambda table: table.put_item(Item=KEY, ConditionExpression="attribute_exists(x.y)"),
        lambda table: table.update_item(Key=KEY, **{**SET, "UpdateExpression": "SET x = y + :x"}),
        lambda table: table.put_item(Item=KEY, ReturnValues="ALL_NEW"),
        lambda table: table.meta.client.batch_write_item(RequestItems={"cases": [{"PutRequest": {"Item": KEY}}]}),
    ],
)
def test_unsupported_calls_raise_an_error(table: Any, call: Callable[[Any], Any]) -> None:
    """An unsupported call raises an error instead of a wrong answer."""
    with pytest.raises(NotImplementedError):
        call(table)


def test_handlers_of_tests_come_first(cloud: Cloud) -> None:
    """Event handlers of tests see calls to the table, before and after, and may fail them."""
    seen: list[str] = []
    for moment in ("before-call", "after-call"):
        cloud.session.events.register(moment, lambda event_name, **_: seen.append(event_name))
    table = cloud.session.resource("dynamodb").Table("cases")
    table.put_item(Item=KEY)
    assert seen == ["before-call.dynamodb.PutItem", "after-call.dynamodb.PutItem"]

    def fail(**_: Any) -> None:
        raise RuntimeError

    cloud.session.events.register("before-call", fail)
    failing = cloud.session.resource("dynamodb").Table("cases")
    with pytest.raises(RuntimeError):
        failing.delete_item(Key=KEY)
    assert table.scan()["Items"] == [KEY]


def test_an_answer_has_a_body_on_the_wire(cloud: Cloud) -> None:
    """Meters read the answer in AWS's form."""
    bodies: list[bytes] = []
    cloud.session.events.register("after-call", lambda http_response, **_: bodies.append(http_response.content))
    table = cloud.session.resource("dynamodb").Table("cases")
    table.put_item(Item={**KEY, "bytes": b"1"})
    table.get_item(Key=KEY)
    assert bodies == [b"{}", b'{"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "bytes": {"B": "MQ=="}}}']


def test_calls_at_once_count_each(table: Any) -> None:
    """Adding is atomic: no thread's number is lost."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Table(table).add("a", "b", "x", 1, when=~Attr("y").exists()), range(100)))
    assert sorted(each or 0 for each in found) == list(range(1, 101))
