"""The effects of deliveries, counted in S3, the queues, the table, the bus and the vendors' journal."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from dossier.layout import DELIVERIES, DELIVERIES_REFUSED
from tests.chaos.deliveries import Target
from tests.chaos.deployment import Deployment

ONCE = ("document_uploaded", "case_created", "assessment_started", "workflow_triggered")
"""Effects that happen at a vendor once for each document or case."""
WRITTEN_ONCE = ("/result.json", "/manifest.json", "/artifacts/")

LOOKED = ("REFRESH", "COLLECTION", "NEW#")
"""The only attributes that a delivery about an ended case may change: a look that found nothing new."""


class Tally:
    """Counts on a deployment; AWS's clients are made once, and shared by threads."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._s3, self._sqs = deployment.client("s3"), deployment.client("sqs")
        self._dynamodb, self._logs = deployment.client("dynamodb"), deployment.client("logs")
        self._bucket, self._table = deployment.outputs["bucket"], deployment.outputs["table"]
        self._inbox = self._listen(deployment.client("events"), deployment.outputs["event_bus"])
        self._events: list[dict[str, Any]] = []

    def _listen(self, bus: Any, name: str) -> str:
        inbox = str(self._sqs.create_queue(QueueName="listener")["QueueUrl"])
        arn = self._sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = bus.put_rule(Name="listener", EventBusName=name, EventPattern=json.dumps({"source": ["dossier"]}))
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule["RuleArn"]}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=inbox, Attributes={"Policy": policy})
        bus.put_targets(Rule="listener", EventBusName=name, Targets=[{"Id": "inbox", "Arn": arn}])
        return inbox

    # The vendors' side

    def targets(self) -> dict[str, Target]:
        """Return the documents that the vendors received, by the case's reference, after which each file is named."""
        found = {}
        for effect in self._effects():
            if effect["effect"] == "document_uploaded":
                reference = effect["name"].removesuffix(".pdf")
                ids = {key: effect[key] for key in ("document_id", "job_id", "case_id") if key in effect}
                found[reference] = Target(reference.partition("-")[0], reference, **ids)
        return found

    def done_twice(self) -> list[str]:
        """Return the effects that happened at a vendor more than once."""
        done = Counter(
            (effect["effect"], effect.get("name") or effect["case_id"])
            for effect in self._effects()
            if effect["effect"] in ONCE
        )
        return [f"{count} times {what}" for what, count in done.items() if count > 1]

    def _effects(self) -> list[dict[str, Any]]:
        return [effect for entry in self._deployment.journal() for effect in entry["effects"]]

    # The table

    def items(self) -> list[dict[str, Any]]:
        """Return everything in the table."""
        plain = TypeDeserializer().deserialize
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._table)
        return [{name: plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    def notes(self) -> set[tuple[str, str]]:
        """Return the ids, by connection, that deliveries named and that belong to nobody."""
        names = (item["pk"].split("#", 2) for item in self.items() if item["pk"].startswith("ID#"))
        return {(connection, name) for _, connection, name in names if name.startswith("mark-")}

    def waits(self) -> dict[str, str]:
        """Return the phase of each case that waits, by reference."""
        return {item["reference"]: item["phase"] for item in self.items() if item["sk"] == "WAIT"}

    def statuses(self) -> dict[str, str]:
        """Return the state of each case, by reference."""
        return {item["pk"].split("#", 2)[2]: item["status"] for item in self.items() if item["sk"] == "CASE"}

    def states(self, targets: Sequence[Target]) -> list[dict[str, Any]]:
        """Return all stored data of each case: in the table (without the times of its last wake and read) and S3."""
        items, versions = self.items(), self.versions()
        return [
            {
                "table": [
                    {name: value for name, value in item.items() if name not in {"woken", "read_at"}}
                    for item in items
                    if item["pk"] == f"CASE#{target.connection}#{target.reference}"
                    and not item["sk"].startswith(LOOKED)
                ],
                "S3": [
                    each for each in versions if each[0].startswith(f"cases/{target.connection}/{target.reference}/")
                ],
            }
            for target in targets
        ]

    # S3

    def versions(self) -> list[tuple[str, str]]:
        """Return key and version of everything that was ever written about cases."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix="cases/")
        return [(each["Key"], each["VersionId"]) for page in pages for each in page.get("Versions", [])]

    def written_twice(self) -> list[str]:
        """Return the keys of results and artifacts that were written more than once."""
        written = Counter(key for key, _ in self.versions() if any(part in key for part in WRITTEN_ONCE))
        return [key for key, count in written.items() if count > 1]

    def evidence(self) -> Counter[tuple[str, str, str]]:
        """Count the stored deliveries, by (connection, verdict, SHA-256 of the body)."""
        list_ = self._s3.get_paginator("list_objects_v2").paginate
        pages = [
            page for prefix in (DELIVERIES, DELIVERIES_REFUSED) for page in list_(Bucket=self._bucket, Prefix=prefix)
        ]
        with ThreadPoolExecutor(8) as pool:
            return Counter(pool.map(self._kept, [each["Key"] for page in pages for each in page.get("Contents", [])]))

    def _kept(self, key: str) -> tuple[str, str, str]:
        kept = json.loads(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        digest = hashlib.sha256(base64.b64decode(kept["body_base64"])).hexdigest()
        return kept["connection"], kept["verdict"], digest

    # The queues, the bus and the logs

    def depth(self) -> dict[str, int]:
        """Return the messages of the queues: visible work, delayed deliveries, dead letters."""
        depth = {"now": 0, "later": 0, "dead": 0}
        for url in self._sqs.list_queues().get("QueueUrls", []):
            name = url.rpartition("/")[2]
            if not name.startswith("dossier-"):
                continue
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            held = {key: int(answer[f"ApproximateNumberOfMessages{key}"]) for key in ("", "NotVisible", "Delayed")}
            depth["dead" if name.endswith("-dlq") else "now"] += held[""] + held["NotVisible"]
            depth["later"] += held["Delayed"] if name.endswith("-wake") else 0
        return depth

    def drain(self, seconds: float) -> float:
        """Wait until every delivery has been applied; return how long that took."""
        began = time.monotonic()
        until(lambda: self.depth() == {"now": 0, "later": 0, "dead": 0}, seconds, lambda: f"queues: {self.depth()}")
        return time.monotonic() - began

    def events(self) -> Counter[tuple[str, str]]:
        """Count the events on the bus so far, by (kind, reference)."""
        while batch := self._sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                self._events.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
        return Counter((each["detail-type"], each["detail"]["reference"]) for each in self._events)

    def errors(self, *verbs: str) -> list[str]:
        """Return the errors in the functions' logs."""
        pages = self._logs.get_paginator("filter_log_events")
        lines = (
            event["message"]
            for verb in verbs
            for page in pages.paginate(logGroupName=f"/aws/lambda/dossier-dev-{verb}")
            for event in page["events"]
        )
        return [line for line in lines if "Traceback" in line or '"level":"ERROR"' in line or "[ERROR]" in line]


def until(look: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Look again and again until the condition holds; fail with the latest state."""
    give_up = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < give_up, what()
        time.sleep(0.2)
