"""Takes the pictures of the console for the documentation, from a real run, and times its list: ``make pictures``."""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from PIL import Image
from playwright.sync_api import Page

from dossier.models import iso, now
from tests.browser.scene import CHROMIUM, MISSING, Scene, opened, visit
from tests.chaos.deployment import ROOT

FOLDER = ROOT / "docs" / "pictures"
LARGEST = 100_000
"""Bytes of the largest picture."""
MANY, TIMES = 10_000, 20
"""Cases in the table, and loads of the list, by which its first paint is measured."""
SIZE = {"width": 980, "height": 640}
PICTURES = {
    "cases": "light",
    "case": "light",
    "case-question": "light",
    "documents": "dark",
    "summaries": "light",
    "timeline": "light",
    "revisions": "light",
    "files": "dark",
    "case-cost": "light",
    "plan": "light",
    "deliveries": "light",
    "delivery": "dark",
    "lost": "light",
    "connections": "dark",
    "connection": "light",
    "check": "light",
    "failures": "light",
    "batches": "light",
    "batch": "light",
    "cost": "light",
    "job": "light",
}
"""The pictures, each of a screen in a color scheme."""


def main() -> int:
    """Take the pictures; return the exit code."""
    if not CHROMIUM:
        print(MISSING)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "home") as scene:
        page = scene.context(viewport=SIZE).new_page()
        page.goto(f"{scene.base}/cost")
        page.get_by_role("button", name="Count").click()
        page.get_by_role("heading", name="By day").wait_for()
        for name, scheme in PICTURES.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            visit(scene, page, name)
            path = FOLDER / f"console-{name}.png"
            page.screenshot(path=path)
            smaller(path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
        large = [path.name for path in FOLDER.glob("console-*.png") if path.stat().st_size > LARGEST]
        print(first_paint(scene, page))
    if large:
        print(f"larger than {LARGEST:,} bytes: {', '.join(large)}")
    return bool(large)


def smaller(path: Path) -> None:
    """Write a picture with at most 256 colors, of which a page has fewer: a third of the bytes."""
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256)
    reduced.save(path, optimize=True)


def first_paint(scene: Scene, page: Page) -> str:
    """Fill the table with many cases; return how long the list takes to be answered and painted.

    As it is kept in memory, and as it is read: each period is its own list, which nobody has read before.
    """
    table = scene.deployment.client("dynamodb")
    begin = now() - timedelta(days=30)
    made = [_case(number, begin + timedelta(minutes=4 * number)) for number in range(MANY)]
    for at in range(0, MANY, 25):
        requests = [{"PutRequest": {"Item": item}} for item in made[at : at + 25]]
        table.batch_write_item(RequestItems={scene.deployment.outputs["table"]: requests})
    answer = []
    for what, paths in (
        ("answered", ["/cases"] * TIMES),
        ("read anew and answered", [f"/cases?since={31 + number}d" for number in range(TIMES)]),
    ):
        answered, painted = [], []
        for path in paths:
            page.goto(scene.base + path)
            page.wait_for_load_state("networkidle")
            answered.append(page.evaluate("performance.getEntriesByType('navigation')[0].responseEnd"))
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        answer.append(
            f"the list of {MANY:,} cases: {what} in {median(answered):.0f} ms, painted in {median(painted):.0f} ms "
            f"(medians of {TIMES}; slowest {max(painted):.0f} ms)"
        )
    return "\n".join(answer)


def _case(number: int, at: datetime) -> dict[str, dict[str, str]]:
    statuses = ("completed", "completed", "completed", "failed", "waiting")
    texts = {
        "pk": f"CASE#invoices#MANY-{number}", "sk": "CASE", "gsi_pk": "CASES#invoices", "gsi_sk": iso(at),
        "connection": "invoices", "reference": f"MANY-{number}", "vendor": "docustack",
        "status": statuses[number % len(statuses)], "fingerprint": "f" * 64, "options": "{}",
        "execution_arn": f"arn:aws:states:us-east-1:000000000000:execution:dossier-dev:invoices-MANY-{number}",
        "submitted_at": iso(at), "updated_at": iso(at), "reason": "a reason of some length, as cases have one",
    }  # fmt: skip
    return {name: {"S": text} for name, text in texts.items()}


if __name__ == "__main__":
    sys.exit(main())
