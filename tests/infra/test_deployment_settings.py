"""The settings of a deployment, and what the operator reads if one is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import ROOT
from dossier.errors import ConfigurationError
from infra.settings import MOST_CONNECTIONS, Settings

CONNECTIONS = {"connections": "tests/infra/connections.toml"}


def test_defaults() -> None:
    """Without a word, it is the stage dev, on arm64, and data outlives the stack."""
    settings = _load({})
    assert (settings.stage, settings.stack_name, settings.prefix) == ("dev", "dossier-dev", "dossier")
    assert (settings.architecture, settings.retain, settings.document_buckets) == ("arm64", True, ())
    assert list(settings.connections) == ["invoices", "claims", "disputes"]


def test_another_stage() -> None:
    """A stage's name is in every name."""
    settings = _load({"stage": "prod2"})
    assert (settings.stack_name, settings.prefix) == ("dossier-prod2", "dossier-prod2")
    assert settings.named("poll", "invoices") == "dossier-prod2-poll-invoices"


def test_the_environment_names_another_file(tmp_path: Path) -> None:
    """``DOSSIER_CONNECTIONS`` picks the file; ``-c connections`` goes before it."""
    path = tmp_path / "mine.toml"
    path.write_text('[only]\nvendor = "ombudsman"\nbase_url = "https://x.example"\ntenant = "t"\n', encoding="utf-8")
    environment = {"DOSSIER_CONNECTIONS": str(path)}
    assert list(Settings.load(lambda _key: None, root=ROOT, environment=environment).connections) == ["only"]
    assert list(Settings.load(CONNECTIONS.get, root=ROOT, environment=environment).connections) != ["only"]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"stage": "Dev"}, 'stage "Dev": use 1 to 16 lower-case letters and digits, beginning with a letter'),
        ({"stage": "a" * 17}, 'stage "aaaaaaaaaaaaaaaaa": use 1 to 16'),
        ({"architecture": "arm"}, 'architecture "arm": use one of arm64, x86_64'),
        ({"retain": "no"}, 'retain "no": use true or false'),
        ({"webhook_rate": "0"}, 'webhook_rate "0": use a whole number from 1 to 99999'),
        ({"evidence_lock_days": "-1"}, 'evidence_lock_days "-1": use a whole number from 1 to 36500'),
        ({"evidence_lock_days": "36501"}, 'evidence_lock_days "36501": use a whole number from 1 to 36500'),
        ({"evidence_lock_days": "1.5"}, 'evidence_lock_days "1.5": use a whole number from 1 to 36500'),
        ({"kms_key_arn": "alias/mine"}, 'kms_key_arn "alias/mine": use the ARN of a key, arn:aws:kms:'),
        ({"document_buckets": "scans, *"}, 'document_buckets "*": use names of buckets, with a comma between them'),
        ({"dependency_layer": "docs"}, 'dependency_layer "docs": there is no folder "python" in it'),
        ({"connections": "none.toml"}, "none.toml: there is no such file"),
    ],
)
def test_a_wrong_setting_is_one_line(context: dict[str, str], said: str) -> None:
    """The operator reads which setting is wrong, and what it may be."""
    with pytest.raises(ConfigurationError) as error:
        _load(context)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_stage_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    """More connections than a role can name are refused before CloudFormation refuses them."""
    table = '[c{0}]\nvendor = "ombudsman"\nbase_url = "https://x.example"\ntenant = "t"\n'
    path = tmp_path / "many.toml"
    path.write_text("".join(table.format(number) for number in range(MOST_CONNECTIONS + 1)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"^{MOST_CONNECTIONS + 1} connections: a stage has at most"):
        _load({"connections": str(path)})


def test_a_wrong_key_ends_the_app_with_one_line(tmp_path: Path) -> None:
    """``cdk synth`` with a misspelt key: one line on stderr, exit code 1, no traceback."""
    path = tmp_path / "connections.toml"
    path.write_text('[claims]\nvendor = "docsumo"\nbase_url = "https://x.example"\ncasetype = "c"\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT, env={**os.environ, "DOSSIER_CONNECTIONS": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == 'connections.toml: [claims] casetype: unknown key; did you mean "casetype_id"?\n'


def _load(context: dict[str, str]) -> Settings:
    return Settings.load({**CONNECTIONS, **context}.get, root=ROOT, environment={})
