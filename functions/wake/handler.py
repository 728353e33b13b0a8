"""The wake queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.wake import wake

processor = BatchProcessor(event_type=EventType.SQS)


def apply(record: SQSRecord) -> None:
    """Apply one delivery; one about an id that nobody knows yet comes back later."""
    message = record.json_body
    done = wake(
        message["connection"],
        app().evidence.read(message["delivery"]).body,
        last_try="again" in message,
        desk=app().desk,
        waits=app().waits,
        executions=app().executions,
    )
    if not done:
        app().wake_queue.send_later({**message, "again": "1"})


@observed
def handler(event: dict[str, Any], context: Any) -> Any:
    """Apply a batch of deliveries; those that failed go back to the queue."""
    return process_partial_response(event=event, record_handler=apply, processor=processor, context=context)
