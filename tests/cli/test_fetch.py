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


def test_documents_are_fetched_on_request(completed: Dossier, invoice: Path, tmp_path: Path) -> None:
    """--documents also fetches the submitted documents."""
    completed("fetch", "INV-1", tmp_path / "results", "--documents", "--connection", "invoices")
    assert (tmp_path / "results" / "documents" / "invoice.pdf").read_bytes() == invoice.read_bytes()


def test_json_lists_the_files(completed: Dossier, tmp_path: Path) -> None:
    """With --json each file is named with its checksum, and whether the manifest vouches for it."""
    document = completed.json("fetch", "INV-1", tmp_path / "results")
    files = {each["key"].removeprefix(PREFIX): each for each in document["files"]}
    body = (tmp_path / "results" / "result.json").read_bytes()
    assert files["result.json"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert files["result.json"]["verified"] is True
    assert files["manifest.json"]["verified"] is False


def test_fetching_again_replaces(completed: Dossier, tmp_path: Path) -> None:
    """A second fetch into the same folder writes the same files, and does not touch others."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "notes.txt").write_text("mine")
    for _ in range(2):
        assert completed("fetch", "INV-1", tmp_path / "results").exit_code == 0
    assert (tmp_path / "results" / "notes.txt").read_text() == "mine"
    assert not list((tmp_path / "results").rglob("*.part"))


def test_a_folder_of_another_case_stays_as_it_is(completed: Dossier, invoice: Path, tmp_path: Path) -> None:
    """Two cases in one folder would be the result of one beside the artifacts of the other."""
    folder = tmp_path / "results"
    assert completed("fetch", "INV-1", folder).exit_code == 0
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    assert completed("submit", "claims", invoice, "--reference", "INV-2", "--wait").exit_code == 0
    result = completed("fetch", "INV-2", folder)
    assert result.exit_code == 2
    assert f"{folder} has the results of another case (invoices / INV-1): give another folder" in result.stderr
    assert {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()} == before


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'{"reference": "INV-9"}'])
def test_a_result_json_of_no_case_is_replaced(completed: Dossier, tmp_path: Path, body: bytes) -> None:
    """Only another case's result keeps a folder from being used."""
    (tmp_path / "result.json").write_bytes(body)
    assert completed("fetch", "INV-1", tmp_path).exit_code == 0
    assert json.loads((tmp_path / "result.json").read_bytes())["reference"] == "INV-1"


def test_a_damaged_file_is_not_kept(completed: Dossier, tmp_path: Path) -> None:
    """A file that differs from the manifest is an error, and is not written."""
    completed.cloud.put(f"{PREFIX}result.json", b'{"status": "forged"}')
    result = completed("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert f"s3://{BUCKET}/{PREFIX}result.json is not the file in the case's manifest" in result.stderr
    assert not (tmp_path / "results" / "result.json").exists()


def test_a_lost_file_is_an_error(completed: Dossier, tmp_path: Path) -> None:
    """A file that the manifest names and the bucket lacks is an error."""
    completed.cloud.session.client("s3").delete_object(Bucket=BUCKET, Key=f"{PREFIX}result.json")
    result = completed("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert "result.json is in the case's manifest, but no longer in the bucket" in result.stderr


@pytest.mark.rule("security: write a file outside of the folder that results are downloaded to")
@pytest.mark.parametrize("name", ["../escape.txt", "artifacts/../../escape.txt", "/escape.txt", "a\\..\\b", "a//b"])
def test_nothing_is_written_outside_of_the_folder(completed: Dossier, tmp_path: Path, name: str) -> None:
    """A key that is not a plain relative name is rejected."""
    completed.cloud.put(PREFIX + name, b"x")
    result = completed("fetch", "INV-1", tmp_path / "deep" / "results")
    assert result.exit_code == 1
    assert "is not a safe file name" in result.stderr
    assert not list(tmp_path.rglob("escape.txt"))


@pytest.mark.rule("security: write a file outside of the folder that results are downloaded to")
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
    """A case that is still under way has nothing to fetch: exit code 1, and its state."""
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    result = dossier("fetch", "INV-1", tmp_path / "results")
    assert result.exit_code == 1
    assert result.stderr == "dossier: case INV-1 has no results yet: it is accepted\n"
    assert not (tmp_path / "results").exists()


def test_file_in_place_of_the_folder_is_an_error(completed: Dossier, invoice: Path) -> None:
    """A DIR that is a file is bad usage."""
    result = completed("fetch", "INV-1", invoice)
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr


# Files planted in the folder


def planted(tmp_path: Path) -> Path:
    """Return a file outside of the folder that an attacker wants overwritten."""
    target = tmp_path / "authorized_keys"
    target.write_text("mine")
    return target


@pytest.mark.rule("security: write a file outside of the folder that results are downloaded to")
@pytest.mark.parametrize("name", [".result.json.part", "result.json", "manifest.json", ".manifest.json.part"])
def test_a_planted_link_is_not_written_through(completed: Dossier, tmp_path: Path, name: str) -> None:
    """A link where a file goes, or where it is written first, is replaced or left alone; its target stays as it is."""
    target, folder = planted(tmp_path), tmp_path / "results"
    folder.mkdir()
    (folder / name).symlink_to(target)
    result = completed("fetch", "INV-1", folder)
    assert result.exit_code == 0, result.stderr
    assert target.read_text() == "mine"
    assert not (folder / "result.json").is_symlink()
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"


def test_a_folder_that_is_a_link_inside_is_not_entered(completed: Dossier, tmp_path: Path) -> None:
    """A link to another folder of the results is rejected too: it may be changed at any moment."""
    folder = tmp_path / "results"
    (folder / "real").mkdir(parents=True)
    (folder / "artifacts").symlink_to(folder / "real")
    result = completed("fetch", "INV-1", folder)
    assert result.exit_code == 1
    assert "is a link" in result.stderr
    assert not list((folder / "real").iterdir())


def test_the_users_own_link_to_a_folder_is_followed(completed: Dossier, tmp_path: Path) -> None:
    """The given DIR may be a link, because the user named it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "real")
    assert completed("fetch", "INV-1", tmp_path / "results").exit_code == 0
    assert (tmp_path / "real" / "result.json").is_file()


@pytest.mark.rule("security: write a file outside of the folder that results are downloaded to")
def test_names_are_files_of_their_own_on_every_system(completed: Dossier, tmp_path: Path) -> None:
    """Names that differ in case alone, and those that are devices on Windows, get names that are neither."""
    for name in ("extra/a.json", "extra/A.JSON", "extra/con", "extra/aux.txt", "extra/x:y.pdf", "Extra/b.json"):
        completed.cloud.put(PREFIX + name, name.encode())
    document = completed.json("fetch", "INV-1", tmp_path / "results")
    paths = {each["key"].removeprefix(PREFIX): Path(each["path"]) for each in document["files"]}
    assert len({str(each).casefold() for each in paths.values()}) == len(paths)
    assert {each.name for each in paths.values()} >= {"_con", "_aux.txt", "x_y.pdf"}
    assert all(paths[name].read_bytes() == name.encode() for name in paths if name.startswith(("extra", "Extra")))


def test_a_fetch_that_fails_leaves_no_part(completed: Dossier, tmp_path: Path) -> None:
    """The files written so far are deleted again."""
    completed.cloud.put(f"{PREFIX}result.json", b'{"status": "forged"}')
    completed("fetch", "INV-1", tmp_path / "results")
    assert [each for each in (tmp_path / "results").rglob("*") if ".part" in each.name] == []
