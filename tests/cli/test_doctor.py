"""``dossier doctor``."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cli.deliveries import PROBE_BODY
from cli.doctor import _secret
from cli.target import find
from dossier.layout import DELIVERIES_REFUSED
from dossier.models import CaseId, CaseStatus, iso, now
from dossier.settings import Webhook
from dossier.steps.context import SOON
from dossier.stores.evidence import EvidenceStore, id_of
from dossier.stores.limiter import TRIP
from dossier.stores.table import case_key
from infra.version import code_version
from tests.cli.conftest import Dossier
from tests.conftest import BUCKET
from tests.dynamodb import Http
from tests.machine import ROOT

KEY = "ds_test_1"


class Outside(BaseHTTPRequestHandler):
    """The vendor and the webhook API: the vendor accepts a key that it knows, the API rejects a delivery."""

    refusal = 401
    acceptance = 200
    status = 200
    store: EvidenceStore

    def do_GET(self) -> None:
        """List no documents."""
        known = self.headers["X-API-Key"] == KEY
        self._answer(type(self).status if known else 401, {"documents": []})

    def do_POST(self) -> None:
        """Reject a delivery, and store it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if body != PROBE_BODY and "x-docustack-signature" in headers:
            self._answer(type(self).acceptance, {})
            return
        self.store.refuse("invoices", "header missing", body, headers)
        self._answer(type(self).refusal, {})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def healthy(dossier: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dossier]:
    """A deployment of one connection, with everything as it should be."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Outside)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    file = tmp_path / "connections.toml"
    file.write_text(
        f"""
        [invoices]
        vendor = "docustack"
        base_url = "{url}"
        allow_insecure = true
        mode = "test"
        schema_id = "s"
        organization_id = "o"
        """
    )
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(file))
    monkeypatch.setattr(Outside, "refusal", 401)
    monkeypatch.setattr(Outside, "acceptance", 200)
    monkeypatch.setattr(Outside, "status", 200)
    monkeypatch.setattr(Outside, "store", dossier.cloud.app.evidence, raising=False)
    sns = dossier.cloud.session.client("sns")
    topic = sns.create_topic(Name="dossier-dev-alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="operations@example.com")
    deployed = {"AlarmTopicArn": topic, "CodeVersion": code_version(ROOT)}
    dossier.stacks.stacks["dossier-dev"][0].update(ApiUrl=url, ConnectionNames="invoices", **deployed)
    dossier("secrets", "set", "invoices", "--api-key", KEY, "--webhook-secret", "a-webhook-secret-that-is-long-enough")
    yield dossier
    server.shutdown()
    server.server_close()


def failed(dossier: Dossier) -> dict[str, Any]:
    """Run the command, which has to fail at one check; return that check."""
    result = dossier("doctor", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    [check] = [each for each in document["checks"] if each["state"] == "failed"]
    assert result.stderr.startswith("dossier: 1 of ")
    assert check["name"] in result.stderr
    assert check["fix"]
    return dict(check)


def test_healthy_deployment_passes(healthy: Dossier) -> None:
    """Every check runs and succeeds."""
    document = healthy.json("doctor")
    assert document["ok"] is True, document
    assert [each["name"] for each in document["checks"]] == [
        "deployment",
        "bucket",
        "table",
        "state machine",
        "event bus",
        "inbox",
        "concurrency",
        "state transitions",
        "alarm topic",
        "version",
        "invoices secret",
        "invoices vendor",
        "invoices cases",
        "invoices webhook",
        "invoices signed delivery",
        "invoices deliveries",
        "dead letters",
        "waiting room",
    ]
    assert {each["state"] for each in document["checks"]} == {"ok"}
    result = healthy("doctor")
    assert result.exit_code == 0
    assert "ok       invoices vendor: the key is accepted (test); 0 document(s) listed" in result.stdout


def concurrency(dossier: Dossier) -> dict[str, Any]:
    """Return the check of Lambda's quota; it never fails the command."""
    document = dossier.json("doctor")
    assert document["ok"] is True
    [check] = [each for each in document["checks"] if each["name"] == "concurrency"]
    return dict(check)


def test_a_quota_that_is_less_than_the_need(healthy: Dossier) -> None:
    """A new account has ten executions at once: five polls, five transfers, deliveries and drops find no room."""
    quotas = healthy.stacks.functions
    assert concurrency(healthy)["seen"] == (
        "the account has 1,000 executions at once; 35 can be used by these connections"
    )
    quotas.executions = 10
    check = concurrency(healthy)
    assert (check["state"], check["seen"]) == (
        "warning",
        "the account has 10 executions at once; 35 can be used by these connections",
    )
    assert "Service Quotas, Lambda, Concurrent executions" in check["fix"]
    quotas.executions, quotas.reserved = 35, 20
    check = concurrency(healthy)
    assert check["state"] == "ok"
    assert "35 executions at once (20 of them set aside for some functions)" in check["seen"]


def test_a_quota_that_may_not_be_seen(healthy: Dossier) -> None:
    """An operator with an older policy gets the missing permission; all other checks run."""
    denied = {"Code": "AccessDeniedException", "Message": "not authorized to perform: lambda:GetAccountSettings"}
    healthy.stacks.functions.error = ClientError({"Error": denied}, "GetAccountSettings")
    check = concurrency(healthy)
    assert check["state"] == "skipped"
    assert "lambda:GetAccountSettings" in check["seen"]
    assert "dossier policy operator" in check["fix"]


def looked_at(dossier: Dossier, name: str) -> dict[str, Any]:
    """Return a check of a command that does not fail."""
    document = dossier.json("doctor")
    assert document["ok"] is True
    [check] = [each for each in document["checks"] if each["name"] == name]
    return dict(check)


def test_alarms_that_nobody_receives(healthy: Dossier) -> None:
    """A topic without a subscription, and one whose subscription waits for its confirmation, are warned about."""
    topic = healthy.stacks.stacks["dossier-dev"][0]["AlarmTopicArn"]
    check = looked_at(healthy, "alarm topic")
    assert (check["state"], check["seen"]) == ("ok", "1 confirmed subscription")
    waiting = [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "new@example.com", "TopicArn": topic}]

    def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
        return Http(200, {}), {"Subscriptions": waiting}

    client = boto3.Session().client("sns")
    client.meta.events.register_first("before-call.sns.ListSubscriptionsByTopic", answer, unique_id="waiting")
    try:
        check = looked_at(healthy, "alarm topic")
        assert (check["state"], check["seen"]) == (
            "warning",
            "nobody receives alarms: new@example.com has not confirmed",
        )
        assert "two days" in check["fix"]
        waiting.clear()
        check = looked_at(healthy, "alarm topic")
        assert check["state"] == "warning"
        assert check["seen"].startswith("nobody is subscribed to arn:aws:sns:")
    finally:
        client.meta.events.unregister("before-call.sns.ListSubscriptionsByTopic", unique_id="waiting")


def test_throttled_transitions(healthy: Dossier) -> None:
    """A new account's small quota of state transitions makes cases slow: AWS's metrics say so."""
    check = looked_at(healthy, "state transitions")
    assert (check["state"], check["seen"]) == (
        "ok",
        "none was throttled in the last day; no execution ran in the last day",
    )

    def answer(params: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        assert "StateTransition" in str(params)
        return Http(200, {}), {"Datapoints": [{"Timestamp": now(), "Sum": 1234.0, "Average": 800.0}]}

    client = boto3.Session().client("cloudwatch")
    client.meta.events.register_first("before-call.cloudwatch.GetMetricStatistics", answer, unique_id="throttled")
    try:
        check = looked_at(healthy, "state transitions")
    finally:
        client.meta.events.unregister("before-call.cloudwatch.GetMetricStatistics", unique_id="throttled")
    assert (check["state"], check["seen"]) == (
        "warning",
        "1,234 were throttled in the last day; the account has 800 a second",
    )
    assert "Service Quotas" in check["fix"]


def test_another_version_is_deployed(healthy: Dossier) -> None:
    """The stage's code is compared with this checkout's; a stage from before the output is skipped."""
    assert looked_at(healthy, "version")["state"] == "ok"
    outputs = healthy.stacks.stacks["dossier-dev"][0]
    outputs["CodeVersion"] = "0123456789ab"
    check = looked_at(healthy, "version")
    assert check["state"] == "warning"
    assert check["seen"] == f"the stage runs 0123456789ab, this checkout is {code_version(ROOT)}"
    del outputs["CodeVersion"], outputs["AlarmTopicArn"]
    assert looked_at(healthy, "version")["state"] == "skipped"
    assert looked_at(healthy, "alarm topic")["state"] == "skipped"


def test_a_signed_delivery_that_is_refused(healthy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, a function still has the former secret; the line shows no secret."""
    monkeypatch.setattr(Outside, "acceptance", 401)
    check = failed(healthy)
    assert check["name"] == "invoices signed delivery"
    assert "answered 401 to a signed delivery, instead of 200" in check["seen"]


def test_a_version_is_that_of_the_code(tmp_path: Path) -> None:
    """A changed, added or renamed file is another version; caches are not."""
    for name in ("functions/poll/handler.py", "layers/shared/python/dossier/errors.py", "layers/requirements.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    first = code_version(tmp_path)
    (tmp_path / "functions/poll/handler.pyc").write_text("cache")
    assert code_version(tmp_path) == first
    seen = {first}
    (tmp_path / "functions/poll/handler.py").write_text("y")
    seen.add(code_version(tmp_path))
    (tmp_path / "functions/poll/handler.py").rename(tmp_path / "functions/poll/other.py")
    seen.add(code_version(tmp_path))
    (tmp_path / "layers/requirements.txt").write_text("y")
    seen.add(code_version(tmp_path))
    assert len(seen) == 4


def test_a_connection_without_webhooks_has_no_url_to_check(healthy: Dossier) -> None:
    """Neither a check nor a URL is shown for it."""
    healthy.stacks.stacks["dossier-dev"][0]["WebhookConnections"] = "-"
    names = [each["name"] for each in healthy.json("doctor")["checks"]]
    assert "invoices vendor" in names
    assert "invoices webhook" not in names
    assert "/webhooks/" not in healthy("doctor").output


def test_no_deployment(healthy: Dossier) -> None:
    """Without a deployment there is nothing else to check."""
    healthy.stacks.stacks.clear()
    assert "stack dossier-dev is not deployed" in failed(healthy)["seen"]


def test_a_missing_key(healthy: Dossier) -> None:
    """A secret that was never set fails, with the command that sets it; no value is ever shown."""
    client = healthy.cloud.session.client("secretsmanager")
    client.put_secret_value(SecretId="dossier/invoices", SecretString='{"api_key": "", "webhook_secrets": []}')
    check = failed(healthy)
    assert (check["name"], check["seen"]) == ("invoices secret", "it has no API key")
    assert check["fix"] == "run `dossier secrets set invoices`"
    assert KEY not in healthy("doctor").output


def test_a_missing_webhook_secret(healthy: Dossier) -> None:
    """A connection that takes deliveries needs a secret to verify them by."""
    client = healthy.cloud.session.client("secretsmanager")
    client.put_secret_value(SecretId="dossier/invoices", SecretString=json.dumps({"api_key": KEY}))
    assert "every delivery is rejected" in failed(healthy)["seen"]


def test_key_that_the_vendor_rejects(healthy: Dossier) -> None:
    """A wrong key fails, with what to run."""
    healthy("secrets", "set", "invoices", "--api-key", "ds_test_other")
    check = failed(healthy)
    assert check["name"] == "invoices vendor"
    assert "dossier secrets set invoices" in check["fix"]


def test_webhook_that_accepts_anything(healthy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsigned delivery that is not rejected is a failure."""
    monkeypatch.setattr(Outside, "refusal", 200)
    assert "answered 200 to an unsigned delivery, instead of 401" in failed(healthy)["seen"]


def test_missing_webhook(healthy: Dossier) -> None:
    """An API that cannot be reached is a failure."""
    healthy.stacks.stacks["dossier-dev"][0]["ApiUrl"] = "http://127.0.0.1:1"
    assert "cannot be reached (ConnectError)" in failed(healthy)["seen"]


def test_inbox_without_notifications(healthy: Dossier) -> None:
    """If somebody else replaced the bucket's notifications, drops cause no message."""
    s3 = healthy.cloud.session.client("s3")
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    check = failed(healthy)
    assert (check["name"], check["seen"]) == ("inbox", f"drops into s3://{BUCKET}/inbox/ reach no queue")


def test_dead_letters(healthy: Dossier) -> None:
    """Dead letters are counted by queue."""
    url = healthy.stacks.stacks["dossier-dev"][1][0]
    healthy.cloud.session.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    check = failed(healthy)
    assert check["seen"] == "dossier-dev-wake-dlq has 1"
    assert "dossier redrive" in check["fix"]


def test_unpolled_wait(healthy: Dossier) -> None:
    """A wait that is overdue means that the waiting room is stuck."""
    late = iso(now() - timedelta(hours=1))
    wait = {"connection": "invoices", "reference": "INV-1", "phase": "documents", "token": "t", "seq": 1}
    times = {"next_at": late, "deadline": late, "started_at": late, "attempts": 0}
    keys = {"pk": case_key(CaseId("invoices", "INV-1")), "sk": "WAIT", "gsi_pk": "WAITS#invoices", "gsi_sk": late}
    healthy.cloud.app.table.put({**wait, **times, **keys})
    assert failed(healthy)["seen"] == f"1 case not polled: invoices INV-1 since {late}"


def test_without_the_connections_file(healthy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the settings are not known, the vendor is not asked, and that is not a failure."""
    monkeypatch.setenv("DOSSIER_CONNECTIONS", "missing.toml")
    document = healthy.json("doctor")
    assert document["ok"] is True
    states = {each["name"]: each["state"] for each in document["checks"]}
    assert (states["connections file"], states["invoices vendor"]) == ("skipped", "skipped")


def test_a_wrong_connections_file(healthy: Dossier, tmp_path: Path) -> None:
    """A file that would not deploy is a failure."""
    (tmp_path / "connections.toml").write_text("[invoices]\nvendor = 'nobody'\n")
    assert "unknown vendor" in failed(healthy)["seen"]


@pytest.mark.rule("security: guess a webhook secret from its proof in the evidence")
@pytest.mark.parametrize(
    ("secret", "state", "seen"),
    [
        ("whs-0123456789abcdef", "ok", "1 webhook secret"),
        ("short", "warning", "fewer than 16 characters"),
        ("whs-0123456789abcdef\n", "failed", "begins or ends with white space, so every delivery is rejected"),
    ],
)
def test_weak_or_malformed_webhook_secret(dossier: Dossier, secret: str, state: str, seen: str) -> None:
    """For a secret that was written without the command, doctor names the mistake without showing it."""
    value = json.dumps({"api_key": "ds_live_1", "webhook_secrets": [secret]})
    dossier.cloud.session.client("secretsmanager").put_secret_value(SecretId="dossier/invoices", SecretString=value)
    settings = dossier.connections["invoices"]
    found = _secret(find(), "invoices", settings)
    assert (found.state, seen in found.seen) == (state, True)
    assert secret.strip() not in found.seen


def test_a_standard_secret_that_is_not_base64(dossier: Dossier) -> None:
    """Such a secret proves nothing: every delivery would be a 401."""
    value = json.dumps({"api_key": "k", "webhook_secrets": ["whsec_not base64, at all"]})
    dossier.cloud.session.client("secretsmanager").put_secret_value(SecretId="dossier/invoices", SecretString=value)
    settings = dossier.connections["invoices"].model_copy(update={"webhook": Webhook(scheme="standard-webhooks")})
    assert "not base64" in _secret(find(), "invoices", settings).seen


BODY = b'{"event": "document_completed", "document_id": "doc_1", "job_id": "job_1"}'


def check(dossier: Dossier, name: str) -> dict[str, Any]:
    """Return one check."""
    [found] = [each for each in dossier.json("doctor")["checks"] if each["name"] == name]
    return dict(found)


def test_its_own_probe_is_not_evidence(healthy: Dossier) -> None:
    """The unsigned delivery that doctor sends is taken out of the evidence; those of others stay."""
    store = healthy.cloud.app.evidence
    other = str(store.refuse("invoices", "wrong secret", b"{}", {"x-dossier-probe": "of somebody else"}))
    for _ in range(2):
        assert check(healthy, "invoices webhook")["state"] == "ok"
    assert list(store.list("invoices")) == [other]
    with pytest.raises(ValueError, match="not a rejected delivery"):
        store.forget_refused(other.removeprefix(DELIVERIES_REFUSED))


def test_a_probe_that_may_not_be_deleted_is_not_listed(healthy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its evidence is marked."""
    no = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObject")

    def refused(*_: object) -> None:
        raise no

    monkeypatch.setattr(EvidenceStore, "forget_refused", refused)
    assert check(healthy, "invoices webhook")["state"] == "ok"
    assert len(list(healthy.cloud.app.evidence.list("invoices"))) == 1
    assert healthy.json("deliveries") == []


def test_rejected_deliveries_are_reported(healthy: Dossier) -> None:
    """Those since the last accepted one count: one with the vendor's ids fails, any other warns."""
    store, early = healthy.cloud.app.evidence, now() - timedelta(minutes=30)
    assert check(healthy, "invoices deliveries")["state"] == "ok"
    store.refuse("invoices", "header missing", b"hello", {}, at=early)
    found = check(healthy, "invoices deliveries")
    assert (found["state"], "header missing" in found["seen"]) == ("warning", True)
    key = str(store.refuse("invoices", "wrong secret", BODY, {}, at=early + timedelta(minutes=1)))
    result = failed(healthy)
    assert result["name"] == "invoices deliveries"
    assert "the last 1 delivery was refused: wrong secret" in result["seen"]
    assert "dossier secrets set invoices" in result["fix"]
    healthy.cloud.app.verdicts.keep("invoices", id_of(key), "replayed", "wrong secret")
    assert check(healthy, "invoices deliveries")["state"] == "warning"
    store.keep("invoices", "accepted", BODY, {}, at=early + timedelta(minutes=2))
    assert check(healthy, "invoices deliveries")["state"] == "ok"


@pytest.mark.parametrize(
    ("status", "advice"),
    [(503, "see its status page"), (429, "lower limits.requests_per_second"), (404, "check base_url of [invoices]")],
)
def test_the_advice_fits_the_error(healthy: Dossier, status: int, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice does not mention the key."""
    monkeypatch.setattr(Outside, "status", status)
    found = failed(healthy)
    assert found["name"] == "invoices vendor"
    assert advice in found["fix"]
    assert "secrets set" not in found["fix"]


def test_a_vendor_that_cannot_be_reached(healthy: Dossier, tmp_path: Path) -> None:
    """Unreachable is not a wrong key; while its breaker is open, the time of the next request is named."""
    file = tmp_path / "connections.toml"
    file.write_text(re.sub(r'base_url = ".*"', 'base_url = "http://127.0.0.1:1"', file.read_text()))
    found = failed(healthy)
    assert "ConnectError" in found["seen"]
    assert "cannot be reached: check base_url of [invoices], DNS and the network" in found["fix"]
    assert "secrets set" not in found["fix"]
    for _ in range(TRIP + 3):
        healthy.cloud.app.limiter.failed("invoices", "ConnectError")
    found = failed(healthy)
    assert re.search(r"the next request is made at \d\d:\d\d:\d\d UTC", found["seen"])
    assert "keeps failing: wait, or ask the vendor" in found["fix"]


def test_cases_that_are_held_up_are_grouped_by_their_trouble(healthy: Dossier, invoice: Path) -> None:
    """Of waits and of steps: since when, the trouble, and the time of the next request."""
    healthy.whole = False
    for number in range(3):
        healthy("submit", "invoices", invoice, "--reference", f"INV-{number}")
    app, since = healthy.cloud.app, iso(now())
    text = "No connection to the vendor since 10:38 UTC (ConnectError)"
    trouble = {"kind": "unreachable ConnectError", "since": since, "text": text}
    healthy.cloud.session.client("sqs").create_queue(QueueName="dossier-dev-poll-invoices")
    for number in range(2):
        healthy.change("invoices", f"INV-{number}", status=CaseStatus.WAITING)
        app.waits.start(CaseId("invoices", f"INV-{number}"), phase="documents", token="t", first=600, deadline=3600)
        app.table.update(f"CASE#invoices#INV-{number}", "WAIT", {"trouble": trouble})
    healthy.change("invoices", "INV-2", status=CaseStatus.UPLOADING)
    healthy.change("invoices", "INV-2", trouble={**trouble, "kind": "VendorUnavailableError", "text": f"503. {SOON}"})
    found = check(healthy, "invoices cases")
    assert found["state"] == "warning"
    assert re.match(
        r"2 cases held up, such as INV-\d: No connection to the vendor since 10:38 UTC \(ConnectError\)\. Next attempt "
        r"[\d: -]+ UTC; 1 case held up, such as INV-2: 503\. Next attempt within 30 s$",
        found["seen"],
    ), found["seen"]
    assert "cannot be reached" in found["fix"]
    app.limiter.pause("invoices", 300)
    for words in (("status", "INV-2"), ("list",)):
        assert re.search(r"503\. Next attempt .*\d\d:\d\d:\d\d", healthy(*words).stdout)
    assert re.search(r"503\. Next attempt .*\d\d:\d\d:\d\d UTC", healthy.json("status", "INV-2")["note"])


def test_rejected_cases_are_mentioned(healthy: Dossier) -> None:
    """A case whose input was rejected is listed with its reason until it is dismissed or submitted correctly."""
    assert "rejected cases" not in healthy("doctor").stdout
    healthy.whole = False
    documents = [{"uri": "s3://YOUR-ARTIFACT-BUCKET/uploads/invoice.pdf"}]
    case = {"connection": "invoices", "reference": "INV-1", "documents": documents}
    healthy.cloud.app.executions.start("pasted", case)
    healthy.tick()
    result = healthy("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    (check,) = [each for each in json.loads(result.stdout)["checks"] if each["name"] == "rejected cases"]
    assert check["state"] == "warning"
    assert check["seen"].startswith(
        "1 case since yesterday: invoices INV-1: document s3://YOUR-ARTIFACT-BUCKET/uploads"
    )
    assert "-c document_buckets" in check["seen"]
    assert "INV-1" in healthy("status", "INV-1").stdout
