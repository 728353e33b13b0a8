"""The ``dossier`` command: names and parameters of each command; the module of the same name has its work."""
# ruff: noqa: PLC0415 -- a command imports its module when it runs, which keeps `dossier --help` fast

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer._click.exceptions import ClickException  # typer bundles click, but does not export this
from typer.core import TyperGroup

from cli.errors import FAILED, INTERRUPTED, BadUsageError, CommandError, explain
from cli.output import Output, clean_logs, report

if TYPE_CHECKING:
    from cli.target import Target


class Commands(TyperGroup):
    """The commands; any error of one becomes one line on stderr and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit with its code; never print a traceback."""
        given = list(sys.argv[1:] if args is None else args)
        options = given[: given.index("--")] if "--" in given else given
        as_json = "--json" in options
        try:
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            _silence()
            code = FAILED
        except Exception as error:  # noqa: BLE001 -- a person gets one line, never a traceback
            if os.environ.get("DOSSIER_DEBUG") == "1":
                traceback.print_exc()
            problem = _usage(error) or explain(error)
            report(problem, as_json=as_json)
            code = problem.code
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _usage(error: Exception) -> CommandError | None:
    if isinstance(error, typer.Abort):
        return CommandError("aborted; nothing changed")
    if not isinstance(error, ClickException):
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "dossier"
    return BadUsageError(error.format_message().rstrip("."), fix=f"see `{command} --help`")


def _silence() -> None:
    """Keep the interpreter from flushing to a closed pipe (Python docs, "Note on SIGPIPE")."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="dossier",
    cls=Commands,
    help="Send documents to your document-processing vendor, and get every result in your own S3 bucket.",
    epilog="Exit codes: 0 done, 1 the case or the operation failed, 2 bad usage, 3 not finished in time, "
    "4 an operator has to answer first. `dossier COMMAND --help` explains a command.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)
secrets_app = typer.Typer(name="secrets", help="The connections' keys, in Secrets Manager.", rich_markup_mode=None)
app.add_typer(secrets_app)
sandbox_app = typer.Typer(name="sandbox", help="The sandbox of the vendors on this machine.", rich_markup_mode=None)
fault_app = typer.Typer(name="fault", help="Make the sandbox fail on purpose.", rich_markup_mode=None)
sandbox_app.add_typer(fault_app)
app.add_typer(sandbox_app)

Connection = Annotated[str, typer.Argument(metavar="CONNECTION")]
Reference = Annotated[str, typer.Argument(metavar="REFERENCE")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, for programs.")]
Local = Annotated[bool, typer.Option("--local", help="Use only the local AWS.")]
Stage = Annotated[
    str | None, typer.Option("--stage", help="Use this stage in the AWS account, even if the local AWS is up.")
]
AtConnection = Annotated[str | None, typer.Option("--connection", help="The case's connection.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dossier {version('dossier')}")
        raise typer.Exit


@app.callback()
def dossier(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 -- its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Print the help if no command is given."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def _target(*, local: bool, stage: str | None) -> Target:
    from cli import target

    return target.find(local=local, stage=stage)


@app.command()
def up(
    connections: Annotated[Path | None, typer.Option(help="The connections file to deploy.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Delete all local cases and files first.")] = False,
    as_json: Json = False,
    local: Local = False,  # noqa: ARG001 -- always local
) -> None:
    """Start the local AWS and the sandbox of the vendors, and deploy."""
    from cli import local as here

    here.up(Output(as_json=as_json), connections=connections, reset=reset)


@app.command()
def down(as_json: Json = False, local: Local = False) -> None:  # noqa: ARG001 -- always local
    """Stop the local AWS and the sandbox; cases and files stay for the next `dossier up`."""
    from cli import local as here

    here.down(Output(as_json=as_json))


@app.command()
def outputs(as_json: Json = False, local: Local = False, stage: Stage = None) -> None:
    """Show the deployment's webhook URLs, bucket and state machine."""
    from cli import local as here

    here.outputs(Output(as_json=as_json), _target(local=local, stage=stage))


@secrets_app.command("set")
def secrets_set(  # noqa: PLR0917 -- a command line is its parameters
    connection: Connection,
    from_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the API key, then one webhook secret a line; - is standard input."),
    ] = None,
    api_key: Annotated[str | None, typer.Option(help="The vendor's API key. It stays in the shell's history.")] = None,
    webhook_secret: Annotated[
        list[str] | None, typer.Option(help="A webhook secret; the current one first, then any that is still valid.")
    ] = None,
    apply_refused: Annotated[
        bool | None,
        typer.Option(help="Apply deliveries that were refused before, and that the new secret proves."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Ask the vendor whether it accepts the new API key.")
    ] = True,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Store a connection's secret. On a terminal, the command asks for it; otherwise it reads standard input.

    Standard input has the API key first, then one webhook secret a line: vault read … | dossier secrets set invoices
    """
    from cli import secrets

    secrets.put(
        Output(as_json=as_json),
        _target(local=local, stage=stage),
        connection,
        api_key=api_key,
        webhook_secrets=webhook_secret or [],
        from_file=from_file,
        apply_refused=apply_refused,
        check=check,
    )


@fault_app.command("list")
def fault_list(as_json: Json = False, local: Local = False) -> None:  # noqa: ARG001 -- always local
    """List every fault, its effect, and the rates that are set."""
    from cli import sandbox

    sandbox.list_faults(Output(as_json=as_json))


@fault_app.command("set")
def fault_set(  # noqa: PLR0917 -- a command line is its parameters
    name: Annotated[str, typer.Argument(metavar="FAULT")],
    rate: Annotated[float, typer.Option(min=0, max=1, help="How often: 1 is always.")] = 1.0,
    vendor: Annotated[str | None, typer.Option(help="Only at this vendor.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only at this operation, such as upload or status.")] = None,
    times: Annotated[int | None, typer.Option(min=0, help="How many times at most.")] = None,
    seconds: Annotated[float | None, typer.Option(help="The length of the pause or the delay.")] = None,
    status: Annotated[
        int | None, typer.Option(min=200, max=599, help="The HTTP status, for faults that answer with one.")
    ] = None,
    form: Annotated[str | None, typer.Option(help="The form, for faults that have several.")] = None,
    when: Annotated[
        str | None, typer.Option(help="before or after the request's work, for html and stray_status.")
    ] = None,
    as_json: Json = False,
    local: Local = False,  # noqa: ARG001 -- always local
) -> None:
    """Switch a fault on."""
    from cli import sandbox

    rule = {"rate": rate, "vendor": vendor, "operation": operation, "times": times, "seconds": seconds}
    sandbox.set_fault(Output(as_json=as_json), name, {**rule, "status": status, "form": form, "when": when})


@fault_app.command("clear")
def fault_clear(
    name: Annotated[str | None, typer.Argument(metavar="[FAULT]")] = None,
    as_json: Json = False,
    local: Local = False,  # noqa: ARG001 -- always local
) -> None:
    """Switch off one fault, or all."""
    from cli import sandbox

    sandbox.clear_faults(Output(as_json=as_json), name)


@app.command()
def submit(  # noqa: PLR0917 -- a command line is its parameters
    connection: Connection,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE|URL", help="Files, s3:// objects, or https:// if the vendor reads URLs."),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Your own name for the case.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V",
            help="An option of the vendor's. `dossier vendor CONNECTION` or `--option help` lists all, with their "
            "types and effects.",
        ),
    ] = None,
    case_id: Annotated[str | None, typer.Option(help="The vendor's case to append to, or to collect.")] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="D", help="How long to wait for the vendor: seconds, or 90m, 12h, 3d.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the case ends.")] = False,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Send a file even if the case has the same bytes already.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="With --wait: the most seconds to wait (default 3600).")
    ] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Submit files as one case; `dossier vendor CONNECTION` lists the vendor's options."""
    from cli import submit as here

    if timeout is not None and not wait:
        raise BadUsageError("--timeout needs --wait", fix="add --wait, or leave --timeout out")

    here.submit(
        Output(as_json=as_json),
        _target(local=local, stage=stage),
        connection,
        files or [],
        reference=reference,
        options=option or [],
        case_id=case_id,
        deadline=deadline,
        wait=wait,
        allow_duplicates=allow_duplicates,
        timeout=3600 if timeout is None else timeout,
    )


@app.command()
def example(connection: Connection, as_json: Json = False, local: Local = False, stage: Stage = None) -> None:
    """Print a complete execution input for a connection, ready to paste, and the ways to start it."""
    from cli import example as here

    here.example(Output(as_json=as_json), _target(local=local, stage=stage), connection)


@app.command()
def collect(
    connection: Connection,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The vendor's cases, documents or jobs.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="All that the account lists since then: 30m, 2h, 3d or a time.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Your own name for the case; only with one id.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Collect cases and documents that Dossier did not submit, or a batch by its job."""
    from cli import collect as here

    where = _target(local=local, stage=stage)
    here.collect(Output(as_json=as_json), where, connection, ids or [], since=since, reference=reference)


@app.command()
def status(
    words: Annotated[list[str], typer.Argument(metavar="REFERENCE")],
    connection: AtConnection = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Show the state of a case."""
    from cli import status as here

    reference, at = _one_case(words, connection)
    here.status(Output(as_json=as_json), _target(local=local, stage=stage), reference, at)


def _one_case(words: Sequence[str], connection: str | None) -> tuple[str, str | None]:
    """Return reference and connection; the ``CONNECTION REFERENCE`` of earlier versions works too."""
    if len(words) > 2 or (len(words) == 2 and connection is not None):
        raise BadUsageError(
            "give one REFERENCE, and its connection with --connection", fix="see `dossier status --help`"
        )
    return words[-1], words[0] if len(words) == 2 else connection


@app.command("list")
def list_cases(  # noqa: PLR0917 -- a command line is its parameters
    connection: Annotated[str | None, typer.Option(help="Only cases of this connection.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="S[,S...]", help="Only cases with this status, or one of these.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="30m, 2h, 3d or 2026-01-31T12:00.")] = None,
    review: Annotated[bool, typer.Option("--review", help="Only cases that a person should look at.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="All of them, without --limit.")] = False,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Only cases after the one with this cursor.")
    ] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """List cases, latest submitted first."""
    from cli import status as here

    here.cases(
        Output(as_json=as_json),
        _target(local=local, stage=stage),
        connection=connection,
        status=status,
        since=since,
        review=review,
        after=after,
        limit=None if everything else limit,
    )


@app.command()
def export(
    connection: Annotated[str | None, typer.Option(help="Only cases of this connection.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="30m, 2h, 3d or 2026-01-31T12:00.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Print the fields of finished cases as CSV, one row a field: dossier export > fields.csv."""
    from cli import export as here

    here.export(Output(as_json=as_json), _target(local=local, stage=stage), connection=connection, since=since)


@app.command()
def fetch(
    reference: Reference,
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    connection: AtConnection = None,
    documents: Annotated[bool, typer.Option("--documents", help="Download the submitted documents too.")] = False,
    revision: Annotated[int | None, typer.Option(min=1, help="This revision instead of the latest.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Download a case's results to a folder."""
    from cli import fetch as here

    where, out = _target(local=local, stage=stage), Output(as_json=as_json)
    here.fetch(out, where, reference, directory, connection=connection, documents=documents, revision=revision)


@app.command()
def refresh(
    reference: Reference,
    connection: AtConnection = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is collected.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="The most seconds to wait.")] = 600,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Collect an ended case again; if the vendor has changed it, the change becomes its next revision."""
    from cli import refresh as here

    where = _target(local=local, stage=stage)
    here.refresh(Output(as_json=as_json), where, reference, connection=connection, wait=wait, timeout=timeout)


@app.command()
def cancel(
    reference: Reference,
    connection: AtConnection = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """End a case, keep its data, and list the documents that the vendor may still bill."""
    from cli import cancel as here

    here.cancel(Output(as_json=as_json), _target(local=local, stage=stage), reference, connection=connection)


@app.command()
def resolve(  # noqa: PLR0917 -- a command line is its parameters
    reference: Reference,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry the request (only if the vendor did not receive it).")
    ] = False,
    use: Annotated[str | None, typer.Option(metavar="ID", help="Go on with ID, which the vendor has.")] = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="End the case as failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --use: accept ID even if its name differs.")] = False,
    connection: AtConnection = None,
    question: Annotated[str | None, typer.Option(metavar="WHAT", help="Which question, if several are open.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Answer a case that needs attention: --retry, --use ID or --give-up; without one, show its questions."""
    from cli import resolve as here

    answer = here.Answer.of(retry=retry, use=use, give_up=give_up, force=force)
    where = _target(local=local, stage=stage)
    here.resolve(Output(as_json=as_json), where, reference, answer, connection=connection, what=question)


@app.command()
def redrive(  # noqa: PLR0917 -- a command line is its parameters
    references: Annotated[list[str] | None, typer.Argument(metavar="[REFERENCE]...")] = None,
    connection: Annotated[str | None, typer.Option(help="Only this connection's cases and dead letters.")] = None,
    cause: Annotated[str | None, typer.Option(metavar="TEXT", help="Only causes that contain this text.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="Only this case.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them, and send nothing back.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask. Rejected cases also need --cause or a reference.")
    ] = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Take them off this list for good, and delete dead letters.")
    ] = False,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Show failed cases and dead letters by cause, and resume them where they stopped."""
    from cli import redrive as here

    here.redrive(
        Output(as_json=as_json),
        _target(local=local, stage=stage),
        connection=connection,
        cause=cause,
        references=[*(references or []), *(reference or [])],
        dry_run=dry_run,
        yes=yes,
        dismiss=dismiss,
    )


@app.command()
def deliveries(
    connection: Annotated[str | None, typer.Option(help="Only deliveries of this connection.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only this verdict, such as accepted or refused.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="30m, 2h, 3d or 2026-01-31T12:00.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """List webhook deliveries, latest first."""
    from cli import deliveries as here

    where = _target(local=local, stage=stage)
    here.deliveries(Output(as_json=as_json), where, connection=connection, verdict=verdict, limit=limit, since=since)


@app.command()
def replay(
    words: Annotated[list[str], typer.Argument(metavar="ID|KEY...")],
    connection: Annotated[str | None, typer.Option(help="The deliveries' connection.")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Verify stored webhook deliveries, and apply them again."""
    from cli import replay as here

    here.replay(Output(as_json=as_json), _target(local=local, stage=stage), words, connection=connection)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def vendor(
    context: typer.Context,
    connection: Connection,
    operation: Annotated[str | None, typer.Argument(metavar="[OPERATION ...]")] = None,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Send one request to a connection's vendor; without OPERATION, list operations and the options of a case."""
    from cli import vendor as here

    here.ask(Output(as_json=as_json), _target(local=local, stage=stage), connection, operation, context.args)


@app.command()
def drain(
    park: Annotated[bool, typer.Option("--park", help="End waiting cases; `dossier redrive` resumes them.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Let new cases start again.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until no case is under way.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="The most seconds to wait.")] = 3600,
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Stop new cases and show the ones under way, before you destroy the stack."""
    from cli import drain as here

    where = _target(local=local, stage=stage)
    here.drain(Output(as_json=as_json), where, park=park, stop=stop, wait=wait, timeout=timeout)


@app.command()
def policy(
    role: Annotated[str, typer.Argument(metavar="user|operator|deployer")],
    as_json: Json = False,
    local: Local = False,
    stage: Stage = None,
) -> None:
    """Print the least-privilege IAM policy of a role for this stage, as `aws iam create-policy` takes it."""
    from cli import policy as here

    here.policy(Output(as_json=as_json), role, lambda: _target(local=local, stage=stage), stage=stage)


@app.command()
def doctor(as_json: Json = False, local: Local = False, stage: Stage = None) -> None:
    """Check keys, URLs, permissions and webhook set-up, and say how to fix each problem."""
    from cli import doctor as here

    here.doctor(Output(as_json=as_json), lambda: _target(local=local, stage=stage))


def main() -> None:
    """Run the command line."""
    clean_logs()
    app()


if __name__ == "__main__":
    main()
