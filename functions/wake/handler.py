"""The wake queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import context
from dossier.observe import about, observed
from dossier.steps.wake import serve

processor = BatchProcessor(event_type=EventType.SQS)


def apply(record: SQSRecord) -> None:
    """Apply one delivery."""
    about(connection=record.json_body["connection"])
    serve(record.json_body, context=context())


@observed
def handler(event: dict[str, Any], lambda_context: Any) -> Any:
    """Apply a batch of deliveries; return the failed ones to the queue."""
    return process_partial_response(event=event, record_handler=apply, processor=processor, context=lambda_context)
