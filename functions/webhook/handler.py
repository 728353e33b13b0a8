"""POST /webhooks/{connection}[/{token}]."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from dossier import usage
from dossier.connections import webhook_names, webhook_settings
from dossier.steps.webhook import Webhook
from dossier.stores.doorstep import Doorstep

logger = Logger()
boto3.setup_default_session()
session: Any = boto3.DEFAULT_SESSION
usage.OWN.attach(session.events)
doorstep = Doorstep(boto3.client("sqs"), os.environ)  # every delivery needs this client; it makes others on first use
webhook = Webhook(
    settings_of=webhook_settings,
    secrets_of=doorstep.webhook_secrets,
    evidence=doorstep.evidence,
    enqueue=doorstep.enqueue,
    names=webhook_names,
)


@usage.measured
@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Answer a delivery."""
    status, verdict = webhook.answer(event)
    connection = webhook.connection_of(event)
    if status == 200 and connection:  # anybody may send the name of a connection
        usage.OWN.about(connection=connection)
    logger.info("delivery %s", verdict, extra={"status": status, "verdict": verdict, "connection": connection})
    return {"statusCode": status, "body": ""}
