"""Alarms: their receivers and texts."""

from __future__ import annotations

import re

import pytest

from dossier.steps.reconcile import SLOW, Findings
from infra.alarms import UNHEARD
from infra.functions import CALL_VENDORS
from infra.settings import MOST_CONNECTIONS
from tests.infra.synthesis import TOPIC, Properties, Synthesized

COMPOSITE = "AWS::CloudWatch::CompositeAlarm"


def _alarms(stack: Synthesized) -> list[Properties]:
    return list(stack.of_type("AWS::CloudWatch::Alarm").values())


def _watched(stack: Synthesized, namespace: str) -> dict[tuple[str, str], Properties]:
    """Return the alarms on a namespace, by metric and dimension."""
    return {
        (each["MetricName"], stack.text(each["Dimensions"][0]["Value"]) if each.get("Dimensions") else ""): each
        for each in _alarms(stack)
        if each["Namespace"] == namespace
    }


def test_every_alarm_notifies_the_topic(stack: Synthesized, other_stack: Synthesized) -> None:
    """Each alarm notifies the topic at its beginning and its end: the stack's own topic, or an existing one."""
    assert stack.one("AWS::SNS::Topic")["TopicName"] == "dossier-dev-alarms"
    [own] = stack.of_type("AWS::SNS::Topic")
    assert not other_stack.of_type("AWS::SNS::Topic")
    for synthesized, topic in ((stack, {"Ref": own}), (other_stack, TOPIC)):
        assert len(_alarms(synthesized)) > 20
        combined = synthesized.of_type(COMPOSITE).values()
        for each in (*_alarms(synthesized), *combined):
            heard = each in combined or not _within(synthesized, each)
            actions = [topic] if heard else None
            assert (each.get("AlarmActions"), each.get("OKActions")) == (actions, actions), each["AlarmDescription"]


def test_alarms_of_one_cause_arrive_as_one(stack: Synthesized) -> None:
    """Each composite alarm begins with any of its children; only alarms with the same remedy share one."""
    children = {
        name.removeprefix("CommonCauses").rstrip("0123456789ABCDEF"): _children(stack, each)
        for name, each in stack.of_type(COMPOSITE).items()
    }
    shared = {name: {_about(stack, one) for one in each} for name, each in children.items()}
    queues = {f"dossier-dev-{each}" for each in ("drop", "poll-claims", "poll-disputes", "poll-invoices", "wake")}
    assert shared == {
        "DeadLetters": {f"ApproximateNumberOfMessagesVisible <{each}-dlq.QueueName>" for each in queues},
        "Queues": {
            *(f"ApproximateAgeOfOldestMessage <{each}.QueueName>" for each in queues),
            *(f"Errors <dossier-dev-{each}>" for each in ("drop", "poll", "wake")),
            "QueuesStuck dossier",
        },
        "Watchdog": {"Errors <dossier-dev-reconcile>", "ReconcileRuns dossier"},
        "Deliveries": {"Errors <dossier-dev-webhook>", "5xx <dossier-dev>"},
        "LongWaits": {"LongestWaitPercent dossier", "VendorsFailing dossier"},
    }
    for name, each in stack.of_type(COMPOSITE).items():
        rule = stack.text(each["AlarmRule"])
        if "LongWaits" in name:
            assert re.fullmatch(r'\(ALARM\("<.*?>"\) AND \(NOT \(ALARM\("<.*?>"\)\)\)\)', rule)
        else:
            assert set(re.sub(r'ALARM\("<.*?>"\)', "", rule).split()) <= {"OR", "(", ")", "()"}


def test_a_composite_alarm_has_room_for_every_connection(stack: Synthesized) -> None:
    """CloudWatch takes 100 alarms in a rule, and 10,240 characters of it."""
    for each in stack.of_type(COMPOSITE).values():
        children = [_about(stack, one) for one in _children(stack, each)]
        of_connections = sum("-poll-" in one for one in children)
        most = len(children) - of_connections + of_connections // 3 * MOST_CONNECTIONS
        assert most <= 100
        assert most * len('ALARM("arn:aws-us-gov:cloudwatch:us-gov-west-1:123456789012:alarm:") OR ') < 10_240 / 2


def _children(stack: Synthesized, combined: Properties) -> list[Properties]:
    """Return the alarms that a composite alarm's rule names."""
    parts = combined["AlarmRule"]["Fn::Join"][1]
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    return [alarms[each["Fn::GetAtt"][0]] for each in parts if isinstance(each, dict)]


def _within(stack: Synthesized, alarm: Properties) -> bool:
    combined = stack.of_type(COMPOSITE).values()
    return any(alarm is each for one in combined for each in _children(stack, one) if "VendorsFailing" not in str(each))


def _about(stack: Synthesized, alarm: Properties) -> str:
    """Return an alarm's metric, and its subject."""
    about = min(alarm["Dimensions"], key=lambda each: str(each["Name"]))
    return f"{alarm['MetricName']} {stack.text(about['Value'])}"


def test_alarms_may_publish_to_the_stacks_topic(stack: Synthesized) -> None:
    """A topic with a policy accepts only what the policy allows, so the policy must name the alarms."""
    [topic] = stack.of_type("AWS::SNS::Topic")
    policy = stack.one("AWS::SNS::TopicPolicy")
    assert policy["Topics"] == [{"Ref": topic}]
    statements = policy["PolicyDocument"]["Statement"]
    [allowed] = [each for each in statements if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (allowed["Action"], allowed["Resource"]) == ("sns:Publish", {"Ref": topic})
    alarms = stack.text(allowed["Condition"]["ArnLike"].pop("aws:SourceArn"))
    assert alarms == "arn:<AWS::Partition>:cloudwatch:<AWS::Region>:<AWS::AccountId>:alarm:*"
    assert allowed["Condition"] == {"ArnLike": {}}
    # What is denied beside it is what comes without TLS.
    assert [each["Condition"] for each in statements if each["Effect"] == "Deny"] == [
        {"Bool": {"aws:SecureTransport": "false"}}
    ]


def test_an_address_is_subscribed(optional_stack: Synthesized, stack: Synthesized) -> None:
    """``-c alarm_email=…`` subscribes the address to the alarms."""
    assert not stack.of_type("AWS::SNS::Subscription")
    subscription = optional_stack.one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "team@example.com")


def test_every_alarm_says_what_to_do(stack: Synthesized) -> None:
    """A description names the stage, the problem and its remedy."""
    for each in (*_alarms(stack), *stack.of_type(COMPOSITE).values()):
        wrong, _, to_do = each["AlarmDescription"].partition(". To do: ")
        assert wrong.startswith("dossier-dev: ")
        assert len(to_do) > 20
        assert to_do.endswith(".")
        assert len(each["AlarmDescription"]) <= 1024


def test_aws_metrics_have_alarms(stack: Synthesized, other_stack: Synthesized) -> None:
    """Errors of functions that nothing else reports, throttles, failed executions and 5xx of the API have alarms."""
    functions = {about for metric, about in _watched(stack, "AWS/Lambda") if metric == "Errors"}
    assert functions == {f"<dossier-dev-{verb}>" for verb in UNHEARD}
    assert ("Throttles", "") in _watched(stack, "AWS/Lambda")
    executions = _watched(stack, "AWS/States")
    assert {metric for metric, _ in executions} == {"ExecutionsFailed", "ExecutionsTimedOut"}
    assert {metric for metric, _ in _watched(stack, "AWS/ApiGateway")} == {"5xx"}
    for synthesized, above in ((stack, 0), (other_stack, 4)):
        failed = next(
            each for (metric, _), each in _watched(synthesized, "AWS/States").items() if metric == "ExecutionsFailed"
        )
        assert (failed["Threshold"], failed["ComparisonOperator"]) == (above, "GreaterThanThreshold")


def test_a_functions_own_limit_raises_no_alarm(optional_stack: Synthesized) -> None:
    """``reserve_concurrency`` makes Lambda throttle steps on purpose; the alarm subtracts those throttles."""
    [throttles] = [each for each in _alarms(optional_stack) if "Metrics" in each]
    metrics = {each["Id"]: each for each in throttles["Metrics"]}
    [expression] = [each["Expression"] for each in metrics.values() if "Expression" in each]
    assert expression == f"total - ({' + '.join(f'FILL({verb}, 0)' for verb in CALL_VENDORS)})"
    assert "Dimensions" not in metrics["total"]["MetricStat"]["Metric"]
    for verb in CALL_VENDORS:
        metric = metrics[verb]["MetricStat"]["Metric"]
        assert metric["MetricName"] == "Throttles"
        assert optional_stack.text(metric["Dimensions"][0]["Value"]) == f"<dossier-dev-{verb}>"
    assert (throttles["Threshold"], throttles["EvaluationPeriods"]) == (0, 3)


def test_every_function_has_an_alarm(stack: Synthesized) -> None:
    """A function is a step of a state machine, whose executions fail, or its errors have an alarm."""
    machines = (stack.machine, stack.machine_named("dossier-dev-batch"))
    roles = [stack.role_statements(each["RoleArn"]["Fn::GetAtt"][0]) for each in machines]
    steps = {
        resource.strip("{}")
        for statements in roles
        for each in statements
        if each["Action"] == ["lambda:InvokeFunction"]
        for resource in each["Resource"]
    }
    answered = {"api"}  # its errors are 5xx answers of the HTTP API, which have an alarm
    assert set(stack.functions) - steps - answered <= set(UNHEARD)


@pytest.mark.parametrize("stage", ["dev", "blue"])
def test_custom_metrics_have_the_stage_as_a_dimension(stack: Synthesized, other_stack: Synthesized, stage: str) -> None:
    """Two stages of one account do not raise each other's alarms."""
    synthesized = {"dev": stack, "blue": other_stack}[stage]
    own = [each for each in _alarms(synthesized) if each["Namespace"] == "Dossier"]
    assert own
    for each in own:
        assert {one["Name"]: one["Value"] for one in each["Dimensions"]} == {"stage": stage, "service": "dossier"}


def test_what_the_check_counts_is_watched(stack: Synthesized) -> None:
    """Each finding that needs somebody has an alarm, and so has the check itself."""
    watched = {metric for metric, _ in _watched(stack, "Dossier")}
    silent = {"CasesHealed", "CasesExpired"}
    assert watched == {*Findings().counts, "ReconcileRuns", "ExecutionsStopped"} - silent
    slow = next(each for (metric, _), each in _watched(stack, "Dossier").items() if metric == "LongestWaitPercent")
    assert (slow["Threshold"], slow["Statistic"]) == (SLOW, "Maximum")
