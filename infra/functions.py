"""The functions: a table with the timeout and the grants of each verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.settings import Connection
from dossier.vendors import adapter
from infra.artifact_bucket import ArtifactBucket
from infra.case_table import CaseTable
from infra.connection_secrets import ConnectionSecrets
from infra.function import Function, Grant
from infra.grants import (
    ARTIFACTS,
    COLLECTING,
    DOCUMENTS,
    EVIDENCE,
    LISTS,
    OUTCOME,
    REFUSED,
    REFUSED_DELIVERIES,
    SEEN_DELIVERIES,
    UPLOADED,
    VENDOR_ANSWERS,
    WAITING,
    Grants,
)
from infra.inbox import DROP_TIMEOUT, Inbox
from infra.layers import Layers
from infra.settings import Settings
from infra.waiting_room import POLL_TIMEOUT, WaitingRoom
from infra.work_queue import WorkQueue

WAKE_TIMEOUT = cdk.Duration.seconds(120)

_AT_ONCE = cdk.Duration.seconds(20)
"""For the function that a vendor waits for."""
_BRIEF = cdk.Duration.seconds(60)
"""For functions that only read and write the table."""
_CALLS = cdk.Duration.seconds(180)
"""For functions that send a few requests to a vendor."""
_STREAMS = cdk.Duration.minutes(15)
"""For functions that move whole files: Lambda's maximum."""

CALL_VENDORS = ("open", "upload", "process", "collect", "download", "publish")
"""The state machine's steps that call vendors. Twice as many as the connections allow may run at once: the others get
no lease and end at once, so that one connection does not block another. The poll queues' mappings limit the polls."""


@dataclass(frozen=True, slots=True)
class Row:
    """A function of the table; ``Function`` describes the arguments."""

    timeout: cdk.Duration
    grants: Sequence[Grant]
    environment: Mapping[str, str] = field(default_factory=dict)
    loops: bool = False
    scheduled: bool = False
    reserved: int = 0


def rows(may: Grants, settings: Settings) -> dict[str, Row]:
    """Return the functions by verb."""
    polls = may.polls.queue_arns
    machine = {"DOSSIER_STATE_MACHINE_ARN": may.machine}  # for functions that start executions
    lock = {"DOSSIER_EVIDENCE_LOCK_DAYS": str(settings.evidence_lock_days)}
    records = {"DOSSIER_RECORDS_DAYS": str(settings.retention.records_days)}
    # For every step that calls its vendor: read the case, record progress, take turns.
    work = may.use_items("GetItem", "Query", "UpdateItem")
    # For a step that stores intents or holds a lease.
    make = may.use_items("PutItem", "DeleteItem")
    download = [
        may.read_secrets(),
        work,
        make,
        may.write(VENDOR_ANSWERS),
        may.write(ARTIFACTS, abort=True),
        may.write(COLLECTING, abort=True),
        may.read(ARTIFACTS),  # the current revision's, to compare an answer with
    ]
    # The raw answers that Publish deletes if a connection keeps none.
    passing = () if all(each.keep_raw for each in settings.connections.values()) else (VENDOR_ANSWERS, COLLECTING)
    return {
        # The state machine's steps.
        "accept": Row(
            _STREAMS,
            [
                *may.read_submissions(),
                may.write(DOCUMENTS),
                may.use_items("GetItem", "Query", "PutItem", "UpdateItem"),
            ],
        ),
        "open": Row(
            _CALLS,
            [
                may.read_secrets(_opens),
                work,
                make,
                may.query_index(),
            ],
        ),
        "upload": Row(
            _STREAMS,
            [
                may.read_secrets(),
                work,
                make,
                may.query_index(),
                may.read(DOCUMENTS),
                may.write(VENDOR_ANSWERS),
            ],
        ),
        "ask": Row(
            _BRIEF,
            [
                may.use_items("Query", "PutItem", "UpdateItem"),
                may.put_events(),
            ],
        ),
        "wait": Row(
            _BRIEF,
            [
                may.use_items("GetItem", "Query", "PutItem", "UpdateItem"),
                may.send(*polls),
            ],
        ),
        "process": Row(
            _CALLS,
            [
                may.read_secrets(_assesses),
                work,
            ],
        ),
        # Collect downloads a few artifacts itself.
        "collect": Row(_STREAMS, download),
        "download": Row(_STREAMS, download),
        "publish": Row(
            _STREAMS,
            [
                may.read_secrets(),
                work,
                make,
                *may.read_outcome(),
                may.read(DOCUMENTS, ARTIFACTS, COLLECTING, OUTCOME[0]),
                may.write(VENDOR_ANSWERS, ARTIFACTS, *OUTCOME),
                may.delete(ARTIFACTS, *passing),
                may.put_events(),
                may.start(),
            ],
            environment=machine,
        ),
        "fail": Row(
            _CALLS,
            [
                may.use_items("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"),
                *may.read_outcome(),
                may.write(*OUTCOME, REFUSED),
                may.put_events(),
                may.start(),
            ],
            environment=machine,
        ),
        # The end of a batch's run.
        "summarize": Row(
            _STREAMS,
            [
                may.use_items("BatchGetItem"),
                may.read(LISTS),
                may.write(LISTS),
            ],
        ),
        # The HTTP API for programs: what the commands of the same names do.
        "api": Row(
            _STREAMS,
            [
                *may.read_submissions(),
                may.write(UPLOADED),
                may.write(*OUTCOME),
                may.use_items("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"),
                may.query_index(),
                may.put_events(),
                may.start(),
                may.answer("SendTaskSuccess", "SendTaskFailure"),
                may.describe(stop=True),
            ],
            environment=machine,
        ),
        # Deliveries: evidence first, then the wake queue.
        "webhook": Row(
            _AT_ONCE,
            [
                may.read_secrets(_has_webhook),
                may.write(EVIDENCE, lock=settings.evidence_lock_days > 0),
                may.write(REFUSED_DELIVERIES, SEEN_DELIVERIES),
                may.read(SEEN_DELIVERIES),
                may.send(may.deliveries),
            ],
            environment=lock,
            reserved=settings.webhook_reserved_concurrency,
        ),
        "wake": Row(
            WAKE_TIMEOUT,
            [
                may.consume(may.deliveries),
                may.read(EVIDENCE),
                may.read_secrets(_gets_strangers),
                may.use_items("GetItem", "Query", "UpdateItem"),
                may.query_index(),
                may.send(*may.polls.arns_of(_has_webhook), may.deliveries),
                may.start(),
            ],
            environment=machine,
            loops=True,
        ),
        # Drops: the function reads their content as Accept does, because it names the execution.
        "drop": Row(
            DROP_TIMEOUT,
            [
                may.consume(may.drops),
                may.send(may.drops),
                *may.read_drops(),
                may.write(WAITING),
                may.delete(WAITING),
                may.use_items("GetItem", "Query", "UpdateItem"),
                may.start(),
                may.describe(),
            ],
            environment=machine,
            loops=True,
        ),
        # The waiting room.
        "poll": Row(
            POLL_TIMEOUT,
            [
                may.consume(*polls),
                may.read_secrets(),
                work,
                make,
                may.query_index(),
                may.send(*polls),
                may.answer("SendTaskSuccess", "SendTaskFailure"),
            ],
            loops=True,
        ),
        "sweep": Row(
            _BRIEF,
            [
                may.query_index(),
                may.use_items("UpdateItem"),
                may.send(*polls),
                may.count(*polls),
            ],
            scheduled=True,
        ),
        # The scheduled checks.
        "reconcile": Row(
            _CALLS,
            [
                may.use_items("GetItem", "PutItem", "Query", "UpdateItem", "DeleteItem"),
                may.query_index(),
                *may.read_outcome(),
                may.write(*OUTCOME),
                may.put_events(),
                may.answer("SendTaskFailure"),  # for waits of a removed connection
                may.start(),
                may.count(*polls, may.deliveries, may.drops),
                may.describe(),
            ],
            environment=machine | records,
            scheduled=True,
        ),
        "compare": Row(
            _CALLS,
            [
                may.read_secrets(_lists),
                may.use_items("GetItem", "Query", "UpdateItem"),
                may.query_index(),
                may.start(),
            ],
            environment=machine,
            scheduled=True,
        ),
    }


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
        bus: events.IEventBus,
        secrets: ConnectionSecrets,
        waiting_room: WaitingRoom,
        wake_queue: WorkQueue,
        inbox: Inbox,
    ) -> None:
        super().__init__(scope, id)
        environment = {
            "DOSSIER_STAGE": settings.stage,
            "DOSSIER_PREFIX": settings.prefix,
            "DOSSIER_TABLE": table.table.table_name,
            "DOSSIER_BUCKET": bucket.bucket.bucket_name,
            "DOSSIER_EVENT_BUS": bus.event_bus_name,
            "DOSSIER_WAKE_QUEUE_URL": wake_queue.queue.queue_url,
        }
        bounded = CALL_VENDORS if settings.reserve_concurrency else ()
        may = Grants(
            cdk.Stack.of(self),
            settings=settings,
            bucket=bucket,
            table=table,
            bus=bus,
            secrets=secrets,
            waiting_room=waiting_room,
            wake_queue=wake_queue,
            inbox=inbox,
        )
        self._by_verb = {
            verb: Function(
                self,
                verb.capitalize(),
                settings=settings,
                verb=verb,
                layers=layers.all,
                environment={**environment, **row.environment},
                grants=row.grants,
                timeout=row.timeout,
                loops=row.loops,
                scheduled=row.scheduled,
                reserved=row.reserved or (2 * settings.at_once if verb in bounded else 0),
            ).function
            for verb, row in rows(may, settings).items()
        }

    def __getitem__(self, verb: str) -> lambda_.Function:
        return self._by_verb[verb]


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
