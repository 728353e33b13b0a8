"""The connections' poll queues."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import app
from dossier.observe import count, observed

processor = BatchProcessor(event_type=EventType.SQS)


def serve(record: SQSRecord) -> None:
    """Handle one poll message."""
    message = record.json_body
    poller = app().poller()
    poller.poll(message["connection"], message["reference"], message["seq"])
    if poller.unknown:
        count("UnknownStatuses", len(poller.unknown), connection=message["connection"])


@observed
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of poll messages; return the failed ones to their queue."""
    return process_partial_response(event=event, record_handler=serve, processor=processor, context=context)
