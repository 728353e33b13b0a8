"""The console in a browser, on the deployed local AWS: every screen, every action, and the keyboard alone."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.scene import AXE, EVIL, RULES, SCREENS, Scene, visit

pytestmark = pytest.mark.timeout(1500)  # the first test waits for the deployment


IN_THE_LIST = re.compile("/cases")


def answered(route: Route, _request: Request, *, status: int | None, body: str) -> None:
    """Answer a request in place of the console; without a status, drop it."""
    if status is None:
        route.abort()
    else:
        route.fulfill(status=status, body=body, content_type="text/html")


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong on a page, each with the elements that it is about."""
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] }).then(found => found.violations)",
        RULES,
    )
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.parametrize("name", SCREENS)
def test_every_screen_is_accessible(scene: Scene, page: Page, name: str) -> None:
    """In light and dark, wide and at 320 pixels: axe finds nothing, and nothing is wider than the screen."""
    scene.complaints.clear()
    visit(scene, page, name)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (name, scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, scheme)
    assert [each for each in scene.complaints if "404 (Not Found)" not in each] == []


def test_a_page_that_cannot_be_refreshed_says_so(scene: Scene, page: Page) -> None:
    """Since when and why; once it is refreshed again, the line goes."""
    page.goto(f"{scene.base}/cases")
    page.wait_for_load_state("networkidle")
    text = page.locator("#stale")
    expect(text).to_be_hidden()
    problem = "<main><h1>This did not work</h1><p>AWS is away</p><p>check the network</p><p>All cases</p></main>"
    for answer, why in (
        (None, "the console does not answer"),
        (401, "the console was started again"),
        (502, "AWS is away; check the network"),
    ):
        page.route(IN_THE_LIST, partial(answered, status=answer, body=problem))
        expect(text).to_contain_text(why)
        expect(text).to_contain_text(re.compile(r"what was true at \d\d:\d\d:\d\d"))
        page.unroute(IN_THE_LIST)
        expect(text).to_be_hidden()


def test_without_scripts_everything_can_be_read(scene: Scene) -> None:
    """Lists, pages, counts; what refreshes by itself is a link."""
    context = scene.context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{scene.base}/cases")
    page.get_by_role("link", name="Count").click()
    expect(page.get_by_role("navigation", name="Views")).to_contain_text(re.compile(r"Failed \d"))
    page.get_by_role("searchbox").fill("CLM-7731")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="CLM-7731").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("CLM-7731")
    context.close()


def test_a_document_is_seen_beside_its_fields(scene: Scene, page: Page) -> None:
    """A PDF as a picture of its page; fields below the limit are marked."""
    page.goto(f"{scene.base}/cases/invoices/INV-2026-0041/results")
    picture = page.get_by_role("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
    expect(page.locator("table.fields").first).to_contain_text("Confidence")
    expect(page.locator("tr.low").first).to_contain_text("Check")


def test_a_scan_is_seen_page_by_page(scene: Scene, page: Page) -> None:
    """A TIFF, which no browser shows, as pictures; the keyboard's next page is a link."""
    page.goto(f"{scene.base}/cases/claims/CLM-7731/results")
    page.get_by_role("navigation", name="Documents").get_by_role("link", name="scan.tiff").click()
    for number, width in ((1, 200), (2, 300)):
        picture = page.get_by_role("img", name=f"Page {number} of the document scan.tiff")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == width
        if number == 1:
            page.get_by_role("link", name="Next page").click()


def test_a_page_that_cannot_be_drawn_is_reported(scene: Scene, page: Page) -> None:
    """In place of a broken picture."""
    page.goto(f"{scene.base}/cases/invoices/RUN-3/results")
    expect(page.get_by_role("main")).to_contain_text("Page 1 cannot be drawn: it is damaged")


@pytest.mark.rule("security: run a script in the console with a name or a document")
def test_a_hostile_name_is_a_name(scene: Scene, page: Page) -> None:
    """A file name and a forged delivery that are markup run nothing, on any screen; they are read as they are."""
    page.goto(f"{scene.base}/cases/invoices/INV-2026-0042")
    expect(page.get_by_role("main")).to_contain_text(EVIL)
    page.goto(f"{scene.base}/deliveries?verdict=refused")
    expect(page.get_by_role("main")).to_contain_text(EVIL)
    page.locator("tbody a").first.click()
    expect(page.get_by_role("main")).to_contain_text(EVIL)
    assert page.locator("img[src=x]").count() == 0
    assert scene.dialogs == []


@pytest.mark.rule("security: reach the console through the operator's browser")
def test_another_site_reaches_nothing(scene: Scene, page: Page) -> None:
    """A page of another port of this machine, in the same browser, gets neither a page nor an action."""
    page.goto(scene.deployment.outputs["endpoint_url"] + "/_ministack/health")
    for options in (
        "{}",
        "{credentials: 'include', mode: 'no-cors'}",
        "{credentials: 'include', method: 'POST', mode: 'no-cors'}",
    ):
        answer = page.evaluate(
            f"url => fetch(url, {options}).then(answer => answer.type, error => 'refused')", f"{scene.base}/cases"
        )
        assert answer in {"refused", "opaque"}
    framed = page.evaluate(
        """url => new Promise(done => {
            const frame = document.createElement('iframe');
            frame.onload = () => { try { done(String(frame.contentDocument)); } catch (error) { done('refused'); } };
            frame.src = url; document.body.append(frame);
        })""",
        f"{scene.base}/cases",
    )
    assert framed in {"refused", "null"}
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(f"{scene.base}/cases").status_code == 401


@pytest.mark.acts("/cases/{connection}/{reference}/resolve answer=give_up")
def test_a_question_is_answered(scene: Scene, page: Page) -> None:
    """Each choice says what it risks; one that is given up can be redriven."""
    scene.submit("dear", "ASK-3", "needs_attention")
    page.goto(f"{scene.base}/cases/dear/ASK-3")
    question = page.get_by_role("region", name="Needs your answer")
    expect(question).to_contain_text("Risk: DocuStack bills 1 page.")
    question.get_by_role("button", name="Give up").click()
    expect(page.get_by_role("status")).to_contain_text("ASK-3 ends as failed.")
    assert scene.trail()[-1]["about"]["answer"] == "give_up"
    expect(page.locator("#head")).to_contain_text("Failed")
    expect(page.locator("summary", has_text="Redrive")).to_be_visible()


@pytest.mark.acts("/cases/{connection}/{reference}/refresh")
def test_a_case_is_refreshed(scene: Scene, page: Page) -> None:
    """From its page."""
    page.goto(f"{scene.base}/cases/claims/CLM-7731")
    page.locator("summary", has_text="Refresh").click()
    page.get_by_role("button", name="Refresh this case").click()
    expect(page.get_by_role("status")).to_contain_text("CLM-7731 is being collected again.")


@pytest.mark.acts("/cases/{connection}/{reference}/redrive")
def test_a_case_is_redriven(scene: Scene, page: Page) -> None:
    """From its page; it fails again, because its key is still wrong."""
    scene.submit("locked", "KEY-4", "failed")
    page.goto(f"{scene.base}/cases/locked/KEY-4")
    page.locator("summary", has_text="Redrive").click()
    page.get_by_role("button", name="Redrive this case").click()
    expect(page.get_by_role("status")).to_contain_text("KEY-4 is resumed where it stopped.")


@pytest.mark.acts("/cases/{connection}/{reference}/cancel")
def test_a_case_is_cancelled(scene: Scene, page: Page) -> None:
    """From its page, which says what the vendor may bill."""
    page.goto(f"{scene.base}/cases/invoices/RUN-1")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this case").click()
    expect(page.get_by_role("status")).to_contain_text("The vendor may bill 1 document.")
    scene.until("invoices", "RUN-1", "cancelled")


@pytest.mark.parametrize(
    ("action", "cases"),
    [
        pytest.param(
            "Refresh", ["INV-2026-0041", "DSP-1180"],
            marks=pytest.mark.acts("/bulk action=refresh", "/bulk/run action=refresh"),
        ),
        pytest.param("Cancel", ["RUN-2"], marks=pytest.mark.acts("/bulk action=cancel", "/bulk/run action=cancel")),
        pytest.param(
            "Redrive", ["KEY-1", "KEY-2"], marks=pytest.mark.acts("/bulk action=redrive", "/bulk/run action=redrive")
        ),
    ],
)  # fmt: skip
def test_selected_cases(scene: Scene, page: Page, action: str, cases: list[str]) -> None:
    """The first page changes nothing; the second shows the progress."""
    page.goto(f"{scene.base}/cases")
    for each in cases:
        page.locator(f'tr[data-row$="/{each}"] input').check()
    expect(page.locator("#chosen")).to_have_text(f"{len(cases)} selected")
    before = len(scene.trail())
    page.get_by_role("button", name=f"{action} …", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Nothing has changed yet.")
    assert len(scene.trail()) == before
    page.get_by_role("button", name=re.compile(f"^{action} {len(cases)} case")).click()
    expect(page.get_by_role("status")).to_contain_text("Finished.")
    assert len(scene.trail()) == before + len(cases)


@pytest.mark.parametrize(
    ("action", "query", "says"),
    [
        pytest.param(
            "Refresh", "connection=disputes&text=DSP-1180", "1 case: collected again",
            marks=pytest.mark.acts("/bulk all=refresh"),
        ),
        pytest.param(
            "Cancel", "connection=disputes&text=DSP-1180", "1 case: ended already",
            marks=pytest.mark.acts("/bulk all=cancel"),
        ),
    ],
)  # fmt: skip
def test_other_actions_on_all_cases_of_a_filter_are_planned(
    scene: Scene, page: Page, action: str, query: str, says: str
) -> None:
    """The plan has its own address: it can be loaded again, and back leads to it."""
    page.goto(f"{scene.base}/cases?{query}")
    page.locator("summary", has_text="All that match").click()
    page.get_by_role("button", name=f"{action} all …").click()
    expect(page.get_by_role("main")).to_contain_text(says)
    page.reload()
    expect(page.get_by_role("main")).to_contain_text(says)
    page.get_by_role("link", name="Back, and change nothing").click()
    page.go_back()
    expect(page.get_by_role("main")).to_contain_text(says)


@pytest.mark.acts("/bulk all=redrive", "/bulk/run action=redrive")
def test_all_cases_of_a_filter(scene: Scene, page: Page) -> None:
    """The page with what would happen changes nothing; those that fit are redriven, each with an entry in the trail."""
    for reference in ("ALL-1", "ALL-2"):
        scene.submit("locked", reference)
    for reference in ("ALL-1", "ALL-2"):
        scene.until("locked", reference, "failed")
    page.goto(f"{scene.base}/cases?connection=locked&text=ALL-")
    page.locator("summary", has_text="All that match").click()
    before = len(scene.trail())
    page.get_by_role("button", name="Redrive all …").click()
    expect(page.get_by_role("main")).to_contain_text("2 cases: resumed; missing documents are sent")
    assert len(scene.trail()) == before
    page.get_by_role("button", name="Redrive 2 cases").click()
    expect(page.get_by_role("status")).to_contain_text("Finished.")
    done = scene.trail()[before:]
    assert sorted(each["about"]["reference"] for each in done) == ["ALL-1", "ALL-2"]
    assert all(each["action"] == "redrive" and each["outcome"]["done"] for each in done)


@pytest.mark.acts("/failures/plan action=dismiss", "/bulk/run action=dismiss", "/failures/dead-letters action=dismiss")
def test_failures_of_a_cause(scene: Scene, page: Page) -> None:
    """They are dismissed, and leave the list; dead letters are deleted."""
    scene.submit("locked", "KEY-5", "failed")
    page.goto(f"{scene.base}/failures?connection=locked")
    page.get_by_role("button", name=re.compile("^Dismiss")).first.click()
    expect(page.get_by_role("main")).to_contain_text("removed from the list of failures")
    page.get_by_role("button", name=re.compile("^Dismiss")).click()
    expect(page.get_by_role("status")).to_contain_text("Finished.")
    page.goto(f"{scene.base}/failures?connection=locked")
    expect(page.get_by_role("main")).to_contain_text("not shown: all failed cases")
    expect(page.get_by_role("link", name="KEY-5")).to_have_count(0)
    scene.bury("drop", {"of": "the tests"})
    page.goto(f"{scene.base}/failures")
    letters = page.get_by_role("article").filter(has_text="of queue drop")
    letters.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("1 dead letter of queue drop: deleted.")


@pytest.mark.acts("/connections/{connection}/pause", "/connections/{connection}/resume")
def test_a_connection_is_paused_and_resumed(scene: Scene, page: Page) -> None:
    """With a reason, which the list of cases shows meanwhile."""
    page.goto(f"{scene.base}/connections")
    card = page.get_by_role("region", name="disputes")
    card.locator("summary").click()
    card.get_by_label("Reason").fill("the contract is being renewed")
    card.get_by_role("button", name="Pause disputes").click()
    expect(page.get_by_role("status")).to_contain_text("disputes is paused")
    page.goto(f"{scene.base}/cases")
    expect(page.get_by_role("main")).to_contain_text("the contract is being renewed")
    page.goto(f"{scene.base}/connections")
    page.get_by_role("button", name="Resume disputes").click()
    expect(page.get_by_role("status")).to_contain_text("disputes continues")


@pytest.mark.acts("/deliveries/replay")
def test_deliveries_are_replayed(scene: Scene, page: Page) -> None:
    """One from its own page; many from the list, of which the forged one stays rejected."""
    page.goto(f"{scene.base}/deliveries?connection=claims&verdict=accepted")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 1 verified, and queued again.")
    page.goto(f"{scene.base}/deliveries?connection=claims")
    page.locator("#all").check()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("no active webhook secret of claims proves it")


@pytest.mark.acts("/cost")
def test_a_month_is_counted(scene: Scene, page: Page) -> None:
    """In the background; the page shows it without being loaded again."""
    page.goto(f"{scene.base}/cost")
    page.get_by_role("button", name=re.compile("^Count")).click()
    expect(page.get_by_role("heading", name="By day")).to_be_visible()


def test_the_keyboard_alone_does_it(scene: Scene, page: Page) -> None:
    """From the list to an answered question, without a mouse: search, rows, selection, help, tabs, the form."""
    keys = page.keyboard
    scene.submit("dear", "ASK-4", "needs_attention")
    page.goto(f"{scene.base}/cases")
    keys.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    keys.press("j")
    keys.press("j")
    keys.press("k")
    keys.press("x")
    expect(page.locator("#chosen")).to_have_text("1 selected")
    first = page.locator("tbody tr").first
    expect(first).to_have_class(re.compile("here"))
    keys.press("/")
    keys.type("ASK-4")
    keys.press("Enter")
    page.wait_for_url("**text=ASK-4**")
    keys.press("j")
    keys.press("Enter")
    page.wait_for_url("**/cases/dear/ASK-4")
    button = page.get_by_role("button", name="Give up")
    for _ in range(60):
        if button.evaluate("each => each === document.activeElement"):
            break
        keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("ASK-4 ends as failed.")
    scene.until("dear", "ASK-4", "failed")
    keys.press("g")
    keys.press("d")
    page.wait_for_url("**/deliveries")


def test_a_list_refreshes_by_itself_and_keeps_the_selection(scene: Scene, page: Page) -> None:
    """A case that is submitted meanwhile appears; the selection stays."""
    page.goto(f"{scene.base}/cases")
    page.locator('tr[data-row$="/DSP-1180"] input').check()
    scene.deployment.submit("invoices", "NEW-1", {"invoice.pdf": b"%PDF-1.7 new"})
    expect(page.locator('tr[data-row$="/NEW-1"]')).to_be_visible()
    expect(page.locator('tr[data-row$="/DSP-1180"] input')).to_be_checked()
    expect(page.locator("#chosen")).to_have_text("1 selected")
