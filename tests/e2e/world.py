"""One deployment on its own local AWS, used like a user does: by command, HTTP and AWS's own clients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests import commands
from tests.e2e.otherservers import Account, Docsumo, Ombudsman, OtherVendors

ROOT = Path(__file__).parents[2]
COMMANDS_AT_ONCE = 2
WAITING_COMMANDS_AT_ONCE = 6
PATIENCE = 600.0
"""Seconds after which something hangs: how slow a machine is proves nothing."""
T = TypeVar("T")

CONNECTIONS = """
# Named, and laid out, as none of the repository's own.
[scans]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[intake]
vendor = "docsumo"
casetype_id = "casetype__other"
done = { stage_id = ["stage__filed"] }
artifacts = { query = "sum", include = ["R*.pdf", "*.png"] }
webhook = { scheme = "path-token" }
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[tidied]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
settling = 8
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[misdated]
vendor = "docsumo"
casetype_id = "casetype__other"
done = { stage_id = ["stage__filed"] }
webhook = { scheme = "path-token" }
settling = 8
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[quarrels]
vendor = "ombudsman"
tenant = "other_tenant"
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[grievances]
vendor = "ombudsman"
tenant = "other_tenant"
case_type_id = "7d1b5f8e-0000-4000-8000-000000000001"
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[called]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
poll = { first = 300, every = 300, max = 600, deadline = 3600 }

[stamped]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
webhook = { scheme = "timestamped-hmac", header = "X-Stamp", tolerance = 120 }
poll = { first = 300, every = 300, max = 600, deadline = 3600 }

[rung]
vendor = "docsumo"
casetype_id = "casetype__other"
done = { stage_id = ["stage__filed"] }
webhook = { scheme = "shared-secret", header = "X-Other-Token" }
poll = { first = 300, every = 300, max = 600, deadline = 3600 }

[turnstile]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[carousel]
vendor = "docsumo"
casetype_id = "casetype__other"
done = { stage_id = ["stage__filed"] }
webhook = { scheme = "shared-secret", header = "X-Other-Token" }
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[windmill]
vendor = "ombudsman"
tenant = "other_tenant"
poll = { first = 1, every = 2, max = 4, deadline = 600 }

[busy]
vendor = "docustack"
mode = "test"
schema_id = "sch_other"
organization_id = "org_other"
limits = { requests_per_second = 50, concurrency = 2 }
poll = { first = 1, every = 1, max = 2, deadline = 600 }

[astray]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"
poll = { first = 1, every = 1, max = 2, deadline = 600 }

[aside]
vendor = "docsumo"
casetype_id = "casetype__other"
done = { stage_id = ["stage__filed"] }
webhook = { scheme = "path-token" }
poll = { first = 1, every = 1, max = 2, deadline = 600 }

[afield]
vendor = "ombudsman"
tenant = "other_tenant"
poll = { first = 1, every = 1, max = 2, deadline = 600 }

[locked]
vendor = "docustack"
schema_id = "sch_other"
organization_id = "org_other"

[keyless]
vendor = "ombudsman"
tenant = "other_tenant"

[hasty]
vendor = "ombudsman"
tenant = "other_tenant"
poll = { first = 1, every = 1, max = 1, deadline = 3 }
"""

ACCOUNTS = (
    Account("scans", "docustack", "/x/ds", "ds_live_scans"),
    Account("intake", "docsumo", "/x/deep/er/sumo", "key+of/intake="),
    Account("tidied", "docustack", "/x/tidied", "ds_live_tidied", zone=19_800.0),
    Account("misdated", "docsumo", "/x/misdated", "key-of-misdated", off=-180.0),
    Account("quarrels", "ombudsman", "/x/om", "key of quarrels".replace(" ", "-")),
    Account("grievances", "ombudsman", "/x/om2/v0", "key-of-grievances", lists_evidence=True, off=25_200.0),
    Account("called", "docustack", "/x/called", "ds_live_called"),
    Account("stamped", "docustack", "/x/stamped", "ds_live_stamped"),
    Account("rung", "docsumo", "/x/rung", "key-of-rung"),
    Account("turnstile", "docustack", "/x/turnstile", "ds_live_turnstile"),
    Account("carousel", "docsumo", "/x/carousel", "key-of-carousel"),
    Account("windmill", "ombudsman", "/x/windmill", "key-of-windmill"),
    Account("busy", "docustack", "/x/busy", "ds_test_busy"),
    Account("astray", "docustack", "/x/astray", "ds_live_astray"),
    Account("aside", "docsumo", "/x/aside", "key-of-aside"),
    Account("afield", "ombudsman", "/x/afield", "key-of-afield"),
    Account("locked", "docustack", "/x/locked", "ds_live_right"),
    Account("keyless", "ombudsman", "/x/keyless", "key-of-nobody"),
    Account("hasty", "ombudsman", "/x/hasty", "key-of-hasty"),
)
WEBHOOK_SECRETS = {
    "scans": "planted-secret-of-scans",
    "called": "planted-secret-of-cälled",
    "rung": "planted-secret-of-rung",
    "stamped": "planted-secret-of-stamped",
    "intake": "planted-secret-of-intake",
    "turnstile": "planted-secret-of-turnstile",
    "carousel": "planted-secret-of-carousel",
}
CONTENT = "planted-content-5d20c7"
"""A text in every document."""
KEYLESS, WRONG = "keyless", {"locked": "ds_live_wrong"}


@dataclass(frozen=True, slots=True)
class Output:
    """A command's output: its exit code, the JSON document on stdout, and stderr."""

    code: int
    document: Any
    stderr: str


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer over HTTP; ``sent`` and ``answered`` are monotonic seconds."""

    status: int
    body: bytes
    headers: dict[str, str]
    sent: float
    answered: float


@dataclass
class World:
    """The deployment, and the vendors that it talks to."""

    folder: Path
    vendors: OtherVendors = field(default_factory=lambda: OtherVendors(*ACCOUNTS))
    outputs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Pick ports and its own home."""
        self.home = self.folder / "home"
        self._commands = threading.BoundedSemaphore(COMMANDS_AT_ONCE)
        self._waiting_commands = threading.BoundedSemaphore(WAITING_COMMANDS_AT_ONCE)
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self.printed: list[str] = []
        self.tokens: set[str] = set()
        self._events: list[dict[str, Any]] = []
        self._events_lock = threading.Lock()
        kept = ("PATH", "HOME", "LANG", "TZ", "DOSSIER_LOCAL_WORKERS")
        self._environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "DOSSIER_HOME": str(self.home),
            "DOSSIER_LOCAL_SAVE_SECONDS": "3600",  # what is here is lost anyway
            "DOSSIER_LOCAL_PORT": str(_free_port()),
            "DOSSIER_SANDBOX_PORT": str(_free_port()),
        }

    # Up and down

    def up(self) -> None:
        """Start the local AWS, deploy, set the secrets, and listen to the bus."""
        file = self.folder / "connections.toml"
        file.write_text(self._connections(), encoding="utf-8")
        self.outputs = self.dossier("up", "--connections", str(file)).document
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._set_secret, [each for each in ACCOUNTS if each.name != KEYLESS]))
        self._listen()

    def down(self) -> None:
        """Stop everything; whatever is left of it is an error."""
        try:
            assert self.left_over() or not Path("/proc/self").exists(), "what is to be stopped is not even seen"
            self.dossier("down")
            until(lambda: not self.left_over(), what="processes are left over")
        finally:
            self.vendors.close()

    def keep_logs(self) -> None:
        """Write the functions' logs beside the log of the local AWS, in the test's folder, to explain a failure."""
        pages = self.client("logs").get_paginator("filter_log_events")
        for group in self.client("logs").describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            lines = [each["message"] for page in pages.paginate(logGroupName=name) for each in page["events"]]
            log = self.home / "logs" / f"{name.rpartition('/')[2]}.log"
            log.write_text("\n".join(lines), encoding="utf-8")

    def left_over(self) -> list[str]:
        """Return the command lines of processes that belong to this home."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                process = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.home).encode() in process and int(entry.name) != os.getpid():
                found.append(process[:200].replace(b"\0", b" ").decode(errors="replace"))
        return found

    def _connections(self) -> str:
        lines = []
        for line in CONNECTIONS.splitlines():
            lines.append(line)
            if line.startswith("["):
                name = line.strip("[]")
                lines += [f'base_url = "{self.vendors.url(name)}/"', "allow_insecure = true"]
                if self.vendors.accounts[name].vendor == "docsumo":
                    lines.append(f'storage_hosts = ["{self.vendors.storage_host}"]')
        return "\n".join(lines)

    def _set_secret(self, account: Account) -> None:
        key = WRONG.get(account.name, account.key)
        hooks = [part for word in self.secrets(account.name) for part in ("--webhook-secret", word)]
        self.dossier("secrets", "set", account.name, "--api-key", key, *hooks)

    @staticmethod
    def secrets(connection: str) -> list[str]:
        """Return a connection's webhook secrets: the current one, and the one before it."""
        secret = WEBHOOK_SECRETS.get(connection)
        return [secret, f"old-{secret}"] if secret else []

    # The command

    def dossier(self, *arguments: str, code: int | None = 0) -> Output:
        """Run a command with ``--json`` and check its exit code (None: any)."""
        with self._waiting_commands if "--wait" in arguments else self._commands:
            done = commands.run([*arguments, "--json"], environment=self._environment, folder=self.folder)
        self.printed += [done.stdout, done.stderr]
        output = Output(done.code, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr)
        command = f"dossier {' '.join(arguments)}"
        assert code in {None, output.code}, f"{command}: exit {output.code}\n{done.stdout}{done.stderr}"
        return output

    def submit(self, connection: str, reference: str, *files: Path, rest: Sequence[str] = ()) -> dict[str, Any]:
        """Submit a case, which is accepted; return the command's output."""
        names = ("--reference", reference, *rest)
        return dict(self.dossier("submit", connection, *map(str, files), *names).document)

    def status(self, connection: str, reference: str) -> dict[str, Any]:
        """Return the document of ``dossier status``."""
        return dict(self.dossier("status", connection, reference).document)

    def complete(self, connection: str, reference: str, *files: Path, rest: Sequence[str] = ()) -> dict[str, Any]:
        """Submit a case and wait for its execution to succeed; return its ``result.json``."""
        submitted = self.submit(connection, reference, *files, rest=rest)
        ended = self.ended(submitted["execution_arn"])
        assert ended["status"] == "SUCCEEDED", ended
        return self.result(connection, reference)

    # Files

    def name(self, what: str) -> str:
        """Return a reference that nothing has yet."""
        return f"{what}.{next(self._numbers):03d}"

    def file(self, name: str, *, size: int = 3000, folder: str = "") -> Path:
        """Write a document of the kind that its ending names, with bytes that no other document has."""
        head = {"pdf": b"%PDF-1.7\n", "png": b"\x89PNG\r\n\x1a\n", "tiff": b"II*\x00", "docx": b"PK\x03\x04"}
        path = self.folder / "files" / (folder or f"{next(self._numbers):04d}") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        unlucky = b"\r\n--boundary--\r\nContent-Disposition: form-data; name=x\r\n\r\n"
        path.write_bytes(head.get(name.rpartition(".")[2], b"text ") + CONTENT.encode() + unlucky + os.urandom(size))
        return path

    # AWS

    def client(self, service: str) -> Any:
        """Return a client of the deployment's AWS, which all threads share."""
        with self._lock:
            if service not in self._clients:
                version = "s3v4" if service == "s3" else None
                config = Config(retries={"total_max_attempts": 3}, max_pool_connections=50, signature_version=version)
                make: Any = boto3.client
                where = {"endpoint_url": self.outputs["endpoint_url"], "region_name": self.outputs["region"]}
                keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
                self._clients[service] = make(service, config=config, **where, **keys)
            return self._clients[service]

    def start(self, data: Any, name: str) -> str:
        """Start an execution as the console does; return its ARN."""
        arn = self.outputs["state_machine_arn"]
        text = json.dumps(data)
        return str(
            self.client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=text)["executionArn"]
        )

    def ended(self, arn: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until an execution has ended; return its description."""

        def look() -> dict[str, Any] | None:
            found = self.client("stepfunctions").describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return until(look, seconds, f"{arn} still runs")

    def executions(self, word: str) -> list[str]:
        """Return the ARNs of the executions with a word in their name."""
        pages = self.client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=self.outputs["state_machine_arn"])
        return [each["executionArn"] for page in found for each in page["executions"] if word in each["name"]]

    def states(self, arn: str) -> list[str]:
        """Return the names of the states that an execution entered: what is paid for."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return [each["stateEnteredEventDetails"]["name"] for each in events if each["type"].endswith("StateEntered")]

    def put(self, key: str, body: bytes) -> str:
        """Put an object into the artifact bucket; return its URI."""
        self.client("s3").put_object(Bucket=self.outputs["bucket"], Key=key, Body=body)
        return f"s3://{self.outputs['bucket']}/{key}"

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.client("s3").get_object(Bucket=self.outputs["bucket"], Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix."""
        pages = (
            self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.outputs["bucket"], Prefix=prefix)
        )
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def result(self, connection: str, reference: str) -> dict[str, Any]:
        """Return a case's ``result.json``."""
        return dict(json.loads(self.read(f"cases/{connection}/{reference}/result.json")))

    def items(self, pk: str) -> dict[str, Any]:
        """Return the table's items of a partition by sort key; task tokens that are seen on the way are remembered."""
        found = self.client("dynamodb").query(
            TableName=self.outputs["table"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )
        self.tokens |= {item["token"]["S"] for item in found["Items"] if "token" in item}
        return {item["sk"]["S"]: item for item in found["Items"]}

    def keys_of_items(self) -> list[tuple[str, str]]:
        """Return the keys of all items of the table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["table"])
        return [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]

    def waits(self, connection: str, reference: str) -> bool:
        """Whether a case is in the waiting room."""
        return "WAIT" in self.items(f"CASE#{connection}#{reference}")

    def messages(self, queue: str) -> dict[str, int]:
        """Return how many messages a queue has: ready, being worked on, delayed."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = {"ready": "", "worked_on": "NotVisible", "delayed": "Delayed"}
        return {name: int(found.get(f"ApproximateNumberOfMessages{suffix}", 0)) for name, suffix in names.items()}

    # Events

    def _listen(self) -> None:
        sqs, bus = self.client("sqs"), self.client("events")
        self._inbox = sqs.create_queue(QueueName="listener")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": ["dossier"]})
        rule = bus.put_rule(Name="listener", EventBusName=self.outputs["event_bus"], EventPattern=pattern)["RuleArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=self._inbox, Attributes={"Policy": policy})
        bus.put_targets(Rule="listener", EventBusName=self.outputs["event_bus"], Targets=[{"Id": "inbox", "Arn": arn}])

    def events(self, reference: str) -> list[dict[str, Any]]:
        """Return the events on the bus about a reference, as its subscribers got them so far."""
        return [each for each in self.all_events() if each["detail"]["reference"] == reference]

    def all_events(self) -> list[dict[str, Any]]:
        """Return every event on the bus, as its subscribers got them so far."""
        with self._events_lock:
            sqs = self.client("sqs")
            while batch := sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages"):
                for message in batch:
                    self._events.append(json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
            return list(self._events)

    # Webhooks

    def deliver(self, connection: str, body: bytes, headers: Mapping[str, str | bytes], *, token: str = "") -> Heard:
        """Send a delivery to a connection's webhook URL, as it is."""
        known = self.outputs["webhook_urls"]
        url = urlsplit(known.get(connection) or f"{self.outputs['api_url']}/webhooks/{connection}")
        link = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        link.putrequest("POST", url.path + (f"/{token}" if token else ""))
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            link.putheader(name, value)
        sent = time.monotonic()
        link.endheaders(body)
        answer = link.getresponse()
        content = answer.read()
        link.close()
        received = {name.lower(): value for name, value in answer.getheaders()}
        return Heard(answer.status, content, received, sent, time.monotonic())

    def signed(self, connection: str, body: bytes) -> dict[str, str]:
        """Return the header by which DocuStack signs a body (its guide, "Verify the signature")."""
        digest = hmac.new(self.secrets(connection)[0].encode(), body, hashlib.sha256)
        return {"X-DocuStack-Signature": digest.hexdigest()}

    def stamped(self, body: bytes, *, ago: float = 0.0, secret: str = "") -> dict[str, str]:
        """Return the header by which a vendor signs a body together with the time (Stripe's form)."""
        at = int(time.time() - ago)
        key = secret or self.secrets("stamped")[0]
        digest = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256)
        return {"X-Stamp": f"t={at},v1={digest.hexdigest()}"}

    def evidence(self, connection: str, word: str) -> list[dict[str, Any]]:
        """Return the stored deliveries of a connection whose bytes contain a word."""
        folders = (f"webhooks/{connection}/", f"webhooks-refused/{connection}/")
        kept = [json.loads(self.read(key)) for folder in folders for key in self.keys(folder)]
        for each in kept:
            each["body"] = base64.b64decode(each["body_base64"])
        return [each for each in kept if word.encode() in each["body"]]

    # Other people at the vendors

    def docsumo(self, connection: str) -> Docsumo:
        """Return the vendor behind a Docsumo connection."""
        desk = self.vendors.desks[connection]
        assert isinstance(desk, Docsumo)
        return desk

    def ombudsman(self, connection: str) -> Ombudsman:
        """Return the vendor behind an Ombudsman connection."""
        desk = self.vendors.desks[connection]
        assert isinstance(desk, Ombudsman)
        return desk


def until(look: Callable[[], T | None], seconds: float = PATIENCE, what: str = "it did not come to be") -> T:
    """Look again and again, at last every second, until there is a result; return it."""
    deadline, pause = time.monotonic() + seconds, 0.1
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"{what} after {seconds:g} s"
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


def sha256(body: bytes) -> str:
    """Return the digest of bytes, in hex."""
    return hashlib.sha256(body).hexdigest()


def sums(paths: Iterable[Path]) -> list[str]:
    """Return the digests of files, in order."""
    return [sha256(path.read_bytes()) for path in paths]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
