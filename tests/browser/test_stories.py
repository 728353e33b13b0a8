"""docs/operate.md from the page alone: the test causes each trouble, reads it on the page, and fixes it there.

What the world does (a vendor that comes back, a key that somebody stores in Secrets Manager) a test does as the world
would. Everything else goes through the browser. Each story has its own cases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dossier.models import iso
from dossier.stores.evidence import EvidenceStore
from tests.browser.scene import Scene
from tests.e2e.world import until

pytestmark = pytest.mark.timeout(1500)  # the first test waits for the deployment


@contextmanager
def faults(scene: Scene, **rules: Any) -> Iterator[None]:
    """Make the vendors fail for as long as the block runs."""
    scene.deployment.vendors(faults=[{"name": name, "rate": 1, **rule} for name, rule in rules.items()])
    try:
        yield
    finally:
        scene.deployment.vendors(faults=[])


def wait_of(scene: Scene, connection: str, reference: str) -> dict[str, Any]:
    """Return the key of a case's wait, once it waits."""
    key = {"pk": {"S": f"CASE#{connection}#{reference}"}, "sk": {"S": "WAIT"}}
    table = scene.deployment.outputs["table"]
    return until(
        lambda: scene.deployment.client("dynamodb").get_item(TableName=table, Key=key).get("Item"),
        what=f"{reference} does not wait",
    )


def change(scene: Scene, item: dict[str, Any], **values: str) -> None:
    """Change texts of an item of the table, past everything that Dossier does."""
    scene.deployment.client("dynamodb").update_item(
        TableName=scene.deployment.outputs["table"],
        Key={name: item[name] for name in ("pk", "sk")},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
        ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
    )


def sees(page: Page, *texts: str) -> None:
    """Expect texts in the main part of the page, which refreshes by itself."""
    for text in texts:
        expect(page.get_by_role("main")).to_contain_text(text)


def opens(scene: Scene, page: Page, path: str, *texts: str) -> None:
    """Open a page and expect texts there."""
    page.goto(scene.base + path)
    sees(page, *texts)


def checked(page: Page, *texts: str) -> None:
    """Check the connection whose page is open, and expect what is found."""
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Check of")
    sees(page, *texts)


@pytest.mark.acts("/connections/{connection}/check")
def test_a_vendor_is_down(scene: Scene, page: Page) -> None:
    """The case and its connection say so; nothing is to be done, and once the vendor is back the case continues."""
    scene.submit("invoices", "DOWN-1", "waiting", seconds=6)
    with faults(scene, error_before={"vendor": "docustack", "status": 503}):
        opens(scene, page, "/cases/invoices/DOWN-1", "the vendor answered 503", "Dossier asks DocuStack again")
        opens(scene, page, "/connections/invoices", "to DocuStack had no usable answer")
        checked(page, "Failed", "cases wait and continue by themselves")
    page.get_by_role("button", name="Check again").click()
    sees(page, "the key is accepted")
    opens(scene, page, "/cases/invoices/DOWN-1", "The case has ended as completed")


@pytest.mark.acts("/cases/{connection}/{reference}/resolve answer=send")
def test_a_budget_is_reached(scene: Scene, page: Page) -> None:
    """The view of what needs attention leads to the case, which says what would exceed the budget and what it costs."""
    scene.submit("dear", "DEAR-1", "needs_attention")
    page.goto(f"{scene.base}/cases")
    page.get_by_role("link", name="Needs attention").click()
    page.get_by_role("link", name="DEAR-1").click()
    sees(page, "budget.pages_per_case is 0", "Nothing was sent to the vendor", "Risk: DocuStack bills 1 page.")
    page.get_by_role("button", name="Send it all the same").click()
    sees(page, "DEAR-1 is sent although it is over the budget.", "The case has ended as completed")


@pytest.mark.acts("/failures/plan action=redrive")
def test_the_key_is_wrong(scene: Scene, page: Page) -> None:
    """The failure names the cause; once the right key is stored, the page proves it, and the case continues."""
    scene.submit("stale", "STALE-1", "failed")
    opens(scene, page, "/failures?connection=stale", "the vendor refused the API key")
    page.get_by_role("link", name="STALE-1").click()
    sees(page, "dossier redrive STALE-1")
    page.goto(f"{scene.base}/connections/stale")
    checked(page, "the vendor rejects the key: run dossier secrets set stale")
    secrets = scene.deployment.client("secretsmanager")
    right = secrets.get_secret_value(SecretId="dossier/invoices")["SecretString"]
    secrets.put_secret_value(SecretId="dossier/stale", SecretString=right)
    page.get_by_role("button", name="Check again").click()
    sees(page, "the key is accepted")
    page.goto(f"{scene.base}/failures?connection=stale")
    page.get_by_role("button", name="Redrive 1 case …").click()
    sees(page, "Nothing has changed yet.")
    page.get_by_role("button", name="Redrive 1 case", exact=True).click()
    sees(page, "Finished.")
    opens(scene, page, "/cases/stale/STALE-1", "The case has ended as completed")


def lost(scene: Scene, page: Page, reference: str, *, name: str) -> str:
    """Lose the answer to the opening of a case, and open its page; return the id that the vendor has given it."""
    with faults(scene, **{name: {"vendor": "ombudsman", "operation": "create", "times": 1}}):
        scene.submit("disputes", reference, "needs_attention")
    opens(
        scene, page, f"/cases/disputes/{reference}", "the answer to creating case", "Nothing happens until you answer"
    )
    opened = [
        effect
        for entry in scene.deployment.journal()
        for effect in entry["effects"]
        if entry["operation"] == "create" and reference in json.dumps(effect)
    ]
    return str(opened[-1].get("case_id", "")) if opened else ""


@pytest.mark.acts("/cases/{connection}/{reference}/resolve answer=use")
def test_an_answer_was_lost(scene: Scene, page: Page) -> None:
    """The vendor has the case: a wrong id is rejected, and nothing changes; with the right one it continues."""
    known = lost(scene, page, "LOST-1", name="lost_after")
    question = page.get_by_role("region", name="Needs your answer")
    question.get_by_label("Vendor's id").fill("00000000-0000-4000-8000-000000000001")
    question.get_by_role("button", name="Use its id").click()
    sees(page, "the question stays open")
    page.go_back()
    question.get_by_label("Vendor's id").fill(known)
    question.get_by_role("button", name="Use its id").click()
    sees(page, f"LOST-1 continues with {known}.", "The case has ended as completed")
    created = [each for each in scene.deployment.journal() if each["operation"] == "create" and "LOST-1" in str(each)]
    assert len(created) == 1


@pytest.mark.acts(
    "/cases/{connection}/{reference}/resolve answer=use", "/cases/{connection}/{reference}/resolve force=on"
)
@pytest.mark.parametrize("typed", [False, True])
def test_the_vendor_lists_it_under_another_name(scene: Scene, page: Page, typed: bool) -> None:
    """The page shows the candidate and that its name differs; the operator ticks the box to accept it."""
    reference = f"NAME-{typed}"
    rules = {"vendor": "docustack", "times": 1}
    with faults(scene, lost_after={**rules, "operation": "upload"}, renamed={**rules, "form": "ascii"}):
        scene.deployment.submit("invoices", reference, {"\u8acb\u6c42\u66f8.pdf": b"%PDF-1.7 " + reference.encode()})
        scene.until("invoices", reference, "needs_attention")
    opens(scene, page, f"/cases/invoices/{reference}", "it may have created", "about upload 1")
    choices = page.get_by_role("region", name="Needs your answer").get_by_role("listitem")
    listed = choices.filter(has_text="It is ").first
    known = listed.get_by_role("button").inner_text().removeprefix("It is ")
    listed.get_by_role("button").click()
    sees(page, "is called .pdf at the vendor", "the question stays open")
    page.get_by_role("link", name=f"Back to {reference}").click()
    chosen = choices.filter(has_text="Use another id") if typed else listed
    if typed:
        chosen.get_by_label("Vendor's id").fill(known)
    chosen.get_by_label("Accept it even if its name differs").check()
    chosen.get_by_role("button").click()
    sees(page, f"{reference} continues with {known}.", "The case has ended as completed")


@pytest.mark.acts("/cases/{connection}/{reference}/resolve answer=retry")
def test_an_answer_was_lost_and_the_vendor_has_nothing(scene: Scene, page: Page) -> None:
    """The choice to send again says what it risks."""
    assert lost(scene, page, "LOST-2", name="lost_before") == ""
    question = page.get_by_role("region", name="Needs your answer")
    expect(question).to_contain_text("it has it twice and bills it twice")
    question.get_by_role("button", name="Send it again").click()
    sees(page, "LOST-2 sends the opening of the case again.", "The case has ended as completed")


def test_a_vendor_is_slow(scene: Scene, page: Page) -> None:
    """The page says whom the case waits for, since when and until when, and has the ids for the vendor's support."""
    scene.submit("invoices", "SLOW-1", seconds=7)
    wait_of(scene, "invoices", "SLOW-1")
    opens(
        scene, page, "/cases/invoices/SLOW-1", "DocuStack has not finished: 0 of 1 documents read", "waits for vendor"
    )
    page.get_by_text("What was tried, and what helps").click()
    sees(page, "its support can look the ids up", "the wait ends, and Dossier collects the results that exist")
    expect(page.get_by_role("table")).to_contain_text("invoice.pdf")
    page.get_by_text("What was tried, and what helps").click()
    sees(page, "The case has ended as completed")


def test_a_webhook_was_lost(scene: Scene, page: Page) -> None:
    """The share is shown; the check proves that a signed delivery would be accepted, and there is a report."""
    with faults(scene, webhook_lost={"vendor": "docustack"}):
        scene.submit("quiet", "QUIET-1", "completed")
        opens(scene, page, "/deliveries", "1 of 1 finished case without a delivery")
    opens(scene, page, "/connections/quiet", "100 % of 1 finished case", "No webhook arrived about 100 %")
    checked(page, "rejects an unsigned delivery", "accepts a delivery that is signed", "the vendor does not send them")
    with page.expect_download() as got:
        page.get_by_role("link", name="this report of the last seven days").click()
    assert json.loads(got.value.path().read_text())["connection"] == "quiet"
    scene.submit("quiet", "QUIET-2", "completed")
    opens(scene, page, "/connections/quiet", "50 % of 2 finished cases")


@pytest.mark.acts("/failures/dead-letters action=send")
def test_dead_letters(scene: Scene, page: Page) -> None:
    """A poll failed five times: the page names its case, and sends it back; the case continues."""
    scene.submit("patient", "DEAD-1")
    wait = wait_of(scene, "patient", "DEAD-1")
    change(scene, wait, next_at=iso(datetime.now(UTC)))
    scene.bury("poll-patient", {"connection": "patient", "reference": "DEAD-1", "seq": int(wait["seq"]["N"])})
    opens(scene, page, "/connections/patient", "the poll queue has 1 dead letter")
    opens(scene, page, "/failures?connection=patient", "1 message of queue poll-patient", "case DEAD-1")
    page.get_by_role("link", name="What the function poll logged").click()
    sees(page, "has logged no error within a day")
    page.get_by_role("button", name="Send back 1 message").click()
    sees(page, "1 dead letter of queue poll-patient: sent back to it.")
    opens(scene, page, "/cases/patient/DEAD-1", "The case has ended as completed")
    assert scene.trail()[-1]["action"] == "redrive"


def test_a_delivery_is_poisoned(scene: Scene, page: Page) -> None:
    """It failed five times in wake: the page links to the delivery, and applies it again."""
    scene.deployment.vendors(webhooks=False)
    scene.submit("patient", "POISON-1")
    wait_of(scene, "patient", "POISON-1")
    page.goto(f"{scene.base}/cases/patient/POISON-1")
    own = page.locator("td.mono").inner_text()
    body = json.dumps({"event": "document_completed", "document_id": own}).encode()
    evidence = EvidenceStore(scene.deployment.client("s3"), scene.deployment.outputs["bucket"])
    key = evidence.keep("patient", "accepted", body, {"content-type": "application/json"})
    scene.bury("wake", {"connection": "patient", "delivery": key})
    page.goto(f"{scene.base}/failures#wake")
    page.get_by_role("link", name=key.rpartition("/")[2].removesuffix(".json")).click()
    sees(page, "Accepted", "document_completed", own)
    page.go_back()
    page.get_by_role("article").filter(has_text="of queue wake").get_by_role("button", name="Send back").click()
    sees(page, "of queue wake: sent back to it.")
    opens(scene, page, "/cases/patient/POISON-1", "The case has ended as completed")
    scene.deployment.vendors(webhooks=True)


@pytest.mark.acts("/cases/{connection}/{reference}/stop")
def test_nothing_explains_it(scene: Scene, page: Page) -> None:
    """Nothing polls a case that waits: the page says that this is a fault, stops the execution, and redrives."""
    scene.deployment.vendors(webhooks=False)
    scene.submit("invoices", "STUCK-1", seconds=4)
    wait = wait_of(scene, "invoices", "STUCK-1")
    table = scene.deployment.client("dynamodb")
    table.delete_item(TableName=scene.deployment.outputs["table"], Key={name: wait[name] for name in ("pk", "sk")})
    change(scene, {**wait, "sk": {"S": "CASE"}}, updated_at=iso(datetime.now(UTC) - timedelta(hours=1)))
    opens(scene, page, "/cases/invoices/STUCK-1", "This is a fault of Dossier", "nothing polls it or works on it")
    page.get_by_role("button", name="Stop the execution").click()
    sees(page, "The execution of STUCK-1 is stopped.", "The case has ended as failed")
    page.reload()
    page.locator("summary", has_text="Redrive").click()
    page.get_by_role("button", name="Redrive this case").click()
    sees(page, "STUCK-1 is resumed where it stopped.", "The case has ended as completed")
    scene.deployment.vendors(webhooks=True)
    assert [each["action"] for each in scene.trail()[-2:]] == ["stop", "redrive"]
