"""The stack: composes the constructs, and defines the outputs."""

from __future__ import annotations

from collections.abc import Collection

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from constructs import Construct

from dossier.stores.queues import BATCHES_AT_ONCE, WAKE
from infra.alarms import Alarms, notify
from infra.artifact_bucket import ArtifactBucket
from infra.batch_machine import BatchMachine
from infra.case_api import CaseApi
from infra.case_machine import CaseMachine
from infra.case_table import CaseTable
from infra.common_causes import CommonCauses
from infra.connection_secrets import ConnectionSecrets
from infra.dashboard import Dashboard
from infra.ended_executions import EndedExecutions
from infra.functions import CALL_VENDORS, WAKE_TIMEOUT, Functions
from infra.inbox import Inbox
from infra.layers import Layers
from infra.results_tables import ResultsTables
from infra.scheduled_checks import ScheduledChecks
from infra.settings import Settings
from infra.version import code_version
from infra.waiting_room import WaitingRoom
from infra.webhook_api import WebhookApi
from infra.work_queue import WorkQueue


class DossierStack(cdk.Stack):
    """One stage of Dossier; ``docs/embedding.md`` shows how to use it in your own app.

    Attributes:
        bucket: the artifact bucket, with the results.
        bus: the event bus for events about cases.
        state_machine: the state machine; each execution is a case.

    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        existing_secrets: Collection[str] = (),
        env: cdk.Environment | None = None,
        bus: events.IEventBus | None = None,
        bucket: s3.IBucket | None = None,
    ) -> None:
        """Compose the stage.

        Args:
            scope: the app, or a stage of it.
            settings: the stage's settings.
            existing_secrets: connections whose secret exists already, in no stack.
            env: account and Region, if other stacks of the app set theirs.
            bus: a bus of another stack for the events about cases, in place of a new one.
            bucket: a versioned bucket of another stack, in place of a new one.

        """
        super().__init__(
            scope,
            settings.stack_name,
            stack_name=settings.stack_name,  # in a CDK stage too: the CLI looks the stack up by this name
            description="Dossier: sends documents to vendors, stores results in your own bucket",
            env=env,
        )
        artifacts = ArtifactBucket(self, "Artifacts", settings=settings, existing=bucket)
        table = CaseTable(self, "Cases", settings=settings)
        bus = bus or events.EventBus(self, "Bus", event_bus_name=settings.prefix)
        secrets = ConnectionSecrets(self, "Secrets", settings=settings, existing=existing_secrets)
        waiting_room = WaitingRoom(self, "WaitingRoom", settings=settings)
        # A batch has at most ten deliveries, and applying one twice changes nothing: a failed one is retried soon,
        # instead of after the six timeouts that AWS advises.
        wake_queue = WorkQueue(
            self,
            "Wake",
            settings=settings,
            name=settings.named(WAKE),
            visibility_timeout=WAKE_TIMEOUT.plus(cdk.Duration.seconds(30)),
        )
        inbox = Inbox(self, "Inbox", settings=settings, bucket=artifacts)
        functions = Functions(
            self,
            "Functions",
            settings=settings,
            layers=Layers(self, "Layers", settings=settings),
            bucket=artifacts,
            table=table,
            bus=bus,
            secrets=secrets,
            waiting_room=waiting_room,
            wake_queue=wake_queue,
            inbox=inbox,
        )
        case = CaseMachine(self, "Case", settings=settings, functions=functions)
        BatchMachine(self, "Batch", settings=settings, bucket=artifacts, summarize=functions["summarize"])
        EndedExecutions(self, "Ended", settings=settings, fail=functions["fail"])
        checks = ScheduledChecks(
            self, "Invariants", settings=settings, reconcile=functions["reconcile"], compare=functions["compare"]
        )
        waiting_room.polled_by(functions["poll"])
        waiting_room.swept_by(functions["sweep"])
        inbox.consumed_by(functions["drop"])
        wake_queue.consumed_by(functions["wake"], batch_size=10, at_once=BATCHES_AT_ONCE)
        webhooks = WebhookApi(self, "Webhooks", settings=settings, webhook=functions["webhook"])
        CaseApi(self, "Api", api=webhooks.api, function=functions["api"])

        Alarms(
            self,
            "Failures",
            settings=settings,
            functions=functions,
            machine=case.machine,
            api=webhooks.api,
            bounded=CALL_VENDORS if settings.reserve_concurrency else (),
        )
        causes = CommonCauses(
            self, "CommonCauses", long_waits=checks.long_waits, vendors_failing=checks.vendors_failing
        )
        topic = notify(self, causes.notifying, settings=settings)
        if settings.dashboard:
            Dashboard(
                self,
                "Overview",
                settings=settings,
                alarms=causes.notifying,
                functions=functions,
                machine=case.machine,
                api=webhooks.api,
                queues={
                    **{f"poll {name}": each.queue for name, each in waiting_room.queues.items()},
                    "wake": wake_queue.queue,
                    "drop": inbox.queue.queue,
                },
            )
        if settings.results_tables:
            ResultsTables(self, "Tables", settings=settings, bucket=artifacts.bucket)
        self.bucket, self.bus, self.state_machine = artifacts.bucket, bus, case.machine

        self._outputs(
            ApiUrl=webhooks.api.api_endpoint,
            ApiId=webhooks.api.api_id,
            WebhookUrl=f"{webhooks.api.api_endpoint}/webhooks/<connection>",
            BucketName=artifacts.bucket.bucket_name,
            TableName=table.table.table_name,
            StateMachineArn=case.machine.state_machine_arn,
            EventBusName=bus.event_bus_name,
            SecretPrefix=settings.prefix,
            ConnectionNames=",".join(settings.connections),
            WebhookConnections=",".join(name for name, each in settings.connections.items() if each.webhook) or "-",
            AlarmTopicArn=topic.topic_arn,
            CodeVersion=code_version(settings.root),
            KmsKeyArn=settings.kms_key_arn,
            DocumentBuckets=",".join(settings.document_buckets),
            DocumentKmsKeys=",".join(settings.document_kms_keys),
        )

    def _outputs(self, **values: str) -> None:
        for name, value in values.items():
            if value:
                cdk.CfnOutput(self, name, value=value)
