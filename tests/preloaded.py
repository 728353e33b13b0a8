"""What a ``dossier`` command imports and reads of AWS's service models, once: it is forked from this (``commands``)."""

from __future__ import annotations

import botocore.loaders
import botocore.session

import cli.deliveries
import cli.deployed
import cli.main
import cli.status
import cli.submit
import cli.target  # noqa: F401

SERVICES = ("cloudformation", "dynamodb", "events", "lambda", "logs", "s3", "secretsmanager", "sqs", "stepfunctions")

loader = botocore.loaders.create_loader()
for service in SERVICES:
    loader.load_service_model(service, "service-2")
    loader.load_service_model(service, "endpoint-rule-set-1")
for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
    loader.load_data(name)
botocore.session.create_loader = lambda *_: loader
