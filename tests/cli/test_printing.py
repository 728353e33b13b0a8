"""Printed output: no text of a vendor moves the cursor, hides text, or imitates the command."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import testing

from cli.output import clean_logs
from cli.text import LONGEST, LONGEST_QUESTION, clean, to_json
from dossier.models import CaseStatus
from tests.cli.conftest import Dossier
from tests.machine import ROOT
from tests.records import record

HOSTILE = "".join(
    (
        "\x1b[2J\x1b]0;owned\x07\x9b31mAll is fine\r\n",
        "\u202eenif si llA\u2066\u200f\u2028\ue0001\U000e0041\x7f\x08 [y/N]: y\n",
    )
)
"""A status as a vendor may write it: it clears the screen, sets the title, turns the line around, and answers."""
DANGEROUS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def dangerous(text: str) -> list[str]:
    """Return the characters in a text that a terminal interprets, except newlines."""
    kept = text.replace("\n", "").replace("\u200c", "").replace("\u200d", "")
    return [each for each in kept if unicodedata.category(each) in DANGEROUS]


@pytest.fixture
def failed(dossier: Dossier) -> Dossier:
    """A deployment with one failed case, whose vendor says the worst."""
    fail(dossier, "C-1", HOSTILE * 3)
    return dossier


def fail(dossier: Dossier, reference: str, reason: str) -> None:
    """Store a case that was uploaded, and failed for this reason."""
    dossier.cloud.app.cases.claim(record(connection="claims", reference=reference, status=CaseStatus.WAITING))
    dossier.change("claims", reference, status=CaseStatus.FAILED, reason=reason, error="VendorRejectedError")


@pytest.mark.rule("security: send control characters to a terminal or a log")
@given(text=st.text() | st.text(alphabet=st.characters(categories=["Cc", "Cf", "Mn", "Zl", "Lu", "Zs"])))
def test_any_text_is_one_harmless_line(text: str) -> None:
    """Whatever a text holds, it is one line of bounded length without anything that a terminal obeys."""
    line = clean(text)
    assert dangerous(line) == []
    assert "\n" not in line
    assert len(clean(text * 500, 50)) <= 50
    assert len(clean("x" * 10 * LONGEST)) == LONGEST


def test_letters_of_every_script_stay() -> None:
    """Joiners of Persian and Hindi, accents and emoji are text; a heap of marks is not."""
    for text in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "क्\u200dष", "é\u0301", "日本語", "🙂"):
        assert clean(text) == text
    assert len(clean("a" + "\u0301" * 500)) < 10


VALUES = st.recursive(st.text() | st.just(HOSTILE), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@pytest.mark.rule("security: send control characters to a terminal or a log")
@given(value=VALUES)
def test_json_escapes_terminal_controls_and_keeps_its_value(value: object) -> None:
    """Documents for programs may be looked at too: controls and marks of direction are escaped, nothing is lost."""
    text = to_json(value)
    assert dangerous(text.replace("\u200c", "").replace("\u200d", "")) == []
    assert json.loads(text) == value


def test_letters_are_readable_in_json() -> None:
    """Characters that a terminal does not interpret are not escaped."""
    assert to_json("Zoë 日本 🙂") == '"Zoë 日本 🙂"'


@pytest.mark.rule("security: send control characters to a terminal or a log")
@pytest.mark.parametrize(
    "words",
    [("status", "C-1"), ("list",), ("redrive", "--dry-run"), ("redrive", "--yes"), ("resolve", "C-1", "--retry")],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_command_prints_a_vendors_terminal_controls(
    failed: Dossier, words: tuple[str, ...], form: tuple[str, ...]
) -> None:
    """Tables, lines, errors and documents alike."""
    result = failed(*words, *form)
    assert "fine" in result.output or words[0] in {"resolve", "redrive"}
    assert dangerous(result.output) == []


@pytest.mark.rule("security: answer an operator's question in the operator's place")
def test_a_vendor_does_not_answer_a_question(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question is one line with the command's text at both ends; the vendor's text between them is cut."""
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _: True)
    fail(dossier, "C-1", HOSTILE + "x" * 300_000)
    result = dossier("redrive", input="n\n")
    (question,) = [each for each in result.stderr.splitlines() if each.startswith("send back")]
    assert question.startswith("send back 1 case (VendorRejectedError: ")
    assert question.rpartition("[y/N]:")[0].endswith("…)? ")
    assert len(question) <= LONGEST_QUESTION + 100
    assert dangerous(question) == []
    assert "\x1b[2J" not in result.output  # rich's own colours are
    assert "nothing was sent back" in result.stderr


@pytest.mark.rule("security: send control characters to a terminal or a log")
def test_logs_of_libraries_are_clean_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning that repeats what a server said is one line too."""
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    try:
        clean_logs()
        logging.getLogger("urllib3").warning("header %s", HOSTILE)
    finally:
        logging.captureWarnings(False)
        root.handlers = before
    written = capsys.readouterr().err
    assert written.startswith("urllib3: header ")
    assert dangerous(written) == []
    assert written.count("\n") == 1


@pytest.mark.rule("security: send control characters to a terminal or a log")
def test_only_one_module_prints() -> None:
    """Nothing prints, asks or makes a console but the module that cleans, rich's live view, and help and version."""
    asks = {"print", "input", "prompt", "confirm", "echo", "secho", "Console"}
    found = set()
    for path in (ROOT / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in asks:
                    found.add(path.name)
    assert found <= {"output.py", "watch.py", "main.py"}


def test_the_command_itself_prints_clean_errors(tmp_path: Path) -> None:
    """A name from the user's own shell is not an exception."""
    command = [str(Path(sys.executable).with_name("dossier")), "\x1b[2Jx\u202e"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert dangerous(done.stderr) == []
