"""The connections' poll queues."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import context
from dossier.observe import about, observed
from dossier.steps.poll import serve as serve_message

processor = BatchProcessor(event_type=EventType.SQS)


def serve(record: SQSRecord) -> None:
    """Handle one poll message."""
    message = record.json_body
    about(connection=message["connection"], reference=message["reference"])
    serve_message(message, context=context())


@observed
def handler(event: dict[str, Any], lambda_context: Any) -> Any:
    """Handle a batch of poll messages; return the failed ones to their queue."""
    return process_partial_response(event=event, record_handler=serve, processor=processor, context=lambda_context)
