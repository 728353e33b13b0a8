import json
from typing import Any

from tests.local.aws import Aws

READS = """
    import boto3

    def handle(event, context):
        return boto3.client("secretsmanager").get_secret_value(SecretId=event["secret"])["SecretString"]
"""


def test_a_role_reads_the_secret_that_its_policy_refers_to(aws: Aws) -> None:
    """Ref of a secret is its ARN, so a policy that uses it allows the role to read that secret and no other."""
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    allow = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": "Secret"}}
    resources: dict[str, Any] = {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "tests/ours", "SecretString": "1"}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": trust,
                "Policies": [{"PolicyName": "read", "PolicyDocument": {"Statement": [allow]}}],
            },
        },
    }
    stack = aws.stack(resources, {"Secret": {"Ref": "Secret"}, "Role": {"Fn::GetAtt": ["Role", "Arn"]}})
    aws.secretsmanager.create_secret(Name="tests/theirs", SecretString="2")
    function = aws.function(READS, role=stack["Outputs"]["Role"])

    assert stack["Outputs"]["Secret"].startswith("arn:aws:secretsmanager:")
    assert aws.invoke(function, {"secret": "tests/ours"}) == "1"
    assert "AccessDenied" in aws.invoke(function, {"secret": "tests/theirs"})["errorMessage"]

    aws.cloudformation.update_stack(
        StackName=stack["StackName"], TemplateBody=_changed(resources), Capabilities=["CAPABILITY_IAM"]
    )
    aws.until(lambda: aws.invoke(function, {"secret": "tests/ours"}), lambda value: value == "3")
    assert aws.invoke(function, {"secret": "tests/ours"}) == "3"


def _changed(resources: dict[str, Any]) -> str:
    resources["Secret"]["Properties"]["SecretString"] = "3"
    return json.dumps({"Resources": resources})
