"""What AWS's services do as a role by themselves."""

from __future__ import annotations

TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}

SERVICE_ACTIONS = {
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
    "xray:GetSamplingRules", "xray:GetSamplingTargets", *TRACES,
}  # fmt: skip
"""What Step Functions itself does as the machine's role, as AWS lists it
(https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html and …/concepts-xray-tracing.html)."""
