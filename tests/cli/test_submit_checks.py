"""``dossier submit`` rejects what the vendor would reject, before it uploads anything, and survives Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.cli.conftest import DOCUMENTS, Dossier

PDF = (DOCUMENTS / "invoice.pdf").read_bytes()


@pytest.fixture
def accepting(dossier: Dossier) -> Dossier:
    """A deployment whose executions are accepted, and then stand still."""
    dossier.whole = False
    return dossier


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Make a file."""

    def make(name: str, body: bytes) -> Path:
        (tmp_path / name).write_bytes(body)
        return tmp_path / name

    return make


def nothing_happened(dossier: Dossier) -> bool:
    """Whether nothing is in the bucket, and nothing was started."""
    return not dossier.executions() and not list(dossier.cloud.app.objects.list(""))


def test_all_bad_files_are_one_answer(accepting: Dossier, file: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    """The command checks size, type and content: sizes are in MiB, and an oversized file is not read."""
    large = tmp_path / "large.pdf"
    with large.open("wb") as sparse:
        sparse.write(b"%PDF-1.7")
        sparse.truncate(30 << 20)
    just = tmp_path / "just.pdf"
    with just.open("wb") as sparse:
        sparse.truncate((25 << 20) + 1)
    files = [large, just, file("empty.pdf", b""), file("notes.txt", b"notes"), file("good.pdf", PDF)]
    result = accepting("submit", "claims", *files, "--reference", "C-1")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    for part in (
        "document large.pdf has 30 MiB: docsumo takes at most 25 MiB a file (if your account takes more, set ",
        "document just.pdf has 26,214,401 bytes: docsumo takes at most 26,214,400 bytes (25 MiB) a file",
        "document empty.pdf is empty: submit a file with content",
        "document notes.txt is of an unknown type: docsumo reads JPEG, PDF, PNG, TIFF, XLSX",
    ):
        assert part in line, line
    assert "good.pdf" not in line
    assert nothing_happened(accepting)


def test_two_oversized_files_are_reported_separately(accepting: Dossier, tmp_path: Path) -> None:
    """They are not read, so nothing says that their bytes are the same."""
    for name in ("a.pdf", "b.pdf"):
        with (tmp_path / name).open("wb") as sparse:
            sparse.truncate(30 << 20)
    result = accepting("submit", "claims", tmp_path / "a.pdf", tmp_path / "b.pdf")
    assert "a.pdf has 30 MiB" in result.stderr
    assert "b.pdf has 30 MiB" in result.stderr
    assert "same bytes" not in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("claims", "{pdf}", "--option", "trigger_workflo=true"), 'did you mean "trigger_workflow"?'),
        (("claims", "https://files.example.com/a.pdf"), "docsumo reads no URLs: download the file and submit it"),
        (("disputes", "{pdf}", "--option", "case_initiated_date=soon"), "must be an ISO 8601 date"),
        (("invoices", "{pdf}", "--case-id", "c"), "DocuStack has no cases"),
    ],
)
def test_unsupported_file_is_rejected_before_the_upload(
    accepting: Dossier, file: Callable[[str, bytes], Path], words: tuple[str, ...], said: str
) -> None:
    """The vendor's rules check options, URLs and case ids before an upload."""
    pdf = str(file("a.pdf", PDF))
    result = accepting("submit", *(each.replace("{pdf}", pdf) for each in words))
    assert result.exit_code in {1, 2}
    assert said in result.stderr
    assert nothing_happened(accepting)


def test_objects_in_s3_are_in_the_same_answer(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """A bucket that is not there, a key that is not there, and a bad file are reported at once."""
    words = ("s3://artifacts/uploads/none.pdf", "s3://nobodys-bucket/a.pdf", file("empty.pdf", b""))
    result = accepting("submit", "claims", *words)
    assert result.exit_code in {1, 2}
    assert "document s3://artifacts/uploads/none.pdf does not exist: upload it first" in result.stderr
    assert "s3://nobodys-bucket/a.pdf does not exist, because its bucket does not exist" in result.stderr
    assert "-c document_buckets" in result.stderr
    assert "empty.pdf is empty" in result.stderr
    assert nothing_happened(accepting)


# --- a reference that is taken ---------------------------------------------------------------------------------------


def test_conflict_names_the_difference(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """A difference in names, options, bytes or order is named; nothing is uploaded, and the first case stays."""
    a, b = file("a.pdf", PDF), file("b.pdf", PDF + b"%b")
    given = ("submit", "claims", a, b, "--reference", "C-1", "--option", "case_title=May")
    assert accepting(*given).exit_code == 0
    again = file("c.pdf", PDF)
    other = file("other.pdf", b"%PDF-1.7 other")

    def difference(*files: Path, title: str | None = "May", more: tuple[str, ...] = ()) -> str:
        options = ("--option", f"case_title={title}") if title else ()
        result = accepting("submit", "claims", *files, "--reference", "C-1", *options, *more, "--json")
        assert result.exit_code == 1, result.stderr
        error = json.loads(result.stdout)["error"]
        assert error["type"] == "ReferenceConflictError"
        assert error["message"].startswith("reference C-1 belongs to a case with other content (submitted ")
        assert error["message"].endswith(": use another reference")
        return str(error["message"]).partition("accepted); ")[2].removesuffix(": use another reference")

    assert difference(again, b) == 'the same bytes are called "c.pdf", but were called "a.pdf"'
    assert difference(b, a) == "the documents are in another order"
    assert difference(a) == "b.pdf is left out"
    assert difference(a, b, other) == "other.pdf is new"
    assert difference(a, b, title="June") == 'option case_title is "June", but was "May"'
    assert difference(a, b, title=None) == 'option case_title is left out, but was "May"'
    assert difference(a, b, more=("--case-id", "x")) == 'case_id is "x", but was not given'
    wanted = "option trigger_workflow is false, but was not given"
    assert difference(a, b, more=("--option", "trigger_workflow=false")) == wanted
    b.write_bytes(b"%PDF-1.7 changed")
    assert difference(a, b) == "b.pdf has other bytes"
    assert len(accepting.executions()) == 1


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


@contextmanager
def interrupted(service: str, call: str, *, after: int = 0) -> Iterator[None]:
    """Press Ctrl-C at a call to AWS."""
    client: Any = boto3.Session().client(service)  # type: ignore[call-overload]
    left = [after]

    def strike(**_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    client.meta.events.register(f"before-call.{service}.{call}", strike, unique_id="ctrl-c")
    try:
        yield
    finally:
        client.meta.events.unregister(f"before-call.{service}.{call}", unique_id="ctrl-c")


def test_ctrl_c_while_uploading(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """Nothing was submitted, and the same command continues from there."""
    words = ("submit", "claims", file("a.pdf", PDF), "--reference", "C-1")
    with interrupted("s3", "PutObject"):
        result = accepting(*words)
    assert result.exit_code == 130
    assert "interrupted, nothing was submitted; 0 of 1 file uploaded: run the same command again" in result.stderr
    assert accepting.executions() == []
    assert accepting(*words).exit_code == 0


def test_ctrl_c_between_two_uploads(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """Uploaded files are not uploaded again."""
    files = [file(f"{number}.pdf", PDF + bytes(number)) for number in range(1, 9)]
    with interrupted("s3", "PutObject", after=1):
        result = accepting("submit", "claims", *files, "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"]["type"] == "InterruptedCommandError"
    assert " of 8 files uploaded" in result.stderr
    there = len(list(accepting.cloud.app.objects.list("staging/")))
    assert 0 < there < 8
    assert f"uploading {8 - there} file" in accepting("submit", "claims", *files).stderr


def test_ctrl_c_while_the_case_starts(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """It cannot be known whether it started: looking and repeating are both safe."""
    with interrupted("stepfunctions", "StartExecution"):
        result = accepting("submit", "claims", file("a.pdf", PDF), "--reference", "C-1")
    assert result.exit_code == 130
    assert "it may have started: see `dossier status C-1 --connection claims`" in result.stderr


def test_ctrl_c_while_waiting(accepting: Dossier, file: Callable[[str, bytes], Path]) -> None:
    """The case continues without the command."""

    def press() -> None:
        raise KeyboardInterrupt

    accepting.then = [press]
    result = accepting("submit", "claims", file("a.pdf", PDF), "--reference", "C-1", "--wait")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        "dossier: interrupted: case C-1 is submitted, and continues: follow it with "
        "`dossier status C-1 --connection claims`, or end it with `dossier cancel C-1 --connection claims`"
    )
    assert result.stderr.count("continues") == 1
    assert len(accepting.executions()) == 1
