"""The layers' folders."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app import ROOT
from dossier.errors import ConfigurationError
from infra.assets import code_of, generated
from infra.dependencies import dependency_folder
from infra.layers import settings_folder
from infra.settings import Settings


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only the requirements, in which layers are built from scratch."""
    root = tmp_path_factory.mktemp("project")
    (root / "layers").mkdir()
    shutil.copy(ROOT / "layers" / "requirements.txt", root / "layers")
    return root


@pytest.fixture(scope="module")
def layer(project: Path) -> Path:
    """Return the dependency layer for arm64."""
    return dependency_folder(project, "arm64")


def test_the_dependency_layer_is_for_lambda(layer: Path) -> None:
    """On any machine the compiled packages are built for Lambda's Python and processor."""
    compiled = sorted(path.name for path in layer.rglob("*.so"))
    assert "_pydantic_core.cpython-313-aarch64-linux-gnu.so" in compiled
    assert all(name.endswith(".cpython-313-aarch64-linux-gnu.so") for name in compiled)


@pytest.mark.rule("security: get code into the layer")
def test_the_dependency_layer_has_only_required_packages(layer: Path) -> None:
    """The layer has no packages of the runtime, tests, compiled files, or files that differ between machines."""
    names = {path.name for path in (layer / "python").iterdir()}
    assert {"pydantic", "httpx", "aws_lambda_powertools"} <= names
    assert not names & {"boto3", "botocore", "bin"}
    assert not [path for path in layer.rglob("*") if path.name in {"__pycache__", "tests", "RECORD"}]
    assert sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) < 60_000_000


def test_the_same_requirements_make_the_same_layer(layer: Path, tmp_path: Path) -> None:
    """A layer that is built elsewhere from scratch has the same files, so nothing is deployed again."""
    (tmp_path / "layers").mkdir()
    shutil.copy(ROOT / "layers" / "requirements.txt", tmp_path / "layers")
    again = dependency_folder(tmp_path, "arm64")
    assert again.name == layer.name
    assert _digests(again) == _digests(layer)


def test_a_built_layer_is_used_again(layer: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second synthesis installs nothing; another processor has its own layer."""

    def no_pip(*_arguments: object, **_options: object) -> None:
        raise AssertionError("pip was called")

    monkeypatch.setattr(subprocess, "run", no_pip)
    assert dependency_folder(project, "arm64") == layer
    with pytest.raises(AssertionError, match="pip was called"):
        dependency_folder(project, "x86_64")


def test_a_failed_installation_is_one_line(tmp_path: Path) -> None:
    """A requirement without its hash stops the synthesis with pip's last line, and leaves no files behind."""
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "requirements.txt").write_text("no-such-package==1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^layers/requirements\.txt cannot be installed for Lambda: .+$"):
        dependency_folder(tmp_path, "arm64")
    assert not list((tmp_path / "build" / "layers").iterdir())


def test_two_simultaneous_builds_make_one_folder(tmp_path: Path) -> None:
    """Two syntheses that build the same folder at the same time both get it whole."""
    both_filling = threading.Barrier(2, timeout=10)

    def fill(folder: Path) -> None:
        (folder / "file").write_text("content", encoding="utf-8")
        both_filling.wait()

    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(generated(tmp_path / "made", fill))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "made"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "file").read_text(encoding="utf-8") == "content"


def test_functions_read_the_settings_layer(tmp_path: Path) -> None:
    """The connections are a package that imports nothing; the names and defaults of the file are in it."""
    path = ROOT / "tests" / "infra" / "connections.toml"
    settings = Settings.load({"connections": str(path)}.get, root=tmp_path, environment={})
    folder = settings_folder(settings)
    code = (
        "import json, sys; from dossier.connections import webhook_settings as find; print(json.dumps(find('claims')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{folder / 'python'}:{ROOT / 'layers' / 'shared' / 'python'}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["header"] == "X-Webhook-Token"


def test_a_missing_folder_is_reported() -> None:
    """A missing folder of a function is one line, not a traceback."""
    with pytest.raises(ConfigurationError, match=r"^nowhere: "):
        code_of(ROOT / "nowhere")


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
