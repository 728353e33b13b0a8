"""How the commands of ``dossier`` are declared: their common options, their help, and their errors."""
# ruff: noqa: PLC0415 -- what only a running command needs is imported then, which keeps `dossier --help` fast

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from cli.errors import FAILED, INTERRUPTED, BadUsageError, CommandError, InterruptedCommandError, explain
from cli.output import Output, report

if TYPE_CHECKING:
    from cli.target import Target

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True)
class Call:
    """One run of a command: where it prints, and the deployment that it works with.

    Attributes:
        out: prints the command's output.
        local: whether to use only the local AWS.
        stage: the stage that the user named, if any.

    """

    out: Output
    local: bool = False
    stage: str | None = None

    @cached_property
    def where(self) -> Target:
        """The deployment, which is looked up on the first use."""
        from cli import target

        return target.find(local=self.local, stage=self.stage)


_COMMON: dict[str, tuple[Any, Any]] = {
    "as_json": (
        Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, for programs.")],
        False,
    ),
    "local": (Annotated[bool, typer.Option("--local", help="Use only the local AWS.")], False),
    "stage": (
        Annotated[str | None, typer.Option(help="Use this stage in the AWS account, even if the local AWS is up.")],
        None,
    ),
}
"""The options of every command, by parameter: the annotation and the default."""


def group(parent: typer.Typer, name: str, says: str) -> typer.Typer:
    """Return a new group of commands within another."""
    made = typer.Typer(name=name, cls=Group, help=says, rich_markup_mode=None)
    parent.add_typer(made)
    return made


def command(
    parent: typer.Typer, name: str | None = None, *, stages: bool = True, **settings: Any
) -> Callable[[Function], Function]:
    """Register a function as a command with the common options ``--json``, ``--local`` and ``--stage``.

    The function's first parameter is its :class:`Call`, which the options make. The others are its own.

    Args:
        parent: the group that it belongs to.
        name: the command's name; None for the function's.
        stages: whether it has ``--stage``, which a command of the local AWS or its sandbox has not.
        settings: Typer's other settings of a command.

    """

    def register(function: Function) -> Function:
        def run(*, as_json: bool, local: bool, stage: str | None = None, **given: Any) -> None:
            function(Call(Output(as_json=as_json), local, stage), **given)

        keyword, hints = inspect.Parameter.KEYWORD_ONLY, get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        common = [
            inspect.Parameter(each, keyword, default=default, annotation=hint)
            for each, (hint, default) in _COMMON.items()
            if stages or each != "stage"
        ]
        parameters = [*(each.replace(annotation=hints[each.name], kind=keyword) for each in own), *common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__doc__ = function.__doc__
        parent.command(name or function.__name__, cls=Command, **settings)(run)
        return function

    return register


class Argument(TyperArgument):
    """An argument, which the help shows as the usage line does, without a Python type."""

    def get_help_record(self, ctx: typer.Context) -> tuple[str, str] | None:  # type: ignore[override]  # noqa: ARG002
        """Return its name and its help; None without help."""
        return (self.metavar or self.name.upper(), self.help) if self.help else None


class Command(TyperCommand):
    """A command. Its help shows what a user types, and an error in its words names its own help."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for each in self.params:
            each.metavar = each.metavar or (each.name or "").upper()
            if isinstance(each, TyperArgument):
                each.__class__ = Argument

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Return the parts of the usage line after the command's name."""
        return ["[OPTIONS]", *(str(each.metavar) for each in self.params if isinstance(each, Argument))]

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 -- Typer's: a cut sentence explains nothing
        """Return the first sentence of the help, whole."""
        return super().get_short_help_str(sys.maxsize)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the words; not every error of Typer's parser knows the command that it is about."""
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise _bad_usage(error, ctx) from None


class Group(TyperGroup):
    """Commands; any error of one becomes one line on stderr and an exit code."""

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
        as_json = "--json" in (given[: given.index("--")] if "--" in given else given)
        try:
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
            if code == INTERRUPTED:  # Typer's answer to Ctrl-C where the command has none of its own
                report(InterruptedCommandError("interrupted"), as_json=as_json)
        except BrokenPipeError:
            # Keep the interpreter from flushing to a closed pipe (Python docs, "Note on SIGPIPE").
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = FAILED
        except Exception as error:  # noqa: BLE001 -- a person gets one line, never a traceback
            if os.environ.get("DOSSIER_DEBUG") == "1":
                traceback.print_exc()
            if isinstance(error, typer.TyperException):
                problem: CommandError = _bad_usage(error, getattr(error, "ctx", None))
            elif isinstance(error, typer.Abort):
                problem = CommandError("aborted; nothing changed")
            else:
                problem = explain(error)
            report(problem, as_json=as_json)
            code = problem.code
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _bad_usage(error: typer.TyperException, context: typer.Context | None) -> BadUsageError:
    """Return Typer's own error as one of ours."""
    path = context.command_path if context else "dossier"
    message = error.format_message().rstrip(".").replace("Value error, ", "").replace("Input should be", "must be")
    return BadUsageError(message.partition(", unable to parse")[0], fix=f"see `{path} --help`")
