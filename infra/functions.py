"""The functions, and what each may do: one paragraph for each verb."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.models import REFUSED_DROPS
from infra.bucket import ArtifactBucket
from infra.function import Function, Grant
from infra.inbox import DROP_TIMEOUT, Inbox
from infra.layers import Layers
from infra.secrets import ConnectionSecrets
from infra.settings import Settings
from infra.state_machine import execution_arns, state_machine_arn
from infra.table import CaseTable
from infra.waiting_room import POLL_TIMEOUT, WaitingRoom
from infra.work_queue import WorkQueue

WAKE_TIMEOUT = cdk.Duration.seconds(60)

_BRIEF = cdk.Duration.seconds(60)
"""For what only reads and writes the table."""
_CALLS = cdk.Duration.seconds(180)
"""For what makes a few requests to a vendor."""
_STREAMS = cdk.Duration.minutes(15)
"""For what moves whole files: as long as Lambda lets it."""

CASE = "cases/*"
VENDOR_ANSWERS = "cases/*/*/vendor/*"
ARTIFACTS = "cases/*/*/artifacts/*"
DOCUMENTS = "cases/*/*/documents/*"
EVIDENCE = "webhooks/*"
REFUSED = f"{REFUSED_DROPS}*"
OUTCOME = ("cases/*/*/result.json", "cases/*/*/manifest.json")


class Functions(Construct):
    """Every function by its verb (``functions["upload"]``)."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        layers: Layers,
        bucket: ArtifactBucket,
        table: CaseTable,
        bus: events.EventBus,
        secrets: ConnectionSecrets,
        waiting_room: WaitingRoom,
        wake_queue: WorkQueue,
        inbox: Inbox,
    ) -> None:
        super().__init__(scope, id)
        self._settings = settings
        self._layers = layers
        self._bucket = bucket.bucket
        self._table = table
        self._bus = bus
        self._environment = {
            "DOSSIER_STAGE": settings.stage,
            "DOSSIER_PREFIX": settings.prefix,
            "DOSSIER_TABLE": table.table.table_name,
            "DOSSIER_BUCKET": bucket.bucket.bucket_name,
            "DOSSIER_EVENT_BUS": bus.event_bus_name,
            "DOSSIER_WAKE_QUEUE_URL": wake_queue.queue.queue_url,
        }
        self._by_verb: dict[str, lambda_.Function] = {}

        machine = state_machine_arn(self, settings)
        read_secrets = Grant(("secretsmanager:GetSecretValue",), secrets.arns)
        send_polls = _send(waiting_room.queue_arns)
        # What every step does that talks to its vendor: the key, the case, the raw answers that are kept.
        vendor = (read_secrets, *self._reads_and_writes_cases(), self._writes(VENDOR_ANSWERS))

        # The state machine's steps.
        self._add("accept", _STREAMS, *self._reads_submissions(), self._writes(DOCUMENTS), self._puts_cases())
        self._add("open", _CALLS, *vendor)
        self._add("upload", _STREAMS, *vendor, *self._reads(DOCUMENTS))
        self._add("ask", _BRIEF, self._puts_cases(), self._puts_events())
        self._add("wait", _BRIEF, *self._reads_and_writes_cases(), send_polls)
        self._add("process", _CALLS, *vendor)
        self._add("collect", _CALLS, *vendor)
        self._add("download", _STREAMS, *vendor, self._writes(ARTIFACTS, abort=True))
        self._add("publish", _STREAMS, *vendor, *self._reads(CASE), self._writes(*OUTCOME), self._puts_events())
        self._add(
            "fail",
            _CALLS,
            *self._reads_and_writes_cases(),
            *self._reads(CASE),
            self._writes(*OUTCOME, REFUSED),
            self._puts_events(),
        )

        # Deliveries: evidence first, then the wake queue.
        self._add(
            "webhook",
            cdk.Duration.seconds(20),
            read_secrets,
            self._writes(EVIDENCE, lock=settings.evidence_lock_days > 0),
            _send([wake_queue.queue.queue_arn]),
            environment={"DOSSIER_EVIDENCE_LOCK_DAYS": str(settings.evidence_lock_days)},
        )
        self._add(
            "wake",
            WAKE_TIMEOUT,
            _consume([wake_queue.queue.queue_arn]),
            *self._reads(EVIDENCE),
            *self._reads_and_writes_cases(),
            _send([*waiting_room.queue_arns, wake_queue.queue.queue_arn]),
            Grant(("states:StartExecution",), (machine,)),
            environment={"DOSSIER_STATE_MACHINE_ARN": machine},
            loops=True,
        )

        # Drops: their content is read as Accept reads it, because it names the execution.
        self._add(
            "drop",
            DROP_TIMEOUT,
            _consume([inbox.queue.queue.queue_arn]),
            _send([inbox.queue.queue.queue_arn]),
            *self._reads_submissions(),
            Grant(("dynamodb:Query",), (table.table.table_arn,)),
            Grant(("states:StartExecution",), (machine,)),
            Grant(
                ("states:DescribeExecution",),
                (execution_arns(self, settings),),
                "The executions of this one state machine; their names are the cases'.",
            ),
            environment={"DOSSIER_STATE_MACHINE_ARN": machine},
            loops=True,
        )

        # The waiting room.
        self._add(
            "poll",
            POLL_TIMEOUT,
            _consume(waiting_room.queue_arns),
            *vendor,
            send_polls,
            Grant(("states:SendTaskSuccess", "states:SendTaskFailure"), (machine,)),
            loops=True,
        )
        self._add(
            "sweep",
            _BRIEF,
            self._reads_cases(),
            Grant(("dynamodb:UpdateItem",), (table.table.table_arn,)),
            send_polls,
            Grant(
                ("states:DescribeExecution",),
                (execution_arns(self, settings),),
                "The executions of this one state machine; their names are the cases'.",
            ),
        )

        # What holds between all of them.
        self._add(
            "reconcile",
            _CALLS,
            *self._reads_and_writes_cases(),
            *self._reads(CASE),
            self._writes(*OUTCOME),
            self._puts_events(),
            Grant(("sqs:GetQueueAttributes",), [*waiting_room.queue_arns, wake_queue.queue.queue_arn]),
            Grant(
                ("states:DescribeExecution",),
                (execution_arns(self, settings),),
                "The executions of this one state machine; their names are the cases'.",
            ),
        )

    def __getitem__(self, verb: str) -> lambda_.Function:
        return self._by_verb[verb]

    def _add(
        self,
        verb: str,
        timeout: cdk.Duration,
        *grants: Grant,
        environment: dict[str, str] | None = None,
        loops: bool = False,
    ) -> None:
        self._by_verb[verb] = Function(
            self,
            verb.capitalize(),
            settings=self._settings,
            verb=verb,
            layers=self._layers.all,
            environment={**self._environment, **(environment or {})},
            grants=grants,
            timeout=timeout,
            loops=loops,
        ).function

    def _reads_cases(self) -> Grant:
        return Grant(("dynamodb:GetItem", "dynamodb:Query"), (self._table.table.table_arn, self._table.index_arn))

    def _puts_cases(self) -> Grant:
        actions = ("GetItem", "Query", "PutItem", "UpdateItem")
        return Grant([f"dynamodb:{action}" for action in actions], (self._table.table.table_arn,))

    def _reads_and_writes_cases(self) -> tuple[Grant, ...]:
        actions = ("PutItem", "UpdateItem", "DeleteItem")
        writes = Grant([f"dynamodb:{action}" for action in actions], (self._table.table.table_arn,))
        return (self._reads_cases(), writes)

    def _reads_submissions(self) -> tuple[Grant, ...]:
        """Documents lie anywhere in the artifact bucket, and in the buckets that the settings name."""
        arns = [self._bucket.bucket_arn, *(self._arn_of_bucket(name) for name in self._settings.document_buckets)]
        return (
            Grant(
                ("s3:GetObject", "s3:GetObjectVersion"),
                [f"{arn}/*" for arn in arns],
                "Callers name the documents of a case by any key of the buckets meant for them.",
            ),
            Grant(("s3:ListBucket",), arns),
        )

    def _reads(self, *keys: str) -> tuple[Grant, ...]:
        """Read objects; with ListBucket, without which S3 answers 403 for an object that is not there."""
        return (
            Grant(
                ("s3:GetObject",), self._objects(*keys), "The objects of every case and day, in folders of their own."
            ),
            Grant(("s3:ListBucket",), (self._bucket.bucket_arn,)),
        )

    def _writes(self, *keys: str, abort: bool = False, lock: bool = False) -> Grant:
        more = {"s3:AbortMultipartUpload": abort, "s3:PutObjectRetention": lock}
        actions = ("s3:PutObject", *(action for action, wanted in more.items() if wanted))
        return Grant(actions, self._objects(*keys), "The objects of every case and day, in folders of their own.")

    def _puts_events(self) -> Grant:
        return Grant(("events:PutEvents",), (self._bus.event_bus_arn,))

    def _objects(self, *keys: str) -> list[str]:
        return [self._bucket.arn_for_objects(key) for key in keys]

    def _arn_of_bucket(self, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="s3", region="", account="", resource=name)


def _send(queue_arns: Sequence[str]) -> Grant:
    return Grant(("sqs:SendMessage",), queue_arns)


def _consume(queue_arns: Sequence[str]) -> Grant:
    actions = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")
    return Grant([f"sqs:{action}" for action in actions], queue_arns)
