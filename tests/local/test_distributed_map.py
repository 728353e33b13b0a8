import json
from typing import Any

from tests.local.aws import Aws


def test_a_distributed_map_in_jsonata_reads_batches_and_writes(aws: Aws) -> None:
    """Reader, selector and batcher are evaluated, each batch is a child, and the result is where the writer put it."""
    bucket = _bucket_with(aws, "lines.jsonl", "\n".join(json.dumps({"n": n}) for n in range(5)))
    state = _map(
        ItemReader=_reader(),
        ItemSelector={"n": "{% $states.context.Map.Item.Value.n %}", "of": "{% $states.input.label %}"},
        ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"label": "{% $states.input.label %}"}},
        ResultWriter={"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": bucket, "Prefix": "out"}},
        Assign={"run": "{% $states.result.MapRunArn %}"},
        Output="{% $states.result.ResultWriterDetails %}",
    )
    states = {"Each": {**state, "Next": "Done"}, "Done": {"Type": "Pass", "End": True, "Output": _DONE}}

    ended = aws.run(aws.machine(states), {"bucket": bucket, "label": "x"})

    assert ended["status"] == "SUCCEEDED", ended
    assert ":mapRun:" in ended["output"]["run"]
    manifest = _json(aws, ended["output"]["where"]["Bucket"], ended["output"]["where"]["Key"])
    [file] = manifest["ResultFiles"]["SUCCEEDED"]
    children = _json(aws, bucket, file["Key"])
    batches = [json.loads(child["Input"])["Items"] for child in children]
    assert sorted(batches, key=lambda batch: int(batch[0]["n"])) == [  # they are listed as they ended
        [{"n": 0, "of": "x"}, {"n": 1, "of": "x"}],
        [{"n": 2, "of": "x"}, {"n": 3, "of": "x"}],
        [{"n": 4, "of": "x"}],
    ]
    assert all(json.loads(child["Input"])["BatchInput"] == {"label": "x"} for child in children)


def test_items_and_output_are_evaluated(aws: Aws) -> None:
    """Items may come from an expression, and Output shapes the children's results."""
    state = _map(Items="{% $states.input.numbers %}", MaxConcurrency=2, Output="{% $sum($states.result) %}")

    assert aws.run(aws.machine({"Each": {**state, "End": True}}), {"numbers": [1, 2, 3]})["output"] == 6


def test_children_start_as_the_machines_role(aws: Aws) -> None:
    """Without states:StartExecution the Map fails; without s3:GetObject the reader does."""
    bucket = _bucket_with(aws, "lines.jsonl", "{}")
    machine = aws.machine({"Each": {**_map(Items="{% [1] %}"), "End": True}}, role=aws.role())
    start = ("states:StartExecution", "*")
    reading = aws.machine({"Each": {**_map(ItemReader=_reader()), "End": True}}, role=aws.role(start))

    assert "states:StartExecution" in aws.run(machine)["cause"]
    assert "s3:GetObject" in aws.run(reading, {"bucket": bucket})["cause"]


_DONE = {"run": "{% $run %}", "where": "{% $states.input %}"}


def _map(**fields: object) -> dict[str, object]:
    states = {"One": {"Type": "Pass", "End": True}}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"ProcessorConfig": config, "StartAt": "One", "States": states}
    return {"Type": "Map", "ItemProcessor": processor, **fields}


def _reader() -> dict[str, object]:
    arguments = {"Bucket": "{% $states.input.bucket %}", "Key": "lines.jsonl"}
    return {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSONL"}, "Arguments": arguments}


def _bucket_with(aws: Aws, key: str, text: str) -> str:
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return bucket


def _json(aws: Aws, bucket: str, key: str) -> Any:
    return json.loads(aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
