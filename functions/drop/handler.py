"""The drop queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dossier.bootstrap import context
from dossier.layout import INBOX
from dossier.observe import about, logger, observed
from dossier.steps.drop import drop, landed_in

processor = BatchProcessor(event_type=EventType.SQS)


def take(record: SQSRecord) -> None:
    """Handle the drops of one message."""
    for what in landed_in(record.json_body, context().objects.bucket):
        about(connection=what.key.removeprefix(INBOX).partition("/")[0])
        became = drop(what, context=context())
        logger.info("%s %s", what.key, became)


@observed
def handler(event: dict[str, Any], lambda_context: Any) -> Any:
    """Handle a batch of drops; return the failed ones to the queue."""
    return process_partial_response(event=event, record_handler=take, processor=processor, context=lambda_context)
