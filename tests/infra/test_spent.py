"""``dossier cost`` against the counts of AWS in memory: the sums of the functions' log lines and the histories."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aws_cdk.aws_logs import RetentionDays

from checks.cost import CONNECTIONS, Metered
from checks.places import PLACES, Filled
from cli.cost import EVERY, KEPT, cost
from cli.cost import MEMORY as UNMEASURED
from cli.output import Output
from cli.target import Target
from dossier import usage
from dossier.layout import costs_key
from dossier.models import CaseId, now
from dossier.pricing import Spent, prices
from infra.function import LOG_RETENTION, MEMORY
from tests.conftest import BUCKET, REGION, Cloud, in_memory
from tests.dynamodb import Http
from tests.infra.synthesis import Synthesized
from tests.tables import ROOT

CASES = int(os.environ.get("DOSSIER_COST_CASES", "3"))
"""How many cases are counted: 100 for docs/cost.md."""
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:dossier-dev"


class Stage(Metered):
    """An account with Dossier in it, whose functions leave their lines in the log, and executions their histories."""

    def __init__(self, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        usage.OWN.attach(cloud.session.events)
        cloud.app.environment = cloud.app.environment.model_copy(update={"state_machine_arn": MACHINE})
        for operation in ("GetExecutionHistory", "ListExecutions"):
            cloud.session.events.register(f"before-call.stepfunctions.{operation}", self._answer)
        super().__init__(cloud)
        self._capsys, self._logs, self._begun = capsys, cloud.session.client("logs"), datetime.now(UTC)
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.metered = Spent()
        """What AWS has counted of the functions, and of the executions."""
        self.lost = 0
        """Invocations whose line is left out."""
        inner = self._handlers.invoke
        for verb in EVERY:
            self._logs.create_log_group(logGroupName=f"/aws/lambda/dossier-dev-{verb}")
            self._logs.create_log_stream(logGroupName=f"/aws/lambda/dossier-dev-{verb}", logStreamName="s")

        def invoke(verb: str, function: Callable[[], Any]) -> Any:
            called = usage.measured(lambda _event, _context: inner(verb, function))
            before = self.counts()
            with self._logged(verb):
                try:
                    return called({}, SimpleNamespace(memory_limit_in_mb=str(MEMORY)))
                finally:  # what happens between the functions is the test's
                    used = self.counts().minus(before)
                    spent = Spent(0, 0, 1, 0, used.read_units, used.write_units, used.requests, verb == "poll")
                    self.metered.add(spent)

        vars(self._handlers)["invoke"] = invoke

    @contextmanager
    def _logged(self, verb: str) -> Iterator[None]:
        """Write what a function prints into its log; its handler says which case it is about."""
        self._capsys.readouterr()
        try:
            yield
        finally:
            lines = [
                json.dumps(json.loads(line) | self._names)
                for line in self._capsys.readouterr().out.splitlines()
                if usage.USED in line
            ]
            if self.lost:
                self.lost, lines = self.lost - 1, []
            events: Any = [{"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": each} for each in lines]
            if events:
                group = f"/aws/lambda/dossier-dev-{verb}"
                self._logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)

    def case(self, definition: Mapping[str, Any], connection: str, reference: str) -> None:
        """Run a case, and keep the history of its execution."""
        self._names = {"connection": connection, "reference": reference}
        self.walk(definition, connection, reference)
        assert self.walked is not None
        self.metered.transitions += len(self.walked.entered)
        kinds = {name: each["Type"] for name, each in _states(definition)}
        entered = [f"{kinds[name]}StateEntered" for name in self.walked.entered]
        scheduled = ["LambdaFunctionScheduled"] * len(self.walked.invoked)
        began = {"executionStartedEventDetails": {"input": json.dumps({**self._names, "documents": []})}}
        self.histories[self.cloud.app.cases.get(CaseId(connection, reference)).record.execution_arn] = [
            {"id": 1, "type": "ExecutionStarted", "timestamp": self._begun, **began},
            *(
                {"id": number, "type": kind, "timestamp": self._begun}
                for number, kind in enumerate([*entered, *scheduled], 2)
            ),
        ]

    def _answer(self, model: Any, params: Mapping[str, Any], **_: Any) -> tuple[Http, dict[str, Any]]:
        text = json.loads(params["body"])
        if model.name == "ListExecutions":
            found = [{"executionArn": arn, "startDate": self._begun} for arn in self.histories]
            return Http(200, {}), {"executions": found}
        if text["executionArn"] not in self.histories:
            return Http(400, {}), {"Error": {"Code": "ExecutionDoesNotExist", "Message": "none"}}
        return Http(200, {}), {"events": self.histories[text["executionArn"]]}

    def ask(self, *, reference: str | None = None, connection: str | None = None, month: str | None = None) -> Any:
        """Return the document of ``dossier cost --json``."""
        where = Target(
            connections=list(CONNECTIONS),
            webhook_urls={},
            api_url="",
            bucket=BUCKET,
            table="cases",
            state_machine_arn=MACHINE,
            event_bus="dossier",
            stage="dev",
            region=REGION,
            endpoint_url=None,
            session=self.cloud.session,
        )
        vars(where)["app"] = self.cloud.app
        self._capsys.readouterr()
        cost(Output(as_json=True), where, reference, connection=connection, month=month)
        return json.loads(self._capsys.readouterr().out)


def _states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


@pytest.fixture
def stage(stack: Synthesized, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """An account whose requests are metered."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with in_memory() as cloud:
        yield Stage(cloud, capsys)


@pytest.fixture(scope="module")
def definition(stack: Synthesized) -> dict[str, Any]:
    """Return the state machine's definition."""
    machine = Filled(stack.template, stack.name, PLACES[0]).machines()[0]
    found: dict[str, Any] = json.loads(machine["DefinitionString"])
    return found


COUNTED = ("transitions", "invocations", "read_units", "write_units", "s3_writes", "s3_reads", "sqs_requests", "events")


def test_what_cases_cost_is_what_aws_counts(stage: Stage, definition: dict[str, Any]) -> None:
    """Of each case, of all together, and of the month: equal to the meter's counts, which know nothing of the lines."""
    for number in range(CASES):
        stage.case(definition, CONNECTIONS[number % 3], f"R-{number}")
    expected = stage.metered.counts()
    found = [stage.ask(reference=f"R-{number}") for number in range(CASES)]
    by_month = stage.ask(month=f"{now():%Y-%m}")
    together = {name: sum(each["counts"][name] for each in found) for name in COUNTED}
    of_month = {name: sum(each["counts"][name] for each in by_month["connections"].values()) for name in COUNTED}
    assert together == of_month == {name: expected[name] for name in COUNTED}
    assert all(each["missing"] == [] and each["unmeasured"] == 0 for each in found)
    assert by_month["stage"]["counts"]["invocations"] == 0
    assert sum(each["cases"] for each in by_month["connections"].values()) == CASES


def test_a_case_has_a_price_by_item_and_its_vendors_pages(stage: Stage, definition: dict[str, Any]) -> None:
    """AWS and the vendor are apart; without a price of a page the vendor's is unknown."""
    stage.case(definition, "invoices", "R-1")
    stage.case(definition, "invoices", "R-2")
    found = stage.ask(reference="R-1", connection="invoices")
    assert found["aws_usd"] == pytest.approx(sum(found["items"].values()))
    assert 0.0002 < found["aws_usd"] < 0.0005
    assert (found["connection"], found["reference"], found["vendor_usd"]) == ("invoices", "R-1", None)
    assert found["counts"]["pages"] == 1
    assert found["items"]["state transitions"] == pytest.approx(7 * prices()["states"]["transition"])
    assert found["prices_as_of"] == prices()["as_of"]


def test_erased_cases_count_for_the_vendors_part(stage: Stage, definition: dict[str, Any]) -> None:
    """As on its bill, which `dossier invoice` foretells: their pages stay known when the cases are not."""
    stage.case(definition, "invoices", "R-1")
    erased, forgotten = CaseId("invoices", "R-2"), stage.cloud.app.forgotten
    forgotten.begin(erased, id="1", plan="{}", month=f"{now():%Y-%m}", pages=3)
    forgotten.end(erased)
    found = stage.ask(month=f"{now():%Y-%m}")["connections"]["invoices"]
    assert (found["cases"], found["counts"]["pages"]) == (2, 4)


def test_an_invocation_without_a_line_is_reported(stage: Stage, definition: dict[str, Any]) -> None:
    """A former version's, or a killed function's: it counts with its assumed time, and the answer says so."""
    stage.lost = 2
    stage.case(definition, "invoices", "R-1")
    found = stage.ask(reference="R-1")
    assert found["unmeasured"] == 2
    assert found["counts"]["invocations"] == stage.metered.invocations
    [line] = found["missing"]
    assert line.startswith("the requests of 2 invocations that left no line")
    assert stage.ask(month=f"{now():%Y-%m}")["missing"] == [line]


def test_a_month_that_is_over_is_read_once(stage: Stage, definition: dict[str, Any]) -> None:
    """Its figures stay when histories and logs are gone; they name no case. The running month is never stored."""
    stage.case(definition, "invoices", "R-1")
    stage.ask(month=f"{now():%Y-%m}")
    assert stage.cloud.app.objects.read(costs_key(f"{now():%Y-%m}")) is None
    last = f"{now().replace(day=1) - timedelta(days=1):%Y-%m}"
    first = stage.ask(month=last)
    stored = stage.cloud.app.objects.read(costs_key(last))
    assert stored is not None
    assert b"R-1" not in stored
    changed = json.loads(stored)
    changed["connections"]["invoices"]["aws_usd"] = 12.5
    stage.cloud.app.objects.write(costs_key(last), json.dumps(changed).encode())
    assert first["connections"]["invoices"]["aws_usd"] == 0
    assert stage.ask(month=last)["connections"]["invoices"]["aws_usd"] == 12.5
    assert list(stage.ask(month=last, connection="claims")["connections"]) == ["claims"]


def test_every_function_is_read_as_long_as_its_log_is_kept() -> None:
    """What a line is looked for in is every function, for as long as CloudWatch keeps its log."""
    assert sorted(EVERY) == sorted(each.name for each in (ROOT / "functions").iterdir() if each.is_dir())
    assert (LOG_RETENTION, KEPT.days) == (RetentionDays.THREE_MONTHS, 90)
    assert MEMORY == UNMEASURED
