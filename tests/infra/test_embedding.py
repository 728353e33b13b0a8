"""Dossier in an app of one's own: the example of ``docs/embedding.md``, synthesized with cdk-nag's checks."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app import ROOT
from tests.infra.synthesis import Synthesized

FLAGS: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """Return ``examples/embedded/app.py`` as a module."""
    spec = importlib.util.spec_from_file_location("embedded", ROOT / "examples" / "embedded" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stub(layer_stub: Path, example: ModuleType) -> ModuleType:
    """Return the example with a folder in place of the dependency layer, which takes a while to build."""
    example.SETTINGS["dependency_layer"] = str(layer_stub)
    return example


def synthesized(folder: Path, example: ModuleType, flags: Mapping[str, Any]) -> tuple[Synthesized, Synthesized]:
    """Return Dossier's stack and the other one; a finding of cdk-nag fails the test."""
    import aws_cdk as cdk  # noqa: PLC0415 -- starts Node
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    app = cdk.App(outdir=str(folder), analytics_reporting=False, context=dict(flags))
    example.build(app)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return Synthesized(folder, "dossier-claims"), Synthesized(folder, "books")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory, stub: ModuleType) -> tuple[Synthesized, Synthesized]:
    """Return Dossier's stack and the other one, with this project's feature flags."""
    return synthesized(tmp_path_factory.mktemp("embedded"), stub, FLAGS)


def test_the_other_stack_listens_to_the_bus(stacks: tuple[Synthesized, Synthesized]) -> None:
    """Its rule is on Dossier's bus, and its target is its own function."""
    dossier, books = stacks
    rule = books.one("AWS::Events::Rule")
    assert rule["EventPattern"] == {"source": ["dossier"], "detail-type": ["Case Completed", "Case Updated"]}
    assert _refers(rule["EventBusName"], dossier, "AWS::Events::EventBus")
    [target] = rule["Targets"]
    assert target["Arn"]["Fn::GetAtt"][0] in books.of_type("AWS::Lambda::Function")


def test_the_other_stack_reads_results(stacks: tuple[Synthesized, Synthesized]) -> None:
    """Its function may read the results in Dossier's bucket, and nothing else there."""
    dossier, books = stacks
    [policy] = books.of_type("AWS::IAM::Policy").values()
    [reads] = [each for each in policy["PolicyDocument"]["Statement"] if each["Action"] == "s3:GetObject"]
    bucket, keys = reads["Resource"]["Fn::Join"][1]
    assert keys == "/cases/*/*/result.json"
    assert _refers(bucket, dossier, "AWS::S3::Bucket")


def test_dossier_is_the_same_stack_as_by_itself(stacks: tuple[Synthesized, Synthesized], synthesize: Any) -> None:
    """Embedding adds exports to its template, and changes no resource."""
    embedded, _ = stacks
    alone = synthesize({"stage": "claims", "connections": str(ROOT / "connections.toml"), "allow_insecure": "true"})
    assert embedded.template["Resources"] == alone.template["Resources"]


def test_feature_flags_of_the_app_do_not_matter(tmp_path: Path, stub: ModuleType) -> None:
    """The example is synthesized without this project's feature flags, and cdk-nag finds nothing."""
    dossier, books = synthesized(tmp_path, stub, {})
    assert dossier.functions
    assert books.one("AWS::Events::Rule")


def test_a_stage_of_the_cdks_keeps_the_stacks_name(tmp_path: Path, stub: ModuleType) -> None:
    """In a ``cdk.Stage`` the stack has the name that the CLI looks for."""
    import aws_cdk as cdk  # noqa: PLC0415

    app = cdk.App(outdir=str(tmp_path), analytics_reporting=False, context=FLAGS)
    stage = cdk.Stage(app, "Prod")
    stub.build(stage)
    first, *_ = app.synth().get_nested_assembly("assembly-Prod").stacks
    assert first.stack_name == "dossier-claims"


def _refers(value: Any, stack: Synthesized, kind: str) -> bool:
    """Whether a value is an export of the stack that names its one resource of a type."""
    text = json.dumps(value)
    [name] = stack.of_type(kind)
    return name in text
