"""Walks the synthesized state machine itself, state by state, over the steps in process: Step Functions, in small.

Every JSONata expression is evaluated as the local AWS does, by the same library. What is walked is what is deployed, so
transitions, payloads and the inputs of expressions are counted and recorded here, and not written down by hand.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import jsonata

from dossier.errors import DossierError
from dossier.models import CaseId
from dossier.steps.context import uncounted
from dossier.steps.hold import resume
from dossier.steps.poll import poll
from dossier.steps.poll import resume as resume_step
from tests.machine import ROOT, World

Task = Callable[[str, Mapping[str, Any]], Any]
"""Does a verb's work with a payload; returns its answer, or, where a token is waited for, the token's."""
TOKEN = "token"
EVENTS = {"Task": 5, "Choice": 2, "Pass": 2, "Succeed": 2, "Fail": 1, "Map": 4}
"""Events that a state adds to an execution's history: entered, scheduled, started, ended, exited; a token's two more.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html"""


class FailedError(Exception):
    """A state failed, with the name and the cause by which Step Functions knows it."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name, self.cause = name, cause


@dataclass
class Walk:
    """One execution.

    Attributes:
        definition: the state machine's.
        task: does the verbs' work.
        name: of the execution.
        entered: the states in the order in which they were entered, those in maps too: the transitions.
        invoked: the verbs that were called, in order.
        evaluations: each expression that was evaluated, with what it saw and gave.
        steps: what each state saw, what its task gave, and what came next.
        largest: bytes of the largest payload that went from a state to another, or to a function.
        events: of the execution's history.
        outcome: how it ended.
        output: the execution's.

    """

    definition: Mapping[str, Any]
    task: Task
    name: str = "execution"
    entered: list[str] = field(default_factory=list)
    invoked: list[str] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    largest: int = 0
    events: int = 2
    outcome: str = ""
    output: Any = None

    def run(self, given: Any) -> Any:
        """Walk the execution to its end; return its output, or the error and cause that it failed with."""
        self._execution = {
            "Id": f"arn:aws:states:us-east-1:123456789012:execution:dossier-dev:{self.name}",
            "Name": self.name,
            "Input": given,
        }
        try:
            self.output = output = self._machine(self.definition, given, {})
        except FailedError as error:
            self.outcome = "FAILED"
            return {"error": error.name, "cause": error.cause}
        self.outcome = "SUCCEEDED"
        return output

    def _machine(self, machine: Mapping[str, Any], given: Any, variables: dict[str, Any]) -> Any:
        name: str | None = machine["StartAt"]
        while name is not None:
            state = machine["States"][name]
            self.entered.append(name)
            self.events += EVENTS[state["Type"]]
            step: dict[str, Any] = {"state": name, "input": given, "variables": dict(variables), "mock": None}
            self.steps.append(step)
            try:
                given, name = self._state(name, state, given, variables, step)
            except FailedError:
                step.update(status="FAILED", next=None)
                raise
            step.update(status="CAUGHT_ERROR" if "errorOutput" in (step["mock"] or {}) else "SUCCEEDED", next=name)
            self._measure(given)
        return given

    def _state(
        self,
        name: str,
        state: Mapping[str, Any],
        given: Any,
        variables: dict[str, Any],
        step: dict[str, Any],
    ) -> tuple[Any, str | None]:
        states = {"input": given, "context": {"Execution": self._execution, "State": {"Name": name}}}
        step["context"] = states["context"]
        if state["Type"] == "Choice":
            for choice in state["Choices"]:
                if self._value(choice["Condition"], states, variables) is True:
                    return given, choice["Next"]
            return given, state["Default"]
        if state["Type"] == "Fail":
            raise FailedError(*(str(self._value(state[key], states, variables)) for key in ("Error", "Cause")))
        try:
            result = self._result(state, states, variables)
        except FailedError as error:
            step["mock"] = {"errorOutput": {"error": error.name, "cause": error.cause}}
            caught = next((each for each in state.get("Catch", []) if _catches(each, error.name)), None)
            if caught is None:
                raise
            states["errorOutput"] = {"Error": error.name, "Cause": error.cause}
            self._assign(caught, states, variables)
            return self._value(caught.get("Output", states["errorOutput"]), states, variables), caught["Next"]
        if state["Type"] in {"Task", "Map"}:
            states["result"] = result
            step["mock"] = {"result": json.dumps(result)}
        self._assign(state, states, variables)
        output = self._value(state["Output"], states, variables) if "Output" in state else result
        return output, state.get("Next")

    def _result(self, state: Mapping[str, Any], states: dict[str, Any], variables: dict[str, Any]) -> Any:
        if state["Type"] == "Pass":
            return states["input"]
        if state["Type"] == "Map":
            items = self._value(state["Items"], states, variables)
            self._value(state["MaxConcurrency"], states, variables)
            self.events += 2 * len(items)
            return [
                self._machine(
                    state["ItemProcessor"], self._item(state, states, variables, number, each), dict(variables)
                )
                for number, each in enumerate(items)
            ]
        if state["Resource"].endswith(".waitForTaskToken"):
            states["context"]["Task"] = {"Token": f"{TOKEN}-{len(self.entered)}"}
            self.events += 2
        arguments = self._value(state.get("Arguments", states["input"]), states, variables)
        if "TimeoutSeconds" in state:
            self._value(state["TimeoutSeconds"], states, variables)
        function = arguments["FunctionName"] if "Payload" in arguments else state["Resource"]
        payload = arguments.get("Payload", arguments)
        self._measure(payload)
        verb = str(function).strip("{}").rpartition(":")[2].rpartition("-")[2]
        self.invoked.append(verb)
        try:
            result = self.task(verb, json.loads(json.dumps(payload)))
        except DossierError as error:
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            raise FailedError(type(error).__name__, cause) from error
        self._measure(result)
        return json.loads(json.dumps(result))

    def _item(
        self, state: Mapping[str, Any], states: dict[str, Any], variables: Mapping[str, Any], number: int, item: Any
    ) -> Any:
        """Return the input of a map's iteration."""
        if "ItemSelector" not in state:
            return item
        context = {**states["context"], "Map": {"Item": {"Index": number, "Value": item}}}
        return self._value(state["ItemSelector"], {**states, "context": context}, variables)

    def _assign(self, state: Mapping[str, Any], states: dict[str, Any], variables: dict[str, Any]) -> None:
        found = {name: self._value(value, states, variables) for name, value in state.get("Assign", {}).items()}
        variables.update(found)

    def _value(self, value: Any, states: dict[str, Any], variables: Mapping[str, Any]) -> Any:
        if isinstance(value, dict):
            return {name: self._value(each, states, variables) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, states, variables) for each in value]
        if not isinstance(value, str) or not value.startswith("{%"):
            return value
        # What states and variables hold is JSON that nothing changes: copying it all for each of a thousand items would
        # take most of the time.
        saw = {**states, "context": dict(states["context"])}
        seen = {"expression": value[2:-2].strip(), "states": saw, "variables": dict(variables)}
        found = json.loads(json.dumps(evaluate(**seen)))
        self.evaluations.append({**seen, "value": found})
        return found

    def _measure(self, payload: Any) -> None:
        self.largest = max(self.largest, len(json.dumps(payload, ensure_ascii=False).encode()))


def evaluate(expression: str, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression as the local AWS does.

    Raises:
        FailedError: it gives nothing, or cannot be evaluated.

    """
    nothing = jsonata.utils.Utils.NULL_VALUE
    bindings = {name: nothing if value is None else value for name, value in variables.items()}
    try:
        found = jsonata.Jsonata.jsonata(expression).evaluate(None, {**bindings, "states": states})
    except jsonata.jexception.JException as error:
        raise FailedError("States.QueryEvaluationError", str(error)) from error
    if found is None:
        raise FailedError("States.QueryEvaluationError", f"{expression} gives nothing")
    return found


def _catches(catch: Mapping[str, Any], name: str) -> bool:
    return bool({name, "States.ALL"} & set(catch["ErrorEquals"]))


class Handlers:
    """The functions' own handlers, over a world in process: what a state calls when it is walked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._handlers: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.polls = 0
        """Poll messages that were served."""
        self.asking: Counter[str] = Counter()
        """Invocations, by verb, that needed the vendor's key."""
        self.caller = ""
        """The verb at work."""

    def __call__(self, verb: str, payload: Mapping[str, Any]) -> Any:
        """Call a verb's function; where it gets a token, bring about the token's answer, and return that."""
        event = dict(payload)
        answer = self.begin(verb, event)
        token = event.get("token")
        if token is None:
            return answer
        names = CaseId(str(event["connection"]), str(event["reference"]))
        if verb == "ask":
            self._world._answer(event["what"], names)
            return {"answer": "again"}
        if "held" in event:
            return self._resumed(token, names)
        return self._polled(token, names)

    def _resumed(self, token: str, names: CaseId) -> Any:
        """End the operator's pause; return what the held step continues with."""
        context = self._world.context
        resume(names.connection, context=context)
        for step in list(context.waits.steps_of(names)):
            self.invoke("poll", partial(resume_step, names, step.name, context=context))
        return self._world.tokens.answers.pop(token)

    def _polled(self, token: str, names: CaseId) -> Any:
        world = self._world
        waits = world.cloud.app.waits
        while token not in world.tokens.answers and (current := waits.find(names)) is not None:
            self.invoke("poll", partial(poll, names, current.seq, context=world.context))
            self.polls += 1
        answer = world.tokens.answers.pop(token)
        if isinstance(answer, DossierError):
            raise answer
        return answer

    def begin(self, verb: str, event: dict[str, Any]) -> Any:
        """Call a verb's function, and leave its token alone."""
        if verb not in self._handlers:
            self._handlers[verb] = self.load(verb)
        return self.invoke(verb, partial(self._handlers[verb], event))

    def invoke(self, verb: str, function: Callable[[], Any]) -> Any:
        """Call a function, and note who it is and whether it needs its vendor's key."""
        asked, self.caller = self._world.keys.asked, verb
        self._world.context.limiter._read.clear()  # each function has its own environment
        try:
            return self._world._try(function)
        finally:
            self.caller = ""
            self.asking[verb] += self._world.keys.asked > asked

    def load(self, verb: str, **others: object) -> Callable[[dict[str, Any]], Any]:
        """Return ``functions/<verb>`` without what observes it, with the world in place of what it would make.

        Args:
            verb: names the folder.
            others: more of the module's names, and what to put in their places.

        """
        spec = importlib.util.spec_from_file_location(f"{verb}_handler", ROOT / "functions" / verb / "handler.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        own = {"context": lambda: self._world.context} | ({"count": uncounted} if hasattr(module, "count") else {})
        vars(module).update(own | others)
        return partial(_with_context, inspect.unwrap(module.handler))


def _with_context(handler: Callable[[dict[str, Any], Any], Any], event: dict[str, Any]) -> Any:
    return handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000))
