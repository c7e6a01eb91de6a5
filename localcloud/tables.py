"""Rows of DynamoDB tables whose attributes are text, read consistently and to the last page."""

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.clients import Clients

Row = dict[str, str]


def of_key(client: Clients, table: str, key: str) -> list[Row]:
    """The rows whose partition key `pk` is this."""
    pages = client("dynamodb").get_paginator("query")
    return _rows(
        pages.paginate(
            TableName=table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": key}},
        )
    )


def all_of(client: Clients, table: str, prefix: str = "") -> list[Row]:
    """The rows of the whole table, or those whose `pk` begins with `prefix`."""
    only: dict[str, Any] = {
        "FilterExpression": "begins_with(pk, :prefix)",
        "ExpressionAttributeValues": {":prefix": {"S": prefix}},
    }
    pages = client("dynamodb").get_paginator("scan")
    return _rows(pages.paginate(TableName=table, ConsistentRead=True, **(only if prefix else {})))


def _rows(pages: Iterable[Mapping[str, Any]]) -> list[Row]:
    items: list[dict[str, dict[str, Any]]] = [item for page in pages for item in page["Items"]]
    return [{name: str(next(iter(value.values()))) for name, value in item.items()} for item in items]
