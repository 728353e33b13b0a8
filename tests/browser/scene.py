"""A deployed local AWS with cases of every kind, its console, and a browser that has opened it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests import commands
from tests.browser.actions import sent
from tests.chaos.deployment import ROOT, Deployment, deployed
from tests.e2e.world import until

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
"""Debian's browser, or Google's."""
MISSING = "there is no chromium: install it (Debian: apt-get install chromium) to run the tests in a browser"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVIL = "<img src=x onerror=alert(1)>"
"""Part of the names of files: a page that executed it would open a dialog."""
_DOCUSTACK = """vendor = "docustack"
base_url = "SANDBOX/docustack"
allow_insecure = true
mode = "test"
schema_id = "sch_xyz789"
organization_id = "org_abc123"
"""
_POLL = """poll = { first = 1, every = 2, max = 5, deadline = 3600 }
"""
CONNECTIONS = f"""
[invoices]
{_DOCUSTACK}review_below = 0.7
budget = {{ cases_per_day = 500, price_per_page = 0.05 }}
{_POLL}
[claims]
vendor = "docsumo"
base_url = "SANDBOX/docsumo"
allow_insecure = true
casetype_id = "casetype__d1t5b"
trigger_workflow = true
done = {{ status = ["processed"] }}
webhook = {{ scheme = "shared-secret", header = "X-Webhook-Token" }}
{_POLL}
[disputes]
vendor = "ombudsman"
base_url = "SANDBOX/ombudsman"
allow_insecure = true
tenant = "your_tenant_id"
{_POLL}
[dear]
{_DOCUSTACK}account = "invoices"
budget = {{ pages_per_case = 0, price_per_page = 0.5 }}
{_POLL}
[locked]
{_DOCUSTACK}account = "locked"
{_POLL}
[stale]
{_DOCUSTACK}account = "stale"
{_POLL}
[quiet]
{_DOCUSTACK}account = "quiet"
{_POLL}
[patient]
{_DOCUSTACK}account = "patient"
poll = {{ first = 600, every = 600, max = 900, deadline = 3600 }}
"""


@dataclass
class Scene:
    """The deployment and its console.

    Attributes:
        deployment: the local AWS, with the vendors' sandbox.
        url: what `dossier console` has printed.
        browser: the browser.

    """

    deployment: Deployment
    url: str
    browser: Browser
    dialogs: list[str] = field(default_factory=list)
    """What scripts of others have opened: nothing, if the pages are safe."""
    acted: set[str] = field(default_factory=set)
    """What forms have sent (``tests.browser.actions``)."""
    complaints: list[str] = field(default_factory=list)
    """What the browser has complained about: blocked by a policy, not found, a script's error."""
    _was_opened: bool = False

    @property
    def base(self) -> str:
        """The console's address."""
        return self.url.partition("/?")[0]

    def context(self, **settings: Any) -> BrowserContext:
        """Return a browser that has opened the printed URL: the first one on a page."""
        context = self.browser.new_context(**settings)
        context.set_default_timeout(60_000)
        context.on("page", self._hear)
        if not self._was_opened:
            self._was_opened = True
            page = context.new_page()
            page.goto(self.url)
            page.close()
        # The cookie alone: a page would take a second of processor time.
        elif not context.request.get(self.url).ok:
            raise AssertionError("the printed URL does not open the console")
        return context

    def _hear(self, page: Page) -> None:
        def dismiss(dialog: Any) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        def note(request: Request) -> None:
            if request.method == "POST":
                self.acted |= sent(request.url, request.post_data or "")

        page.on("dialog", dismiss)
        page.on("request", note)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda said: self.complaints.append(f"{page.url}: {said.text}") if said.type == "error" else None,
        )

    def status(self, connection: str, reference: str) -> str:
        """Return the state of a case."""
        key = {"pk": {"S": f"CASE#{connection}#{reference}"}, "sk": {"S": "CASE"}}
        found = self.deployment.client("dynamodb").get_item(TableName=self.deployment.outputs["table"], Key=key)
        return str(found.get("Item", {}).get("status", {}).get("S", "unknown"))

    def until(self, connection: str, reference: str, *statuses: str) -> None:
        """Wait until a case has one of these statuses."""
        until(
            lambda: self.status(connection, reference) in statuses, what=f"{reference} is not {' or '.join(statuses)}"
        )

    def submit(self, connection: str, reference: str, *statuses: str, seconds: float = 0) -> None:
        """Submit a case with its own document, which its vendor processes for ``seconds``, and wait for its status."""
        self.deployment.vendors(seconds=seconds)
        self.deployment.submit(connection, reference, {"invoice.pdf": b"%PDF-1.7 " + reference.encode()})
        if statuses:
            self.until(connection, reference, *statuses)

    def bury(self, queue: str, message: dict[str, Any]) -> None:
        """Put a message among the dead letters of a queue, as SQS does when it has failed five times."""
        sqs = self.deployment.client("sqs")
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}-dlq")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))

    def trail(self) -> list[dict[str, Any]]:
        """Return the entries of the trail of actions, oldest first."""
        s3, bucket = self.deployment.client("s3"), self.deployment.outputs["bucket"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix="audit/").get("Contents", [])
        keys = sorted(each["Key"] for each in found)
        return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]

    def deliver(self, token: str, **body: Any) -> int:
        """Send a delivery to the webhook of ``claims``; return the answer's status."""
        url = self.deployment.outputs["webhook_urls"]["claims"]
        headers = {"x-webhook-token": token, "content-type": "application/json"}
        return httpx.post(url, content=json.dumps(body), headers=headers, timeout=60, trust_env=False).status_code


@contextmanager
def opened(home: Path) -> Iterator[Scene]:
    """Deploy, make the cases, start the console and a browser."""
    with deployed(home, CONNECTIONS) as deployment:
        make(deployment)
        with watched(deployment) as scene:
            settle(scene)
            yield scene


@contextmanager
def watched(deployment: Deployment) -> Iterator[Scene]:
    """Start the console of a deployment, and a browser."""
    words = ["console", "--no-open", "--local", "--json"]
    environment = {**deployment.environment, "DOSSIER_DEBUG": "1"}
    with commands.running(words, environment=environment, folder=ROOT) as done:
        assert not done.code, done.stderr
        url = json.loads(done.stdout.splitlines()[0])["url"]
        options = ["--disable-lcd-text", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
            yield Scene(deployment, url, browser)
            browser.close()


def make(deployment: Deployment) -> None:
    """Submit cases of each kind: completed, with a question, failed."""
    documents = ROOT / "events" / "documents"
    body = {name: (documents / name).read_bytes() for name in ("invoice.pdf", "receipt.png", "complaint.docx")}
    for name in ("locked", "stale"):
        deployment.dossier("secrets", "set", name, "--api-key", "wrong", "--no-check")
    deployment.submit("invoices", "INV-2026-0041", {"invoice.pdf": body["invoice.pdf"]})
    deployment.submit("invoices", "INV-2026-0042", {f"{EVIL}.pdf": body["invoice.pdf"] + b"\n"})
    scan = {"scan.tiff": scanned(2)}
    deployment.submit("claims", "CLM-7731", {**{name: body[name] for name in ("invoice.pdf", "receipt.png")}, **scan})
    deployment.submit("disputes", "DSP-1180", body)
    batch = Path("build", "scene", "May.jsonl")  # the page shows the path as it was given
    (ROOT / batch.parent).mkdir(parents=True, exist_ok=True)
    lines = [
        {"connection": "invoices", "reference": f"MAY-{number}", "documents": [f"{number}.pdf"]} for number in (1, 2)
    ]
    for number in (1, 2):
        (ROOT / batch.parent / f"{number}.pdf").write_bytes(body["invoice.pdf"] + b"\n" * (20 + number))
    (ROOT / batch).write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    deployment.dossier("batch", str(batch))
    for number in (1, 2):
        deployment.submit("dear", f"ASK-{number}", {"invoice.pdf": body["invoice.pdf"] + b"\n" * (2 + number)})
    for number in (1, 2, 3):
        deployment.submit("locked", f"KEY-{number}", {"invoice.pdf": body["invoice.pdf"] + b"\n" * (6 + number)})


def scanned(pages: int) -> bytes:
    """Return a TIFF with so many pages, each wider than the one before."""
    drawn = [Image.new("1", (200 + 100 * number, 280), 1) for number in range(pages)]
    made = BytesIO()
    drawn[0].save(made, "TIFF", save_all=True, append_images=drawn[1:], compression="group4")
    return made.getvalue()


def revise(scene: Scene, reference: str) -> None:
    """Let somebody at the vendor move a case of ``claims`` to another stage, and wait for its second revision."""
    key = {"pk": {"S": f"CASE#claims#{reference}"}, "sk": {"S": "CASE"}}
    table, at = scene.deployment.client("dynamodb"), scene.deployment.outputs["table"]

    def item() -> dict[str, Any]:
        return dict(table.get_item(TableName=at, Key=key)["Item"])

    path = f"/_sandbox/docsumo/cases/{item()['case_id']['S']}/stage"
    assert scene.deployment.sandbox.post(path, json={"stage_id": "stage__approved"}).status_code == 200
    scene.deployment.dossier("refresh", reference, "--connection", "claims")
    until(lambda: item().get("revision", {}).get("N") == "2", what=f"{reference} has no second revision")


def settle(scene: Scene) -> None:
    """Wait until the cases stand as they are to; then start some that stay under way, and forge a delivery."""
    for connection, reference in (
        ("invoices", "INV-2026-0041"),
        ("invoices", "INV-2026-0042"),
        ("claims", "CLM-7731"),
        ("disputes", "DSP-1180"),
    ):
        scene.until(connection, reference, "completed", "completed_with_failures")
    revise(scene, "CLM-7731")
    for number in (1, 2):
        scene.until("dear", f"ASK-{number}", "needs_attention")
    for number in (1, 2, 3):
        scene.until("locked", f"KEY-{number}", "failed")
    assert scene.deliver("wrong", event=EVIL, case_id=EVIL) == 401
    scene.deployment.vendors(seconds=3600)
    for number in (1, 2, 3):
        scene.deployment.submit("invoices", f"RUN-{number}", {"invoice.pdf": b"%PDF-1.7 " + str(number).encode()})
    for number in (1, 2, 3):
        scene.until("invoices", f"RUN-{number}", "waiting")
    scene.deployment.vendors(seconds=0)
    scene.bury("wake", {"connection": "claims", "delivery": "webhooks/claims/x"})


@dataclass(frozen=True, slots=True)
class Screen:
    """A page, by its path; one whose address nobody knows before is reached from another, by pressing a button.

    Attributes:
        path: its path, in which a part that is not known before is ``x``.
        start: the page that has the button.
        press: the button's name, or how it begins.

    """

    path: str
    start: str = ""
    press: str = ""


SCREENS = {
    "cases": Screen("/cases"),
    "cases-failed": Screen("/cases?status=failed"),
    "case": Screen("/cases/invoices/INV-2026-0042"),
    "case-waiting": Screen("/cases/invoices/RUN-3"),
    "case-question": Screen("/cases/dear/ASK-2"),
    "documents": Screen("/cases/invoices/INV-2026-0041/results"),
    "summaries": Screen("/cases/disputes/DSP-1180/results"),
    "timeline": Screen("/cases/claims/CLM-7731/history"),
    "revisions": Screen("/cases/claims/CLM-7731/revisions"),
    "files": Screen("/cases/claims/CLM-7731/files?show=vendor/case.json"),
    "case-cost": Screen("/cases/invoices/INV-2026-0041/cost"),
    "plan": Screen("/answers/x", "/cases?connection=invoices", "Cancel all"),
    "job": Screen("/bulk/x", "/cases?connection=disputes", "Refresh all"),
    "deliveries": Screen("/deliveries"),
    "delivery": Screen("/deliveries/claims/x", "/deliveries?verdict=refused"),
    "lost": Screen("/deliveries/lost"),
    "connections": Screen("/connections"),
    "connection": Screen("/connections/invoices?drift=on"),
    "check": Screen("/answers/x", "/connections/claims", "Check"),
    "failures": Screen("/failures"),
    "batches": Screen("/batches"),
    "batch": Screen("/batches/x", "/batches"),
    "cost": Screen("/cost"),
    "missing": Screen("/no-such-page"),
}
"""The screens by name."""
NOT_SHOWN = {
    "/cases/views": "a part of the list, which loads it after itself",
    "/cases/{connection}/{reference}/preview/{index:int}": "a picture",
    "/cases/{connection}/{reference}/file": "a file to save",
    "/connections/{connection}/report": "a file to save",
}
"""Paths that are not screens, and what they are."""


def visit(scene: Scene, page: Page, name: str) -> None:
    """Open a screen."""
    screen = SCREENS[name]
    page.goto(scene.base + (screen.start or screen.path))
    if screen.press:
        if screen.press.endswith(" all"):
            page.locator("summary", has_text="All that match").click()
        page.get_by_role("button", name=re.compile(f"^{screen.press}")).first.click()
        if screen.path.startswith("/bulk/"):
            page.get_by_role("button", name=re.compile(f"^{screen.press.partition(' ')[0]}")).click()
        page.wait_for_url(re.compile(re.escape(scene.base + screen.path.removesuffix("x"))))
    elif screen.start:
        page.locator("tbody a").first.click()
        page.wait_for_url(re.compile(re.escape(scene.base + screen.path.removesuffix("x")) + "."))
    page.wait_for_load_state("networkidle")
