"""The ``dossier`` command: names and parameters of each command; the module of the same name has its work."""
# ruff: noqa: PLC0415 -- a command imports its module when it runs, which keeps `dossier --help` fast

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.commands import Call, Group, command, group
from cli.errors import BadUsageError
from cli.output import clean_logs

app = typer.Typer(
    name="dossier",
    cls=Group,
    help="Send documents to your document-processing vendor, and get every result in your own S3 bucket.",
    epilog="Exit codes: 0 done, 1 the case or the operation failed, 2 bad usage, 3 not finished in time, "
    "4 an operator has to answer first. `dossier COMMAND --help` explains a command.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)
secrets_app = group(app, "secrets", "The connections' keys, in Secrets Manager.")
sandbox_app = group(app, "sandbox", "The sandbox of the vendors on this machine.")
fault_app = group(sandbox_app, "fault", "Make the sandbox fail on purpose.")


# Typer calls these before the command runs: mistakes on this machine are reported before any request to AWS.


def _input(path: Path | None) -> Path | None:
    if path is not None and str(path) != "-":
        from cli.files import require

        require(path, regular=False)
    return path


def _files(given: list[str] | None) -> list[str] | None:
    for each in given or ():
        from cli.files import is_uri, require

        if not is_uri(each):
            require(Path(each))
    return given


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise BadUsageError(f"{path} is not a folder")
    return path


def _moment(text: str | None) -> str | None:
    if text is not None:
        from cli.deliveries import moment_of

        moment_of(text)
    return text


def _verdict(text: str | None) -> str | None:
    from cli.deliveries import require_verdict

    return require_verdict(text)


def _statuses(text: str | None) -> str | None:
    from cli.status import statuses_of

    statuses_of(text)
    return text


Connection = Annotated[
    str, typer.Argument(metavar="CONNECTION", help="The connection's name; `dossier outputs` lists all.")
]
OnlyConnection = Annotated[str | None, typer.Option(metavar="CONNECTION", help="Only this connection.")]
Reference = Annotated[str, typer.Argument(metavar="REFERENCE", help="The case's reference.")]
AtConnection = Annotated[
    str | None,
    typer.Option(metavar="CONNECTION", help="The case's connection, if several have a case of that reference."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", callback=_moment, help="Only since then: 30m, 2h, 3d (ago), or 2026-01-31T12:00."),
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="With --wait: how long to wait at most.")]


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


@command(app, stages=False)
def up(
    call: Call,
    connections: Annotated[Path | None, typer.Option(metavar="FILE", help="The connections file to deploy.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Delete all local cases and files first.")] = False,
) -> None:
    """Start the local AWS and the sandbox of the vendors, and deploy."""
    from cli import local as here

    here.up(call.out, connections=connections, reset=reset)


@command(app, stages=False)
def down(call: Call) -> None:
    """Stop the local AWS and the sandbox; cases and files stay for the next `dossier up`."""
    from cli import local as here

    here.down(call.out)


@command(app)
def outputs(call: Call) -> None:
    """Show the deployment's webhook URLs, bucket and state machine."""
    from cli import local as here

    here.outputs(call.out, call.where)


@command(secrets_app, "set")
def secrets_set(
    call: Call,
    connection: Connection,
    from_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=_input,
            help="Read the API key, then one webhook secret per line; - is standard input.",
        ),
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The vendor's API key. It stays in the shell's history.")
    ] = None,
    webhook_secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECRET", help="A webhook secret; the current one first, then any that is still valid. Repeatable."
        ),
    ] = None,
    apply_refused: Annotated[
        bool | None,
        typer.Option(help="Apply deliveries that were rejected before, and that the new secret proves."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Ask the vendor whether it accepts the new API key.")
    ] = True,
) -> None:
    """Store a connection's secret. On a terminal, the command asks for it; otherwise it reads standard input.

    Standard input has the API key first, then one webhook secret per line: vault read … | dossier secrets set invoices
    """
    from cli import secrets

    secrets.put(
        call.out,
        call.where,
        connection,
        api_key=api_key,
        webhook_secrets=webhook_secret or [],
        from_file=from_file,
        apply_refused=apply_refused,
        check=check,
    )


@command(fault_app, "list", stages=False)
def fault_list(call: Call) -> None:
    """List every fault, its effect, and the rates that are set."""
    from cli import sandbox

    sandbox.list_faults(call.out)


@command(fault_app, "set", stages=False)
def fault_set(  # noqa: PLR0917 -- a command line is its parameters
    call: Call,
    name: Annotated[
        str, typer.Argument(metavar="FAULT", help="The fault's name; `dossier sandbox fault list` lists all.")
    ],
    rate: Annotated[float, typer.Option(min=0, max=1, metavar="RATE", help="How often: 1 is always.")] = 1.0,
    vendor: Annotated[str | None, typer.Option(metavar="VENDOR", help="Only at this vendor.")] = None,
    operation: Annotated[
        str | None, typer.Option(metavar="OPERATION", help="Only at this operation, such as upload or status.")
    ] = None,
    times: Annotated[int | None, typer.Option(min=0, metavar="N", help="How many times at most.")] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="The length of the pause or the delay.")
    ] = None,
    status: Annotated[
        int | None,
        typer.Option(min=200, max=599, metavar="STATUS", help="The HTTP status, for faults that answer with one."),
    ] = None,
    form: Annotated[str | None, typer.Option(metavar="FORM", help="The form, for faults that have several.")] = None,
    when: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="before or after the request's work, for html and stray_status."),
    ] = None,
) -> None:
    """Switch a fault on."""
    from cli import sandbox

    rule = {"rate": rate, "vendor": vendor, "operation": operation, "times": times, "seconds": seconds}
    sandbox.set_fault(call.out, name, {**rule, "status": status, "form": form, "when": when})


@command(fault_app, "clear", stages=False)
def fault_clear(
    call: Call,
    name: Annotated[str | None, typer.Argument(metavar="[FAULT]", help="The fault's name; without it, all.")] = None,
) -> None:
    """Switch off one fault, or all."""
    from cli import sandbox

    sandbox.clear_faults(call.out, name)


@command(app)
def submit(  # noqa: PLR0917 -- a command line is its parameters
    call: Call,
    connection: Connection,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|URL]...", callback=_files, help="Files, s3:// objects, or https:// if the vendor reads URLs."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="Your own name for the case; by default made of the files.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K=V",
            help="An option of the vendor's. `dossier vendor CONNECTION` or `--option help` lists all, with their "
            "types and effects.",
        ),
    ] = None,
    case_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The vendor's case to append to, or to collect.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="D", help="How long to wait for the vendor: seconds, or 90m, 12h, 3d.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the case ends.")] = False,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Send a file even if the case has the same bytes already.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Submit it although its case was erased; the vendor bills it again.")
    ] = False,
    priority: Annotated[
        Literal["normal", "low"], typer.Option(help="low lets the connection's other cases go first.")
    ] = "normal",
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="With --wait: how long to wait at most (default 3600)."),
    ] = None,
) -> None:
    """Submit files as one case; `dossier vendor CONNECTION` lists the vendor's options."""
    from cli import submit as here

    if timeout is not None and not wait:
        raise BadUsageError("--timeout needs --wait", fix="add --wait, or leave --timeout out")

    here.submit(
        call.out,
        call.where,
        connection,
        files or [],
        reference=reference,
        options=option or [],
        case_id=case_id,
        deadline=deadline,
        wait=wait,
        allow_duplicates=allow_duplicates,
        again=again,
        priority=priority,
        timeout=3600 if timeout is None else timeout,
    )


@command(app)
def batch(
    call: Call,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|status ID|stop ID|resume ID",
            help="A JSONL or CSV file with one case per line (- is standard input), or what to do with a batch.",
        ),
    ],
    connection: Annotated[
        str | None, typer.Option(metavar="CONNECTION", help="The connection of lines that name none.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, metavar="N", help="How many cases are under way at once, from now on."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be sent, and the bad lines.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress until the batch ends.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="With --wait: how long to wait at most (default a day)."),
    ] = None,
) -> None:
    """Submit thousands of cases in one run, one per line; the same file again submits only missing ones."""
    from cli import batch as here

    if timeout is not None and not wait:
        raise BadUsageError("--timeout needs --wait", fix="add --wait, or leave --timeout out")
    wishes = here.Wishes(concurrency, wait, 86_400 if timeout is None else timeout)
    here.run(call.out, call.where, words, connection=connection, dry_run=dry_run, wishes=wishes)


@command(app)
def example(call: Call, connection: Connection) -> None:
    """Print a complete execution input for a connection, ready to paste, and the ways to start it."""
    from cli import example as here

    here.example(call.out, call.where, connection)


@command(app)
def collect(
    call: Call,
    connection: Connection,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The vendor's cases, documents or jobs.")
    ] = None,
    since: Since = None,
    reference: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="Your own name for the case; only with one id.")
    ] = None,
) -> None:
    """Collect cases and documents that Dossier did not submit, or a batch by its job.

    With --since, collect all that the vendor's account lists since then.
    """
    from cli import collect as here

    here.collect(call.out, call.where, connection, ids or [], since=since, reference=reference)


@command(app)
def status(
    call: Call,
    words: Annotated[list[str], typer.Argument(metavar="REFERENCE", help="The case's reference.")],
    connection: AtConnection = None,
) -> None:
    """Show the state of a case."""
    from cli import status as here

    # `dossier status CONNECTION REFERENCE` is the grammar of earlier versions.
    if len(words) > 2 or (len(words) == 2 and connection is not None):
        raise BadUsageError(
            "give one REFERENCE, and its connection with --connection", fix="see `dossier status --help`"
        )
    here.status(call.out, call.where, words[-1], words[0] if len(words) == 2 else connection)


@command(app, "explain")
def explain_case(
    call: Call,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help="The case's reference.", show_default=False)
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option(metavar="CONNECTION", help="The case's connection; without REFERENCE, the connection to explain."),
    ] = None,
) -> None:
    """Say why a case or a connection does not move: its next event, when, and who has to act."""
    from cli import explain as here

    here.explain(call.out, call.where, reference, connection)


@command(app)
def timeline(call: Call, reference: Reference, connection: AtConnection = None) -> None:
    """Show everything that happened to a case, in order: steps with retries, vendor calls, deliveries, waiting."""
    from cli import timeline as here

    here.show(call.out, call.where, reference, connection)


@command(app)
def logs(call: Call, reference: Reference, connection: AtConnection = None) -> None:
    """Print the functions' log lines about a case."""
    from cli import timeline as here

    here.logs(call.out, call.where, reference, connection)


@command(app)
def watch(
    call: Call,
    connection: OnlyConnection = None,
    once: Annotated[bool, typer.Option("--once", help="Print them once and end.")] = False,
    every: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="The time between two updates, at least 2.")
    ] = 2.0,
) -> None:
    """Show all cases under way, each with its next event, until Ctrl-C."""
    from cli import running as here

    here.watch(call.out, call.where, connection=connection, once=once, every=every)


@command(app, "list")
def list_cases(
    call: Call,
    connection: OnlyConnection = None,
    status: Annotated[
        str | None,
        typer.Option(
            metavar="S[,S...]",
            callback=_statuses,
            help="Only cases with one of these statuses: accepted, uploading, waiting, processing, downloading, "
            "needs_attention, completed, completed_with_failures, failed, uploaded, cancelled, waiting_for_files.",
        ),
    ] = None,
    since: Since = None,
    review: Annotated[bool, typer.Option("--review", help="Only cases that a person should review.")] = False,
    limit: Limit = 50,
    everything: Annotated[bool, typer.Option("--all", help="All of them, without --limit.")] = False,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Only cases after the one with this cursor.")
    ] = None,
) -> None:
    """List cases, latest submitted first."""
    from cli import status as here

    here.cases(
        call.out,
        call.where,
        connection=connection,
        status=status,
        since=since,
        review=review,
        after=after,
        limit=None if everything else limit,
    )


@command(app)
def export(
    call: Call,
    connection: OnlyConnection = None,
    since: Since = None,
    form: Annotated[
        Literal["csv", "parquet", "tables"],
        typer.Option(
            "--format", help="csv, parquet, or tables: copies of results in the bucket, for SQL (docs/queries.md)."
        ),
    ] = "csv",
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The file to write instead of standard output.")
    ] = None,
) -> None:
    """Export the fields of finished cases, one row per field: dossier export > fields.csv."""
    from cli import export as here

    here.export(call.out, call.where, connection=connection, since=since, form=form, file=file)


@command(app)
def fetch(
    call: Call,
    reference: Reference,
    directory: Annotated[Path, typer.Argument(metavar="DIR", callback=_folder, help="The folder, which may be new.")],
    connection: AtConnection = None,
    documents: Annotated[bool, typer.Option("--documents", help="Download the submitted documents too.")] = False,
    revision: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="This revision instead of the latest.")
    ] = None,
) -> None:
    """Download a case's results to a folder."""
    from cli import fetch as here

    here.fetch(
        call.out, call.where, reference, directory, connection=connection, documents=documents, revision=revision
    )


@command(app)
def refresh(
    call: Call,
    reference: Reference,
    connection: AtConnection = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is collected.")] = False,
    timeout: Timeout = 600,
) -> None:
    """Collect an ended case again; if the vendor has changed it, the change becomes its next revision."""
    from cli import refresh as here

    here.refresh(call.out, call.where, reference, connection=connection, wait=wait, timeout=timeout)


@command(app)
def cancel(call: Call, reference: Reference, connection: AtConnection = None) -> None:
    """End a case, keep its data, and list the documents that the vendor may still bill."""
    from cli import cancel as here

    here.cancel(call.out, call.where, reference, connection=connection)


@command(app)
def forget(
    call: Call,
    reference: Annotated[str | None, typer.Argument(metavar="[REFERENCE]", help="The case's reference.")] = None,
    connection: AtConnection = None,
    verify: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Only check certificates that were downloaded, without AWS."),
    ] = None,
) -> None:
    """Erase a case that has ended from every store, and write a certificate into the bucket, under erasures/."""
    from cli import forget as here

    if verify and (reference or connection):
        raise BadUsageError("--verify takes no REFERENCE: it checks certificates on this machine")
    if verify:
        here.verify(call.out, verify)
    elif reference is None:
        raise BadUsageError("give the REFERENCE of a case, or --verify", fix="see `dossier forget --help`")
    else:
        here.erase(call.out, call.where, reference, connection=connection)


@command(app)
def resolve(  # noqa: PLR0917 -- a command line is its parameters
    call: Call,
    reference: Reference,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry the request (only if the vendor did not receive it).")
    ] = False,
    send: Annotated[bool, typer.Option("--send", help="Send a case although it is over the budget.")] = False,
    use: Annotated[str | None, typer.Option(metavar="ID", help="Continue with ID, which the vendor has.")] = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="End the case as failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --use: accept ID even if its name differs.")] = False,
    connection: AtConnection = None,
    question: Annotated[str | None, typer.Option(metavar="WHAT", help="Which question, if several are open.")] = None,
) -> None:
    """Answer a case that needs attention: --retry, --use ID, --send or --give-up; without one, show its questions."""
    from cli import resolve as here

    answer = here.answer_of(retry=retry, use=use, give_up=give_up, send=send, force=force)
    here.resolve(call.out, call.where, reference, answer, connection=connection, what=question)


@command(app)
def redrive(
    call: Call,
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[REFERENCE]...", help="Only these cases; dismissed ones too.")
    ] = None,
    connection: OnlyConnection = None,
    cause: Annotated[str | None, typer.Option(metavar="TEXT", help="Only causes that contain this text.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="REFERENCE", help="Only this case. Repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them, and send nothing back.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask. Rejected cases also need --cause or a reference.")
    ] = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Remove them from this list for good, and delete dead letters.")
    ] = False,
) -> None:
    """Show failed cases and dead letters by cause, and resume them where they stopped."""
    from cli import redrive as here

    here.redrive(
        call.out,
        call.where,
        connection=connection,
        cause=cause,
        references=[*(references or []), *(reference or [])],
        dry_run=dry_run,
        yes=yes,
        dismiss=dismiss,
    )


@command(app)
def deliveries(
    call: Call,
    connection: OnlyConnection = None,
    verdict: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICT",
            callback=_verdict,
            help='Only this verdict: accepted, refused, replayed (refused, and applied later), or "not ours".',
        ),
    ] = None,
    limit: Limit = 50,
    since: Since = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="CONNECTION",
            help="Report this connection's lost, late, repeated and rejected deliveries (by default of 7 days) for the"
            " vendor's support: ids, times and hashes, no secrets.",
        ),
    ] = None,
) -> None:
    """List webhook deliveries, latest first."""
    if report is not None:
        from cli import delivery_report

        if connection or verdict:
            raise BadUsageError("--report covers all deliveries of a connection: leave out --connection and --verdict")
        delivery_report.report(call.out, call.where, report, since=since)
        return
    from cli import deliveries as here

    here.deliveries(call.out, call.where, connection=connection, verdict=verdict, limit=limit, since=since)


@command(app)
def replay(
    call: Call,
    words: Annotated[
        list[str], typer.Argument(metavar="ID|KEY...", help="Deliveries by id, as `dossier deliveries` prints it.")
    ],
    connection: OnlyConnection = None,
    forward: Annotated[
        str | None, typer.Option(metavar="URL", help="Send them to this URL instead, unchanged; apply nothing.")
    ] = None,
) -> None:
    """Verify stored webhook deliveries, and apply them again."""
    from cli import replay as here

    here.replay(call.out, call.where, words, connection=connection, forward=forward)


@command(app)
def listen(
    call: Call,
    connection: Connection,
    forward: Annotated[
        str, typer.Option(metavar="URL", help="Where to send them, such as http://localhost:8000/webhooks.")
    ],
    only: Annotated[
        Literal["deliveries", "events"] | None, typer.Option(help="Forward deliveries, or events about cases, alone.")
    ] = None,
    since: Since = None,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after that many.")] = None,
) -> None:
    """Forward verified deliveries, and events about cases, to a program on this machine as they come, until Ctrl-C."""
    from cli import listen as here
    from cli.deliveries import moment_of

    begin = None if since is None else moment_of(since)
    here.listen(call.out, call.where, connection, forward=forward, only=only, since=begin, count=count)


@command(app, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def vendor(
    call: Call,
    context: typer.Context,
    connection: Connection,
    operation: Annotated[
        str | None, typer.Argument(metavar="[OPERATION ...]", help="The operation, and its arguments.")
    ] = None,
) -> None:
    """Send one request to a connection's vendor; without OPERATION, list operations and the options of a case."""
    from cli import vendor as here

    here.ask(call.out, call.where, connection, operation, context.args)


@command(app)
def invoice(
    call: Call,
    connection: Connection,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month, in UTC.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, to compare with the vendor's bill.")] = False,
) -> None:
    """List every page that the vendor should bill for a month, and the entries of its list that no case explains."""
    from cli import invoice as here

    here.invoice(call.out, call.where, connection, month=month, as_csv=as_csv)


@command(app)
def drift(
    call: Call,
    connection: Connection,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many of the latest cases at most.")] = 50,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the answers that differ most, redacted, as a recording for the contract suite: the folder"
            " events/vendors of a checkout.",
        ),
    ] = None,
) -> None:
    """Print the undocumented and the missing fields in a connection's latest answers."""
    from cli import drift as here

    here.drift(call.out, call.where, connection, since=since, limit=limit, record=record)


@command(app)
def cost(
    call: Call,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help="The case's reference; or a month, with --month.")
    ] = None,
    connection: OnlyConnection = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="All cases of a month, in UTC.")] = None,
) -> None:
    """Print the usage of a case, or of a month by connection, at AWS and the vendor, and its cost."""
    from cli import cost as here

    here.cost(call.out, call.where, reference, connection=connection, month=month)


@command(app)
def drain(
    call: Call,
    park: Annotated[bool, typer.Option("--park", help="End waiting cases; `dossier redrive` resumes them.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Let new cases start again.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until no case is under way.")] = False,
    timeout: Timeout = 3600,
) -> None:
    """Stop new cases and show the ones under way, before you destroy the stack."""
    from cli import drain as here

    here.drain(call.out, call.where, park=park, stop=stop, wait=wait, timeout=timeout)


@command(app)
def pause(
    call: Call,
    connection: Connection,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for your colleagues.")],
) -> None:
    """Stop all requests to a connection's vendor until `dossier resume`; cases wait, deliveries are stored."""
    from cli import pause as here

    here.pause(call.out, call.where, connection, reason)


@command(app)
def resume(call: Call, connection: Connection) -> None:
    """End a `dossier pause`; the connection's cases continue where they were."""
    from cli import pause as here

    here.resume(call.out, call.where, connection)


@command(app)
def console(
    call: Call,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="The port on loopback; 4790 or a free one.")
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the URL and open no browser.")] = False,
) -> None:
    """Serve the operator's page on this machine, with your AWS credentials, until Ctrl-C; print its URL."""
    from cli import console as here

    here.console(call.out, call.where, port=port, no_open=no_open)


@command(app)
def policy(
    call: Call, role: Annotated[str, typer.Argument(metavar="ROLE", help="user, operator or deployer.")]
) -> None:
    """Print the least-privilege IAM policy of a role for this stage, as `aws iam create-policy` takes it."""
    from cli import policy as here

    here.policy(call.out, role, lambda: call.where, stage=call.stage)


@command(app)
def doctor(call: Call) -> None:
    """Check keys, URLs, permissions and webhook set-up, and say how to fix each problem."""
    from cli import doctor as here

    here.doctor(call.out, lambda: call.where)


def main() -> None:
    """Run the command line."""
    clean_logs()
    app()


if __name__ == "__main__":
    main()
