"""``dossier secrets set``: writes a connection's secret, never shows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from cli.errors import BadUsageError
from cli.output import Output, asked
from cli.target import Target
from cli.text import counted


def put(out: Output, where: Target, connection: str, *, api_key: str | None, webhook_secrets: Sequence[str]) -> None:
    """Write ``{"api_key", "webhook_secrets"}``; the parts that are not given stay, or are asked for on a terminal.

    Raises:
        BadUsageError: a part is blank; or there is no key, and nobody to ask.

    """
    where.require(connection)
    if api_key is not None and not api_key.strip():
        raise BadUsageError("--api-key is blank: give the key, or leave the option out to be asked for it")
    if not all(each.strip() for each in webhook_secrets):
        raise BadUsageError("--webhook-secret is blank: give the secret, or leave the option out")
    name = f"{where.secret_prefix}/{connection}"
    client = where.session.client("secretsmanager")
    present = _present(client, name)
    key, secrets = api_key, list(webhook_secrets)
    if sys.stdin.isatty():
        key = key or _ask("API key", present["api_key"])
        secrets = secrets or _ask_secrets(present["webhook_secrets"])
    elif key is None and not (secrets and present["api_key"]):
        raise BadUsageError(f"--api-key is missing: give it, or run `dossier secrets set {connection}` on a terminal")
    secret = {
        "api_key": (key or present["api_key"]).strip(),
        "webhook_secrets": [each.strip() for each in secrets] or present["webhook_secrets"],
    }
    if not secret["api_key"]:
        raise BadUsageError("a connection needs an API key: nothing was written")
    text = json.dumps(secret)
    try:
        client.put_secret_value(SecretId=name, SecretString=text)
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=name, SecretString=text)
    number = len(secret["webhook_secrets"])
    out.document({"connection": connection, "secret": name, "api_key": True, "webhook_secrets": number})
    out.line(f"{name}: an API key and {counted(number, 'webhook secret')}")


def read(client: Any, name: str) -> dict[str, Any] | None:
    """Return a secret's parts; None if it does not exist or has no value yet, empty parts if it is not our JSON."""
    try:
        text = client.get_secret_value(SecretId=name).get("SecretString") or ""
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    value = value if isinstance(value, dict) else {}
    key, secrets = value.get("api_key"), value.get("webhook_secrets")
    return {
        "api_key": key if isinstance(key, str) else "",
        "webhook_secrets": [each for each in secrets if isinstance(each, str) and each]
        if isinstance(secrets, list)
        else [],
    }


def _present(client: Any, name: str) -> dict[str, Any]:
    return read(client, name) or {"api_key": "", "webhook_secrets": []}


def _ask(what: str, present: str) -> str:
    text = f"{what} (enter keeps the present one)" if present else what
    return asked(text)


def _ask_secrets(present: Sequence[str]) -> list[str]:
    """Ask for webhook secrets until one is left empty: the current one, then any that is still valid."""
    secrets: list[str] = []
    keeps = "keeps the present ones" if present else "for none"
    while given := _ask(f"Webhook secret (enter {keeps})" if not secrets else "One more (enter for none)", ""):
        secrets.append(given)
    return secrets
