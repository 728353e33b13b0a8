"""Metrics: two stages of one account do not mix."""

from __future__ import annotations

import json

import pytest

from dossier.observe import count


def test_every_metric_has_the_stage_as_a_dimension(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else it is counted by: without it, one stage's alarms would look at the other stage's numbers too."""
    monkeypatch.setenv("DOSSIER_STAGE", "blue")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Dossier")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "dossier")
    count("WaitsSwept", 3)
    count("AnswerDrift", connection="claims", kind="new")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["stage"] for line in lines] == ["blue", "blue"]
    dimensions = [line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in lines]
    assert [sorted(each) for [each] in dimensions] == [["service", "stage"], ["connection", "kind", "service", "stage"]]
