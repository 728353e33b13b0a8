"""The functions and their grants: one paragraph for each verb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier import layout
from dossier.models import CaseId
from dossier.settings import Connection
from dossier.steps.sources import OWN
from dossier.vendors import adapter
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

WAKE_TIMEOUT = cdk.Duration.seconds(120)

_BRIEF = cdk.Duration.seconds(60)
"""For functions that only read and write the table."""
_CALLS = cdk.Duration.seconds(180)
"""For functions that send a few requests to a vendor."""
_STREAMS = cdk.Duration.minutes(15)
"""For functions that move whole files: Lambda's maximum."""

CALL_VENDORS = ("open", "upload", "process", "collect", "download", "publish")
"""The state machine's steps that call vendors. Twice as many as the connections allow may run at once: the others get
no lease and end at once, so that one connection does not block another. The poll queues' mappings limit the polls."""

_ANY = CaseId("*", "*")
VENDOR_ANSWERS = layout.vendor_folder(_ANY) + "*"
ARTIFACTS = layout.artifact_key(_ANY, "*")
DOCUMENTS = layout.document_key(_ANY, "*")
SUBMISSIONS = (f"{layout.UPLOADS}*", *(f"{folder}/*" for folder in OWN))
EVIDENCE = f"{layout.DELIVERIES}*"
REFUSED_DELIVERIES, SEEN_DELIVERIES = f"{layout.DELIVERIES_REFUSED}*", f"{layout.DELIVERIES_SEEN}*"
REFUSED, WAITING = f"{layout.INBOX_REFUSED}*", f"{layout.INBOX_WAITING}*"
COLLECTING = f"{layout.COLLECTING}*"
LISTS = f"{layout.BATCHES}*"
OUTCOME = (layout.result_key(_ANY), layout.manifest_key(_ANY))
"""With those of each revision: a star matches slashes too."""


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
        self._table_arn, self._index_arn = table.table.table_arn, table.index_arn
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
        read_secrets = _read(secrets.arns.values())
        deliveries, drops = wake_queue.queue.queue_arn, inbox.queue.queue.queue_arn
        send_polls = _send(waiting_room.queue_arns)
        keep_answers = self._writes(VENDOR_ANSWERS)
        start, starts = Grant(("states:StartExecution",), (machine,)), {"DOSSIER_STATE_MACHINE_ARN": machine}
        # For every step that calls its vendor: read the case, record progress, take turns.
        work = self._table("GetItem", "Query", "UpdateItem")
        # For a step that stores intents or holds a lease.
        make = self._table("PutItem", "DeleteItem")

        passing = (
            (VENDOR_ANSWERS, COLLECTING) if not all(each.keep_raw for each in settings.connections.values()) else ()
        )

        # The state machine's steps.
        self._add(
            "accept",
            _STREAMS,
            *self._reads_submissions(),
            self._writes(DOCUMENTS),
            self._table("GetItem", "Query", "PutItem", "UpdateItem"),
        )
        self._add("open", _CALLS, _read(secrets.of(_opens)), work, make, self._queries_index())
        self._add(
            "upload", _STREAMS, read_secrets, work, make, self._queries_index(), self._reads(DOCUMENTS), keep_answers
        )
        self._add("ask", _BRIEF, self._table("Query", "PutItem", "UpdateItem"), self._puts_events())
        self._add("wait", _BRIEF, self._table("GetItem", "Query", "PutItem", "UpdateItem"), send_polls)
        self._add("process", _CALLS, _read(secrets.of(_assesses)), work)
        self._add("collect", _CALLS, read_secrets, work, make, keep_answers, self._writes(COLLECTING))
        self._add(
            "download",
            _STREAMS,
            read_secrets,
            work,
            make,
            keep_answers,
            self._writes(ARTIFACTS, abort=True),
            self._writes(COLLECTING, abort=True),
            self._reads(ARTIFACTS, COLLECTING),
        )
        self._add(
            "publish",
            _STREAMS,
            read_secrets,
            work,
            make,
            *self._reads_outcome(),
            self._reads(DOCUMENTS, ARTIFACTS, COLLECTING, OUTCOME[0]),
            self._writes(VENDOR_ANSWERS, ARTIFACTS, *OUTCOME),
            # In a versioned bucket this writes a delete marker.
            self._deletes(ARTIFACTS, *passing),
            self._puts_events(),
            start,
            environment=starts,
        )
        self._add(
            "fail",
            _CALLS,
            self._table("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"),
            *self._reads_outcome(),
            self._writes(*OUTCOME, REFUSED),
            self._puts_events(),
            start,
            environment=starts,
        )

        # The end of a batch's run.
        self._add("summarize", _STREAMS, self._table("BatchGetItem"), self._reads(LISTS), self._writes(LISTS))

        # Deliveries: evidence first, then the wake queue.
        self._add(
            "webhook",
            cdk.Duration.seconds(20),
            _read(secrets.of(_has_webhook)),
            self._writes(EVIDENCE, lock=settings.evidence_lock_days > 0),
            self._writes(REFUSED_DELIVERIES, SEEN_DELIVERIES),
            self._reads(SEEN_DELIVERIES),
            _send([deliveries]),
            environment={"DOSSIER_EVIDENCE_LOCK_DAYS": str(settings.evidence_lock_days)},
            reserved=settings.webhook_reserved_concurrency,
        )
        self._add(
            "wake",
            WAKE_TIMEOUT,
            _consume([deliveries]),
            self._reads(EVIDENCE),
            _read(secrets.of(_gets_strangers)),
            self._table("GetItem", "Query", "UpdateItem"),
            self._queries_index(),
            _send([*waiting_room.arns_of(_has_webhook), deliveries]),
            start,
            environment=starts,
            loops=True,
        )

        # Drops: the function reads their content as Accept does, because it names the execution.
        self._add(
            "drop",
            DROP_TIMEOUT,
            _consume([drops]),
            _send([drops]),
            *self._reads_drops(),
            self._writes(WAITING),
            self._deletes(WAITING),
            self._table("GetItem", "Query", "UpdateItem"),
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
            read_secrets,
            work,
            make,
            self._queries_index(),
            send_polls,
            Grant(("states:SendTaskSuccess", "states:SendTaskFailure"), (machine,)),
            loops=True,
        )
        self._add(
            "sweep",
            _BRIEF,
            self._queries_index(),
            self._table("UpdateItem"),
            send_polls,
            Grant(("sqs:GetQueueAttributes",), waiting_room.queue_arns),
            scheduled=True,
        )

        # The scheduled checks.
        self._add(
            "reconcile",
            _CALLS,
            self._table("GetItem", "PutItem", "Query", "UpdateItem", "DeleteItem"),
            self._queries_index(),
            *self._reads_outcome(),
            self._writes(*OUTCOME),
            self._puts_events(),
            Grant(("states:SendTaskFailure",), (machine,)),  # for waits of a removed connection
            start,
            Grant(("sqs:GetQueueAttributes",), [*waiting_room.queue_arns, deliveries, drops]),
            Grant(
                ("states:DescribeExecution",),
                (execution_arns(self, settings),),
                "The executions of this one state machine; their names are the cases'.",
            ),
            environment={**starts, "DOSSIER_RECORDS_DAYS": str(settings.retention.records_days)},
            scheduled=True,
        )

        self._add(
            "compare",
            _CALLS,
            _read(secrets.of(_lists)),
            self._table("GetItem", "Query", "UpdateItem"),
            self._queries_index(),
            start,
            environment=starts,
            scheduled=True,
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
        scheduled: bool = False,
        reserved: int = 0,
    ) -> None:
        bounded = 2 * self._settings.at_once if self._settings.reserve_concurrency and verb in CALL_VENDORS else 0
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
            scheduled=scheduled,
            reserved=reserved or bounded,
        ).function

    def _table(self, *actions: str) -> Grant:
        return Grant([f"dynamodb:{action}" for action in actions], (self._table_arn,))

    def _queries_index(self) -> Grant:
        return Grant(("dynamodb:Query",), (self._index_arn,))

    def _reads_submissions(self) -> tuple[Grant, ...]:
        """Grant reads of submitted documents in the artifact bucket and the buckets that the settings name."""
        stack = cdk.Stack.of(self)
        others = [
            stack.format_arn(service="s3", region="", account="", resource=name)
            for name in self._settings.document_buckets
        ]
        return (
            Grant(
                ("s3:GetObject", "s3:GetObjectVersion"),
                [*self._objects(*SUBMISSIONS), *(f"{arn}/*" for arn in others)],
                "Callers name the documents of a case by any key in the folders for them.",
            ),
            Grant(("s3:ListBucket",), [self._bucket.bucket_arn, *others]),
            Grant(("kms:Decrypt",), self._settings.document_kms_keys),
        )

    def _reads_drops(self) -> tuple[Grant, ...]:
        """Grant reads of the inbox: a drop names only objects of its own folder, which the function lists."""
        reason = "Files are dropped under any key below the inbox."
        return (
            Grant(("s3:GetObject", "s3:GetObjectVersion"), self._objects(f"{layout.INBOX}*"), reason),
            Grant(("s3:ListBucket",), (self._bucket.bucket_arn,)),
        )

    def _reads(self, *keys: str) -> Grant:
        return Grant(
            ("s3:GetObject",), self._objects(*keys), "The objects of every case and day, in folders of their own."
        )

    def _deletes(self, *keys: str) -> Grant:
        return Grant(
            ("s3:DeleteObject",), self._objects(*keys), "The objects of every case and day, in folders of their own."
        )

    def _reads_outcome(self) -> tuple[Grant, ...]:
        """Grant reads of the stored raw answers, which make up result and manifest; the function lists them."""
        return (self._reads(VENDOR_ANSWERS), Grant(("s3:ListBucket",), (self._bucket.bucket_arn,)))

    def _writes(self, *keys: str, abort: bool = False, lock: bool = False) -> Grant:
        tags = any(key.startswith(layout.CASES) for key in keys)  # retention selects objects by tag
        more = {"s3:PutObjectTagging": tags, "s3:AbortMultipartUpload": abort, "s3:PutObjectRetention": lock}
        actions = ("s3:PutObject", *(action for action, wanted in more.items() if wanted))
        return Grant(actions, self._objects(*keys), "The objects of every case and day, in folders of their own.")

    def _puts_events(self) -> Grant:
        return Grant(("events:PutEvents",), (self._bus.event_bus_arn,))

    def _objects(self, *keys: str) -> list[str]:
        return [self._bucket.arn_for_objects(key) for key in keys]


def _opens(connection: Connection) -> bool:
    return adapter(connection.vendor).opens_case


def _assesses(connection: Connection) -> bool:
    return len(adapter(connection.vendor).phases) > 1


def _lists(connection: Connection) -> bool:
    return adapter(connection.vendor).lists


def _gets_strangers(connection: Connection) -> bool:
    """Return whether deliveries may be about cases that Dossier did not submit, which `wake` looks up in the list."""
    return _has_webhook(connection) and _lists(connection) and adapter(connection.vendor).phases[0] == "results"


def _has_webhook(connection: Connection) -> bool:
    return connection.webhook is not None


def _read(secret_arns: Iterable[str]) -> Grant:
    return Grant(("secretsmanager:GetSecretValue",), list(secret_arns))


def _send(queue_arns: Sequence[str]) -> Grant:
    return Grant(("sqs:SendMessage",), queue_arns)


def _consume(queue_arns: Sequence[str]) -> Grant:
    """Grant what Lambda's poller needs (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""
    actions = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    return Grant([f"sqs:{action}" for action in actions], queue_arns)
