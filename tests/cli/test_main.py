"""The command line as such: help, errors, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.main import get_command
from typer.testing import CliRunner

from cli.deliveries import VERDICTS
from cli.errors import CommandError, explain
from cli.main import app
from cli.output import report
from cli.target import Target
from cli.text import clean, duration, size, when
from dossier.models import CaseStatus
from tests.cli.conftest import Dossier

COMMANDS = ["up", "down", "outputs", "submit", "status", "list", "fetch", "resolve", "doctor", "secrets"]


def test_help_names_the_commands() -> None:
    """Help lists every command."""
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS[:-1], "secrets set"])
def test_each_command_has_help_and_json(command: str) -> None:
    """Each command explains itself, and speaks JSON."""
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--local" in result.stdout


def test_no_command_prints_the_help() -> None:
    """The command alone is a question, not an error."""
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "Usage: dossier" in result.stdout
    assert "Exit codes: 0 done, 1" in " ".join(result.stdout.split())


def test_version_is_that_of_the_package() -> None:
    """--version prints one line."""
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"dossier {version('dossier')}\n")


def test_help_waits_for_nothing_heavy() -> None:
    """The command line is there before boto3, pydantic, httpx or rich are."""
    code = "import cli.main, sys; print(sorted({'boto3', 'pydantic', 'httpx', 'rich', 'dossier'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["frobnicate"], ["list", "--frobnicate"], ["fetch"], ["secrets"]])
def test_bad_usage_is_one_line(words: list[str]) -> None:
    """Typer's own errors are one line too, and exit code 2."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("dossier: ")
    assert line.endswith("--help`")
    assert result.stdout == ""


def each_command(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the name of each command, and the command."""
    group = group or get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from each_command(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("words", [words for words, _ in each_command()], ids=" ".join)
def test_the_help_shows_what_a_user_types(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """No Python type, no doubled bracket or brace, and each option with a value names it."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [*words, "--help"]).stdout
    assert not re.search(r"<[a-z]|\[\[|\]\]|\{|\}|list\[", shown), shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("words", [words for words, _ in each_command()], ids=" ".join)
def test_an_option_without_its_value_names_the_help_of_its_command(words: tuple[str, ...]) -> None:
    """Typer's parser does not say which command the error is about."""
    command = dict(each_command())[words]
    options = [each.opts[0] for each in command.params if each.opts[0].startswith("-") and not each.is_flag]
    for option in options:
        result = CliRunner().invoke(app, [*words, option])
        assert result.exit_code == 2
        assert result.stderr == (
            f"dossier: Option '{option}' requires an argument: see `dossier {' '.join(words)} --help`\n"
        )


def test_the_list_of_commands_has_whole_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns, a sentence continues in the next line."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "..." not in shown.partition("Commands:")[2]
    assert "stay for the next `dossier up`." in " ".join(shown.split())


def test_a_typo_is_answered_by_two_sentences() -> None:
    """After a question mark there is no colon."""
    result = CliRunner().invoke(app, ["outputz"])
    assert result.stderr == "dossier: No such command 'outputz'. Did you mean 'outputs'? see `dossier --help`\n"


def test_help_names_the_accepted_values() -> None:
    """The verdicts and the statuses in the help are those that the commands take."""
    shown = " ".join(CliRunner().invoke(app, ["deliveries", "--help"]).stdout.replace('"', "").split())
    assert all(each in shown.partition("--verdict VERDICT")[2].partition("--limit")[0] for each in VERDICTS)
    shown = " ".join(CliRunner().invoke(app, ["list", "--help"]).stdout.split())
    listed = shown.partition("one of these statuses: ")[2].partition(".")[0].replace("- ", "-").split(", ")
    assert sorted(listed) == sorted(each.value.replace(" ", "_") for each in CaseStatus)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("submit", "invoices", "nofile.pdf"), "there is no file nofile.pdf"),
        (("submit", "invoices", "https://a.example/b.pdf", "{folder}"), "give its files, such as {folder}/*"),
        (("submit", "invoices", "--timeout", "9"), "--timeout needs --wait"),
        (("secrets", "set", "invoices", "--from-file", "nofile"), "there is no file nofile"),
        (("secrets", "set", "invoices", "--from-file", "{folder}"), "is not a regular file but a folder: give a file"),
        (("fetch", "INV-1", __file__), "is not a folder"),
        (("list", "--status", "done"), 'unknown status "done"'),
        (("list", "--since", "soon"), '"soon" is not a time'),
        (("export", "--since", "soon"), '"soon" is not a time'),
        (("collect", "claims", "--since", "soon"), '"soon" is not a time'),
        (("deliveries", "--since", "soon"), '"soon" is not a time'),
        (("deliveries", "--verdict", "good"), 'unknown verdict "good"'),
        (("resolve", "INV-1", "--retry", "--give-up"), "give one of"),
        (("policy", "boss"), 'there is no role "boss"'),
    ],
)
def test_usage_errors_are_reported_before_aws_is_called(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """On a machine without credentials and Region, the error is about the arguments and files."""
    result = CliRunner().invoke(app, [each.replace("{folder}", str(tmp_path)) for each in words])
    assert result.exit_code == 2
    assert message.replace("{folder}", str(tmp_path)) in result.stderr


def test_secret_is_read_from_a_pipe(dossier: Dossier, tmp_path: Path) -> None:
    """``--from-file <(vault read …)`` names a pipe: it is not regular, and can be read once."""
    fifo = tmp_path / "secret"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=("k1\n",))
    writer.start()
    assert dossier("secrets", "set", "claims", "--from-file", fifo).exit_code == 0
    writer.join()


def test_times_in_messages_are_those_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """An error has them local and short, its document as they are stored; a cursor stays as it is."""
    at = "2001-01-31T12:00:00.123Z"
    report(CommandError(f"submitted {at}", fix=f"--after {at}/invoices/INV-1"), as_json=True)
    text = capsys.readouterr()
    assert text.err == f"dossier: submitted {when(at, seconds=True)}: --after {at}/invoices/INV-1\n"
    assert json.loads(text.out)["error"]["message"] == f"submitted {at}"


def test_bad_usage_for_programs() -> None:
    """With --json an error is a document as well, wherever the option is."""
    result = CliRunner().invoke(app, ["list", "--json", "--limit", "none"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "BadUsageError"
    assert "--limit" in error["message"]
    assert error["fix"] == "see `dossier list --help`"


def test_a_traceback_is_only_shown_on_demand(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is one line; DOSSIER_DEBUG=1 prints its traceback."""

    def broken(_: Target) -> None:
        raise RuntimeError("oh\nno")

    monkeypatch.setattr(Target, "outputs", broken)
    result = dossier("outputs")
    assert result.exit_code == 1
    assert result.stderr == ("dossier: unexpected error: RuntimeError: oh no (DOSSIER_DEBUG=1 prints the traceback)\n")
    monkeypatch.setenv("DOSSIER_DEBUG", "1")
    assert "Traceback" in dossier("outputs").stderr


def test_interrupting_is_not_an_error(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the command with the shell's own code for it."""

    def interrupted(_: Target) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Target, "outputs", interrupted)
    result = dossier("outputs")
    assert (result.exit_code, result.stderr) == (130, "dossier: interrupted\n")
    assert dossier.json("outputs")["error"]["type"] == "InterruptedCommandError"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "x"}}, "ListStacks"),
            "AWS does not accept the credentials (ExpiredTokenException): set AWS credentials",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "x is not authorized"}}, "PutObject"),
            "AWS refused PutObject: the permission is missing: s3:PutObject: `dossier policy` prints",
        ),
        (
            ClientError({"Error": {"Code": "SlowDown", "Message": "less"}}, "PutObject"),
            "AWS refused PutObject: SlowDown: less",
        ),
        (EndpointConnectionError(endpoint_url="https://s3"), "AWS cannot be reached (Could not connect to"),
        (FileNotFoundError(2, "No such file or directory", "a.pdf"), "a.pdf: No such file or directory"),
    ],
)
def test_error_explanations(error: Exception, line: str) -> None:
    """Errors of AWS and of the system say what to do, in one line."""
    assert explain(error).line.startswith(line)


def test_texts_for_people() -> None:
    """Texts of others are one line without control characters; numbers are readable."""
    assert clean("a\x1b[31m\r\n  b\u202ec") == "a [31m b c"
    assert (duration(5), duration(3723)) == ("0:05", "1:02:03")
    assert [size(each) for each in (0, 999, 1500, 2_000_000, 5_000_000_000_000)] == [
        "0 B", "999 B", "1.5 kB", "2.0 MB", "5000.0 GB"
    ]  # fmt: skip
