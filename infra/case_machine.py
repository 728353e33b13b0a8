"""The state machine: one execution is one case.

Each state must be safe to run twice: Step Functions may repeat a step whose answer was lost, and every retry below
does so on purpose. The steps ensure that (``docs/architecture.md``, "Once" and "Intents").

State transitions are the cost of an execution. None waits or loops: a wait of any length is one state, which the
waiting room polls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from dossier.errors import (
    CaseFailedError,
    DeadlinePassedError,
    NeedsAttentionError,
    PausedError,
    ThrottledError,
    retryable_names,
    tree,
)
from dossier.steps.context import LONGEST_PAUSE
from dossier.stores.waits import MOST_EXTENDED
from infra.findings import acknowledge, acknowledge_wildcards
from infra.function import LOG_RETENTION
from infra.settings import Settings

NEEDS_ATTENTION, PAUSED = NeedsAttentionError.__name__, PausedError.__name__
NEVER_AGAIN = sorted(
    error.__name__ for root in (CaseFailedError, NeedsAttentionError, PausedError) for error in tree(root)
)
NOT_YET = (ThrottledError.__name__, "Lambda.TooManyRequestsException")
"""A limit of the vendor or of Lambda is reached: eight hours of tries on average, sixteen at most."""
LAMBDA_TROUBLE = (
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
)
"""Errors that AWS says to retry: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html"""
AWS_TROUBLE = (
    "ClientError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "InternalException",
    "InternalServerError",
    "InternalServiceError",
    "ProvisionedThroughputExceededException",
    "ReadTimeoutError",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ResponseStreamingError",
    "S3UploadFailedError",
    "ThrottlingException",
)
"""Classes of what boto3 raises while AWS is in trouble: botocore names some errors of a service, the others are
``ClientError``. A case lasts as long through AWS's trouble as through its vendor's."""
PASSING = tuple(sorted({*retryable_names()} - {error.__name__ for error in tree(ThrottledError)}))
"""Errors that, after all retries, fail only a part of a case; a function that dies fails the whole case."""
SPARE = 900 + MOST_EXTENDED
"""Seconds after a wait's deadline at which the state times out; normally the waiting room ends the wait before."""

_EXECUTION = {"arn": "{% $states.context.Execution.Id %}", "name": "{% $states.context.Execution.Name %}"}
_TOKEN = "{% $states.context.Task.Token %}"  # noqa: S105  # the path of a task token, not a secret
_CASE = {"connection": "{% $case.connection %}", "reference": "{% $case.reference %}"}

_COLLECTION = {**_CASE, "collection": "{% $case.collection %}"}
LARGE = 50_000
"""Characters of an execution's input above which ``fail`` gets only the names: with the whole input, error and cause
would not fit into a state's 262,144 bytes, and no Catch sees States.DataLimitExceeded."""
LONGEST_CAUSE = 8_000
_NAMES = (
    "($i := $states.context.Execution.Input; "
    "$short := function($value, $most) { $length($string($value)) <= $most ? $value }; "
    f"$length($string($i)) < {LARGE} ? $i : "
    "{'connection': $short($i.connection, 100), 'reference': $short($i.reference, 200), "
    "'documents': [$short($i.documents[0], 10000)], 'case_id': $short($i.case_id, 1000), "
    "'drop': $short($i.drop, 5000)})"
)
"""The input of ``fail``: always with the names of the case, if they are valid."""

MOST_SHOWN = 300
"""The most bytes of a state's input or output, which names the case: a console shows that much at a glance."""
_ABOUT = 90
"""Characters of an error that fit there, beside the longest connection and reference."""
_ERROR = (
    "$substring($trim($replace($substringBefore("
    "$substringAfter($states.errorOutput.Cause & '', 'errorMessage'), '\"errorType'), "
    f"/[^A-Za-z0-9.()_-]+/, ' ')), 0, {_ABOUT})"
)
"""An error's message in plain letters, cut."""
_WHOLE_ERROR = {"error": "{% $states.errorOutput.Error & '' %}", "cause": "{% $states.errorOutput.Cause & '' %}"}


def _plain(name: str, most: int) -> str:
    """Return the expression for a name in an execution's input, which may have any type."""
    value = f"$states.context.Execution.Input.{name}"
    return f"{{% $substring($replace($type({value}) = 'string' ? {value} : '', /[^A-Za-z0-9._-]+/, ' '), 0, {most}) %}}"


_NAMES_GIVEN = {"connection": _plain("connection", 32), "reference": _plain("reference", 100)}
_RESULT = (
    "($names := {'connection': $case.connection, 'reference': $case.reference, 'status': $states.result.status}; "
    "$all := $merge([$names, $states.result]); "
    f"$length($string($all)) < {MOST_SHOWN - 20} ? $all : $names)"
)
"""An execution's output: names, status and, if they are short enough, the keys of result and manifest."""
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html and …/concepts-xray-tracing.html
SERVICE_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)


class FunctionsByVerb(Protocol):
    """The functions, by verb."""

    def __getitem__(self, verb: str) -> lambda_.Function:
        """Return a verb's function."""


class CaseMachine(Construct):
    """Accept → upload each batch → poll → process → poll → download each artifact → publish."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002  # the CDK's own name for it
        *,
        settings: Settings,
        functions: FunctionsByVerb,
    ) -> None:
        super().__init__(scope, id)
        self._functions = functions
        self._invoked: dict[str, lambda_.Function] = {}

        accept = self._step(
            "Accept",
            "accept",
            {"input": "{% $states.input %}", "execution": _EXECUTION},
            assign={"case": "{% $states.result %}"},
            outputs={
                "connection": "{% $states.result.connection %}",
                "reference": "{% $states.result.reference %}",
                "about": "{% $states.result.outcome & ' case, uploads: ' & $string($count($states.result.uploads)) %}",
            },
        )
        submitted_before = sfn.Choice.jsonata(self, "Submitted Before?")
        already_submitted = sfn.Pass.jsonata(
            self, "Already Submitted", outputs={**_CASE, "status": "already_submitted"}
        )
        open_case = self._step("Open Case", "open", _CASE, outputs={**_CASE, "about": "the vendor's case is open"})
        ask_about_case = self._token_step(
            "Ask About Case",
            "ask",
            {**_CASE, "what": "open", "cause": "{% $states.input.about %}"},
            outputs={**_CASE, "about": "an operator has answered"},
        )
        ask_about_budget = self._token_step(
            "Ask About Budget",
            "ask",
            {**_CASE, "what": "budget", "cause": "{% $states.input.about %}"},
            outputs={**_CASE, "about": "an operator has allowed it"},
        )
        opens = sfn.Choice.jsonata(self, "Opens A Case?")
        upload = self._map(
            "Upload",
            items="$case.uploads",
            selects={"batch": "{% $states.context.Map.Item.Value %}"},
            at_once="$case.at_once",
            each=self._upload_documents(),
            about="'uploads done: '",
        )
        poll = self._poll("Poll", phase="$case.phases[0]")
        more_phases = sfn.Choice.jsonata(self, "More To Wait For?")
        process = self._step(
            "Process", "process", _CASE, outputs={**_CASE, "about": "the vendor's assessment is triggered"}
        )
        poll_results = self._poll("Poll Results", phase="$case.phases[1]")
        collect = self._step(
            "Collect",
            "collect",
            _COLLECTION,
            assign={"collected": "{% $states.result %}"},
            outputs={**_CASE, "about": "{% 'parts to download: ' & $string($count($states.result.artifacts)) %}"},
        )
        download = self._map(
            "Download",
            items="$collected.artifacts",
            selects={
                "part": "{% $states.context.Map.Item.Index %}",
                "artifacts": "{% $count($states.context.Map.Item.Value) %}",
            },
            at_once="$collected.at_once",
            each=self._download_artifact(),
            about="'parts downloaded: '",
        )
        upload_all, poll_all = self._at_once(upload, collect)
        publish = self._step("Publish", "publish", _COLLECTION, outputs=f"{{% {_RESULT} %}}")

        # The path of a case, top to bottom.
        accept.next(submitted_before)
        submitted_before.when(_is("$case.outcome = 'duplicate'"), already_submitted)
        submitted_before.when(_is("$case.outcome = 'refresh'"), collect)
        submitted_before.when(_is("$case.outcome = 'publish'"), publish)
        submitted_before.when(_is("$case.outcome = 'collect'"), poll)
        submitted_before.when(_is("$case.asks = true"), ask_about_budget)
        submitted_before.when(_is("$case.opens"), open_case)
        submitted_before.when(_is("$count($case.uploads) = 1 and $count($case.phases) = 1"), upload_all)
        submitted_before.otherwise(upload)
        open_case.add_catch(ask_about_case, errors=[NEEDS_ATTENTION], outputs=_said(_CASE))
        ask_about_case.next(open_case)
        ask_about_budget.next(opens)
        opens.when(_is("$case.opens"), open_case)
        opens.otherwise(upload)
        open_case.next(upload)
        upload.next(poll)
        poll.next(more_phases)
        more_phases.when(_is("$states.input.late = true"), collect)
        more_phases.when(_is("$count($case.phases) > 1"), process)
        more_phases.otherwise(collect)
        process.next(poll_results)
        poll_results.next(collect)
        collect.next(download)
        download.next(publish)

        await_resume = self._pauses(open_case, process, collect, publish, waits=(poll_all, poll, poll_results))

        # Any other error.
        record_failure = self._record_failure()
        for state in (
            accept,
            open_case,
            ask_about_case,
            ask_about_budget,
            upload_all,
            poll_all,
            upload,
            poll,
            process,
            poll_results,
            collect,
            download,
            publish,
            await_resume,
        ):
            names = _NAMES_GIVEN if state is accept else _CASE
            state.add_catch(
                record_failure, errors=[sfn.Errors.ALL], outputs=_said(names), assign={"failure": _WHOLE_ERROR}
            )

        self.machine = self._machine(settings, accept)

    def _pauses(
        self,
        open_case: tasks.LambdaInvoke,
        process: tasks.LambdaInvoke,
        collect: tasks.LambdaInvoke,
        publish: tasks.LambdaInvoke,
        *,
        waits: Sequence[tasks.LambdaInvoke],
    ) -> tasks.LambdaInvoke:
        """Let each step that may call the vendor wait for the end of an operator's pause; return that state."""
        await_resume = self._held("Await Resume", "$states.input.held")
        resumed = sfn.Choice.jsonata(self, "Resumed?")
        # While an operator has paused the connection, a case waits here; then it continues where it was. If the waiting
        # room did not end a wait, it continues there, too, or the results that exist are collected.
        await_resume.next(resumed)
        for step in (open_case, process, publish, *waits):
            resumed.when(_is(f"$states.input.to = '{step.id}'"), step)
        resumed.otherwise(collect)
        for step in (open_case, process, collect, publish):
            step.add_catch(await_resume, errors=[PAUSED], outputs=_paused(_CASE, step.id))
        for wait in waits:
            wait.add_catch(
                await_resume,
                errors=[sfn.Errors.TIMEOUT],
                outputs={**_CASE, "about": "the wait was not ended", "held": wait.id},
            )
        await_resume.add_catch(
            collect, errors=[DeadlinePassedError.__name__], outputs={**_CASE, "about": "the wait was not ended"}
        )
        return await_resume

    def _at_once(self, upload: sfn.Map, collect: tasks.LambdaInvoke) -> tuple[tasks.LambdaInvoke, tasks.LambdaInvoke]:
        """Return the states of a case with one upload request and one wait, which is most cases.

        Without a map around the request and a choice after the wait, they save two transitions. An upload that needs a
        person's answer, or the end of a pause, is repeated in the map ``upload``.
        """
        payload = {**_CASE, "batch": "{% $case.uploads[0] %}"}
        upload_all = self._step("Upload All", "upload", payload, outputs={**_CASE, "about": "uploads done: 1"})
        upload_all.add_catch(upload, errors=[NEEDS_ATTENTION, PAUSED], outputs=_said(_CASE))
        poll_all = self._poll("Poll All", phase="$case.phases[0]")
        upload_all.next(poll_all).next(collect)
        return upload_all, poll_all

    def _upload_documents(self) -> sfn.IChainable:
        """Return the states of one upload request in the Map, whose input has the number of the batch."""
        batch = {**_CASE, "batch": "{% $states.input.batch %}"}
        upload = self._step("Upload Documents", "upload", batch, outputs=batch)
        ask = self._token_step(
            "Ask About Upload",
            "ask",
            {
                **_CASE,
                "what": "{% 'upload-' & $string($states.input.batch) %}",
                "cause": "{% $states.input.about %}",
            },
            outputs=batch,
        )
        upload.add_catch(ask, errors=[NEEDS_ATTENTION], outputs=_said(batch))
        ask.next(upload)
        what = "'upload-' & $string($states.input.batch)"
        await_resume = self._held("Await Resume Of Upload", what, outputs=batch)
        upload.add_catch(await_resume, errors=[PAUSED], outputs=batch)
        await_resume.next(upload)
        return upload

    def _download_artifact(self) -> sfn.IChainable:
        """Return the states of one part of the artifacts in the Map, whose input has its number.

        An artifact that cannot be downloaded is left out; the error is a variable in the iteration's own scope.
        """
        part = {**_CASE, "part": "{% $states.input.part %}"}
        payload = {**_COLLECTION, "artifacts": "{% $collected.artifacts[$states.input.part] %}"}
        download = self._step("Download Artifact", "download", payload, outputs=part)
        leave_out = self._step(
            "Leave Out Artifact", "download", {**payload, "cause": "{% $leftOut.cause %}"}, outputs=part
        )
        download.add_catch(leave_out, errors=list(PASSING), outputs=_said(part), assign={"leftOut": _WHOLE_ERROR})
        what = "'download-' & $string($states.input.part)"
        await_resume = self._held("Await Resume Of Download", what, outputs=part)
        download.add_catch(await_resume, errors=[PAUSED], outputs=part)
        await_resume.next(download)
        return download

    def _poll(self, name: str, *, phase: str) -> tasks.LambdaInvoke:
        """Return a wait: the function ``wait`` stores the token, and the waiting room answers it."""
        return self._token_step(
            name,
            "wait",
            {**_CASE, "phase": f"{{% {phase} %}}"},
            outputs={
                **_CASE,
                "about": "{% 'waited for ' & $states.result.phase %}",
                "late": "{% $states.result.late = true %}",
            },
            timeout=f"{{% $ceil($case.deadline) + {SPARE} %}}",
        )

    def _held(self, name: str, what: str, *, outputs: Mapping[str, Any] | None = None) -> tasks.LambdaInvoke:
        """Return a state that waits for the end of an operator's pause, however long it lasts.

        Args:
            name: the state's name.
            what: the expression of the held step's name: a state's name, or the batch or part of a map.
            outputs: the output after the pause; by default the case's names and the state to continue with (``to``).

        """
        to = {**_CASE, "about": "the connection is resumed", "to": "{% $states.result.to %}"}
        return self._token_step(name, "wait", {**_CASE, "held": f"{{% {what} %}}"}, outputs=outputs or to)

    def _record_failure(self) -> tasks.LambdaInvoke:
        """Record the failure of the case, then end as failed, even if recording fails."""
        names = {"connection": "{% $states.input.connection %}", "reference": "{% $states.input.reference %}"}
        record = self._step(
            "Record Failure",
            "fail",
            {
                "input": f"{{% {_NAMES} %}}",
                "execution_arn": _EXECUTION["arn"],
                "error": "{% $failure.error %}",
                "cause": f"{{% $substring($failure.cause, 0, {LONGEST_CAUSE}) %}}",
            },
            assign={"ending": {"error": "{% $states.result.error %}", "reason": "{% $states.result.reason %}"}},
            outputs={**names, "about": "{% $states.input.about %}"},
        )
        failed = sfn.Fail.jsonata(self, "Failed", error="{% $ending.error %}", cause="{% $ending.reason %}")
        record.add_catch(
            failed,
            errors=[sfn.Errors.ALL],
            outputs=_said(names),
            assign={
                "ending": {
                    "error": "{% $states.errorOutput.Error %}",
                    "reason": r"{% $substring($replace($states.errorOutput.Cause & '', /\s+/, ' '), 0, 1000) %}",
                }
            },
        )
        record.next(failed)
        return record

    def _step(
        self,
        name: str,
        verb: str,
        payload: Mapping[str, Any],
        *,
        outputs: Mapping[str, Any] | str,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """Call a verb's function; assign the needed parts of its answer, and name the case in the state's output."""
        state = tasks.LambdaInvoke.jsonata(
            self,
            name,
            lambda_function=self._function(verb),
            payload=sfn.TaskInput.from_object(dict(payload)),
            payload_response_only=True,
            retry_on_service_exceptions=False,
            assign=assign,
            outputs=outputs,
        )
        _retry(state, never=NEVER_AGAIN)
        return state

    def _token_step(
        self,
        name: str,
        verb: str,
        payload: Mapping[str, Any],
        *,
        outputs: Mapping[str, Any],
        timeout: str | None = None,
    ) -> tasks.LambdaInvoke:
        """Call a verb's function with a task token, and wait for the answer to the token."""
        state = tasks.LambdaInvoke.jsonata(
            self,
            name,
            lambda_function=self._function(verb),
            payload=sfn.TaskInput.from_object({**payload, "token": _TOKEN}),
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            retry_on_service_exceptions=False,
            # As a token, because the CDK writes a Timeout.at() into TimeoutSecondsPath, which JSONata does not have.
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(cdk.Token.as_number(timeout))) if timeout else None,
            outputs=outputs,
        )
        # A retry after a timeout would repeat the whole wait.
        _retry(state, never=[*NEVER_AGAIN, sfn.Errors.TIMEOUT])
        return state

    def _map(
        self,
        name: str,
        *,
        items: str,
        selects: Mapping[str, str],
        at_once: str,
        each: sfn.IChainable,
        about: str,
    ) -> sfn.Map:
        """Run a step for each item; the output has only the number of answers.

        Args:
            name: the state's name.
            items: the expression of the items.
            selects: an iteration's input besides the case's names.
            at_once: the expression of how many run at once.
            each: the step.
            about: the expression of the text before the number of answers.

        """
        state = sfn.Map.jsonata(
            self,
            name,
            items=sfn.ProvideItems.jsonata(f"{{% {items} %}}"),
            item_selector={**_CASE, **selects},
            jsonata_max_concurrency=f"{{% {at_once} %}}",
            outputs={**_CASE, "about": f"{{% {about} & $string($count($states.result)) %}}"},
        )
        state.item_processor(each)
        return state

    def _function(self, verb: str) -> lambda_.Function:
        return self._invoked.setdefault(verb, self._functions[verb])

    def _machine(self, settings: Settings, start: sfn.IChainable) -> sfn.StateMachine:
        log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/vendedlogs/states/{settings.stack_name}",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=settings.stack_name,
            comment="Accept, upload, poll, download, publish: one execution is one case.",
            definition_body=sfn.DefinitionBody.from_chainable(start),
            query_language=sfn.QueryLanguage.JSONATA,
            role=self._role(settings).without_policy_updates(),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ERROR, include_execution_data=False),
        )
        acknowledge(
            machine,
            "AwsSolutions-SF1",
            reason="The execution's history has every event for 90 days; logging each would cost more than the case.",
        )
        return machine

    def _role(self, settings: Settings) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=step_functions(stack, state_machine_arn(self, settings)),
            inline_policies={
                "grants": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["lambda:InvokeFunction"],
                            resources=[function.function_arn for function in self._invoked.values()],
                        ),
                        iam.PolicyStatement(actions=list(SERVICE_ACTIONS), resources=["*"]),
                    ]
                )
            },
        )
        acknowledge_wildcards(role, ["*"], reason="X-Ray and the delivery of logs take no resource in a policy.")
        return role


def step_functions(stack: cdk.Stack, machine: str) -> iam.ServicePrincipal:
    """Return Step Functions as the principal of a state machine's role: for that machine's ARN alone."""
    conditions = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnLike": {"aws:SourceArn": machine}}
    return iam.ServicePrincipal("states.amazonaws.com", conditions=conditions)


def state_machine_arn(scope: Construct, settings: Settings) -> str:
    """Return the state machine's ARN from its name, for the functions that the machine depends on."""
    return states_arn(scope, "stateMachine", settings.stack_name)


def execution_arns(scope: Construct, settings: Settings) -> str:
    """Return the pattern of the ARNs of the state machine's executions."""
    return states_arn(scope, "execution", f"{settings.stack_name}:*")


def states_arn(scope: Construct, resource: str, name: str) -> str:
    """Return an ARN of Step Functions from a name."""
    return cdk.Stack.of(scope).format_arn(
        service="states", resource=resource, resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )


def _said(names: Mapping[str, str]) -> dict[str, str]:
    """Return the next state's input after an error: the names of the case, and the message, cut."""
    return {**names, "about": f"{{% {_ERROR} %}}"}


def _paused(names: Mapping[str, str], state: str) -> dict[str, str]:
    """Return the input of the state that waits for the end of a pause: the case's names, and the state to repeat."""
    return {**names, "about": "an operator has paused the connection", "held": state}


def _is(condition: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {condition} %}}")


def _retry(state: sfn.TaskStateBase, *, never: list[str]) -> None:
    """Set the four retriers: final errors, throttled calls, passing trouble, anything else (a killed function).

    Waiting for a turn is not a failure: with ten thousand cases at ten requests a second it takes hours. More frequent
    retries would not fit: each takes three of the 25,000 events of an execution's history.
    """
    state.add_retry(errors=never, max_attempts=0)
    state.add_retry(
        errors=list(NOT_YET),
        interval=cdk.Duration.seconds(2),
        backoff_rate=1.3,
        max_delay=cdk.Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
        max_attempts=1000,
    )
    state.add_retry(
        errors=[*sorted({*retryable_names()} - {*NOT_YET}), *LAMBDA_TROUBLE, *AWS_TROUBLE],
        interval=cdk.Duration.seconds(1),
        backoff_rate=1.5,
        max_delay=cdk.Duration.seconds(LONGEST_PAUSE),
        jitter_strategy=sfn.JitterType.FULL,
        max_attempts=90,
    )
    state.add_retry(
        errors=[sfn.Errors.ALL],
        interval=cdk.Duration.seconds(1),
        backoff_rate=2,
        max_delay=cdk.Duration.seconds(30),
        max_attempts=20,
    )
