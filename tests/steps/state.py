"""A deployment's stored state, for the watchdog's tests."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from moto.stepfunctions.models import stepfunctions_backends

from dossier.models import CaseId, CaseStatus, now
from dossier.settings import Poll
from dossier.steps.reconcile import Findings, reconcile
from dossier.stores.executions import Executions
from tests.conftest import REGION, Cloud
from tests.machine import World
from tests.records import record

LATER = timedelta(minutes=30)


class State:
    """A deployment's stored state, and the check of it at a later moment."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.app = cloud, cloud.app
        self.sfn = cloud.session.client("stepfunctions")
        definition = json.dumps({"StartAt": "Accept", "States": {"Accept": {"Type": "Succeed"}}})
        role = "arn:aws:iam::123456789012:role/states"
        arn = self.sfn.create_state_machine(name="dossier-dev", definition=definition, roleArn=role)["stateMachineArn"]
        self.executions = Executions(self.sfn, arn)
        self.connections = World(cloud).connections
        for name, settings in self.connections.items():
            self.connections[name] = settings.model_copy(update={"poll": Poll()})
        self.context = self.app.replacing(connection_of=self.connections.__getitem__, executions=self.executions)

    def case(self, reference: str = "INV-1", status: str = "waiting", **changes: Any) -> str:
        """Store a case with a running execution and return the execution's ARN."""
        arn = self.executions.start(f"invoices-{reference}", {})
        self.app.cases.claim(record(reference=reference, execution=arn, status=status, **changes))
        return arn

    def stop(self, arn: str, *, error: str = "", cause: str = "") -> None:
        """End an execution: aborted, or failed for a reason."""
        self.sfn.stop_execution(executionArn=arn)
        if error:
            [execution] = [
                each
                for machine in stepfunctions_backends["123456789012"][REGION].state_machines
                for each in machine.executions
                if each.execution_arn == arn
            ]
            execution.status, execution.error, execution.cause = "FAILED", error, cause

    def wait(self, reference: str = "INV-1", *, first: float = 0, deadline: float = 3600) -> None:
        """Let a case wait."""
        self.app.waits.start(
            CaseId("invoices", reference), phase="documents", token=f"token-{reference}", first=first, deadline=deadline
        )

    def check(self, after: timedelta = LATER) -> Findings:
        """Check everything as if that much time had passed."""
        return reconcile(
            self.connections,
            context=self.context,
            at=now() + after,
        )

    def status(self, reference: str = "INV-1") -> CaseStatus:
        """Return the state of a case."""
        return self.app.cases.get(CaseId("invoices", reference)).record.status
