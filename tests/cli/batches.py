"""Runs batches in memory like the deployed state machine, over moto's executions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.stepfunctions.models import Execution

from dossier.steps.batches import summarize
from dossier.stores.batches import run_key
from tests.cli.conftest import Dossier, executions_of


@dataclass
class Run:
    """A Map Run: its cases that are not started, and the executions of those that are."""

    waiting: list[dict[str, Any]]
    concurrency: int
    total: int
    started: list[str] = field(default_factory=list)
    before: int = 0
    """Cases whose execution existed already."""


class Runs:
    """Runs batches while the command sleeps."""

    def __init__(self, dossier: Dossier) -> None:
        self._dossier = dossier
        self._runs: dict[str, Run] = {}

    def __call__(self) -> None:
        """Advance every run: start cases up to its concurrency, and end it once all have ended."""
        for each in executions_of("dossier-dev-batch"):
            if each.status == "RUNNING":
                self._advance(each)

    def executions(self) -> list[Execution]:
        """Return the runs' executions."""
        return executions_of("dossier-dev-batch")

    def views(self, execution_arn: str) -> dict[str, Any]:
        """Answer ListMapRuns."""
        known = [{"mapRunArn": execution_arn}] if execution_arn in self._runs else []
        return {"mapRuns": known}

    def view(self, arn: str) -> dict[str, Any]:
        """Answer DescribeMapRun."""
        run = self._runs[arn]
        by_status = {each.execution_arn: each.status for each in self._dossier.executions()}
        found = [by_status[each] for each in run.started]
        failed = sum(each == "FAILED" for each in found)
        running = sum(each == "RUNNING" for each in found)
        counts = {
            "pending": len(run.waiting),
            "running": running,
            "succeeded": len(found) - failed - running + run.before,
            "failed": failed,
            "timedOut": 0,
            "aborted": 0,
            "total": run.total,
        }
        began = datetime.now(UTC).timestamp() - 60
        return {"mapRunArn": arn, "itemCounts": counts, "maxConcurrency": run.concurrency, "startDate": began}

    def widen(self, arn: str, concurrency: int) -> None:
        """Answer UpdateMapRun."""
        self._runs[arn].concurrency = concurrency

    def _advance(self, execution: Execution) -> None:
        given, arn = json.loads(execution.execution_input), execution.execution_arn
        app = self._dossier.cloud.app
        if arn not in self._runs:
            items = [json.loads(line) for line in app.objects.lines(run_key(given["batch"], given["run"]))]
            self._runs[arn] = Run(items, given["concurrency"], len(items))
        run = self._runs[arn]
        running = self.view(arn)["itemCounts"]["running"]
        while run.waiting and running < run.concurrency:
            item = run.waiting.pop(0)
            if app.executions.status(app.executions.arn_of(item["name"])) is None:
                run.started.append(app.executions.start(item["name"], item["input"]))
                running += 1
            else:
                run.before += 1
        counts = self.view(arn)["itemCounts"]
        if counts["pending"] + counts["running"] == 0:
            summarize(given["batch"], given["run"], context=app)
            execution.status = "SUCCEEDED"


def jsonl(path: Path, *cases: Any) -> Path:
    """Write a batch's file: each case as JSON, or a text as it is."""
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in cases))
    return path
