"""The grants of functions' roles: each method returns one statement, or the few that belong together."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_events as events

from dossier import layout
from dossier.models import CaseId
from dossier.settings import Connection
from dossier.steps.sources import OWN
from infra.artifact_bucket import ArtifactBucket
from infra.case_machine import execution_arns, state_machine_arn
from infra.case_table import CaseTable
from infra.connection_secrets import ConnectionSecrets
from infra.function import Grant
from infra.inbox import Inbox
from infra.settings import Settings
from infra.waiting_room import WaitingRoom
from infra.work_queue import WorkQueue

_ANY = CaseId("*", "*")
VENDOR_ANSWERS = layout.vendor_folder(_ANY) + "*"
ARTIFACTS = layout.artifact_key(_ANY, "*")
DOCUMENTS = layout.document_key(_ANY, "*")
SUBMISSIONS = (f"{layout.UPLOADS}*", *(f"{folder}/*" for folder in OWN))
UPLOADED = f"{layout.STAGING}*"
"""Files that callers of the API upload to presigned URLs."""
EVIDENCE = f"{layout.DELIVERIES}*"
REFUSED_DELIVERIES, SEEN_DELIVERIES = f"{layout.DELIVERIES_REFUSED}*", f"{layout.DELIVERIES_SEEN}*"
REFUSED, WAITING = f"{layout.INBOX_REFUSED}*", f"{layout.INBOX_WAITING}*"
COLLECTING = f"{layout.COLLECTING}*"
LISTS = f"{layout.BATCHES}*"
OUTCOME = (layout.result_key(_ANY), layout.manifest_key(_ANY))
"""With those of each revision: a star matches slashes too."""

_OWN_FOLDERS = "The objects of every case and day, in folders of their own."


class Grants:
    """The statements that a function's role may have, over the resources of one stage."""

    def __init__(
        self,
        stack: cdk.Stack,
        *,
        settings: Settings,
        bucket: ArtifactBucket,
        table: CaseTable,
        bus: events.IEventBus,
        secrets: ConnectionSecrets,
        waiting_room: WaitingRoom,
        wake_queue: WorkQueue,
        inbox: Inbox,
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._bucket = bucket.bucket
        self._table_arn, self._index_arn = table.table.table_arn, table.index_arn
        self._bus = bus
        self._secrets = secrets
        self.polls = waiting_room
        self.deliveries, self.drops = wake_queue.queue.queue_arn, inbox.queue.queue.queue_arn
        """The ARNs of the queues of deliveries and of drops."""
        self.machine = state_machine_arn(stack, settings)

    # The table.

    def use_items(self, *actions: str) -> Grant:
        """Grant calls of the table."""
        return Grant([f"dynamodb:{action}" for action in actions], (self._table_arn,))

    def query_index(self) -> Grant:
        """Grant queries of the table's index."""
        return Grant(("dynamodb:Query",), (self._index_arn,))

    # The bucket.

    def read(self, *keys: str) -> Grant:
        """Grant reads of objects."""
        return Grant(("s3:GetObject",), self._objects(*keys), _OWN_FOLDERS)

    def write(self, *keys: str, abort: bool = False, lock: bool = False) -> Grant:
        """Grant writes of objects; with ``abort`` the end of unfinished uploads, with ``lock`` a retention."""
        tags = any(key.startswith(layout.CASES) for key in keys)  # retention selects objects by tag
        more = {"s3:PutObjectTagging": tags, "s3:AbortMultipartUpload": abort, "s3:PutObjectRetention": lock}
        actions = ("s3:PutObject", *(action for action, wanted in more.items() if wanted))
        return Grant(actions, self._objects(*keys), _OWN_FOLDERS)

    def delete(self, *keys: str) -> Grant:
        """Grant deletions of objects; in a versioned bucket they write a delete marker."""
        return Grant(("s3:DeleteObject",), self._objects(*keys), _OWN_FOLDERS)

    def read_outcome(self) -> tuple[Grant, Grant]:
        """Grant reads of the stored raw answers, which make up result and manifest; the function lists them."""
        return self.read(VENDOR_ANSWERS), Grant(("s3:ListBucket",), (self._bucket.bucket_arn,))

    def read_submissions(self) -> tuple[Grant, Grant, Grant]:
        """Grant reads of submitted documents in the artifact bucket and the buckets that the settings name."""
        others = [
            self._stack.format_arn(service="s3", region="", account="", resource=name)
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

    def read_drops(self) -> tuple[Grant, Grant]:
        """Grant reads of the inbox: a drop names only objects of its own folder, which the function lists."""
        reason = "Files are dropped under any key below the inbox."
        return (
            Grant(("s3:GetObject", "s3:GetObjectVersion"), self._objects(f"{layout.INBOX}*"), reason),
            Grant(("s3:ListBucket",), (self._bucket.bucket_arn,)),
        )

    # Secrets, queues, executions, events.

    def read_secrets(self, of: Callable[[Connection], bool] | None = None) -> Grant:
        """Grant reads of the secrets of every connection, or of those that ``of`` selects."""
        arns = self._secrets.arns.values() if of is None else self._secrets.of(of)
        return Grant(("secretsmanager:GetSecretValue",), list(arns))

    def send(self, *queue_arns: str) -> Grant:
        """Grant sending to queues."""
        return Grant(("sqs:SendMessage",), queue_arns)

    def consume(self, *queue_arns: str) -> Grant:
        """Grant what Lambda's poller needs.

        See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
        """
        actions = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        return Grant([f"sqs:{action}" for action in actions], queue_arns)

    def count(self, *queue_arns: str) -> Grant:
        """Grant reading how many messages queues have."""
        return Grant(("sqs:GetQueueAttributes",), queue_arns)

    def start(self) -> Grant:
        """Grant starting executions of the state machine."""
        return Grant(("states:StartExecution",), (self.machine,))

    def describe(self, *, stop: bool = False) -> Grant:
        """Grant reading the state of executions, and with ``stop`` ending them."""
        return Grant(
            ("states:DescribeExecution", *(["states:StopExecution"] if stop else [])),
            (execution_arns(self._stack, self._settings),),
            "The executions of this one state machine; their names are the cases'.",
        )

    def answer(self, *actions: str) -> Grant:
        """Grant answers to the task tokens of the state machine."""
        return Grant([f"states:{action}" for action in actions], (self.machine,))

    def put_events(self) -> Grant:
        """Grant putting events on the bus."""
        return Grant(("events:PutEvents",), (self._bus.event_bus_arn,))

    def _objects(self, *keys: str) -> list[str]:
        return [self._bucket.arn_for_objects(key) for key in keys]
