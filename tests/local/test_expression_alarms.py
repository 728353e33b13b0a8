from tests.local.aws import Aws


def test_an_alarm_on_an_expression_is_created(aws: Aws) -> None:
    """The stack is created, and CloudWatch has the alarm."""
    metric = {"Id": "a", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
              "ReturnData": False}  # fmt: skip
    alarm = {
        "Metrics": [metric, {"Id": "e", "Expression": "a * 2"}],
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
    }

    stack = aws.stack({"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}})

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    [found] = aws.cloudwatch.describe_alarms(AlarmNamePrefix=stack["StackName"])["MetricAlarms"]
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    aws.cloudformation.delete_stack(StackName=stack["StackName"])
