"""How long each kind of data is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dossier.layout import kind_of
from tests.infra.synthesis import Properties, Synthesized
from tests.tables import ROOT


def _rules(stack: Synthesized) -> dict[str, Properties]:
    return {rule["Id"]: rule for rule in stack.one("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]}


def test_cases_are_kept_unless_the_settings_say_otherwise(stack: Synthesized) -> None:
    """By default no rule deletes cases and evidence; replaced versions expire after a month."""
    rules = _rules(stack)
    transient = {
        "staging",
        "inbox",
        "inbox-refused",
        "inbox-waiting",
        "collecting",
        "deliveries-refused",
        "deliveries-seen",
    }
    assert set(rules) == {*transient, "passing", "tables", "unfinished", "replaced"}
    assert rules["unfinished"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_each_kind_of_data_has_its_own_retention(other_stack: Synthesized) -> None:
    """Documents, artifacts, raw answers and results by their tag, evidence by its prefix, replaced versions."""
    rules = _rules(other_stack)
    for kind, days in (("documents", 90), ("artifacts", 91), ("raw", 92), ("results", 93)):
        rule = rules[kind]
        assert (rule["Status"], rule["Prefix"], rule["ExpirationInDays"]) == ("Enabled", "cases/", days)
        assert rule["TagFilters"] == [{"Key": "dossier", "Value": kind}]
    assert (rules["batches"]["Prefix"], rules["batches"]["ExpirationInDays"]) == ("batches/", 93)
    assert (rules["evidence"]["Prefix"], rules["evidence"]["ExpirationInDays"]) == ("webhooks/", 500)
    assert rules["replaced"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 3}
    assert rules["replaced"]["ExpiredObjectDeleteMarker"] is True


@pytest.mark.rule("security: cause costs, or fill the bucket")
def test_deliveries_of_strangers_expire(stack: Synthesized, other_stack: Synthesized) -> None:
    """Rejected deliveries expire after two weeks, their deleted versions a day later, regardless of the settings."""
    for rules in map(_rules, (stack, other_stack)):
        refused = rules["deliveries-refused"]
        assert (refused["Prefix"], refused["ExpirationInDays"]) == ("webhooks-refused/", 14)
        assert refused["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("cases/invoices/INV-1/documents/a.pdf", "documents"),
        ("cases/invoices/INV-1/documents/deep/a.pdf", "documents"),
        ("cases/invoices/INV-1/artifacts/a.pdf", "artifacts"),
        ("cases/invoices/INV-1/vendor/case.json", "raw"),
        ("cases/invoices/INV-1/result.json", "results"),
        ("cases/invoices/INV-1/manifest.json", "results"),
        ("cases/invoices/INV-1/documents", "results"),
        ("cases/invoices/INV-1/revisions/2/result.json", "results"),
        ("webhooks/invoices/2026/01/31/x.json", None),
        ("inbox-refused/invoices/a.pdf.txt", None),
    ],
)
def test_the_key_decides_an_objects_kind(key: str, kind: str | None) -> None:
    """An object's key decides its tag."""
    assert kind_of(key) == kind


def test_every_writer_of_a_case_may_tag(stack: Synthesized) -> None:
    """Writing or copying an object with tags needs s3:PutObjectTagging."""
    for verb in stack.functions:
        for each in stack.statements(verb):
            if "s3:PutObject" in each["Action"]:
                of_cases = any("/cases/" in resource for resource in each["Resource"])
                assert ("s3:PutObjectTagging" in each["Action"]) == of_cases, verb


def test_publish_deletes_raw_answers_only_where_none_are_kept(
    stack: Synthesized, synthesize: Callable[..., Synthesized], tmp_path: Path
) -> None:
    """A stage whose connections keep them has no such grant; deleted ones do not stay as versions."""
    file = tmp_path / "connections.toml"
    file.write_text(
        (ROOT / "tests" / "infra" / "connections.toml")
        .read_text()
        .replace("[claims]\n", "[claims]\nkeep_raw = false\n")
    )
    deleted = {}
    for name, each in (("kept", stack), ("not kept", synthesize({"connections": str(file)}))):
        [grant] = [one for one in each.statements("publish") if "s3:DeleteObject" in one["Action"]]
        deleted[name] = [resource.removeprefix("<Bucket>/") for resource in grant["Resource"]]
    assert deleted == {
        "kept": ["cases/*/*/artifacts/*"],
        "not kept": ["cases/*/*/artifacts/*", "cases/*/*/vendor/*", "collecting/*"],
    }
    rules = _rules(stack)
    assert rules["passing"]["TagFilters"] == [{"Key": "dossier", "Value": "passing"}]
    for each in ("passing", "collecting"):
        assert rules[each]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
