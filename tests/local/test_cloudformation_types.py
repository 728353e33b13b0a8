from tests.local.aws import Aws


def test_a_stack_with_types_that_ministack_does_not_know_is_created(aws: Aws) -> None:
    """Expression and composite alarms, an archive, a destination and what has no effect locally are all created."""
    metric = {"Id": "a", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
              "ReturnData": False}  # fmt: skip
    alarm = {
        "Metrics": [metric, {"Id": "e", "Expression": "a * 2"}],
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
    }
    key = {"ApiKeyName": "x-k", "ApiKeyValue": "v"}
    resources = {
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
        "Both": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmName": "both", "AlarmRule": {"Fn::Sub": 'ALARM("${Alarm}")'}},
        },
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "archived"}},
        "Archive": {
            "Type": "AWS::Events::Archive",
            "Properties": {"SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]}, "EventPattern": {"source": ["dossier"]}},
        },
        "Connection": {
            "Type": "AWS::Events::Connection",
            "Properties": {"AuthorizationType": "API_KEY", "AuthParameters": {"ApiKeyAuthParameters": key}},
        },
        "Destination": {
            "Type": "AWS::Events::ApiDestination",
            "Properties": {
                "ConnectionArn": {"Fn::GetAtt": ["Connection", "Arn"]},
                "InvocationEndpoint": "http://127.0.0.1:1/",
                "HttpMethod": "POST",
            },
        },
        "Query": {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "q", "QueryString": "fields @message"}},
        "Detector": {
            "Type": "AWS::CloudWatch::AnomalyDetector",
            "Properties": {"MetricName": "M", "Namespace": "N", "Stat": "Sum"},
        },
    }

    stack = aws.stack(resources)

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    assert "both" in str(aws.cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"]))
    aws.cloudformation.delete_stack(StackName=stack["StackName"])
