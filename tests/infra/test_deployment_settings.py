"""The settings of a deployment, and the errors for wrong ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import ROOT
from dossier.errors import ConfigurationError
from infra.settings import KNOWN, MOST_CONNECTIONS, Settings

CONNECTIONS = {"connections": "tests/infra/connections.toml"}


def test_defaults() -> None:
    """By default the stage is dev, on arm64, and data outlives the stack."""
    settings = _load({})
    assert (settings.stage, settings.stack_name, settings.prefix) == ("dev", "dossier-dev", "dossier")
    assert (settings.architecture, settings.retain, settings.document_buckets) == ("arm64", True, ())
    assert list(settings.connections) == ["invoices", "claims", "disputes"]


def test_another_stage() -> None:
    """Every name contains the stage's name."""
    settings = _load({"stage": "prod2"})
    assert (settings.stack_name, settings.prefix) == ("dossier-prod2", "dossier-prod2")
    assert settings.named("poll", "invoices") == "dossier-prod2-poll-invoices"


def test_the_environment_names_another_file(tmp_path: Path) -> None:
    """``DOSSIER_CONNECTIONS`` selects the file; ``-c connections`` overrides it."""
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
        ({"dependency_layer": "docs"}, 'dependency_layer "docs": it has no folder "python"'),
        ({"connections": "none.toml"}, "none.toml: there is no such file"),
    ],
)
def test_a_wrong_setting_is_one_line(context: dict[str, str], said: str) -> None:
    """The line names the wrong setting and its allowed values."""
    with pytest.raises(ConfigurationError) as error:
        _load(context)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_stage_has_a_maximum_of_connections(tmp_path: Path) -> None:
    """More connections than a role can name are rejected before CloudFormation rejects them."""
    table = '[c{0}]\nvendor = "ombudsman"\nbase_url = "https://x.example"\ntenant = "t"\n'
    path = tmp_path / "many.toml"
    path.write_text("".join(table.format(number) for number in range(MOST_CONNECTIONS + 1)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"^{MOST_CONNECTIONS + 1} connections: a stage has at most"):
        _load({"connections": str(path)})


def write(folder: Path, text: str, name: str = "dossier.toml") -> Path:
    """Write a settings file beside a connections file; return its path."""
    (folder / "mine.toml").write_text(
        '[only]\nvendor = "ombudsman"\nbase_url = "https://x.example"\ntenant = "t"\n', encoding="utf-8"
    )
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_one_file_holds_a_stages_settings(tmp_path: Path) -> None:
    """``cdk deploy`` reads ``dossier.toml``; ``-c`` overrides one setting at a time."""
    write(
        tmp_path,
        """
        stage = "blue"
        connections = "mine.toml"
        document_buckets = ["scans", "mail-room"]
        evidence_lock_days = 30
        retain = false
        [retention]
        documents_days = 90
        """,
    )
    settings = Settings.load(lambda _key: None, root=tmp_path, environment={})
    assert (settings.stage, list(settings.connections), settings.retain) == ("blue", ["only"], False)
    assert (settings.document_buckets, settings.evidence_lock_days) == (("scans", "mail-room"), 30)
    assert (settings.retention.documents_days, settings.retention.artifacts_days) == (90, 0)

    override = {"stage": "green", "retention.documents_days": "30"}
    settings = Settings.load(override.get, root=tmp_path, environment={}, names=override)
    assert (settings.stage, settings.retention.documents_days, settings.retain) == ("green", 30, False)


def test_a_context_value_selects_another_settings_file(tmp_path: Path) -> None:
    """Each stage may have its own file; paths in it are relative to it."""
    (tmp_path / "stages").mkdir()
    path = write(tmp_path / "stages", 'stage = "prod"\nconnections = "mine.toml"\n', "prod.toml")
    context = {"settings": str(path)}
    settings = Settings.load(context.get, root=tmp_path, environment={}, names=context)
    assert (settings.stage, list(settings.connections)) == ("prod", ["only"])
    missing = {"settings": "nowhere.toml"}
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: there is no such file"):
        Settings.load(missing.get, root=tmp_path, environment={}, names=missing)


def test_unknown_settings_are_errors_with_a_suggestion(tmp_path: Path) -> None:
    """A typo in ``-c`` or in the file is an error; the CDK's own context keys are ignored."""
    write(tmp_path, 'conections = "mine.toml"\n[retention]\ndocument_days = 3\n')
    context = {"stge": "blue", "@aws-cdk/core:x": True, "aws:cdk:enable-path-metadata": True, "cli-telemetry": False}
    with pytest.raises(ConfigurationError) as error:
        Settings.load(context.get, root=tmp_path, environment={}, names=context)
    lines = str(error.value).splitlines()
    assert '-c stge: unknown setting; did you mean "stage"?' in lines
    assert 'dossier.toml: conections: unknown setting; did you mean "connections"? (line 1)' in lines
    wanted = 'unknown setting; did you mean "retention.documents_days"? (line 3)'
    assert f"dossier.toml: retention.document_days: {wanted}" in lines
    assert not [line for line in lines if "aws" in line or "telemetry" in line]


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """One run reports every wrong setting with its file, and the errors of the connections too."""
    write(tmp_path, 'stage = "Dev"\nconnections = "none.toml"\nretain = "maybe"\n')
    context = {"webhook_rate": "x"}
    with pytest.raises(ConfigurationError) as error:
        Settings.load(context.get, root=tmp_path, environment={}, names=context)
    text = str(error.value)
    assert 'dossier.toml: stage "Dev": use 1 to 16' in text
    assert 'dossier.toml: retain "maybe": use true or false' in text
    assert 'webhook_rate "x": use a whole number' in text
    assert "none.toml: there is no such file" in text


def test_a_contradiction_is_named_beside_the_other_mistakes(tmp_path: Path) -> None:
    """A setting that is valid by itself is reported in the same run, with its file and line."""
    write(tmp_path, 'stage = "Dev"\nallow_insecure = "perhaps"\n[retention]\nresults_days = 1\nraw_days = "x"\n')
    sandbox = '[one]\nvendor = "ombudsman"\nbase_url = "https://localhost"\ntenant = "t"\n'
    (tmp_path / "connections.toml").write_text(sandbox, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        Settings.load(lambda _key: None, root=tmp_path, environment={})
    text = str(error.value).splitlines()
    assert [each.partition(": use")[0] for each in text] == [
        'dossier.toml: stage "Dev"',
        'dossier.toml: allow_insecure "perhaps"',
        'dossier.toml: retention.raw_days "x"',
        "dossier.toml: retention.results_days 1",
    ]
    assert text[-1].endswith("late deliveries) (line 4)")


def test_a_fresh_clone_names_the_setting_that_it_needs() -> None:
    """The shipped connections are for the sandbox: nothing is synthesized, and the line names the next step."""
    with pytest.raises(ConfigurationError) as error:
        Settings.load(lambda _key: None, root=ROOT, environment={})
    assert str(error.value).startswith("connections.toml: [invoices], [claims], [disputes] are for a sandbox")
    assert "name it in dossier.toml" in str(error.value)
    assert "\n" not in str(error.value)
    allowed = {"allow_insecure": "true"}
    assert len(Settings.load(allowed.get, root=ROOT, environment={}, names=allowed).connections) == 3


@pytest.mark.parametrize(
    ("url", "insecure"),
    [
        ("https://127.0.0.1:9/x", "false"),
        ("https://127.9.9.9", "false"),
        ("https://localhost", "false"),
        ("https://vendor.localhost", "false"),
        ("https://[::1]:8080", "false"),
        ("https://api.example.com", "true"),
    ],
)
def test_a_sandbox_is_not_deployed_to_the_cloud(tmp_path: Path, url: str, insecure: str) -> None:
    """A sandbox's connection is recognized by each sign of it."""
    path = tmp_path / "sandbox.toml"
    table = f'[one]\nvendor = "ombudsman"\nbase_url = "{url}"\ntenant = "t"\nallow_insecure = {insecure}\n'
    path.write_text(table, encoding="utf-8")
    context = {"connections": str(path)}
    with pytest.raises(ConfigurationError, match=r"^sandbox\.toml: \[one\] is for a sandbox"):
        Settings.load(context.get, root=tmp_path, environment={})


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"retention.documents_days": "7"}, "retention.documents_days 7: use 12 or more: a case may take that long"),
        ({"retention.records_days": "1"}, "retention.records_days 1: use 12 or more"),
        (
            {"retention.evidence_days": "30", "evidence_lock_days": "400"},
            "retention.evidence_days 30: use 400 or more: deliveries are locked that long",
        ),
        (
            {"alarm_email": "team@example.com", "alarm_topic_arn": "arn:aws:sns:eu-central-1:123456789012:ops"},
            "alarm_email and alarm_topic_arn exclude each other",
        ),
    ],
)
def test_contradictory_settings_are_rejected(context: dict[str, str], said: str) -> None:
    """Settings that are valid one by one may lose data or have no effect together."""
    with pytest.raises(ConfigurationError) as error:
        _load(context)
    assert str(error.value).startswith(said)


@pytest.mark.rule("security: break a deployment halfway with settings")
def test_a_wrong_key_ends_the_app_with_one_line(tmp_path: Path) -> None:
    """``cdk synth`` with a misspelt key: one line on stderr, exit code 1, no traceback."""
    path = tmp_path / "connections.toml"
    path.write_text('[claims]\nvendor = "docsumo"\nbase_url = "https://x.example"\ncasetype = "c"\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT, env={**os.environ, "DOSSIER_CONNECTIONS": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == 'connections.toml: [claims] casetype: unknown key; did you mean "casetype_id"? (line 4)\n'


def _load(context: dict[str, str]) -> Settings:
    return Settings.load({**CONNECTIONS, **context}.get, root=ROOT, environment={})


def test_the_page_names_every_setting() -> None:
    """The page lists every setting, and nothing else."""
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    names = [each for row in rows for each in re.findall(r"`([^`]+)`", row)]
    named = [f"retention{each}" if each.startswith(".") else each for each in names]
    assert sorted(named) == sorted(KNOWN)
