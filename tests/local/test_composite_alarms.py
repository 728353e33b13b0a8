from tests.local.aws import Aws


def test_a_composite_alarm_follows_its_children(aws: Aws) -> None:
    """CloudFormation creates it; its state changes with a child's; the stack's end deletes it."""
    metric = {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
              "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}  # fmt: skip
    rule = {"Fn::Join": ["", ['ALARM("', {"Fn::GetAtt": ["One", "Arn"]}, '") OR ALARM("',
                              {"Fn::GetAtt": ["Two", "Arn"]}, '")']]}  # fmt: skip
    stack = aws.stack(
        {
            "One": {"Type": "AWS::CloudWatch::Alarm", "Properties": metric},
            "Two": {"Type": "AWS::CloudWatch::Alarm", "Properties": metric},
            "Both": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": rule}},
        }
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    named = {"AlarmNamePrefix": stack["StackName"], "AlarmTypes": ["CompositeAlarm", "MetricAlarm"]}
    found = aws.cloudwatch.describe_alarms(**named)
    [both] = found["CompositeAlarms"]
    two = next(each["AlarmName"] for each in found["MetricAlarms"] if "Two" in each["AlarmName"])
    states = []
    for state in ("OK", "ALARM", "OK"):
        aws.cloudwatch.set_alarm_state(AlarmName=two, StateValue=state, StateReason="a test")
        [both] = aws.cloudwatch.describe_alarms(**named)["CompositeAlarms"]
        states.append(both["StateValue"])

    assert states == ["OK", "ALARM", "OK"]
    aws.cloudformation.delete_stack(StackName=stack["StackName"])
    assert not aws.cloudwatch.describe_alarms(**named)["CompositeAlarms"]
