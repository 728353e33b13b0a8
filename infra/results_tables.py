"""The tables of results in the Glue Data Catalog, which Athena and everything else that knows Glue can query."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct
from pydantic import BaseModel

from dossier.layout import table_folder
from dossier.result import Result
from dossier.steps.rows import COLUMNS, FIELDS, RESULTS
from infra.settings import Settings

FIRST_MONTH = "2026-01"
"""The first partition: no stage has an earlier case."""
_PLAIN = {str: "string", int: "int", float: "double", bool: "boolean"}


class ResultsTables(Construct):
    """A database with the tables ``results`` and ``fields`` over the files of ``dossier export --format tables``.

    The catalog stores names and types alone. Athena computes the partitions (``month``), so no crawler runs.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, bucket: s3.IBucket) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        account = cdk.Stack.of(self).account
        name = database_name(settings)
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description=f"Results of {settings.stack_name}"
            ),
        )
        columns = {RESULTS: result_columns(), FIELDS: {name: _PLAIN[kind] for name, kind in COLUMNS.items()}}
        for table, each in columns.items():
            made = glue.CfnTable(
                self,
                table.capitalize(),
                catalog_id=account,
                database_name=name,
                table_input=_table(table, each, f"s3://{bucket.bucket_name}/{table_folder(table)}"),
            )
            made.add_resource_dependency(database)


def database_name(settings: Settings) -> str:
    """Return the database's name; names of Athena have no hyphens."""
    return settings.prefix.replace("-", "_")


def result_columns() -> dict[str, str]:
    """Return the type in Glue of each attribute of ``result.json``."""
    return {name: _type(each.annotation) for name, each in Result.model_fields.items()}


def _type(annotation: Any) -> str:
    """Return the type in Glue of an attribute. An attribute of several types is text, as the JSON SerDe reads it."""
    parts, origin = get_args(annotation), get_origin(annotation)
    if origin in (Union, types.UnionType):
        kinds = {_type(each) for each in parts if each is not type(None)}
        return kinds.pop() if len(kinds) == 1 else "double" if kinds == {"int", "double"} else "string"
    if origin is list:
        return f"array<{_type(parts[0])}>"
    if origin is Literal:
        return "string"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inside = [f"{name}:{_type(each.annotation)}" for name, each in annotation.model_fields.items()]
        return f"struct<{','.join(inside)}>"
    return _PLAIN[annotation]


def _table(name: str, columns: dict[str, str], location: str) -> glue.CfnTable.TableInputProperty:
    return glue.CfnTable.TableInputProperty(
        name=name,
        table_type="EXTERNAL_TABLE",
        parameters={
            "EXTERNAL": "TRUE",
            "classification": "json",
            "projection.enabled": "true",
            "projection.month.type": "date",
            "projection.month.format": "yyyy-MM",
            "projection.month.range": f"{FIRST_MONTH},NOW",
            "projection.month.interval": "1",
            "projection.month.interval.unit": "MONTHS",
            "storage.location.template": f"{location}month=${{month}}/",
        },
        partition_keys=[glue.CfnTable.ColumnProperty(name="month", type="string")],
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=[glue.CfnTable.ColumnProperty(name=each, type=kind) for each, kind in columns.items()],
            location=location,
            input_format="org.apache.hadoop.mapred.TextInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library="org.openx.data.jsonserde.JsonSerDe"),
        ),
    )
