"""What each ``dossier`` command imports, reads and builds first: commands are forked from this (``commands``)."""

from __future__ import annotations

import gc
from functools import cache

import boto3.dynamodb.table  # noqa: F401
import botocore.loaders
import botocore.session
import typer.main

import cli.deliveries
import cli.deployed
import cli.main
import cli.status
import cli.submit
import cli.target
from dossier import vendors

SERVICES = ("cloudformation", "dynamodb", "events", "lambda", "logs", "s3", "secretsmanager", "sqs", "stepfunctions")

loader = botocore.loaders.create_loader()
for service in SERVICES:
    loader.load_service_model(service, "service-2")
    loader.load_service_model(service, "endpoint-rule-set-1")
for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
    loader.load_data(name)
botocore.session.create_loader = lambda *_: loader
for name in vendors.names():
    vendors.adapter(name)
typer.main.get_command = cache(typer.main.get_command)
typer.main.get_command(cli.main.app)
gc.freeze()  # what is shared is not looked through for garbage in each command
