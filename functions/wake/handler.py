"""The wake queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import app
from dossier.observe import observed

processor = BatchProcessor(event_type=EventType.SQS)


def apply(record: SQSRecord) -> None:
    """Apply one delivery."""
    app().waker().serve(record.json_body)


@observed
def handler(event: dict[str, Any], context: Any) -> Any:
    """Apply a batch of deliveries; return the failed ones to the queue."""
    return process_partial_response(event=event, record_handler=apply, processor=processor, context=context)
