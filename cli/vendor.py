"""``dossier vendor``: runs one of the operations of a connection's vendor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.commands import Command
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.files import created
from cli.output import Output
from cli.target import Target
from cli.text import clean, size
from dossier import vendors
from dossier.errors import InvalidCaseError, LinkExpiredError, OutcomeUnknownError
from dossier.models import now
from dossier.names import safe_name
from dossier.operations import Answer, Argument, File, Operation, Values
from dossier.options import plain
from dossier.settings import Connection

_DESTINATION = Argument("dest", "a folder, or the new file's path")


def ask(out: Output, where: Target, connection: str, operation: str | None, words: Sequence[str]) -> None:
    """Run one operation and print the answer; without an operation, list the vendor's operations.

    Raises:
        BadUsageError: no such connection or operation, or invalid arguments; nothing was sent.
        CommandError: the vendor rejected the request, or its answer was lost.

    """
    where.require(connection)
    settings = settings_of(where).get(connection)
    if settings is None:
        place = settings_file(where)
        raise CommandError(f"[{connection}] is not in {place}: name its file in DOSSIER_CONNECTIONS")
    known = {each.name: each for each in vendors.operations(settings.vendor)}
    if operation is None:
        if (hold := where.app.limiter.held(connection)) is not None:
            out.progress(hold.text(connection, now()))
        _list(out, settings, list(known.values()))
        return
    if operation not in known:
        has = ", ".join(known) or "none"
        raise BadUsageError(f'{settings.vendor} has no operation "{clean(operation)}": it has {has}')
    chosen = known[operation]
    given = _parse(connection, chosen, words)
    try:
        _answer(out, where, settings, chosen, given)
    except InvalidCaseError as error:
        raise BadUsageError(str(error)) from None
    except OutcomeUnknownError as error:
        raise CommandError(f"{error}: check the result at the vendor before you retry") from None


def _answer(out: Output, where: Target, settings: Connection, operation: Operation, given: Values) -> None:
    found = _run(where, settings, operation, given)
    if isinstance(found, File):
        wanted = Path(given[_DESTINATION.name])
        path = _place(wanted, found)
        save = partial(_save, where, settings, path=path, replaces=path == wanted)
        try:
            saved = save(found)
        except LinkExpiredError:
            again = _run(where, settings, operation, given)
            saved = save(again if isinstance(again, File) else found)
        out.document({"path": str(path), "name": found.name, "size": saved[0], "sha256": saved[1]})
        out.line(str(path))
        out.progress(f"{clean(found.name)}: {size(saved[0])}")
        return
    out.document(found.raw)
    _show(out, found)


def _show(out: Output, answer: Answer) -> None:
    out.pairs(answer.facts)
    tables = [each for each in answer.tables if each.rows]
    for number, table in enumerate(tables):
        if answer.facts or number:
            out.line()
        if table.title:
            out.line(table.title)
        out.table(table.columns, table.rows)
    if not answer.facts and not tables:
        out.progress("the answer is empty")


def _run(where: Target, settings: Connection, operation: Operation, given: Values) -> Answer | File:
    vendor = vendors.vendor(settings)
    return where.app.transport.run(operation.flow(settings, given), vendor=vendor)


def _place(given: Path, file: File) -> Path:
    """Return the path to save a file to: in a folder, under the vendor's name, which never replaces a file."""
    if given.is_dir():
        path = given / safe_name(file.name)
        if path.exists() or path.is_symlink():
            raise BadUsageError(f"{path} exists already: give another file name")
        return path
    if not given.parent.is_dir():
        raise BadUsageError(f"there is no folder {given.parent}")
    return given


def _save(where: Target, settings: Connection, file: File, *, path: Path, replaces: bool) -> tuple[int, str]:
    digest, written = hashlib.sha256(), 0
    with (
        where.app.transport.download(settings, file.url) as incoming,
        created(path.parent, [path.name], replaces=replaces) as target,
    ):
        for chunk in incoming.chunks:
            target.write(chunk)
            digest.update(chunk)
            written += len(chunk)
    return written, digest.hexdigest()


def _list(out: Output, settings: Connection, known: Sequence[Operation]) -> None:
    out.document(
        [
            {"operation": each.name, "says": each.says, "arguments": [one.name for one in _arguments(each)]}
            for each in known
        ]
    )  # for options as JSON: `dossier submit CONNECTION --option help --json`
    if not known:
        out.progress(f"{settings.vendor} has no operations")
    for each in known:
        out.line(" ".join(["dossier vendor", settings.name, each.name, *map(_usage, _arguments(each))]))
        out.line(f"    {each.says}")
        for argument in _arguments(each):
            choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
            out.line(f"    {_written(argument):<14} {argument.says}{choices}")
    declared = vendors.vendor(settings).options()
    if declared:
        out.line()
        out.line(f"options of a case: dossier submit {settings.name} FILE --option NAME=VALUE")
    for option in declared:
        out.line(f"    {option.name:<18} {option.form}: {plain(option.says)}")


def _arguments(operation: Operation) -> tuple[Argument, ...]:
    return (*operation.arguments, _DESTINATION) if operation.saves else operation.arguments


def _written(argument: Argument) -> str:
    return f"--{argument.name.replace('_', '-')}" if argument.option else argument.name.upper()


def _usage(argument: Argument) -> str:
    more = " …" if argument.many else ""
    if not argument.option:
        return f"{argument.name.upper()}{more}"
    return f"[{_written(argument)} {'N' if argument.number else 'TEXT'}{more}]"


def _parse(connection: str, operation: Operation, words: Sequence[str]) -> Values:
    """Parse the words after the operation's name, by a command that is made of its arguments."""
    given: dict[str, Any] = {}

    def take(**values: Any) -> None:
        given.update(values)

    take.__signature__ = Signature([_parameter(each) for each in _arguments(operation)])  # type: ignore[attr-defined]
    parser = typer.Typer(add_completion=False, rich_markup_mode=None)
    parser.command(cls=Command, add_help_option=False)(take)
    try:
        typer.main.get_command(parser)(words, standalone_mode=False)
    except BadUsageError as error:
        raise BadUsageError(str(error), fix=f"see `dossier vendor {connection}`") from None
    return {each.name: given[each.name] or [] if each.many else given[each.name] for each in _arguments(operation)}


def _parameter(argument: Argument) -> Parameter:
    kind: Any = Literal[argument.choices] if argument.choices else int if argument.number else str
    kind = list[kind] if argument.many else kind
    written = _written(argument)
    if argument.option:
        hint: Any = Annotated[kind | None, typer.Option(written)]
        return Parameter(argument.name, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
    return Parameter(argument.name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, typer.Argument(metavar=written)])
