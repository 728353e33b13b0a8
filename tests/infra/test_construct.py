"""Dossier as a construct of another team's stack, with its bus and bucket: ``examples/construct``, synthesized."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app import ROOT
from dossier.errors import ConfigurationError
from tests.infra.synthesis import Synthesized

TAG = {"Key": "team", "Value": "office"}


@pytest.fixture(scope="module")
def example(layer_stub: Path) -> ModuleType:
    """Return the example with a folder in place of the dependency layer, which takes a while to build."""
    spec = importlib.util.spec_from_file_location("construct", ROOT / "examples" / "construct" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SETTINGS["dependency_layer"] = str(layer_stub)
    return module


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory, example: ModuleType) -> tuple[Synthesized, Synthesized]:
    """Return Dossier's stack and the team's, synthesized with an Aspect of theirs; a finding of cdk-nag fails."""
    import aws_cdk as cdk  # noqa: PLC0415 -- starts Node
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("construct")
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    office = example.build(app)
    cdk.Tags.of(office).add(TAG["Key"], TAG["Value"])
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    made = {each.stack_name: each.template_file for each in app.synth().stacks}
    names = {name: Path(file).name.removesuffix(".template.json") for name, file in made.items()}
    assert set(names) == {"dossier-claims", "office"}
    return Synthesized(folder, names["dossier-claims"]), Synthesized(folder, "office")


def test_the_teams_bus_gets_the_events(stacks: tuple[Synthesized, Synthesized]) -> None:
    """Dossier has none of its own, and its functions may put events on that one alone."""
    dossier, office = stacks
    assert not dossier.of_type("AWS::Events::EventBus")
    [bus] = office.of_type("AWS::Events::EventBus")
    granted = [
        json.dumps(statement["Resource"])
        for role in dossier.of_type("AWS::IAM::Role").values()
        for policy in role.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if "events:PutEvents" in statement["Action"]
    ]
    assert granted
    assert all(bus in each for each in granted)


def test_the_teams_bucket_holds_the_files(stacks: tuple[Synthesized, Synthesized]) -> None:
    """Dossier makes none; its functions, drops and tables use that one."""
    dossier, office = stacks
    assert not dossier.of_type("AWS::S3::Bucket")
    [bucket] = office.of_type("AWS::S3::Bucket")
    functions = [each for each in dossier.of_type("AWS::Lambda::Function").values() if "FunctionName" in each]
    assert {bucket in json.dumps(each["Environment"]["Variables"]["DOSSIER_BUCKET"]) for each in functions} == {True}
    answer = dossier.one("Custom::S3BucketNotifications")
    assert bucket in json.dumps(answer["BucketName"])
    assert answer["Managed"] is False  # other notifications of the bucket stay
    configured = answer["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Filter"]["Key"]["FilterRules"][0]["Value"] for each in configured} == {"inbox/"}
    assert {event for each in configured for event in each["Events"]} == {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}
    tables = dossier.of_type("AWS::Glue::Table").values()
    assert all(bucket in json.dumps(each["TableInput"]["StorageDescriptor"]["Location"]) for each in tables)


def test_the_stacks_do_not_need_each_other(stacks: tuple[Synthesized, Synthesized]) -> None:
    """Only Dossier's refers to the team's, so that both can be deployed, Dossier's last."""
    dossier, office = stacks
    assert "Fn::ImportValue" in json.dumps(dossier.template)
    assert "Fn::ImportValue" not in json.dumps(office.template)


def test_aspects_of_the_team_reach_dossier(stacks: tuple[Synthesized, Synthesized]) -> None:
    """A tag on their stack is on each of Dossier's functions, queues and tables."""
    dossier, _ = stacks
    for kind in ("AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::DynamoDB::GlobalTable", "AWS::IAM::Role"):
        for each in dossier.of_type(kind).values():
            tags = each.get("Tags") or [tag for one in each.get("Replicas", []) for tag in one.get("Tags", [])]
            assert TAG in tags, kind


def test_a_bucket_that_does_not_fit_is_rejected(example: ModuleType) -> None:
    """Without versions, with a key that the settings do not name, or without the lock that they need."""
    import aws_cdk as cdk  # noqa: PLC0415
    from aws_cdk import aws_s3 as s3  # noqa: PLC0415

    from infra.dossier import Dossier  # noqa: PLC0415 -- starts Node

    def dossier(id_: str, lock: int | None = None, **bucket: Any) -> Dossier:
        stack = cdk.Stack(cdk.App(analytics_reporting=False), id_)
        given = {"connections": ROOT / "connections.toml", **example.SETTINGS, "evidence_lock_days": lock}
        return Dossier(stack, "Documents", bucket=s3.Bucket(stack, "Files", **bucket), **given)

    with pytest.raises(ConfigurationError, match="versioned=True"):
        dossier("plain")
    with pytest.raises(ConfigurationError, match="kms_key_arn"):
        dossier("keyed", versioned=True, encryption=s3.BucketEncryption.KMS)
    with pytest.raises(ConfigurationError, match="object_lock_enabled=True"):
        dossier("unlocked", 30, versioned=True)
    with pytest.raises(ConfigurationError, match="stagge: unknown setting"):
        Dossier(cdk.Stack(cdk.App(), "wrong"), "Documents", connections=ROOT / "connections.toml", stagge="x")


def test_a_team_gets_a_typed_package() -> None:
    """``pip install`` installs everything that an app imports, with types and with the CDK as an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"infra*", "dossier*", "cli*"} <= set(project["tool"]["setuptools"]["packages"]["find"]["include"])
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["*"]
    assert (ROOT / "infra" / "py.typed").exists()
    assert any(each.startswith("aws-cdk-lib") for each in project["project"]["optional-dependencies"]["cdk"])
