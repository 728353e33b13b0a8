"""The batches and their progress."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cli.batch_watch import look
from console.desk import Desk, NotFoundError
from dossier.stores.batches import ID, Progress

SHOWN = 50
"""Batches of the page, latest first."""
_AT_ONCE = 8


def index(desk: Desk, request: Request) -> Response:
    """Return the page with the latest batches: two requests for the progress of each, however many cases it has."""
    app = desk.app

    def described(batch: str) -> dict[str, Any]:
        return app.batches.describe(batch) or {}

    def progress(about: dict[str, Any]) -> tuple[dict[str, Any], Progress | None]:
        run = app.batches.latest_run(about["batch_id"]).run
        return about, app.batch_runs.progress(about["batch_id"], run) if run else None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [each for each in pool.map(described, app.batches.ids()) if each.get("batch_id")]
        found.sort(key=lambda each: str(each.get("stored_at", "")), reverse=True)
        rows = list(pool.map(progress, found[:SHOWN]))
    return desk.page(request, "batches.html", rows=rows, more=max(0, len(found) - SHOWN))


def one(desk: Desk, request: Request) -> Response:
    """Return the page of one batch: the states of its cases, and the bad lines of its file."""
    batch = request.path_params["batch"]
    about = desk.app.batches.describe(batch) if ID.fullmatch(batch) else None
    if about is None:
        raise NotFoundError(f"there is no batch {batch}")
    outcome = look(desk.where, batch)
    return desk.page(
        request, "batch.html", about=about, outcome=outcome, counts=outcome.tally.as_json(),
        bad=desk.app.batches.bad(batch)[:100],
    )  # fmt: skip
