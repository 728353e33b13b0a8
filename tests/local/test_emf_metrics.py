import json
from datetime import UTC, datetime, timedelta

from tests.local.aws import Aws


def test_an_embedded_metric_reaches_cloudwatch(aws: Aws) -> None:
    """Each value of a metric that a function prints counts, under its document's dimensions; an alarm is raised."""
    metric = {"Name": "Waited", "Unit": "Seconds"}
    directive = {"Namespace": "Tests", "Dimensions": [["connection"]], "Metrics": [metric]}
    document = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]}, "connection": "invoices", "Waited": [2, 5]}
    source = f"def handle(event, context):\n    print({json.dumps(document)!r})\n    print('{{\"_aws\": 1}}')"

    alarm = {"Namespace": "Tests", "MetricName": "Waited", "Statistic": "Maximum", "Period": 300, "Threshold": 4.0}
    aws.cloudwatch.put_metric_alarm(
        **alarm, AlarmName="waited", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold"
    )

    aws.invoke(aws.function(source))

    [found] = aws.cloudwatch.describe_alarms(AlarmNames=["waited"])["MetricAlarms"]
    assert found["StateValue"] == "ALARM"
    now = datetime.now(UTC)
    points = aws.cloudwatch.get_metric_statistics(
        Namespace="Tests",
        MetricName="Waited",
        Dimensions=[{"Name": "connection", "Value": "invoices"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 7
    assert sum(point["SampleCount"] for point in points) == 2
