"""``dossier batch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from moto.stepfunctions.models import StepFunctionBackend

from dossier.models import CaseStatus
from tests.cli.batches import Runs, jsonl
from tests.cli.conftest import DOCUMENTS, Dossier
from tests.machine import ROOT

PDF = (DOCUMENTS / "invoice.pdf").read_bytes()


@pytest.fixture
def runs(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A deployment that runs batches; their cases are accepted, and then wait."""
    found = Runs(dossier)
    dossier.whole, dossier.runs = False, found
    monkeypatch.setattr(StepFunctionBackend, "list_map_runs", lambda _, execution_arn: found.views(execution_arn))
    monkeypatch.setattr(StepFunctionBackend, "describe_map_run", lambda _, map_run_arn: found.view(map_run_arn))

    def widen(_: object, arn: str, concurrency: int, **_rest: object) -> None:
        found.widen(arn, concurrency)

    monkeypatch.setattr(StepFunctionBackend, "update_map_run", widen)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three files."""
    for number in range(3):
        (tmp_path / f"{number}.pdf").write_bytes(PDF + b"%" + str(number).encode())
    return tmp_path


def three(folder: Path, *more: Any) -> Path:
    """Write a batch of three cases, one a file."""
    cases = [{"connection": "invoices", "reference": f"I-{n}", "documents": [f"{n}.pdf"]} for n in range(3)]
    return jsonl(folder / "batch.jsonl", *cases, *more)


def end(dossier: Dossier, reference: str, status: CaseStatus = CaseStatus.COMPLETED, **changes: Any) -> None:
    """End a case and its execution."""
    dossier.change("invoices", reference, status=status, **changes)
    arn = dossier.case("invoices", reference).record.execution_arn
    [execution] = [each for each in dossier.executions() if each.execution_arn == arn]
    execution.status = "FAILED" if status is CaseStatus.FAILED else "SUCCEEDED"


def started(dossier: Dossier) -> list[str]:
    """Return the references of the cases that were started."""
    return sorted(json.loads(each.execution_input)["reference"] for each in dossier.executions())


def test_a_batch_starts_each_case_once(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Files are uploaded, and each line is its own case, of the same name as `submit` would give it."""
    first = dossier.json("batch", three(folder))
    assert (first["state"], first["cases"], first["to_start"], first["bad"]) == ("running", 3, 3, [])
    dossier.tick()
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1", "I-2"]
    again = dossier.json("batch", three(folder))
    assert (again["batch_id"], again["under_way"], again["state"]) == (first["batch_id"], 3, "running")
    assert dossier.json("submit", "invoices", folder / "1.pdf", "--reference", "I-1")["outcome"] == "already_submitted"
    assert len(dossier.executions()) == 3
    assert len(runs.executions()) == 1


def test_cases_of_a_batch_have_low_priority_unless_the_line_says_otherwise(
    dossier: Dossier, runs: Runs, folder: Path
) -> None:
    """A case that is submitted by hand overtakes them."""
    lines = [{"connection": "invoices", "documents": ["0.pdf"]}, {"connection": "invoices", "documents": ["1.pdf"]}]
    file = jsonl(
        folder / "b.jsonl", {**lines[0], "reference": "A"}, {**lines[1], "reference": "B", "priority": "normal"}
    )
    dossier.json("batch", file)
    dossier.tick()
    assert {name: dossier.case("invoices", name).record.priority for name in "AB"} == {"A": "low", "B": "normal"}


def test_wait_ends_with_the_batch(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """`--wait` shows progress and the outcome of the cases; their lists are in S3."""
    dossier.then = [lambda: [end(dossier, f"I-{n}") for n in range(3)]]
    result = dossier("batch", three(folder), "--wait", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["state"], found["completed"], found["failed"]) == ("ended", 3, 0)
    assert "0 of 3 ended, 3 under way" in result.stderr
    lines = [json.loads(each) for each in dossier.cloud.app.objects.lines(found["results_key"])]
    assert [each["line"] for each in lines] == [1, 2, 3]
    assert lines[0]["result_key"] == "cases/invoices/I-0/result.json"
    assert [*dossier.cloud.app.objects.lines(found["failures_key"])] == []


def test_a_failed_case_is_listed_with_its_reason(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """A case that fails stops no other, and ends the command with exit code 1."""

    def ends() -> None:
        end(dossier, "I-0", CaseStatus.FAILED, reason="the vendor rejected it", error="VendorRejectedError")
        end(dossier, "I-1")
        end(dossier, "I-2", CaseStatus.COMPLETED_WITH_FAILURES)

    dossier.then = [ends]
    result = dossier("batch", three(folder), "--wait", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["completed"], found["failed"]) == (1, 2, 1)
    assert found["error"]["message"].startswith("1 case of batch ")
    [failure] = [json.loads(each) for each in dossier.cloud.app.objects.lines(found["failures_key"])]
    assert (failure["line"], failure["reference"], failure["reason"]) == (1, "I-0", "the vendor rejected it")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "the line is not JSON: "),
        ("[]", "the line is not a JSON object"),
        ('{"reference": "a", "reference": "b"}', "the line is not JSON: key reference is given twice"),
        ('{"connection": "invoices"', "the line is not JSON: column 26: Expecting ',' delimiter"),
        ('{"documents": ["\\ud800.pdf"]}', "the line is not JSON: \\ud800 is half a character"),
        ('{"options": {"case_title": "\\udc00"}}', "the line is not JSON: \\udc00 is half a character"),
        ('{"deadline": NaN}', "the line is not JSON: NaN is not a JSON number"),
        ("[" * 100_000, "the line is not JSON: it is nested too deeply"),
        ({"connection": "invoices", "documents": ["0.pdf"], "deadline": "soon"}, 'deadline "soon": use seconds'),
        ({"reference": "X"}, "connection: name the connection, or give --connection"),
        ({"connection": "nobody", "reference": "X"}, 'unknown connection "nobody": use one of claims, disputes, inv'),
        ({"connection": "invoices", "reference": "X"}, "it has no documents, and no case_id to collect"),
        ({"connection": "invoices", "reference": "a b", "documents": ["0.pdf"]}, 'reference "a b": use 1 to 100'),
        ({"connection": "invoices", "documents": 7}, "documents: write a list of paths or addresses"),
        ({"connection": "invoices", "documents": [7]}, "documents.0: write a path, s3://bucket/key"),
        ({"connection": "invoices", "documents": ["gone.pdf"]}, "there is no file "),
        ({"connection": "invoices", "documents": ["ftp://scans/0.pdf"]}, "documents.0: write a path, s3://bucket/key"),
        ({"connection": "invoices", "documents": [{"uri": "0.pdf", "path": "1.pdf"}]}, "documents.0: give uri or path"),
        (
            {"connection": "invoices", "documents": [{"path": "0.pdf", "version_id": "v"}]},
            "documents.0.version_id: only an object in S3 has versions",
        ),
        ({"connection": "invoices", "documents": ["s3://artifacts/uploads/gone.pdf"]}, "does not exist: upload it"),
        ({"connection": "invoices", "documents": ["text.txt"]}, "document text.txt is of an unknown type"),
        ({"connection": "invoices", "documents": ["0.pdf"], "colour": 1}, "colour: unknown key"),
        ({"connection": "invoices", "documents": ["0.pdf"], "options": {"colour": 1}}, 'unknown option "colour"'),
        ({"connection": "invoices", "documents": ["0.pdf"], "resume": True}, "resume: only Dossier sets this key"),
        (
            {"connection": "invoices", "reference": "I-1", "documents": ["0.pdf"]},
            "reference I-1 is already used in line 2",
        ),
    ],
)
def test_a_bad_line_is_reported_and_stops_nothing_else(
    dossier: Dossier, runs: Runs, folder: Path, line: Any, reason: str
) -> None:
    """A bad line is named by its number with the reason; the other cases are started."""
    (folder / "text.txt").write_text("hello")
    result = dossier("batch", three(folder, "", line), "--json")
    found = json.loads(result.stdout)
    [bad] = found["bad"]
    assert bad["line"] == 5
    assert reason in bad["reason"]
    assert (result.exit_code, found["cases"], found["state"]) == (1, 3, "running")
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1", "I-2"]


def test_a_file_without_any_case_is_bad_usage(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Nothing is stored if all lines of a file are bad."""
    result = dossier("batch", jsonl(folder / "batch.jsonl", "{", "}"), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, [each["line"] for each in found["bad"]]) == (2, [1, 2])
    assert [*dossier.cloud.app.objects.list("batches/")] == []


def test_csv_lines_are_cases(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """A CSV file's columns are those of a case; options get the types that the vendor declares."""
    file = folder / "batch.csv"
    file.write_text(
        "\ufeffreference;documents;options.trigger_workflow;deadline\r\n"
        'C-1;"0.pdf|1.pdf";false;2h\r\n'
        "C-2;2.pdf;;\r\n"
        "C-3;gone.pdf;;\r\n"
        "C-4;1;2;3;4;5\r\n"
    )
    found = dossier.json("batch", file, "--connection", "claims")
    assert [(each["line"], each["reason"][:24]) for each in found["bad"]] == [
        (4, "there is no file " + str(folder)[:7]),
        (5, "the line has 6 cells, an"),
    ]
    dossier.tick()
    first, second = sorted(
        (json.loads(each.execution_input) for each in dossier.executions()), key=lambda each: each["reference"]
    )
    assert first["options"] == {"trigger_workflow": False}
    assert (first["deadline"], len(first["documents"]), "options" in second) == (7200, 2, False)


def test_a_quote_that_does_not_end_costs_its_own_line_only(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """The lines after it are read as their own lines, whether or not a later quote seems to end it."""
    file = folder / "batch.csv"
    file.write_text(
        "connection,reference,documents,options.case_title\n"
        'claims,C-1,"0.pdf,x\n'
        'claims,C-2,1.pdf,"two\nlines"\n'
        'claims,C-3,"2.pdf,x\n'
        "claims,C-4,2.pdf,x\n"
    )
    found = dossier.json("batch", file)
    assert [(each["line"], each["reason"]) for each in found["bad"]] == [
        (2, "the line is not CSV: a quote is not closed"),
        (5, "the line is not CSV: a quote is not closed"),
    ]
    dossier.tick()
    assert started(dossier) == ["C-2", "C-4"]


@pytest.mark.parametrize("name", ["batch.csv", "batch.jsonl", "batch"])
def test_a_file_of_another_encoding_says_how_to_save_it(dossier: Dossier, folder: Path, name: str) -> None:
    """UTF-16, as spreadsheets' "Unicode text", at once; a line of Latin-1 by its number."""
    file = folder / name
    file.write_text("connection,documents\ninvoices,0.pdf\n", encoding="utf-16")
    result = dossier("batch", file)
    assert (result.exit_code, "is UTF-16: save the file as UTF-8" in result.stderr) == (2, True)
    file = jsonl(folder / "latin.jsonl", {"connection": "invoices", "documents": ["0.pdf"]})
    file.write_bytes(file.read_bytes() + '{"reference": "Schäden"}\n'.encode("latin-1"))
    [bad] = dossier.json("batch", file, "--dry-run")["bad"]
    assert bad == {"line": 2, "reason": "the line is not UTF-8: save the file as UTF-8"}


@pytest.mark.parametrize(
    ("header", "says"),
    [("conection,documents", 'did you mean "connection"?'), ("documents,documents", "is given twice")],
)
def test_a_csv_file_needs_its_columns(dossier: Dossier, folder: Path, header: str, says: str) -> None:
    """Without a valid first line no other line can be read."""
    file = folder / "batch.csv"
    file.write_text(f"{header}\na,b\n")
    result = dossier("batch", file)
    assert result.exit_code == 2
    assert says in result.stderr


def test_standard_input_is_a_file(dossier: Dossier, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch of ``-`` is that of the same cases in a file."""
    file = three(folder)
    monkeypatch.chdir(folder)
    piped = dossier("batch", "-", "--json", input=file.read_text())
    assert json.loads(piped.stdout)["batch_id"] == dossier.json("batch", file)["batch_id"]
    assert len(runs.executions()) == 1


def test_the_same_cases_are_the_same_batch(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Order and form of the file do not matter, its content does."""
    one = dossier.json("batch", three(folder))["batch_id"]
    lines = three(folder).read_text().splitlines()
    assert dossier.json("batch", jsonl(folder / "other.jsonl", *reversed(lines)))["batch_id"] == one
    (folder / "2.pdf").write_bytes(PDF + b"%other")
    assert dossier.json("batch", three(folder))["batch_id"] != one


def test_a_reference_of_other_content_is_a_bad_line(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """The reference decides: a case with it is not sent again under the same name."""
    dossier("submit", "invoices", folder / "0.pdf", "--reference", "I-1")
    found = dossier.json("batch", three(folder))
    [bad] = found["bad"]
    assert bad["line"] == 2
    assert bad["reason"].startswith("reference I-1 belongs to a case with other content")
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1", "I-2"]  # I-1 is the one that was submitted by hand


def test_a_rejected_case_is_started_again(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Nothing of a case that Accept rejected was sent, so the next run starts it, under the next name."""
    file, cases = three(folder), dossier.cloud.app.cases
    first = dossier.json("batch", file)
    cases.drain("2026-01-31T12:00:00.000Z")
    dossier.tick()
    dossier.tick()
    cases.drain(None)
    found = dossier.json("batch", "status", first["batch_id"])
    assert (found["state"], found["failed"]) == ("ended", 3)
    assert dossier.json("batch", file)["execution_arn"].endswith("-2")
    dossier.tick()
    dossier.tick()
    assert dossier.json("batch", file)["under_way"] == 3
    assert sorted(each.name.endswith("-r2") for each in dossier.executions()) == [False] * 3 + [True] * 3


def test_a_batch_stops_and_resumes(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """A stopped batch starts no more cases; those under way continue; resume starts the rest without the file."""
    found = dossier.json("batch", three(folder), "--concurrency", "1")
    dossier.tick()
    assert started(dossier) == ["I-0"]
    dossier.tick()
    stopped = dossier.json("batch", "stop", found["batch_id"])
    assert (stopped["state"], stopped["under_way"], stopped["to_start"]) == ("stopped", 1, 2)
    dossier.tick()
    assert started(dossier) == ["I-0"]
    (folder / "0.pdf").unlink()
    resumed = dossier.json("batch", "resume", found["batch_id"])
    assert (resumed["state"], resumed["execution_arn"].rpartition("-")[2]) == ("running", "2")
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1", "I-2"]


def test_cases_of_a_stopped_run_are_waited_for_and_listed(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """They belong to no later run: `--wait` waits for them too, and the lists in S3 have them in the end."""
    found = dossier.json("batch", three(folder), "--concurrency", "1")
    dossier.tick()
    dossier.tick()
    dossier.json("batch", "stop", found["batch_id"])
    dossier.json("batch", "resume", found["batch_id"])
    dossier.tick()
    dossier.then = [lambda: [end(dossier, f"I-{n}") for n in (1, 2)], lambda: None, lambda: end(dossier, "I-0")]
    ended = dossier.json("batch", "status", found["batch_id"], "--wait")
    assert (ended["state"], ended["completed"]) == ("ended", 3)
    results = [json.loads(line) for line in dossier.cloud.app.objects.lines(ended["results_key"])]
    assert [each["reference"] for each in results] == ["I-0", "I-1", "I-2"]
    assert dossier.cloud.app.batches.summary(found["batch_id"])["completed"] == 3


def test_a_stopped_run_that_left_nothing_to_start_ends(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Every case was under way: the same file again, or `status --wait`, waits for them, and nothing fails."""
    file = three(folder)
    found = dossier.json("batch", file, "--concurrency", "3")
    dossier.tick()
    dossier.tick()
    stopped = dossier.json("batch", "stop", found["batch_id"])
    assert (stopped["state"], stopped["under_way"], stopped["to_start"]) == ("stopped", 3, 0)
    dossier.then = [lambda: [end(dossier, f"I-{n}") for n in range(3)]]
    again = dossier("batch", file, "--wait", "--json")
    assert again.exit_code == 0, again.stderr
    ended = json.loads(again.stdout)
    assert (ended["state"], ended["completed"], ended["reason"]) == ("ended", 3, None)
    assert len([*dossier.cloud.app.objects.lines(ended["results_key"])]) == 3
    assert dossier.json("batch", "status", found["batch_id"])["state"] == "ended"


def test_concurrency_changes_while_it_runs(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """`status --concurrency` sets how many cases are under way at once from then on."""
    found = dossier.json("batch", three(folder), "--concurrency", "1")
    dossier.tick()
    assert dossier.json("batch", "status", found["batch_id"])["concurrency"] == 1
    assert dossier.json("batch", "status", found["batch_id"], "--concurrency", "2")["concurrency"] == 2
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1"]


def test_concurrency_changes_once_the_run_has_begun(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Right after the start its Map does not exist yet: the commands wait for it."""
    found = dossier.json("batch", three(folder), "--concurrency", "1")
    assert dossier.json("batch", three(folder), "--concurrency", "2")["concurrency"] == 2
    assert dossier.json("batch", "status", found["batch_id"], "--concurrency", "3")["concurrency"] == 3


def test_a_batch_that_does_not_run_has_no_concurrency(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """The command says how to start the rest."""
    found = dossier.json("batch", three(folder), "--concurrency", "1")
    dossier("batch", "stop", found["batch_id"])
    result = dossier("batch", "status", found["batch_id"], "--concurrency", "2")
    assert result.exit_code == 1
    assert f"dossier batch resume {found['batch_id']}" in result.stderr


@pytest.mark.parametrize("dies", ["_upload", "_store", "_start"])
def test_a_command_that_dies_is_run_again(
    dossier: Dossier, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """Wherever the command dies, the next run finishes it, and no case is started twice."""
    import cli.batch  # noqa: PLC0415

    whole = getattr(cli.batch, dies)

    def dying(*args: Any, **more: Any) -> None:
        whole(*args, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cli.batch, dies, dying)
        killed = dossier("batch", three(folder))
    assert killed.exit_code == 130
    assert "run the same command again" in killed.stderr
    found = dossier("batch", three(folder), "--json")
    assert json.loads(found.stdout)["state"] == "running"
    assert "uploading" not in found.stderr
    dossier.tick()
    assert started(dossier) == ["I-0", "I-1", "I-2"]
    assert len(runs.executions()) == 1


def test_a_command_that_dies_before_the_start_has_planned_the_run(
    dossier: Dossier, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was planned and never started is started by the next command, not planned anew."""
    from dossier.stores.batches import BatchRuns  # noqa: PLC0415

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(BatchRuns, "start", die)
        assert dossier("batch", three(folder)).exit_code == 130
    assert runs.executions() == []
    found = dossier.json("batch", three(folder))
    assert found["execution_arn"].endswith(f"{found['batch_id']}-1")
    assert len([*dossier.cloud.app.objects.list(f"batches/{found['batch_id']}/runs/")]) == 1


def test_two_commands_at_once_start_one_run(
    dossier: Dossier, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look before either has planned; S3 lets one of them plan, and both start the same run."""
    from dossier.stores.batches import Batches, Planned  # noqa: PLC0415

    first = dossier.json("batch", three(folder))
    latest = Batches.latest_run

    def before(self: Batches, batch: str) -> Planned:
        found = latest(self, batch)
        return Planned(0, found.at) if found.run == 1 and not seen.append(1) and len(seen) == 1 else found

    seen: list[int] = []
    monkeypatch.setattr(Batches, "latest_run", before)
    second = dossier.json("batch", three(folder), "--concurrency", "7")
    assert second["execution_arn"] == first["execution_arn"]
    assert len(runs.executions()) == 1


def test_a_batch_of_known_cases_starts_nothing(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """If every case was submitted before, the lists are still written."""
    for number in range(3):
        dossier("submit", "invoices", folder / f"{number}.pdf", "--reference", f"I-{number}")
        end(dossier, f"I-{number}")
    result = dossier("batch", three(folder), "--json")
    found = json.loads(result.stdout)
    assert (found["state"], found["completed"]) == ("ended", 3)
    assert "every case is submitted already" in result.stderr
    assert len([*dossier.cloud.app.objects.lines(found["results_key"])]) == 3
    assert runs.executions() == []


def test_a_case_with_a_question_is_exit_code_4(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """A case that does not end because it waits for an answer is reported as such."""
    dossier.then = [lambda: dossier.ask("invoices", "I-0", "upload-0")]
    result = dossier("batch", three(folder), "--wait", "--timeout", "0.001", "--json")
    assert result.exit_code in {3, 4}
    dossier.tick()
    dossier.tick()
    found = dossier("batch", "status", json.loads(result.stdout)["batch_id"], "--wait", "--timeout", "0", "--json")
    assert found.exit_code == 4
    assert json.loads(found.stdout)["needs_attention"] == 1


def test_a_draining_deployment_starts_no_batch(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Accept would reject every case."""
    dossier.cloud.app.cases.drain("2026-01-31T12:00:00.000Z")
    result = dossier("batch", three(folder))
    assert result.exit_code == 1
    assert "has been draining since" in result.stderr
    assert runs.executions() == []


def test_a_dry_run_says_what_would_be_sent(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Cases, documents and bytes by connection, bad lines with reasons, the time at the limits; nothing starts."""
    more = {"connection": "claims", "reference": "C-1", "documents": ["0.pdf", "1.pdf"]}
    file = three(folder, more, {"connection": "claims", "documents": ["gone.pdf"]})
    found = dossier.json("batch", file, "--dry-run")
    assert (found["cases"], found["documents"], found["bytes"]) == (4, 5, 5 * len(PDF) + 10)
    assert found["pages"] == 5
    claims = {"cases": 1, "documents": 2, "pages": 2, "documents_without_pages": 0, "bytes": 2 * len(PDF) + 4}
    claims |= {"already_submitted": 0, "bad": 1}
    assert found["vendor_usd"] is None  # no connection has a price
    claims["vendor_usd"] = None
    assert found["connections"]["claims"] == claims
    assert [each["line"] for each in found["bad"]] == [5]
    assert found["seconds"] >= 1
    assert dossier("batch", file, "--dry-run").exit_code == 0
    assert [*dossier.cloud.app.objects.list("")] == []
    assert dossier.executions() == []


def test_a_dry_run_leaves_out_submitted_cases(
    dossier: Dossier, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a run would send counts, and a reference of other content is a bad line, as for the run itself."""
    priced = (
        (ROOT / "connections.toml").read_text().replace("[invoices]\n", "[invoices]\nbudget.price_per_page = 0.25\n")
    )
    (folder / "connections.toml").write_text(priced)
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(folder / "connections.toml"))
    dossier.json("submit", "invoices", folder / "1.pdf", "--reference", "I-1")
    dossier.json("submit", "invoices", folder / "0.pdf", "--reference", "I-2")
    dossier.tick()
    found = dossier.json("batch", three(folder), "--dry-run")
    assert (found["cases"], found["pages"], found["already_submitted"], found["vendor_usd"]) == (1, 1, 1, 0.25)
    assert found["connections"]["invoices"]["already_submitted"] == 1
    assert [each["line"] for each in found["bad"]] == [3]
    assert found["bad"][0]["reason"].startswith("reference I-2 belongs to a case with other content")
    dossier.json("submit", "invoices", folder / "0.pdf", "--reference", "I-0")
    dossier.tick()
    text = dossier("batch", three(folder), "--dry-run")
    assert (text.exit_code, "every case is submitted already: nothing would be sent" in text.stdout) == (0, True)
    assert "bill" not in text.stdout


def test_a_file_whose_references_all_have_other_content_is_bad_usage(
    dossier: Dossier, runs: Runs, folder: Path
) -> None:
    """Nothing is stored, and the output does not claim that other cases were submitted."""
    dossier.json("submit", "invoices", folder / "1.pdf", "--reference", "I-0")
    dossier.tick()
    file = jsonl(folder / "one.jsonl", {"connection": "invoices", "reference": "I-0", "documents": ["0.pdf"]})
    for more in ((), ("--dry-run",)):
        result = dossier("batch", file, "--json", *more)
        found = json.loads(result.stdout)
        assert (result.exit_code, found["cases"], [each["line"] for each in found["bad"]]) == (2, 0, [1])
        assert found["error"]["message"] == "the file has no case: every line is bad"
    assert [*dossier.cloud.app.objects.list("batches/")] == []


def test_a_dry_run_says_what_the_vendors_bill(dossier: Dossier, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages at the connection's price; without a price of each connection there is no total."""
    shipped = (ROOT / "connections.toml").read_text()
    priced = shipped.replace("[invoices]\n", "[invoices]\nbudget = { price_per_page = 0.25 }\n")
    assert priced != shipped
    (folder / "connections.toml").write_text(priced)
    monkeypatch.setenv("DOSSIER_CONNECTIONS", str(folder / "connections.toml"))
    assert dossier.json("batch", three(folder), "--dry-run")["vendor_usd"] == 0.75
    assert "the vendors bill about $0.75" in dossier("batch", three(folder), "--dry-run").stdout
    found = dossier.json("batch", three(folder, {"connection": "claims", "documents": ["0.pdf"]}), "--dry-run")
    assert (found["vendor_usd"], found["connections"]["invoices"]["vendor_usd"]) == (None, 0.75)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gone.jsonl",), "there is no file gone.jsonl"),
        (("s3://scans/may.jsonl",), "s3://scans/may.jsonl is not on this machine: download it, or pipe it into"),
        (("status",), "give one file, or one of status, stop and resume"),
        (("status", "nothing"), '"nothing"is not the id of a batch'),
        (("status", "0123456789abcdef"), "there is no batch 0123456789abcdef"),
        (("a", "b"), "give one file, or one of status, stop and resume"),
        (("stop", "0123456789abcdef", "--dry-run"), "takes neither --dry-run nor --connection"),
        (("x", "--timeout", "3"), "--timeout needs --wait"),
    ],
)
def test_invalid_arguments_are_bad_usage(dossier: Dossier, words: tuple[str, ...], says: str) -> None:
    """Each mistake has its own line."""
    result = dossier("batch", *words)
    assert result.exit_code in {1, 2}
    assert says in result.stderr


def test_drain_names_a_batch_that_still_starts_cases(dossier: Dossier, runs: Runs, folder: Path) -> None:
    """Until it is stopped: its cases would be rejected one by one."""
    batch = dossier.json("batch", three(folder), "--concurrency", "1")["batch_id"]
    assert dossier.json("drain")["batches"] == [batch]
    assert f"`dossier batch stop {batch}`" in dossier("drain").stdout
    dossier("batch", "stop", batch)
    assert dossier.json("drain")["batches"] == []
