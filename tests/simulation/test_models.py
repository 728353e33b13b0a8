"""The models and moto answer what AWS documents, as the local AWS does (``tests/local/test_simulated_models.py``)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import BUCKET, Cloud
from tests.simulation.faults import Faults
from tests.simulation.models.dynamodb import Dynamo, Table
from tests.simulation.models.functions import Lambda
from tests.simulation.models.s3 import S3, Bucket
from tests.simulation.models.sqs import SQS, Queue
from tests.simulation.models.stepfunctions import Client, StateMachine
from tests.simulation.models.wire import Wire
from tests.simulation.scheduler import Scheduler
from tests.simulation.statements import DIFFERENT, STATEMENTS, Account
from tests.simulation.trace import Trace


def modelled() -> Account:
    """Return an account of the models."""
    scheduler, faults, trace = Scheduler(), Faults("0"), Trace()
    wire, queue = Wire(scheduler, faults, trace), Queue("queue", scheduler, faults)
    machine = StateMachine({}, scheduler, Lambda(scheduler, faults, trace, at_once=10), faults, trace)
    return Account(
        table=Table(Dynamo(), wire),
        s3=S3(Bucket(BUCKET), wire),
        sqs=SQS({"queue": queue}, wire, trace),
        stepfunctions=Client(machine, wire),
        bucket=BUCKET,
        queue=queue.url,
        machine=machine.arn,
    )


@pytest.mark.parametrize("what", STATEMENTS)
def test_model_answers_as_aws_documents(what: str) -> None:
    """The model of a service answers as AWS documents."""
    statement, expected = STATEMENTS[what]
    account = modelled()
    if what == "delays":
        shown = _show_what_is_due(account)
        assert statement(shown) == expected
    else:
        assert statement(account) == expected


def _show_what_is_due(account: Account) -> Account:
    """Return an account whose queue shows a message without a delay at once: in a simulation the scheduler does."""

    class Now:
        def __getattr__(self, name: str) -> Any:
            found = getattr(account.sqs, name)
            if name == "get_queue_attributes":
                scheduler = account.sqs._queues["queue"]._scheduler
                scheduler.run(1.0)
            return found

    return Account(**{**vars(account), "sqs": Now()})


@pytest.mark.parametrize("what", STATEMENTS)
def test_moto_answers_as_aws_documents(cloud: Cloud, what: str) -> None:
    """So the tests over AWS in memory and the simulation test the same."""
    statement, expected = STATEMENTS[what]
    role = "arn:aws:iam::123456789012:role/unrelated"
    states = cloud.session.client("stepfunctions")
    definition = '{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}'
    machine = states.create_state_machine(name="machine", definition=definition, roleArn=role)["stateMachineArn"]
    sqs = cloud.session.client("sqs")
    account = Account(
        table=cloud.session.resource("dynamodb").Table("cases"),
        s3=cloud.session.client("s3"),
        sqs=sqs,
        stepfunctions=states,
        bucket=BUCKET,
        queue=sqs.create_queue(QueueName="queue")["QueueUrl"],
        machine=machine,
    )
    assert statement(account) == DIFFERENT.get(("moto", what), expected)
