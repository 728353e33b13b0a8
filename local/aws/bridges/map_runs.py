"""The children of a Map Run: how many run at once can be changed, and the end of the parent ends the run.

On AWS ``UpdateMapRun`` takes effect at once, and a parent that is stopped aborts its Map Run: no child starts after
that, and those that run are aborted
(https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html).

MiniStack starts all children in a pool of a fixed size, whatever becomes of the parent. This module runs them in its
place; ``distributed_map`` prepares them.
"""

import contextvars
import copy
import json
import threading
from typing import Any

from local.aws.bridges.task_tokens import close
from local.aws.pinned import responses, stepfunctions

_LOOK = 0.5  # seconds between two looks at the parent, if nothing else happens
_COUNTS = ("pending", "running", "succeeded", "failed", "timedOut", "aborted", "total", "resultsWritten",
           "failuresNotRedrivable", "pendingRedrive")  # fmt: skip


class MapRun:
    """One Map Run.

    Attributes:
        arn: its ARN.
        results: the children's outputs, in the order of the items; None for a child that did not succeed.

    """

    def __init__(self, state: dict[str, Any], iterator: dict[str, Any], execution: dict[str, Any], ctx: Any) -> None:
        self._state, self._iterator, self._execution, self._ctx = state, iterator, execution, ctx
        machine = execution["stateMachineArn"].split(":")
        where, name = f"{machine[3]}:{machine[4]}", machine[6]
        label = state.get("Label") or responses.new_uuid()
        self._child_machine = f"arn:aws:states:{where}:stateMachine:{name}/{label}"
        self._child = f"arn:aws:states:{where}:execution:{name}/{label}"
        self.arn = f"arn:aws:states:{where}:mapRun:{name}/{label}:{responses.new_uuid()}"
        self._record: dict[str, Any] = {}
        self._changed = threading.Condition()
        self.results: list[Any] = []

    def run(self, items: list[Any]) -> list[Any]:
        """Run a child for each item and return their outputs.

        Raises:
            _ExecutionError: more children failed than the state tolerates, or the parent has ended.

        """
        zero = dict.fromkeys(_COUNTS, 0)
        self.results = [None] * len(items)
        self._record = {
            "mapRunArn": self.arn,
            "executionArn": self._execution["executionArn"],
            "status": "RUNNING",
            "startDate": stepfunctions.now_iso(),
            "maxConcurrency": int(self._state.get("MaxConcurrency") or 0),
            "toleratedFailurePercentage": float(self._state.get("ToleratedFailurePercentage") or 0),
            "toleratedFailureCount": int(self._state.get("ToleratedFailureCount") or 0),
            "itemCounts": {**zero, "total": len(items), "pending": len(items)},
            "executionCounts": {**zero, "total": len(items), "pending": len(items)},
            "redriveCount": 0,
            "_stateMachineArn": self._child_machine,
        }
        stepfunctions._map_runs[self.arn] = self._record
        children = self._start_all(items)
        self._record["stopDate"] = stepfunctions.now_iso()
        if self._stopped:
            self._abort(children)
            self._record["status"] = "ABORTED"
            raise stepfunctions._ExecutionError("States.Runtime", "the execution has ended")
        if self._exceeded(len(items)):
            self._record["status"] = "FAILED"
            raise stepfunctions._ExecutionError(
                "States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded"
            )
        self._record["status"] = "SUCCEEDED"
        return self.results

    @property
    def _stopped(self) -> bool:
        return bool(self._execution["status"] != "RUNNING")

    @property
    def _running(self) -> int:
        return int(self._record["itemCounts"]["running"])

    def _start_all(self, items: list[Any]) -> list[dict[str, Any]]:
        """Start the children, as many at once as the record says at that time, and wait for them."""
        children: list[dict[str, Any]] = []
        with self._changed:
            for index, item in enumerate(items):
                while not self._stopped and 0 < self._record["maxConcurrency"] <= self._running:
                    self._changed.wait(_LOOK)
                if self._stopped:
                    break
                child = self._new_child(item)
                children.append(child)
                self._count("pending", "running")
                run = contextvars.copy_context().run
                threading.Thread(target=run, args=(self._run_child, index, item, child), daemon=True).start()
            while self._running and not self._stopped:
                self._changed.wait(_LOOK)
        return children

    def _new_child(self, item: Any) -> dict[str, Any]:
        name = responses.new_uuid()
        child = {
            "executionArn": f"{self._child}:{name}",
            "stateMachineArn": self._child_machine,
            "name": name,
            "status": "RUNNING",
            "startDate": stepfunctions.now_iso(),
            "stopDate": None,
            "input": json.dumps(item),
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "mapRunArn": self.arn,
            "events": [],
            "testCase": self._execution.get("testCase"),
            "mockAttempts": {},
        }
        stepfunctions._executions[child["executionArn"]] = child
        return child

    def _run_child(self, index: int, item: Any, child: dict[str, Any]) -> None:
        ctx = {**copy.deepcopy(self._ctx), "Map": {"Item": {"Index": index, "Value": item}}}
        try:
            output = stepfunctions._run_sub_machine(
                self._iterator.get("States", {}), self._iterator.get("StartAt"), item, child, ctx
            )
        except Exception as problem:  # noqa: BLE001 -- whatever a state raises ends its child
            known = isinstance(problem, stepfunctions._ExecutionError)
            error: Any = problem if known else stepfunctions._ExecutionError("States.TaskFailed", str(problem))
            self._end(child, "failed", status="FAILED", error=error.error, cause=error.cause)
        else:
            self.results[index] = output
            self._end(child, "succeeded", status="SUCCEEDED", output=json.dumps(output))

    def _end(self, child: dict[str, Any], outcome: str, **changes: Any) -> None:
        with self._changed:
            if child["status"] == "RUNNING":
                child.update(stopDate=stepfunctions.now_iso(), **changes)
                self._count("running", outcome)
            self._changed.notify_all()

    def _abort(self, children: list[dict[str, Any]]) -> None:
        with self._changed:
            for child in children:
                if child["status"] == "RUNNING":
                    child.update(status="ABORTED", stopDate=stepfunctions.now_iso())
                    self._count("running", "aborted")
                    close(child["executionArn"])
            while self._record["itemCounts"]["pending"]:
                self._count("pending", "aborted")

    def _count(self, before: str, after: str) -> None:
        for counts in (self._record["itemCounts"], self._record["executionCounts"]):
            counts[before] -= 1
            counts[after] += 1

    def _exceeded(self, total: int) -> bool:
        failed = self._record["itemCounts"]["failed"]
        tolerated = []
        if "ToleratedFailureCount" in self._state:
            tolerated.append(failed > self._record["toleratedFailureCount"])
        if "ToleratedFailurePercentage" in self._state:
            tolerated.append(failed * 100 > self._record["toleratedFailurePercentage"] * total)
        return bool(failed) and (any(tolerated) if tolerated else True)
