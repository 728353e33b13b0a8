"""The functions, and what each may do: one paragraph for each verb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.models import INBOX, REFUSED_DROPS, WAITING_DROPS
from dossier.settings import Connection
from dossier.steps.sources import OWN, SHARED
from dossier.stores import objects
from dossier.stores.evidence import ACCEPTED, SEEN
from dossier.stores.evidence import REFUSED as REFUSED_EVIDENCE
from dossier.vendors import vendor
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
"""For what only reads and writes the table."""
_CALLS = cdk.Duration.seconds(180)
"""For what makes a few requests to a vendor."""
_STREAMS = cdk.Duration.minutes(15)
"""For what moves whole files: as long as Lambda lets it."""

CALL_VENDORS = ("open", "upload", "process", "collect", "download", "publish")
"""The state machine's steps that call vendors: as many at once as the connections allow are of use, and as many more
that find no slot and leave at once, so that those of one connection are not in another one's way. The poll queues'
mappings bound the polls."""

VENDOR_ANSWERS = "cases/*/*/vendor/*"
ARTIFACTS = "cases/*/*/artifacts/*"
DOCUMENTS = "cases/*/*/documents/*"
SUBMISSIONS = (f"{SHARED}*", *(f"{folder}/*" for folder in OWN))
EVIDENCE, REFUSED_DELIVERIES, SEEN_DELIVERIES = (f"{prefix}*" for prefix in (ACCEPTED, REFUSED_EVIDENCE, SEEN))
REFUSED, WAITING = f"{REFUSED_DROPS}*", f"{WAITING_DROPS}*"
COLLECTING = f"{objects.COLLECTING}*"
OUTCOME = ("cases/*/*/result.json", "cases/*/*/manifest.json")
"""Those of each revision, too: a star stands for slashes as well."""


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
        # What every step does that talks to its vendor: it reads its case, says how far it is, and takes turns.
        work = self._table("GetItem", "Query", "UpdateItem")
        # And one that makes something there, or holds a lease meanwhile.
        make = self._table("PutItem", "DeleteItem")

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
            # Into a bucket with versions this writes a marker.
            self._deletes(ARTIFACTS),
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

        # Deliveries: evidence first, then the wake queue.
        self._add(
            "webhook",
            cdk.Duration.seconds(20),
            _read(secrets.of(_is_told)),
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
            _read(secrets.of(_is_told_of_strangers)),
            self._table("GetItem", "Query", "UpdateItem"),
            self._queries_index(),
            _send([*waiting_room.arns_of(_is_told), deliveries]),
            start,
            environment=starts,
            loops=True,
        )

        # Drops: their content is read as Accept reads it, because it names the execution.
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

        # What holds between all of them.
        self._add(
            "reconcile",
            _CALLS,
            self._table("GetItem", "PutItem", "Query", "UpdateItem", "DeleteItem"),
            self._queries_index(),
            *self._reads_outcome(),
            self._writes(*OUTCOME),
            self._puts_events(),
            Grant(("states:SendTaskFailure",), (machine,)),  # waits of a connection that was removed
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
        """Documents lie in the artifact bucket's folders for them, and in the buckets that the settings name."""
        others = [self._arn_of_bucket(name) for name in self._settings.document_buckets]
        return (
            Grant(
                ("s3:GetObject", "s3:GetObjectVersion"),
                [*self._objects(*SUBMISSIONS), *(f"{arn}/*" for arn in others)],
                "Callers name the documents of a case by any key of the places meant for them.",
            ),
            Grant(("s3:ListBucket",), [self._bucket.bucket_arn, *others]),
            Grant(("kms:Decrypt",), self._settings.document_kms_keys),
        )

    def _reads_drops(self) -> tuple[Grant, ...]:
        """A drop names objects of its own folder alone, which is listed."""
        reason = "Files are dropped under any key below the inbox."
        return (
            Grant(("s3:GetObject", "s3:GetObjectVersion"), self._objects(f"{INBOX}*"), reason),
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
        """Result and manifest are made of the raw answers that were kept: which there are is listed."""
        return (self._reads(VENDOR_ANSWERS), Grant(("s3:ListBucket",), (self._bucket.bucket_arn,)))

    def _writes(self, *keys: str, abort: bool = False, lock: bool = False) -> Grant:
        tags = any(key.startswith("cases/") for key in keys)  # by which retention knows them
        more = {"s3:PutObjectTagging": tags, "s3:AbortMultipartUpload": abort, "s3:PutObjectRetention": lock}
        actions = ("s3:PutObject", *(action for action, wanted in more.items() if wanted))
        return Grant(actions, self._objects(*keys), "The objects of every case and day, in folders of their own.")

    def _puts_events(self) -> Grant:
        return Grant(("events:PutEvents",), (self._bus.event_bus_arn,))

    def _objects(self, *keys: str) -> list[str]:
        return [self._bucket.arn_for_objects(key) for key in keys]

    def _arn_of_bucket(self, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="s3", region="", account="", resource=name)


def _opens(connection: Connection) -> bool:
    return vendor(connection.vendor).opens_case


def _assesses(connection: Connection) -> bool:
    return len(vendor(connection.vendor).phases) > 1


def _lists(connection: Connection) -> bool:
    return vendor(connection.vendor).lists


def _is_told_of_strangers(connection: Connection) -> bool:
    """Whether deliveries may be about cases that nobody submitted, which the account's list is asked for."""
    return _is_told(connection) and _lists(connection) and vendor(connection.vendor).phases[0] == "results"


def _is_told(connection: Connection) -> bool:
    return connection.webhook is not None


def _read(secret_arns: Iterable[str]) -> Grant:
    return Grant(("secretsmanager:GetSecretValue",), list(secret_arns))


def _send(queue_arns: Sequence[str]) -> Grant:
    return Grant(("sqs:SendMessage",), queue_arns)


def _consume(queue_arns: Sequence[str]) -> Grant:
    """What Lambda does as the function (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""
    actions = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    return Grant([f"sqs:{action}" for action in actions], queue_arns)
