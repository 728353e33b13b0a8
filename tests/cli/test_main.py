"""The command line as such: help, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from cli.errors import explain
from cli.main import app
from cli.target import Target
from cli.text import clean, duration, size
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


def test_bad_usage_for_programs() -> None:
    """With --json an error is a document as well, wherever the option stands."""
    result = CliRunner().invoke(app, ["list", "--json", "--limit", "none"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "BadUsageError"
    assert "--limit" in error["message"]
    assert error["fix"] == "see `dossier list --help`"


def test_a_traceback_is_shown_on_demand_alone(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert dossier("outputs").exit_code == 130


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
def test_what_an_error_means(error: Exception, line: str) -> None:
    """Errors of AWS and of the system say what to do, in one line."""
    assert explain(error).line.startswith(line)


def test_texts_for_people() -> None:
    """Texts of others are one line without control characters; numbers are readable."""
    assert clean("a\x1b[31m\r\n  b\u202ec") == "a [31m b c"
    assert (duration(5), duration(3723)) == ("0:05", "1:02:03")
    assert [size(each) for each in (0, 999, 1500, 2_000_000, 5_000_000_000_000)] == [
        "0 B", "999 B", "1.5 kB", "2.0 MB", "5000.0 GB"
    ]  # fmt: skip
