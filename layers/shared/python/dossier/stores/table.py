"""The DynamoDB table: its calls, as the stores use them. ``docs/architecture.md`` describes the items."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, ConditionBase, Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from dossier.models import CaseId, iso

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table as BotoTable

INDEX = "by-connection"
Item = dict[str, Any]
MOST_AT_ONCE = 100
"""Most items that one request reads (AWS: BatchGetItem)."""
_RETURN_IT: dict[str, Any] = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
_PLAIN = TypeDeserializer()
_SOON, _SELDOM = 0.05, 5.0
"""First and longest pause, in seconds, before a new request for keys that DynamoDB left out."""


def case_key(case: CaseId) -> str:
    """Return the partition key of a case's items."""
    return f"CASE#{case.connection}#{case.reference}"


class Table:
    """The table. Reads are strongly consistent; writes return whether their condition held.

    Times are given as ``datetime`` and stored as text (``models.iso``), whose order is that of time.
    """

    def __init__(self, table: BotoTable) -> None:
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item, or None."""
        return self._table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")

    def get_many(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        """Yield the items of these keys that exist, in no order, 100 a request; eventually consistent.

        DynamoDB leaves out items for which it has no capacity; these are requested again.
        """
        client: Any = self._table.meta.client  # its stubs do not know a resource's plain values
        left = iter(keys)
        while wanted := [{"pk": pk, "sk": sk} for pk, sk in islice(left, MOST_AT_ONCE)]:
            pause = _SOON
            while wanted:
                answer = client.batch_get_item(RequestItems={self._table.name: {"Keys": wanted}})
                yield from answer["Responses"].get(self._table.name, ())
                wanted = answer["UnprocessedKeys"].get(self._table.name, {}).get("Keys", [])
                if wanted:
                    time.sleep(pause)
                    pause = min(2 * pause, _SELDOM)

    def put(self, item: Mapping[str, Any], *, when: ConditionBase | None = None) -> bool:
        """Write an item; return False if ``when`` did not hold."""
        condition: dict[str, Any] = {} if when is None else {"ConditionExpression": when}
        present = {key: plain(value) for key, value in item.items() if value is not None}
        return self._held(lambda: self._table.put_item(Item=present, **condition))

    def put_or_get(self, item: Mapping[str, Any], *, when: ConditionBase) -> Item | None:
        """Write an item and return None; or the item for which ``when`` did not hold, as ``update_or_get`` does."""
        present = {key: plain(value) for key, value in item.items() if value is not None}
        return self._written(lambda: self._table.put_item(Item=present, ConditionExpression=when, **_RETURN_IT))[1]

    def update(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase | None = None) -> bool:
        """Set attributes (None removes one) of an item; return False if ``when`` did not hold.

        With ``when``, the item may be new. Without it, the item must exist, so that a late write never restores what
        was deleted.
        """
        return self._held(lambda: self._update(pk, sk, changes, when))

    def update_or_get(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase) -> Item | None:
        """Set attributes as ``update`` does and return None; or the item for which ``when`` did not hold.

        The item is empty if there is none. It comes with DynamoDB's answer to the write: no other request can come
        between, and it needs no permission to read.
        """
        return self._written(lambda: self._update(pk, sk, changes, when, **_RETURN_IT))[1]

    def updated(self, pk: str, sk: str, changes: Mapping[str, Any], *, when: ConditionBase) -> Item:
        """Set attributes as ``update`` does and return the item as it is then, whether or not ``when`` held."""
        answer, found = self._written(lambda: self._update(pk, sk, changes, when, ReturnValues="ALL_NEW", **_RETURN_IT))
        return answer["Attributes"] if found is None else found

    def _update(self, pk: str, sk: str, changes: Mapping[str, Any], when: ConditionBase | None, **extra: Any) -> Any:
        names, values, sets, removes = {}, {}, [], []
        for number, (name, value) in enumerate(changes.items()):
            names[f"#u{number}"] = name
            if value is None:
                removes.append(f"#u{number}")
            else:
                values[f":u{number}"] = plain(value)
                sets.append(f"#u{number} = :u{number}")
        expression = " ".join(
            [f"SET {', '.join(sets)}" if sets else "", f"REMOVE {', '.join(removes)}" if removes else ""]
        ).strip()
        if values:
            extra["ExpressionAttributeValues"] = values
        return self._table.update_item(
            Key={"pk": pk, "sk": sk},
            UpdateExpression=expression,
            ExpressionAttributeNames=names,
            ConditionExpression=Attr("pk").exists() if when is None else when,
            **extra,
        )

    def add(self, pk: str, sk: str, name: str, number: int, *, when: ConditionBase) -> int | None:
        """Add to a number of an item and return the new value; None if ``when`` did not hold."""
        answer, _ = self._written(
            lambda: self._table.update_item(
                Key={"pk": pk, "sk": sk},
                UpdateExpression="ADD #name :number",
                ExpressionAttributeNames={"#name": name},
                ExpressionAttributeValues={":number": number},
                ConditionExpression=when,
                ReturnValues="UPDATED_NEW",
            )
        )
        return None if answer is None else int(answer["Attributes"][name])

    def delete(self, pk: str, sk: str, *, when: ConditionBase | None = None) -> bool:
        """Delete an item; return False if ``when`` did not hold."""
        condition: dict[str, Any] = {} if when is None else {"ConditionExpression": when}
        return self._held(lambda: self._table.delete_item(Key={"pk": pk, "sk": sk}, **condition))

    def query(self, pk: str, *, prefix: str | None = None) -> Iterator[Item]:
        """Yield the items of a partition in order of ``sk``, with ``prefix`` only those that begin with it."""
        condition: ConditionBase = Key("pk").eq(pk)
        if prefix is not None:
            condition = condition & Key("sk").begins_with(prefix)
        yield from self._pages(KeyConditionExpression=condition, ConsistentRead=True)

    def index(
        self,
        pk: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        newest: bool = False,
        page: int | None = None,
        only: str | None = None,
    ) -> Iterator[Item]:
        """Yield the items under ``pk`` of the index, by its sort key, both ends included; eventually consistent.

        Args:
            pk: the partition of the index.
            since: only items with this sort key, or a later one.
            until: only items with this sort key, or an earlier one.
            newest: the last ones first.
            page: how many items one request reads; by default as many as fit into 1 MB.
            only: yield items with this attribute alone.

        """
        condition: ConditionBase = Key("gsi_pk").eq(pk)
        if since is not None and until is not None:
            condition = condition & Key("gsi_sk").between(iso(since), iso(until))
        elif since is not None:
            condition = condition & Key("gsi_sk").gte(iso(since))
        elif until is not None:
            condition = condition & Key("gsi_sk").lte(iso(until))
        query: dict[str, Any] = {
            "IndexName": INDEX,
            "KeyConditionExpression": condition,
            "ScanIndexForward": not newest,
        }
        if page is not None:
            query["Limit"] = page
        if only is not None:
            query |= {"ProjectionExpression": "#only", "ExpressionAttributeNames": {"#only": only}}
        yield from self._pages(**query)

    def _pages(self, **query: Any) -> Iterator[Item]:
        while True:
            page = self._table.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _held(self, write: Callable[[], Any]) -> bool:
        return self._written(write)[1] is None

    @staticmethod
    def _written(write: Callable[[], Any]) -> tuple[Any, Item | None]:
        """Return a write's answer and None; if its condition did not hold, None and the item, if the write asks for it.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html,
        ``ReturnValuesOnConditionCheckFailure``
        """
        try:
            return write(), None
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            found: Any = error.response.get("Item", {})  # the resource converts the items of answers, not of errors
            return None, {name: _PLAIN.deserialize(value) for name, value in found.items()}


def plain(value: Any) -> Any:
    """Return a value as the table stores it: a time as text."""
    return iso(value) if isinstance(value, datetime) else value
