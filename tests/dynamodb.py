"""DynamoDB's data plane, in memory: it answers what moto would, many times faster.

A handler of botocore's event ``before-call`` that returns an answer takes the place of the request: nothing is signed,
sent, routed, or serialized. Tables are moto's: it creates, describes and deletes them. Their items are kept here.

Only what Dossier and its tests use is there. Anything else raises ``NotImplementedError``.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tests import expressions
from tests.expressions import Item, Literal, Name, RefusedError, Scope, Value
from tests.meter import READ, WRITES, size, write_units
from tests.shortcuts import is_answered_here

LARGEST_ITEM = 400 * 1024
LARGEST_PAGE = 1024 * 1024
LONGEST_KEYS = (2048, 1024)
"""Bytes of a partition key, and of a sort key."""
OF_MOTO = {
    *("CreateTable", "DeleteTable", "DescribeTable", "ListTables", "UpdateTable"),
    *("DescribeTimeToLive", "UpdateTimeToLive"),
}
"""Operations that are about tables, not items."""
Json = Mapping[str, Any]
"""A request or an answer, as it is on the wire."""


@dataclass
class View:
    """A table, or an index of it: the items that have its keys, by partition.

    ``names`` are those of the attributes that say where an item is: the partition key, the sort key, and for an index
    the table's keys. They are what ``LastEvaluatedKey`` holds.
    """

    names: tuple[str, ...]
    partitions: dict[str, dict[tuple[str, ...], Item]] = field(default_factory=dict)

    def place(self, item: Item) -> tuple[str, ...]:
        """Return where an item is."""
        return tuple(item[name]["S"] for name in self.names)

    def write(self, old: Item | None, new: Item | None) -> None:
        """Replace an item."""
        if old is not None and self._has(old):
            place = self.place(old)
            self.partitions[place[0]].pop(place)
        if new is not None and self._has(new):
            place = self.place(new)
            self.partitions.setdefault(place[0], {})[place] = new

    def _has(self, item: Item) -> bool:
        return all(name in item for name in self.names)


class Rows:
    """The items of a table."""

    def __init__(self, table: Any) -> None:
        keys = (table.hash_key_attr, table.range_key_attr)
        self.table = View(keys)
        self.indexes = {
            each.name: View((*(key["AttributeName"] for key in each.schema), *keys)) for each in table.all_indexes()
        }

    def find(self, key: Item) -> Item | None:
        """Return an item by its key."""
        if set(key) != set(self.table.names):
            raise RefusedError("The provided key element does not match the schema")
        self._check_key(key)
        place = self.table.place(key)
        return self.table.partitions.get(place[0], {}).get(place)

    def key_of(self, item: Item) -> Item:
        """Return the key of an item that is to be stored."""
        for name in self.table.names:
            if name not in item:
                raise RefusedError(f"One or more parameter values were invalid: Missing the key {name} in the item")
        return {name: item[name] for name in self.table.names}

    def write(self, old: Item | None, new: Item | None) -> None:
        """Replace an item (None: there was none, or there is none any more)."""
        if new is not None:
            self._check_index_keys(new)
            if size(new) > LARGEST_ITEM:
                raise RefusedError("Item size has exceeded the maximum allowed size")
        for view in (self.table, *self.indexes.values()):
            view.write(old, new)

    def view(self, request: Json) -> View:
        """Return what a request asks: the table, or an index of it."""
        if "IndexName" not in request:
            return self.table
        if request.get("ConsistentRead"):
            raise RefusedError("Consistent reads are not supported on global secondary indexes")
        if request["IndexName"] not in self.indexes:
            raise RefusedError(f"The table does not have the specified index: {request['IndexName']}")
        return self.indexes[request["IndexName"]]

    def _check_key(self, key: Item) -> None:
        for name, longest in zip(self.table.names, LONGEST_KEYS, strict=True):
            text = _text(key[name], f"Type mismatch for key {name}")
            if not text:
                raise RefusedError(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                    f"an empty string value. Key: {name}"
                )
            if len(text.encode()) > longest:
                raise RefusedError(
                    f"One or more parameter values were invalid: Size of {name} has exceeded the maximum size limit of "
                    f"{longest} bytes"
                )

    def _check_index_keys(self, item: Item) -> None:
        for index, view in self.indexes.items():
            for name in view.names[:2]:
                if name in item and not _text(item[name], f"Type mismatch for Index Key {name} IndexName: {index}"):
                    raise RefusedError(
                        "One or more parameter values are not valid. A value specified for a secondary index key is "
                        "not supported. The AttributeValue for a key attribute cannot contain an empty string value. "
                        f"IndexName: {index}, IndexKey: {name}"
                    )


def _text(value: Value, problem: str) -> str:
    """Return the text of a key: no other type is a key here."""
    if "S" not in value:
        raise RefusedError(
            f"One or more parameter values were invalid: {problem} Expected: S Actual: {next(iter(value))}"
        )
    return str(value["S"])


def _get(rows: Rows, request: Json) -> Json:
    found = rows.find(request["Key"])
    return {} if found is None else {"Item": found}


def _put(rows: Rows, request: Json) -> Json:
    old = rows.find(rows.key_of(request["Item"]))
    _check(old, request)
    rows.write(old, request["Item"])
    return _returned(request, {"ALL_OLD": old})


def _delete(rows: Rows, request: Json) -> Json:
    old = rows.find(request["Key"])
    _check(old, request)
    rows.write(old, None)
    return _returned(request, {"ALL_OLD": old})


def _update(rows: Rows, request: Json) -> Json:
    old = rows.find(request["Key"])
    _check(old, request)
    change, scope = expressions.update(request["UpdateExpression"]), _scope(old or request["Key"], request)
    targets = change.targets(scope.names)
    for name in rows.table.names:
        if name in targets:
            raise RefusedError(
                f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of "
                "the key"
            )
    if len(set(targets)) != len(targets):
        raise RefusedError("Invalid UpdateExpression: Two document paths overlap with each other")
    new = change.apply(scope)
    rows.write(old, new)
    written = {name: new[name] for name in targets if name in new}
    return _returned(request, {"ALL_OLD": old, "ALL_NEW": new, "UPDATED_NEW": written})


def _query(rows: Rows, request: Json) -> Json:
    view = rows.view(request)
    condition = expressions.condition(request["KeyConditionExpression"])
    partition = view.partitions.get(_partition(condition, view, request), {})
    found = [item for item in partition.values() if condition.holds(_scope(item, request))]
    answer = _page(view, found, request)
    if "ProjectionExpression" in request:  # attributes alone, no paths into them
        given = request.get("ExpressionAttributeNames", {})
        wanted = [given.get(name.strip(), name.strip()) for name in request["ProjectionExpression"].split(",")]
        answer = {
            **answer,
            "Items": [{name: item[name] for name in wanted if name in item} for item in answer["Items"]],
        }
    return answer


def _scan(rows: Rows, request: Json) -> Json:
    view = rows.view(request)
    return _page(view, [item for partition in view.partitions.values() for item in partition.values()], request)


def _partition(condition: expressions.Condition, view: View, request: Json) -> str:
    """Return the partition that a key condition is about: it says what the partition key equals, with AND at most."""
    scope, found = _scope({}, request), []
    for test in _tests(condition):
        name, *values = test.operands
        if not isinstance(name, Name) or not all(isinstance(each, Literal) for each in values):
            raise NotImplementedError(f"key condition: {request['KeyConditionExpression']}")
        attribute = name.of(scope.names)
        if attribute == view.names[0] and test.kind == "=":
            found += [each.find(scope) for each in values]
        elif attribute != view.names[1] or test.kind in {"<>", "IN", "contains"} or test.kind.startswith("attribute"):
            raise RefusedError("Query key condition not supported")
    if len(found) != 1 or found[0] is None:
        raise RefusedError(f"Query condition missed key schema element: {view.names[0]}")
    return _text(found[0], "Condition parameter type does not match schema type")


def _tests(condition: expressions.Condition) -> Iterator[expressions.Test]:
    if isinstance(condition, expressions.Test):
        yield condition
    elif isinstance(condition, expressions.Both):
        yield from _tests(condition.left)
        yield from _tests(condition.right)
    else:
        raise RefusedError("Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression")


def _page(view: View, found: list[Item], request: Json) -> Json:
    """Return the next items, in order: as many as were asked for, and 1 MB at most."""
    backwards = request.get("ScanIndexForward") is False
    found = sorted(found, key=view.place, reverse=backwards)
    if start := request.get("ExclusiveStartKey"):
        after = view.place(start)
        found = [each for each in found if (view.place(each) < after if backwards else view.place(each) > after)]
    limit, length, page = request.get("Limit", len(found) + 1), 0, list[Item]()
    for item in found:
        length += size(item)
        if page and length > LARGEST_PAGE:
            break
        page.append(item)
        if len(page) == limit:
            break
    answer: dict[str, Any] = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
    if len(page) < len(found) or len(page) == limit:
        answer["LastEvaluatedKey"] = {name: page[-1][name] for name in view.names}
    return answer


def _scope(item: Item, request: Json) -> Scope:
    return Scope(item, request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))


def _check(old: Item | None, request: Json) -> None:
    """Refuse a write whose condition does not hold."""
    expression = request.get("ConditionExpression")
    if expression and not expressions.condition(expression).holds(_scope(old or {}, request)):
        shown = old if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None
        raise RefusedError("The conditional request failed", "ConditionalCheckFailedException", shown)


def _returned(request: Json, choice: Mapping[str, Item | None]) -> Json:
    """Return the attributes that a write was to return."""
    wanted = request.get("ReturnValues", "NONE")
    if wanted == "NONE":
        return {}
    if wanted not in choice:
        raise NotImplementedError(f"ReturnValues {wanted}")
    found = choice[wanted]
    return {"Attributes": found} if found else {}


MOST_KEYS = 100


def batch_get(region: str, request: Json) -> Json:
    """Return the items of many keys; those that do not exist are left out."""
    found: dict[str, list[Item]] = {}
    if unknown := request.keys() - {"RequestItems", "ReturnConsumedCapacity"}:
        raise NotImplementedError(f"BatchGetItem with {', '.join(sorted(unknown))}")
    for table, asked in request["RequestItems"].items():
        if unknown := asked.keys() - {"Keys", "ConsistentRead"}:
            raise NotImplementedError(f"BatchGetItem with {', '.join(sorted(unknown))}")
        keys = asked["Keys"]
        if not 1 <= len(keys) <= MOST_KEYS:
            raise RefusedError("Too many items requested for the BatchGetItem call")
        if len({json.dumps(each, sort_keys=True) for each in keys}) != len(keys):
            raise RefusedError("Provided list of item keys contains duplicates")
        rows = _rows_of(region, table)
        found[table] = [item for each in keys if (item := rows.find(each)) is not None]
    consumed = {
        "ConsumedCapacity": [
            {"TableName": table, "CapacityUnits": sum(max(1, ceil(size(each) / READ)) / 2 for each in items)}
            for table, items in found.items()
        ]
    }
    return {"Responses": found, "UnprocessedKeys": {}, **(consumed if request.get("ReturnConsumedCapacity") else {})}


WRITE = {"ConditionExpression", "ReturnValues", "ReturnValuesOnConditionCheckFailure"}
PAGE = {"ExclusiveStartKey", "Limit", "IndexName", "ConsistentRead"}
OPERATIONS: dict[str, tuple[Callable[[Rows, Json], Json], set[str]]] = {
    "GetItem": (_get, {"Key", "ConsistentRead"}),
    "PutItem": (_put, {"Item", *WRITE}),
    "UpdateItem": (_update, {"Key", "UpdateExpression", *WRITE}),
    "DeleteItem": (_delete, {"Key", *WRITE}),
    "Query": (_query, {"KeyConditionExpression", "ProjectionExpression", "ScanIndexForward", *PAGE}),
    "Scan": (_scan, PAGE),
}
"""What is answered here, and which parameters are known besides the table and what placeholders stand for."""
SHARED = {"TableName", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnConsumedCapacity"}
_rows: WeakKeyDictionary[Any, Rows] = WeakKeyDictionary()
"""The items of each of moto's tables: a table that is created anew is another, and empty."""
_lock = Lock()


@dataclass
class Http:
    """What botocore, and those who hook into it, want of a response of the network."""

    status_code: int
    request: Json

    @cached_property
    def content(self) -> bytes:
        """The body."""
        return json.dumps(self.request).encode()


def answer(model: Any, params: Any, context: Any, **_: Any) -> tuple[Http, dict[str, Any]] | None:
    """Answer a request to DynamoDB, if AWS is in memory; None leaves it to others."""
    if model.service_model.service_name != "dynamodb" or model.name in OF_MOTO or not is_answered_here(params):
        return None
    try:
        with _lock:
            http = Http(200, perform(model.name, context["client_region"], json.loads(params["body"])))
            parsed = _parsed(http.request)
    except RefusedError as error:
        shown = {"Item": _copy(error.item)} if error.item else {}
        http = Http(400, {"__type": error.code, "message": str(error), **shown})
        parsed = {"Error": {"Message": str(error), "Code": error.code}, "message": str(error), **shown}
    parsed["ResponseMetadata"] = {"HTTPStatusCode": http.status_code, "HTTPHeaders": {}, "RetryAttempts": 0}
    return http, parsed


def perform(operation: str, region: str, request: Json) -> Json:
    """Do what a request says."""
    if operation == "BatchGetItem":
        return batch_get(region, request)
    if operation not in OPERATIONS:
        raise NotImplementedError(operation)
    act, known = OPERATIONS[operation]
    if unknown := request.keys() - known - SHARED:
        raise NotImplementedError(f"{operation} with {', '.join(sorted(unknown))}")
    rows = _rows_of(region, request["TableName"])
    _check_placeholders(request)
    if request.get("ReturnConsumedCapacity", "NONE") == "NONE":
        return act(rows, request)
    if operation in WRITES:
        key = request["Key"] if "Key" in request else rows.key_of(request["Item"])
        old, answered = rows.find(key), act(rows, request)
        units: float = write_units(old, rows.find(key))
    else:
        answered = act(rows, request)
        found = [answered["Item"]] if "Item" in answered else answered.get("Items", [])
        units = max(1, ceil(sum(size(each) for each in found) / READ)) / (1 if request.get("ConsistentRead") else 2)
    return {**answered, "ConsumedCapacity": {"TableName": request["TableName"], "CapacityUnits": units}}


def _rows_of(region: str, name: str) -> Rows:
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables.get(name)
    if table is None:
        raise RefusedError("Requested resource not found", "ResourceNotFoundException")
    if table not in _rows:
        _rows[table] = Rows(table)
    return _rows[table]


def _check_placeholders(request: Json) -> None:
    """Refuse placeholders that no expression uses."""
    given = {**request.get("ExpressionAttributeNames", {}), **request.get("ExpressionAttributeValues", {})}
    used = [expressions.placeholders(text) for name, text in request.items() if name.endswith("Expression")]
    if unused := given.keys() - frozenset().union(*used):
        kind = "ExpressionAttribute" + ("Names" if min(unused).startswith("#") else "Values")
        raise RefusedError(f"Value provided in {kind} unused in expressions: keys: {{{', '.join(sorted(unused))}}}")


def _parsed(request: Json) -> dict[str, Any]:
    """Return an answer as botocore reads it, sharing nothing with what is stored."""
    found = dict(request)
    for name in found.keys() & {"Item", "Attributes", "LastEvaluatedKey"}:
        found[name] = _copy(found[name])
    if "Items" in found:
        found["Items"] = [_copy(each) for each in found["Items"]]
    if "Responses" in found:
        found["Responses"] = {table: [_copy(each) for each in items] for table, items in found["Responses"].items()}
    return found


def _copy(item: Item) -> dict[str, Any]:
    return {name: _value(value) for name, value in item.items()}


def _value(value: Value) -> dict[str, Any]:
    """Return a copy of a value, with its bytes as bytes."""
    ((kind, content),) = value.items()
    return {kind: COPIES.get(kind, _as_it_is)(content)}


def _as_it_is(content: Any) -> Any:
    return content


COPIES: dict[str, Callable[[Any], Any]] = {
    "B": base64.b64decode,
    "BS": lambda content: [base64.b64decode(each) for each in content],
    "SS": list,
    "NS": list,
    "L": lambda content: [_value(each) for each in content],
    "M": _copy,
}
