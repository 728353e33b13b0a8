"""Deliveries, connections, failures, batches and cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from console.failures import errors_of
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.signatures import proof
from dossier.stores.evidence import id_of, key_of
from tests.console.conftest import Visitor, put, text_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
SECRET = "a-webhook-secret-that-is-long-enough"
SIGNED = {"x-docustack-signature": "nobody signed this"}


@pytest.fixture
def secret(visitor: Visitor) -> None:
    """Set the secret of a connection that takes a shared one."""
    done = visitor.dossier("secrets", "set", "claims", "--api-key", "key", "--webhook-secret", SECRET, "--no-check")
    assert done.exit_code == 0, done.stderr


def deliver(visitor: Visitor, *, proven: bool = True, body: Any = None) -> str:
    """Keep a delivery to ``claims``; return its id."""
    text = json.dumps(body or {"event": "case_updated", "case_id": "case-1"}).encode()
    store = visitor.dossier.cloud.app.evidence
    if proven:
        return id_of(store.keep("claims", "accepted", text, {"x-webhook-token": proof(SECRET, text)}))
    return id_of(store.refuse("claims", "wrong secret", text, {"X-Webhook-Token": "wrong", EVIL[:40]: EVIL}) or "")


def test_deliveries_are_listed_with_their_verdict_and_cause(visitor: Visitor) -> None:
    """A rejected one with what to do about it."""
    first, second = deliver(visitor), deliver(visitor, proven=False)
    text = visitor.main("/deliveries")
    assert "✓ accepted" in text
    assert "✕ rejected wrong secret" in text
    assert "dossier secrets set claims" in text
    page = visitor.get("/deliveries?verdict=refused")
    assert (first in page, second in page) == (False, True)
    assert "No delivery matches" in visitor.main("/deliveries?connection=invoices")
    assert "This did not work" in visitor.get("/deliveries?verdict=maybe", 400)


def test_deliveries_have_pages(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each delivery is on one of them."""
    monkeypatch.setattr("console.deliveries.SHOWN", 2)
    store, seen, path = visitor.dossier.cloud.app.evidence, list[str](), "/deliveries"
    kept = [
        id_of(store.keep("claims", "accepted", b"{}", {}, at=now().replace(minute=minute, hour=3)))
        for minute in (1, 1, 1, 2, 3, 4)
    ]
    while path:
        page = visitor.get(path)
        seen += [part.partition('"')[0] for part in page.split('data-row="')[1:]]
        found = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        path = found.replace("&amp;", "&") if 'rel="next"' in page else ""
    assert sorted(seen) == sorted(kept)


@pytest.mark.rule("security: run a script in the console with a name or a document")
def test_a_delivery_is_shown_as_it_was_kept(visitor: Visitor) -> None:
    """Headers and body, of which a page obeys nothing."""
    own = deliver(visitor, proven=False, body={"event": EVIL, "case_id": EVIL, "more": EVIL})
    page = visitor.get(f"/deliveries/claims/{own}")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 3
    assert "X-Webhook-Token" in page
    assert "<script>alert" not in visitor.get("/deliveries")
    for path in ("/deliveries/claims/20200101T0000-00", "/deliveries/claims/x", f"/deliveries/invoices/{own}"):
        visitor.get(path, 404)


@pytest.mark.parametrize("body", [b"\xff\xfe\0", b"plain", b"[1"])
def test_a_body_of_any_kind_is_shown(visitor: Visitor, body: bytes) -> None:
    """Bytes that are not text in hexadecimal."""
    own = id_of(visitor.dossier.cloud.app.evidence.keep("claims", "accepted", body, {}))
    shown = visitor.get(f"/deliveries/claims/{own}").partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    assert shown == (body.hex(" ") if b"\xff" in body else body.decode())


def test_deliveries_are_replayed(visitor: Visitor, secret: None) -> None:
    """Those that an active secret proves; the page says why the others are not."""
    proven, forged = deliver(visitor), deliver(visitor, proven=False)
    chosen = [f"claims/{proven}", f"claims/{forged}"]
    text = text_of(visitor.post("/deliveries/replay", delivery=chosen).text)
    assert text.startswith("1 of 2 verified, and queued again. no active webhook secret of claims proves it.")
    assert [json.loads(each)["connection"] for each in visitor.dossier.cloud.messages("wake")] == ["claims"]
    [entry] = visitor.trail()
    assert entry["outcome"] == {"done": True, "applied": [proven]}
    assert sorted(entry["about"]["deliveries"]) == sorted([proven, forged])
    again = visitor.post("/deliveries/replay", delivery=chosen[0], **{"from": "one"})
    assert again.url.path == f"/deliveries/claims/{proven}"
    visitor.post("/deliveries/replay", 400)
    visitor.post("/deliveries/replay", 400, delivery="claims/unknown")


def test_a_delivery_leads_to_its_case(visitor: Visitor) -> None:
    """By the vendor's id that it names."""
    visitor.dossier.cloud.app.intents.own(CaseId("claims", "C-1"), ["case-1"])
    own = deliver(visitor)
    assert '<a href="/cases/claims/C-1">case-1</a>' in visitor.get(f"/deliveries/claims/{own}")
    deliver(visitor, body={"event": "case_updated", "case_id": "case-2"})
    listed = visitor.get("/deliveries")
    assert listed.count('<a href="/cases/claims/C-1">C-1</a>') == 1
    assert "case-2" in listed  # no case owns this id
    deliver(visitor, proven=False, body={"event": "case_updated", "case_id": "x" * 3000})
    assert "C-1" in visitor.get("/deliveries")


def test_lost_webhooks_are_counted_by_connection(visitor: Visitor, invoice: Path) -> None:
    """Finished cases that no delivery was about."""
    visitor.dossier.whole = False
    visitor.dossier("submit", "invoices", invoice, "--reference", "INV-1")
    visitor.dossier.tick()
    visitor.dossier.change("invoices", "INV-1", status=CaseStatus.COMPLETED, completed_at=now())
    text = visitor.get("/deliveries/lost")
    assert "100 %" in text
    assert "1 of 1 finished case without a delivery" in text
    assert "disputes" not in text  # it takes no webhooks


def test_connections_show_health_limits_and_keys(visitor: Visitor, secret: None) -> None:
    """The age of the secret, never the secret."""
    text, page = visitor.main("/connections"), visitor.get("/connections")
    assert text.count("✓ Healthy") == 3
    assert "set today" in text
    assert "not set" in text
    assert SECRET not in page
    one = visitor.main("/connections/claims")
    assert "Nothing holds up claims." in one
    assert "API key set, 1 webhook secret, set today" in one
    visitor.get("/connections/none", 404)


def test_a_pause_is_made_and_ended_on_the_page(visitor: Visitor) -> None:
    """From the list and from the connection's own page; without a reason it is none."""
    assert "‖ Paused" not in visitor.main("/connections")
    text = text_of(visitor.post("/connections/claims/pause", reason="the vendor migrates").text)
    assert text.startswith("claims is paused: no request goes to its vendor")
    assert "‖ Paused" in text
    text = text_of(visitor.post("/connections/claims/resume", **{"from": "connection"}).text)
    assert text.startswith("claims continues: 0 steps and 0 waits.")
    assert "Earlier pauses" in text
    visitor.post("/connections/claims/pause", 400, reason=" ")
    visitor.post("/connections/none/pause", 400, reason="x")
    assert visitor.dossier.cloud.app.limiter.held("claims") is None


def test_drift_is_compared_when_somebody_asks(visitor: Visitor) -> None:
    """It reads many answers."""
    assert "Compare the latest answers" in visitor.main("/connections/claims")
    assert "0 answers of 0 cases compared" in visitor.main("/connections/claims?drift=on")


@pytest.fixture
def broken(visitor: Visitor, invoice: Path) -> Visitor:
    """Return somebody with the console of a deployment with failures of two causes and a dead letter."""
    visitor.dossier.whole = False
    for reference, reason in (("INV-1", "page 1 is dark"), ("INV-2", "page 2 is dark"), ("INV-3", EVIL)):
        visitor.dossier("submit", "invoices", invoice, "--reference", reference)
        visitor.dossier.tick()
        error = "VendorRejectedError" if reference == "INV-3" else "CaseFailedError"
        visitor.dossier.change("invoices", reference, status=CaseStatus.FAILED, error=error, reason=reason)
    sqs = visitor.dossier.cloud.session.client("sqs")
    url = sqs.get_queue_url(QueueName="dossier-dev-wake-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"queue": "wake"}))
    return visitor


def test_failures_are_grouped_by_cause(broken: Visitor) -> None:
    """Most frequent first, rejected ones marked; dead letters by queue."""
    text = broken.main("/failures")
    assert text.index("2 cases : CaseFailedError: page … is dark") < text.index("1 case : VendorRejectedError")
    assert "Rejected for their content" in text
    assert "1 message of queue wake" in text
    assert "<script>alert" not in broken.get("/failures")
    assert "Nothing has failed in this time" in broken.main("/failures?connection=claims")


@pytest.mark.parametrize(
    ("cause", "action", "says"),
    [
        ("CaseFailedError: page … is dark", "redrive", "Redrive 2 cases?"),
        ("CaseFailedError: page … is dark", "dismiss", "Dismiss 2 cases?"),
        (f"VendorRejectedError: {EVIL}", "redrive", "Redrive 1 case?"),
    ],
)
def test_a_cause_is_planned(broken: Visitor, cause: str, action: str, says: str) -> None:
    """Naming the cause includes cases that were rejected, as with the command."""
    page = broken.get("/failures")
    named = page.partition("VendorRejectedError")[2]  # the cause leaves out what has digits
    shown = cause if "dark" in cause else unescaped(page, "VendorRejectedError")
    assert named
    text = text_of(broken.post("/failures/plan", cause=shown, action=action).text)
    assert says in text
    assert broken.trail() == []


def unescaped(page: str, begins: str) -> str:
    """Return the value of the hidden field of a cause."""
    values = [unescape(part.partition('"')[0]) for part in page.split('name="cause" value="')[1:]]
    return next(each for each in values if each.startswith(begins))


def test_dead_letters_go_back_or_are_deleted(broken: Visitor) -> None:
    """And nothing else is a queue."""
    text = text_of(broken.post("/failures/dead-letters", queue="wake", action="dismiss").text)
    assert text.startswith("1 dead letter of queue wake: deleted.")
    assert broken.trail()[-1]["outcome"] == {"done": True, "messages": 1}
    for fields in ({"queue": "other", "action": "send"}, {"queue": "wake", "action": "keep"}, {}):
        broken.post("/failures/dead-letters", 400, **fields)
    assert "There are none." in broken.main("/failures")


def test_a_dead_letter_leads_to_what_it_is_about(visitor: Visitor) -> None:
    """A delivery or a case; anything else is shown as it is. Reading them hides none from being sent back."""
    own = deliver(visitor)
    key = key_of("claims", own)
    sqs = visitor.dossier.cloud.session.client("sqs")
    for queue, bodies in {
        "wake": [
            {"connection": "claims", "delivery": key},
            {"connection": "claims", "delivery": f"{EVIL}/{own}"},
            EVIL,
        ],
        "poll-invoices": [{"connection": "invoices", "reference": "INV-1", "seq": 2}],
    }.items():
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}-dlq")["QueueUrl"]
        for body in bodies:
            sqs.send_message(QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body))
    page = visitor.get("/failures")
    assert page.count(f'<a href="/deliveries/claims/{own}">') == 1
    assert '<a href="/cases/invoices/INV-1">case INV-1</a>' in page
    assert "<script>alert" not in page
    assert "3 messages of queue wake" in visitor.main("/failures")


def test_errors_of_a_queues_function_are_shown_when_somebody_asks(visitor: Visitor) -> None:
    """The latest of each kind, of the connection alone."""
    logs, at = visitor.dossier.cloud.session.client("logs"), int(now().timestamp() * 1000)
    group, stream = "/aws/lambda/dossier-dev-poll", "one"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    text = [
        {"level": "ERROR", "connection": "invoices", "message": "poll", "exception": f"Traceback\nKeyError: {EVIL}"},
        {"level": "ERROR", "connection": "claims", "message": "another's"},
        {"level": "INFO", "connection": "invoices", "message": "no ERROR at all"},
        {"level": "ERROR", "connection": "invoices", "message": "again", "exception_name": "ValueError"},
    ]
    events = [{"timestamp": at + number, "message": json.dumps(each)} for number, each in enumerate(text)]
    events.append({"timestamp": at + 9, "message": "[ERROR] Runtime.ExitError: out of memory"})
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert errors_of(visitor.desk, "poll-invoices") == [
        (moment_at(at + 9), "[ERROR] Runtime.ExitError: out of memory"),
        (moment_at(at + 3), "ValueError: again"),
        (moment_at(at), f"KeyError: {EVIL}"),
    ]
    assert errors_of(visitor.desk, "wake") == []


def moment_at(milliseconds: int) -> datetime:
    """Return a moment of a log."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def test_a_connection_is_checked(visitor: Visitor, secret: None) -> None:
    """As `dossier doctor` does, with what to do; the check is in the trail, because it sends deliveries."""
    text = text_of(visitor.post("/connections/claims/check").text)
    assert "✓ OK Secret an API key and 1 webhook secret" in text
    assert "✕ Failed Webhook" in text  # in memory there is neither an API nor a vendor
    assert visitor.trail()[-1]["outcome"]["failed"] == ["claims vendor", "claims webhook"]
    visitor.post("/connections/none/check", 400)


def test_the_report_for_a_vendors_support_is_a_file(visitor: Visitor) -> None:
    """With every delivery by time and digest, and no body."""
    own = deliver(visitor)
    answer = visitor.http.get("/connections/claims/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="webhooks-claims.json"'
    assert [each["id"] for each in answer.json()["deliveries"]] == [own]
    assert "disputes" in visitor.main("/connections")
    visitor.get("/connections/disputes/report", 400)


def test_batches_show_their_progress(visitor: Visitor) -> None:
    """And one batch its cases and bad lines."""
    assert "There is no batch" in visitor.main("/batches")
    about = {
        "batch_id": "0123456789abcdef", "file": EVIL, "stored_at": "2026-01-31T12:00:00.000Z", "cases": 3,
        "documents": 3, "bytes": 2048, "connections": ["invoices"], "bad": 1,
    }  # fmt: skip
    visitor.dossier.cloud.app.batches.store("0123456789abcdef", about, [], [{"line": 3, "reason": EVIL}])
    page = visitor.get("/batches")
    assert "3 cases, not started" in page
    one = visitor.get("/batches/0123456789abcdef")
    assert "2.0 kB" in one
    assert "&lt;script&gt;" in one
    assert "<script>alert" not in page + one
    for batch in ("none", "0123456789abcdee"):
        visitor.get(f"/batches/{batch}", 404)


def test_a_month_is_counted_when_somebody_asks(visitor: Visitor) -> None:
    """In the background; then the page shows it by connection and by day."""
    app = visitor.dossier.cloud.app
    visitor.dossier.whole = False
    month = f"{now():%Y-%m}"
    assert f"Count {month}" in visitor.main("/cost")
    names = CaseId("invoices", "INV-1")
    document = Document(index=0, name="a.pdf", key="k", document_id="d", pages=3)
    put(visitor, "INV-1", CaseStatus.COMPLETED)
    app.cases.put_documents(names, [document], fresh=True)
    visitor.post("/cost", month=month)
    for _ in range(600):
        text = visitor.main(f"/cost?month={month}")
        if "By connection" in text:
            break
        Event().wait(0.05)
    assert "invoices 1 3" in text
    assert f"By day Day invoices Together {now():%Y-%m-%d}" in text
    visitor.get("/cost?month=13", 400)
    visitor.post("/cost", 400, month="x")


def test_a_period_of_ones_own_stays_chosen(visitor: Visitor) -> None:
    """The address may name any time: the form shows it, and so do those of cases and failures."""
    for path in ("/deliveries", "/cases", "/failures"):
        assert "<option selected>3d</option>" in visitor.get(f"{path}?since=3d")
