"""The tables of results in the Glue Data Catalog."""

from __future__ import annotations

from typing import Any

from dossier.layout import table_key
from dossier.result import Result
from dossier.steps.rows import COLUMNS
from tests.infra.synthesis import Synthesized


def tables(stack: Synthesized) -> dict[str, dict[str, Any]]:
    """Return the tables by name."""
    found = [each["TableInput"] for each in stack.of_type("AWS::Glue::Table").values()]
    return {each["Name"]: each for each in found}


def test_the_tables_describe_results_and_fields(stack: Synthesized) -> None:
    """They have every attribute of ``result.json``, and every column of the export."""
    columns = {
        name: [each["Name"] for each in table["StorageDescriptor"]["Columns"]] for name, table in tables(stack).items()
    }
    assert columns == {"results": [*Result.model_fields], "fields": [*COLUMNS]}
    kinds = {each["Name"]: each["Type"] for each in tables(stack)["results"]["StorageDescriptor"]["Columns"]}
    assert kinds["revision"] == "int"
    assert kinds["warnings"] == "array<string>"
    assert kinds["artifacts"] == "array<struct<name:string,key:string,size:int,sha256:string>>"
    assert "scores:struct<claimant:double,defendant:double>" in kinds["documents"]
    assert ",typed:string,confidence:double," in kinds["fields"]


def test_the_location_is_where_the_command_writes(stack: Synthesized) -> None:
    """Nothing but a table's own files lies there, and the key names the month."""
    for name, table in tables(stack).items():
        location = stack.text(table["StorageDescriptor"]["Location"])
        bucket, _, key = location.removeprefix("s3://").partition("/")
        assert key == f"tables/{name}/"
        template = stack.text(table["Parameters"]["storage.location.template"])
        assert template == f"{location}month=${{month}}/"
        assert f"s3://{bucket}/{table_key(name, '${month}', 'c')}" == f"{template}c.jsonl"


def test_a_stage_may_do_without(optional_stack: Synthesized) -> None:
    """``-c results_tables=false``."""
    assert not optional_stack.of_type("AWS::Glue::Table")


def test_a_stage_has_its_own_database(stack: Synthesized, other_stack: Synthesized) -> None:
    """Stages lie side by side."""
    names = [each.one("AWS::Glue::Database")["DatabaseInput"]["Name"] for each in (stack, other_stack)]
    assert names == ["dossier", "dossier_blue"]
