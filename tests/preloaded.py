"""What each ``dossier`` command imports, reads and builds first: commands are forked from this (``commands``)."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

import boto3.dynamodb.table  # noqa: F401
import botocore.loaders
import botocore.session
import httpx  # noqa: F401
import typer.main
from pydantic import BaseModel

import cli
import cli.main
import dossier
from dossier import vendors


def models(kind: type[BaseModel] = BaseModel) -> Iterator[type[BaseModel]]:
    """Yield every model that is defined so far."""
    for each in kind.__subclasses__():
        yield each
        yield from models(each)


SERVICES = ("cloudformation", "dynamodb", "events", "lambda", "logs", "s3", "secretsmanager", "sqs", "stepfunctions")

for package in (cli, dossier):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name != "dossier.observe":  # of the functions alone: it reads their variables
            importlib.import_module(module.name)
for model in list(models()):
    model.model_rebuild(raise_errors=False)  # else with the first use of each
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
