"""The dashboard. ``tests/e2e/test_dashboard.py`` runs its queries against real logs."""

from __future__ import annotations

import json
from typing import Any

from tests.infra.synthesis import Synthesized
from tests.queries import queries


def widgets(stack: Synthesized) -> list[dict[str, Any]]:
    """Return the dashboard's widgets."""
    found: list[dict[str, Any]] = json.loads(body(stack))["widgets"]
    return found


def body(stack: Synthesized) -> str:
    """Return the dashboard's body."""
    return stack.text(stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"])


def test_every_connection_has_a_row(stack: Synthesized, other_stack: Synthesized) -> None:
    """Each row's queries read the logs for that connection alone."""
    for synthesized in (stack, other_stack):
        assert synthesized.one("AWS::CloudWatch::Dashboard")["DashboardName"] == synthesized.name
        found = [each for each in queries(body(synthesized)) if "connection" in each.wanted]
        assert sorted({each.wanted["connection"] or "" for each in found}) == ["claims", "disputes", "invoices"]
        for each in found:
            assert each.title.startswith(f"{each.wanted['connection']} (")
        assert len(found) == 12


def test_queries_name_the_stages_log_groups(stack: Synthesized, other_stack: Synthesized) -> None:
    """Each group exists in the stack."""
    for synthesized in (stack, other_stack):
        groups = {each["LogGroupName"] for each in synthesized.of_type("AWS::Logs::LogGroup").values()}
        for each in queries(body(synthesized)):
            assert each.groups, each.title
            assert set(each.groups) <= groups, each.title


def test_the_alarms_that_notify_are_shown(stack: Synthesized) -> None:
    """Composite alarms in place of their children."""
    [status] = [each for each in widgets(stack) if each["type"] == "alarm"]
    heard = [
        each
        for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
        for each in stack.of_type(kind).values()
        if each.get("AlarmActions")
    ]
    assert len(status["properties"]["alarms"]) == len(heard) > 10


def test_it_can_be_left_out(optional_stack: Synthesized) -> None:
    """``-c dashboard=false``: a dashboard costs as much as ten custom metrics."""
    assert not optional_stack.of_type("AWS::CloudWatch::Dashboard")
