"""A Distributed Map works in JSONata, batches its items, and writes its results.

AWS evaluates ``Items``, ``ItemReader``, ``ItemSelector``, ``ItemBatcher``, ``ResultWriter``, ``Output`` and ``Assign``
of a Distributed Map, and starts its children as the machine's role
(https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html). MiniStack treats their expressions as
literal text, ignores ``Items``, ``ItemBatcher``, ``ResultWriter``, ``Output`` and ``Assign``, and checks no role. The
bridge prepares the items, has ``map_runs`` run the children, and shapes the result afterwards.
"""

import json
from collections.abc import Callable
from typing import Any

from local.aws.bridges.current_task import Task, task_of
from local.aws.bridges.map_runs import MapRun
from local.aws.bridges.state_machine_role import authorize
from local.aws.pinned import replace, require, responses, s3, stepfunctions

_NUMBERS = ("MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount")
_REPORTED = ("executionArn", "input", "inputDetails", "name", "output", "outputDetails", "startDate", "stateMachineArn",
             "status", "stopDate", "error", "cause")  # fmt: skip


def install() -> None:
    """Install the bridge."""
    takes = "state_def, raw_input, effective, iterator, execution, ctx"
    replace(stepfunctions, "_run_distributed_map", takes, _run)
    require(callable(stepfunctions._read_map_items), "stepfunctions._read_map_items is gone")
    require(callable(s3._put_object), "s3._put_object is gone")


def _run(
    _original: Callable[..., Any],
    state: dict[str, Any],
    raw_input: Any,
    effective: Any,
    iterator: dict[str, Any],
    execution: dict[str, Any],
    ctx: dict[str, Any],
) -> Any:
    task = task_of(execution)
    authorize(task, "states:StartExecution", task.machine_arn)
    values = _Values(state, raw_input, effective, ctx)
    inner = {**state, **{name: values.evaluate(state[name]) for name in _NUMBERS if name in state}}
    items = _batched(values, [values.selected(index, item) for index, item in enumerate(_items(values, task))])
    run, following = MapRun(inner, iterator, execution, ctx), stepfunctions._next_or_end(state)
    try:
        result: Any = run.run(items)
    finally:
        written = _write_results(values, task, run.arn)
    result = written or result
    if values.jsonata:
        output = stepfunctions._apply_jsonata_output(state, raw_input, ctx, result=result, default=result)
        stepfunctions._apply_state_assign(state, raw_input, ctx, result=result)
        return output, following
    result = stepfunctions._apply_result_selector(state, result)
    output = stepfunctions._apply_result_path(state, raw_input, result)
    return stepfunctions._apply_output_path(state, output, ctx), following


class _Values:
    """A Map state's fields, evaluated in the state's query language."""

    def __init__(self, state: dict[str, Any], raw_input: Any, effective: Any, ctx: dict[str, Any]) -> None:
        self.state, self.ctx = state, ctx
        self._raw_input, self._effective = raw_input, effective
        self.jsonata = stepfunctions._state_query_language(state, ctx) == "JSONata"

    def evaluate(self, template: Any, ctx: dict[str, Any] | None = None) -> Any:
        """Return a template's value."""
        if self.jsonata:
            return stepfunctions._apply_jsonata_template(template, self._raw_input, ctx or self.ctx)
        if isinstance(template, dict):
            return stepfunctions._resolve_params_obj(template, self._effective, ctx or self.ctx)
        return template

    def field(self, name: str) -> Any:
        """Return a field with its evaluated arguments; None if the state has no such field."""
        found = self.state.get(name)
        if found is None:
            return None
        arguments = self.evaluate(found.get("Arguments") or found.get("Parameters") or {})
        return {**found, "Parameters": arguments, "ReaderConfig": self.evaluate(found.get("ReaderConfig") or {})}

    def items(self) -> Any:
        """Return the items of a Map without an ``ItemReader``."""
        if "Items" in self.state:
            return stepfunctions._jsonata_state_field(self.state, "Items", "array", self._raw_input, self.ctx)
        return stepfunctions._resolve_path_or_ctx(self.state.get("ItemsPath", "$"), self._effective, self.ctx)

    def read(self, reader: dict[str, Any]) -> Any:
        """Return the items that a reader reads from S3."""
        reader = {name: value for name, value in reader.items() if name != "Arguments"}
        return stepfunctions._read_map_items(reader, self._effective, self.ctx)

    def selected(self, index: int, item: Any) -> Any:
        """Return a child's input for an item."""
        selector = self.state.get("ItemSelector") or self.state.get("Parameters")
        if not selector:
            return item
        return self.evaluate(selector, {**self.ctx, "Map": {"Item": {"Index": index, "Value": item}}})


def _items(values: _Values, task: Task) -> list[Any]:
    reader = values.field("ItemReader")
    if reader is None:
        items = values.items()
    else:
        bucket, key = reader["Parameters"].get("Bucket"), reader["Parameters"].get("Key")
        if reader["Resource"].endswith("listObjectsV2"):
            authorize(task, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
        else:
            authorize(task, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        items = values.read(reader)
    return items if isinstance(items, list) else [items]


def _batched(values: _Values, items: list[Any]) -> list[Any]:
    batcher = values.state.get("ItemBatcher")
    if not batcher:
        return items
    batcher = values.evaluate(batcher)
    size = int(batcher.get("MaxItemsPerBatch") or len(items) or 1)
    batches: list[dict[str, Any]] = [{"Items": items[start : start + size]} for start in range(0, len(items), size)]
    if "BatchInput" in batcher:
        batches = [{"BatchInput": batcher["BatchInput"], **batch} for batch in batches]
    return batches


def _write_results(values: _Values, task: Task, run_arn: str) -> dict[str, Any] | None:
    """Write the children's records to S3, as ``ResultWriter`` says; return the state's result, or None without one."""
    writer = values.field("ResultWriter")
    if writer is None:
        return None
    bucket = writer["Parameters"]["Bucket"]
    prefix = writer["Parameters"].get("Prefix", "").strip("/")
    folder = f"{prefix}/{responses.new_uuid()}".lstrip("/")
    authorize(task, "s3:PutObject", f"arn:aws:s3:::{bucket}/{folder}/manifest.json")
    children = [child for child in stepfunctions._executions.values() if child.get("mapRunArn") == run_arn]
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status in ("FAILED", "SUCCEEDED"):
        text = json.dumps([_report(child) for child in children if child["status"] == status])
        if text != "[]":
            key = f"{folder}/{status}_0.json"
            _put(bucket, key, text)
            files[status].append({"Key": key, "Size": len(text.encode())})
    key = f"{folder}/manifest.json"
    manifest = {"DestinationBucket": bucket, "MapRunArn": run_arn, "ResultFiles": files}
    _put(bucket, key, json.dumps(manifest))
    return {"MapRunArn": run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}


def _report(child: dict[str, Any]) -> dict[str, Any]:
    return {name[0].upper() + name[1:]: child[name] for name in _REPORTED if child.get(name) is not None}


def _put(bucket: str, key: str, text: str) -> None:
    status, _, body = s3._put_object(bucket, key, text.encode(), {"content-type": "application/json"})[:3]
    if status >= 300:
        cause = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        name = "S3.NoSuchBucketException" if status == 404 else "S3.S3Exception"
        raise stepfunctions._ExecutionError(name, cause)
