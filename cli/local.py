"""``dossier up`` and ``dossier down``: the local AWS and the vendors' sandbox."""

from __future__ import annotations

from pathlib import Path

from cli import target
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from local import control
from local.home import LocalError


def up(out: Output, *, connections: Path | None, reset: bool) -> None:
    """Start what does not run yet, deploy, and print the outputs."""
    if connections is not None and not connections.is_file():
        raise BadUsageError(f"there is no connections file {connections}")
    try:
        control.up(connections=connections, reset=reset, report=out.progress)
    except LocalError as error:
        raise _told(error, out) from None
    outputs(out, target.find(local=True))


def down(out: Output) -> None:
    """Stop both."""
    stopped: list[str] = []

    def report(line: str) -> None:
        stopped.append(line.removeprefix("stopped "))
        out.progress(line)

    try:
        control.down(report=report)
    except LocalError as error:
        raise _told(error, out) from None
    if not stopped:
        out.progress("nothing was up")
    out.document({"stopped": stopped})


def outputs(out: Output, where: target.Target) -> None:
    """Print what the deployment is reached by."""
    found = where.outputs()
    out.document(found)
    webhooks = [(f"webhook {name}", url) for name, url in found.pop("webhook_urls").items()]
    out.pairs([*webhooks, *((name.replace("_", " "), value) for name, value in found.items())])


def _told(error: LocalError, out: Output) -> CommandError:
    """Return the error's first line, after its details were told; the error itself is one line."""
    first, *details = str(error).splitlines()
    for line in details:
        out.progress(line)
    return CommandError(first)
