"""Where requests and presigned URLs for the artifact bucket go, by Region and partition."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from dossier.environment import Environment
from dossier.steps.context import Context
from dossier.stores import s3
from dossier.stores.clients import Clients
from tests.tables import ROOT

SUFFIXES = {
    "us-east-1": "amazonaws.com",
    "eu-central-1": "amazonaws.com",
    "ap-southeast-3": "amazonaws.com",
    "mx-central-1": "amazonaws.com",
    "us-gov-west-1": "amazonaws.com",
    "cn-north-1": "amazonaws.com.cn",
    "cn-northwest-1": "amazonaws.com.cn",
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set credentials, and neither Region nor endpoint."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


def link(region: str, bucket: str = "artifacts") -> str:
    """Return the presigned URL of an object, as the steps make it."""
    app = Context(Environment(bucket=bucket), Clients(boto3.Session(region_name=region)))
    return app.objects.link("cases/invoices/R-1/documents/Rechnung März.pdf", 3600)


@pytest.mark.parametrize(("region", "suffix"), SUFFIXES.items())
def test_a_presigned_url_names_the_buckets_own_region(region: str, suffix: str) -> None:
    """The host is the bucket's in its Region, and the signature is for that Region."""
    url = urlsplit(link(region))
    assert (url.scheme, url.netloc) == ("https", f"artifacts.s3.{region}.{suffix}")
    assert url.path == "/cases/invoices/R-1/documents/Rechnung%20M%C3%A4rz.pdf"
    query = parse_qs(url.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].split("/")[2:] == [region, "s3", "aws4_request"]


@pytest.mark.parametrize(("region", "suffix"), SUFFIXES.items())
def test_a_bucket_with_dots_is_the_paths_first_part(region: str, suffix: str) -> None:
    """No certificate covers such a bucket's host name; its Region's endpoint serves it by path."""
    url = urlsplit(link(region, "scans.example.com"))
    assert url.netloc == f"s3.{region}.{suffix}"
    assert url.path.startswith("/scans.example.com/cases/")


@pytest.mark.parametrize("setting", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://localhost:4566", "https://s3.example.com"])
def test_a_custom_endpoint_uses_path_style(monkeypatch: pytest.MonkeyPatch, setting: str, endpoint: str) -> None:
    """A server in place of AWS has one host name, not one for each bucket."""
    monkeypatch.setenv(setting, endpoint)
    for region in SUFFIXES:
        assert link(region).startswith(f"{endpoint}/artifacts/cases/invoices/R-1/documents/")


@pytest.mark.parametrize(("region", "suffix"), SUFFIXES.items())
def test_requests_go_where_presigned_urls_point(region: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook function's client, the others' and the CLI's send to the Region too."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for client in (s3.client(), s3.client(boto3.Session(region_name=region))):
        assert client.meta.endpoint_url == f"https://s3.{region}.{suffix}"


def test_one_place_makes_s3_clients() -> None:
    """No other module of the functions or the CLI creates an S3 client, with botocore's addresses."""
    makes = re.compile(r"""(client|resource)\(\s*["']s3["']""")
    files = [file for folder in ("layers/shared", "functions", "cli") for file in (ROOT / folder).rglob("*.py")]
    found = [file.relative_to(ROOT).as_posix() for file in files if makes.search(file.read_text(encoding="utf-8"))]
    assert found == ["layers/shared/python/dossier/stores/s3.py"]


def test_a_users_aws_settings_change_no_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile with other addresses (for example for the AWS CLI) would make URLs that vendors cannot open."""
    profile = "[default]\ns3 =\n  addressing_style = path\n  use_dualstack_endpoint = true\n"
    config = tmp_path / "config"
    config.write_text(profile, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert urlsplit(link("eu-central-1")).netloc == "artifacts.s3.eu-central-1.amazonaws.com"
