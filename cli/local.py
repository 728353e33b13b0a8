"""``dossier up`` and ``dossier down``: the local AWS and the sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli import target
from cli.errors import CommandError
from cli.files import require
from cli.output import Output
from cli.pause import as_json
from dossier.models import CaseStatus, now
from dossier.steps.redrive import resume
from dossier.stores.cases import Case
from dossier.stores.limiter import Hold
from dossier.texts import counted
from local import control
from local.deploy import ACCESS_KEY, SECRET_KEY, aws_environment

CREDENTIALS = f"AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}"
"""Credentials for the AWS CLI on the local AWS."""
INTERRUPTED = "the local AWS was stopped while the case was under way"


def deployment() -> target.Target | None:
    """Return the deployment on the local AWS, which this process uses from now on; None if the local AWS is not up.

    Raises:
        CommandError: nothing is deployed to it.

    """
    state = control.current()
    if state is None:
        return None
    found = state.outputs
    if found is None:
        raise CommandError("the local AWS is up, but has no deployment: run `dossier up` again")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # never use the user's own AWS set-up
    os.environ.update(aws_environment(state.endpoint_url))
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    names = sorted(found.connections or found.webhook_urls)
    session = boto3.Session(region_name=found.region)
    return target.Target(
        **{**found.model_dump(), "connections": names}, connections_file=state.connections, session=session
    )


def up(out: Output, *, connections: Path | None, reset: bool) -> None:
    """Start the local AWS and the sandbox if needed, deploy, and print the outputs."""
    if connections is not None:
        require(connections, "connections file", regular=False)
    was_up = control.current() is not None
    control.up(connections=connections, reset=reset, report=out.progress)
    where = target.find(local=True)
    resumed = 0 if was_up else resume_interrupted(where)
    if resumed:
        out.progress(f"{counted(resumed, 'case')} resumed: the local AWS was stopped while they were under way")
    outputs(out, where)


def resume_interrupted(where: target.Target) -> int:
    """Resume the cases whose executions ended with an earlier local AWS; return their number.

    An execution of the local AWS does not survive its process. Each such case is recorded as failed and redriven. A
    case whose documents were not stored yet must be submitted again.
    """
    resumed = 0
    for name in where.connections:
        for record in where.app.cases.newest(name):
            if record.status.final or where.app.executions.status(record.execution_arn) == "RUNNING":
                continue
            case = where.app.cases.get(record.id)
            _record_interruption(where, case)
            if case.documents or record.appends_to:
                resume(record.id, context=where.app)
                resumed += 1
    return resumed


def _record_interruption(where: target.Target, case: Case) -> None:
    record = case.record
    names = record.id
    wait = where.app.waits.find(names)
    if wait is not None:
        where.app.waits.end(wait)
    for step in list(where.app.waits.steps_of(names)):
        where.app.waits.end_step(step)
    for question in case.questions:
        where.app.cases.answered(names, question.what)
    where.app.cases.change(
        names,
        status=CaseStatus.FAILED,
        reason=INTERRUPTED,
        error="Interrupted",
        refused=None if case.documents or record.appends_to else True,
    )


def down(out: Output) -> None:
    """Stop the local AWS and the sandbox."""
    stopped: list[str] = []

    def report(line: str) -> None:
        stopped.append(line.removeprefix("stopped "))
        out.progress(line)

    control.down(report=report)
    if stopped:
        out.progress("cases and files stay: `dossier up` continues with them, `dossier up --reset` deletes them")
    else:
        out.progress("nothing was running")
    out.document({"stopped": stopped})


def outputs(out: Output, where: target.Target) -> None:
    """Print the deployment's addresses and names."""
    found, paused = where.outputs(), _paused(where)
    shown = None if paused is None else {name: as_json(hold) for name, hold in paused.items()}
    out.document({**found, "paused": shown})
    webhooks = [(f"webhook {name}", url) for name, url in found.pop("webhook_urls").items()]
    found["connections"] = ", ".join(found["connections"])
    holds = [(f"paused {name}", hold.text(name, now())) for name, hold in (paused or {}).items()]
    out.pairs([*webhooks, *((name.replace("_", " "), value) for name, value in found.items()), *holds])


def _paused(where: target.Target) -> dict[str, Hold] | None:
    """Return the paused connections; None if the table cannot be read, so that the addresses are printed anyway."""
    try:
        return where.app.limiter.paused()
    except (BotoCoreError, ClientError):
        return None
