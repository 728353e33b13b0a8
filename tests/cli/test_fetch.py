"""``dossier fetch``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Dossier
from tests.conftest import BUCKET

PREFIX = "cases/invoices/INV-1/"


@pytest.fixture
def completed(dossier: Dossier, invoice: Path) -> Dossier:
    """A deployment with the completed case ``INV-1``."""
    assert dossier("submit", "invoices", invoice, "--reference", "INV-1", "--wait").exit_code == 0
    return dossier


def test_results_keep_their_names(completed: Dossier, tmp_path: Path) -> None:
    """Result, manifest, artifacts and raw answers arrive as they are in S3; the documents stay there."""
    folder = tmp_path / "results"
    result = completed("fetch", "INV-1", folder)
    assert result.exit_code == 0, result.stderr
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    assert (folder / "manifest.json").is_file()
    assert list((folder / "artifacts").iterdir())
    assert list((folder / "vendor").iterdir())
    assert not (folder / "documents").exists()
    assert str(folder / "result.json") in result.stdout.splitlines()


def test_documents_come_along_if_wanted(completed: Dossier, invoice: Path, tmp_path: Path) -> None:
    """--documents brings what was submitted as well."""
    completed("fetch", "INV-1", tmp_path / "results", "--documents", "--connection", "invoices")
    assert (tmp_path / "results" / "documents" / "invoice.pdf").read_bytes() == invoice.read_bytes()


def test_files_are_told_to_programs(completed: Dossier, tmp_path: Path) -> None:
    """With --json each file is named with its checksum, and whether the manifest vouches for it."""
    document = completed.json("fetch", "INV-1", tmp_path / "results")
    files = {each["key"].removeprefix(PREFIX): each for each in document["files"]}
    body = (tmp_path / "results" / "result.json").read_bytes()
    assert files["result.json"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert files["result.json"]["verified"] is True
    assert files["manifest.json"]["verified"] is False


def test_fetching_again_replaces(completed: Dossier, tmp_path: Path) -> None:
    """A second fetch into the same folder brings the same files, and leaves others alone."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "notes.txt").write_text("mine")
    for _ in range(2):
        assert completed("fetch", "INV-1", tmp_path / "results").exit_code == 0
    assert (tmp_path / "results" / "notes.txt").read_text() == "mine"
    assert not list((tmp_path / "results").rglob("*.part"))


def test_a_damaged_file_is_not_kept(completed: Dossier, tmp_path: Path) -> None:
    """A file that is not what the manifest says is an error, and not on disk."""
    completed.cloud.put(f"{PREFIX}result.json", b'{"status": "forged"}')
    result = completed("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert f"s3://{BUCKET}/{PREFIX}result.json is not what the case's manifest says" in result.stderr
    assert not (tmp_path / "results" / "result.json").exists()


def test_a_lost_file_is_an_error(completed: Dossier, tmp_path: Path) -> None:
    """A file that the manifest names and the bucket lacks is an error."""
    completed.cloud.session.client("s3").delete_object(Bucket=BUCKET, Key=f"{PREFIX}result.json")
    result = completed("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert "result.json is in the case's manifest, but not in the bucket any more" in result.stderr


@pytest.mark.parametrize("name", ["../escape.txt", "artifacts/../../escape.txt", "/escape.txt", "a\\..\\b", "a//b"])
def test_nothing_is_written_outside_of_the_folder(completed: Dossier, tmp_path: Path, name: str) -> None:
    """A key that is no plain relative name is refused, whoever wrote it."""
    completed.cloud.put(PREFIX + name, b"x")
    result = completed("fetch", "INV-1", tmp_path / "deep" / "results")
    assert result.exit_code == 1
    assert "is no file name" in result.stderr
    assert not list(tmp_path.rglob("escape.txt"))


def test_a_link_in_the_folder_is_not_followed(completed: Dossier, tmp_path: Path) -> None:
    """A link that leads out of the folder stops the fetch."""
    (tmp_path / "results").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results" / "artifacts").symlink_to(tmp_path / "elsewhere")
    result = completed("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert "leads out of" in result.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_case_without_results_yet(dossier: Dossier, invoice: Path, tmp_path: Path) -> None:
    """A case that is still under way has nothing to fetch: exit code 1, and where it stands."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    result = dossier("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert result.stderr == "dossier: case INV-1 has no results yet: it is accepted\n"
    assert not (tmp_path / "results").exists()


def test_a_file_in_the_folders_place(completed: Dossier, invoice: Path) -> None:
    """A DIR that is a file is bad usage."""
    result = completed("fetch", "INV-1", invoice)
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr
