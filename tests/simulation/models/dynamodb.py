"""DynamoDB: conditional writes, strongly consistent reads, an index that lags, limits of keys and items.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
"""

from __future__ import annotations

import bisect
import re
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from boto3.dynamodb.conditions import AttributeBase, ConditionBase
from boto3.dynamodb.types import Binary, TypeSerializer

from tests.simulation.clock import CLOCK
from tests.simulation.models.errors import refused
from tests.simulation.models.wire import Wire

Item = dict[str, Any]
LARGEST_ITEM = 400 * 1024
LARGEST_PAGE = 1024 * 1024
LONGEST_KEYS = {"pk": 2048, "sk": 1024}
INDEX = ("gsi_pk", "gsi_sk")
READ, WRITE = 4096, 1024
"""Bytes of a unit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""
KINDS = ("CASE", "WAIT", "ASK", "INTENTS")
"""Kinds of items that the simulation looks at, by the first part of the sort key, or of the partition key."""
_Place = tuple[str, str, str]
_TYPED = TypeSerializer()


class Index:
    """The index: it shows a write after its lag, and writes in their order."""

    def __init__(self, lag: Callable[[], float]) -> None:
        self._lag = lag
        self._coming: deque[tuple[float, tuple[str, str], Item | None]] = deque()
        self._shown: dict[tuple[str, str], Item] = {}
        self._listed: dict[str, list[_Place]] = {}

    def write(self, key: tuple[str, str], new: Item | None) -> None:
        """Take over a write, some time later."""
        at = max(CLOCK.at + self._lag(), self._coming[-1][0] if self._coming else 0.0)
        self._coming.append((at, key, new))

    def items(self, partition: str) -> list[Item]:
        """Return the items of a partition, in order, as far as the index has come."""
        while self._coming and self._coming[0][0] <= CLOCK.at:
            _, key, new = self._coming.popleft()
            self._show(key, new)
        return [self._shown[pk, sk] for _, pk, sk in self._listed.get(partition, ())]

    def _show(self, key: tuple[str, str], new: Item | None) -> None:
        old = self._shown.pop(key, None)
        if old is not None:
            listed, place = self._listed[old["gsi_pk"]], (old["gsi_sk"], *key)
            del listed[bisect.bisect_left(listed, place)]
        if new is not None and all(name in new for name in INDEX):
            self._shown[key] = new
            bisect.insort(self._listed.setdefault(new["gsi_pk"], []), (new["gsi_sk"], *key))


class Dynamo:
    """One table with the keys ``pk`` and ``sk``, and the index ``by-connection``."""

    def __init__(self, lag: Callable[[], float] = lambda: 0.0) -> None:
        self.partitions: dict[str, dict[str, Item]] = {}
        self.index = Index(lag)
        self.spend: Callable[[str, float, str], None] = lambda *_: None
        """Hears of the units that a request takes: ``read`` or ``write``, how many, and the partition."""
        self.sizes: dict[tuple[str, str], int] = {}
        """The bytes of each item."""
        self.kinds: dict[str, dict[tuple[str, str], Item]] = {kind: {} for kind in KINDS}
        """The items of some kinds."""

    def find(self, pk: str, sk: str) -> Item | None:
        """Return an item."""
        return self.partitions.get(pk, {}).get(sk)

    def of(self, kind: str) -> list[Item]:
        """Return the items of a kind (``KINDS``), in order."""
        return [item for _, item in sorted(self.kinds[kind].items(), key=lambda each: each[0])]

    def write(self, pk: str, sk: str, new: Item | None, operation: str) -> None:
        """Replace an item."""
        key, length = (pk, sk), 0
        if new is not None:
            length = size(new)
            _check(new, length, operation)
        partition = self.partitions.setdefault(pk, {})
        old = partition.get(sk)
        before = self.sizes.pop(key, 0)
        if new is None:
            partition.pop(sk, None)
        else:
            partition[sk], self.sizes[key] = new, length
        listed = (old is not None and "gsi_pk" in old) or (new is not None and "gsi_pk" in new)
        if listed:
            self.index.write(key, new)
        kind = "INTENTS" if pk.startswith("INTENTS#") else sk.partition("#")[0]
        if kind in self.kinds:
            if new is None:
                self.kinds[kind].pop(key, None)
            else:
                self.kinds[kind][key] = new
        self.spend("write", _write_units(old, new, before, length), pk)


class Table:
    """What ``boto3.resource("dynamodb").Table(name)`` does, over a model."""

    def __init__(self, dynamo: Dynamo, wire: Wire) -> None:
        self._dynamo, self._wire = dynamo, wire

    def get_item(self, *, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: N803 -- boto3's names
        """Return an item."""
        return self._call("GetItem", Key, lambda: self._get(Key, 1.0 if ConsistentRead else 0.5))

    def _get(self, key: Item, unit: float) -> dict[str, Any]:
        _check_key(key, "GetItem")
        found = self._dynamo.find(key["pk"], key["sk"])
        length = self._dynamo.sizes.get((key["pk"], key["sk"]), 0)
        self._dynamo.spend("read", unit * _blocks(length, READ), key["pk"])
        return {} if found is None else {"Item": copied(found)}

    def put_item(
        self,
        *,
        Item: Mapping[str, Any],  # noqa: N803
        ConditionExpression: Any = None,  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        """Write an item."""
        shown = ReturnValuesOnConditionCheckFailure == "ALL_OLD"
        new = {name: stored(value) for name, value in Item.items()}
        key = {"pk": new["pk"], "sk": new["sk"]}
        return self._call(
            "PutItem", key, lambda: self._write("PutItem", key, ConditionExpression, lambda _: new, shown=shown)
        )

    def update_item(
        self,
        *,
        Key: Item,  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str],  # noqa: N803
        ConditionExpression: Any = None,  # noqa: N803
        ExpressionAttributeValues: Mapping[str, Any] | None = None,  # noqa: N803
        ReturnValues: str = "NONE",  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        """Update an item, which may be new."""
        values = {name: stored(value) for name, value in (ExpressionAttributeValues or {}).items()}
        update = _update(UpdateExpression)
        names = ExpressionAttributeNames
        if used := {names[each] for each, _, _ in update} & {"pk", "sk"}:
            raise refused("ValidationException", "UpdateItem", f"Cannot update attribute {min(used)}")

        def change(old: dict[str, Any]) -> dict[str, Any]:
            new = {**Key, **old}
            for name, kind, value in update:
                if kind == "SET":
                    new[names[name]] = values[value]
                elif kind == "ADD":
                    new[names[name]] = new.get(names[name], Decimal(0)) + values[value]
                else:
                    new.pop(names[name], None)
            return new

        if ReturnValues not in {"NONE", "UPDATED_NEW", "ALL_NEW"}:
            raise NotImplementedError(ReturnValues)
        written = {names[each] for each, kind, _ in update if kind != "REMOVE"}
        returned = {"NONE": None, "UPDATED_NEW": written.__contains__, "ALL_NEW": bool}[ReturnValues]
        shown = ReturnValuesOnConditionCheckFailure == "ALL_OLD"
        return self._call(
            "UpdateItem",
            Key,
            lambda: self._write("UpdateItem", Key, ConditionExpression, change, returned, shown=shown),
        )

    def delete_item(self, *, Key: Item, ConditionExpression: Any = None) -> dict[str, Any]:  # noqa: N803
        """Delete an item."""
        return self._call(
            "DeleteItem", Key, lambda: self._write("DeleteItem", Key, ConditionExpression, lambda _: None)
        )

    def query(
        self,
        *,
        KeyConditionExpression: ConditionBase,  # noqa: N803
        IndexName: str | None = None,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        ConsistentRead: bool = False,  # noqa: N803
        ExclusiveStartKey: Item | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Return a page of a partition's items."""
        if IndexName and ConsistentRead:
            raise refused("ValidationException", "Query", "Consistent reads are not supported on indexes")
        key = INDEX[0] if IndexName else "pk"
        partition = _partition(KeyConditionExpression, key)
        sort = _sort(KeyConditionExpression)

        def act() -> dict[str, Any]:
            if IndexName:
                every = self._dynamo.index.items(partition)
            else:
                items = self._dynamo.partitions.get(partition, {})
                every = [items[each] for each in sorted(items)]
            found = every if sort is None else [each for each in every if holds(sort, each)]
            page = self._page(found if ScanIndexForward else found[::-1], ExclusiveStartKey, IndexName)
            length = sum(self._dynamo.sizes.get((each["pk"], each["sk"]), 0) for each in page["Items"])
            self._dynamo.spend("read", (1.0 if ConsistentRead else 0.5) * _blocks(length, READ), partition)
            return page

        on = "index" if IndexName else ""
        return self._call("Query", {"pk": partition, "sk": IndexName or "*"}, act, on=on)

    def _page(self, found: list[Item], start: Item | None, index: str | None) -> dict[str, Any]:
        names = ("pk", "sk", *(INDEX if index else ()))
        if start is not None:
            place = next((n for n, each in enumerate(found) if all(each[k] == start[k] for k in names)), None)
            found = found[place + 1 :] if place is not None else found
        page: list[Item] = []
        length = 0
        for each in found:
            length += self._dynamo.sizes.get((each["pk"], each["sk"]), 0)
            if page and length > LARGEST_PAGE:
                break
            page.append(each)
        answer: dict[str, Any] = {"Items": [copied(each) for each in page], "Count": len(page)}
        if len(page) < len(found):
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in names}
        return answer

    def _write(
        self,
        operation: str,
        key: Item,
        condition: Any,
        change: Callable[[Item], Item | None],
        returned: Callable[[str], bool] | None = None,
        *,
        shown: bool = False,
    ) -> dict[str, Any]:
        _check_key(key, operation)
        old = self._dynamo.find(key["pk"], key["sk"])
        if condition is not None and not holds(condition, old or {}):
            self._dynamo.spend("write", _blocks(self._dynamo.sizes.get((key["pk"], key["sk"]), 0), WRITE), key["pk"])
            error = refused("ConditionalCheckFailedException", operation, "The conditional request failed")
            if shown and old is not None:
                error.response["Item"] = {name: _TYPED.serialize(value) for name, value in old.items()}  # type: ignore[typeddict-unknown-key]
            raise error
        new = change(dict(old or {}))
        self._dynamo.write(key["pk"], key["sk"], new, operation)
        if returned is None:
            return {}
        return {"Attributes": copied({name: each for name, each in (new or {}).items() if returned(name)})}

    def _call(self, operation: str, key: Item, act: Callable[[], dict[str, Any]], *, on: str = "") -> dict[str, Any]:
        return self._wire.call("dynamodb", operation, f"{key['pk']}/{key['sk']}", act, on=on)


def stored(value: Any) -> Any:  # noqa: PLR0911 -- one for each type
    """Return a value as boto3 stores and returns it; raise for what it refuses."""
    if isinstance(value, bool | str | Decimal) or value is None:
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        raise TypeError("Float types are not supported. Use Decimal types instead.")
    if isinstance(value, bytes | bytearray):
        return Binary(bytes(value))
    if isinstance(value, Binary):
        return value
    if isinstance(value, Mapping):
        return {name: stored(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [stored(each) for each in value]
    if isinstance(value, set | frozenset):
        return {stored(each) for each in value}
    raise TypeError(f"Unsupported type {type(value)}")


def copied(value: Any) -> Any:
    """Return a copy that shares nothing that changes with what is stored."""
    kind = type(value)
    if kind is dict:
        new = dict(value)
        for name, each in value.items():
            if type(each) in _CONTAINERS:
                new[name] = copied(each)
        return new
    if kind is list:
        return [copied(each) for each in value]
    return set(value) if kind is set else value


_CONTAINERS = (dict, list, set)


def size(item: Any) -> int:
    """Return about how many bytes an item has."""
    kind = type(item)
    if kind is str:
        return len(item)
    if kind is dict:
        length = 0
        for name, each in item.items():
            length += len(name) + 1 + (len(each) if type(each) is str else size(each))
        return length
    if kind is list or kind is set:
        return 3 + sum(size(each) + 1 for each in item)
    return len(item.value) if kind is Binary else 0 if item is None else 8


def _blocks(length: int, unit: int) -> int:
    return max(1, -(-length // unit))


def _write_units(old: Item | None, new: Item | None, before: int, length: int) -> int:
    """Return the units of a write: the larger of both items, and what changes in the index, which has whole items."""
    places = [None if each is None else tuple(each.get(name) for name in INDEX) for each in (old, new)]
    was, becomes = (None if place is None or None in place else place for place in places)
    total = _blocks(max(before, length), WRITE)
    if was is not None and was != becomes:
        total += _blocks(before, WRITE)
    if becomes is not None and old != new:
        total += _blocks(length, WRITE)
    return total


def _check(item: Item, length: int, operation: str) -> None:
    if length > LARGEST_ITEM:
        raise refused("ValidationException", operation, "Item size has exceeded the maximum allowed size")
    for name in INDEX:
        if name in item and not (isinstance(item[name], str) and item[name]):
            raise refused("ValidationException", operation, f"A value for the index key {name} is not supported")


def _check_key(key: Item, operation: str) -> None:
    if key.keys() != LONGEST_KEYS.keys():
        raise refused("ValidationException", operation, "The provided key element does not match the schema")
    for name, longest in LONGEST_KEYS.items():
        value = key[name]
        if isinstance(value, str) and 0 < len(value) <= longest // 4:
            continue
        if not (isinstance(value, str) and 0 < len(value.encode()) <= longest):
            raise refused("ValidationException", operation, f"The key {name} is empty, too long or no text")


def _partition(condition: ConditionBase, key: str) -> str:
    operator, values = condition.expression_operator, condition._values
    if operator == "AND":
        return _partition(values[0], key)
    if operator == "=" and values[0].name == key:
        return str(values[1])
    raise refused("ValidationException", "Query", f"Query condition missed key schema element: {key}")


def _sort(condition: ConditionBase) -> ConditionBase | None:
    """Return a query's condition on the sort key; None for the whole partition."""
    return condition._values[1] if condition.expression_operator == "AND" else None


_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD)\b")


@lru_cache(maxsize=4096)
def _update(expression: str) -> tuple[tuple[str, str, str], ...]:
    """Return an update's actions: (placeholder of the name, kind, placeholder of the value)."""
    parts = _CLAUSE.split(expression)
    found: list[tuple[str, str, str]] = []
    for kind, text in zip(parts[1::2], parts[2::2], strict=True):
        for each in text.split(","):
            words = each.replace("=", " ").split()
            found.append((words[0], kind, words[1] if len(words) > 1 else ""))
    if len({name for name, _, _ in found}) != len(found):
        raise refused("ValidationException", "UpdateItem", "Two document paths overlap with each other")
    return tuple(found)


def holds(condition: ConditionBase, item: Item) -> bool:  # noqa: PLR0911 -- one for each operator
    """Return whether a condition of boto3's holds for an item."""
    operator, values = condition.expression_operator, condition._values
    if operator == "AND":
        return holds(values[0], item) and holds(values[1], item)
    if operator == "OR":
        return holds(values[0], item) or holds(values[1], item)
    if operator == "NOT":
        return not holds(values[0], item)
    name = values[0].name
    there = name in item
    if operator in {"attribute_exists", "attribute_not_exists"}:
        return there == (operator == "attribute_exists")
    if operator == "<>":
        return not there or bool(item[name] != _plain(values[1], item))
    if not there:
        return False
    found = item[name]
    wanted = [_plain(each, item) for each in values[1:]]
    if operator == "IN":
        return found in values[1]
    if operator == "contains":
        return wanted[0] in found
    if operator == "begins_with":
        return isinstance(found, str) and found.startswith(wanted[0])
    if operator == "=":
        return bool(found == wanted[0])
    if any(isinstance(found, str) != isinstance(each, str) for each in wanted):
        return False
    return bool(_ORDERED[operator](found, *wanted))


def _plain(value: Any, item: Item) -> Any:
    return item.get(value.name) if isinstance(value, AttributeBase) else stored(value)


_ORDERED: dict[str, Callable[..., bool]] = {
    "<": lambda found, other: found < other,
    "<=": lambda found, other: found <= other,
    ">": lambda found, other: found > other,
    ">=": lambda found, other: found >= other,
    "BETWEEN": lambda found, low, high: low <= found <= high,
}
