"""Step Functions: the synthesized state machine, with retries, catches, maps, task tokens and the quotas of executions.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.clock import CLOCK
from tests.simulation.evaluation import UndefinedError, evaluate, value_of
from tests.simulation.faults import Faults
from tests.simulation.models.errors import refused
from tests.simulation.models.functions import Failure, Lambda
from tests.simulation.models.wire import Tracing, Wire
from tests.simulation.scheduler import Scheduler, Task

LARGEST_PAYLOAD = 262_144
MOST_EVENTS = 25_000
_EVENTS = {"Task": 5, "Choice": 2, "Pass": 2, "Succeed": 2, "Fail": 1, "Map": 4}
INDEX_LAG = 5.0
"""Seconds after which no index shows a wait that was deleted (the longest lag of the model, and a call)."""
_FATAL = ("States.DataLimitExceeded", "States.Runtime")
"""Errors that no Retry and no Catch sees."""


class FailedError(Exception):
    """A state failed."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name, self.cause = name, cause


Resume = Callable[[Any, FailedError | None], None]
Request = Callable[["Execution", Resume], None]
"""What a strand waits for: it gets a function that resumes the strand, and calls it once."""
Strand = Generator[Request, Any, Any]


@dataclass
class Token:
    """A task token."""

    execution: Execution
    state: str
    resume: Resume | None
    """None once it is answered, or its task has ended."""
    by: Task | None = None
    """The invocation that answered it."""


@dataclass(eq=False)
class Execution:
    """One execution."""

    name: str
    arn: str
    given: Any
    started: float
    status: str = "RUNNING"
    stopped: float | None = None
    error: str = ""
    cause: str = ""
    output: Any = None
    events: int = 2
    transitions: int = 0
    path: list[str] = field(default_factory=list)
    exhausted: bool = False
    """Whether a state has used up its tries, more than one."""
    tokens: list[Token] = field(default_factory=list)
    waiting: Counter[str] = field(default_factory=Counter)
    """What its strands wait for now."""

    @property
    def waits(self) -> bool:
        """Whether any strand waits for something."""
        return any(number > 0 for number in self.waiting.values())


class StateMachine:
    """The executions of one state machine."""

    def __init__(
        self,
        definition: Mapping[str, Any],
        scheduler: Scheduler,
        lambda_: Lambda,
        faults: Faults,
        trace: Tracing,
    ) -> None:
        self._definition = definition
        self._scheduler, self._lambda, self._faults, self._trace = scheduler, lambda_, faults, trace
        self.arn = "arn:aws:states:us-east-1:123456789012:stateMachine:dossier-dev"
        self.executions: dict[str, Execution] = {}
        self.running: dict[str, Execution] = {}
        self.tokens: dict[str, Token] = {}
        self.ended: Callable[[Execution], None] = lambda _: None
        """Hears of each execution that ends."""
        self.delays: Callable[[], float] = lambda: 0.0
        """Returns by how many seconds the account's quota delays the transition that comes now."""
        self.retried: Callable[[FailedError], None] = lambda _: None
        """Hears of each error after which a state is tried again."""
        self.answered_twice: list[str] = []
        self.spoiled: set[Task] = set()
        """Invocations that did not end by themselves: what they did may be done again."""

    # Executions

    def start(self, name: str, text: str) -> Execution:
        """Start an execution."""
        given = json.loads(text)
        if name in self.executions:
            known = self.executions[name]
            if known.status == "RUNNING" and known.given == given:
                return known
            raise refused("ExecutionAlreadyExists", "StartExecution")
        if len(text.encode()) > LARGEST_PAYLOAD:
            raise refused("InvalidExecutionInput", "StartExecution")
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        execution = self.executions[name] = self.running[name] = Execution(name, arn, given, CLOCK.at)
        self._trace("execution starts", execution=name)
        context = {"Execution": {"Id": arn, "Name": name, "Input": given}}
        strand = self._machine(self._definition, given, {}, context, execution)
        self._scheduler.later(0.01, lambda: self._go_on(execution, strand, None, None, self._ended(execution)))
        return execution

    def stop(self, execution: Execution, error: str, cause: str) -> None:
        """Abort an execution."""
        self._end(execution, "ABORTED", error=error, cause=cause)

    def _ended(self, execution: Execution) -> Resume:
        def ended(output: Any, error: FailedError | None) -> None:
            if error is None:
                self._end(execution, "SUCCEEDED", output=output)
            else:
                self._end(execution, "FAILED", error=error.name, cause=error.cause)

        return ended

    def _end(self, execution: Execution, status: str, *, error: str = "", cause: str = "", output: Any = None) -> None:
        if execution.status != "RUNNING":
            return
        execution.status, execution.error, execution.cause = status, error, cause
        execution.output, execution.stopped = output, CLOCK.at
        self._trace("execution ends", execution=execution.name, status=status, error=error, cause=cause[:150])
        self.running.pop(execution.name)
        for token in execution.tokens:
            token.resume = None
        self.ended(execution)

    def _go_on(
        self,
        execution: Execution,
        strand: Strand,
        value: Any,
        error: FailedError | None,
        ended: Resume,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Resume a strand, and have it wait for what it asks for next; nothing if its map has failed."""
        if execution.status != "RUNNING" or given_up():
            return
        try:
            request = strand.send(value) if error is None else strand.throw(error)
        except StopIteration as stop:
            ended(stop.value, None)
            return
        except FailedError as failure:
            ended(None, failure)
            return
        request(execution, lambda found, problem: self._go_on(execution, strand, found, problem, ended, given_up))

    # States

    def _machine(
        self,
        machine: Mapping[str, Any],
        given: Any,
        variables: dict[str, Any],
        context: Mapping[str, Any],
        execution: Execution,
    ) -> Strand:
        name: str | None = machine["StartAt"]
        while name is not None:
            state = machine["States"][name]
            if (late := self.delays()) > 0:
                yield self._sleep(name, late)
            execution.transitions += 1
            execution.path.append(name)
            self._count(execution, _EVENTS[state["Type"]])
            self._trace("state", execution=execution.name, state=name)
            given, name = yield from self._state(name, state, given, variables, context, execution)
            _measure(given)
        return given

    def _state(
        self,
        name: str,
        state: Mapping[str, Any],
        given: Any,
        variables: dict[str, Any],
        context: Mapping[str, Any],
        execution: Execution,
    ) -> Generator[Request, Any, tuple[Any, str | None]]:
        states: dict[str, Any] = {"input": given, "context": {**context, "State": {"Name": name}}}
        kind = state["Type"]
        if kind == "Choice":
            for choice in state["Choices"]:
                if _valued(choice["Condition"], states, variables) is True:
                    return given, choice["Next"]
            return given, state["Default"]
        if kind == "Fail":
            raise FailedError(*(str(_valued(state[key], states, variables)) for key in ("Error", "Cause")))
        try:
            if kind == "Pass":
                result = given
            elif kind == "Map":
                result = yield from self._map(state, states, variables, execution)
            else:
                result = yield from self._retried(name, state, states, variables, execution)
            states["result"] = result
            _assign(state, states, variables)
            output = _valued(state["Output"], states, variables) if "Output" in state else result
        except FailedError as error:
            caught = next((each for each in state.get("Catch", []) if _matches(each, error.name)), None)
            if caught is None:
                raise
            states["errorOutput"] = {"Error": error.name, "Cause": error.cause}
            _assign(caught, states, variables)
            return _valued(caught.get("Output", states["errorOutput"]), states, variables), caught["Next"]
        return output, state.get("Next")

    def _map(
        self, state: Mapping[str, Any], states: dict[str, Any], variables: dict[str, Any], execution: Execution
    ) -> Generator[Request, Any, list[Any]]:
        items = _valued(state["Items"], states, variables)
        at_once = int(_valued(state["MaxConcurrency"], states, variables)) or len(items)
        self._count(execution, 2 * len(items))
        inputs = []
        for number, item in enumerate(items):
            inner = {**states["context"], "Map": {"Item": {"Index": number, "Value": item}}}
            selector = state.get("ItemSelector")
            inputs.append(item if selector is None else _valued(selector, {**states, "context": inner}, variables))
        outputs: list[Any] = [None] * len(items)

        def run(execution: Execution, resume: Resume) -> None:
            left, running, next_one, failed = len(items), 0, 0, False

            def begin() -> None:
                nonlocal running, next_one
                while running < at_once and next_one < len(items):
                    number, next_one = next_one, next_one + 1
                    running += 1
                    strand = self._machine(
                        state["ItemProcessor"], inputs[number], dict(variables), states["context"], execution
                    )
                    done: Resume = lambda found, error, n=number: ended(n, found, error)  # type: ignore[misc]  # noqa: E731
                    self._go_on(execution, strand, None, None, done, lambda: failed)

            def ended(number: int, found: Any, error: FailedError | None) -> None:
                nonlocal left, running, failed
                if failed:
                    return
                if error is not None:
                    failed = True
                    resume(None, error)
                    return
                outputs[number] = found
                left, running = left - 1, running - 1
                if left:
                    begin()
                else:
                    resume(outputs, None)

            if items:
                begin()
            else:
                self._scheduler.later(0, lambda: resume([], None))

        found: list[Any] = yield run
        return found

    def _retried(
        self,
        name: str,
        state: Mapping[str, Any],
        states: dict[str, Any],
        variables: dict[str, Any],
        execution: Execution,
    ) -> Generator[Request, Any, Any]:
        tries: Counter[int] = Counter()
        while True:
            try:
                return (yield from self._task(name, state, states, variables, execution))
            except FailedError as error:
                pause = self._pause(state, error, tries, f"{execution.name}: {name}")
                if pause is None:
                    execution.exhausted = execution.exhausted or tries.total() > 1
                    raise
                self._count(execution, 3)
                self.retried(error)
                self._trace("retry", execution=execution.name, state=name, error=error.name, after=round(pause, 1))
                yield self._sleep(name, pause)

    def _pause(self, state: Mapping[str, Any], error: FailedError, tries: Counter[int], about: str) -> float | None:
        """Return the seconds until the next try, None if there is none."""
        for number, retrier in enumerate(state.get("Retry", [])):
            if not _matches(retrier, error.name):
                continue
            if tries[number] >= retrier.get("MaxAttempts", 3):
                return None
            interval = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** tries[number]
            tries[number] += 1
            interval = min(interval, retrier.get("MaxDelaySeconds", 86_400.0))
            full = retrier.get("JitterStrategy") == "FULL"
            return interval * self._faults.number("jitter", about) if full else interval
        return None

    def _task(
        self,
        name: str,
        state: Mapping[str, Any],
        states: dict[str, Any],
        variables: dict[str, Any],
        execution: Execution,
    ) -> Generator[Request, Any, Any]:
        waits = state["Resource"].endswith(".waitForTaskToken")
        token = ""
        if waits:
            token = f"token-{len(self.tokens)}-{execution.name}-{name}".replace(" ", "-")
            states = {**states, "context": {**states["context"], "Task": {"Token": token}}}
            self._count(execution, 2)
        arguments = _valued(state.get("Arguments", states["input"]), states, variables)
        function = arguments["FunctionName"] if "Payload" in arguments else state["Resource"]
        payload = arguments.get("Payload", arguments)
        _measure(payload)
        verb = str(function).rpartition(":")[2].rpartition("-")[2]
        seconds = _valued(state["TimeoutSeconds"], states, variables) if "TimeoutSeconds" in state else None
        result = yield self._invocation(name, verb, payload, token, seconds)
        _measure(result)
        return result

    def _invocation(self, state: str, verb: str, payload: Any, token: str, seconds: float | None) -> Request:
        def request(execution: Execution, resume: Resume) -> None:
            over = False
            kind = f"{state}: {'token' if token else 'function'}"
            execution.waiting[kind] += 1

            def once(found: Any, error: FailedError | None) -> None:
                nonlocal over
                if over:
                    return
                over = True
                execution.waiting[kind] -= 1
                if token:
                    self.tokens[token].resume = None
                resume(found, error)

            def done(result: Any, failure: Failure | None) -> None:
                if failure is not None:
                    once(None, FailedError(failure.name, failure.cause))
                elif not token:
                    once(result, None)

            if token:
                self.tokens[token] = Token(execution, state, once)
                execution.tokens.append(self.tokens[token])
                if seconds is not None:
                    late = FailedError("States.Timeout", f"the task did not end within {seconds} s")
                    self._scheduler.later(float(seconds), lambda: once(None, late))
            self._lambda.invoke(verb, payload, done, source=f"{execution.name}: {state}")
            if self._faults.strikes("invoke_lost", f"{execution.name}: {state}"):
                lost = FailedError("Lambda.SdkClientException", "the answer was lost")
                self._scheduler.later(self._faults.between("invoke_lost", 0.1, 20.0), lambda: once(None, lost))

        return request

    def _sleep(self, state: str, seconds: float) -> Request:
        def request(execution: Execution, resume: Resume) -> None:
            kind = f"{state}: retry"
            execution.waiting[kind] += 1

            def over() -> None:
                execution.waiting[kind] -= 1
                resume(None, None)

            self._scheduler.later(seconds, over)

        return request

    def _count(self, execution: Execution, events: int) -> None:
        execution.events += events
        if execution.events > MOST_EVENTS:
            raise FailedError("States.Runtime", f"the execution reached {MOST_EVENTS} history events")

    # Tokens

    def answer(self, name: str, output: Any, error: FailedError | None, operation: str) -> None:
        """Answer a task token."""
        token = self.tokens.get(name)
        if token is None:
            raise refused("InvalidToken", operation)
        task = self._scheduler.current
        first = token.by
        # Two polls at once may both answer, and for a moment the index shows a wait that has ended.
        knew = first is not None and first.ended and first not in self.spoiled
        if knew and task is not None and task.began > first.left + INDEX_LAG:
            self.answered_twice.append(name)
        if token.resume is None:
            raise refused("TaskTimedOut", operation, "Task Timed Out: 'Provided task does not exist anymore'")
        token.by = task
        resume, token.resume = token.resume, None
        self._trace("token answered", token=name, output=json.dumps(output)[:100], error=error.name if error else "")
        self._scheduler.later(0.005, lambda: resume(output, error))


class Client:
    """What boto3's Step Functions client does."""

    def __init__(self, machine: StateMachine, wire: Wire) -> None:
        self._machine, self._wire = machine, wire

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002, N803
        """Start an execution."""
        if stateMachineArn != self._machine.arn:
            raise refused("StateMachineDoesNotExist", "StartExecution")
        if not 0 < len(name) <= 80:
            raise refused("InvalidName", "StartExecution")
        started = self._wire.call("stepfunctions", "StartExecution", name, lambda: self._machine.start(name, input))
        return {"executionArn": started.arn}

    def send_task_success(self, *, taskToken: str, output: str) -> dict[str, Any]:  # noqa: N803
        """Answer a token with success."""
        answer = json.loads(output)
        self._wire.call(
            "stepfunctions",
            "SendTaskSuccess",
            taskToken,
            lambda: self._machine.answer(taskToken, answer, None, "SendTaskSuccess"),
        )
        return {}

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> dict[str, Any]:  # noqa: N803
        """Answer a token with failure."""
        if len(error) > 256 or len(cause) > 32_768:
            raise refused("ValidationException", "SendTaskFailure")
        failure = FailedError(error, cause)
        self._wire.call(
            "stepfunctions",
            "SendTaskFailure",
            taskToken,
            lambda: self._machine.answer(taskToken, None, failure, "SendTaskFailure"),
        )
        return {}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """Return an execution."""

        def act() -> dict[str, Any]:
            found = self._find(executionArn, "DescribeExecution")
            answer: dict[str, Any] = {"status": found.status, "input": json.dumps(found.given)}
            if found.stopped is not None:
                answer["stopDate"] = _moment(found.stopped)
            if found.error:
                answer |= {"error": found.error, "cause": found.cause}
            return answer

        return self._wire.call("stepfunctions", "DescribeExecution", executionArn.rpartition(":")[2], act)

    def stop_execution(self, *, executionArn: str, error: str, cause: str) -> dict[str, Any]:  # noqa: N803
        """Abort an execution."""

        def act() -> None:
            self._machine.stop(self._find(executionArn, "StopExecution"), error, cause)

        self._wire.call("stepfunctions", "StopExecution", executionArn.rpartition(":")[2], act)
        return {}

    def _find(self, arn: str, operation: str) -> Execution:
        found = self._machine.executions.get(arn.rpartition(":")[2])
        if found is None:
            raise refused("ExecutionDoesNotExist", operation)
        return found


def _moment(at: float) -> Any:
    now = CLOCK.now()
    return now.fromtimestamp(now.timestamp() - CLOCK.at + at, now.tzinfo)


def _valued(value: Any, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    try:
        return value_of(value, states, variables)
    except UndefinedError as error:
        raise FailedError("States.QueryEvaluationError", str(error)) from error


def _assign(state: Mapping[str, Any], states: Mapping[str, Any], variables: dict[str, Any]) -> None:
    found = {name: _valued(each, states, variables) for name, each in state.get("Assign", {}).items()}
    variables.update(found)


def _matches(handler: Mapping[str, Any], name: str) -> bool:
    """Return whether a Retry or Catch is for an error."""
    if name in _FATAL:
        return False
    named = handler["ErrorEquals"]
    return name in named or "States.ALL" in named or ("States.TaskFailed" in named and name != "States.Timeout")


def _measure(payload: Any) -> None:
    if payload and len(json.dumps(payload)) > LARGEST_PAYLOAD:
        raise FailedError("States.DataLimitExceeded", "the state's payload has more than 262,144 bytes")


__all__ = ["Client", "Execution", "FailedError", "StateMachine", "Token", "evaluate"]
