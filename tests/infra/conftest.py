"""The stack, synthesized once for the session, for two stages side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app import ROOT, use_own_node
from tests.infra.synthesis import DOCUMENT_KEY, KMS_KEY, TOPIC, TRACING_LAYER, Synthesized

use_own_node()  # before anything imports the CDK


@pytest.fixture(scope="session")
def layer_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder to use instead of the dependency layer, which takes a while to build."""
    folder = tmp_path_factory.mktemp("layer")
    (folder / "python").mkdir()
    return folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, layer_stub: Path) -> Synthesized:
    """Return the stage ``dev``, with all defaults."""
    return _synthesize(tmp_path_factory.mktemp("dev"), {"dependency_layer": str(layer_stub)})


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory, layer_stub: Path) -> Callable[..., Synthesized]:
    """Return a function that synthesizes a stage with its own settings."""

    def synthesize(settings: Mapping[str, str]) -> Synthesized:
        return _synthesize(tmp_path_factory.mktemp("stage"), {"dependency_layer": str(layer_stub), **settings})

    return synthesize


@pytest.fixture(scope="session")
def other_stack(tmp_path_factory: pytest.TempPathFactory, layer_stub: Path) -> Synthesized:
    """Return another stage, with every setting set."""
    settings = {
        "dependency_layer": str(layer_stub),
        "stage": "blue",
        "architecture": "x86_64",
        "document_buckets": "scans, mail-room",
        "retain": "false",
        "kms_key_arn": KMS_KEY,
        "webhook_rate": "7",
        "webhook_burst": "9",
        "evidence_lock_days": "400",
        "document_kms_keys": DOCUMENT_KEY,
        "alarm_topic_arn": TOPIC,
        "alarm_failed_cases": "5",
        "retention.documents_days": "90",
        "retention.artifacts_days": "91",
        "retention.raw_days": "92",
        "retention.results_days": "93",
        "retention.evidence_days": "500",
        "retention.records_days": "365",
        "retention.replaced_days": "3",
    }
    return _synthesize(tmp_path_factory.mktemp("blue"), settings)


@pytest.fixture(scope="session")
def optional_stack(tmp_path_factory: pytest.TempPathFactory, layer_stub: Path) -> Synthesized:
    """Return a stage with settings that do not concern each other: each adds something, or leaves something out."""
    settings = {
        "dependency_layer": str(layer_stub),
        "dashboard": "false",
        "results_tables": "false",
        "alarm_email": "team@example.com",
        "reserve_concurrency": "true",
        "webhook_reserved_concurrency": "20",
        "tracing_layer_arn": TRACING_LAYER,
        "existing_secrets": "claims",
        "table_name": "dossier-dev-old",
        "bucket_name": "dossier-dev-old-bucket",
        "document_buckets": "scans",
        "document_kms_keys": KMS_KEY,
    }
    return _synthesize(tmp_path_factory.mktemp("optional"), settings)


def _synthesize(folder: Path, settings: Mapping[str, str]) -> Synthesized:
    """Synthesize as ``app.py`` does, cdk-nag's checks included: a finding fails it."""
    import aws_cdk as cdk  # noqa: PLC0415 -- starts Node
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    from infra.settings import Settings  # noqa: PLC0415
    from infra.stack import DossierStack  # noqa: PLC0415

    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    context = {"connections": "tests/infra/connections.toml", **settings}
    app = cdk.App(outdir=str(folder), analytics_reporting=False, context={**flags, **context})
    settings_of = Settings.load(app.node.try_get_context, root=ROOT, environment={}, names=app.node.get_all_context())
    stack = DossierStack(app, settings=settings_of, existing_secrets=settings_of.existing_secrets)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return Synthesized(folder, stack.stack_name)
