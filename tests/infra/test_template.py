"""What the template deploys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from dossier.api.routes import ROUTES
from dossier.steps.reconcile import SLOW
from infra.functions import CALL_VENDORS
from infra.settings import MOST_CONNECTIONS
from tests.infra.synthesis import DOCUMENT_KEY, KMS_KEY, TRACING_LAYER, Synthesized

VERBS = {
    "accept", "api", "ask", "collect", "compare", "download", "drop", "fail", "open", "poll", "process", "publish",
    "reconcile", "summarize", "sweep", "upload", "wait", "wake", "webhook",
}  # fmt: skip
NAMES = ("FunctionName", "QueueName", "LogGroupName", "StateMachineName", "Name", "RoleName", "BucketName", "TableName")
NOT_OURS = ["W3005"]  # the CDK makes a function depend on its role, which its reference does as well


@pytest.mark.rule("security: use what AWS's own reviewers would find")
def test_cfn_lint_finds_nothing(stack: Synthesized, other_stack: Synthesized) -> None:
    """The templates are valid CloudFormation, state machine definition included."""
    files = [str(each.file) for each in (stack, other_stack)]
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", *NOT_OURS, "--", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.rule("security: use what AWS's own reviewers would find")
def test_cdk_nag_finds_nothing(stack: Synthesized, tmp_path: Path) -> None:
    """The stack passed cdk-nag's checks, which fail the synthesis of one that does not."""
    import aws_cdk as cdk  # noqa: PLC0415 -- starts Node
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    careless = cdk.App(outdir=str(tmp_path))
    s3.Bucket(cdk.Stack(careless, "Careless"), "Bucket")
    cdk.Validations.of(careless).add_plugins(AwsSolutionsChecks(careless))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        careless.synth()
    assert "AwsSolutions-S10" in (tmp_path / "validation-report.json").read_text(encoding="utf-8")
    assert "AwsSolutions-" not in (stack.folder / "validation-report.json").read_text(encoding="utf-8")


@pytest.mark.rule("security: get the permissions of all functions")
def test_every_acknowledged_rule_has_a_reason(stack: Synthesized) -> None:
    """Each acknowledged rule has a sentence that explains why it does not apply."""
    metadata = json.loads((stack.folder / f"{stack.name}.metadata.json").read_text(encoding="utf-8"))
    reasons = [
        reason
        for entries in metadata.values()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for reason in entry["data"].values()
    ]
    assert len(reasons) > len(VERBS)
    assert all(len(reason) > 20 and reason.endswith(".") for reason in reasons)


def test_each_verb_is_a_function(stack: Synthesized) -> None:
    """Every folder below functions is deployed, and nothing else runs code: no custom resource, no Node."""
    assert set(stack.functions) == VERBS
    assert {each["Runtime"] for each in stack.functions.values()} == {"python3.13"}
    kinds = {each["Type"] for each in stack.template["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource"]


def test_functions_are_traced_and_log_for_a_month(stack: Synthesized) -> None:
    """Every function has its own log group with a retention, and traces."""
    for function in stack.functions.values():
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert stack.text(function["LoggingConfig"]["LogGroup"]) == f"</aws/lambda/{function['FunctionName']}>"
    assert {each["RetentionInDays"] for each in stack.of_type("AWS::Logs::LogGroup").values()} == {90}


def test_the_processor_is_a_setting(stack: Synthesized, other_stack: Synthesized) -> None:
    """Functions run on arm64 by default."""
    assert {each["Architectures"][0] for each in stack.functions.values()} == {"arm64"}
    assert {each["Architectures"][0] for each in other_stack.functions.values()} == {"x86_64"}


def test_environments_stay_below_four_kilobytes(stack: Synthesized) -> None:
    """No function's variables come near Lambda's limit, even with every reference filled in at its longest."""
    for verb, function in stack.functions.items():
        variables = function["Environment"]["Variables"]
        size = sum(len(name) + (len(value) if isinstance(value, str) else 256) for name, value in variables.items())
        assert size < 4096, verb
        assert variables["DOSSIER_PREFIX"] == "dossier"


def test_only_those_that_start_executions_know_the_state_machine(stack: Synthesized) -> None:
    """They know it by its name, so that the functions in the state machine do not depend on it."""
    knows = {
        verb
        for verb, each in stack.functions.items()
        if "DOSSIER_STATE_MACHINE_ARN" in each["Environment"]["Variables"]
    }
    assert knows == {"api", "wake", "drop", "publish", "fail", "reconcile", "compare"}


def test_lambda_does_not_stop_the_waiting_room_as_a_loop(stack: Synthesized) -> None:
    """Functions whose messages come back to them are allowed to: Lambda stops others after 16 rounds."""
    loops = {verb for verb, each in stack.functions.items() if each.get("RecursiveLoop") == "Allow"}
    assert loops == {"poll", "wake", "drop"}


def test_two_stages_share_no_name(stack: Synthesized, other_stack: Synthesized) -> None:
    """Two stages live side by side in one account and region."""
    assert _names(stack)
    assert not _names(stack) & _names(other_stack)
    assert not [name for name in _names(other_stack) if "blue" not in name]


def test_names_follow_the_contract(stack: Synthesized, other_stack: Synthesized) -> None:
    """Secrets and the bus go by ``dossier`` in the stage dev; queues and the machine by the stack's name."""
    assert {"dossier", "dossier/invoices", "dossier-dev", "dossier-dev-poll-claims-dlq"} <= _names(stack)
    assert {"dossier-blue", "dossier-blue/invoices", "dossier-blue-wake"} <= _names(other_stack)


@pytest.mark.rule("security: read bytes in transit or at rest")
def test_the_bucket_is_private_versioned_and_tidy(stack: Synthesized) -> None:
    """Only the account reads the bucket, only with TLS; unfinished and replaced objects expire."""
    bucket = stack.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["NotificationConfiguration"]) == {"QueueConfigurations"}  # nothing listens on EventBridge
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert (rules["staging"]["Prefix"], rules["staging"]["ExpirationInDays"]) == ("staging/", 7)
    assert rules["unfinished"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["replaced"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert {each["Prefix"]: each["ExpirationInDays"] for each in rules.values() if "ExpirationInDays" in each} == {
        "cases/": 90,  # of raw answers that are not kept
        "staging/": 7, "collecting/": 7, "inbox/": 30, "inbox-refused/": 30, "inbox-waiting/": 30,
        "webhooks-refused/": 14, "webhooks-seen/": 1,
    }  # fmt: skip
    policy = json.dumps(stack.one("AWS::S3::BucketPolicy"))
    assert '"aws:SecureTransport": "false"' in policy


@pytest.mark.rule("security: make drops cause drops, without end")
def test_objects_in_the_inbox_notify_the_drop_queue(stack: Synthesized) -> None:
    """S3 notifies of every created or removed object below ``inbox/``, and no other; the queue's policy comes first."""
    [name] = stack.of_type("AWS::S3::Bucket")
    answer = stack.one("AWS::S3::Bucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert [each["Event"] for each in answer] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    for each in answer:
        assert stack.text(each["Queue"]) == "<dossier-dev-drop>"
        assert each["Filter"] == {"S3Key": {"Rules": [{"Name": "prefix", "Value": "inbox/"}]}}
    waits_for = [
        stack.of_type("AWS::SQS::QueuePolicy")[each] for each in stack.template["Resources"][name]["DependsOn"]
    ]
    assert ["<dossier-dev-drop>"] in [[stack.text(each) for each in _queues(policy)] for policy in waits_for]


@pytest.mark.rule("security: make drops cause drops, without end")
def test_no_drop_causes_another(stack: Synthesized) -> None:
    """No function may write to the inbox; notes about drops are stored beside it."""
    for verb in stack.functions:
        writes = [each for each in stack.statements(verb) if "s3:PutObject" in each["Action"]]
        keys = [key.removeprefix("<Bucket>/") for each in writes for key in each["Resource"]]
        assert not [key for key in keys if key.startswith(("inbox/", "*", "inbox*"))], verb


@pytest.mark.rule("security: delete results")
def test_the_table_can_be_restored(stack: Synthesized) -> None:
    """The table is on demand, with the index, expiry of hints and point-in-time recovery."""
    table = stack.one("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    [index] = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by-connection"
    assert [each["AttributeName"] for each in index["KeySchema"]] == ["gsi_pk", "gsi_sk"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


@pytest.mark.rule("security: delete results")
@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::DynamoDB::Table"])
def test_data_outlives_the_stack_by_default(stack: Synthesized, other_stack: Synthesized, kind: str) -> None:
    """``cdk destroy`` keeps bucket and table; ``-c retain=false`` gives them up."""
    for synthesized, policy in ((stack, "Retain"), (other_stack, "Delete")):
        [resource] = [each for each in synthesized.template["Resources"].values() if each["Type"] == kind]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (policy, policy)


def test_a_secret_outlives_its_connection(stack: Synthesized, other_stack: Synthesized) -> None:
    """A vendor shows a key once: no deployment deletes it, not even one of a stage that gives up its data."""
    for synthesized in (stack, other_stack):
        resources = synthesized.template["Resources"].values()
        secrets = [each for each in resources if each["Type"] == "AWS::SecretsManager::Secret"]
        assert len(secrets) == 3
        assert {(each["DeletionPolicy"], each["UpdateReplacePolicy"]) for each in secrets} == {("Retain", "Retain")}


def test_a_secret_that_exists_is_used_and_not_created(optional_stack: Synthesized, stack: Synthesized) -> None:
    """A connection that comes back finds its secret: CloudFormation would fail to create it, and cannot import it."""
    names = {each["Name"] for each in optional_stack.of_type("AWS::SecretsManager::Secret").values()}
    assert names == {"dossier/invoices", "dossier/disputes"}
    arn = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:dossier/claims-??????"
    for verb in stack.functions:
        before, after = _secrets_of(stack, verb), _secrets_of(optional_stack, verb)
        assert (arn in after) == ("<dossier/claims>" in before), verb
        assert after - {arn} == before - {"<dossier/claims>"}


def _secrets_of(stack: Synthesized, verb: str) -> set[str]:
    """Return the secrets that a verb's role may read."""
    reads = [each["Resource"] for each in stack.statements(verb) if "secretsmanager:GetSecretValue" in each["Action"]]
    return {each for resources in reads for each in resources}


def test_a_retained_table_and_bucket_are_attached_by_name(optional_stack: Synthesized, stack: Synthesized) -> None:
    """With names, ``cdk deploy --import-existing-resources`` attaches the resources that a destroyed stack has left.

    CloudFormation imports by a static name, under a deletion policy that retains
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html).
    """
    assert "TableName" not in stack.one("AWS::DynamoDB::Table")
    for kind, key, name in (
        ("AWS::DynamoDB::Table", "TableName", "dossier-dev-old"),
        ("AWS::S3::Bucket", "BucketName", "dossier-dev-old-bucket"),
    ):
        [resource] = [each for each in optional_stack.template["Resources"].values() if each["Type"] == kind]
        assert resource["Properties"][key] == name
        assert resource["DeletionPolicy"] == "Retain"
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        assert schema["primaryIdentifier"] == [f"/properties/{key}"]


def test_a_bucket_that_is_not_retained_is_emptied(stack: Synthesized, other_stack: Synthesized) -> None:
    """CloudFormation cannot delete a bucket with objects: ``-c retain=false`` adds a function that empties it."""
    assert not stack.of_type("Custom::S3AutoDeleteObjects")
    assert len(other_stack.of_type("Custom::S3AutoDeleteObjects")) == 1


def test_a_scheduled_function_is_not_retried(stack: Synthesized) -> None:
    """Lambda itself repeats failed calls, whatever the rule says: not for a function with a schedule."""
    configs = {
        stack.text(each["FunctionName"]): each for each in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    scheduled = {f"<{each}>" for each in _scheduled(stack)}
    assert {name: each["MaximumRetryAttempts"] for name, each in configs.items()} == dict.fromkeys(scheduled, 0)
    targets = [each["Targets"] for each in stack.of_type("AWS::Events::Rule").values() if "ScheduleExpression" in each]
    assert not [one for each in targets for one in each if "RetryPolicy" in one]


def _scheduled(stack: Synthesized) -> set[str]:
    """Return the logical ids' labels of the functions that schedules run."""
    verbs = {verb.strip("{}") for targets in _schedules(stack).values() for verb in targets}
    return {f"{stack.name}-{verb}" for verb in verbs}


def test_settings_limit_concurrency(optional_stack: Synthesized, stack: Synthesized) -> None:
    """Vendors' calls run as often as the connections allow in all, and the webhook function has its own share."""
    assert not [verb for verb, each in stack.functions.items() if "ReservedConcurrentExecutions" in each]
    reserved = {
        verb: each["ReservedConcurrentExecutions"]
        for verb, each in optional_stack.functions.items()
        if "ReservedConcurrentExecutions" in each
    }
    assert reserved == {"webhook": 20, **dict.fromkeys(CALL_VENDORS, 2 * (7 + 1 + 5))}


@pytest.mark.rule("security: read a signed URL in a trace")
def test_opentelemetry_is_an_optional_layer(optional_stack: Synthesized, stack: Synthesized) -> None:
    """Without the setting nothing of it is loaded; with it, no HTTP client is traced, whose URLs may be signed."""
    for verb in VERBS:
        without, with_it = stack.functions[verb], optional_stack.functions[verb]
        assert "AWS_LAMBDA_EXEC_WRAPPER" not in without["Environment"]["Variables"]
        assert len(with_it["Layers"]) == len(without["Layers"]) + 1 <= 5
        assert TRACING_LAYER in with_it["Layers"]
        variables = with_it["Environment"]["Variables"]
        assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/otel-instrument"
        assert "httpx" in variables["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"].split(",")


def test_keys_of_document_buckets_are_a_setting(optional_stack: Synthesized, stack: Synthesized) -> None:
    """The function that reads submitted documents may decrypt with those keys, and no other."""
    assert not [verb for verb in VERBS if "kms:Decrypt" in _actions(stack, verb)]
    assert {verb for verb in VERBS if "kms:Decrypt" in _actions(optional_stack, verb)} == {"accept", "api"}
    [grant] = [each for each in optional_stack.statements("accept") if "kms:Decrypt" in each["Action"]]
    assert grant == {"Action": ["kms:Decrypt"], "Resource": [KMS_KEY]}


def _actions(stack: Synthesized, verb: str) -> set[str]:
    return {action for each in stack.statements(verb) for action in each["Action"]}


@pytest.mark.rule("security: read a secret in the template, or in connections.toml")
def test_a_new_secret_is_empty(stack: Synthesized) -> None:
    """Each connection has a secret for the operator to fill in; nothing secret is in the template."""
    secrets = {each["Name"]: each["SecretString"] for each in stack.of_type("AWS::SecretsManager::Secret").values()}
    assert set(secrets) == {"dossier/invoices", "dossier/claims", "dossier/disputes"}
    assert {json.dumps(json.loads(text)) for text in secrets.values()} == {'{"api_key": "", "webhook_secrets": []}'}


def test_every_queue_has_dead_letters_that_raise_an_alarm(stack: Synthesized) -> None:
    """What fails five times is kept for two weeks and seen; every queue wants TLS."""
    queues = {each["QueueName"]: each for each in stack.of_type("AWS::SQS::Queue").values()}
    work = {name: each for name, each in queues.items() if "RedrivePolicy" in each}
    assert set(queues) == set(work) | {f"{name}-dlq" for name in work}
    assert set(work) == {
        "dossier-dev-wake",
        "dossier-dev-drop",
        *(f"dossier-dev-poll-{name}" for name in ("invoices", "claims", "disputes")),
    }
    for name, queue in work.items():
        assert stack.text(queue["RedrivePolicy"]["deadLetterTargetArn"]) == f"<{name}-dlq>"
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert {each["MessageRetentionPeriod"] for each in queues.values()} == {14 * 86400}
    assert {each["SqsManagedSseEnabled"] for each in queues.values()} == {True}
    alarms = [each for each in stack.of_type("AWS::CloudWatch::Alarm").values() if each["Namespace"] == "AWS/SQS"]
    watched = {(each["MetricName"], stack.text(each["Dimensions"][0]["Value"])) for each in alarms}
    assert watched == {
        *(("ApproximateNumberOfMessagesVisible", f"<{name}-dlq.QueueName>") for name in work),
        *(("ApproximateAgeOfOldestMessage", f"<{name}.QueueName>") for name in work),
    }
    assert len(stack.of_type("AWS::SQS::QueuePolicy")) == len(queues)


def test_a_slow_vendor_starves_no_other(stack: Synthesized) -> None:
    """Each poll queue has its own mapping, as wide as the connection's limit (SQS takes two at least)."""
    mappings = {
        stack.text(each["EventSourceArn"]): each for each in stack.of_type("AWS::Lambda::EventSourceMapping").values()
    }
    widths = {name: each["ScalingConfig"]["MaximumConcurrency"] for name, each in mappings.items()}
    assert widths == {
        "<dossier-dev-poll-invoices>": 7,
        "<dossier-dev-poll-claims>": 2,
        "<dossier-dev-poll-disputes>": 5,
        "<dossier-dev-wake>": 10,
        "<dossier-dev-drop>": 10,
    }
    assert {tuple(each["FunctionResponseTypes"]) for each in mappings.values()} == {("ReportBatchItemFailures",)}
    assert {name: each["BatchSize"] for name, each in mappings.items() if each["BatchSize"] > 1} == {
        "<dossier-dev-wake>": 10
    }


def test_messages_stay_hidden_while_a_function_runs(stack: Synthesized) -> None:
    """A queue shows a message again after its function has ended, and soon: a failed poll is worth another try."""
    queues = {each["QueueName"]: each for each in stack.of_type("AWS::SQS::Queue").values()}
    for queue, verb in (
        ("dossier-dev-wake", "wake"),
        ("dossier-dev-poll-invoices", "poll"),
        ("dossier-dev-drop", "drop"),
    ):
        hidden, runs = queues[queue]["VisibilityTimeout"], stack.functions[verb]["Timeout"]
        assert runs < hidden <= runs + 60


def test_ended_executions_reach_fail(stack: Synthesized) -> None:
    """An execution that failed, was aborted or timed out is recorded even if no state could do it."""
    [rule] = [each for each in stack.of_type("AWS::Events::Rule").values() if "EventPattern" in each]
    assert "EventBusName" not in rule  # Step Functions sends events to the default bus
    assert rule["EventPattern"]["source"] == ["aws.states"]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "ABORTED", "TIMED_OUT"]
    [machine] = rule["EventPattern"]["detail"]["stateMachineArn"]
    assert stack.text(machine).endswith(":stateMachine:dossier-dev")
    assert [stack.text(each["Arn"]) for each in rule["Targets"]] == ["{fail}"]


def test_the_sweep_runs_each_minute(stack: Synthesized) -> None:
    """A lost poll message is found within a minute."""
    assert _schedules(stack)["rate(1 minute)"] == ["{sweep}"]


def test_reconcile_runs_every_five_minutes(stack: Synthesized, other_stack: Synthesized) -> None:
    """The check has a schedule, and each finding an alarm on the stage's own metric; accounts are compared hourly."""
    assert _schedules(stack)["rate(5 minutes)"] == ["{reconcile}"]
    assert _schedules(stack)["rate(1 hour)"] == ["{compare}"]
    for synthesized, stage in ((stack, "dev"), (other_stack, "blue")):
        alarms = {
            each["MetricName"]: each
            for each in synthesized.of_type("AWS::CloudWatch::Alarm").values()
            if each["Namespace"] == "Dossier" and each["MetricName"] != "ExecutionsStopped"  # the function fail's
        }
        assert {name: each["EvaluationPeriods"] for name, each in alarms.items()} == {
            "CasesUnattended": 1, "CasesUnexplained": 1, "QueuesStuck": 3, "ArtifactsMissing": 1, "VendorsFailing": 1,
            "KeysRefused": 1, "ConnectionsPaused": 1, "LongestWaitPercent": 1, "ReconcileRuns": 3,
        }  # fmt: skip
        beat = alarms.pop("ReconcileRuns")
        assert (beat["ComparisonOperator"], beat["Threshold"]) == ("LessThanThreshold", 1)
        assert beat["TreatMissingData"] == "breaching"  # a check that dies says nothing
        for name, each in alarms.items():
            assert {one["Name"]: one["Value"] for one in each["Dimensions"]} == {"stage": stage, "service": "dossier"}
            least = SLOW if name == "LongestWaitPercent" else 0
            assert (each["Period"], each["Statistic"], each["Threshold"]) == (300, "Maximum", least)


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_the_webhook_api_is_throttled_and_logs_no_token(stack: Synthesized, other_stack: Synthesized) -> None:
    """Two routes, POST alone; limits from the settings; the log leaves out the path, which may hold a token."""
    routes = {
        each["RouteKey"]: each["AuthorizationType"] for each in stack.of_type("AWS::ApiGatewayV2::Route").values()
    }
    webhooks = {name for name, authorization in routes.items() if authorization == "NONE"}
    assert webhooks == {"POST /webhooks/{connection}", "POST /webhooks/{connection}/{token}"}
    assert dict.fromkeys(routes.keys() - webhooks, "AWS_IAM") == {each.key: routes[each.key] for each in ROUTES}
    stage = stack.one("AWS::ApiGatewayV2::Stage")
    assert stage["StageName"] == "$default"
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200}
    assert "path" not in stage["AccessLogSettings"]["Format"].lower()
    assert other_stack.one("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": 7,
        "ThrottlingBurstLimit": 9,
    }


def test_outputs_follow_the_contract(stack: Synthesized) -> None:
    """What the CLI and people read after a deployment is there."""
    outputs = {name: stack.text(each["Value"]) for name, each in stack.template["Outputs"].items()}
    assert set(outputs) == {
        "AlarmTopicArn", "CodeVersion", "ApiUrl", "ApiId", "BucketName", "TableName", "StateMachineArn", "EventBusName",
        "ConnectionNames", "SecretPrefix", "WebhookConnections", "WebhookUrl",
    }  # fmt: skip
    assert outputs["ConnectionNames"] == "invoices,claims,disputes"
    assert outputs["WebhookConnections"] == "invoices,claims"
    assert outputs["SecretPrefix"] == "dossier"
    assert outputs["WebhookUrl"] == f"{outputs['ApiUrl']}/webhooks/<connection>"


def test_outputs_name_what_people_need_permissions_for(other_stack: Synthesized) -> None:
    """A stage with a customer's key and other buckets for documents says which: ``dossier policy`` names them."""
    outputs = {name: other_stack.text(each["Value"]) for name, each in other_stack.template["Outputs"].items()}
    assert outputs["KmsKeyArn"] == KMS_KEY
    assert outputs["DocumentBuckets"] == "scans,mail-room"
    assert outputs["DocumentKmsKeys"] == DOCUMENT_KEY


def test_as_many_connections_as_allowed_fit_into_a_role(stack: Synthesized) -> None:
    """IAM's 10,240 characters of inline policies hold every role, with all connections and the longest names."""
    longest = len('"arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:dossier-/-abcdef",') + 16 + 23
    for verb in stack.functions:
        text = json.dumps(stack.statements(verb), separators=(",", ":"))
        of_connections = len(re.findall(r'"<[^"]*(?:invoices|claims|disputes)>"', text))
        others = text.count("<") - of_connections
        assert len(text) + 100 * others + longest * of_connections // 3 * MOST_CONNECTIONS < 10_240, verb


def _schedules(stack: Synthesized) -> dict[str, list[str]]:
    """Return the function of each schedule."""
    rules = [each for each in stack.of_type("AWS::Events::Rule").values() if "ScheduleExpression" in each]
    return {rule["ScheduleExpression"]: [stack.text(each["Arn"]) for each in rule["Targets"]] for rule in rules}


def _names(stack: Synthesized) -> set[str]:
    """Return the physical names that the template gives."""
    return {
        each["Properties"][key]
        for each in stack.template["Resources"].values()
        for key in NAMES
        if isinstance(each.get("Properties", {}).get(key), str)
    }


def _queues(policy: dict[str, Any]) -> list[Any]:
    return [each["Resource"] for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
