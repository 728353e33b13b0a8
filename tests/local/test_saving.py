import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.processes import Process, stop
from tests.local.aws import Aws

Start = Callable[[Path], tuple[Process, Aws]]


def test_state_survives_a_stop(start_saving: Start, tmp_path: Path) -> None:
    """After a stop and a start the server has its items, objects, messages and secrets."""
    process, aws = start_saving(tmp_path)
    written = _write(aws)

    stop(process, grace=30)

    _, again = start_saving(tmp_path)
    assert _read(again, written) == written


def test_state_survives_a_kill_once_it_was_saved(start_saving: Start, tmp_path: Path) -> None:
    """After a kill the server has the state that it saved."""
    process, aws = start_saving(tmp_path)
    written = _write(aws)
    state = tmp_path / "data" / "state"
    marks = {
        "s3": "bucket", "dynamodb": "\\u00e9", "secretsmanager": "planted", "sqs": "a message",
        "stepfunctions": "SUCCEEDED",
    }  # fmt: skip
    left = aws.until(
        lambda: [name for name, mark in marks.items() if mark not in _text(state / f"{name}.json")],
        lambda names: not names,
        seconds=120,
    )
    assert left == []

    os.killpg(process.pid, signal.SIGKILL)

    _, again = start_saving(tmp_path)
    assert _read(again, written) == written


@pytest.fixture
def start_saving(start_aws: Callable[..., tuple[Process, Aws]]) -> Start:
    """Return a function that starts a local AWS which saves its state in ``data`` every half second."""

    def start(folder: Path) -> tuple[Process, Aws]:
        return start_aws(folder, DOSSIER_LOCAL_DATA=str(folder / "data"), DOSSIER_LOCAL_SAVE_SECONDS="0.5")

    return start


def _write(aws: Aws) -> dict[str, Any]:
    aws.s3.create_bucket(Bucket="bucket")
    aws.s3.put_object(Bucket="bucket", Key="folder/Prüfung (1).pdf", Body=b"\x00bytes", ContentType="application/pdf")
    aws.dynamodb.create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    aws.dynamodb.put_item(TableName="table", Item={"pk": {"S": "é"}, "body": {"B": b"\x01\x02"}})
    aws.secretsmanager.create_secret(Name="secret", SecretString="planted")
    machine = aws.machine({"Done": {"Type": "Succeed"}})
    execution = aws.run(machine)["executionArn"]
    url = aws.sqs.create_queue(QueueName="queue")["QueueUrl"]
    aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps("a message"))
    return {
        "object": b"\x00bytes",
        "item": {"pk": {"S": "é"}, "body": {"B": b"\x01\x02"}},
        "secret": "planted",
        "execution": (execution, "SUCCEEDED"),
        "messages": ['"a message"'],
    }


def _read(aws: Aws, written: dict[str, Any]) -> dict[str, Any]:
    arn = written["execution"][0]
    url = aws.sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    return {
        "object": aws.s3.get_object(Bucket="bucket", Key="folder/Prüfung (1).pdf")["Body"].read(),
        "item": aws.dynamodb.get_item(TableName="table", Key={"pk": {"S": "é"}})["Item"],
        "secret": aws.secretsmanager.get_secret_value(SecretId="secret")["SecretString"],
        "execution": (arn, aws.stepfunctions.describe_execution(executionArn=arn)["status"]),
        "messages": [each["Body"] for each in aws.sqs.receive_message(QueueUrl=url).get("Messages", [])],
    }


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
