"""The walks of docs/deploy.md: a connection is removed, renamed, split; a stage is removed and attached again.

Each is walked with the commands that the page names, on a stage in an account, which is the local AWS: the CDK's own
command line with a settings file, and ``dossier`` with the keys of the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.deploy import Deployment as Cdk
from local.deploy import aws_environment
from local.sandbox import accounts
from tests import commands
from tests.chaos.deployment import ROOT, Deployment, deployed
from tests.e2e.world import until

pytestmark = pytest.mark.timeout(1500)

STACK = "dossier-dev"
DOCUSTACK = """
vendor = "docustack"
base_url = "SANDBOX/docustack"
allow_insecure = true
mode = "test"
schema_id = "sch_xyz789"
organization_id = "org_abc123"
limits = { requests_per_second = 5 }
poll = { first = 1, every = 1, max = 2, deadline = 900 }
"""
DOCSUMO = """
vendor = "docsumo"
base_url = "SANDBOX/docsumo"
allow_insecure = true
casetype_id = "casetype__d1t5b"
done = { status = [], stage_id = ["stage__approved"] }
webhook = { scheme = "shared-secret", header = "X-Webhook-Token" }
poll = { first = 1, every = 1, max = 2, deadline = 3600 }
"""
"""A case waits here until somebody moves it to that stage."""
ENDED = {"completed", "failed"}


@dataclass
class Stage:
    """A stage as somebody has it who deploys it: a folder with settings, keys of the account, and two command lines."""

    deployment: Deployment
    folder: Path
    connections: dict[str, str] = field(default_factory=lambda: {"invoices": DOCUSTACK, "claims": DOCSUMO})
    names: dict[str, str] = field(default_factory=dict)
    """``table_name`` and ``bucket_name``, once they are set."""

    # The settings

    def write(self) -> None:
        """Write ``dossier.toml`` and the connections file beside it."""
        sandbox = str(self.deployment.sandbox.base_url).rstrip("/")
        text = "\n".join(f"[{name}]{table}" for name, table in self.connections.items())
        (self.folder / "my-connections.toml").write_text(text.replace("SANDBOX", sandbox), encoding="utf-8")
        settings = {
            "stage": "dev",
            "connections": "my-connections.toml",
            "dependency_layer": str(ROOT / "build" / "layers" / "local"),  # `dossier up` made it
            **self.names,
        }
        lines = ["allow_insecure = true", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
        (self.folder / "dossier.toml").write_text("\n".join(lines), encoding="utf-8")

    # The command lines

    def cdk(self, verb: str, *options: str) -> None:
        """Run ``cdk deploy`` or ``cdk destroy`` with this folder's settings."""
        self.write()
        context = {"settings": str(self.folder / "dossier.toml")}
        cdk = Cdk(self.deployment.outputs["endpoint_url"], self.folder, context)
        words = [*options, "--output", str(self.folder / "cdk.out"), "-c", f"settings={context['settings']}"]
        cdk._cdk(verb, STACK, *words, folder=ROOT, doing=f"cdk {verb}")

    def deploy(self, *options: str) -> None:
        """Run ``cdk deploy``."""
        self.cdk("deploy", "--require-approval", "never", *options)

    def dossier(self, *words: str, code: int = 0) -> Any:
        """Run a command; return its JSON answer, or its stderr if it should fail."""
        known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = {
            **known,
            **aws_environment(self.deployment.outputs["endpoint_url"]),
            "DOSSIER_HOME": str(self.folder / "no-local-aws"),
            "DOSSIER_CONNECTIONS": str(self.folder / "my-connections.toml"),
            "COLUMNS": "200",
        }
        done = commands.run([*words, "--json"], environment=environment, folder=ROOT)
        assert done.code == code, f"dossier {' '.join(words)}: exit {done.code}\n{done.stdout}{done.stderr}"
        return done.stderr if code else json.loads(done.stdout)

    def client(self, service: str) -> Any:
        """Return a client of the account."""
        return self.deployment.client(service)

    # Cases

    def file(self, name: str) -> str:
        """Return a document of the user's; the same name has the same bytes each time."""
        path = self.folder / f"{name}.pdf"
        path.write_bytes(b"%PDF-1.7\n" + name.encode() * 100)
        return str(path)

    def submit(self, connection: str, reference: str, *options: str, code: int = 0) -> Any:
        """Submit a case: the same reference is the same document each time."""
        return self.dossier("submit", connection, self.file(reference), "--reference", reference, *options, code=code)

    def status(self, connection: str, reference: str) -> dict[str, Any]:
        """Return the state of a case."""
        return dict(self.dossier("status", reference, "--connection", connection))

    def becomes(self, status: str, connection: str, reference: str) -> dict[str, Any]:
        """Wait until a case has a status."""

        def look() -> dict[str, Any] | None:
            found = self.status(connection, reference)
            assert found["status"] in {status} or found["status"] not in ENDED, found
            return found if found["status"] == status else None

        return until(look, 300, f"{reference} at {connection} does not become {status}")

    def resumes(self, connection: str, reference: str) -> None:
        """Wait until a case that was redriven is no longer ended."""
        until(
            lambda: self.status(connection, reference)["status"] not in ENDED,
            300,
            f"{reference} at {connection} does not go on",
        )

    def approve(self, connection: str, reference: str) -> dict[str, Any]:
        """Move a case at Docsumo to the stage that ends it, as people do there; wait until it is collected."""
        case = self.becomes("waiting", connection, reference)
        moved = self.deployment.sandbox.post(
            f"/_sandbox/docsumo/cases/{case['case_id']}/stage", json={"stage_id": "stage__approved"}
        )
        assert moved.is_success, moved.text
        return self.becomes("completed", connection, reference)

    def uploads(self) -> list[str]:
        """Return the names of all documents that vendors have taken, one for each time."""
        effects = [effect for entry in self.deployment.journal() for effect in entry["effects"]]
        return sorted(str(each["name"]) for each in effects if each["effect"] == "document_uploaded")

    def fetched(self, connection: str, reference: str) -> str:
        """Fetch a case to a new folder; return the status in its result."""
        folder = self.folder / "fetched" / f"{connection}-{reference}-{len(self.uploads())}"
        self.dossier("fetch", reference, str(folder), "--connection", connection)
        return str(json.loads((folder / "result.json").read_text(encoding="utf-8"))["status"])

    # What is in the account

    def secret(self, connection: str) -> str:
        """Return the value of a connection's secret."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=f"dossier/{connection}")
        return str(answer["SecretString"])

    def resources(self) -> set[str]:
        """Return the names of the stack's resources."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        return {str(each["PhysicalResourceId"]) for each in found if not each["ResourceStatus"].startswith("DELETE_")}

    def webhook(self, connection: str) -> str:
        """Return a connection's webhook URL, as the local AWS serves it to any client."""
        outputs = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
        [api] = [each["OutputValue"] for each in outputs if each["OutputKey"] == "ApiId"]
        here = self.deployment.outputs["endpoint_url"]
        return f"{here}/_aws/execute-api/{api}/$default/webhooks/{connection}"

    def reconcile(self) -> None:
        """Run the check that a schedule runs every five minutes."""
        answer = self.client("lambda").invoke(FunctionName=f"{STACK}-reconcile", Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()

    def let_an_hour_pass(self, connection: str) -> None:
        """Move back the time at which the check has noted that a connection is missing."""
        table = self.client("dynamodb")
        table.update_item(
            TableName=self.dossier("outputs")["table"],
            Key={"pk": {"S": "CONNECTIONS"}, "sk": {"S": connection}},
            UpdateExpression="SET gone_since = :then",
            ConditionExpression="attribute_exists(gone_since)",
            ExpressionAttributeValues={":then": {"S": "2026-01-31T12:00:00.000Z"}},
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield the stage ``dev``, deployed with two connections whose keys are set."""
    folder = tmp_path_factory.mktemp("walks")
    with deployed(folder / "home", _both()) as deployment:
        deployment.sandbox.post("/_sandbox/settings", json={"seconds": 0}).raise_for_status()
        it = Stage(deployment, folder / "mine")
        it.folder.mkdir()
        it.write()
        yield it


def _both() -> str:
    return "\n".join(f"[{name}]{table}" for name, table in (("invoices", DOCUSTACK), ("claims", DOCSUMO)))


@contextmanager
def nothing_uploaded(stage: Stage) -> Iterator[None]:
    """Check that no vendor takes a document meanwhile."""
    before = stage.uploads()
    yield
    assert stage.uploads() == before


def test_remove_a_connection_and_bring_it_back(stage: Stage) -> None:
    """Its secret, its cases and the table stay; cases end with a reason, and continue once the connection is back."""
    stage.submit("claims", "KEPT")
    stage.approve("claims", "KEPT")
    for reference in ("WAITS", "STOPPED"):
        stage.submit("claims", reference)
        stage.becomes("waiting", "claims", reference)
    secret, table = stage.secret("claims"), stage.dossier("outputs")["table"]
    settings = stage.connections.pop("claims")
    stage.deploy()

    # What stays
    assert stage.secret("claims") == secret
    assert not [each for each in stage.resources() if "dossier/claims" in each or each.endswith("poll-claims")]
    assert stage.dossier("outputs")["table"] == table
    shown = {each["reference"]: each["status"] for each in stage.dossier("list", "--connection", "claims")}
    assert shown == {"KEPT": "completed", "WAITS": "waiting", "STOPPED": "waiting"}
    assert stage.fetched("claims", "KEPT") == "completed"

    # What is refused
    assert 'unknown connection "claims"' in stage.submit("claims", "NEW", code=2)
    assert httpx.post(stage.webhook("claims"), content=b"{}", headers={"content-type": "text/json"}).status_code == 401

    # A case ends, by hand or after an hour, and is not sent back into nothing
    arn = stage.status("claims", "STOPPED")["execution_arn"]
    stage.client("stepfunctions").stop_execution(executionArn=arn)
    stage.becomes("failed", "claims", "STOPPED")
    stage.reconcile()
    stage.let_an_hour_pass("claims")
    stage.reconcile()
    reason = stage.becomes("failed", "claims", "WAITS")["reason"]
    assert 'connection "claims" is no longer in the settings (since 2026-01-31' in reason
    assert "deploy it again, then run `dossier redrive`" in reason
    assert "deploy its settings again first" in stage.dossier("redrive", "--yes", code=1)

    # It comes back, with the secret that it had
    stage.connections["claims"] = settings
    stage.deploy()
    assert stage.secret("claims") == secret
    with nothing_uploaded(stage):
        sent = stage.dossier("redrive", "--connection", "claims", "--yes")["sent"]
        assert {each["reference"] for each in sent} == {"WAITS", "STOPPED"}
        for reference in ("WAITS", "STOPPED"):
            stage.resumes("claims", reference)
            stage.approve("claims", reference)
        assert stage.submit("claims", "KEPT", "--wait")["status"] == "completed"


def test_rename_a_connection(stage: Stage) -> None:
    """The new one beside the old one, then alone; finished cases stay, and no reference is sent and billed again."""
    stage.submit("invoices", "PAID", "--wait")
    stage.connections["bills"] = DOCUSTACK + 'formerly = ["invoices"]\n'
    stage.deploy()
    known = accounts.load().docustack
    stage.dossier("secrets", "set", "bills", "--api-key", known.api_key, "--webhook-secret", known.webhook_secret)
    hook = {"vendor": "docustack", "url": stage.webhook("bills")}
    stage.deployment.sandbox.post("/_sandbox/webhooks", json=hook).raise_for_status()
    assert stage.submit("bills", "OWED", "--wait")["status"] == "completed"
    until(lambda: stage.dossier("deliveries", "--connection", "bills", "--verdict", "accepted"), 60, "no delivery came")
    with nothing_uploaded(stage):
        assert stage.submit("invoices", "PAID", "--wait")["status"] == "completed"
        assert "reference PAID was submitted to connection invoices before" in stage.submit("bills", "PAID", code=1)

    unended = ("--status", "waiting,processing,uploading,downloading,needs_attention")
    assert stage.dossier("list", "--connection", "invoices", *unended) == []
    secret = stage.secret("invoices")
    del stage.connections["invoices"]
    stage.deploy()
    assert stage.secret("invoices") == secret
    assert stage.fetched("invoices", "PAID") == "completed"
    with nothing_uploaded(stage):
        assert "reference PAID was submitted to connection invoices before" in stage.submit("bills", "PAID", code=1)
        assert stage.submit("bills", "OWED", "--wait")["status"] == "completed"
    assert stage.submit("bills", "DUE", "--wait")["status"] == "completed"


def test_split_a_connection(stage: Stage) -> None:
    """Both continue side by side with their own references, but those from before the split."""
    account = 'account = "our-docustack"\n'
    stage.connections["bills"] = DOCUSTACK + account + 'formerly = ["invoices"]\n'
    stage.connections["credits"] = DOCUSTACK + account + 'formerly = ["bills", "invoices"]\n'
    stage.deploy()
    known = accounts.load().docustack
    for name in ("bills", "credits"):
        stage.dossier("secrets", "set", name, "--api-key", known.api_key, "--webhook-secret", known.webhook_secret)
    stage.submit("bills", "WHOLE", "--wait")
    with nothing_uploaded(stage):
        assert "reference WHOLE was submitted to connection bills before" in stage.submit("credits", "WHOLE", code=1)
        assert stage.submit("bills", "WHOLE", "--wait")["status"] == "completed"
    assert stage.submit("credits", "BACK", "--wait")["status"] == "completed"
    assert stage.submit("bills", "ON", "--wait")["status"] == "completed"
    assert stage.fetched("bills", "WHOLE") == "completed"


def test_remove_a_stage_and_attach_what_it_left(stage: Stage) -> None:
    """Table, bucket and secrets outlive the stack; a new one imports them, and knows earlier submissions."""
    stage.submit("claims", "STANDING")
    stage.approve("claims", "STANDING")
    stage.submit("claims", "LEFT")
    stage.becomes("waiting", "claims", "LEFT")
    before, secret = stage.dossier("outputs"), stage.secret("claims")

    stage.dossier("drain")
    assert "this deployment has been draining since" in stage.submit("claims", "LATE", code=1)
    assert stage.dossier("drain", "--park", "--wait", "--timeout", "300")["executions"] == 0
    assert stage.status("claims", "LEFT")["error"] == "ParkedError"
    stage.cdk("destroy", "--force")
    assert "is not deployed" in stage.dossier("outputs", code=1)
    assert stage.client("dynamodb").describe_table(TableName=before["table"])["Table"]["ItemCount"] > 0
    stage.client("s3").head_object(Bucket=before["bucket"], Key="cases/claims/STANDING/result.json")
    assert stage.secret("claims") == secret

    stage.names = {"table_name": before["table"], "bucket_name": before["bucket"]}
    stage.deploy("--import-existing-resources")
    after = stage.dossier("outputs")
    assert (after["table"], after["bucket"]) == (before["table"], before["bucket"])
    assert {before["table"], before["bucket"]} <= stage.resources()
    assert stage.secret("claims") == secret
    stage.dossier("drain", "--stop")
    with nothing_uploaded(stage):
        assert stage.submit("claims", "STANDING", "--wait")["status"] == "completed"
        assert stage.dossier("redrive", "--cause", "parked", "--yes")["sent"]
        stage.resumes("claims", "LEFT")
        stage.approve("claims", "LEFT")
        assert stage.fetched("claims", "STANDING") == "completed"

    # The bucket reports drops to the new stack's queue, and a deployment changes nothing of what was attached
    stage.client("s3").put_object(Bucket=before["bucket"], Key="inbox/claims/DROPPED.pdf", Body=b"%PDF-1.7\ndropped")
    dropped: Callable[[], Any] = lambda: [  # noqa: E731
        each for each in stage.dossier("list", "--connection", "claims") if each["reference"] == "DROPPED.pdf"
    ]
    until(dropped, 120, "no case of the dropped file")
    stage.approve("claims", "DROPPED.pdf")
    stage.deploy()
    assert stage.dossier("outputs")["table"] == before["table"]
    assert stage.status("claims", "STANDING")["status"] == "completed"
