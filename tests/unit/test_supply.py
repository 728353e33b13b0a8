"""What Dossier is made of is pinned, and can be audited and listed."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.tables import ROOT

LOCKS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("requirements/*.txt"), *ROOT.glob("layers/*.txt")])
PINNED = re.compile(
    r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.!+-]+( ; [^\\]+)?( +--hash=sha256:[0-9a-f]{64})+", re.I
)


@pytest.mark.rule("security: get code into the layer")
@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_requirement_is_pinned_with_hashes(lock: Path) -> None:
    """Each package has one version and the hashes of its files; none comes from a URL or a separate index."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    requirements = [line for line in lines if line]
    assert requirements
    assert [line for line in requirements if not PINNED.fullmatch(line)] == []


def test_every_dependency_of_the_project_is_locked() -> None:
    """Each lock file pins the requirements of ``pyproject.toml`` (``make lock`` was run after a change)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    runtime = set(map(_name, project["project"]["dependencies"]))
    wanted = {f"requirements/{name}.txt": set(map(_name, each)) for name, each in project["dependency-groups"].items()}
    wanted["layers/requirements.txt"] = runtime - {"boto3"}
    wanted["requirements/dev.txt"] = runtime | {_name(each) for extra in extras.values() for each in extra} - {
        "dossier"
    }
    assert sorted(wanted) == sorted(map(str, LOCKS))
    for lock, names in wanted.items():
        pinned = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
        assert sorted(names - set(pinned)) == [], lock


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=; ]", requirement)[0]


@pytest.mark.rule("security: get code into the layer")
def test_npm_packages_are_locked_with_hashes() -> None:
    """Every package of the lock file has a version and a hash; package.json asks for exact versions."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert [name for name, each in packages.items() if not each["integrity"].startswith("sha512-")] == []
    assert [name for name, each in packages.items() if "resolved" in each] == []  # any registry will do
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert [name for name, version in wanted.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


def test_setup_only_installs_by_hash() -> None:
    """The machine's own environment and the layer take nothing whose hash is not locked."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "pip install" in line]
    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []
    assert "npm ci" in makefile
    assert "--require-hashes" in (ROOT / "infra" / "dependencies.py").read_text(encoding="utf-8")


@pytest.mark.rule("security: use a published flaw")
def test_audit_and_sbom_read_every_lock_file() -> None:
    """``make audit`` and ``make sbom`` cover every lock file; a package that could not be looked up fails."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    locks = re.search(r"^LOCKS := (.+)$", makefile, re.MULTILINE)
    assert locks
    assert sorted(locks[1].split()) == sorted(str(each) for each in LOCKS)
    targets = dict(re.findall(r"^(audit|sbom):.*\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    assert all("$(LOCKS)" in recipe and "npm" in recipe for recipe in targets.values())
    assert set(targets) == {"audit", "sbom"}
    assert "--strict" in targets["audit"]


def test_expressions_are_checked_with_the_local_awss_own_library() -> None:
    """``make check`` evaluates JSONata by the version that the local AWS has."""
    pins = [
        re.findall(r"^jsonata-python==(\S+)", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("dev.txt", "local.txt")
    ]
    assert pins[0] == pins[1]
    assert len(pins[0]) == 1
