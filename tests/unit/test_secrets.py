"""Secrets as the functions read them: cached for a while, unless they are unusable."""

from __future__ import annotations

import json

import pytest

from dossier.errors import ConfigurationError
from tests.conftest import Cloud


def put(cloud: Cloud, text: str) -> None:
    """Write the secret of ``invoices``."""
    client = cloud.session.client("secretsmanager")
    try:
        client.create_secret(Name="dossier/invoices", SecretString=text)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId="dossier/invoices", SecretString=text)


@pytest.mark.parametrize("text", [json.dumps({"api_key": ""}), "{}", "no JSON", json.dumps({"api_key": 5})])
def test_an_unusable_secret_is_read_again(cloud: Cloud, text: str) -> None:
    """A key that is set after a case failed without it is used at once, also by a running function."""
    put(cloud, text)
    with pytest.raises(ConfigurationError, match="dossier secrets set invoices"):
        cloud.app.secrets.api_key("invoices")
    put(cloud, json.dumps({"api_key": "k1"}))
    assert cloud.app.secrets.api_key("invoices") == "k1"


def test_a_secret_is_cached_until_a_fresh_read(cloud: Cloud) -> None:
    """Each call to Secrets Manager costs."""
    put(cloud, json.dumps({"api_key": "k1"}))
    assert cloud.app.secrets.api_key("invoices") == "k1"
    put(cloud, json.dumps({"api_key": "k2"}))
    assert cloud.app.secrets.api_key("invoices") == "k1"
    assert cloud.app.secrets.api_key("invoices", fresh=True) == "k2"
