"""``dossier secrets set``."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from tests.cli.conftest import Dossier
from tests.machine import ROOT


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
    """With --json the document says which parts are set, without their values."""
    document = dossier.json("secrets", "set", "claims", "--api-key", "k1")
    assert document == {"connection": "claims", "secret": "dossier/claims", "api_key": True, "webhook_secrets": 0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("invoices",), "no API key is given: run `dossier secrets set invoices` on a terminal"),
        (("invoices", "--webhook-secret", "s"), "no API key is given"),
        (("invoices", "--api-key", " "), "--api-key is blank"),
        (("invoices", "--api-key", "k", "--webhook-secret", ""), "--webhook-secret is blank"),
        (("nobody", "--api-key", "k"), 'unknown connection "nobody"'),
    ],
)
def test_bad_usage_writes_nothing(dossier: Dossier, words: tuple[str, ...], message: str) -> None:
    """Without a terminal there is no prompt; blank or unknown values are rejected."""
    result = dossier("secrets", "set", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert stored(dossier) == {"api_key": "", "webhook_secrets": []}


@pytest.mark.rule("security: read a key in the process list or the shell's history")
@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_missing_values_are_prompted_for(dossier: Dossier) -> None:
    """Key and webhook secrets are typed unseen, until one is left empty."""
    result = dossier("secrets", "set", "invoices", input="typed-key\nfirst\nsecond\n\n")
    assert result.exit_code == 0, result.stderr
    assert stored(dossier) == {"api_key": "typed-key", "webhook_secrets": ["first", "second"]}
    assert "typed-key" not in result.output


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_enter_keeps_the_stored_value(dossier: Dossier) -> None:
    """An empty answer keeps the present value."""
    dossier("secrets", "set", "invoices", "--api-key", "k1", "--webhook-secret", "s1")
    assert dossier("secrets", "set", "invoices", input="\n\n").exit_code == 0
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["s1"]}


@pytest.mark.usefixtures("terminal")
def test_a_connection_needs_a_key(dossier: Dossier) -> None:
    """Without any key nothing is written."""
    result = dossier("secrets", "set", "invoices", input="\n\n")
    assert result.exit_code == 2
    assert "nothing was stored" in result.stderr


def test_a_value_of_another_kind_is_replaced(dossier: Dossier) -> None:
    """A secret that is not the JSON that Dossier writes counts as empty."""
    client = dossier.cloud.session.client("secretsmanager")
    client.put_secret_value(SecretId="dossier/invoices", SecretString="legacy")
    assert dossier("secrets", "set", "invoices", "--api-key", "k").exit_code == 0
    assert stored(dossier) == {"api_key": "k", "webhook_secrets": []}


def test_missing_secret_is_created(dossier: Dossier) -> None:
    """A deleted secret is created again."""
    client = dossier.cloud.session.client("secretsmanager")
    client.delete_secret(SecretId="dossier/invoices", ForceDeleteWithoutRecovery=True)
    assert dossier("secrets", "set", "invoices", "--api-key", "k").exit_code == 0
    assert stored(dossier)["api_key"] == "k"


# From standard input, and from a file


@pytest.mark.rule("security: read a key in the process list or the shell's history")
@pytest.mark.parametrize(
    "text", ["k1", "k1\n", "k1\r\n", "\ufeffk1\n", "  k1  \n\n"], ids=["printf", "echo", "windows", "mark", "blanks"]
)
def test_the_key_comes_from_standard_input(dossier: Dossier, text: str) -> None:
    """``printf key | dossier secrets set invoices``: no key is in the process list, none ends in a newline."""
    result = dossier("secrets", "set", "invoices", input=text)
    assert result.exit_code == 0, result.stderr
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": []}
    assert "k1" not in result.output


def test_an_option_loses_its_newline(dossier: Dossier) -> None:
    """``--webhook-secret "$(cat FILE; echo x)"`` and the like: neither blanks nor line ends are part of a secret."""
    words = (
        "--api-key",
        " k1\n",
        "--webhook-secret",
        "whs-0123456789abcdef\r\n",
        "--webhook-secret",
        "whs-fedcba9876543210\n",
    )
    assert dossier("secrets", "set", "invoices", *words).exit_code == 0
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["whs-0123456789abcdef", "whs-fedcba9876543210"]}


def test_webhook_secrets_follow_the_key(dossier: Dossier) -> None:
    """One a line, the current one first; a blank first line keeps the key that is there."""
    dossier("secrets", "set", "invoices", input="k1\nwhs-new-0123456789\n\nwhs-old-0123456789\n")
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["whs-new-0123456789", "whs-old-0123456789"]}
    dossier("secrets", "set", "invoices", input="\nwhs-next-0123456789\n")
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["whs-next-0123456789"]}


def test_value_given_by_an_option_is_not_prompted_for(dossier: Dossier) -> None:
    """With the key given the lines are webhook secrets; with these given the line is the key."""
    dossier("secrets", "set", "invoices", "--api-key", "k1", input="whs-0123456789abcdef\n")
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["whs-0123456789abcdef"]}
    dossier("secrets", "set", "invoices", "--webhook-secret", "whs-other-0123456789", input="k2\n")
    assert stored(dossier) == {"api_key": "k2", "webhook_secrets": ["whs-other-0123456789"]}
    result = dossier("secrets", "set", "invoices", "--webhook-secret", "s", input="k3\ns2\n")
    assert (result.exit_code, "give them once" in result.stderr) == (2, True)


@pytest.mark.rule("security: read a key in the process list or the shell's history")
def test_a_secret_comes_from_a_file(dossier: Dossier, tmp_path: Path) -> None:
    """--from-file FILE, on a terminal too; - is standard input."""
    path = tmp_path / "secret"
    path.write_text("k1\nwhs-0123456789abcdef\n")
    assert dossier("secrets", "set", "invoices", "--from-file", path).exit_code == 0
    assert stored(dossier) == {"api_key": "k1", "webhook_secrets": ["whs-0123456789abcdef"]}
    assert dossier("secrets", "set", "invoices", "--from-file", "-", input="k2\n").exit_code == 0
    assert stored(dossier)["api_key"] == "k2"
    missing = dossier("secrets", "set", "invoices", "--from-file", tmp_path / "no")
    assert (missing.exit_code, missing.stderr) == (2, f"dossier: there is no file {tmp_path / 'no'}\n")


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[2J", "x" * 70_000, "k\n" + "s\n" * 20, b"\xff\xfe"])
def test_invalid_secret_writes_nothing(dossier: Dossier, tmp_path: Path, text: str | bytes) -> None:
    """A binary file, an answer of a server, a whole log: one line, and nothing of it is shown."""
    path = tmp_path / "secret"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = dossier("secrets", "set", "invoices", "--from-file", path)
    assert result.exit_code == 2
    assert "the API key, then one webhook secret per line" in result.stderr
    assert stored(dossier) == {"api_key": "", "webhook_secrets": []}


@pytest.mark.rule("security: guess a webhook secret from its proof in the evidence")
def test_a_short_webhook_secret_is_warned_about(dossier: Dossier) -> None:
    """Its proof in the evidence could be guessed: here, and by doctor."""
    result = dossier("secrets", "set", "invoices", input="k1\nshort\n")
    assert result.exit_code == 0
    assert "warning: a webhook secret has fewer than 16 characters" in result.stderr
    assert "short" not in result.output


def test_silent_standard_input_is_not_waited_for(tmp_path: Path) -> None:
    """A job whose standard input is a pipe without a writer: the value of an option is enough."""
    reader, writer = os.pipe()
    try:
        code = "import sys; from cli import secrets; secrets.PATIENCE = 0.1; print(secrets._lines(None, given=1))"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, stdin=reader, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    finally:
        os.close(reader)
        os.close(writer)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


# Deliveries from before the secret was set

BODY = b'{"event": "document_completed", "document_id": "doc_1"}'
HOOK = "whs-0123456789abcdef"
SIGNED = {"x-docustack-signature": hmac.new(HOOK.encode(), BODY, hashlib.sha256).hexdigest()}


@pytest.fixture
def refused(dossier: Dossier) -> Dossier:
    """A deployment with a delivery that came three times before its secret was set, and a forged one."""
    for _ in range(3):
        dossier.cloud.app.evidence.refuse("invoices", "no secret", BODY, SIGNED)
    dossier.cloud.app.evidence.refuse("invoices", "wrong secret", b"forged", SIGNED)
    return dossier


def applied(dossier: Dossier) -> list[bytes]:
    """Return the bodies of the deliveries that were queued."""
    messages = [json.loads(each) for each in dossier.cloud.messages("wake")]
    assert all(each["delivery"].startswith("webhooks/invoices/") for each in messages)
    return [dossier.cloud.app.evidence.read(each["delivery"]).body for each in messages]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("answer", "bodies"), [("y", [BODY]), ("n", [])])
def test_deliveries_from_before_the_secret_are_offered(refused: Dossier, answer: str, bodies: list[bytes]) -> None:
    """On a terminal they are verified with the new secret, and applied once each if the operator confirms."""
    result = refused("secrets", "set", "invoices", input=f"k1\n{HOOK}\n\n{answer}\n")
    assert result.exit_code == 0, result.stderr
    assert "apply rejected deliveries (1 delivery from before the secret was set)?" in result.stderr
    assert applied(refused) == bodies
    assert dict(stored(refused)) == {"api_key": "k1", "webhook_secrets": [HOOK]}


def test_option_applies_rejected_deliveries_without_a_prompt(refused: Dossier) -> None:
    """Without a terminal nothing is applied by default; the document counts the deliveries."""
    document = refused.json("secrets", "set", "invoices", "--api-key", "k1", "--webhook-secret", HOOK)
    assert (document["refused_before"]["proven"], document["refused_before"]["applied"]) == (1, 0)
    assert applied(refused) == []
    document = refused.json("secrets", "set", "invoices", "--apply-refused")
    assert (document["refused_before"]["proven"], document["refused_before"]["applied"]) == (1, 1)
    assert applied(refused) == [BODY]
    assert stored(refused) == {"api_key": "k1", "webhook_secrets": [HOOK]}


@pytest.mark.rule("security: have rejected deliveries applied later")
def test_another_secret_proves_nothing(refused: Dossier) -> None:
    """Deliveries that the secret does not prove are not mentioned."""
    document = refused.json(
        "secrets", "set", "invoices", "--api-key", "k1", "--webhook-secret", "another", "--apply-refused"
    )
    assert "refused_before" not in document
    assert applied(refused) == []
