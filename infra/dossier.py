"""Dossier as a construct of another team's stack (``docs/embedding.md``)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.settings import Settings
from infra.stack import DossierStack

PROJECT = Path(__file__).resolve().parents[1]
"""Dossier's project, with its functions and layers."""


class Dossier(Construct):
    """A stage of Dossier in another team's app, with that team's bus and bucket if they are given.

    It is a separate stack, ``dossier-<stage>``, because the ``dossier`` command finds a stage by that name.

    Attributes:
        stack: Dossier's stack.
        bus: the bus with the events about cases: the given one, or Dossier's own.
        bucket: the bucket with the results: the given one, or Dossier's own.
        state_machine: the state machine; each execution is a case.

    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name
        *,
        connections: str | Path,
        bus: events.IEventBus | None = None,
        bucket: s3.IBucket | None = None,
        existing_secrets: Collection[str] = (),
        **settings: str | int | bool | None,
    ) -> None:
        """Add the stage.

        Args:
            scope: the team's stack, or anything in it.
            id: the construct's name.
            connections: the connections file.
            bus: the team's bus for the events about cases.
            bucket: the team's bucket for documents and results; it must have versions.
            existing_secrets: connections whose secret exists already, in no stack.
            settings: any setting of ``docs/deploy.md`` by name, such as ``stage`` and ``alarm_email``; None is unset.

        Raises:
            ConfigurationError: a setting or the connections file is invalid, a line for each problem; or the bucket is
                not fit.

        """
        super().__init__(scope, id)
        given = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in settings.items()
            if value is not None
        }
        given["connections"] = str(Path(connections).resolve())
        loaded = Settings.load(given.get, root=PROJECT, environment={}, names=given)
        around = cdk.Stack.of(scope)
        known = not cdk.Token.is_unresolved(around.account) and not cdk.Token.is_unresolved(around.region)
        self.stack = DossierStack(
            self,
            settings=loaded,
            existing_secrets=existing_secrets,
            env=cdk.Environment(account=around.account, region=around.region) if known else None,
            bus=bus,
            bucket=bucket,
        )
        self.bus: events.IEventBus = bus or self.stack.bus
        self.bucket: s3.IBucket = bucket or self.stack.bucket
        self.state_machine: stepfunctions.IStateMachine = self.stack.state_machine
