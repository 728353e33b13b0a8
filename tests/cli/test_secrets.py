"""``dossier secrets set``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer import testing

from tests.cli.conftest import Dossier


def stored(dossier: Dossier, connection: str = "invoices") -> Any:
    """Return a connection's secret as stored."""
    client = dossier.cloud.session.client("secretsmanager")
    return json.loads(client.get_secret_value(SecretId=f"dossier/{connection}")["SecretString"])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is a terminal."""
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _: True)


def test_a_secret_is_written(dossier: Dossier) -> None:
    """Key and webhook secrets are stored in their order, and never printed."""
    words = ("--api-key", "ds_live_1", "--webhook-secret", "new", "--webhook-secret", "old")
    result = dossier("secrets", "set", "invoices", *words)
    assert result.exit_code == 0, result.stderr
    assert stored(dossier) == {"api_key": "ds_live_1", "webhook_secrets": ["new", "old"]}
    assert "ds_live_1" not in result.output
    assert "dossier/invoices: an API key and 2 webhook secrets" in result.stdout


def test_parts_that_are_not_given_stay(dossier: Dossier) -> None:
    """The key and the webhook secrets can be replaced one without the other."""
    dossier("secrets", "set", "invoices", "--api-key", "k1", "--webhook-secret", "s1")
    assert dossier("secrets", "set", "invoices", "--api-key", "k2").exit_code == 0
    assert stored(dossier) == {"api_key": "k2", "webhook_secrets": ["s1"]}
    assert dossier("secrets", "set", "invoices", "--webhook-secret", "s2").exit_code == 0
    assert stored(dossier) == {"api_key": "k2", "webhook_secrets": ["s2"]}


def test_for_programs_without_values(dossier: Dossier) -> None:
    """With --json it is told what is there, not what it is."""
    document = dossier.json("secrets", "set", "claims", "--api-key", "k1")
    assert document == {"connection": "claims", "secret": "dossier/claims", "api_key": True, "webhook_secrets": 0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("invoices",), "--api-key is missing: give it, or run `dossier secrets set invoices` on a terminal"),
        (("invoices", "--webhook-secret", "s"), "--api-key is missing"),
        (("invoices", "--api-key", " "), "--api-key is blank"),
        (("invoices", "--api-key", "k", "--webhook-secret", ""), "--webhook-secret is blank"),
        (("nobody", "--api-key", "k"), 'unknown connection "nobody"'),
    ],
)
def test_bad_usage_writes_nothing(dossier: Dossier, words: tuple[str, ...], message: str) -> None:
    """Without a terminal there is nobody to ask; what is blank or unknown is refused."""
    result = dossier("secrets", "set", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert stored(dossier) == {"api_key": "", "webhook_secrets": []}


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_what_is_left_out_is_asked_for(dossier: Dossier) -> None:
    """Key and webhook secrets are typed unseen, until one is left empty."""
    result = dossier("secrets", "set", "invoices", input="typed-key\nfirst\nsecond\n\n")
    assert result.exit_code == 0, result.stderr
    assert stored(dossier) == {"api_key": "typed-key", "webhook_secrets": ["first", "second"]}
    assert "typed-key" not in result.output


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_enter_keeps_what_is_there(dossier: Dossier) -> None:
    """An empty answer keeps the present value."""
    dossier("secrets", "set", "invoices", "--api-key", "k1", "--webhook-secret", "s1")
    assert dossier("secrets", "set", "invoices", input="\n\n").exit_code == 0
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["s1"]}


@pytest.mark.usefixtures("terminal")
def test_a_connection_needs_a_key(dossier: Dossier) -> None:
    """Without any key nothing is written."""
    result = dossier("secrets", "set", "invoices", input="\n\n")
    assert result.exit_code == 2
    assert "nothing was written" in result.stderr


def test_a_value_of_another_kind_is_replaced(dossier: Dossier) -> None:
    """A secret that is not the JSON that Dossier writes counts as empty."""
    client = dossier.cloud.session.client("secretsmanager")
    client.put_secret_value(SecretId="dossier/invoices", SecretString="legacy")
    assert dossier("secrets", "set", "invoices", "--api-key", "k").exit_code == 0
    assert stored(dossier) == {"api_key": "k", "webhook_secrets": []}


def test_a_secret_that_is_not_there_is_created(dossier: Dossier) -> None:
    """A secret that somebody deleted is made again."""
    client = dossier.cloud.session.client("secretsmanager")
    client.delete_secret(SecretId="dossier/invoices", ForceDeleteWithoutRecovery=True)
    assert dossier("secrets", "set", "invoices", "--api-key", "k").exit_code == 0
    assert stored(dossier)["api_key"] == "k"
